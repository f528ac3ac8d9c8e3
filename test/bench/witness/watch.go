package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

// watch tells of everything until it is killed. Each source has a goroutine
// that blocks in the kernel and not in Go's poller, and takes the time as soon
// as it is out.
func watch(backend string) error {
	runtime.GOMAXPROCS(16) // nobody waits for a turn to run Go
	services, err := bindServices()
	if err != nil {
		return err
	}
	programs, err := markProgram(backend)
	if err != nil {
		return err
	}
	sources := []func() error{
		func() error { return readServices(services) },
		func() error { return readPrograms(programs) },
	}
	switch backend {
	case "iptables-nft":
		commits, err := subscribe()
		if err != nil {
			return err
		}
		sources = append(sources, func() error { return readCommits(commits) })
	case "iptables-legacy":
		for _, family := range []int{4, 6} {
			t, err := openTable(family)
			if err != nil {
				return err
			}
			sources = append(sources, t.poll)
		}
	default:
		return fmt.Errorf("no backend %q", backend)
	}
	tell(event.Event{At: event.Now(), Kind: event.Watching})
	failed := make(chan error)
	for _, source := range sources {
		go func() { failed <- source() }()
	}
	return <-failed // the first one that has no more to tell
}

// bindServices opens the socket that services send their events to.
func bindServices() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrUnix{Name: event.Socket})
}

func readServices(fd int) error {
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read services: %w", err)
		}
		var e event.Event
		if err := json.Unmarshal(buf[:n], &e); err != nil {
			return fmt.Errorf("read services: %w", err)
		}
		tell(e)
	}
}

// markProgram has the kernel tell whenever the one program is executed that is
// all the commands of a backend.
func markProgram(backend string) (int, error) {
	path, err := exec.LookPath(backend + "-restore")
	if err != nil {
		return 0, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return 0, err
	}
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_REPORT_PIDFD, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("fanotify: %w", err)
	}
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_EXEC, unix.AT_FDCWD, path); err != nil {
		return 0, fmt.Errorf("watch execs of %s: %w", path, err)
	}
	return fd, nil
}

func readPrograms(fd int) error {
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		now := event.Now()
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read execs: %w", err)
		}
		execs, err := parseExecs(buf[:n])
		if err != nil {
			return fmt.Errorf("read execs: %w", err)
		}
		for _, e := range execs {
			unix.Close(e.file)
			tell(event.Event{At: now, Kind: event.Exec, PID: e.pid})
			if e.pidfd < 0 { // it was quicker than this
				tell(event.Event{At: now, Kind: event.Exit, PID: e.pid})
				continue
			}
			go e.wait()
		}
	}
}

// execution is a process that has executed the program.
type execution struct{ pid, file, pidfd int }

// wait tells when the process ends.
func (e execution) wait() error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(e.pidfd), Events: unix.POLLIN}}, -1)
		if err == unix.EINTR {
			continue
		}
		tell(event.Event{At: event.Now(), Kind: event.Exit, PID: e.pid})
		return errors.Join(err, unix.Close(e.pidfd))
	}
}
