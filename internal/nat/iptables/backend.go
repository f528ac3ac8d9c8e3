package iptables

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Options are how New shall set up a Backend.
type Options struct {
	Log     *slog.Logger // nil: say nothing
	Variant Variant
	// WaitSec is how many seconds a command waits for the xtables lock; 0
	// stands for 5. Only legacy has that lock.
	WaitSec int
	// Commits returns how many transactions this process has committed to
	// nftables by other means than this Backend, none of them while a method of
	// this one runs; nil: none.
	Commits func() uint32
}

const defaultWait = 5

// Backend is a nat.Backend. Its methods run their commands in the network
// namespace of the calling thread.
type Backend struct {
	log     *slog.Logger
	variant Variant
	wait    int
	written uint32        // commits to nftables by this Backend
	beside  func() uint32 // and by other means; nil: none
	tools   []*tool       // IPv4, then IPv6 if this host has it; mu guards the length
	noIPv6  error         // why it has not

	accounted *account // by Touched; nil if that is not known
	// others are the other variant's tools, as far as this host has them.
	others []*tool
	// stale are the other variant's tools where that holds rules of ours, from
	// before the host changed variants. They work until the next Apply.
	stale []*tool

	mu   sync.Mutex
	last map[nat.Family]snapshot    // as read back, or proven, after the last Apply
	seen map[nat.Family]fingerprint // legacy: taken just before last was read
}

var _ nat.Backend = (*Backend)(nil)

// New finds the commands of the variant and looks once for rules of ours in the
// other one. A host without IPv6 is served over IPv4 only, and the log says so.
func New(ctx context.Context, opts Options) (*Backend, error) {
	b := &Backend{
		log:    opts.Log,
		wait:   opts.WaitSec,
		beside: opts.Commits,
		last:   map[nat.Family]snapshot{},
		seen:   map[nat.Family]fingerprint{},
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.wait == 0 {
		b.wait = defaultWait
	}
	if b.wait < 0 {
		return nil, fmt.Errorf("iptables: wait of %d s", b.wait)
	}
	t4, err := findTool(ctx, nat.IPv4, opts.Variant, b.wait)
	if err != nil {
		return nil, fmt.Errorf("iptables: %w", err)
	}
	b.variant = t4.variant
	b.tools = []*tool{t4}
	if t6, err := findIPv6(ctx, b.variant, b.wait); err != nil {
		b.withoutIPv6(err)
	} else {
		b.tools = append(b.tools, t6)
	}
	for _, t := range b.tools {
		t.commits = b.commits
	}
	b.others = b.findOthers(ctx)
	b.stale = b.findStale(ctx)
	b.Touched(ctx)
	return b, nil
}

// commits counts what this process has committed to nftables.
func (b *Backend) commits() uint32 {
	n := b.written
	if b.beside != nil {
		n += b.beside()
	}
	return n
}

// Name returns "iptables-nft" or "iptables-legacy".
func (b *Backend) Name() string {
	return "iptables-" + b.variant.String()
}

// findIPv6 uses the variant of IPv4: one host, one variant.
func findIPv6(ctx context.Context, variant Variant, wait int) (*tool, error) {
	if _, err := os.Stat("/proc/thread-self/net/if_inet6"); err != nil {
		return nil, errors.New("the kernel has it switched off")
	}
	return findTool(ctx, nat.IPv6, variant, wait)
}

func (b *Backend) findOthers(ctx context.Context) []*tool {
	var tools []*tool
	for _, family := range []nat.Family{nat.IPv4, nat.IPv6} {
		t, err := findTool(ctx, family, b.variant.other(), b.wait)
		if err == nil {
			tools = append(tools, t)
		} else if !errors.Is(err, errNoCommand) {
			b.log.Warn("cannot use the other iptables", "variant", b.variant.other().String(), "err", err)
		}
	}
	return tools
}

// findStale returns the tools of the other variant that show rules of ours.
func (b *Backend) findStale(ctx context.Context) []*tool {
	var stale []*tool
	for _, t := range b.others {
		have, err := t.read(ctx)
		switch {
		case isUnavailable(err):
		case err != nil:
			b.log.Warn("cannot look for older rules of ours", "variant", t.variant.String(), "err", err)
		case !have.empty():
			stale = append(stale, t)
		}
	}
	return stale
}
