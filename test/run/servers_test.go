package run

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// standalone is an example as a command of `switcheroo run`, with VERSION for
// the directory of a version.
type standalone struct {
	name    string   // of its folder in examples
	files   []string // of one version, there
	program string   // Go package in examples that is one more
	options []string
	command []string
	ended   int // the exit status after SIGTERM
}

const killed = 128 + int(unix.SIGTERM)

var standalones = map[string]standalone{
	"go-http": {name: "go-http", program: "go-http", command: []string{"VERSION/go-http", "-listen", ":{port}"}, ended: killed},
	"node":    {name: "node", files: []string{"server.js"}, command: []string{"node", "VERSION/server.js"}, options: []string{"--probe", "http:/"}, ended: killed},
	"python":  {name: "python", files: []string{"server.py"}, command: []string{"python3", "VERSION/server.py"}, options: []string{"--notify"}, ended: killed},
	"nginx":   {name: "nginx", files: []string{"start", "nginx.conf"}, command: []string{"VERSION/start"}, options: []string{"--port-only", "--probe", "http:/"}},
}

// install puts a version of an example where the place under test sees it, and
// returns the command that runs it.
func (s *stage) install(version string, e standalone) []string {
	s.Helper()
	for _, f := range e.files {
		mode := os.FileMode(0o644)
		if f == "start" {
			mode = 0o755
		}
		s.file(version+"/"+f, example(s, e.name+"/"+f), mode)
	}
	if e.program != "" {
		s.file(version+"/"+e.program, read(s, host.Build(s, "github.com/switcheroo/switcheroo/examples/"+e.program)), 0o755)
	}
	var command []string
	for _, word := range e.command {
		command = append(command, strings.Replace(word, "VERSION", filepath.Join(s.dir, version), 1))
	}
	return command
}

// deploys starts a version and waits until new connections go to it.
func (s *stage) deploys(version string, e standalone, options ...string) *process {
	s.Helper()
	args := append([]string{"-l", "8080", "--name", "web", "--standby", "500ms"}, e.options...)
	args = append(append(args, options...), "--")
	p := s.run(append(args, s.install(version, e)...)...)
	p.says("ready: new connections come here")
	return p
}

// Each example under `switcheroo run`: two versions, under load, and the end.
func TestExamplesStandalone(t *testing.T) {
	for name, e := range standalones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t)
			one := s.deploys("v1", e)
			s.served("8080", "v1")
			stop := s.load("8080", load.Config{Short: 4, Rate: 100, KeepAlive: 2})
			two := s.deploys("v2", e)
			one.exits(0)
			s.nothingLost(stop(), "v1", "v2")
			s.served("8080", "v2")
			two.signal(unix.SIGTERM)
			two.exits(e.ended)
			s.served("8080", "refused")
			s.noRules()
		})
	}
}

// Loss: one version after the other, nginx and node in turns, under a load that
// keeps both cores busy. SWITCHEROO_SWITCHES says how many.
func TestLoss(t *testing.T) {
	t.Parallel()
	switches := 4
	if n, err := strconv.Atoi(os.Getenv("SWITCHEROO_SWITCHES")); err == nil {
		switches = n
	}
	s := set(t)
	kinds := []standalone{standalones["nginx"], standalones["node"]}
	last := s.deploys("v0", kinds[1])
	versions := []string{"v0"}
	stop := s.load("8080", load.Config{Short: 8, KeepAlive: 4, SourcePorts: load.PortRange{First: 10000, Last: 31999}})
	for i := range switches {
		v := fmt.Sprintf("v%d", i+1)
		next := s.deploys(v, kinds[i%2])
		last.exits(0)
		last, versions = next, append(versions, v)
	}
	s.nothingLost(stop(), versions...)
}

