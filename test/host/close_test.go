package host_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestCloseLeavesNothing(t *testing.T) {
	h := host.Start(t, host.Options{})
	run(t, h, "systemd-run", "--quiet", "sleep", "infinity")
	forgotten := h.Cmd(t.Context(), "sleep", "infinity") // never waited for
	if err := forgotten.Start(); err != nil {
		t.Fatal(err)
	}
	namespaces := map[string]bool{}
	for _, ns := range []string{"pid", "mnt", "net", "uts", "ipc", "cgroup"} {
		path := fmt.Sprintf("/proc/%d/ns/%s", h.PID(), ns)
		open, err := os.Open(path) // while it is, no other host's gets the same number
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		id, err := os.Readlink(path)
		if err != nil {
			t.Fatal(err)
		}
		namespaces[id] = true
	}
	if n := len(inNamespaces(namespaces)); n < 4 { // systemd, journald, dbus, sleep
		t.Fatalf("found %d processes in the host", n)
	}

	begin := time.Now()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("closed in %v", time.Since(begin))
	await(t, "the processes and threads of the host to end", func() bool { return len(inNamespaces(namespaces)) == 0 })
	if got := traces(fmt.Sprint(os.Getpid())); len(got) > 0 {
		t.Errorf("left %v", got)
	}
	if b, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(b), "switcheroo-host-") {
		t.Errorf("left mounts:\n%s", b)
	}
	if _, err := h.Run(t.Context(), "true"); err == nil {
		t.Error("ran a program in a closed host")
	}
	if err := h.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// inNamespaces returns the threads that are in one of these namespaces.
func inNamespaces(ids map[string]bool) []string {
	var found []string
	links, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*/ns/*")
	for _, l := range links {
		if id, err := os.Readlink(l); err == nil && ids[id] && !strings.HasSuffix(l, "_for_children") {
			found = append(found, l)
		}
	}
	return found
}

// A host is the child of a thread. Threads that others end must not take it
// along.
func TestHostOutlivesThreads(t *testing.T) {
	h := host.Start(t, host.Options{})
	for range 20 {
		var all sync.WaitGroup
		for range 8 {
			all.Go(runtime.LockOSThread) // and never unlock: the thread ends
		}
		all.Wait()
	}
	run(t, h, "true")
}

func TestKilledProcessLeavesNoProcesses(t *testing.T) {
	// At various moments of a boot, which takes about 200 ms.
	for _, after := range []time.Duration{0, 20, 100, 400} {
		after *= time.Millisecond
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			victim := player(t, "boot")
			out, err := victim.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			out.Read(make([]byte, 1)) // it begins
			time.Sleep(after)
			victim.Process.Kill()
			victim.Wait()
			pid := fmt.Sprint(victim.Process.Pid)
			await(t, "the killed process's hosts to be empty", func() bool { return len(processesOf(pid)) == 0 })

			if err := player(t, "sweep").Run(); err != nil {
				t.Fatal(err)
			}
			if left := traces(pid); len(left) > 0 {
				t.Errorf("the next process did not remove %v", left)
			}
		})
	}
}

// play is what this test binary does as another process.
func play(role string) int {
	fmt.Println("begin")
	ctx := context.Background()
	if role == "boot" {
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { host.Boot(ctx, host.Options{}) })
		}
		all.Wait()
		select {}
	}
	h, err := host.Boot(ctx, host.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	h.Close()
	return 0
}

// player prepares this test binary to run as another process.
func player(t *testing.T, role string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), "HOST_TEST_ROLE="+role)
	c.Stderr = os.Stderr
	return c
}

// processesOf returns the processes in the cgroups of the hosts of process pid.
func processesOf(pid string) []string {
	var procs []string
	for _, dir := range traces(pid) {
		filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err == nil && d.Name() == "cgroup.procs" {
				b, _ := os.ReadFile(p)
				procs = append(procs, strings.Fields(string(b))...)
			}
			return nil
		})
	}
	return procs
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
