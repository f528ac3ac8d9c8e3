package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/api"
)

// journalOf returns the journal's entries that match, as fields.
func (s *stage) journalOf(match ...string) (entries []map[string]any) {
	s.Helper()
	out, err := s.host.Run(s.Context(), append([]string{"journalctl", "--output=json", "--all", "--no-pager"}, match...)...)
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(out) {
		var e map[string]any
		if json.Unmarshal([]byte(line), &e) == nil {
			entries = append(entries, e)
		}
	}
	return entries
}

// What happens is in the journal with fields, is explained by its catalog, and
// shows in the status of the unit that it is about.
func TestControlJournalFields(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=0", "ProbeTimeoutSec=2"), map[string]string{
		"/usr/lib/systemd/catalog/switcheroo.catalog": packaged(t, "packaging/systemd/switcheroo.catalog"),
	}, instance("deaf", "[Service]\nType=simple\nExecStart=\nExecStart=/bin/sleep 1000\n"))
	s.do("journalctl --update-catalog")
	s.deploy("v1")
	s.deploy("v2")
	s.is("myapp@v1", "inactive")
	s.start("myapp@deaf")
	s.log("not switched to", "myapp@deaf.service")
	s.log("stopped", "myapp@v1.service")

	switched := s.journalOf("SWITCHEROO_EVENT=switched", "SWITCHEROO_UNIT=myapp@v2.service")
	if len(switched) != 1 {
		t.Fatalf("%d entries", len(switched))
	}
	e := switched[0]
	for field, want := range map[string]string{
		"SWITCHEROO_SERVICE": "myapp", "SWITCHEROO_FROM": "myapp@v1.service", "SWITCHEROO_REASON": "it is ready", "PRIORITY": "6",
		"SWITCHEROO_INVOCATION": s.property("myapp@v2", "InvocationID"), "OBJECT_SYSTEMD_UNIT": "myapp@v2.service",
		"_SYSTEMD_UNIT": "switcherood.service", "SYSLOG_IDENTIFIER": "switcherood", "_TRANSPORT": "journal",
	} {
		if e[field] != want {
			t.Errorf("%s=%v, want %s", field, e[field], want)
		}
	}
	if m := fmt.Sprint(e["MESSAGE"]); !strings.HasPrefix(m, "switched: service=myapp from=myapp@v1.service to=myapp@v2.service ") {
		t.Errorf("MESSAGE=%s", m)
	}
	// Its number is that of the event on the socket.
	all, err := s.api().Switches(t.Context(), "myapp")
	if err != nil || len(all) != 2 || fmt.Sprint(all[1].ID) != e["SWITCHEROO_EVENT_ID"] || all[1].Kind != api.Switched {
		t.Errorf("%v, %+v, %v", e["SWITCHEROO_EVENT_ID"], all, err)
	}
	// Each is explained.
	for _, event := range []string{"switched", "quiesced", "drained", "stopping", "stopped", "refused"} {
		entries := s.journalOf("SWITCHEROO_EVENT=" + event)
		if len(entries) == 0 {
			t.Errorf("no %s", event)
			continue
		}
		id := fmt.Sprint(entries[0]["MESSAGE_ID"])
		text := s.do("journalctl --no-pager --catalog --lines=1 MESSAGE_ID=" + id)
		if !strings.Contains(text, "Subject: ") || !strings.Contains(text, "Defined-By: Switcheroo") || strings.Contains(text, "@SWITCHEROO_") {
			t.Errorf("%s is not explained:\n%s", event, text)
		}
	}
	t.Log(s.do("journalctl --no-pager --catalog --lines=1 SWITCHEROO_EVENT=refused"))
	// Under the app's own unit.
	out, _ := s.host.Run(t.Context(), "systemctl", "status", "--no-pager", "--full", "myapp@v2")
	if !strings.Contains(out, "switched: service=myapp") {
		t.Errorf("systemctl status myapp@v2 does not show it:\n%s", out)
	}
	out, _ = s.host.Run(t.Context(), "systemctl", "status", "--no-pager", "--full", "myapp@deaf")
	if !strings.Contains(out, "not switched to") {
		t.Errorf("systemctl status myapp@deaf does not say why:\n%s", out)
	}
	// A journald that is restarted, or stopped for a while, loses nothing of
	// what comes after, and holds up nothing.
	s.do("systemctl kill --signal=STOP systemd-journald")
	s.start("myapp@v3")
	s.served("v3")
	s.do("systemctl kill --signal=CONT systemd-journald")
	s.systemctl("restart", "systemd-journald")
	s.deploy("v4")
	s.eventually("it is told", func() error {
		if n := len(s.journalOf("SWITCHEROO_EVENT=switched", "SWITCHEROO_UNIT=myapp@v4.service")); n != 1 {
			return fmt.Errorf("%d entries", n)
		}
		return nil
	})
}
