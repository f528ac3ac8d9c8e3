package companion

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

const helperEnv = "COMPANION_TEST_OWNER"

// TestMain is the test, or the process that ownerProcess starts.
func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) == "" {
		os.Exit(m.Run())
	}
	table, err := Open(context.Background(), Options{})
	if err == nil {
		_, err = table.Apply(context.Background(), []uint16{61000}, []uint16{61000})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("owned")
	io.Copy(io.Discard, os.Stdin) // until killed
}

// ownerProcess starts another process that owns the table of n.
func ownerProcess(t *testing.T, n *namespace) *os.Process {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatalf("start the owner: %v", err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Process.Kill(); cmd.Wait() })
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	if line != "owned\n" {
		t.Fatalf("the owner says %q", line)
	}
	return cmd.Process
}
