package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/api"
)

// Instances of one template share a user, and still none is given another's
// ports or listener, or hands one over in its name.
func TestExecInstancesAskForThemselves(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec(), keys("StandbySec=1min"), asking("v2", "reserve", "v1"), asking("v2", "keep", "v1"), asking("v2", "reserve", "v2"), asking("v2", "keep", "v2"))
	s.deploy("v1")
	s.deploy("v2")
	var uids [2]string
	for i, version := range []string{"v1", "v2"} {
		uids[i] = strings.TrimSpace(s.do("stat -c %u /proc/" + s.property("myapp@"+version, "MainPID")))
	}
	if uids[0] != uids[1] || uids[0] == "0" {
		t.Fatalf("they run as %q", uids)
	}
	s.systemctl("reload", "myapp@v2")
	for _, c := range []struct{ route, about, want string }{
		{"reserve", "v1", "403"}, {"keep", "v1", "403"}, {"reserve", "v2", "200"}, {"keep", "v2", "200"},
	} {
		if got := s.asked("v2", c.route, c.about); got != c.want {
			t.Errorf("v2 asks for %s of %s: %s, want %s", c.route, c.about, got, c.want)
		}
	}
	for _, verb := range []string{"reserve", "keep"} {
		s.log("call refused", "uid="+uids[0], "unit=myapp@v2.service", "verb="+verb, "about=myapp@v1.service")
	}
	// Nor may anybody else: not even who may deploy gets hold of an app's sockets.
	s.do("groupadd --gid 777 switcheroo")
	for _, groups := range []string{"", "777"} {
		for _, route := range []string{"reserve", "keep"} {
			for _, body := range []string{`{"unit":"myapp@v1"}`, `{"unit":"myapp@v1","listeners":true}`, `{}`} {
				if status, _ := s.as("65534", "65534", groups, route, body); status != "403" && (status != "400" || body == `{"unit":"myapp@v1"}`) {
					t.Errorf("%s of %s as nobody, groups %q: %s", route, body, groups, status)
				}
			}
		}
	}
}

// A cgroup with another unit's name is not that unit: neither by the control
// socket nor by the one for credentials.
func TestExecForgedCgroup(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec(), keys("StandbySec=1min"), map[string]string{
		"/etc/systemd/system/evil.service": "[Service]\nType=oneshot\nUser=nobody\nDelegate=yes\nExecStart=/bin/sh /opt/evil.sh\n",
		"/opt/evil.sh": `set -e
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
for forged in myapp@v1.service system.slice/myapp@v1.service; do
	mkdir -p "$own/$forged"
	echo $$ > "$own/$forged/cgroup.procs"
	sed -n 's/^0::/I am in /p' /proc/self/cgroup
	for route in reserve keep; do
		curl -sS -m 20 --unix-socket ` + api.Socket + ` -w '\nasked: %{http_code}\n' -d '{"unit":"myapp@v1"}' http://s/v1/$route
	done
done
python3 /opt/evil.py
`,
		"/opt/evil.py": forgedAddress,
	})
	s.deploy("v1")
	s.systemctl("start", "evil")
	s.eventually("it has asked", func() error {
		out, err := s.host.Journal(s.Context(), "evil.service")
		if err != nil {
			return err
		}
		if !strings.Contains(out, "I am in /system.slice/evil.service/myapp@v1.service") {
			return fmt.Errorf("no forged cgroup:\n%s", out)
		}
		if n := strings.Count(out, "asked: 403"); n != 4 {
			return fmt.Errorf("%d of 4 refused:\n%s", n, out)
		}
		if !strings.Contains(out, "credential: b''") {
			return fmt.Errorf("the credential:\n%s", out)
		}
		return nil
	})
	s.log("credential not given", "unit=myapp@v1.service")
	s.keeps(1)
}

// forgedAddress asks for a credential from the address that systemd would have.
const forgedAddress = `import socket
s = socket.socket(socket.AF_UNIX)
s.bind("\0adf9d86b6eda275e/unit/myapp@v1.service/port")
s.connect("/run/switcheroo/credential.sock")
print("credential:", s.recv(100))
`

// Root in another unit is not systemd either.
func TestExecCredentialOfAnother(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec(), map[string]string{
		"/opt/evil.py":                     forgedAddress,
		"/etc/systemd/system/evil.service": "[Service]\nType=oneshot\nExecStart=/usr/bin/python3 /opt/evil.py\n",
	})
	s.deploy("v1")
	s.systemctl("start", "evil")
	s.log("credential not given", "unit=myapp@v1.service", "uid=0", `a process of "evil.service" asks`)
	out, err := s.host.Journal(t.Context(), "evil.service")
	if err != nil || !strings.Contains(out, "credential: b''") {
		t.Errorf("%v:\n%s", err, out)
	}
}
