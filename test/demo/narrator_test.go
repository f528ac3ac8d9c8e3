package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNarrate(t *testing.T) {
	daemon := func(message string) entry {
		return entry{At: at(1), Unit: daemonUnit, Priority: 6, Message: message}
	}
	systemd := func(unit, id, message string) entry {
		return entry{At: at(1), Unit: unit, Systemd: true, ID: id, Message: message, Priority: 6}
	}
	told := func(who string, m mood, text string) *step { return &step{At: at(1), Who: who, Text: text, Mood: m} }
	for _, test := range []struct {
		name string
		e    entry
		want *step // nil: not told
	}{
		{"ready", daemon("ready: version=1.0 backend=iptables-nft"),
			told("switcherood", plain, "is up: it watches systemd and reads the units' files")},
		{"first switch", daemon(`switched: service=myapp from=none to=myapp@v1.service port=443->40123 took=14.05ms reason="it is ready"`),
			told("switcherood", good, "port 443 now leads to v1")},
		{"switch", daemon(`switched: service=myapp from=myapp@v1.service to=myapp@v2.service port=443->40123 took=14.05ms reason="it is ready"`),
			told("switcherood", good, "port 443 now leads to v2; open connections stay with v1")},
		{"quiesced", daemon("quiesced: service=myapp unit=myapp@v1.service took=41ms standby=2.959s"),
			told("switcherood", plain, "nothing is on its way to v1 any more; v1 is kept warm for 3 s, should the new one fail")},
		{"quiesced with no standby", daemon("quiesced: service=myapp unit=myapp@v1.service took=41ms standby=0s"),
			told("switcherood", plain, "nothing is on its way to v1 any more")},
		{"drained", daemon("drained: service=myapp unit=myapp@v1.service took=5s"),
			told("switcherood", plain, "the last connection of v1 has ended")},
		{"drain deadline", daemon("drain deadline: the rest is up to the application's own shutdown: service=myapp unit=myapp@v1.service connections=2 after=20s"),
			told("switcherood", bad, "v1 still has 2 connections; its own shutdown decides")},
		{"stopping", daemon("stopping: service=myapp unit=myapp@v1.service"),
			told("switcherood", plain, "asks systemd to stop v1")},
		{"stopped", daemon("stopped: service=myapp unit=myapp@v1.service after=6.2s"),
			told("switcherood", plain, "v1 has stopped")},
		{"never ready", daemon("not ready, and not switched to: service=myapp unit=myapp@v3.service result=timeout current=myapp@v2.service"),
			told("switcherood", good, "v3 never got ready: v2 keeps the port")},
		{"refused", daemon(`not switched to: service=myapp unit=myapp@v3.service reason="nothing listens" current=myapp@v2.service`),
			told("switcherood", bad, "does not switch to v3: nothing listens")},
		{"switched back", daemon("switched back: service=myapp from=myapp@v4.service to=myapp@v2.service port=443->40123 took=9ms reason=`\"v4\" died`"),
			told("switcherood", good, "port 443 leads to v2 again")},
		{"gone", daemon("old one has ended: service=myapp unit=myapp@v4.service result=exit-code"),
			told("switcherood", faint, "v4 is gone")},

		{"about itself", daemon("watching systemd: private=false"), nil},
		{"debug", entry{Unit: daemonUnit, Priority: 7, Message: "write rules: family=ip"}, nil},
		{"unknown", daemon("something new: service=myapp"), told("switcherood", plain, "something new: service=myapp")},
		{"unknown without fields", daemon("something new"), told("switcherood", plain, "something new")},
		{"known, but without a field", daemon("switched: service=myapp to=myapp@v2.service"),
			told("switcherood", plain, "switched: service=myapp to=myapp@v2.service")},
		{"unknown warning", entry{At: at(1), Unit: daemonUnit, Priority: 4, Message: "rules repaired"},
			told("switcherood", bad, "rules repaired")},

		{"systemd starts", systemd("myapp@v2.service", unitStarting, "Starting myapp@v2.service - myapp, version v2..."),
			told("systemd", plain, "starts v2")},
		{"systemd starts the daemon", systemd(daemonUnit, unitStarting, "Starting switcherood.service..."),
			told("systemd", plain, "starts switcherood")},
		{"systemd started the daemon", systemd(daemonUnit, unitStarted, "Started switcherood.service"), nil},
		{"systemd started", systemd("myapp@v2.service", unitStarted, "Started myapp@v2.service"),
			told("systemd", plain, "v2 says that it is ready")},
		{"systemd is out of patience", systemd("myapp@v3.service", "", "myapp@v3.service: start operation timed out. Terminating."),
			told("systemd", bad, "v3 is not ready in time: it has to stop")},
		{"systemd sees a death", entry{At: at(1), Unit: "myapp@v4.service", Systemd: true, ID: processEnded, Status: "1", Message: "Main process exited"},
			told("systemd", bad, "v4 has died, with exit status 1")},
		{"systemd says more", systemd("myapp@v4.service", "d9b373ed55a64feb8242e02dbe79a49c", "Failed with result 'exit-code'."), nil},

		{"an app's own line", entry{At: at(1), Unit: "myapp@v2.service", Priority: 6, Message: "listening on [::]:40123"},
			told("v2", faint, "listening on [::]:40123")},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got *step
			if s, ok := narrate(test.e); ok {
				got = &s
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseLog(t *testing.T) {
	for _, test := range []struct {
		line, message string
		fields        fields
	}{
		{"ready", "ready", nil},
		{"", "", nil},
		{"ready: version=1", "ready", fields{"version": "1"}},
		{"a: b", "a: b", nil},
		{"a: b: c=d e=f", "a: b", fields{"c": "d", "e": "f"}},
		{`a: b="c d" e=f`, "a", fields{"b": "c d", "e": "f"}},
		{`a: b="c: d=e"`, "a", fields{"b": "c: d=e"}},
		{`a: b="c \"d\""`, "a", fields{"b": `c "d"`}},
		{"a: b=`say \"c\"` d=", "a", fields{"b": `say "c"`, "d": ""}},
		{`a: b="c`, `a: b="c`, nil},
		{`a: b="c"d`, `a: b="c"d`, nil},
		{"a: b c=d", "a: b c=d", nil},
	} {
		message, f := parseLog(test.line)
		if message != test.message {
			t.Errorf("%q: the message is %q, want %q", test.line, message, test.message)
		}
		if diff := cmp.Diff(test.fields, f); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.line, diff)
		}
	}
}

func TestParseEntry(t *testing.T) {
	const stamps = `"__REALTIME_TIMESTAMP":"1800000000000001","__MONOTONIC_TIMESTAMP":"2000001",`
	base := entry{At: time.UnixMicro(1800000000000001), Mono: 2000001 * time.Microsecond, Priority: 6}
	with := func(change func(*entry)) entry {
		e := base
		change(&e)
		return e
	}
	for _, test := range []struct {
		name, text string
		want       entry
		ok         bool
	}{
		{"the daemon's", `{` + stamps + `"_SYSTEMD_UNIT":"switcherood.service","PRIORITY":"4","MESSAGE":"a"}`,
			with(func(e *entry) { e.Unit, e.Priority, e.Message = daemonUnit, 4, "a" }), true},
		{"systemd's", `{` + stamps + `"_SYSTEMD_UNIT":"init.scope","UNIT":"myapp@v4.service","MESSAGE_ID":"x","EXIT_STATUS":"1","MESSAGE":"a"}`,
			with(func(e *entry) { e.Unit, e.Systemd, e.ID, e.Status, e.Message = "myapp@v4.service", true, "x", "1", "a" }), true},
		{"bytes", `{` + stamps + `"MESSAGE":[97,255,98]}`, with(func(e *entry) { e.Message = "a\xffb" }), true},
		{"no message", `{` + stamps + `"PRIORITY":"6"}`, base, false},
		{"null", `{` + stamps + `"MESSAGE":null}`, base, false},
		{"no time", `{"MESSAGE":"a"}`, entry{}, false},
		{"no JSON", `-- No entries --`, entry{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseEntry([]byte(test.text))
			if ok != test.ok {
				t.Errorf("ok is %v, want %v", ok, test.ok)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever is in the journal, the narrator says something that can be shown.
func FuzzNarrate(f *testing.F) {
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","__MONOTONIC_TIMESTAMP":"1","_SYSTEMD_UNIT":"switcherood.service","MESSAGE":"switched: from=none to=myapp@v1.service port=443->1"}`))
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","__MONOTONIC_TIMESTAMP":"1","UNIT":"myapp@v1.service","MESSAGE":[97,98]}`))
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","__MONOTONIC_TIMESTAMP":"1","_SYSTEMD_UNIT":"switcherood.service","MESSAGE":"a: b=\"c\" d=` + "`e`" + `"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, ok := parseEntry(text)
		if !ok {
			return
		}
		if e.Message == "" {
			t.Fatal("an entry without a message")
		}
		message, parsed := parseLog(e.Message)
		if !strings.HasPrefix(e.Message, message) {
			t.Fatalf("%q does not begin with its message %q", e.Message, message)
		}
		if parsed == nil && message != e.Message {
			t.Fatalf("%q lost its end", e.Message)
		}
		if s, ok := narrate(e); ok && s.Who == "" && e.Unit != "" && version(e.Unit) != "" {
			t.Fatalf("nobody says %q", s.Text)
		}
	})
}
