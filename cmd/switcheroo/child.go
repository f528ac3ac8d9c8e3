package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// command is what to run.
type command struct {
	args     []string // with {port} in them
	port     int      // its private port
	listener *os.File // which it gets; nil if it gets the port's number only
	notify   string   // its NOTIFY_SOCKET
}

// child is a command that runs.
type child struct {
	pid    int
	done   chan struct{} // closed when it has ended
	status unix.WaitStatus
}

// placeholder stands for the private port in a command's arguments.
const placeholder = "{port}"

// start starts the command in a process group of its own, so that what a
// terminal sends reaches it only through us: Ctrl-C first drains. If this
// process is killed, the command gets SIGTERM.
func (c command) start() (*child, error) {
	path, err := exec.LookPath(c.args[0])
	if err != nil {
		return nil, lookup(c.args[0], err)
	}
	said, say, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer said.Close()
	defer say.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if isTerminal(os.Stdin) {
		cmd.Stdin = nil // a read would stop the command: it is in the background
	}
	if c.listener != nil {
		// As systemd passes it. Whoever accepts on it may wait in accept.
		if err := setBlocking(c.listener); err != nil {
			return nil, err
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, c.listener)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, say)
	fd := 2 + len(cmd.ExtraFiles)
	cmd.Args = append([]string{starter, strconv.Itoa(fd), path}, c.arguments()...)
	cmd.Env = c.environment(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGTERM}
	p := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that forked for that of the
		// parent, so this one lives as long as the child.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.wait(cmd)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.args[0], err)
	}
	p.pid = cmd.Process.Pid
	say.Close()
	if err := hear(said); err != nil {
		<-p.done
		return nil, cannotStart(c.args[0], err)
	}
	return p, nil
}

// wait waits for the child's end. What is left of its process group is killed
// before its id is free for others.
func (p *child) wait(cmd *exec.Cmd) {
	pid := cmd.Process.Pid
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			break
		}
	}
	unix.Kill(-pid, unix.SIGKILL)
	cmd.Wait() // the status says it all
	p.status = unix.WaitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus))
	close(p.done)
}

// signal sends one to the command itself.
func (p *child) signal(s syscall.Signal) { p.send(p.pid, s) }

// signalAll sends one to all processes of the command, as systemd does when it
// stops a service: a shell that has started the server does not tell it.
func (p *child) signalAll(s syscall.Signal) { p.send(-p.pid, s) }

func (p *child) send(to int, s syscall.Signal) {
	select {
	case <-p.done: // its number may be another's
	default:
		unix.Kill(to, s)
	}
}

// exit returns the status that a shell would show, and says in words how the
// child has ended. Only after done.
func (p *child) exit() (int, string) {
	if p.status.Signaled() {
		s := p.status.Signal()
		return exitSignal + int(s), "was killed by " + unix.SignalName(s)
	}
	return p.status.ExitStatus(), fmt.Sprintf("ended with status %d", p.status.ExitStatus())
}

func (c command) arguments() []string {
	args := make([]string, len(c.args))
	for i, a := range c.args {
		args[i] = strings.ReplaceAll(a, placeholder, strconv.Itoa(c.port))
	}
	return args
}

// environment returns env for the command: what our own parent said to us
// about sockets is not meant for it.
func (c command) environment(env []string) []string {
	var own []string
	for _, e := range env {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC":
		default:
			own = append(own, e)
		}
	}
	own = append(own, "NOTIFY_SOCKET="+c.notify)
	if c.listener == nil {
		return append(own, "PORT="+strconv.Itoa(c.port))
	}
	return append(own, "LISTEN_FDS=1", "LISTEN_FDNAMES=switcheroo") // the starter adds LISTEN_PID
}

func setBlocking(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.SetNonblock(int(fd), false) }); err != nil {
		return err
	}
	return failed
}

// lookup says why there is no program of that name to start.
func lookup(name string, err error) error {
	if e, ok := err.(*exec.Error); ok {
		err = e.Err
	}
	if errors.Is(err, exec.ErrNotFound) {
		return failure{hinted{fmt.Errorf("start %s: %w", name, err), "give the path of the program"}, exitNotFound}
	}
	return cannotStart(name, err)
}
