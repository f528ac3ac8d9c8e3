package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Main runs a package's tests and removes what Build built: for TestMain, as
// in os.Exit(host.Main(m)). Without it the next process that boots a host does.
func Main(m *testing.M) int {
	code := m.Run()
	Clean()
	return code
}

// aloneEnv is set in a test process that MainAlone started.
const aloneEnv = "SWITCHEROO_TEST_ALONE"

// MainAlone is Main in another process, which is alone in a network namespace
// of its own, so that tests may use any port and change any rule. Loopback is
// up. Where that is not possible it runs the tests where they are, after
// printing why; a test that needs more than loopback should say so itself.
func MainAlone(m *testing.M) int {
	if os.Getenv(aloneEnv) != "" {
		return Main(m)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "not root: no network namespace for these tests")
		return Main(m)
	}
	code, err := runAlone()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests in a network namespace:", err)
		return 1
	}
	return code
}

func runAlone() (int, error) {
	t := newThread()
	defer t.close()
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Args[0] = os.Args[0]
	again.Env = append(os.Environ(), aloneEnv+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT)
	defer signal.Stop(signals)
	err := t.do(func() error {
		if err := newNetns(context.Background(), ""); err != nil {
			return err
		}
		return again.Start()
	})
	if err != nil {
		return 0, err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				again.Process.Signal(s)
			case <-done:
				return
			}
		}
	}()
	err = again.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}
