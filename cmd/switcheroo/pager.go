package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
)

// show prints the page, in a pager if it is longer than the terminal.
func (s *session) show(ctx context.Context) error {
	if s.page.Len() == 0 {
		return nil
	}
	defer s.page.Reset()
	if s.term.file != nil && !s.noPager && bytes.Count(s.page.Bytes(), []byte("\n")) >= s.term.rows {
		if pager := pagerOf(); len(pager) > 0 && s.through(ctx, pager) {
			return nil
		}
	}
	_, err := s.stdout.Write(s.page.Bytes())
	return err
}

// pagerOf returns the command of the pager, by the variables that systemctl
// looks at; none if one is set and empty, or cat.
func pagerOf() []string {
	for _, name := range []string{"SYSTEMD_PAGER", "PAGER"} {
		switch v, set := os.LookupEnv(name); {
		case !set:
		case v == "" || v == "cat":
			return nil
		default:
			return []string{"sh", "-c", v}
		}
	}
	return []string{"less"}
}

// through shows the page in a pager, and says whether there was one.
func (s *session) through(ctx context.Context, pager []string) bool {
	if _, err := exec.LookPath(pager[0]); err != nil {
		return false
	}
	// No deadline: it ends when its reader is done.
	cmd := exec.CommandContext(ctx, pager[0], pager[1:]...)
	// F: end at once if it fits; R: colours; S: no folded lines; X: leave it
	// there. Who may only read here gets no shell from less.
	cmd.Env = append(os.Environ(), "LESS=FRSXM", "LESSSECURE=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(s.page.Bytes()), s.stdout, s.stderr
	if cmd.Start() != nil {
		return false
	}
	cmd.Wait() // how it ends is its reader's affair
	return true
}