// The library's example needs no wrapper, and can be run with one all the same.
func TestLibraryExample(t *testing.T) {
	t.Parallel()
	s := set(t)
	library := standalone{name: "go-library", program: "go-library", command: []string{"VERSION/go-library"}}
	start := func(version string) *process {
		t.Helper()
		p := s.starts(s.install(version, library)...)
		p.says("new connections come here")
		return p
	}
	one := start("v1")
	s.served("8080", "v1")
	stop := s.load("8080", load.Config{Short: 4, Rate: 100, KeepAlive: 2})
	two := start("v2")
	one.exits(0)
	s.nothingLost(stop(), "v1", "v2")
	two.signal(unix.SIGTERM)
	two.exits(0)
	s.served("8080", "refused")
	s.noRules()

	three := s.deploys("v3", library)
	s.served("8080", "v3")
	three.signal(unix.SIGTERM)
	three.exits(0)
	s.noRules()
}

func TestRedisStandalone(t *testing.T) {
	t.Parallel()
	s := set(t)
	deploy := func() *process {
		t.Helper()
		p := s.run("-l", "6379", "--standby", "500ms", "--notify", "--",
			"redis-server", "--port", "{port}", "--supervised", "systemd", "--protected-mode", "no", "--save", "", "--dir", s.dir)
		p.says("ready: new connections come here")
		return p
	}
	one := deploy()
	s.redisAnswers("40400")
	c := s.redisLoad("6379")
	two := deploy()
	one.exits(0)
	c.stop()
	s.nothingLostByRedis(c, "40400", "40401")
	two.signal(unix.SIGTERM)
	two.exits(0)
	s.noRules()
}

// A version that never gets ready, one that dies before it is, and one that
// dies in standby: the one before keeps, or gets back, the traffic.
func TestBadVersions(t *testing.T) {
	t.Parallel()
	s := set(t)
	python := standalones["python"]
	one := s.deploys("v1", python)
	stop := s.load("8080", load.Config{Short: 4, Rate: 100, KeepAlive: 2})

	silent := s.run("-l", "8080", "-n", "web", "--ready-timeout", "1s", "--", "sleep", "1000")
	silent.says("error: sleep: not ready on private port 40401 within 1s")
	silent.says("hint:", "file descriptor 3")
	silent.exits(6)

	mute := s.run(append([]string{"-l", "8080", "-n", "web", "--ready-timeout", "1s", "--notify", "--"}, s.install("v2", standalones["node"])...)...)
	mute.says("error: node: no READY=1 within 1s")
	mute.exits(6)

	dead := s.run("-l", "8080", "-n", "web", "--", "sh", "-c", "exit 42")
	dead.says("error:", "sh ended with status 42 before it was ready")
	dead.exits(42)
	dead = s.run("-l", "8080", "-n", "web", "--", "true")
	dead.exits(5)

	s.served("8080", "v1")
	s.nothingLost(stop(), "v1")

	// What it has in hand when it dies is lost with it, so there is no load.
	short := s.run(append([]string{"-l", "8080", "-n", "web", "--", "sh", "-c", `"$@" & sleep 2; kill -9 $!; exit 7`, "sh"}, s.install("v2", python)...)...)
	short.says("ready: new connections come here, not to process")
	short.says("new connections go to process", "again")
	short.says("error: sh ended with status 7")
	short.exits(7)
	s.served("8080", "v1")
	one.signal(unix.SIGTERM)
	one.exits(killed)
	s.noRules()
}

// If the wrapper itself is killed in standby, so is its command, and the one
// before takes the traffic back by itself.
func TestWrapperKilledInStandby(t *testing.T) {
	t.Parallel()
	s := set(t)
	one := s.deploys("v1", standalones["python"])
	two := s.deploys("v2", standalones["python"], "--standby", "1min")
	s.served("8080", "v2")
	two.signal(unix.SIGKILL)
	one.says("is dead: new connections come here again")
	s.served("8080", "v1")
	one.signal(unix.SIGTERM)
	one.exits(killed)
	s.noRules()
}

