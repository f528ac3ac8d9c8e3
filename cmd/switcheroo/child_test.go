package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// launch starts a command whose output it returns.
func launch(t *testing.T, c command) (*child, *os.File) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = in
	p, err := c.start()
	os.Stdout = stdout
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.signalAll(unix.SIGKILL)
		<-p.done
		out.Close()
	})
	out.SetReadDeadline(time.Now().Add(20 * time.Second))
	return p, out
}

func output(t *testing.T, out io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// listening returns a listener and its file.
func listening(t *testing.T) (net.Listener, *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return l, f
}

const printEnvironment = `echo "$LISTEN_FDS $LISTEN_FDNAMES $((LISTEN_PID == $$)) $NOTIFY_SOCKET $PORT"; readlink /proc/$$/fd/3 /proc/$$/fd/4`

func TestCommandGetsItsListener(t *testing.T) {
	t.Setenv("LISTEN_FDS", "7")
	t.Setenv("WATCHDOG_USEC", "1")
	l, f := listening(t)
	p, out := launch(t, command{args: []string{"sh", "-c", printEnvironment}, port: 40400, listener: f, notify: "@here"})
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fmt.Sprintf("1 switcheroo 1 @here \nsocket:[%d]\n", stat.Ino), output(t, out)); diff != "" {
		t.Errorf("the command for %v sees (-want +got):\n%s", l.Addr(), diff)
	}
	<-p.done
}

// What is no Go program may accept without a loop around EAGAIN.
func TestListenerIsBlocking(t *testing.T) {
	_, f := listening(t)
	_, out := launch(t, command{args: []string{"sh", "-c", "grep flags /proc/self/fdinfo/3"}, listener: f})
	var flags int
	if _, err := fmt.Sscanf(output(t, out), "flags: %o", &flags); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %o (%v): O_NONBLOCK is set", flags, err)
	}
}

func TestCommandGetsItsPort(t *testing.T) {
	_, out := launch(t, command{args: []string{"sh", "-c", printEnvironment + `; echo "$@"`, "sh", "--port={port}", "{port}", "{PORT}"}, port: 40400, notify: "@here"})
	if diff := cmp.Diff("  0 @here 40400\n--port=40400 40400 {PORT}\n", output(t, out)); diff != "" {
		t.Errorf("the command sees (-want +got):\n%s", diff)
	}
}

func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name, path string
		status     int
		says       string
	}{
		{"nowhere in PATH", "no-such-server", exitNotFound, "start no-such-server: executable file not found in $PATH"},
		{"no file", dir + "/none", exitNotFound, "no such file or directory"},
		{"a directory", dir, exitCannotExecute, "is a directory"},
		{"not executable", write("plain", "x", 0o644), exitCannotExecute, "permission denied"},
		{"no program", write("garbage", "x", 0o755), exitCannotExecute, "exec format error"},
		{"no interpreter", write("script", "#!/nonexistent/sh\n", 0o755), exitNotFound, "no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := command{args: []string{test.path}}.start()
			var f failure
			if !errors.As(err, &f) || f.status != test.status || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v (%#v), want status %d and %q", err, err, test.status, test.says)
			}
		})
	}
}

func TestExitStatus(t *testing.T) {
	for script, want := range map[string]string{
		"exit 0":      "0 ended with status 0",
		"exit 42":     "42 ended with status 42",
		"kill -9 $$":  "137 was killed by SIGKILL",
		"kill -15 $$": "143 was killed by SIGTERM",
	} {
		p, _ := launch(t, command{args: []string{"sh", "-c", script}})
		<-p.done
		status, how := p.exit()
		if got := fmt.Sprintf("%d %s", status, how); got != want {
			t.Errorf("%q: %s, want %s", script, got, want)
		}
	}
}

// A signal to all reaches the server behind a shell that waits for it.
func TestSignals(t *testing.T) {
	p, out := launch(t, command{args: []string{"sh", "-c", `trap 'echo hup' HUP; sh -c "trap 'echo inner term; exit 3' TERM; trap 'echo inner hup' HUP; echo ready; while :; do sleep 0.01; done"; echo outer; exit $?`}})
	lines := newLines(out)
	lines.want(t, "ready")
	p.signal(unix.SIGHUP) // the outer one alone; it tells once the inner one has ended
	p.signalAll(unix.SIGUSR2)
	<-p.done
	if _, how := p.exit(); how != "was killed by SIGUSR2" {
		t.Errorf("it %s", how)
	}
	p.signal(unix.SIGTERM) // nobody any more
}

// lines reads output line by line.
type lines struct{ r *os.File }

func newLines(r *os.File) lines { return lines{r} }

func (l lines) want(t *testing.T, want string) {
	t.Helper()
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := l.r.Read(b); err != nil {
			t.Fatalf("waiting for %q: %v after %q", want, err, line)
		}
		if b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	if string(line) != want {
		t.Fatalf("it says %q, want %q", line, want)
	}
}

// Nothing that a command has started outlives it: it would hold the port.
func TestGroupEndsWithTheCommand(t *testing.T) {
	p, out := launch(t, command{args: []string{"sh", "-c", "sleep 1000 & echo $!"}})
	<-p.done
	// The pipe ends when sleep has.
	var pid int
	if _, err := fmt.Sscan(output(t, out), &pid); err != nil || pid == 0 {
		t.Fatal(err)
	}
}

// A command gets SIGTERM if we are killed.
func TestCommandEndsWithUs(t *testing.T) {
	if os.Getenv("KILLED_PARENT") != "" {
		p, err := command{args: []string{"sh", "-c", `trap 'echo terminated; exit' TERM; echo ready; while :; do sleep 0.01; done`}}.start()
		if err != nil {
			t.Fatal(err)
		}
		<-p.done
		return
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestCommandEndsWithUs$")
	cmd.Env = append(os.Environ(), "KILLED_PARENT=1", "SWITCHEROO_TEST_ALONE=1")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.SetReadDeadline(time.Now().Add(20 * time.Second))
	l := newLines(out)
	l.want(t, "ready")
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.want(t, "terminated")
	cmd.Wait()
}
