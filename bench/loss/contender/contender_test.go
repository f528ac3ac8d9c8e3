package contender

import (
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Each contender replaces versions of two services at the same time, and in
// the end the last ones are all there is.
func TestContenders(t *testing.T) {
	for _, c := range All() {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			services := 2
			if (c == Naive{}) {
				services = 1 // two deployers at a time delete each other's rules
			}
			replaces(t, c, kind(t, "quick"), services)
		})
	}
}

// A server that must be told its private port is told it by a file for each
// version, and those of old versions do not stay.
func TestNumbered(t *testing.T) {
	k := kind(t, "quick")
	k.Takes = server.Number
	s := replaces(t, Switcheroo{Form: "nft", Backend: "iptables-nft"}, k, 2)
	got := strings.Join(s.onHost("ls -d "+dropIns+"/s*"), " ")
	want := dropIns + "/s1@v3.service.d " + dropIns + "/s2@v3.service.d"
	if got != want {
		t.Errorf("drop-ins are %s, want %s", got, want)
	}
}

// replaces deploys three versions after the first and checks what is served,
// and what is left in the end.
func replaces(t *testing.T, c Contender, k server.Kind, services int) *stage {
	s := open(t, c, k, services)
	s.served(0)
	for version := 1; version <= 3; version++ {
		s.to(version)
		s.served(version)
	}
	s.each(func(v Service) error { return c.Settle(t.Context(), s.Arena, v) })
	s.served(3)
	for _, v := range s.services {
		var here []string
		for _, u := range s.onHost("systemctl list-units --all --plain --no-legend '" + v.Name + "*.service' | cut -d' ' -f1") {
			here = append(here, u)
		}
		if len(here) != 1 || here[0] != instanceName(v, 3) && here[0] != v.Name+".service" {
			t.Errorf("units of %s are %q", v.Name, here)
		}
		if got := len(s.onHost("pgrep -f -- '-version v[0-9]' || true")); got != services {
			t.Errorf("%d servers run, want %d", got, services)
		}
		if left := s.onHost("ls /run/bench/" + v.Name + " 2>/dev/null || true"); len(left) > 0 {
			t.Errorf("files of versions are left: %q", left)
		}
	}
	return s
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
