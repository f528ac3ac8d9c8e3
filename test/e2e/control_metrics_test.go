package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exported returns the metrics in an exposition with their types, and all label
// names of each.
func exported(text string) (types map[string]string, labels map[string][]string, samples map[string]string) {
	types, labels, samples = map[string]string{}, map[string][]string{}, map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
			types[f[2]] = f[3]
			continue
		}
		name, value, ok := strings.Cut(line, " ")
		if i := strings.LastIndexByte(line, ' '); strings.Contains(line, "{") {
			name, value = line[:i], line[i+1:]
		}
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		samples[name] = value
		bare, inside, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		for _, m := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(inside, -1) {
			if !slices.Contains(labels[bare], m[1]) {
				labels[bare] = append(labels[bare], m[1])
			}
		}
	}
	return types, labels, samples
}

// The daemon exports what docs/metrics.md says, and nothing else of its own; the
// dashboard and the alerts ask for nothing but that.
func TestControlMetrics(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=0", "ProbeTimeoutSec=2"), map[string]string{"/etc/switcheroo/switcherood.conf.d/metrics.conf": "[Switcherood]\nMetricsListen=127.0.0.1:9599\n"},
		instance("deaf", "[Service]\nType=simple\nExecStart=\nExecStart=/bin/sleep 1000\n"),
		instance("exits", "[Service]\nExecStart=\nExecStart=/bin/false\n"))
	s.deploy("v1")
	s.deploy("v2")
	s.is("myapp@v1", "inactive")
	s.log("stopped", "myapp@v1.service")
	s.start("myapp@deaf")
	s.log("not switched to", "myapp@deaf.service")
	s.host.Systemctl(t.Context(), "start", "myapp@exits")
	s.log("not ready", "myapp@exits.service")
	s.do("systemctl restart dbus")
	s.log("watching systemd")
	held := s.hold(server4 + ":8080")
	defer held.close()
	s.do("iptables-nft -t nat -F PREROUTING")
	s.log("rules repaired")

	var text string
	s.eventually("all is counted", func() error {
		text = s.do("curl -sS -m 20 http://127.0.0.1:9599/metrics")
		_, _, samples := exported(text)
		for name, want := range map[string]string{
			`switcheroo_switches_total{result="switched",service="myapp"}`:                 "2",
			`switcheroo_switches_total{result="refused",service="myapp"}`:                  "1",
			`switcheroo_switches_total{result="not_ready",service="myapp"}`:                "1",
			`switcheroo_switch_duration_seconds_count`:                                     "2",
			`switcheroo_quiesce_duration_seconds_count`:                                    "1",
			`switcheroo_drain_duration_seconds_count`:                                      "1",
			`switcheroo_service_up{service="myapp"}`:                                       "1",
			`switcheroo_current{service="myapp",unit="myapp@v2.service",version="v2"}`:     "1",
			`switcheroo_connections{service="myapp",state="open",unit="myapp@v2.service"}`: "1",
			`switcheroo_instances{service="myapp",state="current"}`:                        "1",
			`switcheroo_instances{service="myapp",state="refused"}`:                        "1",
			`switcheroo_repairs_total`:                                                     "1",
			`switcheroo_dbus_reconnects_total`:                                             "1",
			`switcheroo_probes_total{kind="tcp",result="ok"}`:                              "2",
		} {
			if samples[name] != want {
				return fmt.Errorf("%s is %q, want %s", name, samples[name], want)
			}
		}
		for _, name := range []string{"switcheroo_conntrack_entries", "switcheroo_conntrack_entries_limit", "process_resident_memory_bytes", "go_goroutines"} {
			if samples[name] == "" || samples[name] == "0" {
				return fmt.Errorf("%s is %q", name, samples[name])
			}
		}
		return nil
	})
	types, labels, _ := exported(text)

	documented := map[string]string{}
	documentedLabels := map[string][]string{}
	for line := range strings.Lines(packaged(t, "docs/metrics.md")) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || !strings.Contains(cells[1], "`switcheroo_") {
			continue
		}
		name := strings.Trim(cells[1], " `")
		documented[name] = strings.TrimSpace(cells[2])
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[3], -1) {
			documentedLabels[name] = append(documentedLabels[name], m[1])
		}
	}
	own := map[string]string{}
	for name, typ := range types {
		if strings.HasPrefix(name, "switcheroo_") {
			own[name] = typ
			if typ != "histogram" {
				slices.Sort(labels[name])
				slices.Sort(documentedLabels[name])
				if diff := cmp.Diff(documentedLabels[name], labels[name]); diff != "" {
					t.Errorf("labels of %s (-documented +exported):\n%s", name, diff)
				}
			}
		}
	}
	if diff := cmp.Diff(documented, own); diff != "" {
		t.Errorf("metrics (-documented +exported):\n%s", diff)
	}

	var dashboard any
	board := packaged(t, "packaging/grafana/switcheroo.json")
	if err := json.Unmarshal([]byte(board), &dashboard); err != nil {
		t.Error(err)
	}
	asked := 0
	for _, file := range []string{board, packaged(t, "packaging/prometheus/switcheroo.rules.yml")} {
		for _, name := range regexp.MustCompile(`\b(?:switcheroo|process|go)_[a-z_]+`).FindAllString(file, -1) {
			asked++
			base := name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if trimmed := strings.TrimSuffix(name, suffix); types[trimmed] == "histogram" {
					base = trimmed
				}
			}
			if types[base] == "" {
				t.Errorf("%s is asked for and not exported", name)
			}
		}
		for _, m := range regexp.MustCompile(`(switcheroo_[a-z_]+)\{([^}]*)\}`).FindAllStringSubmatch(file, -1) {
			for _, l := range regexp.MustCompile(`(\w+)(?:=~|!=|=)`).FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(labels[m[1]], l[1]) {
					t.Errorf("%s has no label %s", m[1], l[1])
				}
			}
		}
	}
	if asked < 20 {
		t.Errorf("only %d names found", asked)
	}
}
