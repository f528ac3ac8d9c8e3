package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

// hinted is an error with what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// hintOf returns what to do about err.
func hintOf(err error) string {
	var missing *host.MissingError
	var h hinted
	switch {
	case errors.As(err, &h):
		return h.hint
	case errors.As(err, &missing):
		return missing.Hint
	}
	return "try again; if it stays, please report it with all that was printed"
}

// requirement is something that the demo needs of the machine and host.Check
// does not look for.
type requirement struct {
	command []string // succeeds where the machine has it
	what    string   // what is wrong otherwise
	hint    string
}

var requirements = []requirement{{
	command: []string{"unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "true"},
	what:    "root may not make namespaces here",
	hint:    "use a virtual machine, or a container with --privileged --cgroupns=private",
}, {
	command: []string{"iptables", "--version"},
	what:    "iptables is not installed",
	hint:    "apt-get install iptables",
}, {
	command: []string{"unshare", "--net", "iptables", "-w", "5", "-t", "nat", "-A", "OUTPUT",
		"-p", "tcp", "--dport", "1", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "DNAT", "--to-destination", ":2"},
	what: "this kernel has no netfilter NAT that iptables can use",
	hint: "on the host, try: modprobe -a nf_nat nft_chain_nat nft_compat xt_addrtype xt_nat xt_comment xt_conntrack ip_tables ip6_tables",
}}

// check returns why the demo cannot run on this machine, if it cannot, with
// what to do. It changes nothing: the rule that it tries is in a namespace of
// its own, which ends with it.
func check(ctx context.Context) error {
	if err := host.Check(""); err != nil {
		return err
	}
	for _, r := range requirements {
		if err := r.met(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r requirement) met(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, r.command[0], r.command[1:]...).CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", r.command[0], context.Cause(ctx))
	}
	said := strings.TrimSpace(string(out))
	if said == "" {
		said = err.Error()
	}
	return hinted{fmt.Errorf("%s (%s)", r.what, said), r.hint}
}
