package controller

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// section returns what a section with these lines asks for.
func section(t testing.TB, lines string) *config.Instance {
	t.Helper()
	in, err := config.ParseInstance("app@1.service", []config.File{{Path: "app@1.service.d/app.conf", Data: []byte("[X-Switcheroo]\n" + lines + "\n")}})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// listeners reads "[::]:1000" and, for IPv6 only, "[::]:1000/6".
func listeners(words string) (ls []Listener) {
	for word := range strings.FieldsSeq(words) {
		addr, only := strings.CutSuffix(word, "/6")
		ls = append(ls, Listener{Addr: netip.MustParseAddrPort(addr), V6Only: only})
	}
	return ls
}

// text renders targets as "IPv4 443->1000".
func text(ts []nat.Target) (out []string) {
	for _, t := range ts {
		out = append(out, t.Families.String()+" "+describe([]nat.Target{t}))
	}
	return out
}

func TestCover(t *testing.T) {
	tests := map[string]struct {
		section string
		listen  string
		want    []string
		err     string
	}{
		"dual-stack":               {"Listen=443", "[::]:1000", []string{"IPv4+IPv6 443->1000"}, ""},
		"IPv4 only":                {"Listen=443", "0.0.0.0:1000", []string{"IPv4 443->1000"}, ""},
		"IPv6 only":                {"Listen=443", "[::]:1000/6", []string{"IPv6 443->1000"}, ""},
		"a socket for each family": {"Listen=443", "0.0.0.0:1000 [::]:1000/6", []string{"IPv4+IPv6 443->1000"}, ""},
		"several with SO_REUSEPORT": {"Listen=443", "[::]:1000 [::]:1000 [::]:1000",
			[]string{"IPv4+IPv6 443->1000"}, ""},
		"one address":        {"Listen=443", "192.0.2.7:1000", []string{"IPv4 192.0.2.7:443->1000"}, ""},
		"two addresses":      {"Listen=443", "192.0.2.8:1000 192.0.2.7:1000", []string{"IPv4 192.0.2.7:443->1000", "IPv4 192.0.2.8:443->1000"}, ""},
		"an address of each": {"Listen=443", "[2001:db8::1]:1000 192.0.2.7:1000", []string{"IPv4 192.0.2.7:443->1000", "IPv6 [2001:db8::1]:443->1000"}, ""},
		"an address and all": {"Listen=443", "192.0.2.7:1000 [::]:1000", []string{"IPv4+IPv6 443->1000"}, ""},
		"one family, and an address of the other": {"Listen=443", "0.0.0.0:1000 [::1]:1000/6",
			[]string{"IPv4 443->1000", "IPv6 [::1]:443->1000"}, ""},
		"IPv4 in IPv6 form":     {"Listen=443", "[::ffff:192.0.2.7]:1000", []string{"IPv4 192.0.2.7:443->1000"}, ""},
		"link-local aside":      {"Listen=443", "[fe80::1%eth0]:1000 192.0.2.7:1000", []string{"IPv4 192.0.2.7:443->1000"}, ""},
		"an endpoint's address": {"Listen=192.0.2.7:443", "[::]:1000", []string{"IPv4 192.0.2.7:443->1000"}, ""},
		"the very address":      {"Listen=192.0.2.7:443", "192.0.2.7:1000", []string{"IPv4 192.0.2.7:443->1000"}, ""},
		"both addresses":        {"Listen=192.0.2.7:443 [2001:db8::1]:443", "[::]:1000", []string{"IPv4 192.0.2.7:443->1000", "IPv6 [2001:db8::1]:443->1000"}, ""},
		"loopback for this host": {"Listen=443\nScope=localhost", "127.0.0.1:1000",
			[]string{"IPv4 127.0.0.1:443->1000"}, ""},
		"a loopback endpoint": {"Listen=127.0.0.1:443", "[::]:1000", []string{"IPv4 127.0.0.1:443->1000"}, ""},
		"Port=":               {"Listen=443\nPort=1000", "0.0.0.0:22 [::]:1000 [::]:2000", []string{"IPv4+IPv6 443->1000"}, ""},
		"Port= by name": {"Listen=https=443 http=80\nPort=https=1443 http=1080", "[::]:1443 0.0.0.0:1080 [::]:9000",
			[]string{"IPv4+IPv6 443->1443", "IPv4 80->1080"}, ""},

		"none": {"Listen=443", "", nil,
			"it has no listening TCP socket: let it listen before it says that it is ready, or set Port= if another process listens for it"},
		"several": {"Listen=443", "[::]:2000 127.0.0.1:1000 0.0.0.0:2000", nil,
			"it listens on several ports (0.0.0.0:2000, 127.0.0.1:1000, [::]:2000): say which one serves Listen=443 with Port="},
		"not on Port=": {"Listen=443\nPort=7003", "[::]:1000", nil,
			"nothing listens on its private port 7003 (Port= for Listen=443)"},
		"not on one of Port=": {"Listen=https=443 http=80\nPort=https=1443 http=1080", "[::]:1443", nil,
			"nothing listens on its private port 1080 (Port= for Listen=http=80)"},
		"the public port": {"Listen=443", "[::]:443", nil,
			"it listens on the public port 443 itself: let it listen on port 0, or on any other; if it is what the next one is to replace, set Port=443"},
		"the public port, and Port= says so": {"Listen=443\nPort=443", "[::]:443", []string{"IPv4+IPv6 443->443"}, ""},
		"loopback for the network": {"Listen=443", "127.0.0.1:1000 [::1]:1000", nil,
			"it listens on loopback only (127.0.0.1:1000, [::1]:1000), which the network cannot reach: let it listen on all addresses, or set Scope=localhost"},
		"loopback for the network only": {"Listen=443\nScope=network", "127.0.0.1:1000", nil,
			"it listens on loopback only (127.0.0.1:1000), which the network cannot reach: let it listen on all addresses, or set Scope=localhost"},
		"another address": {"Listen=192.0.2.7:443", "192.0.2.8:1000", nil,
			"nothing that it listens on (192.0.2.8:1000) can serve Listen=192.0.2.7:443: let it listen on that address, or on all of them"},
		"the other family": {"Listen=[2001:db8::1]:443", "0.0.0.0:1000", nil,
			"nothing that it listens on (0.0.0.0:1000) can serve Listen=[2001:db8::1]:443: let it listen on that address, or on all of them"},
		"link-local only": {"Listen=443", "[fe80::1%eth0]:1000", nil,
			"nothing that it listens on ([fe80::1%eth0]:1000) can serve Listen=443: let it listen on that address, or on all of them"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := cover(section(t, tt.section), listeners(tt.listen))
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff(tt.err, message); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, text(got)); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if err == nil {
				r := nat.Redirect{Service: "app", Activation: "1", Scope: nat.Everyone, Targets: got}
				if err := valid(r); err != nil {
					t.Errorf("no rules can be made of them: %v", err)
				}
			}
		})
	}
}

