package contender

import (
	"fmt"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Each contender replaces versions of two services at the same time, of which
// one is a foreign server where there can be one, and in the end the last
// versions are all there is.
func TestContenders(t *testing.T) {
	foreign := map[string]string{
		"switcheroo-nft": "nginx", "switcheroo-legacy": "node",
		"haproxy-graceful": "redis", "haproxy-abrupt": "nginx",
		"activation": "python", "reuseport-migrate": "nginx", "reuseport": "python",
		"restart": "redis",
		"naive":   "", // two deployers at a time delete each other's rules
	}
	for _, c := range All() {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			kinds := []server.Kind{kind(t, "quick")}
			if other := foreign[c.Name()]; other != "" {
				kinds = append(kinds, kind(t, other))
			}
			replaces(t, c, kinds...)
		})
	}
}

// A server that must be told its private port is told it by a file for each
// version, and those of old versions do not stay. This one does not say that it
// is ready, either.
func TestNumbered(t *testing.T) {
	k := kind(t, "quick")
	k.Takes, k.Notify = server.Number, false
	silent := k.Service
	k.Service = func(in server.Listen) string {
		return strings.Replace(silent(in), "-version", "-notify=false -version", 1)
	}
	for _, c := range []Contender{HAProxy{Graceful: true}, Naive{}, Restart{}} {
		t.Run(c.Name(), func(t *testing.T) { replaces(t, c, k) })
	}
	s := replaces(t, Switcheroo{Form: "nft", Backend: "iptables-nft"}, k, kind(t, "redis"))
	got := strings.Join(s.onHost("ls -d "+dropIns+"/s*"), " ")
	want := dropIns + "/s1@v3.service.d " + dropIns + "/s2@v3.service.d"
	if got != want {
		t.Errorf("drop-ins are %s, want %s", got, want)
	}
}

// replaces deploys three versions after the first and checks what is served,
// and what is left in the end.
func replaces(t *testing.T, c Contender, kinds ...server.Kind) *stage {
	s := open(t, c, kinds...)
	s.served(0)
	for version := 1; version <= 3; version++ {
		s.to(version)
		s.served(version)
	}
	s.each(func(v Service) error { return c.Settle(t.Context(), s.Arena, v) })
	s.served(3)
	for _, v := range s.services {
		here := s.onHost("systemctl list-units --all --plain --no-legend '" + v.Name + "*.service' | cut -d' ' -f1")
		if len(here) != 1 || here[0] != instanceName(v, 3) && here[0] != v.Name+".service" {
			t.Errorf("units of %s are %q", v.Name, here)
		}
		if left := s.onHost("ls /run/bench/" + v.Name + " 2>/dev/null || true"); len(left) > 0 {
			t.Errorf("files of versions are left: %q", left)
		}
	}
	return s
}

// No two versions that could run at the same time have one private port.
func TestPrivatePorts(t *testing.T) {
	taken := map[uint16]Service{}
	for i := range maxServices {
		s := Service{Name: fmt.Sprint("s", i+1), Port: uint16(8081 + i)}
		for version := 10_000; version < 10_000+privateService; version++ {
			port := privatePort(s, version)
			if other, ok := taken[port]; ok || port < 61000 || port > 64999 {
				t.Fatalf("port %d of %s, version %d, is taken by %q or out of range", port, s.Name, version, other.Name)
			}
			taken[port] = s
		}
	}
	if got := privatePort(Service{Port: 8081}, 0); got != firstPrivate {
		t.Errorf("the first service begins at %d, want %d", got, firstPrivate)
	}
}

func TestByName(t *testing.T) {
	for _, c := range All() {
		if got, err := ByName(c.Name()); got != c || err != nil {
			t.Errorf("ByName(%q) = %v, %v", c.Name(), got, err)
		}
	}
	if _, err := ByName("magic"); err == nil || !strings.Contains(err.Error(), "switcheroo-nft") {
		t.Errorf("ByName(magic): %v, want an error that lists the names", err)
	}
}
