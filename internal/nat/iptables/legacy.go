package iptables

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// legacyTable reports whether a table of x_tables is in use in this network
// namespace. It loads nothing.
func legacyTable(family nat.Family, table string) bool {
	file := "ip_tables_names"
	if family == nat.IPv6 {
		file = "ip6_tables_names"
	}
	// Not /proc/net: that is the namespace of the process's first thread.
	names, err := os.ReadFile("/proc/thread-self/net/" + file)
	return err == nil && slices.Contains(strings.Fields(string(names)), table)
}

// fingerprint is struct ipt_getinfo: the size of a legacy table, how many rules
// it has and where its chains begin. It changes with whatever is added, deleted
// or flushed, but not when a rule is replaced by one of the same size. The zero
// fingerprint is that of a table that is not there.
type fingerprint struct {
	name       [32]byte
	validHooks uint32
	hookEntry  [5]uint32
	underflow  [5]uint32
	entries    uint32
	size       uint32
}

// Options of getsockopt, in both families: IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES.
const (
	getInfo    = 64
	getEntries = 65
)

// fingerprintOf looks at table nat, and does not load it.
func fingerprintOf(family nat.Family) (fingerprint, error) {
	if !legacyTable(family, "nat") {
		return fingerprint{}, nil
	}
	e, seen, err := openSeen(family)
	if err == nil {
		e.close()
	}
	return seen, err
}

// eye is a socket to look at table nat of one family with, again and again: one
// system call where iptables-save takes milliseconds. It looks at the network
// namespace of the thread that opened it.
type eye struct {
	family nat.Family
	fd     int
}

func openEye(family nat.Family) (*eye, error) {
	domain := unix.AF_INET
	if family == nat.IPv6 {
		domain = unix.AF_INET6
	}
	// IPPROTO_RAW: a socket that receives nothing.
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("look at %v table nat: socket: %w", family, err)
	}
	return &eye{family, fd}, nil
}

// openSeen opens an eye and looks. The caller closes it, unless there is an error.
func openSeen(family nat.Family) (*eye, fingerprint, error) {
	e, err := openEye(family)
	if err != nil {
		return nil, fingerprint{}, err
	}
	seen, err := e.look()
	if err != nil {
		e.close()
		return nil, fingerprint{}, err
	}
	return e, seen, nil
}

// look makes the kernel load the table if it is not there.
func (e *eye) look() (fingerprint, error) {
	f := fingerprint{name: natName}
	if err := e.get(getInfo, unsafe.Pointer(&f), uint32(unsafe.Sizeof(f))); err != nil {
		return fingerprint{}, fmt.Errorf("look at %v table nat: %w", e.family, err)
	}
	return f, nil
}

// natName is the table's name as x_tables takes it.
var natName = [32]byte{'n', 'a', 't'}

// get asks x_tables for what option stands for. The value names the table, and
// is where the answer goes.
func (e *eye) get(option uintptr, value unsafe.Pointer, size uint32) error {
	level := unix.SOL_IP
	if e.family == nat.IPv6 {
		level = unix.SOL_IPV6
	}
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(e.fd), uintptr(level), option,
		uintptr(value), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (e *eye) close() { unix.Close(e.fd) }
