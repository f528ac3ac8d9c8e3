package config

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// anAddr lets cmp look at addresses.
var anAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// defaults is what "Listen=443" alone gives.
func defaults(unit, service string) *Instance {
	return &Instance{
		Unit: unit, Service: service, Listen: []Listen{{Port: 443}},
		Scope: Everyone, ProbeTimeout: 30 * time.Second, Standby: 10 * time.Second, Drain: 5 * time.Minute, Guard: true,
	}
}

func with(in *Instance, change func(*Instance)) *Instance {
	change(in)
	return in
}

func TestParseInstance(t *testing.T) {
	const unit = "myapp@v2.service"
	addr := netip.MustParseAddr
	ours := func(lines ...string) string {
		return "[Service]\nExecStart=/bin/true\n[X-Switcheroo]\n" + strings.Join(lines, "\n") + "\n[Install]\nListen=1\n"
	}
	mine := func(change func(*Instance)) *Instance { return with(defaults(unit, "myapp"), change) }
	for _, tc := range []struct {
		name  string
		unit  string // unit, if empty
		files []string
		want  *Instance
	}{
		{"no section", "", []string{"[Service]\nListen=443\n", "[Unit]\n"}, nil},
		{"no files", "", nil, nil},
		{"another's section", "", []string{"[X-Other]\nListen=443\n[X-Switch]\nfoo\n[Switch]\n"}, nil},
		{"defaults", "", []string{ours("Listen=443")}, defaults(unit, "myapp")},
		{"plain unit", "myapp.service", []string{ours("Listen=443")}, defaults("myapp.service", "myapp")},
		{"plain unit with a dash", "my-app.service", []string{ours("Listen=443")}, defaults("my-app.service", "my-app")},
		{"public port of a plain unit", "myapp.service", []string{ours("Listen=443", "Port=443")}, with(defaults("myapp.service", "myapp"), func(in *Instance) {
			in.Ports = map[string]uint16{"": 443}
		})},
		{"public port of an instance by its name", "myapp@443.service", []string{ours("Listen=443", "Port=%i")}, with(defaults("myapp@443.service", "myapp"), func(in *Instance) {
			in.Ports = map[string]uint16{"": 443}
		})},
		{"escaped prefix", `my\x2dapp@1.service`, []string{ours("Listen=443")}, defaults(`my\x2dapp@1.service`, `my\x2dapp`)},
		{"section only in a drop-in", "", []string{"[Service]\n", ours("Listen=443")}, defaults(unit, "myapp")},
		{"section in two parts", "", []string{"[X-Switcheroo]\nListen=443\n[Unit]\nGuard=no\n[X-Switcheroo]\nStandbySec=1\n"}, mine(func(in *Instance) {
			in.Standby = time.Second
		})},
		{"every key", "", []string{ours(
			"Service=web", "Listen=https=443", "Listen=http=80 192.0.2.7:8080 [2001:DB8::1]:8080", "Port=https=8443 http=8000", "Port=9090",
			"Scope=network", "Probe=http:/healthz?full=1", "ProbeTimeoutSec=1min", "StandbySec=0", "DrainSec=infinity", "Guard=off")}, &Instance{
			Unit: unit, Service: "web",
			Listen: []Listen{
				{Name: "https", Port: 443}, {Name: "http", Port: 80},
				{Addr: addr("192.0.2.7"), Port: 8080}, {Addr: addr("2001:db8::1"), Port: 8080},
			},
			Ports: map[string]uint16{"https": 8443, "http": 8000, "": 9090},
			Scope: Network, Probe: Probe{Kind: ProbeHTTP, Path: "/healthz?full=1"},
			ProbeTimeout: time.Minute, Standby: 0, Drain: Infinity, Guard: false,
		}},
		{"drop-in overrides", "", []string{ours("Listen=443", "Port=auto", "Guard=no"), ours("Port=8001", "Guard=yes")}, mine(func(in *Instance) {
			in.Ports = map[string]uint16{"": 8001}
		})},
		{"drop-in resets", "", []string{
			ours("Listen=80", "Listen=8080", "Port=8001", "Scope=network", "Probe=none", "ProbeTimeoutSec=1", "StandbySec=1", "DrainSec=1", "Guard=no", "Service=x"),
			ours("Listen=", "Listen=443", "Port=", "Scope=", "Probe=", "ProbeTimeoutSec=", "StandbySec=", "DrainSec=", "Guard=", "Service="),
		}, defaults(unit, "myapp")},
		{"a bad value that is replaced is none", "", []string{ours("Listen=x", "Probe=x", "Port=x", "Guard=%x"), ours("Listen=", "Listen=443", "Probe=tcp", "Port=", "Guard=1")}, defaults(unit, "myapp")},
		{"so it is for a private port", "", []string{ours("Listen=a=443", "Port=%q b/c=1", "Port=a=x"), ours("Port=auto", "Port=a=%q"), ours("Port=a=8001")}, mine(func(in *Instance) {
			in.Listen[0].Name = "a"
			in.Ports = map[string]uint16{"a": 8001}
		})},
		{"auto again", "", []string{ours("Listen=443", "Port=8001"), ours("Port=auto")}, defaults(unit, "myapp")},
		{"keys of others", "", []string{ours("Listen=443", "X-Note=anything")}, defaults(unit, "myapp")},
		{"star is every address", "", []string{ours("Listen=*:443")}, defaults(unit, "myapp")},
		{"quoted words", "", []string{ours(`Listen="443"`, `Port='auto'`)}, defaults(unit, "myapp")},
		{"continued", "", []string{ours("Listen= \\", "# the port", "  443")}, defaults(unit, "myapp")},
		{"port by instance", "myapp@8001.service", []string{ours("Listen=443", "Port=%i")}, with(defaults("myapp@8001.service", "myapp"), func(in *Instance) {
			in.Ports = map[string]uint16{"": 8001}
		})},
		{"port by named instance", `web-api@\x38001.service`, []string{ours("Service=%p", "Listen=%j=443", "Port=%j=%I", "Probe=http:/%j/%%41")},
			with(defaults(`web-api@\x38001.service`, "web-api"), func(in *Instance) {
				in.Listen[0].Name = "api"
				in.Ports = map[string]uint16{"api": 8001}
				in.Probe = Probe{Kind: ProbeHTTP, Path: "/api/%41"}
			})},
		{"service by instance", "", []string{ours("Listen=443", "Service=%p-%i")}, defaults(unit, "myapp-v2")},
		{"a number without name is for the rest", "", []string{ours("Listen=http=80 https=443", "Port=8080 https=8443")}, mine(func(in *Instance) {
			in.Listen = []Listen{{Name: "http", Port: 80}, {Name: "https", Port: 443}}
			in.Ports = map[string]uint16{"http": 8080, "https": 8443}
		})},
		{"same port on two addresses", "", []string{ours("Listen=a=192.0.2.7:443 b=192.0.2.8:443 a=[2001:db8::1]:443", "Port=8443")}, mine(func(in *Instance) {
			in.Listen = []Listen{{"a", addr("192.0.2.7"), 443}, {"b", addr("192.0.2.8"), 443}, {"a", addr("2001:db8::1"), 443}}
			in.Ports = map[string]uint16{"a": 8443, "b": 8443}
		})},
		{"two addresses, auto", "", []string{ours("Listen=192.0.2.7:443 [::1]:443")}, mine(func(in *Instance) {
			in.Listen = []Listen{{Addr: addr("192.0.2.7"), Port: 443}, {Addr: addr("::1"), Port: 443}}
		})},
		{"two ports, asked for by exec", "", []string{"[Service]\nExecStart=/usr/bin/switcheroo exec -- /opt/server\n" + ours("Listen=http=80 https=443")}, mine(func(in *Instance) {
			in.Listen = []Listen{{Name: "http", Port: 80}, {Name: "https", Port: 443}}
		})},
		{"two ports, asked for as credential", "", []string{ours("Listen=http=80 https=443"), "[Service]\nLoadCredential=port:/run/switcheroo/credential.sock\n"}, mine(func(in *Instance) {
			in.Listen = []Listen{{Name: "http", Port: 80}, {Name: "https", Port: 443}}
		})},
		{"loopback for this host", "", []string{ours("Listen=127.0.0.1:443", "Scope=localhost")}, mine(func(in *Instance) {
			in.Listen[0].Addr, in.Scope = addr("127.0.0.1"), Localhost
		})},
		{"scopes add up", "", []string{ours("Listen=443", "Scope=localhost network")}, defaults(unit, "myapp")},
		{"both", "", []string{ours("Listen=443", "Scope=network", "Scope=both")}, defaults(unit, "myapp")},
		{"template", "myapp@.service", []string{ours("Listen=443", "Port=%i", "Service=%N", "Probe=http:/%n", "Guard=%I")}, defaults("myapp@.service", "myapp")},
		{"template, endpoint by instance", "myapp@.service", []string{ours("Listen=%i https=443", "Port=https=80%i")}, with(defaults("myapp@.service", "myapp"), func(in *Instance) {
			in.Listen[0].Name = "https"
		})},
		{"template, one of two ports by instance", "myapp@.service", []string{ours("Listen=http=80 https=443", "Port=https=%i http=8080")}, with(defaults("myapp@.service", "myapp"), func(in *Instance) {
			in.Listen = []Listen{{Name: "http", Port: 80}, {Name: "https", Port: 443}}
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.unit == "" {
				tc.unit = unit
			}
			var files []File
			for i, text := range tc.files {
				files = append(files, File{"/etc/" + string(rune('a'+i)), []byte(text)})
			}
			got, err := ParseInstance(tc.unit, files)
			if err != nil {
				t.Fatal(err)
			}
			if got != nil {
				if len(got.ListenAt) != len(got.Listen) {
					t.Errorf("%d places for %d endpoints", len(got.ListenAt), len(got.Listen))
				}
				got.ListenAt = nil
			}
			if diff := cmp.Diff(tc.want, got, anAddr); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestListenAt(t *testing.T) {
	in, err := ParseInstance("a.service", []File{
		{"a.service", []byte("[X-Switcheroo]\nListen=http=80\nPort=http=8080\n")},
		{"a.service.d/b.conf", []byte("\n\n[X-Switcheroo]\nListen=https=443 \\\n admin=8000\nPort=https=8443 admin=8001\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Pos{{"a.service", 2}, {"a.service.d/b.conf", 4}, {"a.service.d/b.conf", 4}}
	if diff := cmp.Diff(want, in.ListenAt); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnitNames(t *testing.T) {
	section := []File{{"u", []byte("[X-Switcheroo]\nListen=443\n")}}
	const (
		notService = `u:1: [X-Switcheroo] unit %q is not a service (put the section into the service that listens)`
		notUnit    = `u:1: [X-Switcheroo] %q is not the name of a unit (systemd has no unit of that name)`
	)
	for unit, want := range map[string]string{
		"": notService, "myapp": notService, "myapp.socket": notService, "myapp@.timer": notService,
		".service": notUnit, "@v1.service": notUnit, "my app.service": notUnit, "a@\x00b.service": notUnit, "a@é.service": notUnit,
	} {
		_, err := ParseInstance(unit, section)
		if want := fmt.Sprintf(want, unit); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if in, err := ParseInstance(unit, []File{{"u", []byte("[Service]\n")}}); in != nil || err != nil {
			t.Errorf("%s without the section: %v, %v", unit, in, err)
		}
	}
	if _, err := ParseInstance(strings.Repeat("a", 247)+".service", section); err != nil {
		t.Errorf("255 bytes: %v", err)
	}
	if _, err := ParseInstance(strings.Repeat("a", 248)+".service", section); err == nil {
		t.Error("256 bytes are accepted")
	}
}
