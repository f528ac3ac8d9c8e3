package iptables

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// hinted is an error that the operator can do something about. Like
// CommandError it is found by
//
//	var h interface{ Hint() string }
//	errors.As(err, &h)
type hinted struct{ text, hint string }

func (e *hinted) Error() string { return e.text }
func (e *hinted) Hint() string  { return e.hint }

var (
	// errNoCommand says that the host has no such iptables.
	errNoCommand error = &hinted{"no such command in PATH", "install the package iptables"}
	// errIncompatible: table nat was made by nft with what iptables lacks, so
	// that iptables-nft-save shows nothing at all of it.
	errIncompatible error = &hinted{`the table holds rules that only nft can show ("nft list table ip nat")`,
		"move what nft put there into a table of another name"}
	errTruncated = errors.New("no COMMIT at the end")
)

// Hint says what the operator can do about the error; "" if that is unknown.
func (e *CommandError) Hint() string {
	switch {
	case e.busy() && e.Holder != "":
		return fmt.Sprintf("%s holds the lock; if it hangs, end it", e.Holder)
	case e.busy():
		return fmt.Sprintf(`see who holds the lock with "fuser -v %s"`, LockPath())
	case e.unavailable():
		return fmt.Sprintf("load NAT into the kernel with %q, or set Backend= to the other iptables", "modprobe "+e.modules())
	case strings.Contains(e.Stderr, "missing kernel module"):
		return fmt.Sprintf("load what the rules need into the kernel with %q", "modprobe "+e.modules()+" "+matchModules)
	}
	return ""
}

// matchModules are of what is in our rules, in both variants.
const matchModules = "xt_tcpudp xt_addrtype xt_comment xt_nat"

// modules are those of table nat.
func (e *CommandError) modules() string {
	switch {
	case strings.Contains(e.Stderr, "nf_tables") || strings.Contains(e.Stderr, "nft"):
		return "-a nf_tables nft_chain_nat nft_compat"
	case strings.HasPrefix(filepath.Base(e.Argv[0]), "ip6"):
		return "-a ip6table_nat"
	}
	return "-a iptable_nat"
}
