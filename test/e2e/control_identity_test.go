package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/api"
)

// as asks the daemon as another user, in the groups given, and returns the
// status of the answer and the code of its error.
func (s *stage) as(uid, gid, groups, route, body string) (status string, code api.Code) {
	s.Helper()
	args := []string{"setpriv", "--reuid=" + uid, "--regid=" + gid, "--groups=" + groups,
		"curl", "--silent", "--show-error", "--max-time", "20", "--unix-socket", api.Socket, "--write-out", "\n%{http_code}", "http://s/v1/" + route}
	if groups == "" {
		args[3] = "--clear-groups"
	}
	if body != "" {
		args = append(args, "--data", body)
	}
	out, err := s.host.Run(s.Context(), args...)
	if err != nil {
		s.Fatalf("%s as %s: %v\n%s", route, uid, err, out)
	}
	out = strings.TrimSpace(out)
	i := strings.LastIndexByte(out, '\n')
	var f api.Failure
	if json.Unmarshal([]byte(out[:max(i, 0)]), &f) == nil && f.Error != nil {
		code = f.Error.Code
	}
	return out[i+1:], code
}

// Reading is for everyone, changing for root and the group.
func TestControlNonMembersChangeNothing(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=1min"))
	s.deploy("v1")
	s.deploy("v2")
	const nobody = "65534"
	changes := map[string]string{
		"deploy":   `{"unit":"myapp@v1"}`,
		"rollback": `{"service":"myapp"}`,
		"pause":    `{"service":"myapp"}`,
		"resume":   `{"service":"myapp"}`,
		"drain":    `{"unit":"myapp@v2"}`,
		"wait":     `{"unit":"myapp@v2"}`,
		"reserve":  `{"unit":"myapp@v2"}`,
		"keep":     `{"unit":"myapp@v2","ports":[]}`,
	}
	reads, others := 0, map[string]string{"check": "{}"}
	for _, r := range route.FindAllStringSubmatch(packaged(t, "docs/api.md"), -1) {
		method, name := r[1], strings.TrimPrefix(strings.Replace(r[2], "{name}", "myapp", 1), "/v1/")
		body, read := others[name]
		switch {
		case name == "events" || name == "/metrics": // an answer without end, and one that is no JSON
			continue
		case changes[name] != "":
			continue
		case method != "GET" && !read:
			t.Errorf("the test does not know what %s %s may do", method, r[2])
			continue
		}
		reads++
		if status, code := s.as(nobody, nobody, "", name, body); status != "200" {
			t.Errorf("%s: %s %s", name, status, code)
		}
	}
	if reads < 9 {
		t.Errorf("only %d routes are for everyone", reads)
	}
	for _, groups := range []string{"", "4,20"} { // no group, no group of that name
		for route, body := range changes {
			if status, code := s.as(nobody, nobody, groups, route, body); status != "403" || code != api.Denied {
				t.Errorf("%s in groups %q: %s %s", route, groups, status, code)
			}
		}
	}
	s.served("v2")
	if svc, _ := s.curl("http://s/v1/services/myapp"); !strings.Contains(svc, `"current": "myapp@v2.service"`) || strings.Contains(svc, `"pause"`) {
		t.Errorf("something has changed: %s", svc)
	}
	for route := range changes {
		// A second one of the same sort is in the next line of its sort.
		n := 0
		for line := range strings.Lines(s.journal()) {
			if containsAll(line, []string{"call refused", "uid=65534 ", "unit=", "verb=" + route + " "}) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("refused calls of %s are in %d lines:\n%s", route, n, s.journal())
		}
	}
	// As soon as the group exists, its members may.
	s.do("groupadd --gid 777 switcheroo")
	if status, code := s.as(nobody, nobody, "4,20", "rollback", changes["rollback"]); status != "403" {
		t.Errorf("who is in other groups: %s %s", status, code)
	}
	if status, code := s.as(nobody, nobody, "4,777", "rollback", changes["rollback"]); status != "200" {
		t.Errorf("a member: %s %s", status, code)
	}
	s.served("v1")
	s.do("groupdel switcheroo")
	if status, _ := s.as(nobody, nobody, "4,777", "deploy", changes["deploy"]); status != "403" {
		t.Errorf("a member of what was the group: %s", status)
	}
}

