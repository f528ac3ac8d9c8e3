package iptables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

var tableFiles = map[nat.Family]string{nat.IPv4: "testdata/table.v4", nat.IPv6: "testdata/table.v6"}

// rawTable returns a table as the kernel hands it out: what tells of it, and its
// entries, with counters of 0.
func rawTable(t testing.TB, f nat.Family) (info, entries []byte) {
	t.Helper()
	e, seen, err := openSeen(f)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	entries, err = e.entries(seen.size)
	if err != nil {
		t.Fatal(err)
	}
	form := formOf(f)
	for offset := 0; offset < len(entries); {
		entry, err := cutEntry(form, entries, offset)
		if err != nil {
			t.Fatal(err)
		}
		clear(entry.header[form.size-16:])
		offset = entry.next
	}
	info, err = binary.Append(nil, binary.NativeEndian, exported(seen))
	if err != nil {
		t.Fatal(err)
	}
	return info, entries
}

// getinfo is a fingerprint for package binary.
type getinfo struct {
	Name                 [32]byte
	ValidHooks           uint32
	HookEntry, Underflow [5]uint32
	Entries, Size        uint32
}

func exported(f fingerprint) getinfo {
	return getinfo{f.name, f.validHooks, f.hookEntry, f.underflow, f.entries, f.size}
}

// parseRaw reads what rawTable returns.
func parseRaw(f nat.Family, info, entries []byte) (snapshot, error) {
	var g getinfo
	if _, err := binary.Decode(info, binary.NativeEndian, &g); err != nil {
		return snapshot{}, err
	}
	table, err := parseTable(formOf(f), fingerprint{g.Name, g.ValidHooks, g.HookEntry, g.Underflow, g.Entries, g.Size}, entries)
	if err != nil {
		return snapshot{}, err
	}
	return table.snapshot()
}

const infoSize = 84

// TestTableFiles: what the fuzz tests begin with is what the kernel has.
func TestTableFiles(t *testing.T) {
	newNetns(t)
	small := web(v1, 8443)
	small.Scope = nat.Network
	small.Targets = append(small.Targets[:0], target("192.0.2.7", 443, 8443, nat.IPv4), target("2001:db8::7", 443, 8443, nat.IPv6))
	mustApply(t, newBackend(t, Legacy), small)
	for f, file := range tableFiles {
		ipt(t, Legacy, f, "-t nat -A POSTROUTING -o lo -j MASQUERADE")
		info, entries := rawTable(t, f)
		if *update {
			if err := os.WriteFile(file, append(info, entries...), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := parseRaw(f, info, entries)
		if err != nil {
			t.Fatal(err)
		}
		// Padding, and what follows a name, is whatever it is.
		got, err := parseRaw(f, text[:infoSize], text[infoSize:])
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(snapshot{}, hook{}), compareRules); d != "" {
			t.Error(d)
		}
		for size := range len(entries) {
			if _, err := parseRaw(f, info, entries[:size]); !errors.Is(err, errMalformed) {
				t.Fatalf("%v: cut off at %d: %v", f, size, err)
			}
		}
	}
}

// FuzzTable: whatever the kernel hands out, what is made of it is ours, in the
// form that we write, and no more than there is. To begin with, that is a table
// of the kernel's in which some bytes are others: each edit is the place of one,
// of two bytes, and what is there instead.
func FuzzTable(f *testing.F) {
	files := map[bool][]byte{}
	for family, file := range tableFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		files[family == nat.IPv6] = text
		f.Add(family == nat.IPv6, uint16(0), []byte{})
		f.Add(family == nat.IPv6, uint16(8), []byte{infoSize + 88, 0, 120, infoSize + 90, 0, 160})
	}
	f.Fuzz(func(t *testing.T, six bool, cut uint16, edits []byte) {
		family := nat.IPv4
		if six {
			family = nat.IPv6
		}
		table := bytes.Clone(files[six])
		for ; len(edits) >= 3; edits = edits[3:] {
			table[int(binary.LittleEndian.Uint16(edits))%len(table)] = edits[2]
		}
		info, entries := table[:infoSize], table[infoSize:]
		if cut > 0 {
			entries = entries[:len(entries)-int(cut)%len(entries)]
			binary.NativeEndian.PutUint32(info[infoSize-4:], uint32(len(entries)))
		}
		s, err := parseRaw(family, info, entries)
		if err != nil {
			if !s.empty() {
				t.Errorf("%+v with %v", s, err)
			}
			return
		}
		rules := len(s.hooks)
		for name, chain := range s.chains {
			if !isOurs(name) {
				t.Errorf("chain %q is not ours", name)
			}
			for _, r := range chain {
				if again := parseRule(r.String()); again != r {
					t.Errorf("%+v reads back as %+v", r, again)
				}
			}
			rules += len(chain)
		}
		for _, h := range s.hooks {
			if parseRule(h.spec) != h.rule || !isOurs(h.jump) || h.rule.jump != h.jump || h.rule.comment != hookComment {
				t.Errorf("hook %+v", h)
			}
		}
		if atLeast := formOf(family).size + xpartHeader; len(s.pinned) > 0 || rules > len(entries)/atLeast {
			t.Errorf("%d rules in %d bytes, pinned: %v", rules, len(entries), s.pinned)
		}
	})
}

