package iptables

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// A command takes many times as long as the few system calls that it is run for
// (BenchmarkLegacyRead), and takes that time from the servers of the host. So a
// legacy table is read without one, as long as it holds of ours only what we
// write ourselves.

// errNotPlain says that it takes iptables' own words for what a table has: for a
// message, or to delete it by.
var errNotPlain = errors.New("not as we write it")

// readLegacy is readSeen of legacy.
func (t *tool) readLegacy(ctx context.Context) (snapshot, fingerprint, error) {
	if !legacyTable(t.family, "nat") {
		// Even to list a table makes the kernel load and register it.
		return snapshot{}, fingerprint{}, nil
	}
	e, seen, err := openSeen(t.family)
	if err != nil {
		return snapshot{}, fingerprint{}, err
	}
	defer e.close()
	table, seen, err := e.table(seen)
	if err == nil {
		if s, err := table.snapshot(); err == nil {
			return s, seen, nil
		}
	}
	s, err := t.readTable(ctx)
	return s, seen, err
}

// legacyNAT reads a table that is there.
func legacyNAT(family nat.Family) (xtable, error) {
	e, seen, err := openSeen(family)
	if err != nil {
		return xtable{}, err
	}
	defer e.close()
	table, _, err := e.table(seen)
	return table, err
}

// maxLooks bounds how often one read looks at a table that others change.
const maxLooks = 5

// table reads the table, which was as seen just before. Whether it can or not,
// it returns a fingerprint that is not younger than the table it returns.
func (e *eye) table(seen fingerprint) (xtable, fingerprint, error) {
	for range maxLooks {
		data, err := e.entries(seen.size)
		if err != nil && !errors.Is(err, unix.EAGAIN) { // that is: not of this size
			return xtable{}, seen, err
		}
		// The fingerprint says where chains begin, so it must be that of these
		// very entries.
		now, lookErr := e.look()
		if lookErr != nil {
			return xtable{}, seen, lookErr
		}
		if err == nil && now == seen {
			t, err := parseTable(formOf(e.family), seen, data)
			return t, seen, err
		}
		seen = now
	}
	return xtable{}, seen, fmt.Errorf("read %v table nat: it changes all the time", e.family)
}

// maxTable is more than a hundred thousand services take.
const maxTable = 256 << 20

// entries is IPT_SO_GET_ENTRIES: struct ipt_get_entries of
// linux/netfilter_ipv4/ip_tables.h, with char name[32], unsigned int size, and
// the entries, which are aligned to 8 bytes. The kernel answers EAGAIN if the
// table is not of this size.
func (e *eye) entries(size uint32) ([]byte, error) {
	const header = 40
	if bits.UintSize != 64 || size > maxTable { // alignments differ for others
		return nil, fmt.Errorf("read %v table nat: %w", e.family, errors.ErrUnsupported)
	}
	b := make([]byte, header+int(size))
	copy(b, natName[:])
	binary.NativeEndian.PutUint32(b[len(natName):], size)
	if err := e.get(getEntries, unsafe.Pointer(&b[0]), uint32(len(b))); err != nil {
		return nil, fmt.Errorf("read %v table nat: %w", e.family, err)
	}
	return b[header:], nil
}

// snapshot returns what parseSave makes of iptables-legacy-save's text of the
// same table, if of ours that has only what we write ourselves; otherwise it
// returns errNotPlain. What others have there does not matter, unless it leads
// into our chains.
func (t xtable) snapshot() (snapshot, error) {
	s := snapshot{chains: map[string][]rule{}, pinned: map[string]string{}}
	for _, c := range t.chains {
		ours := !c.builtin && isOurs(c.name)
		if ours {
			if _, twice := s.chains[c.name]; twice {
				return snapshot{}, errMalformed
			}
			s.chains[c.name] = nil
		}
		for i, e := range c.rules {
			jump, err := t.jump(e)
			if err != nil {
				return snapshot{}, err
			}
			if !ours && !isOurs(jump) {
				continue
			}
			r, plain := e.rule(jump)
			switch {
			case !plain, jump != "" && !isOurs(jump):
				return snapshot{}, errNotPlain
			case ours:
				s.chains[c.name] = append(s.chains[c.name], r)
			case c.builtin && r.comment == hookComment:
				s.hooks = append(s.hooks, hook{c.name, i + 1, jump, r.String(), r})
			default:
				return snapshot{}, errNotPlain // pinned
			}
		}
	}
	return s, nil
}
