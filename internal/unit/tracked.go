package unit

import "github.com/godbus/dbus/v5"

// tracked is what the watch knows of one loaded service, put together from
// replies and signals.
type tracked struct {
	path   dbus.ObjectPath
	status Status
	told   Status // as last delivered
	// carries is false until the unit has been read. Meanwhile signals
	// collect in status.
	carries bool
	since   dbus.Sequence // of the signal that made the unit known

	// The messages that the changing half of status is from. Older ones are
	// ignored.
	unitAt, serviceAt dbus.Sequence

	job     uint32 // the queued job, of which status.Job is the type
	jobPath dbus.ObjectPath
	// grouped is the activation whose cgroup has been read: signals do not
	// carry it.
	grouped string

	asked bool // a read is queued
	noted bool // a notice is queued
}

// load takes over what was read.
func (t *tracked) load(l loaded) {
	t.carries = true
	t.status.Files = l.files
	value(l.unit.values, "Id", &t.status.Name)
	value(l.unit.values, "NeedDaemonReload", &t.status.NeedReload)
	value(l.service.values, "Type", &t.status.Type)
	t.status.Sockets = socketsOf(l.unit.values)
	t.service(l.service)
	t.unit(l.unit)
	t.typed(l.job)
	t.group(l.service, idOf(l.unit.values))
}

// service takes over the properties that signals of the service interface
// carry.
func (t *tracked) service(s snapshot) {
	if s.at < t.serviceAt {
		return
	}
	t.serviceAt = s.at
	value(s.values, "MainPID", &t.status.MainPID)
	value(s.values, "NRestarts", &t.status.Restarts)
	value(s.values, "Result", &t.status.Result)
}

// unit takes over the properties that signals of the unit interface carry.
func (t *tracked) unit(s snapshot) {
	if s.at < t.unitAt {
		return
	}
	t.unitAt = s.at
	value(s.values, "ActiveState", &t.status.Active)
	value(s.values, "SubState", &t.status.Sub)
	t.status.Invocation = idOf(s.values)
	var ready, started uint64
	value(s.values, "ActiveEnterTimestampMonotonic", &ready)
	value(s.values, "InactiveExitTimestampMonotonic", &started)
	t.status.ReadyAt, t.status.StartedAt = microseconds(ready), microseconds(started)
	t.queued(queued(s.values))
	if t.status.ended() {
		t.status.ControlGroup, t.grouped = "", ""
	}
	t.restarting()
}

// idOf returns the InvocationID in a unit's properties.
func idOf(values map[string]dbus.Variant) string {
	var id []byte
	value(values, "InvocationID", &id)
	return invocation(id)
}

// queued takes over which job is queued, 0 for none.
func (t *tracked) queued(id uint32, path dbus.ObjectPath) {
	if id != t.job {
		t.job, t.jobPath, t.status.Job = id, path, ""
	}
}

// typed takes over the type of a job.
func (t *tracked) typed(job jobType) {
	if job.id != 0 && job.id == t.job {
		t.status.Job = job.name
		t.jobPath = "" // nothing more to ask
		t.restarting()
	}
}

// restarting does what systemd does with a restart when the unit has stopped,
// and does not announce: it becomes a start.
func (t *tracked) restarting() {
	if t.status.Job == "restart" && t.status.ended() {
		t.status.Job = "start"
	}
}

// group takes over the cgroup that was read when id was the activation.
func (t *tracked) group(s snapshot, id string) {
	var name string
	value(s.values, "ControlGroup", &name)
	if id != t.status.Invocation || t.status.ended() {
		return
	}
	if name == "" && s.at < t.unitAt {
		return // read before there was one
	}
	t.status.ControlGroup, t.grouped = name, id
}

// lacksGroup reports whether status is not complete without a look at the
// cgroup.
func (t *tracked) lacksGroup() bool {
	return t.carries && !t.status.ended() && t.grouped != t.status.Invocation
}

// settled reports whether status is fit to be told. It lacks the cgroup for a
// moment when a process is new; and a unit that is started is announced as
// inactive with its new process, right before it is announced as activating.
func (t *tracked) settled() bool {
	rising := t.status.ended() && t.status.MainPID != 0 && t.job != 0
	return t.carries && !t.lacksGroup() && !rising
}

// lacksJob reports whether the type of the queued job is to be asked for.
func (t *tracked) lacksJob() bool { return t.carries && t.job != 0 && t.jobPath != "" }
