package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// fake is the rest of the daemon.
type fake struct {
	mu      sync.Mutex
	v       *controller.View
	stale   chan struct{}
	reads   int // of v
	err     error
	started []string
	start   func(unit string) error
	order   func(service, unit string) (string, bool, error)
	reserve func(unit string, taken []uint16) (*controller.Reserved, error)
	keep    func(unit, name string, port uint16, l *os.File) error
	pause   func(service string, most time.Duration) error
	resume  func(service string) error
	expect  func(unit string) // what a new look at it shows
	blocked string
}

func (f *fake) View(ctx context.Context) (*controller.View, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.v, f.err
}

// shows makes v how things stand.
func (f *fake) shows(v *controller.View) {
	f.mu.Lock()
	old := f.stale
	f.stale = make(chan struct{})
	f.v, f.reads = v.WithStale(f.stale), 0
	f.mu.Unlock()
	if old != nil {
		close(old)
	}
}

func (f *fake) Rollback(_ context.Context, service, unit string) (string, bool, error) {
	if f.order == nil {
		return "", false, controller.ErrNoRollback
	}
	return f.order(service, unit)
}

func (f *fake) SeeOut(context.Context, string) (bool, error) { return false, nil }
func (f *fake) Reserve(ctx context.Context, unit string, taken []uint16) (*controller.Reserved, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reserve(unit, taken)
}
func (f *fake) Keep(_ context.Context, unit, name string, port uint16, l *os.File) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keep(unit, name, port, l)
}

// do runs do with mu held.
func (f *fake) do(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}
func (f *fake) Waiting() map[string]Waiting {
	return map[string]Waiting{"myapp": {Now: 7, Since: 9}}
}

func (f *fake) Pause(_ context.Context, service string, most time.Duration) error {
	if f.pause == nil {
		return controller.ErrNeverServed
	}
	return f.pause(service, most)
}

func (f *fake) Resume(_ context.Context, service string) error {
	if f.resume == nil {
		return controller.ErrNotPaused
	}
	return f.resume(service)
}

func (f *fake) Expect(_ context.Context, unit string, _ bool) error {
	if f.expect != nil {
		f.expect(unit)
	}
	return nil
}

func (f *fake) Blocked() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blocked
}

func (f *fake) Carries(_ context.Context, u string) (bool, error) {
	return strings.HasPrefix(u, "myapp@"), nil
}
func (f *fake) Tracked() (int, int, error) { return 10, 100, nil }
func (f *fake) Count(context.Context, []uint16) (map[uint16]Count, error) {
	return map[uint16]Count{1001: {Open: 3, Queued: 2, HalfOpen: 1}}, nil
}

func (f *fake) Connections(context.Context, []uint16) ([]Socket, error) {
	return []Socket{{Peer: netip.MustParseAddrPort("10.0.0.1:5"), Port: 1001, State: "ESTABLISHED", Idle: -1}}, nil
}

func (f *fake) Diagnose(context.Context, bool) (*api.Diagnosis, error) {
	return &api.Diagnosis{Ailments: []api.Ailment{}, Checks: []api.Examination{{Check: "daemon", Result: api.Healthy}}}, nil
}

func (f *fake) History(_ context.Context, service string, since time.Time, lines int) ([]api.Event, error) {
	if service == "late" {
		return nil, context.DeadlineExceeded
	}
	return []api.Event{{ID: uint64(lines), Service: service, Time: since}}, nil
}

func (f *fake) Start(_ context.Context, unit string) error {
	f.mu.Lock()
	f.started = append(f.started, unit)
	f.mu.Unlock()
	if f.start == nil {
		return nil
	}
	return f.start(unit)
}

func (f *fake) Check(_ context.Context, unit string, files []api.File) (*api.Checked, error) {
	return &api.Checked{Units: []string{unit}}, nil
}

// in is an instance of myapp in a role.
func in(version string, role controller.Role) controller.InstanceView {
	unit := "myapp@" + version + ".service"
	u := controller.Unit{Name: unit, Invocation: version, Active: "active", Sub: "running"}
	if role == controller.RoleNone {
		u = controller.Unit{Name: unit, Invocation: version, Active: "failed", Sub: "failed", Result: "exit-code"}
	}
	v := controller.InstanceView{Service: "myapp", Unit: unit, Status: u, Role: role,
		Ports: []uint16{1000 + uint16(version[1]-'0')}}
	if role == controller.RoleCurrent {
		v.Activation = u.Invocation
	}
	return v
}

// of is a view of myapp with instances, the first of which is current if that
// is its role.
func of(instances ...controller.InstanceView) *controller.View {
	svc := controller.ServiceView{Name: "myapp", Instances: instances}
	for _, in := range instances {
		if in.Role == controller.RoleCurrent {
			svc.Current = in.Unit
		}
	}
	return &controller.View{At: time.Hour, Time: time.Now(), Ready: true, Services: []controller.ServiceView{svc}}
}

