package library

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// foreign are rules of another program, above and below ours.
const foreign = "-p tcp -m tcp --dport 9999 -j REDIRECT --to-ports 9998"

// A process that was deployed with the original is taken over under load: it
// gets its SIGTERM, and its rules go, others do not.
func TestTakeover(t *testing.T) {
	each(t, func(s *stage) {
		s.do("iptables -t nat -A PREROUTING " + foreign + "; iptables -t nat -A OUTPUT " + foreign)
		old := s.start(s.original, "-localhost")
		old.says("ready")
		s.do("iptables -t nat -I PREROUTING " + foreign + "; iptables -t nat -I OUTPUT " + foreign)
		s.answers("original")
		stop := s.load(load.Config{Short: 8, KeepAlive: 8, Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 21999}},
			[]string{"127.0.0.1:8080"}, []string{server4 + ":8080"})
		v1 := s.deploy("v1", "-api", "compatible", "-scope", "3")
		old.says("ended")
		old.ends()
		if old.err != nil {
			s.Errorf("the original ended with %v: %s", old.err, old.log)
		}
		s.lossless("takeover from the original", stop())
		s.answers("v1", server4+":8080", "["+server6+"]:8080")
		s.eventually("its rules are gone", func() bool {
			return strings.Count(s.rules(), "-N SWL-") == 4
		})
		rules := s.rules()
		if strings.Contains(rules, "SWITCHEROO:") {
			s.Errorf("rules of the original are left:\n%s", rules)
		}
		if n := strings.Count(rules, foreign); n != 4 {
			s.Errorf("%d of another program's 4 rules are left:\n%s", n, rules)
		}
		v2 := s.deploy("v2", "-api", "compatible", "-scope", "3")
		v1.ends()
		v2.signal(9)
	})
}

// Names are compared whole, and no pattern: the original of "ab" and that of
// "a.b" stay, whatever happens to "a" and "a|b".
func TestTakeoverIsExact(t *testing.T) {
	each(t, func(s *stage) {
		ab, dot := s.start(s.original, "-name", "ab", "-port", "8081"), s.start(s.original, "-name", "axb", "-port", "8082")
		ab.says("ready")
		dot.says("ready")
		for _, name := range []string{"a", "a|b", ".*", "a.b"} {
			v := s.deploy("v1", "-name", name, "-port", "8080")
			s.answers("v1")
			v.signal(15)
			v.ends()
		}
		if !ab.runs() || !dot.runs() {
			s.Error("an original of another name has ended")
		}
		s.answers("original", server4+":8081", server4+":8082")
	})
}

// A pid that is another process's by now: nobody is signalled, neither where
// the original's rule names it nor where ours does.
func TestPidReused(t *testing.T) {
	each(t, func(s *stage) {
		bystander := s.start("/bin/sleep", "1000")
		pid := strings.TrimSpace(s.do("pgrep -xf '/bin/sleep 1000'"))
		// The original's rule names it; another process listens on the port.
		other := s.start(s.original, "-name", "other", "-port", "8081")
		port := other.says("listening")
		other.says("ready")
		for _, port := range []string{port, "40477"} { // the second: nobody does
			s.do(fmt.Sprintf("iptables -t nat -I PREROUTING -p tcp --dport 8080 -m comment --comment SWITCHEROO:ns=myapp:port=%s:pid=%s -j REDIRECT --to-ports %[1]s", port, pid))
			v1 := s.deploy("v1")
			v1.says("settled")
			if err := containsAll(v1.log.String(), "not signalled", "pid="+pid); err != nil {
				s.Errorf("%v: %s", err, v1.log)
			}
			if rules := s.rules(); strings.Contains(rules, "ns=myapp:port") {
				s.Errorf("the rule is left:\n%s", rules)
			}
			v1.signal(15)
			v1.ends()
		}
		// Our own rules name it, with a start that is not its own.
		v1 := s.deploy("v1", "-standby", "1h")
		text := s.do("iptables -t nat -S | grep 'gen=1 ' | head -1")
		_, text, _ = strings.Cut(text, " pid=")
		was, _, _ := strings.Cut(text, " ")
		v1.signal(9)
		v1.ends()
		for _, tool := range []string{"iptables", "ip6tables"} {
			s.do(fmt.Sprintf(`%s-save -t nat | sed 's/ pid=%s / pid=%s /' | %s-restore`, tool, was, pid, tool))
		}
		v2 := s.deploy("v2")
		v2.says("settled")
		s.eventually("the dead one's rules are gone", func() bool { return !strings.Contains(s.rules(), "gen=1 ") })
		time.Sleep(200 * time.Millisecond) // a signal would be on its way
		if !bystander.runs() || !other.runs() {
			s.Error("a bystander was signalled")
		}
		s.answers("v2")
	})
}

// Two services side by side know nothing of each other, and one cannot take the
// other's port.
func TestSideBySide(t *testing.T) {
	each(t, func(s *stage) {
		a1 := s.deploy("a1", "-name", "a", "-port", "8080")
		b1 := s.deploy("b1", "-name", "b", "-port", "8081", "-api", "compatible")
		s.answers("a1", server4+":8080")
		s.answers("b1", server4+":8081")
		b2 := s.deploy("b2", "-name", "b", "-port", "8081", "-api", "compatible")
		b1.ends()
		said := s.start(s.app, "-name", "c", "-port", "8080").fails()
		if err := containsAll(said, "endpoint 8080", `service "a"`, "process"); err != nil {
			s.Error(err)
		}
		s.answers("a1", server4+":8080")
		s.answers("b2", server4+":8081")
		if !a1.runs() || !b2.runs() {
			s.Error("one of the other service has ended")
		}
		// One that is gone claims nothing.
		a1.signal(9)
		a1.ends()
		s.deploy("c1", "-name", "c", "-port", "8080")
		s.answers("c1", server4+":8080")
	})
}
