package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// listening returns a listener as a file, and its port.
func listening(t *testing.T) (*os.File, uint16) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	l.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, uint16(l.Addr().(*net.TCPAddr).Port)
}

func inode(t *testing.T, f *os.File) uint64 {
	t.Helper()
	var info unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &info); err != nil {
		t.Fatal(err)
	}
	return info.Ino
}

// What is kept goes out with the answer, and what comes with a request is kept;
// the order says which is which.
func TestReserveAndKeep(t *testing.T) {
	b := serve(t)
	first, port := listening(t)
	second, other := listening(t)
	var asked []uint16
	reserve := func(unit string, taken []uint16) (*controller.Reserved, error) {
		asked = taken
		r := &controller.Reserved{Unit: unit, Service: "myapp", Ports: []controller.ReservedPort{
			{Name: "a", Port: 61000}, {Name: "b", Port: port}}}
		copied, err := unix.Dup(int(first.Fd()))
		r.Ports[1].Kept = os.NewFile(uintptr(copied), "copy")
		return r, err
	}
	b.do(func() { b.reserve = reserve })
	r, files, err := b.client.Reserve(t.Context(), api.Reserve{Unit: "myapp@v1", Taken: []uint16{7}, Listeners: true})
	if err != nil {
		t.Fatal(err)
	}
	want := &api.Reserved{Service: "myapp", Unit: "myapp@v1.service", Ports: []api.PrivatePort{
		{Name: "a", Port: 61000, Listen: []string{}}, {Name: "b", Port: port, Listen: []string{}, Kept: true}}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	b.do(func() {
		if !slices.Equal(asked, []uint16{7}) {
			t.Errorf("taken: %v", asked)
		}
	})
	if len(files) != 1 || inode(t, files[0]) != inode(t, first) {
		t.Errorf("%d files came", len(files))
	}
	for _, f := range files {
		f.Close()
	}
	// Who does not ask for them gets none.
	if _, files, err = b.client.Reserve(t.Context(), api.Reserve{Unit: "myapp@v1"}); err != nil || len(files) != 0 {
		t.Errorf("%d files, %v", len(files), err)
	}

	var kept []string
	b.do(func() {
		b.keep = func(unit, name string, port uint16, l *os.File) error {
			kept = append(kept, fmt.Sprintf("%s %s %d %d", unit, name, port, inode(t, l)))
			return nil
		}
	})
	what := api.Keep{Unit: "myapp@v1", Ports: []api.KeptPort{{Name: "a", Port: port}, {Name: "b", Port: other}}}
	k, err := b.client.Keep(t.Context(), what, []*os.File{first, second})
	if err != nil || k.Listeners != 2 {
		t.Errorf("%+v, %v", k, err)
	}
	b.do(func() {
		if diff := cmp.Diff([]string{fmt.Sprintf("myapp@v1.service a %d %d", port, inode(t, first)), fmt.Sprintf("myapp@v1.service b %d %d", other, inode(t, second))}, kept); diff != "" {
			t.Error(diff)
		}
	})
	var e *api.Error
	if _, err = b.client.Keep(t.Context(), what, []*os.File{first}); !errors.As(err, &e) || e.Code != api.BadRequest {
		t.Errorf("one file for two ports: %v", err)
	}
	b.do(func() { b.keep = func(string, string, uint16, *os.File) error { return controller.ErrNotReserved } })
	if _, err = b.client.Keep(t.Context(), what, []*os.File{first, second}); !errors.As(err, &e) || e.Code != api.Conflict {
		t.Errorf("another's port: %v", err)
	}
	for _, refused := range []error{controller.ErrNoPorts, controller.ErrNoSection} {
		b.do(func() { b.reserve = func(string, []uint16) (*controller.Reserved, error) { return nil, refused } })
		if _, _, err = b.client.Reserve(t.Context(), api.Reserve{Unit: "myapp@v1", Listeners: true}); !errors.As(err, &e) || e.Code == api.Internal || e.HintText == "" {
			t.Errorf("%v: %v", refused, err)
		}
	}
}

// File descriptors that nobody has asked for are closed.
func TestUnwantedDescriptors(t *testing.T) {
	b := serve(t)
	f, _ := listening(t)
	before := descriptors(t)
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: b.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	r := &api.RightsConn{UnixConn: c}
	for range 3 {
		r.Send([]*os.File{f, f, f})
		if _, err := io.WriteString(r, "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	for range 1000 {
		if descriptors(t) <= before {
			return
		}
		if _, err := b.client.Health(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.client.Close()
	}
	t.Errorf("%d file descriptors, and before %d", descriptors(t), before)
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestAsksFor(t *testing.T) {
	for addr, want := range map[string]string{
		"@adf9d86b6eda275e/unit/foobar.service/credx": "foobar.service credx",
		"@0/unit/myapp@v1.service/port.https":         "myapp@v1.service port.https",
		`@0/unit/a\x2db@x\x2fy.service/port`:          `a\x2db@x\x2fy.service port`,
		"@0/unit/a.service/po/rt":                     "a.service po/rt",
		"":                                            "",
		"@":                                           "",
		"/run/x/unit/a.service/port":                  "",
		"@/unit/a.service/port":                       "",
		"@0/unit/a.service":                           "",
		"@0/unit/a.service/":                          "",
		"@0/unit//port":                               "",
		"@0/unit/a/port":                              "",
		"@0/unit/a.socket/port":                       "",
		"@0/unit/../a.service/port":                   "",
		"@0/unit/a b.service/port":                    "",
		"@0/unit/" + strings.Repeat("a", 300) + "/port": "",
	} {
		name, id, err := asksFor(addr)
		got := ""
		if err == nil {
			got = name + " " + id
		}
		if got != want {
			t.Errorf("%s: %q, %v; want %q", addr, got, err, want)
		}
	}
}

func FuzzAsksFor(f *testing.F) {
	f.Add("@adf9d86b6eda275e/unit/foobar.service/credx")
	f.Fuzz(func(t *testing.T, addr string) {
		name, id, err := asksFor(addr)
		if err == nil && (!strings.HasSuffix(addr, "/unit/"+name+"/"+id) || !unitName.MatchString(name)) {
			t.Errorf("%q: %q of %q", addr, id, name)
		}
	})
}

func TestPortsText(t *testing.T) {
	one := &controller.Reserved{Ports: []controller.ReservedPort{{Port: 61000}}}
	two := &controller.Reserved{Ports: []controller.ReservedPort{{Name: "https", Port: 61000}, {Name: "http", Port: 61001}}}
	for _, c := range []struct {
		r        *controller.Reserved
		id, want string
	}{
		{one, "port", "61000"}, {two, "port", "https=61000\nhttp=61001\n"}, {two, "port.http", "61001"}, {two, "port.ftp", ""}, {one, "port.http", ""}, {one, "tls", ""},
	} {
		s := &Server{Options: Options{World: reserves{r: c.r}}}
		got, err := s.portText(t.Context(), "a.service", c.id)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.id, got, err)
		}
	}
}

type reserves struct {
	World
	r *controller.Reserved
}

func (w reserves) Reserve(context.Context, string, []uint16) (*controller.Reserved, error) {
	return w.r, nil
}

// Who is not systemd is told nothing, whatever address it has. This process is
// root, and in no unit that is asked for.
func TestCredentialIsForSystemd(t *testing.T) {
	b := serve(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "c"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	b.do(func() {
		b.reserve = func(string, []uint16) (*controller.Reserved, error) {
			t.Error("a port was reserved")
			return nil, controller.ErrNoSection
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.server.RunCredentials(ctx, l) }()
	for _, from := range []*net.UnixAddr{nil, {Name: fmt.Sprintf("@%d/unit/myapp@v1.service/port", os.Getpid()), Net: "unix"}} {
		c, err := net.DialUnix("unix", from, l.Addr().(*net.UnixAddr))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
			t.Errorf("from %v: %q, %v", from, got, err)
		}
		c.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
