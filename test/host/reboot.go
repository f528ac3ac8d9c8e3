package host

import (
	"context"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// SIGRTMIN+5, at which systemd starts reboot.target (systemd(1), "Signals").
const startReboot = syscall.Signal(34 + 5)

// Reboot shuts the host down in order and boots it again, and returns when it
// is up. Files stay, but for those under /run, /tmp and /dev; the network
// namespace, with its rules and connections, is a new one, with the addresses
// it had; the boot id is another. When ctx ends during the shutdown, the host
// is killed and stays down.
func (h *Host) Reboot(ctx context.Context) error { return h.again(ctx, startReboot) }

// PowerCycle is Reboot without the shutdown: all processes are killed at once.
func (h *Host) PowerCycle(ctx context.Context) error { return h.again(ctx, unix.SIGKILL) }

func (h *Host) again(ctx context.Context, end syscall.Signal) error {
	shutdown, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	if err := h.down(shutdown, end); err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	if err := h.unplugAll(ctx); err != nil {
		return fmt.Errorf("reboot %s: %w", h.name, err)
	}
	if err := removeCgroup(h.group); err != nil {
		return fmt.Errorf("reboot %s: %w", h.name, err)
	}
	if err := h.bootSystemd(ctx); err != nil {
		return fmt.Errorf("reboot %s: %w", h.name, err)
	}
	return nil
}
