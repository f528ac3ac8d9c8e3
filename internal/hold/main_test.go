package hold

import (
	"os"
	"os/exec"
	"testing"

	"github.com/switcheroo/switcheroo/test/host"
)

// TestMain has the tests run in a network namespace of their own.
func TestMain(m *testing.M) { os.Exit(host.MainAlone(m)) }

// needKernel skips the test where there is no namespace to work in.
func needKernel(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
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