// SIGTERM: new connections are refused, open ones are waited for.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := set(t)
	p := s.deploys("v1", standalones["python"])
	says, end := s.hold(server4 + ":8080")
	says("v1")
	p.signal(unix.SIGTERM)
	p.says("SIGTERM: waiting up to 30s for open connections")
	s.served("8080", "refused")
	says("v1")
	end()
	p.exits(killed)
	s.noRules()
}

func TestDrainHasAnEnd(t *testing.T) {
	t.Parallel()
	s := set(t)
	p := s.deploys("v1", standalones["python"], "--drain", "1s")
	says, end := s.hold(server4 + ":8080")
	defer end()
	says("v1")
	p.signal(unix.SIGINT)
	p.says("connections are left after 1s")
	p.says("python3", "SIGINT") // python says KeyboardInterrupt, and dies of it
	p.exits(128 + int(unix.SIGINT))
	s.noRules()
}

// How long the version before may drain is the newer one's to say; it does not
// drain by itself once more.
func TestNewersDrainDecides(t *testing.T) {
	t.Parallel()
	s := set(t)
	one := s.deploys("v1", standalones["python"], "--drain", "infinity")
	says, end := s.hold(server4 + ":8080")
	defer end()
	says("v1")
	two := s.deploys("v2", standalones["python"], "--drain", "1s")
	two.says("still has 1 connections after the time to drain")
	one.exits(0)
	s.served("8080", "v2")
}

// A second signal does not wait for connections, a third one for nothing.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := set(t)
	p := s.deploys("v1", standalones["python"], "--drain", "infinity")
	says, end := s.hold(server4 + ":8080")
	defer end()
	says("v1")
	p.signal(unix.SIGTERM)
	p.says("waiting up to infinity for open connections")
	says("v1")
	p.signal(unix.SIGTERM)
	p.says("SIGTERM again: not waiting for connections")
	p.exits(killed)

	stubborn := s.run("-l", "8081", "--", "sh", "-c", `trap 'echo no, thanks' TERM; `+accepting+` & while :; do wait; done`)
	stubborn.says("ready: new connections come here")
	stubborn.signal(unix.SIGTERM)
	stubborn.says("no, thanks")
	stubborn.signal(unix.SIGTERM)
	stubborn.says("SIGTERM again: sh is killed")
	stubborn.exits(128 + int(unix.SIGKILL))
	s.noRules()
}

// accepting is a server in a line.
const accepting = `python3 -c 'import socket; l = socket.socket(fileno=3)
while 1: l.accept()'`

// A command that does not end is killed after a while.
func TestKillAfter(t *testing.T) {
	t.Parallel()
	s := set(t)
	p := s.run("-l", "8080", "--kill-after", "500ms", "--", "sh", "-c", `trap '' TERM; `+accepting)
	p.says("ready: new connections come here")
	p.signal(unix.SIGTERM)
	p.says("sh is still there 500ms after SIGTERM: killed")
	p.exits(128 + int(unix.SIGKILL))
	s.noRules()
}

// Other signals are passed on as they come, and the exit status too.
func TestSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	s := set(t)
	p := s.run("-l", "8080", "--", "sh", "-c", `for s in HUP USR1 USR2 WINCH QUIT; do trap "echo got $s" $s; done
trap 'echo got TERM; exit 9' TERM; `+accepting+` & while :; do wait; done`)
	p.says("ready: new connections come here")
	for sig, name := range map[unix.Signal]string{unix.SIGHUP: "HUP", unix.SIGUSR1: "USR1", unix.SIGUSR2: "USR2", unix.SIGWINCH: "WINCH", unix.SIGQUIT: "QUIT"} {
		if signal.Ignored(sig) {
			continue // the tests run with nohup, and so what they start does: see TestNohup
		}
		p.signal(sig)
		p.says("got " + name)
	}
	p.signal(unix.SIGTERM)
	p.says("got TERM")
	p.exits(9)
	s.noRules()
}

