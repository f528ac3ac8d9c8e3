package unit

import (
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// unitAt is what systemd says through the unit interface as message number at.
func unitAt(at dbus.Sequence, active, id string, job uint32) snapshot {
	bytes := make([]byte, 16)
	for i := range bytes {
		if id != "" {
			bytes[i] = map[string]byte{idA: 0xaa, idB: 0xbb}[id]
		}
	}
	path := dbus.ObjectPath("/")
	if job != 0 {
		path = "/job"
	}
	return snapshot{map[string]dbus.Variant{
		"ActiveState":                    dbus.MakeVariant(active),
		"SubState":                       dbus.MakeVariant("sub-" + active),
		"InvocationID":                   dbus.MakeVariant(bytes),
		"Job":                            dbus.MakeVariant([]any{job, path}),
		"ActiveEnterTimestampMonotonic":  dbus.MakeVariant(uint64(at)),
		"InactiveExitTimestampMonotonic": dbus.MakeVariant(uint64(0)),
	}, at}
}

func serviceAt(at dbus.Sequence, pid uint32) snapshot {
	return snapshot{map[string]dbus.Variant{
		"MainPID": dbus.MakeVariant(pid), "NRestarts": dbus.MakeVariant(uint32(0)), "Result": dbus.MakeVariant("success"),
	}, at}
}

// loadedAt is what a read of the unit says, as messages at and at+1.
func loadedAt(at dbus.Sequence, active, id string, pid, job uint32) loaded {
	u, s := unitAt(at, active, id, job), serviceAt(at+1, pid)
	u.values["Id"] = dbus.MakeVariant("web@1.service")
	s.values["Type"] = dbus.MakeVariant("notify")
	group := ""
	if active != "inactive" && active != "failed" {
		group = "/group-" + id[:1]
	}
	s.values["ControlGroup"] = dbus.MakeVariant(group)
	return loaded{path: webPath, carries: true, unit: u, service: s, files: []File{{"/web", []byte("text")}}}
}

const webPath = dbus.ObjectPath(unitPath + "web_401_2eservice")

func TestTrackedOrder(t *testing.T) {
	type want struct {
		Active, Invocation, Group, Job string
		PID                            uint32
		Settled                        bool
	}
	tests := []struct {
		name string
		do   func(*tracked)
		want want
	}{
		{"a read", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
		}, want{"active", idA, "/group-a", "", 7, true}},
		{"signals before the read, taken after it", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.service(serviceAt(5, 0))
			u.unit(unitAt(6, "inactive", "", 0))
		}, want{"active", idA, "/group-a", "", 7, true}},
		{"signals after the read, taken before it", func(u *tracked) {
			u.service(serviceAt(20, 7))
			u.unit(unitAt(21, "deactivating", idA, 0))
			u.load(loadedAt(10, "active", idA, 7, 0))
		}, want{"deactivating", idA, "/group-a", "", 7, true}},
		{"another activation began after the read", func(u *tracked) {
			u.service(serviceAt(20, 8))
			u.unit(unitAt(21, "active", idB, 0))
			u.load(loadedAt(10, "active", idA, 7, 0))
		}, want{"active", idB, "", "", 8, false}},
		{"and its cgroup is known", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.unit(unitAt(21, "active", idB, 0))
			u.group(snapshot{map[string]dbus.Variant{"ControlGroup": dbus.MakeVariant("/group-b")}, 30}, idB)
		}, want{"active", idB, "/group-b", "", 7, true}},
		{"a cgroup read for the activation before", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.unit(unitAt(21, "active", idB, 0))
			u.group(snapshot{map[string]dbus.Variant{"ControlGroup": dbus.MakeVariant("/group-a")}, 30}, idA)
		}, want{"active", idB, "/group-a", "", 7, false}},
		{"a cgroup read before there was one", func(u *tracked) {
			u.load(loadedAt(10, "inactive", "", 0, 0))
			u.unit(unitAt(31, "activating", idA, 0))
			u.group(snapshot{map[string]dbus.Variant{"ControlGroup": dbus.MakeVariant("")}, 30}, idA)
		}, want{"activating", idA, "", "", 0, false}},
		{"no cgroup at all, as of a oneshot that has exited", func(u *tracked) {
			u.load(loadedAt(10, "inactive", "", 0, 0))
			u.unit(unitAt(31, "active", idA, 0))
			u.group(snapshot{map[string]dbus.Variant{"ControlGroup": dbus.MakeVariant("")}, 32}, idA)
		}, want{"active", idA, "", "", 0, true}},
		{"it ends", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.service(serviceAt(20, 0))
			u.unit(unitAt(21, "failed", idA, 0))
		}, want{"failed", idA, "", "", 0, true}},
		{"a job is queued, and its type told", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.queued(3, "/job")
			u.typed(jobType{3, "stop"})
		}, want{"active", idA, "/group-a", "stop", 7, true}},
		{"the type of a job that has been replaced", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.queued(3, "/job")
			u.queued(4, "/job4")
			u.typed(jobType{3, "stop"})
		}, want{"active", idA, "/group-a", "", 7, true}},
		{"the type of a job that is over", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.queued(3, "/job")
			u.queued(0, "")
			u.typed(jobType{3, "stop"})
		}, want{"active", idA, "/group-a", "", 7, true}},
		{"a restart that has stopped", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.queued(3, "/job")
			u.typed(jobType{3, "restart"})
			u.service(serviceAt(20, 0))
			u.unit(unitAt(21, "inactive", idA, 3))
		}, want{"inactive", idA, "", "start", 0, true}},
		{"a restart that is told after it has stopped", func(u *tracked) {
			u.load(loadedAt(10, "active", idA, 7, 0))
			u.service(serviceAt(20, 0))
			u.unit(unitAt(21, "inactive", idA, 3))
			u.typed(jobType{3, "restart"})
		}, want{"inactive", idA, "", "start", 0, true}},
		{"a process before its state", func(u *tracked) {
			u.load(loadedAt(10, "inactive", idA, 0, 3))
			u.service(serviceAt(20, 9))
			u.unit(unitAt(21, "inactive", idB, 3))
		}, want{"inactive", idB, "", "", 9, false}},
	}
	for _, test := range tests {
		u := &tracked{path: webPath}
		test.do(u)
		s := u.status
		got := want{s.Active, s.Invocation, s.ControlGroup, s.Job, s.MainPID, u.settled()}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestTrackedOddTypes(t *testing.T) {
	u := &tracked{path: webPath}
	u.load(loadedAt(10, "active", idA, 7, 0))
	odd := map[string]dbus.Variant{
		"ActiveState": dbus.MakeVariant(1), "InvocationID": dbus.MakeVariant("x"), "Job": dbus.MakeVariant([]any{"a"}),
		"ActiveEnterTimestampMonotonic": dbus.MakeVariant("y"), "MainPID": dbus.MakeVariant("z"), "ControlGroup": dbus.MakeVariant(2),
	}
	u.unit(snapshot{odd, 20})
	u.service(snapshot{odd, 21})
	u.group(snapshot{odd, 22}, "")
	if s := u.status; s.Active != "active" || s.MainPID != 7 || s.Invocation != "" || s.ReadyAt != 0 {
		t.Errorf("%+v", s)
	}
}

func TestInvocation(t *testing.T) {
	for _, test := range []struct {
		id   []byte
		want string
	}{
		{nil, ""}, {[]byte{1}, ""}, {make([]byte, 16), ""},
		{[]byte("0123456789abcdef"), "30313233343536373839616263646566"},
	} {
		if got := invocation(test.id); got != test.want {
			t.Errorf("invocation(%x) = %q, want %q", test.id, got, test.want)
		}
	}
}

// offline is a session that is fed by hand: nothing is read.
func offline() *session {
	s := newSession(New(Options{}), &bus{private: true}, nil)
	s.ready, s.told = true, true
	return s
}

func changedSignal(iface string, s snapshot) *dbus.Signal {
	return &dbus.Signal{
		Path: webPath, Name: properties + ".PropertiesChanged", Sequence: s.at,
		Body: []any{iface, s.values, []string{}},
	}
}

func managerSignal(at dbus.Sequence, name string, body ...any) *dbus.Signal {
	return &dbus.Signal{Path: managerPath, Name: managerIface + "." + name, Sequence: at, Body: body}
}

// flow is what a session would tell, and read, in short.
func flow(s *session) (told string, asks int) {
	var b strings.Builder
	for {
		e, any := s.next()
		if !any {
			for _, t := range s.reads.units {
				if s.units[t.path] == t {
					asks++
				}
			}
			return b.String(), asks
		}
		b.WriteString(e.Kind.String() + " " + e.Name + e.Unit.Active + "; ")
		s.delivered(e)
	}
}

func TestSessionSignals(t *testing.T) {
	tests := []struct {
		name string
		do   func(*session)
		told string
		asks int
	}{
		{"looked at, and unloaded again", func(s *session) {
			s.signal(managerSignal(1, "UnitNew", "web@1.service", webPath))
			s.signal(changedSignal(serviceIface, serviceAt(2, 0)))
			s.signal(changedSignal(unitIface, unitAt(3, "inactive", "", 0)))
			s.signal(managerSignal(4, "UnitRemoved", "web@1.service", webPath))
		}, "", 0},
		{"started", func(s *session) {
			s.signal(managerSignal(1, "UnitNew", "web@1.service", webPath))
			s.signal(managerSignal(2, "JobNew", uint32(3), dbus.ObjectPath("/job"), "web@1.service"))
			s.signal(changedSignal(unitIface, unitAt(3, "activating", idA, 3)))
		}, "", 1},
		{"started, and read", func(s *session) {
			s.signal(managerSignal(2, "JobNew", uint32(3), dbus.ObjectPath("/job"), "web@1.service"))
			s.loaded(loadedAt(5, "activating", idA, 7, 0))
			s.signal(changedSignal(unitIface, unitAt(10, "active", idA, 0)))
		}, "changed active; ", 1},
		{"the duplicate", func(s *session) {
			s.loaded(loadedAt(5, "active", idA, 7, 0))
			flow(s)
			s.signal(changedSignal(serviceIface, serviceAt(8, 7)))
			u := unitAt(9, "active", idA, 0)
			u.values["ActiveEnterTimestampMonotonic"] = dbus.MakeVariant(uint64(5))
			s.signal(changedSignal(unitIface, u))
		}, "", 0},
		{"without the section", func(s *session) {
			s.signal(managerSignal(2, "JobNew", uint32(3), dbus.ObjectPath("/job"), "web@1.service"))
			s.loaded(loaded{path: webPath, unit: snapshot{at: 5}})
			s.reads.units = nil
			s.signal(managerSignal(6, "JobNew", uint32(4), dbus.ObjectPath("/job"), "web@1.service"))
			s.signal(changedSignal(serviceIface, serviceAt(8, 7)))
			s.signal(changedSignal(unitIface, unitAt(9, "active", idA, 0)))
		}, "", 0},
		{"without the section, and loaded anew", func(s *session) {
			s.loaded(loaded{path: webPath, unit: snapshot{at: 5}})
			s.signal(managerSignal(6, "UnitRemoved", "web@1.service", webPath))
			s.signal(managerSignal(7, "UnitNew", "web@1.service", webPath))
			s.signal(managerSignal(8, "JobNew", uint32(4), dbus.ObjectPath("/job"), "web@1.service"))
		}, "", 1},
		{"loaded anew while the list was read", func(s *session) {
			s.reads.renewed = map[dbus.ObjectPath]bool{}
			s.signal(managerSignal(7, "UnitNew", "web@1.service", webPath))
			s.loaded(loaded{path: webPath, unit: snapshot{at: 5}})
			s.signal(managerSignal(8, "JobNew", uint32(4), dbus.ObjectPath("/job"), "web@1.service"))
		}, "", 1},
		{"known before it was read, by a signal after that read", func(s *session) {
			s.signal(managerSignal(8, "JobNew", uint32(4), dbus.ObjectPath("/job"), "web@1.service"))
			s.loaded(loaded{path: webPath, unit: snapshot{at: 5}})
		}, "", 1},
		{"stopped and unloaded", func(s *session) {
			s.loaded(loadedAt(5, "active", idA, 7, 0))
			flow(s)
			s.signal(changedSignal(serviceIface, serviceAt(10, 0)))
			s.signal(changedSignal(unitIface, unitAt(11, "inactive", idA, 0)))
			s.signal(managerSignal(12, "UnitRemoved", "web@1.service", webPath))
		}, "gone web@1.service; ", 0},
		{"unloaded before it was told", func(s *session) {
			s.loaded(loadedAt(5, "failed", idA, 0, 0))
			s.signal(managerSignal(12, "UnitRemoved", "web@1.service", webPath))
		}, "", 0},
		{"an unloading older than the read", func(s *session) {
			s.loaded(loadedAt(15, "inactive", idA, 0, 0))
			s.signal(managerSignal(12, "UnitRemoved", "web@1.service", webPath))
		}, "changed inactive; ", 0},
		{"a reload", func(s *session) {
			s.loaded(loadedAt(5, "failed", idA, 0, 0))
			s.signal(managerSignal(6, "Reloading", true))
			s.signal(managerSignal(7, "UnitRemoved", "web@1.service", webPath))
			s.signal(managerSignal(8, "UnitNew", "web@1.service", webPath))
			s.signal(managerSignal(9, "Reloading", false))
		}, "changed failed; ", 0},
		{"a reload, of which only the list tells what is new", func(s *session) {
			s.signal(managerSignal(6, "Reloading", true))
			s.signal(managerSignal(8, "UnitNew", "web@1.service", webPath))
			s.signal(managerSignal(9, "JobNew", uint32(4), dbus.ObjectPath("/job"), "web@1.service"))
			s.signal(changedSignal(unitIface, unitAt(10, "active", idA, 4)))
			s.signal(managerSignal(11, "Reloading", false))
		}, "", 0},
		{"a job that comes and goes", func(s *session) {
			s.loaded(loadedAt(5, "active", idA, 7, 0))
			s.signal(managerSignal(8, "JobNew", uint32(4), dbus.ObjectPath("/job"), "web@1.service"))
			s.signal(managerSignal(9, "JobRemoved", uint32(4), dbus.ObjectPath("/job"), "web@1.service", "done"))
			s.signal(managerSignal(10, "JobRemoved", uint32(9), dbus.ObjectPath("/job"), "web@1.service", "done"))
		}, "changed active; ", 1},
		{"other units, and nonsense", func(s *session) {
			s.signal(managerSignal(8, "JobNew", uint32(4), dbus.ObjectPath("/job"), "web.socket"))
			s.signal(managerSignal(8, "JobNew", "x"))
			s.signal(managerSignal(8, "JobRemoved"))
			s.signal(managerSignal(8, "UnitNew", 1))
			s.signal(managerSignal(8, "UnitRemoved"))
			s.signal(managerSignal(8, "Reloading", "yes"))
			s.signal(&dbus.Signal{Path: webPath, Name: properties + ".PropertiesChanged"})
			s.signal(&dbus.Signal{Path: webPath, Name: properties + ".PropertiesChanged", Body: []any{1, 2}})
			s.signal(&dbus.Signal{Path: "/other", Name: properties + ".PropertiesChanged", Body: []any{unitIface, unitAt(1, "active", idA, 0).values}})
			s.signal(&dbus.Signal{})
		}, "", 0},
	}
	for _, test := range tests {
		s := offline()
		test.do(s)
		told, asks := flow(s)
		if told != test.told || asks != test.asks {
			t.Errorf("%s: told %q and %d reads, want %q and %d", test.name, told, asks, test.told, test.asks)
		}
		if relist := strings.HasPrefix(test.name, "a reload"); s.reads.list != relist || s.reads.fresh != relist {
			t.Errorf("%s: a list is asked for: %v, fresh %v", test.name, s.reads.list, s.reads.fresh)
		}
	}
}

func TestSessionListed(t *testing.T) {
	s := offline()
	s.ready = false
	s.signal(managerSignal(2, "JobNew", uint32(3), dbus.ObjectPath("/job"), "early@1.service"))  // over when the list is made
	s.signal(managerSignal(30, "JobNew", uint32(4), dbus.ObjectPath("/job"), "later@1.service")) // not loaded yet then
	s.listed([]loaded{loadedAt(25, "active", idA, 7, 0), {path: "/x"}}, 20)
	var paths []string
	for path := range s.units {
		paths = append(paths, strings.TrimPrefix(string(path), unitPath))
	}
	if len(paths) != 2 || s.units[pathOf("later@1.service")] == nil || s.units[webPath] == nil {
		t.Errorf("units = %v", paths)
	}
	e, any := s.next()
	if !any || e.Kind != Resync || len(e.Units) != 1 || e.Units[0].Name != "web@1.service" {
		t.Errorf("next = %+v, %v", e, any)
	}
	s.delivered(e)
	if told, asks := flow(s); told != "" || asks != 1 {
		t.Errorf("told %q and %d reads", told, asks)
	}
	// The next list says that it is not loaded any more.
	s.listed(nil, 40)
	if told, _ := flow(s); told != "resync ; " {
		t.Errorf("told %q", told)
	}
}

// A unit that is started while the list is read has no cgroup in the answer.
func TestResyncWaitsForTheCgroup(t *testing.T) {
	s := offline()
	s.ready = false
	s.signal(managerSignal(2, "JobNew", uint32(3), dbus.ObjectPath("/job"), "web@1.service"))
	s.signal(changedSignal(serviceIface, serviceAt(29, 7)))
	s.signal(changedSignal(unitIface, unitAt(30, "active", idA, 0)))
	s.listed([]loaded{loadedAt(10, "inactive", "", 0, 3)}, 9)
	if told, asks := flow(s); told != "" || asks != 1 {
		t.Fatalf("told %q and %d reads before the cgroup was read", told, asks)
	}
	unit := s.units[webPath]
	s.reads.units, unit.asked = nil, false
	s.reads.busy = true // it is being read
	if e, any := s.next(); any {
		t.Fatalf("told %+v while the cgroup was read", e)
	}
	s.reads.busy = false
	unit.group(snapshot{map[string]dbus.Variant{"ControlGroup": dbus.MakeVariant("/group-a")}, 40}, idA)
	s.changed(unit)
	if e, any := s.next(); !any || e.Kind != Resync || len(e.Units) != 1 || e.Units[0].Active != "active" || e.Units[0].ControlGroup != "/group-a" {
		t.Errorf("next = %+v, %v", e, any)
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	var got []time.Duration
	for range 9 {
		got = append(got, b.next()/time.Millisecond)
	}
	if diff := cmp.Diff([]time.Duration{10, 20, 40, 80, 160, 320, 640, 1000, 1000}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPassing(t *testing.T) {
	for name, want := range map[string]bool{
		"NoReply": true, "Disconnected": true, "ServiceUnknown": true, "NameHasNoOwner": true,
		"AccessDenied": false, "UnknownObject": false, "InvalidArgs": false,
	} {
		if got := passing(dbus.Error{Name: busName + ".Error." + name}); got != want {
			t.Errorf("passing(%s) = %v", name, got)
		}
	}
	if passing(nil) || !passing(dbus.ErrClosed) || passing(dbus.Error{Name: noSuchUnit}) {
		t.Error("nil, a closed connection or a unit that is not loaded is taken for the other thing")
	}
}

// What a signal of somebody else's unit costs.
func BenchmarkOtherUnit(b *testing.B) {
	s := offline()
	s.others[webPath] = true
	service, unit := changedSignal(serviceIface, serviceAt(8, 7)), changedSignal(unitIface, unitAt(9, "active", idA, 0))
	b.ReportAllocs()
	for b.Loop() {
		s.signal(service)
		s.signal(unit)
	}
}
