// Command go-http is an HTTP server that knows nothing of Switcheroo: it
// listens where its option says.
//
// Port:  with `switcheroo run` the number of its private port stands for {port}
// in the option; as a unit it listens on port 0, and the daemon finds the port.
// Ready: when it accepts a connection. It says nothing itself.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
)

func main() {
	listen := flag.String("listen", ":8080", "address to listen on")
	flag.Parse()
	slog.Error("server ends", "error", http.ListenAndServe(*listen, http.HandlerFunc(hello)))
	os.Exit(1)
}

// hello answers with the name of the directory that the program lies in: v1.
func hello(w http.ResponseWriter, _ *http.Request) {
	version := filepath.Base(filepath.Dir(os.Args[0]))
	w.Header().Set("Version", version)
	fmt.Fprintln(w, version)
}
