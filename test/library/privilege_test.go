package library

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// asNobody lets a program run without any privilege; only "sudo" has one: a
// command of that name which runs copies of iptables that may change rules.
func (s *stage) asNobody() (prefix []string) {
	s.do(`mkdir -m 755 /run/bin /run/bin/4 /run/bin/6
cp /usr/sbin/xtables-nft-multi /run/bin/4/iptables
cp /usr/sbin/xtables-nft-multi /run/bin/6/ip6tables
setcap cap_net_admin,cap_net_raw+ep /run/bin/4/iptables
setcap cap_net_admin,cap_net_raw+ep /run/bin/6/ip6tables
cat >/run/bin/sudo <<'END'
#!/bin/sh
case $1 in
iptables) shift; exec /run/bin/4/iptables "$@";;
ip6tables) shift; exec /run/bin/6/ip6tables "$@";;
esac
exit 1
END
printf '#!/bin/sh\nexec /run/bin/4/iptables "$@"\n' >/run/bin/mine
chmod 755 /run/bin/sudo /run/bin/mine`)
	return []string{"--reuid=65534", "--regid=65534", "--clear-groups", "--", "/usr/bin/env", "PATH=/run/bin:/usr/bin:/bin"}
}

// A program without privilege, by "sudo iptables" or by a command of its own:
// works, serialised by a lock of its user's, and says once what is missing.
func TestUnprivileged(t *testing.T) {
	for _, k := range []struct {
		api  []string
		ipv6 bool
	}{
		{[]string{"-api", "sudo"}, true},
		{[]string{"-api", "command", "-iptables", "/run/bin/mine"}, false},
	} {
		t.Run(k.api[1], func(t *testing.T) {
			s := set(t, "nft")
			nobody := s.asNobody()
			deploy := func(version string) *program {
				s.Helper()
				args := append(append(nobody, s.app, "-version", version), k.api...)
				p := s.start("/usr/bin/setpriv", args...)
				p.says("ready")
				return p
			}
			v1 := deploy("v1")
			s.answers("v1")
			stop := s.load(load.Config{Short: 4, KeepAlive: 4, Duration: load.MaxDuration}, nil, []string{server4 + ":8080"})
			v2 := deploy("v2")
			v1.ends()
			v3 := deploy("v3")
			v2.ends()
			s.lossless("without privilege", stop())
			s.answers("v3")
			if k.ipv6 {
				s.answers("v3", "["+server6+"]:8080")
			} else {
				s.refused("[" + server6 + "]:8080")
			}
			if n := strings.Count(v3.log.String(), "only sockets are looked at"); n != 1 {
				s.Errorf("said %d times what is missing: %s", n, v3.log)
			}
			if v1.err != nil || v2.err != nil {
				s.Errorf("ended with %v, %v", v1.err, v2.err)
			}
			if locks := s.do("ls -l /run/lock; ls /run"); !strings.Contains(locks, "switcheroo-65534-service-") || strings.Contains(locks, "run/switcheroo") {
				s.Errorf("locks: %s", locks)
			}
		})
	}
}

// Somebody else's file in the place of the lock, or a link, is not followed.
func TestLockIsNotFollowed(t *testing.T) {
	s := set(t, "nft")
	nobody := s.asNobody()
	args := append(append(nobody, s.app), "-api", "sudo")
	s.start("/usr/bin/setpriv", args...).says("ready")
	s.do(`cd /run/lock; for f in *service*; do rm $f; ln -s /run/elsewhere $f; done`)
	said := s.start("/usr/bin/setpriv", args...).fails()
	if err := containsAll(said, "open lock", "too many levels of symbolic links"); err != nil {
		s.Errorf("%v: %s", err, said)
	}
	s.do(`cd /run/lock; for f in *service*; do rm $f; touch $f; chmod 666 $f; done`)
	said = s.start("/usr/bin/setpriv", args...).fails()
	if !strings.Contains(said, "it belongs to uid 0") && !strings.Contains(said, "permission denied") {
		s.Errorf("said: %s", said)
	}
}

// Whatever iptables command fails, the old process keeps the traffic, nothing is
// half installed, and the error names the command and what it printed.
func TestIptablesFails(t *testing.T) {
	each(t, func(s *stage) {
		s.do(`mkdir /run/bin; for t in iptables ip6tables; do
cat >/run/bin/$t <<END
#!/bin/sh
n=\$((\$(cat /run/calls) + 1)); echo \$n >/run/calls
[ \$n = \$(cat /run/fail) ] && { echo "told to fail" >&2; exit 4; }
exec /usr/sbin/$t "\$@"
END
done; chmod 755 /run/bin/*`)
		v1 := s.deploy("v1", "-standby", "1h")
		was := s.rules()
		args := []string{"-iptables", "/run/bin/iptables", "-ip6tables", "/run/bin/ip6tables", "-standby", "1h"}
		for n, failed := 1, 0; ; n++ {
			s.do(fmt.Sprintf("echo 0 >/run/calls; echo %d >/run/fail", n))
			v2 := s.start(s.app, append([]string{"-version", "v2"}, args...)...)
			if _, ready := v2.within(patience, "ready"); ready {
				if failed < 12 {
					s.Errorf("only %d of its commands were failed", failed)
				}
				s.answers("v2")
				break
			}
			failed++
			if err := containsAll(v2.fails(), "/run/bin/ip", "-w 15 -t nat -", "exit status 4: told to fail"); err != nil {
				s.Errorf("command %d: %v", n, err)
			}
			if now := s.rules(); now != was {
				s.Fatalf("command %d failed, and rules have changed:\n%s\nfrom\n%s", n, now, was)
			}
			s.answers("v1")
		}
		time.Sleep(100 * time.Millisecond)
		if !v1.runs() {
			s.Error("v1 has ended")
		}
	})
}
