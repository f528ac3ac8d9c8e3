package host

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// WriteFile writes a file in the running host, with the directories it needs;
// one whose content begins with #! is made executable. The path may lead over
// relative symbolic links only.
func (h *Host) WriteFile(name, content string) error {
	root, err := h.root()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := writeFile(root, name, content); err != nil {
		return fmt.Errorf("write %s in %s: %w", name, h.name, err)
	}
	return nil
}

// ReadFile reads a file of the running host, with the same limit as WriteFile.
func (h *Host) ReadFile(name string) (string, error) {
	root, err := h.root()
	if err != nil {
		return "", err
	}
	defer root.Close()
	b, err := root.ReadFile(relative(name))
	if err != nil {
		return "", fmt.Errorf("read %s in %s: %w", name, h.name, err)
	}
	return string(b), nil
}

// Bus returns the address of the host's system bus, for D-Bus clients in this
// process. It changes with a reboot.
func (h *Host) Bus() string {
	return fmt.Sprintf("unix:path=/proc/%d/root/run/dbus/system_bus_socket", h.PID())
}

// root opens the host's root directory as its PID 1 sees it, with /run.
func (h *Host) root() (*os.Root, error) {
	pid := h.PID()
	if pid == 0 {
		return nil, fmt.Errorf("%s is down", h.name)
	}
	return os.OpenRoot(fmt.Sprintf("/proc/%d/root", pid))
}

// relative turns a path in a host into one below its root directory.
func relative(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}
