package controller

import (
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

// View is how things stood at one moment, for others to read. It is never
// changed.
type View struct {
	// At is the moment, by CLOCK_MONOTONIC and by the calendar.
	At   time.Duration
	Time time.Time
	// Ready: the first plan has been carried out.
	Ready bool
	// Problems are what is being tried again, in words.
	Problems []string
	Services []ServiceView // by name
	// Mistakes are those in the files of loaded units, and the claims that
	// were refused, by unit.
	Mistakes map[string][]string

	stale chan struct{}
}

// Stale is closed when things may stand differently: ask again then.
func (v *View) Stale() <-chan struct{} { return v.stale }

// WithStale returns a copy of v that is stale when the channel is closed: for
// what stands in for a Controller in tests.
func (v *View) WithStale(stale chan struct{}) *View {
	w := *v
	w.stale = stale
	return &w
}

// Service returns the one of that name, nil if there is none.
func (v *View) Service(name string) *ServiceView {
	for i := range v.Services {
		if v.Services[i].Name == name {
			return &v.Services[i]
		}
	}
	return nil
}

// Instance returns the one of the unit, nil if there is none. One that has
// changed its service is the service's that it has the traffic of.
func (v *View) Instance(unit string) *InstanceView {
	var found *InstanceView
	for i := range v.Services {
		for j := range v.Services[i].Instances {
			in := &v.Services[i].Instances[j]
			if in.Unit == unit && (found == nil || in.Role == RoleCurrent) {
				found = in
			}
		}
	}
	return found
}

// Wall returns the time of the calendar for one of CLOCK_MONOTONIC.
func (v *View) Wall(t time.Duration) time.Time { return v.Time.Add(t - v.At) }

// ServiceView is one service.
type ServiceView struct {
	Name    string
	Listen  []config.Listen
	Scope   config.Scope
	Current string // unit that the rules lead to, or ""
	// Pause is that of new connections, nil if they do not wait.
	Pause *Pause
	// Rollback is the unit that a rollback would go to, and Warm reports
	// whether it still runs.
	Rollback  string
	Warm      bool
	Instances []InstanceView // the current one first, then the newest first
}

// Role is what an instance is to its service.
type Role uint8

// The roles.
const (
	RoleNone     Role = iota // it does not run
	RoleStarting             // it is on its way, or being looked at
	RoleCurrent
	RoleStandby
	RoleDraining
	RoleStopping
	RoleRejected
	RoleRefused
)

// InstanceView is one unit and its latest activation. Times are
// CLOCK_MONOTONIC; 0 is none.
type InstanceView struct {
	Service string
	Unit    string
	Status  Unit // as last read, without Files
	Role    Role
	// Activation is the InvocationID that the rules lead to, of RoleCurrent.
	// Status may say already that it has ended, or be of a later one.
	Activation string
	Reason     string        // of RoleRefused and RoleRejected
	Ports      []uint16      // private ones, each once
	Since      time.Duration // in this role
	// QuiescedAt is when the queues of an older one were empty.
	QuiescedAt time.Duration
	// StandbyUntil is until when an older one is kept warm, and the current
	// one is watched.
	StandbyUntil time.Duration
	// Drained: an older one has no connection any more, or its time is over.
	Drained bool
	// Settings are those in force; nil if none are valid.
	Settings *config.Instance
}

// Serves reports whether the rules lead to what runs, and it goes on running.
func (in *InstanceView) Serves() bool {
	return in.Role == RoleCurrent && in.Activation == in.Status.Invocation && in.Status.running()
}

// newView makes the view of the present moment.
func (c *Controller) newView() *View {
	v := &View{At: c.Now(), Time: time.Now(), Ready: c.synced, stale: make(chan struct{})}
	if c.failure != "" {
		v.Problems = append(v.Problems, "rules not changed: "+c.failure)
	}
	if c.unsaying {
		v.Problems = append(v.Problems, "state not saved")
	}
	v.Mistakes = c.settings.mistakes()
	names := sortedKeys(c.world.State.Services)
	for name := range c.world.Members {
		if c.world.State.Services[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v.Services = append(v.Services, c.world.service(name))
	}
	return v
}

// service makes the view of one service.
func (w *world) service(name string) ServiceView {
	svc := w.State.Services[name]
	if svc == nil {
		svc = &Service{}
	}
	v := ServiceView{Name: name}
	if svc.Pause != nil {
		pause := *svc.Pause
		pause.Ending = pause.Ending || w.Running[task{releaseTask, name}]
		v.Pause = &pause
	}
	units := slices.Clone(w.Members[name])
	if cur := svc.Current; cur != nil {
		v.Listen, v.Scope = cur.Instance.Listen, cur.Instance.Scope
		units = append(units, cur.Unit)
		if !svc.Down {
			v.Current = cur.Unit
		}
	}
	for _, o := range svc.Old {
		units = append(units, o.Unit)
	}
	for _, r := range svc.Refused {
		units = append(units, r.Unit)
	}
	slices.Sort(units)
	for _, unit := range slices.Compact(units) {
		in := w.instance(name, svc, unit)
		if v.Listen == nil && in.Settings != nil {
			v.Listen, v.Scope = in.Settings.Listen, in.Settings.Scope
		}
		v.Instances = append(v.Instances, in)
	}
	slices.SortStableFunc(v.Instances, func(a, b InstanceView) int {
		if (a.Role == RoleCurrent) != (b.Role == RoleCurrent) {
			if a.Role == RoleCurrent {
				return -1
			}
			return 1
		}
		return int(max(min(b.Status.StartedAt-a.Status.StartedAt, 1), -1))
	})
	p := planner{world: w, name: name, svc: svc}
	if back := p.fallback(); back != nil && svc.serving() != nil {
		v.Rollback, v.Warm = back.Unit, true
	} else if svc.Before != v.Current {
		v.Rollback = svc.Before
	}
	return v
}

// instance makes the view of one unit of a service.
func (w *world) instance(service string, svc *Service, unit string) InstanceView {
	u := w.Units[unit]
	if u.Name == "" {
		u = Unit{Name: unit, Active: "inactive", Sub: "dead"}
	}
	u.Files = nil
	in := InstanceView{Service: service, Unit: unit, Status: u, Settings: w.Settings[unit]}
	if cur := svc.Current; cur != nil && cur.Unit == unit && !svc.Down && (cur.ID == u.Invocation || !w.waits(svc, cur, u)) {
		in.Role, in.Since, in.Ports = RoleCurrent, cur.Since, cur.ports()
		in.Activation = cur.ID
		in.Settings = &cur.Instance
		for _, o := range svc.Old {
			if !o.Ended && !o.Rejected {
				in.StandbyUntil = max(in.StandbyUntil, o.StandbyUntil)
			}
		}
		return in
	}
	if o := svc.old(u.Invocation); o != nil && !o.Ended {
		in.Since, in.Ports, in.Reason = o.Since, o.ports(), o.Why
		in.QuiescedAt, in.StandbyUntil, in.Drained = o.QuiescedAt, o.StandbyUntil, o.Drained
		in.Settings = &o.Instance
		in.Role = w.roleOf(o)
		return in
	}
	r, refused := svc.Refused[u.Invocation]
	switch {
	case refused && u.running():
		in.Role, in.Reason, in.Since = RoleRefused, r.Reason, r.At
	case u.starting() && !u.autoRestart() || u.running():
		in.Role, in.Since = RoleStarting, u.StartedAt
	default:
		if o := svc.old(u.Invocation); o != nil {
			in.Reason = o.Why
		}
	}
	return in
}

func (w *world) roleOf(o *Retired) Role {
	switch {
	case o.Stopping:
		return RoleStopping
	case o.Rejected:
		return RoleRejected
	case o.QuiescedAt == 0 || o.standby(w.Now) && !o.Due:
		return RoleStandby
	}
	return RoleDraining
}
