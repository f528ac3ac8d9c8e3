package server

import (
	"embed"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

//go:embed files
var embedded embed.FS

// file returns a file of this package's directory files.
func file(name string) string {
	b, err := embedded.ReadFile("files/" + name)
	if err != nil {
		panic(err) // it was there when this was built
	}
	return string(b)
}

// streamFor is how long the streams of clients last. The servers that are not
// ours send no longer ones.
const streamFor = 2 * time.Second

// streamFile is where they read what a stream has, on the host.
const streamFile = "/srv/bench/stream"

// stream returns its content.
func stream() string {
	b := make([]byte, wire.StreamLength(streamFor))
	wire.Fill(b, 0)
	return string(b)
}
