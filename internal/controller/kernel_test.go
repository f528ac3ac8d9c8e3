package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// kernel holds rules as the real one does: in two tables, IPv4 and IPv6, that
// are written one after the other.
type kernel struct {
	families    [2]map[string]installed // by service
	unhurried   bool                    // what was applied last
	touched     bool                    // by others, since that was last asked
	guarded     []uint16
	lockedBy    *daemon
	claimedBy   string // who serves without the daemon
	applies     int
	anticipated int                 // how often an Apply was
	unknown     bool                // what was applied last was not in the state that had been saved
	halves      int                 // services that have lost one family and kept the other
	lopsided    int                 // services that were left with one family
	flushed     bool                // another program has flushed a family
	path        map[string][]string // activations that a service has pointed at in IPv4, in order
	between     func() error        // is called between the two commits
	holds       []nat.Hold
}

type installed struct {
	nat.Installed
	service string
}

// unsaved reports whether there are rules of a service that state, as it was
// saved, does not know yet.
func (k *kernel) unsaved(state []byte) bool {
	for _, services := range k.families {
		for name := range services {
			if !bytes.Contains(state, []byte(`"`+name+`"`)) {
				return true
			}
		}
	}
	return false
}

// pointed returns the service whose rules point at an activation, or "".
func (k *kernel) pointed(activation string) string {
	for _, services := range k.families {
		for name, in := range services {
			if in.Activation == activation {
				return name
			}
		}
	}
	return ""
}

// serving returns the unit that the rules of service point at in both
// families, "" if there are none, "?" if they disagree.
func (h *host) serving(service string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	four, six := h.kernel.families[0][service], h.kernel.families[1][service]
	if four.Activation != six.Activation && four.Activation != "" && six.Activation != "" {
		return "?"
	}
	id := max(four.Activation, six.Activation)
	for name, u := range h.units {
		if u.Invocation == id && id != "" {
			return name
		}
	}
	return id
}

func (d *daemon) Lock(ctx context.Context) (func(), error) {
	for {
		if err := d.enter(ctx, "Lock", 0); err != nil {
			d.mu.Unlock()
			return nil, err
		}
		if d.kernel.lockedBy == nil {
			d.kernel.lockedBy = d
			d.mu.Unlock()
			return func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				if d.kernel.lockedBy == d {
					d.kernel.lockedBy = nil
				}
			}, nil
		}
		d.mu.Unlock()
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// Holder names the test, whenever it stands in the way.
func (d *daemon) Holder() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if by := d.kernel.lockedBy; by != nil && by != d {
		return "process 4711 (test)"
	}
	return ""
}

func (d *daemon) Anticipate() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kernel.anticipated++
}

func (d *daemon) Claimed(ctx context.Context, rd nat.Redirect) (string, error) {
	err := d.enter(ctx, "Claimed", 0)
	defer d.mu.Unlock()
	return d.kernel.claimedBy, err
}

func (d *daemon) Apply(ctx context.Context, want nat.Rules) (nat.Change, error) {
	err := d.enter(ctx, "Apply", 2*time.Millisecond)
	defer d.mu.Unlock()
	if err != nil {
		return nat.Change{}, err
	}
	if d.kernel.lockedBy != d {
		d.t.Error("Apply without the lock")
	}
	if err := want.Validate(); err != nil {
		d.t.Errorf("Apply: %v", err)
		return nat.Change{}, err
	}
	k := &d.kernel
	k.applies++
	k.unhurried = want.Unhurried
	var change nat.Change
	for i, family := range []nat.Family{nat.IPv4, nat.IPv6} {
		if i == 1 && k.between != nil {
			if err := k.between(); err != nil {
				return nat.Change{}, err
			}
		}
		next := map[string]installed{}
		for _, r := range want.Redirects {
			in := installed{nat.Installed{Key: nat.Key(r.Service), Activation: r.Activation, Scope: r.Scope}, r.Service}
			for _, t := range r.Targets {
				if t.Families &= family; t.Serves() != 0 {
					in.Targets = append(in.Targets, t)
				}
			}
			if in.Targets != nil {
				next[r.Service] = in
			}
		}
		changed := !maps.EqualFunc(k.families[i], next, func(a, b installed) bool {
			return a.Activation == b.Activation && a.Scope == b.Scope && slices.Equal(a.Targets, b.Targets)
		})
		change.Changed = change.Changed || changed
		if i == 0 {
			d.record(next)
		}
		for name := range k.families[i] {
			if _, ok := next[name]; !ok && slices.ContainsFunc(want.Redirects, func(r nat.Redirect) bool { return r.Service == name }) {
				k.halves++
			}
		}
		k.families[i] = next
	}
	k.guarded, k.holds = want.Guarded, want.Holds
	for name := range k.families[0] {
		if _, ok := k.families[1][name]; !ok {
			k.lopsided++
		}
	}
	for name := range k.families[1] {
		if _, ok := k.families[0][name]; !ok {
			k.lopsided++
		}
	}
	return change, nil
}

