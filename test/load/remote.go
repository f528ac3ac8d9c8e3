package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/switcheroo/switcheroo/test/host"
)

// Guest is where swload can run: a host.Host or a host.Client.
type Guest interface {
	Name() string
	Cmd(ctx context.Context, args ...string) *host.Cmd
}

// Remote is a swload that runs in a guest.
type Remote struct {
	cmd    *host.Cmd
	name   string
	first  chan struct{} // closed at the first progress
	once   sync.Once
	done   chan struct{}
	result *Result
	err    error
	stderr bytes.Buffer
}

// Start starts swload, which is at the path binary there, in guest. It ends
// with c.Duration, with Stop, or killed with ctx. Once a second, progress (if
// not nil) gets what was seen so far, from another goroutine.
func Start(ctx context.Context, guest Guest, binary string, c Config, progress func(*Result)) (*Remote, error) {
	if _, err := c.withDefaults(); err != nil {
		return nil, err
	}
	r := &Remote{
		cmd:  guest.Cmd(ctx, append([]string{binary, "run", "-progress"}, c.Args()...)...),
		name: guest.Name(), first: make(chan struct{}), done: make(chan struct{}),
	}
	// Not StdoutPipe: whoever waits for the command would close that too early.
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.cmd.Stdout, r.cmd.Stderr = in, &r.stderr
	if err := r.cmd.Start(); err != nil {
		out.Close()
		in.Close()
		return nil, err
	}
	in.Close()
	go func() {
		defer close(r.done)
		var decoded error
		r.result, decoded = Decode(out, func(so *Result) {
			r.once.Do(func() { close(r.first) })
			if progress != nil {
				progress(so)
			}
		})
		out.Close() // so that one that prints on ends as well
		ended := r.cmd.Wait()
		if decoded != nil {
			r.result, r.err = nil, fmt.Errorf("swload in %s: %w", r.name, errors.Join(decoded, ended, errors.New(strings.TrimSpace(r.stderr.String()))))
		}
	}()
	return r, nil
}

// Running returns when the first progress was told, which is a second after
// the clients began.
func (r *Remote) Running(ctx context.Context) error {
	select {
	case <-r.first:
		return nil
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stop tells the clients to finish the request under way, and returns the
// result.
func (r *Remote) Stop() (*Result, error) {
	r.cmd.Process.Signal(syscall.SIGTERM)
	return r.Wait()
}

// Wait returns the result once the run has ended by itself.
func (r *Remote) Wait() (*Result, error) {
	<-r.done
	return r.result, r.err
}
