package e2e

import (
	"strings"
	"testing"
)

// Connections outlive the table with their timeouts if somebody deletes it while
// no daemon owns it, and iptables-legacy leads on. The next daemon knows that
// they have others.
func TestTableLostWhileTheDaemonIsDown(t *testing.T) {
	t.Parallel()
	s := setWith(t, legacy)
	s.deploy("v1")
	const line = "may have the host's conntrack timeouts"
	if strings.Contains(s.journal(), line) {
		t.Error("said of a host that had no connection")
	}
	s.systemctl("restart", "switcherood")
	s.deploy("v2")
	if strings.Contains(s.journal(), line) {
		t.Error("said after a restart that lost nothing")
	}
	held := s.hold(server4 + ":8080")
	s.systemctl("stop", "switcherood")
	s.do("nft delete table inet switcheroo")
	s.systemctl("start", "switcherood")
	s.log(line)
	s.deploy("v3")
	held.says("v2")
	held.close()
	s.is("myapp@v2", "inactive")
}