// record notes which way the traffic goes.
func (d *daemon) record(next map[string]installed) {
	k := &d.kernel
	if k.path == nil {
		k.path = map[string][]string{}
	}
	for name, in := range next {
		if path := k.path[name]; len(path) == 0 || path[len(path)-1] != in.Activation {
			k.path[name] = append(path, in.Activation)
		}
	}
}

func (d *daemon) Read(ctx context.Context) ([]nat.Installed, error) {
	err := d.enter(ctx, "Read", time.Millisecond)
	defer d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var found []nat.Installed
	for _, services := range d.kernel.families {
		for _, in := range services {
			i := slices.IndexFunc(found, func(f nat.Installed) bool { return f.Key == in.Key && f.Activation == in.Activation })
			if i < 0 {
				in.Targets = slices.Clone(in.Targets)
				found = append(found, in.Installed)
				continue
			}
			for _, t := range in.Targets {
				j := slices.IndexFunc(found[i].Targets, func(f nat.Target) bool { return f.Endpoint == t.Endpoint && f.Port == t.Port })
				if j < 0 {
					found[i].Targets = append(found[i].Targets, t)
				} else {
					found[i].Targets[j].Families |= t.Families
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b nat.Installed) int {
		return strings.Compare(a.Key+a.Activation, b.Key+b.Activation)
	})
	return found, nil
}

func (d *daemon) Touched(ctx context.Context) bool {
	err := d.enter(ctx, "Touched", 0)
	defer d.mu.Unlock()
	touched := d.kernel.touched
	d.kernel.touched = false
	return err != nil || touched
}

func (d *daemon) Families() nat.Family { return nat.DualStack }

func (d *daemon) Foreign(ctx context.Context, redirects []nat.Redirect) ([]nat.Finding, error) {
	err := d.enter(ctx, "Foreign", time.Millisecond)
	defer d.mu.Unlock()
	return nil, err
}

func (d *daemon) Quiesce(ctx context.Context, ports []uint16, limit time.Duration) (Left, error) {
	return d.idle(ctx, "Quiesce", ports, limit, func(u *fakeUnit) time.Duration { return 20*time.Millisecond + u.queued })
}

func (d *daemon) Forget(ctx context.Context, ports []uint16) (int, error) {
	err := d.enter(ctx, "Forget", 0)
	defer d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n := d.remembers
	d.remembers = 0
	d.forgot = append(d.forgot, ports)
	return n, nil
}

func (d *daemon) Drain(ctx context.Context, ports []uint16, limit time.Duration) (Left, error) {
	return d.idle(ctx, "Drain", ports, limit, func(u *fakeUnit) time.Duration { return u.busy })
}

// idle waits as long as the unit that listens on ports is busy.
func (d *daemon) idle(ctx context.Context, call string, ports []uint16, limit time.Duration, busy func(*fakeUnit) time.Duration) (Left, error) {
	err := d.enter(ctx, call, 0)
	var rest time.Duration
	for _, u := range d.units {
		if slices.ContainsFunc(u.listeners, func(l Listener) bool { return slices.Contains(ports, l.Addr.Port()) }) {
			rest = max(rest, busy(u))
		}
	}
	d.mu.Unlock()
	if err == nil {
		err = sleep(ctx, min(rest, limit))
	}
	if rest > limit {
		return Left{Unaccepted: 1, Connections: 1}, err
	}
	return Left{}, err
}

// The files.

func (d *daemon) Load() (State, error) {
	err := d.enter(context.Background(), "Load", 0)
	defer d.mu.Unlock()
	var s State
	if err == nil && d.state != nil {
		err = json.Unmarshal(d.state, &s)
	}
	return s, err
}

func (d *daemon) Save(s State) error {
	err := d.enter(context.Background(), "Save", 0)
	defer d.mu.Unlock()
	if err != nil {
		return err
	}
	b, err := json.Marshal(s)
	d.state = b
	return err
}

func (d *daemon) LastCurrent() (map[string]string, error) {
	err := d.enter(context.Background(), "LastCurrent", 0)
	defer d.mu.Unlock()
	var m map[string]string
	if err == nil && d.host.current != nil {
		err = json.Unmarshal(d.host.current, &m)
	}
	return m, err
}

func (d *daemon) SaveCurrent(m map[string]string) error {
	err := d.enter(context.Background(), "SaveCurrent", 0)
	defer d.mu.Unlock()
	if err != nil {
		return err
	}
	b, err := json.Marshal(m)
	d.host.current = b
	return err
}

// errIgnore has a call do nothing and succeed.
var errIgnore = errors.New("nothing done")

// errAway is what calls to systemd end with that has not come back in time.
var errAway = fmt.Errorf("%w (last: Message recipient disconnected)", context.DeadlineExceeded)

// saved returns the State as the Store has it.
func (h *host) saved() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	var s State
	s.Services = map[string]*Service{}
	if h.state != nil {
		if err := json.Unmarshal(h.state, &s); err != nil {
			h.t.Fatal(err)
		}
	}
	return s
}

// service returns what the Store has of one service.
func (h *host) service(name string) *Service {
	s := h.saved()
	return s.service(name)
}
