package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// reap is what PID 1 of a container does: it runs this program again as its
// child, passes signals on to it, waits for the processes that lost their
// parents, and ends as its child ends. Two processes, so that nobody waits for
// what another part of the program has started.
func reap(args []string, stderr io.Writer) int {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // all: the kernel delivers to PID 1 what it asks for, and no more
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(stderr, "switcheroo: error: start its own program again as a child of PID 1: %v\n", err)
		return exitError
	}
	go func() {
		for s := range signals {
			switch s := s.(syscall.Signal); s {
			case unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE: // SIGURG is the Go runtime's own
			default:
				unix.Kill(cmd.Process.Pid, s)
			}
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR || pid != cmd.Process.Pid && err == nil:
		case err != nil:
			fmt.Fprintf(stderr, "switcheroo: error: wait: %v\n", err)
			return exitError
		case status.Signaled():
			return exitSignal + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}
