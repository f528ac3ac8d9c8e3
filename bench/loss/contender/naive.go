package contender

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Naive is the scheme of the original library: the new version inserts its own
// redirect before the old one's, deletes that by its number in the chain, and
// sends the old process a SIGTERM, all at once. Its comments are
// "SWITCHEROO:ns=NAME:port=N:pid=N".
type Naive struct{}

func (Naive) Name() string { return "naive" }

func (Naive) About() string {
	return "insert a REDIRECT to the new one, delete the old one's by number, SIGTERM to the old one at once"
}

func (Naive) Ours() bool { return false }

func (Naive) Supports(k server.Kind) error {
	return supports(k, server.Number, "a numbered port")
}

func (Naive) Prepare(services []Service) (Preparation, error) {
	return prepare(services, func(s Service) map[string]string {
		return instances(s, server.Listen{How: server.Number, Port: "${PORT}"})
	}), nil
}

func (c Naive) Start(ctx context.Context, a *arena.Arena, s Service, version int) error {
	_, err := c.redirect(ctx, a, s, version)
	return err
}

func (c Naive) Switch(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error) {
	t := Times{Began: time.Now()}
	var err error
	if t.Moved, err = c.redirect(ctx, a, s, version); err != nil {
		return t, err
	}
	return t, stopAtOnce(ctx, a, s, version-1)
}

func (Naive) Settle(ctx context.Context, a *arena.Arena, s Service) error {
	return settleInstances(ctx, a, s)
}

// redirect starts a version and makes its rules the only ones of the service.
func (Naive) redirect(ctx context.Context, a *arena.Arena, s Service, version int) (moved time.Time, err error) {
	port, err := startInstance(ctx, a, s, version)
	if err != nil {
		return moved, err
	}
	pid, err := a.Host.Property(ctx, instanceName(s, version), "MainPID")
	if err != nil {
		return moved, err
	}
	ours := fmt.Sprintf("SWITCHEROO:ns=%s:", s.Name)
	comment := fmt.Sprintf("%sport=%d:pid=%s", ours, port, pid)
	for _, c := range naiveChains {
		match := append([]string{"-t", "nat", "-I"}, strings.Fields(c.match)...)
		_, err := a.Host.Run(ctx, append(append([]string{c.iptables, "-w", "5"}, match...),
			"-p", "tcp", "--dport", fmt.Sprint(s.Port), "-m", "comment", "--comment", comment,
			"-j", "REDIRECT", "--to-ports", fmt.Sprint(port))...)
		if err != nil {
			return moved, err
		}
	}
	moved = time.Now()
	for _, c := range naiveChains {
		chain, _, _ := strings.Cut(c.match, " ")
		list, err := a.Host.Run(ctx, c.iptables, "-w", "5", "-t", "nat", "-n", "-L", chain, "--line-numbers")
		if err != nil {
			return moved, err
		}
		for _, n := range ruleNumbers(list, ours, comment) {
			if _, err := a.Host.Run(ctx, c.iptables, "-w", "5", "-t", "nat", "-D", chain, n); err != nil {
				return moved, fmt.Errorf("delete by number: %w", err)
			}
		}
	}
	return moved, nil
}

// naiveChains are where redirects are needed: for other hosts and for this one.
var naiveChains = []struct{ iptables, match string }{
	{"iptables", "PREROUTING"}, {"iptables", "OUTPUT -o lo"},
	{"ip6tables", "PREROUTING"}, {"ip6tables", "OUTPUT -o lo"},
}

// ruleNumbers returns the numbers of the service's rules but for the one with
// the comment keep, the last one first, so that the others stay right.
func ruleNumbers(list, ours, keep string) []string {
	var numbers []string
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) > 0 && strings.Contains(line, "/* "+ours) && !strings.Contains(line, "/* "+keep+" ") {
			numbers = append([]string{f[0]}, numbers...)
		}
	}
	return numbers
}
