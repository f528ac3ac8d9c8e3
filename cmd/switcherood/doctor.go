package main

import (
	"context"

	"fmt"
	"maps"
	"net"
	"net/netip"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
	"github.com/switcheroo/switcheroo/internal/doctor"
	"github.com/switcheroo/switcheroo/internal/drain"
	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/nat/iptables"
	"github.com/switcheroo/switcheroo/internal/nat/single"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
	sysunit "github.com/switcheroo/switcheroo/internal/unit"
)

const (
	// examineTimeout bounds all that one diagnosis reads.
	examineTimeout = 9 * time.Second
	// lasts is for how long a diagnosis is good enough for those who may only
	// look: it costs a second of work where there are many rules.
	lasts = 2 * time.Second
)

// surgery reads the facts for the doctor, for one caller at a time.
type surgery struct {
	world  *controller.Controller
	client *sysunit.Client
	rules  *rules

	mu   sync.Mutex
	last *api.Diagnosis
	at   time.Time
}

// Diagnose examines the host. What the daemon cannot see, it says.
func (s *surgery) Diagnose(ctx context.Context, anew bool) (*api.Diagnosis, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && !anew && time.Since(s.at) < lasts {
		return s.last, nil
	}
	// Not the caller's: others get it, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), examineTimeout)
	defer cancel()
	f, err := s.facts(ctx)
	if err != nil {
		return nil, err
	}
	s.last, s.at = doctor.Examine(f), time.Now()
	return s.last, nil
}

// readings collects facts that several goroutines read.
type readings struct {
	mu sync.Mutex
	doctor.Facts
}

// take runs f with the facts, unless err is why they are not known.
func (r *readings) take(err error, f func(*doctor.Facts), checks ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		f(&r.Facts)
		return
	}
	for _, c := range checks {
		r.Unknown[c] = err.Error()
	}
}

// facts reads all of them. Only what the daemon itself knows is needed; what else
// cannot be read is unknown.
func (s *surgery) facts(ctx context.Context) (doctor.Facts, error) {
	v, err := s.world.View(ctx)
	if err != nil {
		return doctor.Facts{}, err
	}
	want, err := s.world.Rules(ctx)
	if err != nil {
		return doctor.Facts{}, err
	}
	r := &readings{}
	r.Unknown = map[string]string{"ephemeral-range": "the daemon's sandbox hides the kernel's settings; \"switcheroo doctor\" looks itself"}
	r.Problems = slices.Clone(v.Problems)
	if !v.Ready {
		r.Problems = append(r.Problems, "switcherood is starting: it does not know yet what runs")
	}
	for unit, messages := range v.Mistakes {
		for _, m := range messages {
			r.Mistakes = append(r.Mistakes, doctor.Mistake{Unit: unit, Message: m})
		}
	}
	slices.SortFunc(r.Mistakes, func(a, b doctor.Mistake) int { return strings.Compare(a.Unit+a.Message, b.Unit+b.Message) })
	if why := s.rules.backend.WithoutIPv6(); why != nil {
		r.NoIPv6 = why.Error()
	}
	r.IPv6, err = globalIPv6()
	r.take(err, func(*doctor.Facts) {}, "ipv6-nat")

	var g errgroup.Group
	g.Go(func() error { s.readConntrack(r); return nil })
	g.Go(func() error { s.readLocks(ctx, r); return nil })
	g.Go(func() error { s.readUnits(ctx, v, r); return nil })
	g.Go(func() error { s.readRules(ctx, v, want, r); return nil })
	g.Go(func() error { s.readListeners(ctx, v, want, r); return nil })
	return r.Facts, g.Wait()
}

func (s *surgery) readConntrack(r *readings) {
	entries, most, err := drain.Use()
	r.take(err, func(f *doctor.Facts) { f.Conntrack = doctor.Use{Entries: entries, Most: most} }, "conntrack-table")
}

func (s *surgery) readLocks(ctx context.Context, r *readings) {
	held := doctor.Held(ctx, s.rules.lock, iptables.LockPath())
	r.take(nil, func(f *doctor.Facts) { f.Locks = held })
}

// readUnits asks systemd how each instance is started and stopped.
func (s *surgery) readUnits(ctx context.Context, v *controller.View, r *readings) {
	killed := map[string]bool{}
	for _, n := range s.world.Feed.All() {
		switch n.Kind {
		case controller.Trouble, controller.Ended, controller.Stopped:
			killed[n.Unit] = n.Reason == "timeout" || killed[n.Unit] && n.Kind == controller.Stopped
		}
	}
	for i := range v.Services {
		for j := range v.Services[i].Instances {
			in := &v.Services[i].Instances[j]
			l, found, err := s.client.Lifecycle(ctx, in.Unit)
			if err == nil && !found {
				continue
			}
			r.take(err, func(f *doctor.Facts) {
				f.Lifecycles = append(f.Lifecycles, lifecycleOf(in, l, killed[in.Unit]))
			}, "daemon-reload", "unit-order", "stop-timeout")
			delete(killed, in.Unit)
		}
	}
	r.take(nil, func(f *doctor.Facts) {
		for _, unit := range slices.Sorted(maps.Keys(killed)) {
			if killed[unit] { // and systemd has unloaded it
				f.Lifecycles = append(f.Lifecycles, doctor.Lifecycle{Unit: unit, Ordered: true, Killed: true})
			}
		}
	})
}

