package unit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// change is one symbolic link made or removed.
type change struct{ Type, Link, Target string }

// Enable makes systemd start the unit at boot, as systemctl enable does but
// without a daemon-reload: units wanted now are not affected by it.
func (c *Client) Enable(ctx context.Context, name string) error {
	var (
		installable bool // there is an [Install] section
		changes     []change
	)
	err := c.manager(ctx, "EnableUnitFiles", []any{[]string{name}, false, false}, &installable, &changes)
	if err == nil && !installable && len(changes) == 0 {
		err = errors.New("its file has no [Install] section")
	}
	if err != nil {
		return fmt.Errorf("enable unit %q: %w", name, err)
	}
	return nil
}

// Disable makes systemd not start the unit at boot, without a daemon-reload.
// One that is not enabled is no error.
func (c *Client) Disable(ctx context.Context, name string) error {
	var changes []change
	err := c.manager(ctx, "DisableUnitFiles", []any{[]string{name}, false}, &changes)
	if err != nil {
		return fmt.Errorf("disable unit %q: %w", name, err)
	}
	return nil
}

// FileState returns what systemctl is-enabled prints of a unit, "enabled" or
// "disabled" for instance, as it is on disk.
func (c *Client) FileState(ctx context.Context, name string) (string, error) {
	var state string
	if err := c.manager(ctx, "GetUnitFileState", []any{name}, &state); err != nil {
		return "", fmt.Errorf("read file state of unit %q: %w", name, err)
	}
	return state, nil
}

// BootFinished returns when systemd finished booting (CLOCK_MONOTONIC), 0
// while it boots.
func (c *Client) BootFinished(ctx context.Context) (time.Duration, error) {
	var at uint64
	if err := c.get(ctx, "FinishTimestampMonotonic", &at); err != nil {
		return 0, fmt.Errorf("read when boot finished: %w", err)
	}
	return microseconds(at), nil
}
