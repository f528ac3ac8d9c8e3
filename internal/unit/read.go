package unit

import (
	"context"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sync/errgroup"
)

// reader asks systemd what its signals do not say.
type reader struct {
	bus     *bus
	files   *fileReader
	section string // read no further in units without it; "" reads all of any
}

// snapshot is some properties of one interface at one moment.
type snapshot struct {
	values map[string]dbus.Variant
	// at is the moment's place among the messages of the connection: signals
	// before it are older.
	at dbus.Sequence
}

// loaded is a unit as systemd has it in memory.
type loaded struct {
	path    dbus.ObjectPath
	carries bool // the rest is empty if not
	files   []File
	unit    snapshot
	service snapshot
	job     jobType
}

// jobType is the type of one job.
type jobType struct {
	id   uint32
	name string
}

// loadCalls is how many calls of load are unanswered at a time, at most.
const loadCalls = 6

// load reads a unit. old is the zero value for one that is new.
func (r *reader) load(ctx context.Context, path dbus.ObjectPath, old known) (loaded, error) {
	if err := r.bus.unanswered.Acquire(ctx, loadCalls); err != nil {
		return loaded{}, err
	}
	defer r.bus.unanswered.Release(loadCalls)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	l := loaded{path: path}
	// Most services of a host are none of ours: of those, two properties.
	stranger := r.section != "" && old.files == nil
	if stranger {
		var err error
		if l.unit, err = r.properties(ctx, path, unitIface, "FragmentPath", "DropInPaths"); err != nil {
			return loaded{}, err
		}
		l.files = r.texts(l.unit.values, old)
		if !carries(l.files, r.section) {
			l.files = nil
			return l, nil
		}
	}
	all := r.bus.send(ctx, r.bus.systemd(path), properties+".GetAll", unitIface)
	// One by one, because all of them are 300.
	service, err := r.properties(ctx, path, serviceIface, "Type", "Result", "NRestarts", "MainPID", "ControlGroup")
	if err != nil {
		return loaded{}, err
	}
	l.service, l.unit = service, snapshot{}
	if err := (<-all.Done).Store(&l.unit.values); err != nil {
		return loaded{}, fmt.Errorf("read %s: %w", path, err)
	}
	l.unit.at = all.ResponseSequence
	if !stranger {
		l.files = r.texts(l.unit.values, old)
	}
	if r.section != "" && !carries(l.files, r.section) {
		l.files = nil
		return l, nil
	}
	l.carries = true
	if id, job := queued(l.unit.values); id != 0 {
		l.job, err = r.job(ctx, id, job)
	}
	return l, err
}

// texts reads the files of a unit with these properties.
//
// A unit that runs keeps the text it had when its file is deleted or masked:
// what an operator takes away is its next start.
func (r *reader) texts(values map[string]dbus.Variant, old known) []File {
	var (
		fragment, load, active string
		paths                  []string
		edited                 bool
	)
	value(values, "FragmentPath", &fragment)
	value(values, "DropInPaths", &paths)
	value(values, "NeedDaemonReload", &edited)
	value(values, "LoadState", &load)
	value(values, "ActiveState", &active)
	runs := old.files != nil && active != "inactive" && active != "failed"
	if runs && (load == "not-found" || load == "masked") || edited && old.stands {
		return old.files
	}
	if fragment != "" {
		paths = append([]string{fragment}, paths...)
	}
	files := r.files.readAll(paths, old.files)
	if runs && len(files) > 0 && files[0].Path == fragment && files[0].masked() {
		return old.files // masked, and not reloaded
	}
	return files
}

