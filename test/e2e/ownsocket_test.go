package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/test/load"
)

// bySocket passes the server the listener of its own socket unit, whose port is
// in a drop-in for each instance.
func bySocket(ports map[string]int) map[string]string {
	all := execStart("/opt/myapp/server -version %i -listen fd $ARGS", "[Unit]", "Requires=myapp@%i.socket", "StartLimitIntervalSec=0")
	all["/etc/systemd/system/myapp@.socket"] = "[Socket]\nNoDelay=yes\n"
	for version, port := range ports {
		all["/etc/systemd/system/myapp@"+version+".socket.d/port.conf"] = fmt.Sprintf("[Socket]\nListenStream=%d\n", port)
	}
	return maps.Clone(all)
}

// The port is read from the instance's own socket unit. systemd holds the
// listener, so that a restart under load refuses nobody; and it holds it no
// longer than the instance is wanted.
func TestOwnSocket(t *testing.T) {
	t.Parallel()
	s := setExec(t, bySocket(map[string]int{"v1": 61501, "v2": 61502}), quickly)
	s.deploy("v1")
	if got := s.privatePort("v1"); got != 61501 {
		t.Errorf("private port %d", got)
	}
	stop := s.load(load.Config{Short: 8, Rate: 200, Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20999}}, fromItself, fromAnother)
	const restarts = 5
	for i := range restarts {
		before := s.property("myapp@v1", "InvocationID")
		line := "systemctl restart myapp@v1"
		if i == 2 {
			line = kill9 + "; " + line
		}
		s.do(line)
		s.restarted("v1", before)
	}
	s.deploy("v2")
	s.is("myapp@v1", "inactive")
	s.is("myapp@v1.socket", "inactive")
	result := stop()
	s.notRefused(result, restarts)
	lostNothing(t, result)
	if got := s.privatePort("v2"); got != 61502 {
		t.Errorf("private port %d", got)
	}
	// A stray connection does not start the old one.
	if got := s.fromHost("127.0.0.1:61501"); got != "refused" {
		t.Errorf("the old one's port: %q", got)
	}
	s.served("v2")
	// Nothing was kept by the daemon.
	s.keeps(0)
	s.systemctl("stop", "myapp@v2")
	s.log("connections are refused until")
	if text := s.journal(); strings.Count(text, "connections are refused until") != 1 {
		t.Errorf("%s", text)
	}
}
