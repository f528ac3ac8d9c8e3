package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// keptPrefix begins the names of listeners in systemd's file descriptor store.
const keptPrefix = "kept-"

// storeTimeout bounds how long systemd may take to put a descriptor away.
const storeTimeout = 5 * time.Second

// putAway has systemd keep a copy of f, also while no daemon runs, until
// takeAway. It returns when systemd has done so. Without a service manager it
// does nothing.
func putAway(ctx context.Context, name string, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	// systemd is not to look at what happens to it (FDPOLL=0): a server that
	// shuts its listener down would have it thrown away.
	err = raw.Control(func(fd uintptr) {
		sent = tellManager("FDSTORE=1\nFDPOLL=0\nFDNAME="+keptPrefix+name, int(fd))
	})
	if err = errors.Join(err, sent); err != nil {
		return fmt.Errorf("put a listener away: %w", err)
	}
	return barrier(ctx)
}

// takeAway has systemd close what it keeps under a name.
func takeAway(name string) error {
	return tellManager("FDSTOREREMOVE=1\nFDNAME=" + keptPrefix + name)
}

// barrier returns when systemd has read what was sent to it before: a daemon
// that dies then has lost nothing. See sd_notify_barrier(3).
func barrier(ctx context.Context) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	err = tellManager("BARRIER=1", int(write.Fd()))
	write.Close()
	if err != nil {
		return fmt.Errorf("wait for systemd: %w", err)
	}
	deadline := time.Now().Add(storeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	read.SetReadDeadline(deadline)
	// It is closed there without a word.
	if _, err := read.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("wait for systemd: it has not read what was sent to it")
	}
	return nil
}

// tellManager sends a message, with files, to the service manager that has
// started the daemon, if one has. Package net cannot send files with a datagram
// to a socket that it is not connected to.
func tellManager(state string, files ...int) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	limit := unix.NsecToTimeval(storeTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	// A leading @ is the abstract namespace, for package unix as for systemd.
	for {
		err := unix.Sendmsg(s, []byte(state), rights, &unix.SockaddrUnix{Name: path}, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}
