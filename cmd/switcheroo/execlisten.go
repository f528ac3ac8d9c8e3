package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// execBacklog is how many clients may wait in a listener's queue: while the
// server is restarted, nobody takes them out.
const execBacklog = 4096

// listenOn returns a listener on port, of all addresses of both families. It is
// made here, in the unit's own cgroup, by which its owner is known and to which
// the unit's own filters apply.
func listenOn(port uint16) (*os.File, error) {
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return listenOn4(port)
	}
	if err != nil {
		return nil, err
	}
	err = unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	if err == nil {
		err = begin(s, &unix.SockaddrInet6{Port: int(port)})
	}
	switch {
	case err == nil:
		return os.NewFile(uintptr(s), "listener"), nil
	case errors.Is(err, unix.EADDRNOTAVAIL): // IPv6 is switched off
		unix.Close(s)
		return listenOn4(port)
	}
	unix.Close(s)
	return nil, err
}

func listenOn4(port uint16) (*os.File, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := begin(s, &unix.SockaddrInet4{Port: int(port)}); err != nil {
		unix.Close(s)
		return nil, err
	}
	return os.NewFile(uintptr(s), "listener"), nil
}

func begin(s int, addr unix.Sockaddr) error {
	// What is in TIME_WAIT is in nobody's way.
	if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(s, addr); err != nil {
		return err
	}
	return unix.Listen(s, execBacklog)
}

// listenAgain makes a listener that comes back as it was: an earlier process may
// have shut it down, and had it not block.
func listenAgain(l *os.File) error {
	return onDescriptor(l, func(fd int) error {
		if err := unix.SetNonblock(fd, false); err != nil {
			return err
		}
		return unix.Listen(fd, execBacklog)
	})
}

func onDescriptor(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// firstPassed is the first file descriptor that is passed (sd_listen_fds(3)).
const firstPassed = 3

// alreadyPassed returns how many systemd has passed to this process, of a socket
// unit or of the unit's own store.
func alreadyPassed() int {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return n
}

// setAside occupies the file descriptors that listeners are to be passed as. Go
// would put its own there, which must not be closed under it. It is called
// before anything else.
func setAside(most int) {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return // the daemon cannot be asked either
	}
	first := firstPassed + alreadyPassed()
	for fd := first; fd < first+most; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == unix.EBADF {
			unix.Dup3(s, fd, unix.O_CLOEXEC)
		}
	}
	if s < first || s >= first+most {
		unix.Close(s)
	}
}

// place puts listeners where they are looked for, to stay open over exec.
func place(listeners []*os.File) error {
	first := firstPassed + alreadyPassed()
	for i, l := range listeners {
		err := onDescriptor(l, func(fd int) error { return unix.Dup3(fd, first+i, 0) })
		if err != nil {
			return fmt.Errorf("pass a listener on: %w", err)
		}
	}
	return nil
}
