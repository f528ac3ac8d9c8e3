package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// counts is what the daemon has, by its own count.
type counts struct {
	goroutines int
	heap       int       // bytes that are in use, or garbage
	collected  time.Time // when garbage was collected last
}

func (s *stage) counts() counts {
	s.Helper()
	body, _ := s.curl("http://s/metrics")
	value := func(name string) float64 {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(body)
		if m == nil {
			s.Fatalf("no %s in\n%s", name, body)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			s.Fatal(err)
		}
		return n
	}
	return counts{int(value("go_goroutines")), int(value("go_memstats_heap_alloc_bytes")),
		time.UnixMicro(int64(value("go_memstats_last_gc_time_seconds") * 1e6))}
}

// settled waits until the daemon has collected its garbage after a rush of
// clients that is over now, and returns what it has then.
func (s *stage) settled() (c counts) {
	s.Helper()
	over := time.Now()
	s.within(2*time.Minute, "garbage is collected after the rush", func() error {
		if c = s.counts(); c.collected.Before(over.Add(4 * time.Second)) {
			return fmt.Errorf("last at %s; the rush was over at %s", c.collected, over)
		}
		return nil
	})
	return c
}

// hostile is a process of clients that mean no good.
type hostile struct {
	cmd   *host.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
}

func (s *stage) hostile(uid int, args ...string) *hostile {
	s.Helper()
	cmd := s.host.Cmd(s.Context(), append([]string{"setpriv", fmt.Sprintf("--reuid=%d", uid), "--regid=5000", "--clear-groups", hostileHelper}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	h := &hostile{cmd, in, bufio.NewReader(out)}
	if line, err := h.lines.ReadString('\n'); line != "ready\n" {
		s.Fatalf("%q, %v", line, err)
	}
	return h
}

// end returns what it has done.
func (h *hostile) end() string {
	h.in.Close()
	line, _ := h.lines.ReadString('\n')
	h.cmd.Wait()
	return strings.TrimSpace(line)
}

const hostileHelper = "/opt/myapp/hostile"

// open returns how many connections to the control socket the daemon has accepted
// and not closed.
func (s *stage) open() (n int) {
	s.Helper()
	all, err := s.host.Run(s.Context(), "cat", "/proc/net/unix")
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(all) {
		// Num RefCount Protocol Flags Type St Inode Path; who is not accepted
		// yet is connecting (02), and has no inode.
		if f := strings.Fields(line); len(f) == 8 && f[5] == "03" && f[6] != "0" && f[7] == api.Socket {
			n++
		}
	}
	return n
}

// mostOpen is how many connections the daemon has at once, as docs/api.md says.
const mostOpen = 512

// A thousand clients that say nothing, half of which at most are let in while the
// others come back again and again, readers of events that do not read, and ten
// thousand malformed requests while fifty versions are switched under load: no
// client of the service notices, nobody else is kept out, and nothing is left of
// them: neither goroutines nor memory.
func TestControlHostileClients(t *testing.T) {
	t.Parallel()
	s := open(t, nft, map[string]string{hostileHelper: host.Build(t, "github.com/switcheroo/switcheroo/test/hostile")},
		socketUnit(t), keys("StandbySec=0", "DrainSec=1min"),
		map[string]string{"/etc/switcheroo/switcherood.conf": "[Switcherood]\nBackend=iptables-nft\n"})
	s.deploy("v0")
	s.deploy("v1") // what comes with the first deploys has come
	s.is("myapp@v0", "inactive")
	s.hostile(5000, "-idle=100").end() // and what comes with a first rush
	before := s.settled()
	pid := s.property("switcherood", "MainPID")
	rss, anon := s.status(pid, "VmRSS"), s.status(pid, "RssAnon")

	var clients []*hostile
	for i := range 8 { // several users, because each has a limit of its own
		clients = append(clients, s.hostile(5000+i, "-idle=125", "-stalled=5", "-malformed=2"))
	}
	stop := s.load(load.Config{Short: 6, Rate: 100, KeepAlive: 2, Requests: 20, Duration: load.MaxDuration,
		SourcePorts: load.PortRange{First: 20000, Last: 20499}}, fromItself, fromAnother)
	const n = 50
	var most, atOnce int
	for i := 2; i < 2+n; i++ {
		unit := fmt.Sprintf("myapp@v%d.service", i)
		s.start(unit)
		s.current(unit)
		// Root is let in, and answered.
		if body, status := s.curl("http://s/v1/services/myapp"); status != "200" || !strings.Contains(body, unit) {
			t.Errorf("%s: %s", status, body)
		}
		most = max(most, s.status(pid, "VmRSS"))
		atOnce = max(atOnce, s.open())
	}
	result := stop()
	idle, turned, sent := 0, 0, 0
	for _, c := range clients {
		line := c.end()
		var letIn, away, stalled, malformed, answered int
		if _, err := fmt.Sscanf(line, "idle %d, turned-away %d, stalled %d, malformed %d, answered %d", &letIn, &away, &stalled, &malformed, &answered); err != nil || stalled == 0 || answered == 0 {
			t.Errorf("%q: %v", line, err)
		}
		idle += letIn
		turned += away
		sent += malformed
	}
	lostNothing(t, result)
	// All of the thousand were there: a helper is ready once each of its own was
	// let in or turned away.
	if sent < 10000 || idle < mostOpen || turned < mostOpen {
		t.Errorf("only %d malformed requests; who said nothing was let in %d times only, or turned away %d times only", sent, idle, turned)
	}
	// One more is being turned away, and root's last is being closed. The list is
	// read while they come and go, thousands a second, so that one which is closed
	// and the next in its place may both be in it.
	if atOnce < mostOpen/2 || atOnce > mostOpen+mostOpen/16 {
		t.Errorf("%d connections were open at once at most", atOnce)
	}
	s.within(time.Minute, "all but the last one are gone", func() error {
		if all := s.systemctl("list-units", "--plain", "--no-legend", "myapp@*"); strings.Count(all, " loaded ") != 1 {
			return errors.New(all)
		}
		return nil
	})
	after := s.settled()
	resident, own := s.status(pid, "VmRSS"), s.status(pid, "RssAnon")
	t.Logf("%d switches, %d malformed requests; of 1000 that said nothing, some were let in %d times and turned away %d times; %d connections at once at most\nresident %d KiB before, %d at most meanwhile, %d after; of its own %d and %d KiB; heap %d and %d KiB; goroutines %d and %d\n%s",
		n, sent, idle, turned, atOnce, rss, most, resident, anon, own, before.heap>>10, after.heap>>10, before.goroutines, after.goroutines, tableOf(t, result))
	if now := s.property("switcherood", "MainPID"); now != pid {
		t.Errorf("the daemon was %s and is %s", pid, now)
	}
	if after.goroutines > before.goroutines+5 {
		t.Errorf("%d goroutines, and %d before", after.goroutines, before.goroutines)
	}
	// The events of fifty switches are kept, which takes a third of that.
	if after.heap > before.heap+1<<20 {
		t.Errorf("a heap of %d KiB, and %d before", after.heap>>10, before.heap>>10)
	}
	// Pages of the program's file, which are there since they were used, are the
	// kernel's to keep.
	if own > anon+4<<10 {
		t.Errorf("%d KiB of its own are resident, and %d were before", own, anon)
	}
	if most > 64<<10 {
		t.Errorf("resident memory was %d KiB", most)
	}
	if strings.Contains(s.journal(), "panic") {
		t.Errorf("it panicked:\n%s", s.journal())
	}
}
