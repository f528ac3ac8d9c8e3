package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const giveWayEnv = "SWITCHEROOD_TEST_GIVE_WAY"

// TestGiveWay runs this test again as "nice" would start it, in a session of its
// own and in this one.
func TestGiveWay(t *testing.T) {
	if os.Getenv(giveWayEnv) != "" {
		if err := giveWay(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(autogroup)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s", b)
		return
	}
	before, err := os.ReadFile(autogroup)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this kernel has no autogroups")
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := 20 - raw
	for _, c := range []struct {
		nicer   int
		want    string
		session bool
	}{
		{7, fmt.Sprintf("nice %d\n", now+7), true},
		{0, fmt.Sprintf("nice %d\n", now), true},
		{7, string(before), false},
	} {
		cmd := exec.Command("nice", "-n", strconv.Itoa(c.nicer), os.Args[0], "-test.run=TestGiveWay", "-test.v=false")
		cmd.Env = append(os.Environ(), giveWayEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: c.session}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		said, _, _ := strings.Cut(string(out), "PASS")
		if !bytes.HasSuffix([]byte(said), []byte(c.want)) {
			t.Errorf("nice %d, session %v: %q, want %q", c.nicer, c.session, said, c.want)
		}
	}
}