// bench is a Server with a fake behind it and a socket before it.
type bench struct {
	*testing.T
	*fake
	feed   *controller.Feed
	server *Server
	path   string
	client *api.Client
}

func serve(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, fake: &fake{}, feed: controller.NewFeed(time.Now()), path: filepath.Join(t.TempDir(), "s")}
	b.shows(of(in("v1", controller.RoleCurrent)))
	b.server = New(Options{World: b, Feed: b.feed, Units: b, Sockets: b, Gate: b, Doctor: b, Journal: b, Metrics: NewMetrics("test", "none"),
		Log: slog.New(slog.DiscardHandler), Version: "test", Backend: "none"})
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.server.Run(ctx, l) }()
	b.client = api.NewClient(b.path)
	t.Cleanup(func() {
		b.client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

// raw sends text as it is, and returns what comes back until the end.
func (b *bench) raw(text string) string {
	b.Helper()
	c, err := net.Dial("unix", b.path)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, text)
	c.(*net.UnixConn).CloseWrite()
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func (b *bench) get(path string) (int, string) {
	b.Helper()
	answer := b.raw("GET " + path + " HTTP/1.0\r\n\r\n")
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	if len(head) < 12 {
		b.Fatalf("%s: %q", path, answer)
	}
	var status int
	json.Unmarshal([]byte(head[9:12]), &status)
	return status, body
}

func code(err error) api.Code {
	var e *api.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Every route is in one class, and none that changes something is open.
func TestRoutes(t *testing.T) {
	for _, r := range routes {
		if r.method != http.MethodGet && r.access == everyone && r.path != "/v1/check" {
			t.Errorf("%s %s is for everyone", r.method, r.path)
		}
		if r.method == http.MethodGet && r.access != everyone {
			t.Errorf("%s %s is not for everyone", r.method, r.path)
		}
	}
}

func TestReads(t *testing.T) {
	b := serve(t)
	old := in("v2", controller.RoleDraining)
	old.Since = time.Minute
	b.shows(of(in("v1", controller.RoleCurrent), old))
	svc, err := b.client.Service(t.Context(), "myapp", api.Select{Connections: true})
	if err != nil || svc.Current != "myapp@v1.service" || *svc.Instances[0].Connections != 6 || *svc.Instances[1].Connections != 0 || svc.Instances[1].State != api.Draining {
		t.Errorf("%+v, %v", svc, err)
	}
	all, err := b.client.Connections(t.Context(), "myapp@v1")
	if err != nil || len(all) != 1 || all[0].Idle != nil || all[0].AgeAtLeast != nil {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := b.client.Connections(t.Context(), "web"); code(err) != api.NoService {
		t.Error(err)
	}
	h, err := b.client.Health(t.Context())
	if err != nil || h.Status != "ok" || h.Services != 1 || h.Version != "test" {
		t.Errorf("%+v, %v", h, err)
	}
	starting := of()
	starting.Ready = false
	b.shows(starting)
	if h, err = b.client.Health(t.Context()); err != nil || h.Status != "starting" {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := b.client.Deploy(t.Context(), api.Deploy{Unit: "myapp@v1"}); code(err) != api.Unavailable {
		t.Error(err)
	}
}

func TestHistory(t *testing.T) {
	b := serve(t)
	all, err := b.client.History(t.Context(), "myapp", time.Time{}, 0)
	if err != nil || len(all) != 1 || all[0].ID != usualLines || all[0].Service != "myapp" {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := b.client.History(t.Context(), "late", time.Time{}, 0); code(err) != api.Unavailable {
		t.Error(err)
	}
	for query, want := range map[string]int{"?lines=1000": 200, "?lines=1001": 400, "?lines=-1": 400, "?since=yesterday": 400, "?since=2026-11-25T19:08:11Z": 200,
		"?until=now": 400, "?service=" + strings.Repeat("a", 300): 400} {
		if status, body := b.get("/v1/history" + query); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}

func TestMetricsAnswer(t *testing.T) {
	b := serve(t)
	b.server.Metrics.Tell(controller.News{Kind: controller.Switched, Service: "myapp", Took: time.Millisecond})
	b.server.Metrics.Probed("tcp", nil)
	status, body := b.get("/metrics")
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{
		`switcheroo_switches_total{result="switched",service="myapp"} 1`,
		`switcheroo_current{service="myapp",unit="myapp@v1.service",version="v1"} 1`,
		`switcheroo_connections{service="myapp",state="queued",unit="myapp@v1.service"} 2`,
		`switcheroo_conntrack_entries 10`, `switcheroo_conntrack_entries_limit 100`,
		`switcheroo_probes_total{kind="tcp",result="ok"} 1`,
		`switcheroo_build_info{backend="none",version="test"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}
