package config

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// checkErrors fails unless err is Errors whose every member has a place and
// can be printed.
func checkErrors(t *testing.T, err error) {
	t.Helper()
	var all Errors
	if !errors.As(err, &all) || len(all) == 0 {
		t.Fatalf("error %#v, want Errors", err)
	}
	last := 0
	for _, e := range all {
		switch {
		case e.File != "f" || e.Line < last || e.Line < 1:
			t.Errorf("%v: at %q:%d, after line %d", e, e.File, e.Line, last)
		case e.Message == "" || e.Hint == "":
			t.Errorf("%v: no message or no hint", e)
		case !utf8.ValidString(e.Error()) || strings.ContainsAny(e.Error(), "\n\r\x00\x1b"):
			t.Errorf("%q cannot be printed", e.Error())
		case len(e.Error()) > 2000:
			t.Errorf("%d bytes of message: %.200q", len(e.Error()), e.Error())
		}
		last = e.Line
	}
}

func FuzzParseInstance(f *testing.F) {
	for _, text := range []string{
		"Listen=https=443\nListen=http=80 [2001:db8::1]:8080\nPort=https=8443 http=8000\nPort=9090",
		"Listen=443\\\n# x\n 192.0.2.7:80\nPort=%i\nScope=network localhost\nProbe=http:/a?b=%%20",
		"Listen=443\nDrainSec=1h 30min\nStandbySec=.5\nGuard=off\nService=\"%p-%I\"",
		"Listen=\nListen='80\n[X-Switcheroo\n[x-switcheroo] \x00Foo\n=x\nX-Foo\xff=1\r\nGuard=\x1b",
		"Listen=127.0.0.1:80 [::1]:80 *:80 [fe80::1%eth0]:80 a=80 a=81\nPort=auto 80",
	} {
		f.Add("myapp@8001.service", []byte("[X-Switcheroo]\n"+text), uint16(30))
		f.Add("myapp@.service", []byte("[X-Switcheroo]\n"+text), uint16(0))
		f.Add(`my-app@\x2d.service`, []byte("[Service]\n[X-Switcheroo]\n"+text), uint16(60))
	}
	f.Fuzz(func(t *testing.T, unit string, data []byte, cut uint16) {
		name, badName := parseUnitName(unit)
		files := []File{{"f", data}}
		in, err := ParseInstance(unit, files)
		if err != nil {
			checkErrors(t, err)
			if in != nil {
				t.Errorf("an instance beside the error: %+v", in)
			}
			return
		}
		if in == nil {
			return
		}
		if badName != nil {
			t.Fatalf("an instance of %q", unit)
		}
		checkInstance(t, name, in)
		again, err := ParseInstance(unit, files)
		if diff := cmp.Diff(in, again, anAddr); diff != "" || err != nil {
			t.Errorf("parsed again: %v (-first +second):\n%s", err, diff)
		}
		// A drop-in that says nothing changes nothing, and no file panics when
		// it is cut short.
		same, err := ParseInstance(unit, append(files, File{"g", []byte("[X-Switcheroo]\n")}))
		if diff := cmp.Diff(in, same, anAddr); diff != "" || err != nil {
			t.Errorf("with an empty drop-in: %v (-without +with):\n%s", err, diff)
		}
		if _, err := ParseInstance(unit, []File{{"f", data[:min(int(cut), len(data))]}}); err != nil {
			checkErrors(t, err)
		}
	})
}

