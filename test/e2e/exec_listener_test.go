package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// shutListener shuts down the listener of another process as a server does that
// ends in its own way: it is one socket for all who have a copy.
const shutListener = `import ctypes, os, socket, sys
pid = int(sys.argv[1])
pidfd = os.pidfd_open(pid)
for name in os.listdir("/proc/%d/fd" % pid):
    if os.readlink("/proc/%d/fd/%s" % (pid, name)).startswith("socket:"):
        s = socket.socket(fileno=ctypes.CDLL(None).syscall(438, pidfd, int(name), 0))
        if s.family == socket.AF_INET6 and s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            s.shutdown(socket.SHUT_RDWR)
            print("shut down", s.getsockname()[1])
            break
`

// A server may shut its listener down, which is then the same for the copy that
// is kept: the next process has it listen again.
func TestExecListenerShutDown(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec("Restart=always", "RestartSec=100ms", "[Unit]", "StartLimitIntervalSec=0"), map[string]string{"/opt/shut.py": shutListener})
	s.deploy("v1")
	port := s.privatePort("v1")
	for range 3 {
		before := s.property("myapp@v1", "InvocationID")
		// Its server ends with an error of accept, if it is not killed before.
		out := s.do("pid=$(systemctl show --property=MainPID --value myapp@v1); python3 /opt/shut.py $pid; systemctl kill --signal=KILL --kill-who=main myapp@v1 || true")
		if !strings.Contains(out, fmt.Sprintf("shut down %d", port)) {
			t.Fatalf("%s", out)
		}
		s.restarted("v1", before)
		s.served("v1")
		s.keeps(1)
	}
	if got := s.privatePort("v1"); got != port {
		t.Errorf("it had port %d, and has %d", port, got)
	}
	if text := s.journal(); strings.Contains(text, "connections are refused until") {
		t.Errorf("the rule was withdrawn:\n%s", text)
	}
}