// loadAll subscribes to systemd's signals, lists the services that it has
// loaded, and loads each. at is the
// moment of the list.
func (r *reader) loadAll(ctx context.Context, old func(dbus.ObjectPath) known) (units []loaded, at dbus.Sequence, err error) {
	// Again each time: systemd forgets subscribers when it leaves the bus.
	sub := r.bus.call(ctx, r.bus.systemd(managerPath), managerIface+".Subscribe")
	if sub.Err != nil && !isError(sub.Err, systemdName+".AlreadySubscribed") {
		return nil, 0, fmt.Errorf("subscribe: %w", sub.Err)
	}
	var list []struct {
		Name, Description, Load, Active, Sub, Following string
		Path                                            dbus.ObjectPath
		JobID                                           uint32
		JobType                                         string
		JobPath                                         dbus.ObjectPath
	}
	call := r.bus.call(ctx, r.bus.systemd(managerPath), managerIface+".ListUnitsByPatterns", []string{}, []string{"*.service"})
	if err := call.Store(&list); err != nil {
		return nil, 0, fmt.Errorf("list units: %w", err)
	}
	units = make([]loaded, len(list))
	group, ctx := errgroup.WithContext(ctx)
	// Six calls each at most; the bus allows a connection 128 at a time.
	group.SetLimit(8)
	for i, u := range list {
		group.Go(func() error {
			l, err := r.load(ctx, u.Path, old(u.Path))
			if err != nil && !passing(err) {
				// Of no use to anybody, and no reason to do without the others.
				r.files.trouble(u.Name, "unit cannot be read", err)
				l, err = loaded{path: u.Path}, nil
			}
			units[i] = l
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	return units, call.ResponseSequence, nil
}

// controlGroup reads the cgroup of a service.
func (r *reader) controlGroup(ctx context.Context, path dbus.ObjectPath) (snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.get(ctx, path, serviceIface, "ControlGroup")
}

// job reads the type of a job; the name is "" if the job is over.
func (r *reader) job(ctx context.Context, id uint32, path dbus.ObjectPath) (jobType, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	job := jobType{id: id}
	at, err := r.properties(ctx, path, jobIface, "JobType")
	if isError(err, busName+".Error.UnknownObject") {
		return job, nil
	}
	value(at.values, "JobType", &job.name)
	return job, err
}

// get reads properties of one interface, in one round trip. ctx has a
// deadline.
func (r *reader) get(ctx context.Context, path dbus.ObjectPath, iface string, names ...string) (snapshot, error) {
	n := int64(len(names))
	if err := r.bus.unanswered.Acquire(ctx, n); err != nil {
		return snapshot{}, err
	}
	defer r.bus.unanswered.Release(n)
	return r.properties(ctx, path, iface, names...)
}

// properties is get for who has made room for the calls.
func (r *reader) properties(ctx context.Context, path dbus.ObjectPath, iface string, names ...string) (snapshot, error) {
	calls := make([]*dbus.Call, len(names))
	for i, name := range names {
		calls[i] = r.bus.send(ctx, r.bus.systemd(path), properties+".Get", iface, name)
	}
	s := snapshot{values: make(map[string]dbus.Variant, len(names))}
	for i, name := range names {
		call := <-calls[i].Done
		var v dbus.Variant
		if err := call.Store(&v); err != nil {
			return snapshot{}, fmt.Errorf("read %s of %s: %w", name, path, err)
		}
		s.values[name] = v
		if i == 0 {
			s.at = call.ResponseSequence // what changed since comes as a signal
		}
	}
	return s, nil
}

// value stores a property in dst, unless it is missing or of another type.
func value[T any](values map[string]dbus.Variant, name string, dst *T) {
	if v, ok := values[name].Value().(T); ok {
		*dst = v
	}
}

// queued returns the id and path of the job in a unit's properties, 0 if there
// is none.
func queued(values map[string]dbus.Variant) (id uint32, path dbus.ObjectPath) {
	var job []any
	value(values, "Job", &job)
	if len(job) == 2 {
		id, _ = job[0].(uint32)
		path, _ = job[1].(dbus.ObjectPath)
	}
	return id, path
}

// isService reports whether path is that of a service.
func isService(path dbus.ObjectPath) bool {
	return strings.HasPrefix(string(path), unitPath) && strings.HasSuffix(string(path), "_2eservice")
}

const unitPath = "/org/freedesktop/systemd1/unit/"
