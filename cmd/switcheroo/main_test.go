package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/switcheroo/switcheroo/test/host"
)

// alone runs the tests in a network namespace of their own.
type alone struct{ m *testing.M }

func (a alone) Run() int { return host.MainAlone(a.m) }

func TestMain(m *testing.M) {
	if os.Args[0] == starter { // what child.go starts is this program
		main()
	}
	testscript.Main(alone{m}, map[string]func(){"switcheroo": main})
}

// TestScripts are sessions of a shell, one a file.
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: rules cannot be changed")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// status is "exec" of a program that ends with this exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status NUMBER PROGRAM [ARGUMENT...]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}