func lifecycleOf(in *controller.InstanceView, l sysunit.Lifecycle, killed bool) doctor.Lifecycle {
	out := doctor.Lifecycle{Unit: in.Unit, StopTimeout: l.StopTimeout, Stale: l.NeedReload,
		Ordered: slices.Contains(l.After, "switcherood.service"), Killed: killed || l.Result == "timeout" && in.Status.Active == "failed"}
	if in.Settings != nil {
		out.Drain = in.Settings.Drain
	}
	for _, argv := range l.ExecStop {
		out.Drains = out.Drains || slices.Contains(argv, "drain") && path.Base(argv[0]) == "switcheroo"
	}
	return out
}

// readRules reads the rules of others.
func (s *surgery) readRules(ctx context.Context, v *controller.View, want nat.Rules, r *readings) {
	foreign, err := s.rules.backend.Foreign(ctx, want.Redirects)
	r.take(err, func(f *doctor.Facts) { f.Foreign = foreign }, "foreign-nat", "firewall")
	tables, detours, err := s.rules.backend.Survey(ctx)
	r.take(err, func(f *doctor.Facts) {
		for _, t := range tables {
			f.Tables = append(f.Tables, doctor.Table{Variant: t.Variant.String(), Family: t.Family.String(), Name: t.Name})
		}
		of := unitsByPort(v)
		for _, d := range detours {
			if unit := of[d.Port]; unit != "" {
				f.Detours = append(f.Detours, doctor.Detour{Rule: d.Rule, Port: d.Port, Unit: unit})
			}
		}
	}, "mixed-tables")
	var targets []nat.Target
	for i := range v.Services {
		targets = append(targets, endpointsOf(&v.Services[i])...)
	}
	claims, err := s.rules.claims(ctx, targets, nat.Everyone)
	r.take(err, func(f *doctor.Facts) {
		for i := range v.Services {
			svc := &v.Services[i]
			for _, c := range claims {
				if c.Overlaps(endpointsOf(svc), nat.Scope(svc.Scope)) {
					f.Claims = append(f.Claims, doctor.Claim{Service: svc.Name, Endpoint: c.Endpoint.String(), Owner: c.Owner, PID: c.PID})
				}
			}
		}
	}, "library-endpoint")
}

// readListeners finds out which sockets instances listen on, and whether the
// kernel guards them.
func (s *surgery) readListeners(ctx context.Context, v *controller.View, want nat.Rules, r *readings) {
	guarded, err := s.rules.table.Guarded(ctx)
	var all []sockdiag.Listener
	if err == nil {
		all, err = sockdiag.Listeners(ctx)
	}
	public := map[uint16]bool{}
	for _, rd := range want.Redirects {
		for _, t := range rd.Targets {
			public[t.Endpoint.Port] = true
		}
	}
	r.take(err, func(f *doctor.Facts) {
		of := unitsByPort(v)
		for _, l := range all {
			port := l.Addr.Port()
			in := v.Instance(of[port])
			if in == nil {
				continue
			}
			f.Listeners = append(f.Listeners, doctor.Listener{Unit: in.Unit, Addr: l.Addr, Public: public[port],
				Guard: in.Settings == nil || in.Settings.Guard, Guarded: slices.Contains(guarded, port)})
		}
	}, "private-port")
	for i := range v.Services {
		for j := range v.Services[i].Instances {
			// One that is refused has no port of which anything is known.
			if in := &v.Services[i].Instances[j]; in.Role == controller.RoleRefused {
				own, err := sysunit.Listeners(ctx, in.Status.CGroup)
				r.take(err, func(f *doctor.Facts) {
					for _, l := range own {
						f.Listeners = append(f.Listeners, doctor.Listener{Unit: in.Unit, Addr: l.Addr, Public: public[l.Addr.Port()],
							Guard: in.Settings == nil || in.Settings.Guard, Guarded: slices.Contains(guarded, l.Addr.Port())})
					}
				}, "private-port")
			}
		}
	}
}

// unitsByPort returns whose each private port is.
func unitsByPort(v *controller.View) map[uint16]string {
	of := map[uint16]string{}
	for i := range v.Services {
		for j := range v.Services[i].Instances {
			in := &v.Services[i].Instances[j]
			for _, p := range in.Ports {
				of[p] = in.Unit
			}
		}
	}
	return of
}

// endpointsOf returns what a service asks for.
func endpointsOf(svc *controller.ServiceView) []nat.Target {
	var all []nat.Target
	for _, l := range svc.Listen {
		all = append(all, nat.Target{Endpoint: nat.Endpoint{Addr: l.Addr, Port: l.Port}, Families: nat.DualStack})
	}
	return all
}

// globalIPv6 returns the addresses that others can dial.
func globalIPv6() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this host: %w", err)
	}
	var all []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok && !addr.Unmap().Is4() && addr.IsGlobalUnicast() {
				all = append(all, addr)
			}
		}
	}
	return all, nil
}

// claims returns what processes of the library hold of targets.
func (r *rules) claims(ctx context.Context, targets []nat.Target, scope nat.Scope) ([]single.Claim, error) {
	commands, err := r.backend.Library(ctx)
	if err != nil || len(commands) == 0 {
		return nil, err
	}
	var tools []single.Tool
	for _, c := range commands {
		tools = append(tools, single.Tool{Family: c.Family, Command: func(args ...string) *exec.Cmd { return exec.Command(c.Path, args...) }})
	}
	all, err := single.Claims(ctx, tools, targets, scope)
	var once []single.Claim
	for _, c := range all {
		if !slices.ContainsFunc(once, func(o single.Claim) bool { return o.Owner == c.Owner && o.PID == c.PID && o.Endpoint == c.Endpoint }) {
			once = append(once, c)
		}
	}
	return once, err
}
