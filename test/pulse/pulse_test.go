package pulse

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The test binary is the process that stands still.
func TestMain(m *testing.M) {
	if os.Getenv("PULSE_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	Watch(context.Background(), time.Second, func(d time.Duration) {
		os.Stdout.WriteString("stood still\n")
		os.Exit(0)
	})
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "PULSE_TEST_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	said := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(out)
		said <- string(b)
	}()
	// The first time, it may not have begun to watch.
	for {
		for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			select {
			case got := <-said:
				if got != "stood still\n" {
					t.Errorf("%q", got)
				}
				return
			case <-time.After(1200 * time.Millisecond): // is what is measured
			}
		}
	}
}

func TestRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		Watch(ctx, time.Millisecond, func(d time.Duration) { t.Errorf("stood still for %v", d) })
	})
}
