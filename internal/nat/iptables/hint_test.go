package iptables

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// hintOf looks for a hint as those who print errors do.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if !errors.As(err, &h) {
		return ""
	}
	return h.Hint()
}

func TestHint(t *testing.T) {
	command := func(name, stderr string) error {
		return &CommandError{Argv: []string{"/usr/sbin/" + name}, Stderr: stderr, Err: errors.New("exit status 1")}
	}
	tests := map[string]struct {
		err  error
		want string // part of the hint; "" if there is none
	}{
		"no command": {fmt.Errorf("ip6tables: %w", errNoCommand), "install the package iptables"},
		"busy": {command("iptables-legacy-restore",
			"Another app is currently holding the xtables lock. Perhaps you want to use the -w option?"), `"fuser -v ` + LockPath() + `"`},
		"busy, by whom": {&CommandError{Argv: []string{"iptables"}, Stderr: "holding the xtables lock",
			Err: errors.New("exit status 4"), Holder: "process 7 (ferm)"}, "process 7 (ferm) holds the lock"},
		"legacy without NAT": {command("iptables-legacy-restore",
			"iptables-restore: unable to initialize table 'nat'"), `"modprobe -a iptable_nat"`},
		"legacy without IPv6 NAT": {command("ip6tables-legacy-save",
			"Cannot initialize: Table does not exist (do you need to insmod?)"), `"modprobe -a ip6table_nat"`},
		"nft without nf_tables": {command("iptables-restore",
			"iptables-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: Invalid argument"), `"modprobe -a nf_tables nft_chain_nat nft_compat"`},
		"a match is missing": {command("iptables-legacy-restore",
			"Extension addrtype revision 0 not supported, missing kernel module?"), `"modprobe -a iptable_nat xt_tcpudp xt_addrtype`},
		"a table of nft":      {errIncompatible, "another name"},
		"not root":            {command("iptables-legacy-save", "Cannot initialize: Permission denied (you must be root)"), ""},
		"nothing to be done":  {command("iptables-legacy-restore", "line 2 failed"), ""},
		"no error of command": {errTruncated, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := hintOf(fmt.Errorf("apply: %w", errors.Join(errors.New("another"), tt.err)))
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q in it", got, tt.want)
			}
		})
	}
}

// TestHintOfNew: a host without iptables.
func TestHintOfNew(t *testing.T) {
	fakeCommands(t, nil)
	_, err := New(t.Context(), Options{})
	if got := hintOf(err); got != "install the package iptables" {
		t.Errorf("got %q of %v", got, err)
	}
	// Half a package.
	fakeCommands(t, map[string]string{"iptables": `echo "iptables v1.8.9 (nf_tables)"`})
	if _, err := findTool(t.Context(), nat.IPv4, Auto, 5); hintOf(err) != "install the package iptables" {
		t.Errorf("got %q of %v", hintOf(err), err)
	}
}

const someLocks = `1: POSIX  ADVISORY  WRITE 10 00:19:77 0 EOF
2: FLOCK  ADVISORY  WRITE 11 00:1a:77 0 EOF
3: FLOCK  ADVISORY  WRITE 12 00:19:77 0 EOF
3: -> FLOCK  ADVISORY  WRITE 13 00:19:77 0 EOF
4: FLOCK  ADVISORY  WRITE -1 00:19:78 0 EOF
4: -> FLOCK  ADVISORY  WRITE 14 00:19:78 0 EOF
`

func TestFlockHolder(t *testing.T) {
	for inode, want := range map[uint64]int{
		77: 12,
		78: 0, // cannot be seen from here
		79: 0,
	} {
		if got := flockHolder(someLocks, 0, 0x19, inode); got != want {
			t.Errorf("inode %d: got %d, want %d", inode, got, want)
		}
	}
}

// TestLockHolder reads the kernel's own list.
func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	t.Setenv("XTABLES_LOCKFILE", path)
	if got := lockHolder(); got != "" {
		t.Errorf("no file: got %q", got)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := lockHolder(); got != "" {
		t.Errorf("not locked: got %q", got)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if got, want := lockHolder(), fmt.Sprintf("process %d (", os.Getpid()); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzFlockHolder(f *testing.F) {
	f.Add(someLocks)
	f.Fuzz(func(t *testing.T, locks string) {
		if got := flockHolder(locks, 0, 0x19, 77); got < 0 || got > 0 && !strings.Contains(locks, "00:19:77") {
			t.Errorf("got %d", got)
		}
	})
}
