package unit

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

const noSuchUnit = systemdName + ".NoSuchUnit"

// Stop asks systemd to stop a unit, and returns when the stop is queued. It
// tries for as long as ctx allows while systemd re-executes itself or cannot
// be reached. A unit that is stopped, or not loaded, is no error.
func (c *Client) Stop(ctx context.Context, name string) error {
	err := c.do(ctx, func(b *bus) error {
		var job dbus.ObjectPath
		return b.call(ctx, b.systemd(managerPath), managerIface+".StopUnit", name, "replace").Store(&job)
	})
	if err != nil && !isError(err, noSuchUnit) {
		return fmt.Errorf("stop unit %q: %w", name, err)
	}
	return nil
}

// ResetFailed makes a failed unit inactive, so that systemd can unload it. One
// that is not loaded is no error.
func (c *Client) ResetFailed(ctx context.Context, name string) error {
	err := c.manager(ctx, "ResetFailedUnit", []any{name})
	if err != nil && !isError(err, noSuchUnit) {
		return fmt.Errorf("reset failed unit %q: %w", name, err)
	}
	return nil
}
