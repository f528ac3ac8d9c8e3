package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// boundTo returns the port that a TCP socket is bound to.
func boundTo(f *os.File) (port uint16, err error) {
	err = onSocket(f, func(fd int) error {
		if protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || protocol != unix.IPPROTO_TCP {
			return errors.New("it is no TCP socket")
		}
		addr, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		switch a := addr.(type) {
		case *unix.SockaddrInet4:
			port = uint16(a.Port)
		case *unix.SockaddrInet6:
			port = uint16(a.Port)
		}
		if port == 0 {
			return errors.New("it is not bound to a port")
		}
		return nil
	})
	return port, err
}

// identity tells one socket from another.
func identity(fd int) (dev, inode uint64, err error) {
	var info unix.Stat_t
	err = unix.Fstat(fd, &info)
	return info.Dev, info.Ino, err
}

// sameSocket reports whether two descriptors are of one socket.
func sameSocket(a, b int) bool {
	dev, inode, err := identity(a)
	if err != nil {
		return false
	}
	otherDev, other, err := identity(b)
	return err == nil && dev == otherDev && inode == other
}

func duplicate(f *os.File) (copied int, err error) {
	err = onSocket(f, func(fd int) (err error) {
		copied, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		return err
	})
	return copied, err
}

// onSocket does something with f as it is: Fd would make it block, for all who
// have a copy.
func onSocket(f *os.File, do func(fd int) error) error {
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

// Free reports whether a listener can be bound to port, by trying; if it is to
// be quiet, without SO_REUSEADDR.
func (k *keeper) Free(port uint16, quiet bool) bool {
	err := tryBind(unix.AF_INET6, &unix.SockaddrInet6{Port: int(port)}, quiet)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		err = tryBind(unix.AF_INET, &unix.SockaddrInet4{Port: int(port)}, quiet)
	}
	return err == nil
}

// tryBind binds a socket for a moment. It does not listen, so nobody connects.
func tryBind(family int, addr unix.Sockaddr, quiet bool) error {
	s, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return err
		}
	}
	if !quiet {
		if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	return unix.Bind(s, addr)
}
