package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

// table is table nat of x_tables, which tells nobody of its changes.
type table struct {
	family, fd, level int
}

// pollEvery is how late a commit may be told.
const pollEvery = 200 * time.Microsecond

const (
	getInfo    = 64 // IPT_SO_GET_INFO, IP6T_SO_GET_INFO
	getEntries = 65
	infoSize   = 84 // struct ipt_getinfo, struct ip6t_getinfo
	entryStart = 40 // struct ipt_get_entries, struct ip6t_get_entries
)

func openTable(family int) (*table, error) {
	t := &table{family: family, level: unix.SOL_IP}
	domain := unix.AF_INET
	if family == 6 {
		domain, t.level = unix.AF_INET6, unix.SOL_IPV6
	}
	var err error
	t.fd, err = unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	return t, nil
}

// poll tells whenever the redirects lead to other activations than before.
func (t *table) poll() error {
	var last []string
	pause := unix.NsecToTimespec(int64(pollEvery))
	for {
		rules, err := t.read()
		now := event.Now()
		if err != nil {
			return fmt.Errorf("read table: %w", err)
		}
		if leads := activations(rules); !slices.Equal(leads, last) {
			last = leads
			tell(event.Event{At: now, Kind: event.Commit, Family: t.family})
		}
		unix.Nanosleep(&pause, nil)
	}
}

// read returns the rules as the kernel has them.
func (t *table) read() ([]byte, error) {
	for {
		info := make([]byte, infoSize)
		copy(info, "nat")
		if err := t.get(getInfo, info); err != nil {
			return nil, err
		}
		size := binary.NativeEndian.Uint32(info[infoSize-4:])
		entries := make([]byte, entryStart+int(size))
		copy(entries, "nat")
		binary.NativeEndian.PutUint32(entries[32:], size)
		err := t.get(getEntries, entries)
		if errors.Is(err, unix.EAGAIN) {
			continue // its size is another by now
		}
		return entries[entryStart:], err
	}
}

func (t *table) get(option int, b []byte) error {
	size := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(t.fd), uintptr(t.level), uintptr(option),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// activations returns the InvocationIDs in the comments of rules.
func activations(rules []byte) []string {
	const mark, digits = "switcheroo:", 32
	var all []string
	for {
		at := bytes.Index(rules, []byte(mark))
		if at < 0 || len(rules) < at+len(mark)+digits {
			slices.Sort(all)
			return slices.Compact(all)
		}
		rules = rules[at+len(mark):]
		all = append(all, string(rules[:digits]))
	}
}
