package control

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestUnitOf(t *testing.T) {
	for table, want := range map[string]string{
		"0::/system.slice/system-myapp.slice/myapp@v1.service\n":                        "myapp@v1.service",
		"9:name=systemd:/x.service\n0::/system.slice/a.service\n":                       "a.service",
		"0::/system.slice/evil.service/myapp@v1.service\n":                              "evil.service",
		"0::/system.slice/evil.service/system.slice/myapp@v1.service\n":                 "evil.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/myapp@v1.service\n": "user@1000.service",
		"0::/user.slice/user-1000.slice/session-3.scope\n":                              "session-3.scope",
		"0::/init.scope\n":                   "init.scope",
		"0::/system.slice/_cgroup.service\n": "cgroup.service",
		"0::/system.slice/__a.service\n":     "_a.service",
		"0::/system.slice\n":                 "",
		"0::/\n":                             "",
		"0::/../../myapp@v1.service\n":       "",
		"0::/docker/myapp@v1.service\n":      "",
		"1:cpu:/myapp@v1.service\n":          "",
		"":                                   "",
	} {
		if got := unitOf(table); got != want {
			t.Errorf("%q: %q, want %q", table, got, want)
		}
	}
}

func FuzzUnitOf(f *testing.F) {
	f.Add("0::/system.slice/a.service\n")
	f.Fuzz(func(t *testing.T, table string) { unitOf(table) })
}

// reuse is set in the process that TestReusedPid starts.
const reuse = "SWITCHEROO_TEST_REUSE"

// A process connects, hands its connection on and ends; another one gets its
// pid. Who uses the connection then is not taken for that one.
func TestReusedPid(t *testing.T) {
	switch os.Getenv(reuse) {
	case "connect":
		connectAndEnd(t)
		return
	case "inside":
		reusedPid(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root may choose pids")
	}
	// In a pid namespace of its own nobody else takes the pid.
	cmd := exec.CommandContext(t.Context(), "unshare", "--pid", "--fork", "--mount-proc", os.Args[0], "-test.run=^TestReusedPid$", "-test.v")
	cmd.Env = append(os.Environ(), reuse+"=inside")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !bytes.Contains(out, []byte("has the pid now")) {
		t.Error(err)
	}
}

// connectAndEnd connects to the socket named by the environment, and passes the
// connection to the process that has started this one, as its file 3.
func connectAndEnd(t *testing.T) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: os.Getenv("SWITCHEROO_TEST_SOCKET")}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(3, []byte("x"), unix.UnixRights(fd), nil, 0); err != nil {
		t.Fatal(err)
	}
}

func reusedPid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, fallback := range []bool{false, true} {
		t.Run(fmt.Sprintf("fallback %v", fallback), func(t *testing.T) {
			ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(ends[0])
			theirs := os.NewFile(uintptr(ends[1]), "theirs")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReusedPid$")
			cmd.Env = append(os.Environ(), reuse+"=connect", "SWITCHEROO_TEST_SOCKET="+path)
			cmd.ExtraFiles = []*os.File{theirs}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			pid := cmd.Process.Pid
			theirs.Close()
			c, err := l.AcceptUnix()
			if err != nil {
				t.Fatal(err)
			}
			p, err := newPeer(c)
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			if fallback { // as where the kernel has no SO_PEERPIDFD
				if p.held, err = unix.PidfdOpen(pid, 0); err != nil {
					t.Fatal(err)
				}
			}
			oob := make([]byte, unix.CmsgSpace(4))
			_, n, _, _, err := unix.Recvmsg(ends[0], make([]byte, 1), oob, 0)
			if err != nil || n == 0 {
				t.Fatalf("no connection was passed: %v", err)
			}
			messages, _ := unix.ParseSocketControlMessage(oob[:n])
			passed, err := unix.ParseUnixRights(&messages[0])
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(passed[0])
			if _, err := p.Unit(); err != nil && fallback == false {
				// It may have ended by now, but if it has not, it is known.
				t.Logf("before its end: %v", err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			other := sameAs(t, pid)
			defer func() {
				other.Process.Kill()
				other.Wait()
			}()
			if int(p.cred.Pid) != pid || unix.Kill(pid, 0) != nil {
				t.Fatalf("the peer was %d, and %d runs: %v", p.cred.Pid, pid, unix.Kill(pid, 0))
			}
			t.Logf("%s has the pid now", other.Path)
			if unit, err := p.Unit(); !errors.Is(err, errGone) {
				t.Errorf("the peer is taken to be in %q, %v", unit, err)
			}
			p.cred.Uid = 65534 // root may speak for others
			mayNot(t, p)
		})
	}
}

// mayNot checks that p may make no call for a unit, not even for its own.
func mayNot(t *testing.T, p *Peer) {
	t.Helper()
	s := &Server{Options: Options{Log: slog.New(slog.DiscardHandler)}}
	for i, r := range routes {
		if r.access < own {
			continue
		}
		for _, unit := range []string{"", "myapp@v1.service"} {
			if name, err := s.about(&call{route: &routes[i], peer: p}, unit); err == nil {
				t.Errorf("%s for %q: it may, for %q", r.path, unit, name)
			}
		}
	}
}

// sameAs starts a process with the pid given.
func sameAs(t *testing.T, pid int) *exec.Cmd {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid == pid {
			return cmd
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Fatalf("nothing gets the pid %d", pid)
	return nil
}
