package cli

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// screen is a terminal (tmux) of 80 columns and 24 rows, in which programs run.
//
//	screen run 'COMMAND'      starts a shell's command in a new terminal
//	screen shows 'PATTERN'    waits until the screen matches, and prints it
//	screen keys KEY...        presses keys, by tmux's names
//	screen colours 'PATTERN'  the same as shows, with escape sequences
func screen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: screen run|shows|colours|keys ARGUMENT...")
	}
	switch verb, args := args[0], args[1:]; verb {
	case "run":
		tmux(ts, "kill-server")
		ts.Setenv("SCREEN", ts.Getenv("SCREEN")+"x") // the old one may still be on its way out
		if _, err := tmux(ts, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env TERM=xterm-256color "+args[0]+"; echo ended with $?; sleep 1000"); err != nil {
			ts.Fatalf("%v", err)
		}
		ts.Defer(func() { tmux(ts, "kill-server") })
	case "keys":
		if _, err := tmux(ts, append([]string{"send-keys"}, args...)...); err != nil {
			ts.Fatalf("%v", err)
		}
	case "shows", "colours":
		capture := []string{"capture-pane", "-p", "-J"}
		if verb == "colours" {
			capture = append(capture, "-e")
		}
		want := regexp.MustCompile("(?m)" + args[0])
		for end := time.Now().Add(patience); ; time.Sleep(tick) {
			out, err := tmux(ts, capture...)
			out = trailing.ReplaceAllString(out, "")
			if err == nil && want.MatchString(out) {
				fmt.Fprint(ts.Stdout(), strings.TrimRight(out, "\n")+"\n")
				return
			}
			if time.Now().After(end) {
				ts.Fatalf("not within %s; the screen shows:\n%s", patience, out)
			}
		}
	default:
		ts.Fatalf("screen %s?", verb)
	}
}

var trailing = regexp.MustCompile(`(?m)[ \t]+$`)

func tmux(ts *testscript.TestScript, args ...string) (string, error) {
	cmd := exec.Command("tmux", append([]string{"-S", ts.Getenv("WORK") + "/tmux" + ts.Getenv("SCREEN")}, args...)...)
	cmd.Dir = ts.Getenv("WORK")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("tmux %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}
