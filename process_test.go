package switcheroo

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// A process is known by its pid and start; one that has ended is gone, even
// while nobody has waited for it.
func TestProcess(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	start, err := startOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openProcess(pid, start+1); !errors.Is(err, errGone) {
		t.Errorf("with another start: %v", err)
	}
	p, err := openProcess(pid, start)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.ended() {
		t.Error("it has ended, it seems")
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait for one that runs: %v", err)
	}
	if err := p.terminate(); err != nil {
		t.Error(err)
	}
	q, err := openProcess(pid, start) // a descriptor whose deadline has not passed
	if err == nil {
		defer q.close()
		if err := q.wait(t.Context()); err != nil {
			t.Error(err)
		}
	} else if !errors.Is(err, errGone) {
		t.Error(err)
	}
	// A zombie now.
	if alive, err := isAlive(pid, start); alive || err != nil {
		t.Errorf("a zombie is alive: %v, %v", alive, err)
	}
	cmd.Wait()
	if alive, err := isAlive(pid, start); alive || err != nil {
		t.Errorf("alive after its end: %v, %v", alive, err)
	}
	if err := p.terminate(); !errors.Is(err, errGone) {
		t.Errorf("signal to one that is gone: %v", err)
	}
	// A pid that is a thread's by now is no process's.
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads of this process: %v, %v", tasks, err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil || id == os.Getpid() {
			continue
		}
		if _, err := openProcess(id, 0); !errors.Is(err, errGone) {
			t.Errorf("thread %d: %v", id, err)
		}
	}
	if _, err := openProcess(0, 0); !errors.Is(err, errGone) {
		t.Errorf("process 0: %v", err)
	}
}
