package doctor

import (
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/doctor"
)

// A host on which nothing is wrong, also in the middle of a deploy.
func TestHealthy(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := open(t, map[string]string{"/etc/switcheroo/switcherood.conf": "[Switcherood]\nBackend=" + backend + "\n"}, "")
			s.quiet()
			s.do("switcheroo deploy -q myapp@v1 && switcheroo deploy -q myapp@v2")
			s.quiet()
			s.do("switcheroo wait -q --for=drained myapp@v2")
			s.quiet()
			if got := s.do("switcheroo doctor"); got != "14 checks, nothing wrong\n" {
				t.Errorf("it says %q", got)
			}
			s.do("switcheroo doctor -q >/tmp/quiet; test ! -s /tmp/quiet")
			// Everybody may ask, and the daemon alone knows all but what its
			// sandbox hides.
			got := s.do("runuser -u nobody -- curl --silent --fail --unix-socket /run/switcheroo/control.sock http://localhost/v1/doctor")
			if strings.Count(got, `"result": "ok"`) != len(doctor.Names())-1 || strings.Count(got, `"result": "unknown"`) != 1 {
				t.Errorf("the daemon says %s", got)
			}
			s.do("runuser -u nobody -- switcheroo doctor")
		})
	}
}

// Without the daemon, what can be seen without it.
func TestDaemonIsDown(t *testing.T) {
	t.Parallel()
	s := open(t, nil, "")
	s.do("systemctl stop switcherood.socket switcherood")
	d := s.finds(want{api.Broken, "daemon", "switcherood.service", "does not run", "systemctl start switcherood"})
	known := 0
	for _, e := range d.Checks {
		if e.Result == api.Unknown && e.Reason == "switcherood is not running" {
			continue
		}
		known++
	}
	if known != 4 || len(d.Checks) != 14 {
		t.Errorf("%d of %d checks are made: %+v", known, len(d.Checks), d.Checks)
	}
	s.do("sysctl -q -w net.ipv4.ip_local_port_range='32768 62000'")
	s.finds(want{api.Broken, "daemon", "", "", ""}, want{api.Doubtful, "ephemeral-range", "PrivatePorts=", "61000-62000", ""})
}

func TestLocks(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/run/switcheroo/rules.lock", "/run/xtables.lock"} {
		t.Run(path[strings.LastIndexByte(path, '/')+1:], func(t *testing.T) {
			t.Parallel()
			s := open(t, nil, "")
			s.do("systemd-run --quiet --unit=holder flock " + path + " sleep infinity; until grep -q FLOCK /proc/locks; do sleep 0.05; done")
			s.finds(want{api.Broken, "locks", path, "process ", "fuser -v " + path})
			s.do("systemctl stop holder")
			s.quiet()
		})
	}
}

// A process without the daemon serves what a unit wants: the unit is refused, and
// told whose it is.
func TestLibraryEndpoint(t *testing.T) {
	t.Parallel()
	s := open(t, nil, "systemd-run --quiet --unit=hello switcheroo run --name hello -l 8080 -- /opt/myapp/server -version hello -listen [::]:{port}; "+
		"until curl --silent --fail --max-time 5 http://127.0.0.1:8080/version; do sleep 0.05; done")
	out := s.do("switcheroo deploy myapp@v1 2>&1; echo $?")
	if !strings.Contains(out, `8080 is served by "hello" (process `) || !strings.HasSuffix(out, "\n6\n") {
		t.Errorf("deploy says %s", out)
	}
	s.finds(want{api.Broken, "library-endpoint", "myapp: 8080", `"hello" (process `, "end process "},
		want{api.Broken, "private-port", "myapp@v1.service", "", ""})
	if got := s.do("curl --silent --max-time 5 http://127.0.0.1:8080/version"); !strings.Contains(got, "hello") {
		t.Errorf("%s answers", got)
	}
	s.do("systemctl stop hello; switcheroo run --cleanup --name hello 2>/dev/null; true")
	s.do("until switcheroo wait -q myapp@v1 2>/dev/null; do sleep 0.2; done") // it is tried again
	s.quiet()
}

func TestForeignNAT(t *testing.T) {
	t.Parallel()
	s := open(t, nil, "")
	s.do("switcheroo deploy -q myapp@v1")
	s.do("iptables -t nat -I PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 9")
	s.finds(want{api.Broken, "foreign-nat", "-A PREROUTING -p tcp -m tcp --dport 8080", "", "iptables -t nat -I PREROUTING"})
	s.do("iptables -t nat -D PREROUTING 1")
	s.quiet()
}

func TestFirewall(t *testing.T) {
	t.Parallel()
	s := open(t, nil, "")
	s.do("switcheroo deploy -q myapp@v1")
	s.do("iptables -A INPUT -p tcp --dport 8080 -j DROP")
	s.finds(want{api.Doubtful, "firewall", "--dport 8080 -j DROP", "", "--ctorigdstport 8080"})
	s.do("iptables -F INPUT")
	s.quiet()
	s.do("iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -p tcp --dport 8080 -j ACCEPT; iptables -P INPUT DROP")
	d := s.finds(want{api.Broken, "firewall", "", "", "--ctorigdstport 8080"})
	// What it says to do is a remedy.
	for _, a := range d.Ailments {
		s.do(a.Remedy)
	}
	s.quiet()
}

