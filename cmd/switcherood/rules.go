package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/hold"
	"github.com/switcheroo/switcheroo/internal/lock"
	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/nat/companion"
	"github.com/switcheroo/switcheroo/internal/nat/iptables"
)

// rules are the two halves of ours in the kernel as one: the backend's
// redirects, and the table that stands beside them whatever the backend.
type rules struct {
	backend *iptables.Backend
	table   *companion.Table
	gate    gate
	led     bool        // something, since this process began
	made    int         // how many times the table's timeouts were, when it was looked last
	untimed atomic.Bool // see timed
	lock    string      // path
	waiting atomic.Bool // for the lock
	log     *slog.Logger

	looked time.Time // at the host's addresses; the controller's, as noIPv6 is
	noIPv6 bool      // none of them is IPv6
}

// openRules finds out what this host has, and changes nothing yet.
func openRules(ctx context.Context, backend config.Backend, lockPath string, log *slog.Logger) (*rules, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	t, err := companion.Open(ctx, companion.Options{Log: log})
	if err != nil {
		return nil, err
	}
	b, err := iptables.New(ctx, iptables.Options{Log: log, Variant: variant(backend), Commits: t.Commits})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return &rules{backend: b, table: t, gate: gate{t, hold.New(log)}, lock: lockPath, log: log}, nil
}

func variant(b config.Backend) iptables.Variant {
	switch b {
	case config.BackendIptablesNFT:
		return iptables.NFT
	case config.BackendIptablesLegacy:
		return iptables.Legacy
	}
	return iptables.Auto
}

func (r *rules) name() string { return r.backend.Name() }

func (r *rules) close() {
	if r.backend != nil {
		r.backend.Close()
	}
	if err := r.table.Close(); err != nil {
		r.log.Warn("table not closed", "error", err)
	}
}

func (r *rules) Lock(ctx context.Context) (func(), error) {
	r.waiting.Store(true)
	defer r.waiting.Store(false)
	l, err := lock.Acquire(ctx, r.lock)
	if err != nil {
		return nil, err
	}
	return func() {
		if err := l.Release(); err != nil {
			r.log.Warn("rules lock not released", "error", err)
		}
	}, nil
}

func (r *rules) Holder() string {
	path, who := r.lock, ""
	if r.waiting.Load() {
		who = lock.Holder(r.lock)
	} else {
		path, who = iptables.LockPath(), r.backend.LockHolder()
	}
	if who == "" {
		return ""
	}
	return fmt.Sprintf("%s holds %s", who, path)
}

// Anticipate has the commands started that the next Apply writes redirects with. Our
// table takes none.
func (r *rules) Anticipate() { r.backend.Anticipate(r.Families()) }

// Apply writes the table first: the first connection that a redirect takes must
// already have its timeouts. Connections that waited are led by the redirects.
func (r *rules) Apply(ctx context.Context, want nat.Rules) (nat.Change, error) {
	holds, err := r.gate.holds(want.Holds)
	if err != nil {
		return nat.Change{}, err
	}
	beside, err := r.table.Apply(ctx, want.Private, want.Guarded, holds...)
	if made := r.table.Made(); beside.Repaired || made != r.made {
		r.made = made
		if !r.untimed.Load() && r.leads(ctx, want) {
			r.untimed.Store(true)
			r.log.Info("connections that are open may have the host's conntrack timeouts, not ours: drains look at conntrack")
		}
	}
	if err != nil {
		return nat.Change{}, fmt.Errorf("table %s: %w", companion.Name, err)
	}
	r.led = r.led || len(want.Redirects) > 0
	redirects, err := r.backend.Apply(ctx, want)
	if err == nil {
		r.gate.holder.Settle(want)
	}
	return nat.Change{
		Changed:  beside.Changed || redirects.Changed,
		Repaired: beside.Repaired || redirects.Repaired,
	}, err
}

// leads reports whether there may be redirected connections, now that want is to
// be applied.
func (r *rules) leads(ctx context.Context, want nat.Rules) bool {
	if r.led || len(want.Private) > 0 {
		return true
	}
	installed, err := r.backend.Read(ctx)
	return err != nil || len(installed) > 0
}

// timed reports whether all redirected connections have the timeouts of our table,
// as far as this process can know: what a process before it has seen is forgotten.
// Those that outlive the table, when another program flushes it, have the host's.
func (r *rules) timed() bool { return !r.untimed.Load() }

func (r *rules) Read(ctx context.Context) ([]nat.Installed, error) { return r.backend.Read(ctx) }

func (r *rules) Touched(ctx context.Context) bool { return r.backend.Touched(ctx) }

func (r *rules) Claimed(ctx context.Context, rd nat.Redirect) (string, error) {
	claims, err := r.claims(ctx, rd.Targets, rd.Scope)
	if err != nil || len(claims) == 0 {
		return "", err
	}
	c := claims[0]
	return fmt.Sprintf("%s is served by %q (process %d)", c.Endpoint, c.Owner, c.PID), nil
}

func (r *rules) Foreign(ctx context.Context, redirects []nat.Redirect) ([]nat.Finding, error) {
	return r.backend.Foreign(ctx, redirects)
}

// watch calls changed when others have changed the rules, and committed when
// somebody has, until ctx ends.
func (r *rules) watch(ctx context.Context, changed, committed func()) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.table.Watch(ctx, committed) })
	g.Go(func() error { return r.backend.Watch(ctx, changed) })
	return g.Wait()
}

// familiesAge is how long a look at the host's addresses is good for: the
// controller asks several times in a switch.
const familiesAge = time.Second

// Families are those that the backend can write, less IPv6 on a host that has
// no IPv6 address, not even ::1: its sockets are IPv4 only, too.
func (r *rules) Families() nat.Family {
	families := r.backend.Families()
	if now := time.Now(); now.Sub(r.looked) > familiesAge {
		addrs, err := os.ReadFile("/proc/thread-self/net/if_inet6")
		r.looked, r.noIPv6 = now, err == nil && len(addrs) == 0
	}
	if r.noIPv6 {
		families &^= nat.IPv6
	}
	return families
}

// remove takes both halves out of the kernel, each whatever becomes of the other.
func (r *rules) remove(ctx context.Context) error {
	return errors.Join(r.table.Remove(ctx), r.backend.Remove(ctx))
}

// removeTable takes the table out of the kernel, where there is no backend.
func removeTable(ctx context.Context, lockPath string, log *slog.Logger) error {
	t, err := companion.Open(ctx, companion.Options{Log: log})
	if err != nil {
		return err
	}
	r := &rules{table: t, lock: lockPath, log: log}
	defer r.close()
	unlock, err := r.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return t.Remove(ctx)
}
