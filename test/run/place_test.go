package run

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// As PID 1 of a container: orphans are waited for, signals reach the command,
// and its exit status is the container's.
func TestPID1(t *testing.T) {
	t.Parallel()
	s := set(t)
	contained := func(version string) *process {
		t.Helper()
		// The orphan's parent ends at once; what it leaves is for PID 1.
		orphan := `(sh -c 'sleep 0.1; echo orphan ends' &) ; exec "$@"`
		command := append([]string{"sh", "-c", orphan, "sh"}, s.install(version, standalones["python"])...)
		return s.starts(append([]string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
			s.switcheroo, "run", "-l", "8080", "--standby", "500ms", "--"}, command...)...)
	}
	one := contained("v1")
	one.says("ready: new connections come here")
	one.says("orphan ends")
	s.served("8080", "v1")
	// unshare is outside; its child is PID 1 inside.
	inside := s.children(one.cmd.Process.Pid)
	if len(inside) != 1 {
		t.Fatalf("unshare has the children %v", inside)
	}
	s.eventually("no zombie is left", func() error {
		for _, pid := range s.descendants(inside[0]) {
			if state := s.state(pid); state == "Z" {
				return fmt.Errorf("process %s is one", pid)
			}
		}
		return nil
	})
	if err := exec.CommandContext(t.Context(), "kill", "-TERM", inside[0]).Run(); err != nil {
		t.Fatal(err)
	}
	one.exits(killed)
	s.noRules()
}

// Two containers that share a network, but not their process ids, cannot see
// each other: the second one is refused, and the first one untouched.
func TestTwoContainers(t *testing.T) {
	t.Parallel()
	s := set(t)
	contained := func(version string) *process {
		t.Helper()
		command := s.install(version, standalones["python"])
		return s.starts(append([]string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
			s.switcheroo, "run", "-l", "8080", "--standby", "500ms", "--notify", "--"}, command...)...)
	}
	contained("v1").says("ready: new connections come here")
	stop := s.load("8080", load.Config{Short: 4, Rate: 100, KeepAlive: 2})
	two := contained("v2")
	two.says("error: process ", "cannot be seen from here, and serves on private port 40400")
	two.says("hint: if it is in another container, share the process ids")
	two.exits(1)
	s.nothingLost(stop(), "v1")
}

// A start right after the wrapper was killed, while the command is still there.
func TestStartAfterKill(t *testing.T) {
	t.Parallel()
	s := set(t)
	slow := []string{"sh", "-c", `trap 'sleep 1; kill $!; exit' TERM; "$@" & wait`, "sh"}
	one := s.run(append(append([]string{"-l", "8080", "-n", "web", "--notify", "--"}, slow...), s.install("v1", standalones["python"])...)...)
	one.says("ready: new connections come here")
	one.signal(unix.SIGKILL)
	<-one.done
	two := s.deploys("v2", standalones["python"])
	s.served("8080", "v2")
	two.signal(unix.SIGTERM)
	two.exits(killed)
	s.noRules()
}

