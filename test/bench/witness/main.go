// Command witness runs inside the host that is measured, and tells what happens
// there and when, from outside of the daemon:
//
//	witness watch iptables-nft          execs and exits of iptables, and commits to the rules
//	witness serve v1                    a service that tells when it was ready, and of its connections
//	witness listen 127.0.0.1:20000 50   listeners on as many ports, for services that are only there
//	witness run 100 iptables ...        so many runs of a command, one after the other
//
// What it prints is read by package event.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "witness: error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "watch":
		return watch(args[1])
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) == 3 && args[0] == "listen":
		return listen(args[1], args[2])
	case len(args) >= 3 && args[0] == "run":
		return repeat(args[1], args[2:])
	}
	return errors.New("usage: witness watch BACKEND | serve VERSION | listen ADDRESS N | run N COMMAND [ARG]")
}

// told is the order in which events are printed.
var told sync.Mutex

func tell(e event.Event) {
	told.Lock()
	defer told.Unlock()
	if err := event.Write(os.Stdout, e); err != nil {
		os.Exit(1) // nobody listens any more
	}
}

func repeat(times string, argv []string) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	for range n {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stderr = os.Stderr
		began := event.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%q: %w", argv, err)
		}
		now := event.Now()
		tell(event.Event{At: now, Kind: event.Ran, Took: now - began})
	}
	return nil
}
