package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/api"
)

// asker asks the daemon for the private ports of this process's unit.
type asker struct {
	client    *api.Client
	names     []string // of the endpoints that are wanted; none: all
	ports     []api.PrivatePort
	listeners []*os.File // on each of ports
	kept      []bool     // by the daemon already
	taken     []uint16   // that could not be bound
}

// reserve asks for the ports and, if listeners is set, for what the daemon has
// kept of an earlier process.
func (a *asker) reserve(ctx context.Context, listeners bool) error {
	var r *api.Reserved
	var files []*os.File
	err := persist(ctx, func() (err error) {
		r, files, err = a.client.Reserve(ctx, api.Reserve{Taken: a.taken, Listeners: listeners})
		return err
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return hinted{errors.New("switcherood does not answer in time"), `see "systemctl status switcherood"`}
	case err != nil:
		return forUnits(explain(err))
	}
	for _, name := range a.names {
		if !slices.ContainsFunc(r.Ports, func(p api.PrivatePort) bool { return p.Name == name }) {
			return unknownEndpoint(name, r)
		}
	}
	a.ports, a.listeners, a.kept = nil, nil, nil
	for _, p := range r.Ports {
		var l *os.File
		if listeners && p.Kept {
			l, files = files[0], files[1:]
		}
		if len(a.names) > 0 && !slices.Contains(a.names, p.Name) {
			if l != nil {
				l.Close()
			}
			continue
		}
		a.ports, a.listeners, a.kept = append(a.ports, p), append(a.listeners, l), append(a.kept, l != nil)
	}
	return nil
}

// persist repeats a call until there is an answer, or ctx ends: the daemon may
// be on its way up, or be restarted.
func persist(ctx context.Context, call func() error) error {
	began, told := time.Now(), false
	for {
		err := call()
		if !away(err) {
			return err
		}
		if !told && time.Since(began) > time.Second {
			told = true
			fmt.Fprintln(os.Stderr, "switcheroo: waiting for switcherood (\"systemctl start switcherood\" starts it)")
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// forUnits adds to what the daemon says who this verb is for.
func forUnits(err error) error {
	var e *api.Error
	if errors.As(err, &e) && e.Code == api.BadRequest {
		return hinted{errors.New("this process is in no service unit"), "it belongs in a unit: ExecStart=/usr/bin/switcheroo exec -- ..."}
	}
	return err
}

func unknownEndpoint(name string, r *api.Reserved) error {
	var known []string
	for _, p := range r.Ports {
		if p.Name != "" {
			known = append(known, p.Name)
		}
	}
	hint := fmt.Sprintf("Listen= of %s names none", r.Unit)
	if len(known) > 0 {
		hint = "there is " + strings.Join(known, ", ")
	}
	return usageError{hinted{fmt.Errorf("no endpoint is named %q", name), hint}}
}

// maxTaken is how often another port is asked for.
const maxTaken = 16

// listen has a listener on each port: the one that was kept, so that who waits
// in its queue is served, or a new one.
func (a *asker) listen(ctx context.Context) error {
	for {
		if err := a.reserve(ctx, true); err != nil {
			return err
		}
		taken := false
		for i, p := range a.ports {
			l, err := a.listeners[i], error(nil)
			if l != nil {
				err = listenAgain(l)
			} else {
				l, err = listenOn(p.Port)
			}
			switch {
			case errors.Is(err, unix.EADDRINUSE) && l == nil && len(a.taken) < maxTaken:
				a.taken, taken = append(a.taken, p.Port), true
			case err != nil:
				return fmt.Errorf("listen on port %d, which was reserved: %w", p.Port, err)
			}
			a.listeners[i] = l
		}
		if !taken {
			return nil
		}
		for _, l := range a.listeners {
			if l != nil {
				l.Close()
			}
		}
	}
}

// keep hands new listeners to the daemon. Without a copy the server can do as
// well, but for its restarts.
func (a *asker) keep(ctx context.Context) {
	var what api.Keep
	var files []*os.File
	for i, p := range a.ports {
		if !a.kept[i] {
			what.Ports = append(what.Ports, api.KeptPort{Name: p.Name, Port: p.Port})
			files = append(files, a.listeners[i])
		}
	}
	if len(files) == 0 {
		return
	}
	err := persist(ctx, func() error {
		_, err := a.client.Keep(ctx, what, files)
		return err
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "switcheroo: warning: the daemon keeps no copy of the listener, so that clients are refused during a restart: %v\n", plainly(err))
	}
}
