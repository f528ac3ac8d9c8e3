package host

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// disk is what a host keeps over a reboot: an overlay whose upper layer is a
// tmpfs, mounted in the mount namespace of the host's thread and nowhere else.
// Each boot gets a copy of that namespace and makes the overlay its root.
type disk struct {
	dir     string // mount point of the tmpfs; empty for everybody else
	root    string // where the overlay is mounted
	systemd string // path of systemd in it
}

// What the image has enabled, configured or kept is not this host's business.
var erased = []string{"etc/systemd", "var/lib/systemd", "etc/switcheroo", "var/lib/switcheroo"}

// Units of systemd itself that touch the machine, or wait for what a host in
// namespaces does not have.
var masked = []string{
	"dev-hugepages.mount", "getty.target", "kmod-static-nodes.service", "modprobe@.service",
	"proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
	"sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-ask-password-console.path",
	"systemd-ask-password-wall.path", "systemd-binfmt.service", "systemd-firstboot.service",
	"systemd-hwdb-update.service", "systemd-initctl.socket", "systemd-journald-audit.socket",
	"systemd-logind.service", "systemd-modules-load.service", "systemd-pcrphase-sysinit.service",
	"systemd-pcrphase.service", "systemd-remount-fs.service", "systemd-repart.service",
	"systemd-sysctl.service", "systemd-tmpfiles-clean.timer", "systemd-update-utmp-runlevel.service",
	"systemd-update-utmp.service",
}

const journald = `[Journal]
Storage=persistent
RateLimitIntervalSec=0
ForwardToSyslog=no
`

// mountDisk makes the disk. It must run on the host's thread, whose mount
// namespace it makes private first.
func mountDisk(dir, name string, opts Options) (*disk, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w", err)
	}
	// Upper and work must be on another file system than the lower one.
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		return nil, fmt.Errorf("mount tmpfs: %w", err)
	}
	d := &disk{dir: dir, root: filepath.Join(dir, "root")}
	for _, sub := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%[2]s/upper,workdir=%[2]s/work", rootOf(opts.Lower), dir)
	if err := unix.Mount("overlay", d.root, "overlay", 0, layers); err != nil {
		return nil, fmt.Errorf("mount overlay (%s): %w", layers, err)
	}
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if d.systemd, err = findSystemd(root); err != nil {
		return nil, fmt.Errorf("%s: %w", rootOf(opts.Lower), err)
	}
	if err := furnish(root, name, opts); err != nil {
		return nil, fmt.Errorf("furnish the root file system: %w", err)
	}
	return d, nil
}

// furnish turns a copy of the machine's root file system into a bare system
// with a name of its own, and adds opts.Files.
func furnish(root *os.Root, name string, opts Options) error {
	for _, p := range erased {
		if err := root.RemoveAll(p); err != nil {
			return err
		}
	}
	id := make([]byte, 16)
	rand.Read(id)
	files := map[string]string{
		"/etc/machine-id":                      hex.EncodeToString(id) + "\n",
		"/etc/hostname":                        name + "\n",
		"/etc/fstab":                           "",
		"/etc/crypttab":                        "",
		"/etc/systemd/journald.conf.d/50.conf": journald,
	}
	maps.Copy(files, opts.Files)
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if err := writeFile(root, p, files[p]); err != nil {
			return err
		}
	}
	for _, dir := range []string{"etc/systemd/system", "etc/systemd/system-generators", "var/log/journal"} {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	generators, err := fs.Glob(root.FS(), "usr/lib/systemd/system-generators/*")
	if err != nil {
		return err
	}
	for _, g := range generators {
		if err := mask(root, "etc/systemd/system-generators/"+path.Base(g)); err != nil {
			return err
		}
	}
	for _, u := range slices.Concat(masked, opts.Mask) {
		if err := mask(root, "etc/systemd/system/"+u); err != nil {
			return err
		}
	}
	return nil
}

func mask(root *os.Root, p string) error {
	if err := root.Symlink("/dev/null", p); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// writeFile writes a file and its parent directories below root; a file that
// begins with #! is made executable.
func writeFile(root *os.Root, p, content string) error {
	p = relative(p)
	if err := root.MkdirAll(path.Dir(p), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	if err := root.WriteFile(p, []byte(content), mode); err != nil {
		return err
	}
	return root.Chmod(p, mode)
}
