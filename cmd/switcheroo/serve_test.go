package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whose version before has got the port back says so by its exit status, unless
// it was asked to give it back.
func TestOverRolledBack(t *testing.T) {
	for name, tt := range map[string]struct {
		phase    phase
		asked    unix.Signal
		rejected bool
		status   unix.WaitStatus // of the command
		want     int
	}{
		"it has ended by itself":                {serving, 0, false, 0, exitRolledBack},
		"it stopped answering, and was ended":   {stopping, unix.SIGTERM, true, 0, exitRolledBack},
		"it ended with a status of its own":     {stopping, unix.SIGTERM, true, 3 << 8, 3},
		"asked by a signal":                     {stopping, unix.SIGTERM, false, 0, exitOK},
		"asked by a signal, and ended with one": {stopping, unix.SIGTERM, false, 3 << 8, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{
				name: "server", steps: newSteps(io.Discard, "web", false),
				child: &child{status: tt.status}, phase: tt.phase, asked: tt.asked, rejected: tt.rejected,
			}
			s.steps.log().Info(goneBack, "pid", 1)
			got, err := exitOK, s.over()
			var passed ended
			var fail failure
			switch {
			case errors.As(err, &passed):
				got = int(passed)
			case errors.As(err, &fail):
				got = fail.status
			}
			if got != tt.want {
				t.Errorf("exit status %d, want %d: %v", got, tt.want, err)
			}
		})
	}
}

// Whoever finds the current process dead says where the connections go, which
// is not always to itself.
func TestBackAgain(t *testing.T) {
	for pid, want := range map[int]string{
		os.Getpid():     "process 7 is dead: new connections come here again",
		os.Getpid() + 1: "process 7 is dead: new connections go to process " + strconv.Itoa(os.Getpid()+1) + " again",
	} {
		var b strings.Builder
		newSteps(&b, "web", false).log().Warn(backAgain, "died", 7, "pid", pid)
		if got := b.String(); got != "switcheroo: web: "+want+"\n" {
			t.Errorf("said %q", got)
		}
	}
}

// Each message of the library's that is told in other words is one that the
// library has.
func TestTellings(t *testing.T) {
	files, err := filepath.Glob("../../*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var library strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		library.Write(text)
	}
	for message := range tellings {
		if !strings.Contains(library.String(), strconv.Quote(message)) {
			t.Errorf("the library never says %q", message)
		}
	}
}
