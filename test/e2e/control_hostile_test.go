package e2e

import (
	"bufio"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// goroutines returns how many the daemon has, by its own count.
func (s *stage) goroutines() int {
	s.Helper()
	body, _ := s.curl("http://s/metrics")
	m := regexp.MustCompile(`(?m)^go_goroutines (\d+)$`).FindStringSubmatch(body)
	if m == nil {
		s.Fatalf("no go_goroutines in\n%s", body)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// Clients of the control socket that mean no good, some thousands of malformed
// requests among what they do, while versions are switched under load: no client
// of the service notices, nobody else is kept out, and nothing is left of them.
func TestControlHostileClients(t *testing.T) {
	t.Parallel()
	const helper = "/opt/myapp/hostile"
	s := open(t, nft, map[string]string{helper: host.Build(t, "github.com/switcheroo/switcheroo/test/hostile")},
		socketUnit(t), keys("StandbySec=0", "DrainSec=1min"),
		map[string]string{"/etc/switcheroo/switcherood.conf": "[Switcherood]\nBackend=iptables-nft\n"})
	s.deploy("v0")
	s.deploy("v1") // what comes with the first deploys has come
	s.is("myapp@v0", "inactive")
	pid := s.property("switcherood", "MainPID")
	before, rss := s.goroutines(), s.status(pid, "VmRSS")

	var ends []func() string
	for i := range 4 { // several users, because each has a limit of its own
		cmd := s.host.Cmd(t.Context(), "setpriv", fmt.Sprintf("--reuid=%d", 5000+i), "--regid=5000", "--clear-groups",
			helper, "-idle=125", "-stalled=10", "-malformed=2")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "ready\n" {
			t.Fatalf("%q, %v", line, err)
		}
		ends = append(ends, func() string {
			in.Close()
			line, _ := lines.ReadString('\n')
			cmd.Wait()
			return line
		})
	}
	stop := s.load(load.Config{Short: 6, Rate: 100, KeepAlive: 2, Requests: 20, Duration: load.MaxDuration,
		SourcePorts: load.PortRange{First: 20000, Last: 20499}}, fromItself, fromAnother)
	const n = 6
	var most int
	for i := 2; i < 2+n; i++ {
		unit := fmt.Sprintf("myapp@v%d.service", i)
		s.start(unit)
		s.current(unit)
		// Root is let in, and answered.
		if body, status := s.curl("http://s/v1/services/myapp"); status != "200" || !strings.Contains(body, unit) {
			t.Errorf("%s: %s", status, body)
		}
		most = max(most, s.status(pid, "VmRSS"))
	}
	result := stop()
	sent := 0
	for _, end := range ends {
		line := end()
		t.Log(strings.TrimSpace(line))
		var idle, stalled, malformed, answered int
		if _, err := fmt.Sscanf(line, "idle %d, stalled %d, malformed %d, answered %d", &idle, &stalled, &malformed, &answered); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		sent += malformed
	}
	lostNothing(t, result)
	if sent < 1000 {
		t.Errorf("only %d malformed requests", sent)
	}
	if now := s.property("switcherood", "MainPID"); now != pid {
		t.Errorf("the daemon was %s and is %s", pid, now)
	}
	s.within(time.Minute, "nothing is left of them", func() error {
		if now := s.goroutines(); now > before+5 {
			return fmt.Errorf("%d goroutines, and %d before", now, before)
		}
		return nil
	})
	after := s.status(pid, "VmRSS")
	t.Logf("%d switches, %d malformed requests; resident %d KiB before, %d at most meanwhile, %d after; goroutines %d and %d\n%s",
		n, sent, rss, most, after, before, s.goroutines(), tableOf(t, result))
	if most > 64<<10 {
		t.Errorf("resident memory was %d KiB", most)
	}
	if strings.Contains(s.journal(), "panic") {
		t.Errorf("it panicked:\n%s", s.journal())
	}
}