// asking is a drop-in whose reload asks the daemon something, from inside the
// unit: as its user, in its cgroup, in its sandbox.
func asking(version, route, about string) map[string]string {
	return map[string]string{"/etc/systemd/system/myapp@" + version + ".service.d/ask-" + route + "-" + about + ".conf": fmt.Sprintf(
		"[Service]\nExecReload=/usr/bin/curl -sS -m 20 --unix-socket %s -w '\\nasked %s of %s: %%%%{http_code}\\n' -d '{\"unit\":\"myapp@%s\"}' http://s/v1/%s\n",
		api.Socket, route, about, about, route)}
}

// asked returns the status of the answer that an instance got.
func (s *stage) asked(version, route, about string) string {
	s.Helper()
	var status string
	s.eventually("it has asked", func() error {
		out, err := s.host.Journal(s.Context(), "myapp@"+version+".service")
		if err != nil {
			return err
		}
		_, after, ok := strings.Cut(out, "asked "+route+" of "+about+": ")
		if !ok {
			return fmt.Errorf("%s", out)
		}
		status, _, _ = strings.Cut(after, "\n")
		return nil
	})
	return strings.TrimSpace(status)
}

// All instances of a template may share one user, and still each asks for
// itself only.
func TestControlInstancesAskForThemselves(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=1min"), asking("v2", "drain", "v1"), asking("v2", "wait", "v1"), asking("v2", "deploy", "v2"), asking("v2", "wait", "v2"))
	s.deploy("v1")
	s.deploy("v2")
	uids := [2]string{}
	for i, version := range []string{"v1", "v2"} {
		uids[i] = s.do("stat -c %u /proc/" + s.property("myapp@"+version, "MainPID"))
	}
	if uids[0] != uids[1] || strings.TrimSpace(uids[0]) == "0" {
		t.Fatalf("they run as %q", uids)
	}
	s.systemctl("reload", "myapp@v2")
	for _, c := range []struct{ route, about, want string }{
		{"drain", "v1", "403"}, {"wait", "v1", "403"}, {"deploy", "v2", "403"}, {"wait", "v2", "200"},
	} {
		if got := s.asked("v2", c.route, c.about); got != c.want {
			t.Errorf("v2 asks for %s of %s: %s, want %s", c.route, c.about, got, c.want)
		}
	}
	s.log("call refused", "uid="+strings.TrimSpace(uids[0]), "unit=myapp@v2.service", "verb=drain", "about=myapp@v1.service")
	if got := s.stateOf("myapp@v1.service"); got != api.Standby {
		t.Errorf("v1 is %s", got)
	}
}

// Whoever may make cgroups below its own does not become the unit that it
// names one after.
func TestControlForgedCgroup(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=1min"), map[string]string{
		"/etc/systemd/system/evil.service": "[Service]\nType=oneshot\nUser=nobody\nDelegate=yes\nExecStart=/bin/sh /opt/evil.sh\n",
		"/opt/evil.sh": `set -e
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
for forged in myapp@v1.service system.slice/myapp@v1.service; do
	mkdir -p "$own/$forged"
	echo $$ > "$own/$forged/cgroup.procs"
	sed -n 's/^0::/I am in /p' /proc/self/cgroup
	curl -sS -m 20 --unix-socket ` + api.Socket + ` -w '\nasked: %{http_code}\n' -d '{"unit":"myapp@v1"}' http://s/v1/drain
done
`,
	})
	s.deploy("v1")
	s.deploy("v2")
	s.systemctl("start", "evil")
	s.eventually("it has asked", func() error {
		out, err := s.host.Journal(s.Context(), "evil.service")
		if err != nil {
			return err
		}
		if !strings.Contains(out, "I am in /system.slice/evil.service/myapp@v1.service") || !strings.Contains(out, "I am in /system.slice/evil.service/system.slice/myapp@v1.service") {
			return fmt.Errorf("no forged cgroup:\n%s", out)
		}
		if n := strings.Count(out, "asked: 403"); n != 2 {
			return fmt.Errorf("%d of 2 refused:\n%s", n, out)
		}
		return nil
	})
	s.log("call refused", "unit=evil.service", "verb=drain", "about=myapp@v1.service")
	if got := s.stateOf("myapp@v1.service"); got != api.Standby {
		t.Errorf("v1 is %s", got)
	}
}
