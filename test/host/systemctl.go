package host

import (
	"context"
	"strings"
)

// Systemctl runs systemctl in the host and returns what it printed.
func (h *Host) Systemctl(ctx context.Context, args ...string) (string, error) {
	return h.Run(ctx, append([]string{"systemctl", "--no-pager", "--no-ask-password"}, args...)...)
}

// Property returns a unit's property, as systemctl show prints it.
func (h *Host) Property(ctx context.Context, unit, property string) (string, error) {
	out, err := h.Systemctl(ctx, "show", "--property="+property, "--value", unit)
	return strings.TrimSpace(out), err
}

// Kill9 sends SIGKILL to the main process of a unit, which systemd notices a
// moment later. It is an error if it has none.
func (h *Host) Kill9(ctx context.Context, unit string) error {
	_, err := h.Systemctl(ctx, "kill", "--signal=KILL", "--kill-who=main", unit)
	return err
}

// Failed returns the names of the units that have failed.
func (h *Host) Failed(ctx context.Context) ([]string, error) {
	out, err := h.Systemctl(ctx, "list-units", "--state=failed", "--plain", "--no-legend")
	if err != nil {
		return nil, err
	}
	var units []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 0 {
			units = append(units, f[0])
		}
	}
	return units, nil
}

// Journal returns the messages of a unit (a name, or a pattern such as
// "app@*"), those of all boots, one a line, without times and names.
func (h *Host) Journal(ctx context.Context, unit string) (string, error) {
	if _, err := h.Run(ctx, "journalctl", "--sync"); err != nil {
		return "", err
	}
	return h.Run(ctx, "journalctl", "--quiet", "--no-pager", "--output=cat", "--unit="+unit)
}
