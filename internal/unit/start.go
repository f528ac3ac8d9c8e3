package unit

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// Start asks systemd to start a unit, and returns when the start is queued. It
// is tried for as long as ctx allows while systemd cannot be reached. One that
// runs is no error.
func (c *Client) Start(ctx context.Context, name string) error {
	var job dbus.ObjectPath
	if err := c.manager(ctx, "StartUnit", []any{name, "replace"}, &job); err != nil {
		return fmt.Errorf("start unit %q: %w", name, err)
	}
	return nil
}