// replaceTable is IPT_SO_SET_REPLACE: struct ipt_replace of
// linux/netfilter_ipv4/ip_tables.h is what GET_INFO returns up to the counters
// of the old table.
func replaceTable(t testing.TB, f nat.Family, info, entries []byte) error {
	t.Helper()
	const setReplace = 64
	e, err := openEye(f)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	old, err := e.look()
	if err != nil {
		t.Fatal(err)
	}
	var g getinfo
	if _, err := binary.Decode(info, binary.NativeEndian, &g); err != nil {
		t.Fatal(err)
	}
	counters := make([]byte, 16*old.entries)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&counters[0])
	b, err := binary.Append(nil, binary.NativeEndian, struct {
		Name                 [32]byte
		ValidHooks           uint32
		Entries, Size        uint32
		HookEntry, Underflow [5]uint32
		OldEntries           uint32
		Counters             uint64
	}{g.Name, g.ValidHooks, g.Entries, uint32(len(entries)), g.HookEntry, g.Underflow, old.entries, uint64(uintptr(unsafe.Pointer(&counters[0])))})
	if err != nil {
		t.Fatal(err)
	}
	level := unix.SOL_IP
	if f == nat.IPv6 {
		level = unix.SOL_IPV6
	}
	return unix.SetsockoptString(e.fd, level, setReplace, string(append(b, entries...)))
}

// TestTableOlderTarget: what another revision of DNAT says is left to iptables,
// which may know it or not.
func TestTableOlderTarget(t *testing.T) {
	newNetns(t)
	b := newBackend(t, Legacy)
	mustApply(t, b, goldenRules().Redirects...)
	for _, f := range families {
		info, entries := rawTable(t, f)
		found := 0
		for offset := 0; offset < len(entries); {
			e, err := cutEntry(formOf(f), entries, offset)
			if err != nil {
				t.Fatal(err)
			}
			offset = e.next
			if string(e.target.name) != "DNAT" {
				continue
			}
			if e.target.revision != 2 {
				t.Fatalf("%v: revision %d", f, e.target.revision)
			}
			// Revision 1 is the same without the last 8 bytes, its padding.
			target := entries[e.next-xpartHeader-len(e.target.data) : e.next]
			binary.NativeEndian.PutUint16(target, xpartHeader+40)
			target[xpartHeader-1] = 1
			found++
		}
		if err := replaceTable(t, f, info, entries); err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		if native, text := bothReads(t, f); native != errNotPlain || text != nil || found == 0 {
			t.Errorf("%v: %v, %v", f, native, text)
		}
	}
	mustApply(t, b, goldenRules().Redirects...)
	checkInstalled(t, b, goldenRules())
}

