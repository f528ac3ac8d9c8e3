package server_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

// Every kind of server, told in every way where to listen, answers every kind
// of client that it says it can, with no switch near and nobody in between.
func TestKinds(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip(host.Check(""))
	}
	for _, k := range server.All() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(k.Files)
			if files == nil {
				files = map[string]string{}
			}
			for n, way := range k.Takes.Each() {
				maps.Copy(files, units(k, way, n))
			}
			a := open(t, arena.Options{Files: files, Binds: k.Binds})
			var loads []*arena.Load
			for n, way := range k.Takes.Each() {
				c := k.Load
				c.SlowConnect = -1 // the machine may be busy
				if n > 0 {
					c = few(c) // all ways at once is not what it was made for
				}
				l, err := a.Load(t.Context(), c, start(t, a, way, n))
				if err != nil {
					t.Fatal(err)
				}
				loads = append(loads, l)
			}
			var stopping sync.WaitGroup
			for n, way := range k.Takes.Each() {
				if err := loads[n].Running(t.Context()); err != nil {
					t.Fatal(err)
				}
				stopping.Go(func() {
					r, err := loads[n].Stop()
					if err != nil {
						t.Error(err)
						return
					}
					judge(t, k, way, r)
				})
			}
			stopping.Wait()
			for n := range k.Takes.Each() {
				if out, err := a.Host.Systemctl(t.Context(), "stop", unit(n)); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
			if failed, err := a.Host.Failed(t.Context()); err != nil || len(failed) > 0 {
				t.Errorf("after the stop, failed: %v, %v", failed, err)
			}
		})
	}
}

func open(t *testing.T, o arena.Options) *arena.Arena {
	t.Helper()
	a, err := arena.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			t.Log(a.Host.Diagnose(ctx))
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

const firstPort = 61001

// unit is the only version of the nth service.
func unit(n int) string { return fmt.Sprintf("s%d@v1.service", n) }

// units returns the unit files of the nth service.
func units(k server.Kind, way server.Takes, n int) map[string]string {
	kind, port, sockets := "exec", strconv.Itoa(firstPort+n), ""
	if k.Notify {
		kind = "notify"
	}
	files := map[string]string{}
	if way == server.Activation {
		socket := fmt.Sprintf("s%d.socket", n)
		files["/etc/systemd/system/"+socket] = fmt.Sprintf("[Socket]\nListenStream=[::]:%s\nBindIPv6Only=both\nBacklog=4096\nService=%s\n", port, unit(n))
		sockets = "Sockets=" + socket + "\n"
	}
	files[fmt.Sprintf("/etc/systemd/system/s%d@.service", n)] = "[Service]\nType=" + kind + "\nEnvironment=PORT=" + port + "\n" + sockets +
		k.Service(server.Listen{How: way, Port: "${PORT}"})
	return files
}

var printed = regexp.MustCompile(`listening on .*?(\d+)\n`)

// start starts the nth service and returns its port.
func start(t *testing.T, a *arena.Arena, way server.Takes, n int) uint16 {
	t.Helper()
	names := []string{unit(n)}
	if way == server.Activation {
		names = slices.Insert(names, 0, fmt.Sprintf("s%d.socket", n))
	}
	if out, err := a.Host.Systemctl(t.Context(), append([]string{"start"}, names...)...); err != nil {
		t.Fatalf("%s: %v: %s", way, err, out)
	}
	if way != server.AnyPort {
		return uint16(firstPort + n)
	}
	journal, err := a.Host.Journal(t.Context(), unit(n))
	if err != nil {
		t.Fatal(err)
	}
	m := printed.FindStringSubmatch(journal + "\n")
	if m == nil {
		t.Fatalf("%s: it does not say where it listens: %s", way, journal)
	}
	port, err := strconv.ParseUint(m[1], 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(port)
}

// few is a load with one client of each kind.
func few(c load.Config) load.Config {
	for _, n := range []*int{&c.Short, &c.KeepAlive, &c.Streams, &c.Echo, &c.TLS, &c.WebSocket, &c.HTTP2} {
		*n = min(*n, 1)
	}
	c.Rate = min(c.Rate, 20)
	return c
}

func judge(t *testing.T, k server.Kind, way server.Takes, r *load.Result) {
	t.Helper()
	if err := r.Valid(); err != nil {
		t.Errorf("%s: %v", way, err)
	}
	for _, f := range r.Failures {
		if !slices.Contains(k.Own, f.Class) {
			t.Errorf("%s: %s", way, f)
		}
	}
	for kind, c := range r.Kinds {
		if !slices.Contains(k.Clients, kind) {
			t.Errorf("%s: there are %s clients in its load", way, kind)
		}
		if c.ServerResets > 0 && k.Name != "resetting" {
			t.Errorf("%s: %d %s clients were reset by the server's own will", way, c.ServerResets, kind)
		}
		if len(c.Versions) != 1 || c.Versions["v1"] != c.Requests {
			t.Errorf("%s: %s clients were answered by %v", way, kind, c.Versions)
		}
	}
	for _, kind := range k.Clients {
		if r.Kinds[kind] == nil || r.Kinds[kind].Requests == 0 {
			t.Errorf("%s: no %s client was answered", way, kind)
		}
	}
	var table strings.Builder
	r.Table(&table)
	t.Logf("%s:\n%s", way, &table)
}

func TestByName(t *testing.T) {
	for _, k := range server.All() {
		if got, err := server.ByName(k.Name); err != nil || got.Name != k.Name {
			t.Errorf("%s: %s, %v", k.Name, got.Name, err)
		}
	}
	if _, err := server.ByName("apache"); err == nil || !strings.Contains(err.Error(), "only quick, ") {
		t.Errorf("apache: %v", err)
	}
}
