package control

import (
	"cmp"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// serviceOf is a service as it goes out. counts are nil if nobody asked.
func serviceOf(v *controller.View, svc *controller.ServiceView, counts map[uint16]Count) api.Service {
	out := api.Service{Name: svc.Name, Listen: []string{}, Scope: svc.Scope.String(), Current: svc.Current,
		Rollback: svc.Rollback, Warm: svc.Warm, Instances: []api.Instance{}}
	for _, l := range svc.Listen {
		out.Listen = append(out.Listen, l.String())
	}
	for i := range svc.Instances {
		out.Instances = append(out.Instances, instanceOf(v, &svc.Instances[i], counts))
	}
	return out
}

var states = map[controller.Role]api.State{
	controller.RoleStarting: api.Starting,
	controller.RoleCurrent:  api.Current,
	controller.RoleStandby:  api.Standby,
	controller.RoleDraining: api.Draining,
	controller.RoleStopping: api.Stopping,
	controller.RoleRejected: api.Rejected,
	controller.RoleRefused:  api.Refused,
}

func instanceOf(v *controller.View, in *controller.InstanceView, counts map[uint16]Count) api.Instance {
	out := api.Instance{
		Service: in.Service, Unit: in.Unit, Version: versionOf(in.Unit), Invocation: in.Status.Invocation,
		State: states[in.Role], Reason: in.Reason, Active: cmp.Or(in.Status.Active, "inactive"), Sub: in.Status.Sub,
		Ports: in.Ports, Since: wall(v, in.Since), Quiesced: wall(v, in.QuiescedAt), StandbyUntil: wall(v, in.StandbyUntil),
	}
	if in.Role == controller.RoleNone {
		out.State = api.Inactive
		if in.Status.Active == "failed" || in.Reason != "" || strings.HasPrefix(in.Status.Sub, "auto-restart") {
			out.State, out.Reason = api.Failed, cmp.Or(in.Reason, in.Status.Result)
		}
	}
	if set := in.Settings; set != nil {
		out.Standby, out.Drain = api.Duration(set.Standby), api.Duration(set.Drain)
		if in.QuiescedAt != 0 && out.Drain != api.Infinity && in.Role != controller.RoleCurrent {
			out.DrainUntil = wall(v, in.QuiescedAt+set.Drain)
		}
	}
	if counts != nil {
		n := 0
		for _, p := range out.Ports {
			n += counts[p].Open + counts[p].Queued + counts[p].HalfOpen
		}
		out.Connections = &n
	}
	return out
}

// versionOf returns what stands between @ and the suffix.
func versionOf(unit string) string {
	_, version, _ := strings.Cut(strings.TrimSuffix(unit, ".service"), "@")
	return version
}

// wall returns a time of CLOCK_MONOTONIC as one of the calendar; 0 is none.
func wall(v *controller.View, t time.Duration) *time.Time {
	if t == 0 {
		return nil
	}
	w := v.Wall(t).UTC().Round(time.Millisecond)
	return &w
}

// eventOf is one of the news as it goes out.
func eventOf(n controller.News) api.Event {
	return api.Event{ID: n.ID, Time: n.Time.UTC().Round(time.Microsecond), Kind: api.EventKind(n.Kind), Message: n.Message,
		Service: n.Service, Unit: n.Unit, Invocation: n.Invocation, From: n.From, Reason: n.Reason,
		Took: api.Duration(n.Took), Connections: n.Left.Connections,
		Waited: n.Waited.Connections, Longest: api.Duration(n.Waited.Longest)}
}
