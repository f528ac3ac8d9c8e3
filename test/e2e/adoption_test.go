package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// plain is a unit from before there was Switcheroo: it listens on the public
// port itself, knows nothing, and exits at once on SIGTERM.
const plain = `[Service]
DynamicUser=yes
ExecStart=/opt/myapp/server -version plain -mode abrupt -notify=false -listen [::]:8080

[Install]
WantedBy=multi-user.target
`

// adopted is what docs/adoption.md has added to it, which nothing restarts for.
const adopted = `[X-Switcheroo]
Listen=8080
Port=8080
Probe=none
DrainSec=2min
`

// setPlain opens a stage that Switcheroo has never been on: no rule is in the
// kernel, and no connection is tracked.
func setPlain(t *testing.T, b backend, files ...map[string]string) *stage {
	t.Helper()
	s := setWith(t, b, append(files, map[string]string{"/etc/systemd/system/myapp.service": plain})...)
	s.systemctl("stop", "switcherood")
	s.do("switcherood --cleanup; nft flush ruleset")
	s.systemctl("enable", "--now", "myapp")
	s.served("plain")
	if got := strings.TrimSpace(s.do("nft list ruleset; conntrack --count")); got != "0" {
		t.Fatalf("rules and connections tracked before: %s", got)
	}
	return s
}

// A server that listens on 8080 itself, under load, is replaced by one that does
// not, and nothing is lost: no connection from before the first rule, none that
// begins in a switch, and none from a source port that is used again.
func TestAdoption(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setPlain(t, b, keys("DrainSec=2min"))
			stop := s.load(load.Config{
				Short: 8, Rate: 1000, KeepAlive: 4, Requests: 400, Streams: 4, StreamFor: 4 * time.Second, Echo: 2,
				Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20499},
			}, fromItself, fromAnother)
			// Idle from before the first rule until after the switch.
			var held []*holder
			for _, addr := range fromAnother {
				held = append(held, s.hold(addr))
			}
			for _, addr := range fromItself {
				held = append(held, s.holdWithin(addr))
			}
			say := func(version string) {
				t.Helper()
				for _, h := range held {
					h.says(version)
				}
			}
			say("plain")

			s.start("switcherood")
			s.write(map[string]string{"/etc/systemd/system/myapp.service.d/switcheroo.conf": adopted})
			s.systemctl("daemon-reload")
			s.log("switched", "from=none", "to=myapp.service", "8080->8080")
			say("plain")
			s.deploy("v2")
			s.log("quiesced", "unit=myapp.service")
			say("plain")
			s.is("myapp", "active")
			for _, h := range held {
				h.close()
			}
			s.within(time.Minute, "the plain one is stopped", s.onlyRuns("myapp@v2.service"))
			s.is("myapp", "inactive")
			s.begun(1500) // every source port comes back a few times
			s.deploy("v3")
			s.within(time.Minute, "v2 is stopped", s.onlyRuns("myapp@v3.service"))
			result := stop()
			t.Logf("%s: adopted, and two switches\n%s", b, tableOf(t, result))
			lostNothing(t, result)
			enabled, _ := s.host.Systemctl(t.Context(), "is-enabled", "myapp", "myapp@v2", "myapp@v3") // its status says less than its output
			if got := strings.Fields(enabled); fmt.Sprint(got) != "[disabled disabled enabled]" {
				t.Errorf("enabled: %q", got)
			}
		})
	}
}

// Behind a firewall that names the public port, in the order that
// docs/adoption.md tells: it has tracked all connections from the beginning, and
// the old server's clients need its rule until that has gone.
func TestAdoptionBehindAFirewall(t *testing.T) {
	t.Parallel()
	s := setPlain(t, nft, keys("DrainSec=2min"))
	both := func(format string) {
		t.Helper()
		for _, tool := range []string{"iptables", "ip6tables"} {
			s.do(tool + " -w " + format)
		}
	}
	both("-A INPUT -i lo -j ACCEPT")
	both("-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
	both("-A INPUT -p tcp --dport 8080 -j ACCEPT")
	s.do("ip6tables -A INPUT -p ipv6-icmp -j ACCEPT") // or nobody finds anybody
	both("-P INPUT DROP")
	stop := s.load(load.Config{
		Short: 4, Rate: 300, KeepAlive: 4, Requests: 400, Streams: 4, StreamFor: 2 * time.Second,
		Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20199},
	}, fromItself, fromAnother)
	s.start("switcherood")
	s.write(map[string]string{"/etc/systemd/system/myapp.service.d/switcheroo.conf": adopted})
	s.systemctl("daemon-reload")
	s.log("switched", "from=none", "to=myapp.service", "8080->8080")
	both("-I INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8080 -j ACCEPT")
	s.deploy("v2")
	s.within(time.Minute, "the plain one is stopped", s.onlyRuns("myapp@v2.service"))
	both("-D INPUT -p tcp --dport 8080 -j ACCEPT")
	s.begun(1000)
	result := stop()
	t.Logf("adopted behind a firewall\n%s", tableOf(t, result))
	lostNothing(t, result)
}

// begun waits until the host has taken n more connections.
func (s *stage) begun(n int) {
	s.Helper()
	taken := func() int {
		// PassiveOpens of the second Tcp: line.
		count, err := strconv.Atoi(strings.TrimSpace(s.do(`awk '/^Tcp:/ { n = $7 } END { print n }' /proc/net/snmp`)))
		if err != nil {
			s.Fatal(err)
		}
		return count
	}
	before := taken()
	s.within(time.Minute, fmt.Sprintf("%d connections more", n), func() error {
		if more := taken() - before; more < n {
			return fmt.Errorf("%d", more)
		}
		return nil
	})
}
