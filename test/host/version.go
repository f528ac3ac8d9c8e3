package host

import (
	"context"
	"fmt"
	"os"
	"strconv"
)

// systemdEnv names the oldest systemd that hosts may boot: `make test-trixie`
// would else be green where it had another root than it means.
const systemdEnv = "SWITCHEROO_TEST_SYSTEMD"

// newEnough returns an error if the host's systemd is older than systemdEnv says.
func (h *Host) newEnough(ctx context.Context) error {
	text := os.Getenv(systemdEnv)
	if text == "" {
		return nil
	}
	want, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s: %w", systemdEnv, err)
	}
	out, err := h.Run(ctx, "systemctl", "--version")
	if err != nil {
		return err
	}
	var have int
	if _, err := fmt.Sscanf(out, "systemd %d", &have); err != nil {
		return fmt.Errorf("systemctl --version says %q: %w", out, err)
	}
	if have < want {
		return fmt.Errorf("its systemd is %d, and %s wants %d", have, systemdEnv, want)
	}
	return nil
}
