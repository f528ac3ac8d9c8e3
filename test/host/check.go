package host

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// MissingError says what this machine lacks for booting a host, and what to do
// about it.
type MissingError struct {
	What string // "systemd is not installed"
	Hint string // "apt-get install systemd"
}

func (e *MissingError) Error() string { return e.What + " (" + e.Hint + ")" }

// Check returns a *MissingError if this machine cannot boot a host with the
// root file system lower ("" means its own), and nil if it looks as if it can.
func Check(lower string) error {
	if os.Geteuid() != 0 {
		return &MissingError{"booting a host needs root: it makes namespaces and mounts", "run it with sudo"}
	}
	if _, err := cgroup2(); err != nil {
		return err
	}
	for _, ns := range []string{"pid", "mnt", "net", "uts", "ipc", "cgroup"} {
		if _, err := os.Stat("/proc/self/ns/" + ns); err != nil {
			return &MissingError{"the kernel has no " + ns + " namespaces", "use a kernel with CONFIG_NAMESPACES and all its kinds, as Debian's is"}
		}
	}
	for _, tool := range []struct{ name, pkg string }{
		{"ip", "iproute2"}, {"nsenter", "util-linux"}, {"mount", "mount"}, {"pivot_root", "util-linux"},
	} {
		if _, err := exec.LookPath(tool.name); err != nil {
			return &MissingError{tool.name + " is not installed", "apt-get install " + tool.pkg}
		}
	}
	root, err := os.OpenRoot(rootOf(lower))
	if err != nil {
		return &MissingError{err.Error(), "Options.Lower must be a directory that holds a root file system"}
	}
	defer root.Close()
	in := ""
	if lower != "" && lower != "/" {
		in = " in " + lower
	}
	if _, err := findSystemd(root); err != nil {
		return &MissingError{"systemd is not installed" + in, "apt-get install systemd"}
	}
	if !anyOf(root, "usr/bin/dbus-daemon", "usr/bin/dbus-broker") || !anyOf(root, "usr/lib/systemd/system/dbus.socket", "lib/systemd/system/dbus.socket") {
		return &MissingError{"dbus is not installed" + in, "apt-get install dbus"}
	}
	return nil
}

func rootOf(lower string) string {
	if lower == "" {
		return "/"
	}
	return lower
}

// findSystemd returns the absolute path of systemd in root.
func findSystemd(root *os.Root) (string, error) {
	for _, p := range []string{"usr/lib/systemd/systemd", "lib/systemd/systemd"} {
		if anyOf(root, p) {
			return "/" + p, nil
		}
	}
	return "", errors.New("no systemd")
}

func anyOf(root *os.Root, paths ...string) bool {
	for _, p := range paths {
		if _, err := root.Stat(p); err == nil {
			return true
		}
	}
	return false
}

// cgroup2 returns a writable mount point of the unified cgroup hierarchy.
func cgroup2() (string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	readOnly := ""
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line) // device, mount point, type, options, ...
		if len(f) < 4 || f[2] != "cgroup2" {
			continue
		}
		if unix.Access(f[1], unix.W_OK) == nil {
			return filepath.Clean(f[1]), nil
		}
		readOnly = f[1]
	}
	if readOnly != "" {
		return "", &MissingError{"the cgroup2 mount at " + readOnly + " is read-only", "in a container: run it privileged, with a writable cgroup"}
	}
	return "", &MissingError{"cgroup2 is not mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified, or boot with systemd.unified_cgroup_hierarchy=1"}
}