// checkInstance fails if in breaks what the documentation of Instance promises.
func checkInstance(t *testing.T, name unitName, in *Instance) {
	t.Helper()
	if len(in.Listen) == 0 && !name.template || len(in.ListenAt) != len(in.Listen) {
		t.Errorf("%d endpoints at %d places", len(in.Listen), len(in.ListenAt))
	}
	if s, f := parseService(in.Service); f != nil || s != in.Service {
		t.Errorf("service %q: %v", in.Service, f)
	}
	if in.Scope == 0 || in.Scope&^Everyone != 0 {
		t.Errorf("scope %d", in.Scope)
	}
	if p, f := parseProbe(in.Probe.String()); f != nil || p != in.Probe {
		t.Errorf("probe %+v: %+v, %v", in.Probe, p, f)
	}
	if in.ProbeTimeout <= 0 || in.ProbeTimeout == Infinity || in.Standby < 0 || in.Standby == Infinity || in.Drain < 0 {
		t.Errorf("times %v, %v, %v", in.ProbeTimeout, in.Standby, in.Drain)
	}
	public := make(map[uint16]uint16)
	for i, l := range in.Listen {
		if back, f := parseListen(l.String()); f != nil || back != l {
			t.Errorf("%+v reads as %q, which is %+v, %v", l, l, back, f)
		}
		for _, other := range in.Listen[:i] {
			if l.overlaps(other) {
				t.Errorf("%v overlaps %v", l, other)
			}
		}
		if in.Ports == nil {
			continue
		}
		private, ok := in.Ports[l.Name]
		if !ok || private == 0 {
			t.Errorf("%v has private port %d, %t", l, private, ok)
		}
		// Its own public port may be the private one, of a server that listens
		// there; another's may not.
		for _, other := range in.Listen {
			if other.Port == private && other.Port != l.Port {
				t.Errorf("%v has private port %d, which is public for %v", l, private, other)
			}
		}
		if other, taken := public[private]; taken && other != l.Port {
			t.Errorf("private port %d for %d and %d", private, other, l.Port)
		}
		public[private] = l.Port
	}
	if in.Ports == nil && !name.template {
		for _, l := range in.Listen {
			if l.Port != in.Listen[0].Port {
				t.Errorf("auto for %d and %d", in.Listen[0].Port, l.Port)
			}
		}
	}
	for _, c := range Conflicts([]*Instance{in, in}) {
		t.Errorf("it conflicts with itself: %v", c.Err())
	}
}

func FuzzParseDaemon(f *testing.F) {
	f.Add([]byte("[Switcherood]\nBackend=iptables-nft\nPrivatePorts=61000-64999\nLogLevel=debug\nMetricsListen=[::1]:9100\n"))
	f.Add([]byte("Backend=x\n[switcherood]\n[X-Switcheroo]\n[Switcherood]\nBackend=nftables\nPrivatePorts=9-1\nLogLevel=\nMetricsListen=:0\nfoo\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDaemon([]File{{"f", data}})
		if err != nil {
			checkErrors(t, err)
		}
		if _, f := parseBackend(string(d.Backend)); f != nil {
			t.Errorf("backend %q", d.Backend)
		}
		if r, f := parsePortRange(d.PrivatePorts.String()); f != nil || r != d.PrivatePorts {
			t.Errorf("ports %v: %v", d.PrivatePorts, f)
		}
		if d.MetricsListen != "" {
			if s, f := parseHostPort(d.MetricsListen); f != nil || s != d.MetricsListen {
				t.Errorf("metrics at %q: %q, %v", d.MetricsListen, s, f)
			}
		}
	})
}

func FuzzTimespan(f *testing.F) {
	for _, span := range timespans {
		f.Add(span)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseTimespan(s)
		if err != nil {
			if d != 0 {
				t.Errorf("%v beside %v", d, err)
			}
			return
		}
		if d == Infinity {
			if strings.TrimSpace(s) != "infinity" {
				t.Errorf("%q is infinite", s)
			}
			return
		}
		if d < 0 || d%time.Microsecond != 0 {
			t.Errorf("%q is %v", s, d)
		}
		// Adding up is what concatenation does.
		twice, err := ParseTimespan(s + " " + s)
		if d < math.MaxInt64/2 && (err != nil || twice != 2*d) {
			t.Errorf("%q is %v, twice that is %v, %v", s, d, twice, err)
		}
	})
}

func FuzzSpecifiers(f *testing.F) {
	for _, unit := range []string{"myapp.service", "myapp@.service", "a-b@c-d.service", `a@\xff\x00.service`} {
		for _, text := range []string{"", "plain", "%i%I%p%P%n%N%j%J%%", "100%", "%é", "%", `%%i \x2d`} {
			f.Add(unit, text)
		}
	}
	f.Fuzz(func(t *testing.T, unit, text string) {
		u, bad := parseUnitName(unit)
		if bad != nil {
			return
		}
		if got, known, f := u.expand(strings.ReplaceAll(text, "%", "%%")); f != nil || !known || got != text {
			t.Errorf("%q, escaped, is %q, %t, %v", text, got, known, f)
		}
		got, known, fault := u.expand(text)
		if fault != nil && got != "" {
			t.Errorf("%q beside %v", got, fault)
		}
		if fault == nil && !known && !u.template {
			t.Errorf("%q depends on the instance of %s", text, unit)
		}
		if fault == nil && !strings.Contains(text, "%") && got != text {
			t.Errorf("%q is %q", text, got)
		}
	})
}
