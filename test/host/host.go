package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what a Host is made of. The zero value is a bare system of the
// machine's own making: systemd, journald and dbus, and nothing that the
// machine has enabled or configured under /etc/systemd.
type Options struct {
	// Name is the host name; by default one that no other host of this
	// process has.
	Name string
	// Lower is the root file system to start from, which is never written to;
	// by default $SWITCHEROO_TEST_ROOT (to run all tests on the systemd of
	// another release), and else the machine's own.
	Lower string
	// Target is what systemd boots to; multi-user.target by default.
	Target string
	// Files are written before the first boot: path and content. Those whose
	// content begins with #! are made executable.
	Files map[string]string
	// Binds are bind mounts, read-only: path in the host, and path here.
	Binds map[string]string
	// Mask names more units not to start.
	Mask []string
}

// Host is a running system. Close it.
type Host struct {
	*Guest
	opts   Options
	dir    string // mount point of its disk
	group  string // its cgroup's directory
	disk   *disk
	closed sync.Once
}

// bootTimeout bounds a boot where the caller's context does not.
const bootTimeout = time.Minute

// Boot makes a host, boots it, and returns when systemd says that start-up is
// finished; units that failed meanwhile are no error (see Failed). ctx bounds
// the boot only.
func Boot(ctx context.Context, opts Options) (*Host, error) {
	if opts.Lower == "" {
		opts.Lower = os.Getenv("SWITCHEROO_TEST_ROOT")
	}
	if err := Check(opts.Lower); err != nil {
		return nil, err
	}
	cgroups, err := cgroup2()
	if err != nil {
		return nil, err
	}
	sweeper.Do(func() { sweep(cgroups) })
	unique, number := nextName()
	if opts.Name == "" {
		opts.Name = fmt.Sprintf("host%d", number)
	}
	if opts.Target == "" {
		opts.Target = "multi-user.target"
	}
	h := &Host{
		Guest: newGuest(opts.Name, "-m", "-u", "-i", "-n", "-C"),
		opts:  opts,
		group: filepath.Join(cgroups, unique),
	}
	if err := h.install(number); err != nil {
		h.Close()
		return nil, fmt.Errorf("make host %s: %w", opts.Name, err)
	}
	if err := h.bootSystemd(ctx); err != nil {
		h.Close()
		return nil, fmt.Errorf("boot host %s: %w", opts.Name, err)
	}
	if err := h.newEnough(ctx); err != nil {
		h.Close()
		return nil, fmt.Errorf("host %s: %w", opts.Name, err)
	}
	return h, nil
}

// install makes the host's disk.
func (h *Host) install(number int) error {
	var err error
	if h.dir, err = makeDiskDir(number); err != nil {
		return err
	}
	return h.thread.do(func() (err error) {
		h.disk, err = mountDisk(h.dir, h.opts.Name, h.opts)
		return err
	})
}

// Close kills the host and removes all that belonged to it. It may be called
// again.
func (h *Host) Close() error {
	var err error
	h.closed.Do(func() {
		h.down(context.Background(), unix.SIGKILL)
		h.unplugAll(context.Background())
		h.thread.close()
		err = removeCgroup(h.group)
		// Its mounts were in namespaces that are gone: what is left is empty.
		if h.dir != "" {
			removeDiskDir(h.dir)
		}
	})
	return err
}
