package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// journalTimeout bounds a look into the journal, which may be large.
const journalTimeout = time.Minute

// journalctl returns what journalctl prints.
func journalctl(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, journalTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", append([]string{"--no-pager", "--quiet"}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.Bytes(), nil
	case errors.As(err, &exit) && said.Len() == 0 && out.Len() == 0 && exit.ExitCode() == 1:
		return nil, nil // nothing found
	case said.Len() > 0:
		return nil, fmt.Errorf("read the journal: %s", strings.TrimSpace(said.String()))
	}
	return nil, fmt.Errorf("read the journal: %w", err)
}
