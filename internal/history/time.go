package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ErrNoTime says that a text is no time.
var ErrNoTime = errors.New("not a time")

// timeTimeout bounds a calculation.
const timeTimeout = 10 * time.Second

// Time returns the time that a text stands for in journalctl's notation, such as
// yesterday or -2h. The error is ErrNoTime if it stands for none.
func Time(ctx context.Context, text string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, timeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-analyze", "timestamp", "--", text)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return time.Time{}, fmt.Errorf("read the time %q: %w", text, ctx.Err())
	case errors.As(err, new(*exec.ExitError)):
		return time.Time{}, ErrNoTime
	case err != nil:
		return time.Time{}, fmt.Errorf("read the time %q: %w", text, err)
	}
	for l := range bytes.Lines(out) {
		_, unix, ok := strings.Cut(string(l), "UNIX seconds: @")
		if !ok {
			continue
		}
		seconds, fraction, _ := strings.Cut(strings.TrimSpace(unix), ".")
		s, err := strconv.ParseInt(seconds, 10, 64)
		ns, err2 := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		if err := errors.Join(err, err2); err != nil {
			return time.Time{}, fmt.Errorf("read the time %q: %w", text, err)
		}
		return time.Unix(s, ns), nil
	}
	return time.Time{}, fmt.Errorf("read the time %q: systemd-analyze says %q", text, out)
}

// Since returns t as Query has it; "" if it is zero.
func Since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("@%d.%06d", t.Unix(), t.Nanosecond()/1000)
}
