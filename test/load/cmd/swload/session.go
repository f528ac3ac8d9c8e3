package main

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/switcheroo/switcheroo/test/load"
)

// once sends one request and prints the version that answered.
func once(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	addr, timeout, err := target("once", args, stderr)
	if err != nil {
		return err
	}
	s, err := load.Dial(ctx, addr, timeout)
	if err != nil {
		return err
	}
	defer s.Close()
	version, err := s.Request(true)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, version)
	return err
}

// hold keeps a connection: it prints its own address, and a version for each
// line that it reads; then it closes.
func hold(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	addr, timeout, err := target("hold", args, stderr)
	if err != nil {
		return err
	}
	s, err := load.Dial(ctx, addr, timeout)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := fmt.Fprintln(stdout, s.Local()); err != nil {
		return err
	}
	// In a goroutine, as a read of stdin cannot be told to stop.
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(stdin); in.Scan(); {
			select {
			case lines <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case _, more := <-lines:
			if !more {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
		version, err := s.Request(false)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(stdout, version); err != nil {
			return err
		}
	}
}
