package single

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

func TestParseOriginal(t *testing.T) {
	for comment, want := range map[string]*Original{
		"SWITCHEROO:ns=web:port=40400:pid=12":          {PID: 12, Port: 40400},
		"SWITCHEROO:ns=a:port=1:b:port=2:pid=3":        {PID: 3, Port: 2},
		"SWITCHEROO:ns=web:port=0:pid=12":              nil,
		"SWITCHEROO:ns=web:port=65536:pid=12":          nil,
		"SWITCHEROO:ns=web:port=40400:pid=12 ":         nil,
		"xSWITCHEROO:ns=web:port=40400:pid=12":         nil,
		"SWITCHEROO:ns=web:port=40400:pid=12345678901": nil,
		"switcheroo:ns=web:port=40400:pid=12":          nil,
		"":                                             nil,
	} {
		_, got, ok := parseOriginal(comment)
		if ok != (want != nil) || ok && !cmp.Equal(*want, got) {
			t.Errorf("parseOriginal(%q) = %+v, %v", comment, got, ok)
		}
	}
	name, _, _ := parseOriginal("SWITCHEROO:ns=a:port=1:b:port=2:pid=3")
	if name != "a:port=1:b" {
		t.Errorf("the name is %q", name)
	}
}

// Names are compared, never matched: none of these is another's.
func TestNamesAreExact(t *testing.T) {
	names := []string{"a", "ab", "a.", ".*", "a b", `a"b`, `a\b`, "a'b", "a:port=1", "ü", "gen=1 ns=a", strings.Repeat("n", MaxName)}
	each(t, func(t *testing.T, tools []Tool) {
		for i, name := range names {
			if err := CheckName(name); err != nil {
				t.Fatal(err)
			}
			g := generation(i+1, 40400+uint16(i))
			g.Targets[0].Endpoint.Port = 8080 + uint16(i)
			install(t, New(name, tools), g)
			ipt(t, tools, "-A", "PREROUTING", "-p", "tcp", "--dport", "7000", "-m", "comment",
				"--comment", "SWITCHEROO:ns="+name+":port=40410:pid=77", "-j", "REDIRECT", "--to-ports", "40410")
		}
		for i, name := range names {
			s := read(t, New(name, tools))
			if len(s.Generations) != 1 || s.Generations[0].PID != i+1 || len(s.Originals) != 1 {
				t.Errorf("of %q there is %+v, %+v", name, s.Generations, s.Originals)
			}
		}
		all, err := Services(t.Context(), tools)
		if err != nil || len(all) != len(names) {
			t.Errorf("%d services of %d, %v", len(all), len(names), err)
		}
		for _, name := range names {
			r := New(name, tools)
			if err := r.Remove(t.Context(), read(t, r)); err != nil {
				t.Error(err)
			}
		}
		if left := show(t, tools); left != "" {
			t.Errorf("left:\n%s", left)
		}
	})
}

func TestCheckName(t *testing.T) {
	for _, bad := range []string{"", "a\nb", "a\x00", strings.Repeat("n", MaxName+1)} {
		if CheckName(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

// FuzzNote: whatever the name, what is written is what is read.
func FuzzNote(f *testing.F) {
	f.Add("web", 1, 4711, uint64(123), uint16(40400), uint8(3))
	f.Add("ns=x gen=2", 1, 4711, uint64(123), uint16(40400), uint8(3))
	f.Fuzz(func(t *testing.T, name string, number, pid int, start uint64, port uint16, scope uint8) {
		if CheckName(name) != nil || number < 0 || pid < 0 || start>>63 != 0 {
			t.Skip()
		}
		want := Generation{ID: "x", Number: number, PID: pid, Start: start, Port: port, Scope: nat.Scope(scope)}
		got := Generation{ID: "x"}
		if service := got.take(want.note(name)); service != name {
			t.Errorf("the service is %q, want %q", service, name)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Generation{})); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// FuzzTable: whatever iptables prints, reading it ends, and without a panic.
func FuzzTable(f *testing.F) {
	f.Add("-N SWL-0123456789abcdef\n-A PREROUTING -p tcp -m comment --comment \"switcheroo ns=web\" -j SWL-0123456789abcdef\n" +
		"-A SWL-0123456789abcdef -m comment --comment \"switcheroo gen=1 pid=2 ns=web\" -j SWL-0123456789ab-00000000\n" +
		"-N SWL-0123456789ab-00000000\n-A SWL-0123456789ab-00000000 -d 192.0.2.7/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination :40400")
	f.Add("-A OUTPUT -m comment --comment \"SWITCHEROO:ns=a:port=1:pid=2\" -j REDIRECT --to-ports 1")
	f.Add("-N SW-1\n-A OUTPUT -j SW-1\n-A SW-1 -j SW-1")
	f.Fuzz(func(t *testing.T, text string) {
		tab, err := parseTable(nat.IPv4, text)
		if err != nil {
			return
		}
		s := newState("web", []table{tab})
		s.Claims([]nat.Target{{Endpoint: nat.Endpoint{Addr: netip.MustParseAddr("192.0.2.7"), Port: 80}}}, nat.Everyone)
		for _, g := range s.Generations {
			s.lead(g)
			s.unmark(g.ID)
		}
	})
}