func TestLoses(t *testing.T) {
	tests := map[string]struct {
		before, after string // listeners
		section       string // of the one after
		want          string
	}{
		"nothing":                         {"[::]:1", "[::]:2", "Listen=443", ""},
		"more than before":                {"0.0.0.0:1", "[::]:2", "Listen=443", ""},
		"IPv6":                            {"[::]:1", "0.0.0.0:2", "Listen=443", "IPv6 on port 443"},
		"IPv4":                            {"[::]:1", "[::]:2/6", "Listen=443", "IPv4 on port 443"},
		"all but one address":             {"0.0.0.0:1", "192.0.2.7:2", "Listen=443", "IPv4 on port 443"},
		"an address":                      {"192.0.2.7:1 192.0.2.8:1", "192.0.2.7:2", "Listen=443", "192.0.2.8:443"},
		"no address, with all":            {"192.0.2.7:1 192.0.2.8:1", "0.0.0.0:2", "Listen=443", ""},
		"an address for another":          {"192.0.2.7:1", "192.0.2.8:2", "Listen=443", "192.0.2.7:443"},
		"an endpoint that is given up":    {"[::]:1", "[::]:2", "Listen=80", ""},
		"an address that is given up":     {"192.0.2.7:1 192.0.2.8:1", "192.0.2.7:2", "Listen=192.0.2.7:443", ""},
		"all addresses, one is asked for": {"[::]:1", "[::]:2", "Listen=192.0.2.7:443", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before, err := cover(section(t, "Listen=443"), listeners(tt.before))
			if err != nil {
				t.Fatal(err)
			}
			in := section(t, tt.section)
			after, err := cover(in, listeners(tt.after))
			if err != nil {
				t.Fatal(err)
			}
			if got := loses(before, after, in, nat.DualStack); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestProbeAddrs(t *testing.T) {
	ts, err := cover(section(t, "Listen=443"), listeners("0.0.0.0:1000 [::]:1000/6"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := probeAddrs(ts, listeners("0.0.0.0:1000 [::]:1000/6 [::]:1000/6 127.0.0.1:22"))
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:1000"), netip.MustParseAddrPort("[::]:1000")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := probeAddrs(ts, listeners("127.0.0.1:22")); err == nil {
		t.Error("nothing listens, and that is no error")
	}
}
