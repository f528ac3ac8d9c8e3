package switcheroo

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

func TestSettings(t *testing.T) {
	good := Options{Name: "web", Listen: []string{"8080"}}
	for name, c := range map[string]struct {
		change func(*Options)
		want   string // in the error; "" for none
	}{
		"defaults":         {func(*Options) {}, ""},
		"no name":          {func(o *Options) { o.Name = "" }, "no service name"},
		"long name":        {func(o *Options) { o.Name = strings.Repeat("n", 181) }, "at most 180"},
		"line break":       {func(o *Options) { o.Name = "a\nb" }, "control character"},
		"no endpoint":      {func(o *Options) { o.Listen = nil }, "no endpoint"},
		"bad endpoint":     {func(o *Options) { o.Listen = []string{"http"} }, `endpoint "http"`},
		"no port":          {func(o *Options) { o.Listen = []string{"192.0.2.1:0"} }, "not a port"},
		"zone":             {func(o *Options) { o.Listen = []string{"[fe80::1%eth0]:80"} }, "zone"},
		"twice":            {func(o *Options) { o.Listen = []string{"80", "0.0.0.0:80"} }, "given twice"},
		"range":            {func(o *Options) { o.PortMin, o.PortMax = 2, 1 }, "not a range"},
		"half a range":     {func(o *Options) { o.PortMax = 70000 }, "not a range"},
		"public in range":  {func(o *Options) { o.Listen = []string{"40410"} }, "one of the private ports"},
		"probe":            {func(o *Options) { o.Probe = "https:/x" }, `probe "https:/x"`},
		"http probe":       {func(o *Options) { o.Probe = "http:/x" }, ""},
		"path without /":   {func(o *Options) { o.Probe = "http:x" }, `probe "http:x"`},
		"scope":            {func(o *Options) { o.Scope = 8 }, "scope 8"},
		"negative timeout": {func(o *Options) { o.ProbeTimeout = -1 }, "negative"},
	} {
		o := good
		c.change(&o)
		_, err := o.settings()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	s, err := good.settings()
	if err != nil || s.portMin != 40400 || s.portMax != 40499 || s.scope != nat.Everyone || s.standby != 10*time.Second ||
		s.drain != 5*time.Minute || s.probeTimeout != 30*time.Second || s.probe.kind != "tcp" || s.log == nil {
		t.Errorf("defaults: %+v, %v", s, err)
	}
	good.Standby, good.Drain = -1, -1
	if s, _ = good.settings(); s.standby != 0 || s.drain >= 0 {
		t.Errorf("negative: standby %v, drain %v", s.standby, s.drain)
	}
}

func TestTargets(t *testing.T) {
	at := func(addr string, v6only bool) sockdiag.Listener {
		return sockdiag.Listener{Addr: netip.MustParseAddrPort(addr), V6Only: v6only}
	}
	every, one := nat.Endpoint{Port: 80}, nat.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 80}
	for name, c := range map[string]struct {
		endpoint  nat.Endpoint
		scope     nat.Scope
		listeners []sockdiag.Listener
		rules     nat.Family
		want      nat.Family
		err       string
	}{
		"wildcard":                {every, nat.Everyone, []sockdiag.Listener{at("[::]:1", false)}, nat.DualStack, nat.DualStack, ""},
		"IPv6 only":               {every, nat.Everyone, []sockdiag.Listener{at("[::]:1", true)}, nat.DualStack, nat.IPv6, ""},
		"IPv4 only":               {every, nat.Everyone, []sockdiag.Listener{at("0.0.0.0:1", false)}, nat.DualStack, nat.IPv4, ""},
		"one each":                {every, nat.Everyone, []sockdiag.Listener{at("0.0.0.0:1", false), at("[::]:1", true)}, nat.DualStack, nat.DualStack, ""},
		"no rules for IPv6":       {every, nat.Everyone, []sockdiag.Listener{at("[::]:1", false)}, nat.IPv4, nat.IPv4, ""},
		"only IPv6, no rules":     {every, nat.Everyone, []sockdiag.Listener{at("[::]:1", true)}, nat.IPv4, 0, "rules for IPv4 alone"},
		"loopback":                {every, nat.Everyone, []sockdiag.Listener{at("127.0.0.1:1", false)}, nat.DualStack, 0, "listens on 127.0.0.1:1"},
		"loopback for this":       {every, nat.Localhost, []sockdiag.Listener{at("127.0.0.1:1", false)}, nat.DualStack, nat.IPv4, ""},
		"the endpoint itself":     {one, nat.Everyone, []sockdiag.Listener{at("192.0.2.1:1", false)}, nat.DualStack, nat.IPv4, ""},
		"another address":         {one, nat.Everyone, []sockdiag.Listener{at("192.0.2.2:1", false)}, nat.DualStack, 0, "listens on 192.0.2.2:1"},
		"an IPv4 address of [::]": {one, nat.Everyone, []sockdiag.Listener{at("[::]:1", false)}, nat.DualStack, nat.DualStack, ""},
	} {
		got, err := targets([]nat.Endpoint{c.endpoint}, 1, c.scope, c.listeners, c.rules)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", name, err, c.err)
			}
			continue
		}
		want := []nat.Target{{Endpoint: c.endpoint, Port: 1, Families: c.want}}
		if err != nil || !cmp.Equal(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestParseStart(t *testing.T) {
	const stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	if start, err := parseStart(stat); err != nil || start != 4711 {
		t.Errorf("%d, %v", start, err)
	}
	for _, bad := range []string{"", "12", "12 (a) S 1 2 3", "12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"} {
		if _, err := parseStart(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
	if start, err := startOf(os.Getpid()); err != nil || start == 0 {
		t.Errorf("of this process: %d, %v", start, err)
	}
}

// FuzzEndpoint: what is accepted is spelled in one way, which is accepted too.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"8080", ":8080", "192.0.2.7:8080", "[2001:db8::1]:443", "[::ffff:192.0.2.7]:80", "0.0.0.0:80", "[fe80::1%1]:80", "", ":", "99999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseEndpoint(s)
		if err != nil {
			return
		}
		if again, err := parseEndpoint(e.String()); err != nil || again != e {
			t.Errorf("%q is %v, which is %v, %v", s, e, again, err)
		}
	})
}
