package iptables

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// namespace names a network namespace as long as a process is in it.
type namespace struct{ dev, ino uint64 }

// openNamespace opens the one of the calling thread, for enter.
func openNamespace() (fd int, ns namespace, err error) {
	// Not /proc/self: that is the namespace of the process's first thread.
	fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, ns, fmt.Errorf("open the network namespace: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, ns, fmt.Errorf("stat the network namespace: %w", err)
	}
	return fd, namespace{st.Dev, st.Ino}, nil
}

// threadNamespace is the one of the calling thread.
func threadNamespace() (namespace, error) {
	fd, ns, err := openNamespace()
	if err == nil {
		unix.Close(fd)
	}
	return ns, err
}

// enter moves the calling thread into the namespace ns that fd is, if it is in
// another one. A thread that moved must end with its goroutine.
func enter(fd int, ns namespace) (moved bool, err error) {
	now, err := threadNamespace()
	if err != nil || now == ns {
		return false, err
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return false, fmt.Errorf("enter the network namespace: %w", err)
	}
	return true, nil
}