// Ten at once for one name: one rule, one survivor, and nobody fails.
func TestTenAtOnce(t *testing.T) {
	t.Parallel()
	s := set(t)
	python := standalones["python"]
	first := s.deploys("v0", python)
	stop := s.load("8080", load.Config{Short: 2, Rate: 50})
	var all []*process
	versions := []string{"v0"}
	for i := range 10 {
		v := fmt.Sprintf("n%d", i)
		args := append([]string{"-l", "8080", "-n", "web", "--standby", "500ms", "--"}, s.install(v, python)...)
		all = append(all, s.run(args...))
		versions = append(versions, v)
	}
	for _, p := range all {
		p.says("ready: new connections come here")
	}
	first.says("has taken over: this one finishes its connections")
	first.exits(0)
	var survivor *process
	s.eventually("one of them survives", func() error {
		var alive []*process
		for _, p := range all {
			select {
			case <-p.done:
				if got := exitStatus(p.cmd.Cmd); got != 0 {
					t.Fatalf("one ended with status %d:\n%s", got, p.said)
				}
			default:
				alive = append(alive, p)
			}
		}
		if len(alive) != 1 {
			return fmt.Errorf("%d run", len(alive))
		}
		survivor = alive[0]
		return nil
	})
	r := stop()
	var seen []string
	for _, v := range versions {
		if r.Total().Versions[v] > 0 {
			seen = append(seen, v)
		}
	}
	s.nothingLost(r, seen...)
	s.eventually("one is listed", func() error {
		out, err := s.server.Run(t.Context(), s.switcheroo, "run", "--list")
		if err == nil && strings.Count(out, "\n") != 2 {
			err = fmt.Errorf("it lists\n%s", out)
		}
		return err
	})
	rules, err := s.server.Run(t.Context(), "iptables-save", "-t", "nat")
	if err != nil || strings.Count(rules, "DNAT") != 1 {
		t.Errorf("want one rule (%v):\n%s", err, rules)
	}
	survivor.signal(unix.SIGTERM)
	survivor.exits(killed)
	s.noRules()
}

// No free private port: an error that says so, and the one before is untouched.
func TestNoPrivatePortLeft(t *testing.T) {
	t.Parallel()
	s := set(t)
	one := s.deploys("v1", standalones["python"], "--ports", "40400")
	two := s.run("-l", "8080", "-n", "web", "--ports", "40400-40400", "--", "true")
	two.says("switcheroo: error: no free private port from 40400 to 40400")
	two.says("switcheroo: hint: ", "--ports")
	two.exits(1)
	s.served("8080", "v1")
	one.signal(unix.SIGTERM)
	one.exits(killed)
}

// A server that listens on the public port itself loses nothing either.
func TestFirstTime(t *testing.T) {
	t.Parallel()
	s := set(t)
	plain := standalones["go-http"]
	command := s.install("v0", plain)
	s.starts(command[0], "-listen", ":8080")
	s.eventually("v0 answers", func() error {
		if c, l := s.answers("8080"); c != "v0" || l != "v0" {
			return fmt.Errorf("%q, %q", c, l)
		}
		return nil
	})
	stop := s.load("8080", load.Config{Short: 4, Rate: 100, KeepAlive: 2})
	one := s.deploys("v1", plain)
	one.says("another program listens on 8080 itself")
	s.served("8080", "v1")
	s.nothingLost(stop(), "v0", "v1")
	one.signal(unix.SIGTERM)
	one.exits(killed)
	s.served("8080", "v0")
	s.noRules()
}

// Two services cannot have one port.
func TestPortOfAnotherService(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploys("v1", standalones["python"])
	two := s.run(append([]string{"-l", "8080", "--name", "other", "--"}, s.install("v2", standalones["python"])...)...)
	two.says("switcheroo: error: ", `belongs to service "web"`)
	two.exits(1)
	s.served("8080", "v1")
}