// TestTableAltered alters one byte after the other of a table, at random, and
// puts it into the kernel. Whatever that accepts, iptables' text says the same,
// or is the one to be asked.
func TestTableAltered(t *testing.T) {
	newNetns(t)
	const seed, rounds = 1, 800
	rng := rand.New(rand.NewPCG(seed, seed))
	b := newBackend(t, Legacy)
	mustApply(t, b, goldenRules().Redirects...)
	for _, f := range families {
		info, entries := rawTable(t, f)
		named := names(t, f, entries)
		var accepted, declined, said int
		for range rounds {
			at := rng.IntN(len(entries))
			if named[at] {
				continue // of a module that is to be loaded, or overlaid by the kernel
			}
			altered := bytes.Clone(entries)
			altered[at] = []byte{0, 0xff, altered[at] + 1, altered[at] - 1, altered[at] ^ 1<<rng.IntN(8), byte(rng.Uint32())}[rng.IntN(6)]
			if replaceTable(t, f, info, altered) != nil {
				continue
			}
			accepted++
			text, err := run(t.Context(), commandTimeout, "", Legacy.command(f)+"-save", "-t", "nat")
			var want snapshot
			if err == nil {
				want, err = parseSave(text)
			}
			if err != nil {
				said++
				continue
			}
			table, err := legacyNAT(f)
			var got snapshot
			if err == nil {
				got, err = table.snapshot()
			}
			if err != nil {
				declined++
				continue
			}
			if d := cmp.Diff(want, got, cmp.AllowUnexported(snapshot{}, hook{}), compareRules); d != "" {
				t.Errorf("%v: byte %d, %#x instead of %#x: %s", f, at, altered[at], entries[at], d)
			}
		}
		t.Logf("%v: of %d altered tables that the kernel took, %d were read without iptables, %d are an error of its", f, accepted, accepted-declined-said, said)
		if accepted-declined-said < 50 || declined < 50 {
			t.Error("too few to tell")
		}
		if err := replaceTable(t, f, info, entries); err != nil {
			t.Fatal(err)
		}
	}
}

// names tells which bytes of a table are the name or the size of a part.
func names(t testing.TB, f nat.Family, entries []byte) map[int]bool {
	t.Helper()
	named := map[int]bool{}
	for offset := 0; offset < len(entries); {
		e, err := cutEntry(formOf(f), entries, offset)
		if err != nil {
			t.Fatal(err)
		}
		for at := offset + formOf(f).size; at < e.next; {
			p, _, err := cutPart(entries[at:e.next])
			if err != nil {
				t.Fatal(err)
			}
			for i := range xpartHeader - 1 {
				named[at+i] = true
			}
			at += xpartHeader + len(p.data)
		}
		offset = e.next
	}
	return named
}

func TestXPart(t *testing.T) {
	part := func(size uint16, name string) []byte {
		b := append(binary.NativeEndian.AppendUint16(nil, size), name...)
		return append(b, make([]byte, 40-len(b))...)
	}
	tests := map[string]struct {
		b    []byte
		want string // "" if it is malformed
	}{
		"a name":         {part(40, "tcp\x00junk"), "tcp"},
		"short":          {part(40, "tcp")[:31], ""},
		"longer":         {part(48, "tcp"), ""},
		"of no size":     {part(0, "tcp"), ""},
		"odd size":       {part(37, "tcp"), ""},
		"name of no end": {part(40, strings.Repeat("n", 29)), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, rest, err := cutPart(tt.b)
			if string(p.name) != tt.want || (err == nil) != (tt.want != "") || len(rest) != 0 {
				t.Errorf("got %+v, %q, %v", p, rest, err)
			}
		})
	}
}
