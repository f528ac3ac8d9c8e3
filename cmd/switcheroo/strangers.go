package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo"
)

// strangers returns an error if a process of the service cannot be seen from
// here and is there all the same, since somebody whom we cannot see either
// listens on its port: it runs where process ids are others. It would take this
// process for dead, as this one it, and each would take the port from the other.
func strangers(ctx context.Context, o runOptions, steps *steps) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	all, err := switcheroo.List(ctx, switcheroo.Options{Log: steps.log()})
	if err != nil {
		return nil // what is wrong is said when the port is taken
	}
	for _, s := range all {
		if s.Name != o.name {
			continue
		}
		for _, p := range s.Processes {
			if !p.Alive && stranger(ctx, p.Port) {
				return hinted{
					fmt.Errorf("process %d of %q cannot be seen from here, and serves on private port %d", p.PID, s.Name, p.Port),
					"if it is in another container, share the process ids: docker run --pid host",
				}
			}
		}
	}
	return nil
}

// A look at sockets and one at processes are two: a process that ends between
// them, or hands a listener on, has one that nobody seems to hold. So the same
// socket has to be seen like that in several looks.
const (
	strangeLooks = 4
	strangePause = 300 * time.Millisecond
)

// stranger says whether somebody listens on a port who cannot be seen from here.
func stranger(ctx context.Context, port int) bool {
	strange := outOfSight(port)
	for range strangeLooks - 1 {
		if len(strange) == 0 {
			return false
		}
		select {
		case <-time.After(strangePause):
		case <-ctx.Done():
			return false
		}
		again := outOfSight(port)
		strange = slices.DeleteFunc(strange, func(name string) bool { return !slices.Contains(again, name) })
	}
	return len(strange) > 0
}

// outOfSight returns the listeners on a port that no process which we see has,
// by the names that sockets have in /proc/PID/fd.
func outOfSight(port int) []string {
	var names []string
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile("/proc/thread-self/net/" + table)
		if err != nil {
			continue // no IPv6
		}
		for _, inode := range listenersIn(string(b), port) {
			names = append(names, "socket:["+inode+"]")
		}
	}
	if len(names) == 0 {
		return nil
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil
	}
	for _, f := range files {
		if name, err := os.Readlink(f); err == nil {
			names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		}
	}
	return names
}

// listenersIn returns the inodes of the sockets that listen on a port, from the
// text of /proc/net/tcp.
func listenersIn(table string, port int) []string {
	const (
		local, state, inode = 1, 3, 9 // columns
		listen              = "0A"
	)
	var inodes []string
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) <= inode || f[state] != listen {
			continue
		}
		_, hex, _ := strings.Cut(f[local], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			inodes = append(inodes, f[inode])
		}
	}
	return inodes
}
