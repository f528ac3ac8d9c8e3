package hold

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace marks the run of this binary that has a network namespace of its
// own.
const inNamespace = "HOLD_TEST_NETNS"

// TestMain starts the tests again inside a private network namespace, so that
// every thread of them is in it.
func TestMain(m *testing.M) {
	if os.Getenv(inNamespace) == "" && os.Geteuid() == 0 {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			fatal("unshare network namespace", err)
		}
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			fatal("ip link set lo up: "+string(out), err)
		}
		fatal("exec", unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), inNamespace+"=1")))
	}
	os.Exit(m.Run())
}

func fatal(what string, err error) {
	fmt.Fprintln(os.Stderr, what+":", err)
	os.Exit(1)
}

// needKernel skips the test where there is no namespace to work in.
func needKernel(t testing.TB) {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		t.Skip("needs root, for a network namespace of its own")
	}
}

// command runs a program of the host in the namespace.
func command(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}
