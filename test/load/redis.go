package load

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// redisVersion is the setting that holds the version of a Redis server, which
// else has no use for it.
const redisVersion = "cluster-announce-hostname"

func redisShort(_ context.Context, t *talk) error {
	began := t.begin()
	if err := t.ask("", true); err != nil {
		return err
	}
	t.answered(began, t.version)
	return nil
}

func redisKeepAlive(ctx context.Context, t *talk) error {
	return t.requests(ctx, func(last bool) error {
		text := make([]byte, 1+t.rng.IntN(maxChunk/2))
		fill(t.rng, text)
		return t.ask(hex.EncodeToString(text), last)
	})
}

// redisStream has the server send back, at a steady rate, what a stream of HTTP
// consists of.
func redisStream(_ context.Context, t *talk) error {
	began := t.begin()
	if err := t.ask("", false); err != nil {
		return err
	}
	tick := time.NewTicker(wire.Interval)
	defer tick.Stop()
	chunk := make([]byte, wire.Chunk)
	length := wire.StreamLength(t.client.StreamFor)
	for offset := int64(0); offset < length; offset += wire.Chunk {
		wire.Fill(chunk, offset)
		if err := t.ask(string(chunk), offset+wire.Chunk == length); err != nil {
			return err
		}
		<-tick.C
	}
	t.answered(began, t.version)
	return nil
}

// ask has the server say text, if there is one, and its version. With the last
// request of a connection it asks to close it, and waits for that.
func (t *talk) ask(text string, last bool) error {
	var commands []byte
	if text != "" {
		commands = command(commands, "ECHO", text)
	}
	commands = command(commands, "CONFIG", "GET", redisVersion)
	if last {
		commands = command(commands, "QUIT")
	}
	if err := t.send(commands); err != nil {
		return err
	}
	if text != "" {
		r, err := readReply(t.in)
		if err != nil {
			return err
		}
		if r.kind != '$' || string(r.text) != text {
			return wrong(fmt.Sprintf("ECHO of %d bytes: %.80s", len(text), r))
		}
	}
	r, err := readReply(t.in)
	if err != nil {
		return err
	}
	if len(r.list) != 2 || string(r.list[0].text) != redisVersion || len(r.list[1].text) == 0 {
		return wrong(fmt.Sprintf("CONFIG GET: %.80s", r))
	}
	t.version = string(r.list[1].text)
	if !last {
		return nil
	}
	if r, err = readReply(t.in); err != nil {
		return err
	}
	if r.kind != '+' || string(r.text) != "OK" {
		return wrong(fmt.Sprintf("QUIT: %.80s", r))
	}
	return t.ended()
}