// The server needs no privilege, and setpriv hands the listener on.
func TestUnprivilegedServer(t *testing.T) {
	t.Parallel()
	s := set(t)
	// Nobody else may look into a test's folder, but for this one.
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := s.run(append([]string{"-l", "8080", "--notify", "--", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, s.install("v1", standalones["python"])...)...)
	p.says("ready: new connections come here")
	s.served("8080", "v1")
	p.signal(unix.SIGTERM)
	p.exits(killed)
}

// In a unit of systemd's, without the daemon.
func TestInUnit(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/etc/systemd/system/web@.service": `[Service]
Type=notify
ExecStart=/usr/bin/switcheroo run -l 8080 --standby 500ms --notify -- python3 /opt/web/%i/server.py
KillMode=mixed
TimeoutStopSec=60
SuccessExitStatus=143
`}
	for _, v := range []string{"v1", "v2"} {
		files["/opt/web/"+v+"/server.py"] = example(t, "python/server.py")
	}
	s := bootWith(t, files, map[string]string{"/usr/bin/switcheroo": host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcheroo")})
	s.deploy("web", "v1", "8080")
	stop := s.load("8080", load.Config{Short: 4, Rate: 100, KeepAlive: 2})
	s.deploy("web", "v2", "8080")
	s.gone("web@v1")
	s.nothingLost(stop(), "v1", "v2")
	if _, err := s.machine.Systemctl(t.Context(), "stop", "web@v2"); err != nil {
		t.Fatal(err)
	}
	s.gone("web@v2")
}

// children returns the process ids of a process's children, as seen from here.
func (s *stage) children(pid any) []string {
	s.Helper()
	text := read(s, fmt.Sprintf("/proc/%v/task/%v/children", pid, pid))
	return strings.Fields(text)
}

func (s *stage) descendants(pid string) []string {
	s.Helper()
	all := []string{pid}
	for _, child := range s.children(pid) {
		all = append(all, s.descendants(child)...)
	}
	return all
}

func (s *stage) state(pid string) string {
	s.Helper()
	stat := read(s, "/proc/"+pid+"/stat")
	return strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])[0]
}

// Under su: no systemd, no terminal, another environment.
func TestUnderSu(t *testing.T) {
	t.Parallel()
	s := set(t)
	command := strings.Join(s.install("v1", standalones["python"]), " ")
	p := s.starts("su", "root", "-c", "exec "+s.switcheroo+" run -l 8080 --notify -- "+command)
	p.says("ready: new connections come here")
	s.served("8080", "v1")
	p.signal(unix.SIGTERM) // su passes it on
	p.says("python3 was killed by SIGTERM")
	<-p.done
	s.noRules()
}

// nohup keeps it from SIGHUP, and the command with it.
func TestNohup(t *testing.T) {
	t.Parallel()
	s := set(t)
	p := s.starts(append([]string{"nohup", s.switcheroo, "run", "-l", "8080", "--notify", "--"}, s.install("v1", standalones["python"])...)...)
	p.says("ready: new connections come here")
	p.signal(unix.SIGHUP)
	s.served("8080", "v1")
	p.signal(unix.SIGTERM)
	p.exits(killed)
	s.noRules()
}

// Nobody reads what it prints any more: that ends nothing.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	s := set(t)
	command := strings.Join(s.install("v1", standalones["python"]), " ")
	p := s.starts("bash", "-c", `trap 'kill -TERM $run' TERM
exec 3> >(head -n1)
`+s.switcheroo+` run -l 8080 --notify -- `+command+` 2>&3 3>&- & run=$!
wait $run; wait $run; echo "status $?"`)
	p.says("has started")
	s.eventually("v1 answers", func() error {
		if c, _ := s.answers("8080"); c != "v1" {
			return fmt.Errorf("%q", c)
		}
		return nil
	})
	p.signal(unix.SIGTERM)
	p.says("status 143")
	s.noRules()
}

// In a terminal: Ctrl-C drains, and the command does not get it from the
// terminal as well.
func TestInTmux(t *testing.T) {
	t.Parallel()
	s := set(t)
	socket := filepath.Join(s.dir, "tmux")
	tmux := func(args ...string) string {
		t.Helper()
		out, err := s.server.Run(t.Context(), append([]string{"tmux", "-S", socket, "-f", "/dev/null"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	command := strings.Join(s.install("v1", standalones["python"]), " ")
	tmux("new-session", "-d", "-x", "120", "-y", "40", s.switcheroo+" run -l 8080 -- "+command+`; echo "status $?"; sleep 1000`)
	defer s.server.Run(t.Context(), "tmux", "-S", socket, "kill-server")
	shows := func(words ...string) {
		t.Helper()
		s.eventually(fmt.Sprintf("the screen shows %q", words), func() error {
			screen := tmux("capture-pane", "-p", "-e")
			for _, w := range words {
				if !strings.Contains(screen, w) {
					return fmt.Errorf("it shows\n%s", screen)
				}
			}
			return nil
		})
	}
	// On a terminal there is colour.
	shows("ready: new connections come here", "\x1b[32m")
	says, end := s.hold(server4 + ":8080")
	says("v1")
	tmux("send-keys", "C-c")
	shows("SIGINT: waiting up to 30s for open connections")
	s.served("8080", "refused")
	says("v1") // the command lives
	end()
	shows("status 130")
	s.noRules()
}

// --list says what is served, and --cleanup ends it.
func TestList(t *testing.T) {
	t.Parallel()
	s := set(t)
	list := func(args ...string) string {
		t.Helper()
		out, err := s.server.Run(t.Context(), append([]string{s.switcheroo, "run", "--list"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := list(); got != "Nothing is served by switcheroo run.\n" {
		t.Errorf("an empty list is %q", got)
	}
	if got := list("--json=short"); got != "[]\n" {
		t.Errorf("an empty list is %q", got)
	}
	p := s.deploys("v1", standalones["python"])
	if got, want := list(), "NAME  LISTEN  PROCESS  PORT   STATE\nweb   8080    "; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "  40400  current\n") {
		t.Errorf("the list is\n%s", got)
	}
	for _, want := range []string{`"name": "web"`, `"listen": [`, `"scope": "both"`, `"port": 40400`, `"state": "current"`} {
		if got := list("--json"); !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	says, end := s.hold(server4 + ":8080")
	says("v1")
	next := s.deploys("v2", standalones["python"])
	next.says("new connections come here, not to process")
	if got := list(); !regexp.MustCompile(`(?m)^web   8080    [0-9]+ +40401  current\n {14}[0-9]+ +40400  finishing( for [0-9.]+ s)?$`).MatchString(got) {
		t.Errorf("the list is\n%s", got)
	}
	end()
	p.exits(0)
	p = next
	if out, err := s.server.Run(t.Context(), s.switcheroo, "run", "--list", "--name", "wbe"); err == nil || !strings.Contains(out, "switcheroo: error: no service \"wbe\"\nswitcheroo: hint: there is web\n") {
		t.Errorf("%v, %s", err, out)
	}
	// It goes on, and nobody comes any more.
	out, err := s.server.Run(t.Context(), s.switcheroo, "run", "--cleanup", "--name", "web")
	if err != nil || !strings.Contains(out, "still runs") || !strings.Contains(out, "clients of 8080 are refused") {
		t.Errorf("%v, %s", err, out)
	}
	s.served("8080", "refused")
	s.noRules()
	p.signal(unix.SIGTERM)
	p.exits(killed)
	s.noRules()
}