func TestPrivatePort(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{
		"/etc/systemd/system/myapp@open.service.d/test.conf": "[X-Switcheroo]\nGuard=no\n",
		"/etc/systemd/system/myapp@two.service.d/test.conf":  "[Service]\nEnvironment=\"ARGS=-listen [::]:61001 -listen [::]:61002\"\n",
	}, "")
	s.do("switcheroo deploy -q myapp@open")
	s.finds(want{api.Doubtful, "private-port", "myapp@open.service: ", "Guard=no", "leave out Guard=no"})
	s.do("switcheroo deploy -q --wait=drained myapp@v1")
	s.quiet()
	// One that is not switched to is guarded by nobody.
	s.do("! switcheroo deploy -q myapp@two 2>/dev/null")
	s.finds(want{api.Broken, "private-port", "myapp@two.service: [::]:61001", "can be dialled from outside", "or stop it"},
		want{api.Broken, "private-port", "myapp@two.service: [::]:61002", "", ""})
	s.do("systemctl stop myapp@two")
	s.quiet()
	// And a redirect of somebody else's leads past the guard.
	s.do(`iptables -t nat -A PREROUTING -p tcp --dport 8081 -j REDIRECT --to-ports $(switcheroo list --json=short | sed 's/.*"ports":\[\([0-9]*\)\].*/\1/')`)
	s.finds(want{api.Doubtful, "private-port", "-A PREROUTING -p tcp -m tcp --dport 8081", "of myapp@v1.service", "delete that rule"})
}

func TestMixedTables(t *testing.T) {
	t.Parallel()
	s := open(t, nil, "")
	s.do("switcheroo deploy -q myapp@v1")
	s.do("iptables-legacy -A INPUT -p tcp --dport 9 -j ACCEPT")
	s.finds(want{api.Doubtful, "mixed-tables", "iptables-legacy: IPv4 filter; iptables-nft: IPv4 nat, IPv6 nat", "both variants", "update-alternatives --config iptables"})
	s.do("iptables-legacy -F INPUT")
	s.quiet()
}

func TestIPv6NAT(t *testing.T) {
	t.Parallel()
	s := open(t, nil, "rm /usr/sbin/ip6tables*; ip link set lo up; ip -6 addr add 2001:db8::1/64 dev lo")
	s.finds(want{api.Doubtful, "ipv6-nat", "2001:db8::1", "not redirected", "ip6tables"})
	s.do("ip -6 addr del 2001:db8::1/64 dev lo")
	s.quiet()
}

func TestEphemeralRange(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{"/etc/systemd/system/myapp@fixed.service.d/test.conf": "[Service]\nEnvironment=\"ARGS=-listen [::]:40123\"\n[X-Switcheroo]\nPort=40123\n"}, "")
	s.do("sysctl -q -w net.ipv4.ip_local_port_range='32768 61999'")
	d := s.finds(want{api.Doubtful, "ephemeral-range", "/etc/switcheroo/switcherood.conf: PrivatePorts=", "61000-61999", "sysctl -w net.ipv4.ip_local_reserved_ports=61000-61999"})
	if got := s.do("switcheroo doctor; test $? = 11"); !strings.Contains(got, "14 checks: 0 errors, 1 warning\n") {
		t.Errorf("it says %s of %+v", got, d.Ailments)
	}
	s.do("sysctl -q -w net.ipv4.ip_local_reserved_ports=61000-61999")
	s.quiet()
	s.do("switcheroo deploy -q myapp@fixed")
	s.finds(want{api.Doubtful, "ephemeral-range", "myapp@fixed.service: Port=40123", "32768-61999", "ip_local_reserved_ports=40123"})
	s.do("sysctl -q -w net.ipv4.ip_local_reserved_ports=40123,61000-61999")
	s.quiet()
}

func TestUnits(t *testing.T) {
	t.Parallel()
	dropIn := "/etc/systemd/system/myapp@v1.service.d/test.conf"
	for name, c := range map[string]struct {
		text, then string
		want       want
	}{
		"unit-files": {"[X-Switcheroo]\nDrainSec=soon\n", "systemctl daemon-reload",
			want{api.Broken, "unit-files", "myapp@v1.service", dropIn + ":2: ", "correct the file"}},
		"daemon-reload": {"[Service]\nNice=1\n", "systemctl daemon-reload; touch " + dropIn,
			want{api.Doubtful, "daemon-reload", "myapp@v1.service", "changed on disk", "systemctl daemon-reload"}},
		"stop-timeout": {"[Service]\nExecStop=-/usr/bin/switcheroo drain %n\nTimeoutStopSec=1min\n", "systemctl daemon-reload",
			want{api.Doubtful, "stop-timeout", "myapp@v1.service", "DrainSec=5min, but systemd ends that after TimeoutStopSec=1min", "TimeoutStopSec=5min30s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, nil, "")
			s.do("switcheroo deploy -q myapp@v1")
			s.quiet()
			if err := s.WriteFile(dropIn, c.text); err != nil {
				t.Fatal(err)
			}
			s.do(c.then)
			s.finds(c.want)
			s.do("rm " + dropIn + "; systemctl daemon-reload")
			s.quiet()
		})
	}
}

func TestUnitOrder(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{"/etc/systemd/system/myapp@.service": strings.Replace(template, "After=switcherood.service\n", "", 1)}, "")
	s.do("switcheroo deploy -q myapp@v1")
	s.finds(want{api.Doubtful, "unit-order", "myapp@v1.service", "After=switcherood.service", "After=switcherood.service"})
}

// One that was killed because it did not stop in time.
func TestKilledAtStop(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{"/etc/systemd/system/myapp@deaf.service.d/test.conf": "[Service]\nType=simple\nTimeoutStopSec=1\nExecStart=\n" +
		"ExecStart=/bin/sh -c 'trap \"\" TERM; /opt/myapp/server -version deaf & while :; do sleep 1; done'\n"}, "")
	s.do("switcheroo deploy -q myapp@deaf && switcheroo deploy -q --wait=drained myapp@v1")
	s.finds(want{api.Doubtful, "stop-timeout", "myapp@deaf.service", "was killed", "TimeoutStopSec="})
	s.do("systemctl restart switcherood")
}
