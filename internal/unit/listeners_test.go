package unit

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/sockdiag"
	"github.com/switcheroo/switcheroo/test/host"
)

// listenersIn is Listeners in the host's network namespace.
func listenersIn(t *testing.T, h *host.Host, controlGroup string) []sockdiag.Listener {
	t.Helper()
	type answer struct {
		found []sockdiag.Listener
		err   error
	}
	done := make(chan answer)
	go func() {
		runtime.LockOSThread() // and let the thread die with the goroutine
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.PID()))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		var a answer
		if a.err = err; err == nil {
			a.found, a.err = listeners(t.Context(), root(h), controlGroup)
		}
		done <- a
	}()
	a := <-done
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.found
}

func TestListeners(t *testing.T) {
	t.Parallel()
	app := func(listen string, lines ...string) string {
		return template(append(lines, "Type=notify", "ExecStart=/app -listen "+listen)...)
	}
	h := boot(t, map[string]string{
		"four@.service":    app("tcp4:0.0.0.0:8001"),
		"six@.service":     app("tcp6:[::]:8002"),
		"both@.service":    app("tcp:[::]:8003,tcp4:127.0.0.1:8004", "DynamicUser=yes", "ProtectSystem=strict", "PrivateUsers=yes", "ProtectProc=invisible"),
		"none@.service":    template("Type=notify", "ExecStart=/app"),
		"private@.service": app("tcp4:0.0.0.0:8005", "PrivateNetwork=yes"),
		// A cgroup below the unit's own.
		"deep@.service": template("Type=notify", "NotifyAccess=all", "Delegate=yes",
			`ExecStart=/bin/sh -c 'c=/sys/fs/cgroup$$(cut -d: -f3 /proc/self/cgroup)/a/b; mkdir -p $$c; echo $$$$ >$$c/cgroup.procs; exec /app -listen tcp4:0.0.0.0:8006'`),
	})
	c := newClient(t, h, nil)
	type socket struct {
		Addr   string
		V6Only bool
	}
	for name, want := range map[string][]socket{
		"four@1.service": {{"0.0.0.0:8001", false}}, "six@1.service": {{"[::]:8002", true}},
		"both@1.service": {{"[::]:8003", false}, {"127.0.0.1:8004", false}},
		"none@1.service": nil, "private@1.service": nil, "deep@1.service": {{"0.0.0.0:8006", false}},
	} {
		systemctl(t, h, "start", name)
		u, err := c.Status(t.Context(), name)
		if err != nil || u.ControlGroup == "" {
			t.Fatalf("Status(%s) = %+v, %v", name, u, err)
		}
		var got []socket
		for _, l := range listenersIn(t, h, u.ControlGroup) {
			got = append(got, socket{l.Addr.String(), l.V6Only})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("listeners of %s (-want +got):\n%s", name, diff)
		}
	}
	if got := listenersIn(t, h, "/system.slice"); len(got) != 5 {
		t.Errorf("listeners of the slice = %v", got)
	}
	for _, none := range []string{"", "/system.slice/nothing.service"} {
		if got := listenersIn(t, h, none); len(got) != 0 {
			t.Errorf("listeners of cgroup %q = %v", none, got)
		}
	}
}

// On this machine's own hierarchy, whatever it is, it finds what this process
// opens.
func TestListenersHere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	table, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, name, ok := strings.Cut("\n"+string(table), "\n0::")
	if !ok {
		t.Fatalf("no cgroup2 in %q", table)
	}
	name, _, _ = strings.Cut(name, "\n")
	got, err := Listeners(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	want := netip.MustParseAddrPort(l.Addr().String())
	if !slices.ContainsFunc(got, func(s sockdiag.Listener) bool { return s.Addr == want }) {
		t.Errorf("Listeners(%s) = %v, without %s", name, got, want)
	}
}

func TestCgroupDir(t *testing.T) {
	tests := []struct {
		name, mounts string // root and mount point a line
		cgroup, want string
	}{
		{"pure", "/ /sys/fs/cgroup", "/a.slice/x.service", "/sys/fs/cgroup/a.slice/x.service"},
		{"hybrid", "/ /sys/fs/cgroup/unified", "/a.slice/x.service", "/sys/fs/cgroup/unified/a.slice/x.service"},
		{"root", "/ /sys/fs/cgroup", "/", "/sys/fs/cgroup"},
		{"a part of the hierarchy", "/outer /sys/fs/cgroup", "/outer/x.service", "/sys/fs/cgroup/x.service"},
		{"another part first", "/other /mnt\n/ /sys/fs/cgroup", "/a.slice/x.service", "/sys/fs/cgroup/a.slice/x.service"},
		{"half a name is no part", "/out /mnt\n/ /sys/fs/cgroup", "/outer/x.service", "/sys/fs/cgroup/outer/x.service"},
		{"made in an outer namespace", "/../abc /sys/fs/cgroup", "/a.slice/x.service", "/sys/fs/cgroup/a.slice/x.service"},
		{"gone", "/ /sys/fs/cgroup", "/a.slice/gone.service", "/sys/fs/cgroup/a.slice/gone.service"},
	}
	for _, test := range tests {
		root := t.TempDir()
		var table strings.Builder
		for line := range strings.Lines(test.mounts) {
			f := strings.Fields(line)
			fmt.Fprintf(&table, "25 21 0:22 %s %s rw - cgroup2 cgroup2 rw\n", f[0], f[1])
			os.MkdirAll(root+f[1], 0o755)
		}
		os.MkdirAll(root+"/proc/1", 0o755)
		if err := os.WriteFile(root+"/proc/1/mountinfo", []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		if test.name != "gone" {
			os.MkdirAll(root+test.want, 0o755)
		}
		got, err := cgroupDir(root, test.cgroup)
		if got != root+test.want || err != nil {
			t.Errorf("%s: cgroupDir(%s) = %s, %v, want %s", test.name, test.cgroup, got, err, root+test.want)
		}
	}
	if _, err := cgroupDir(t.TempDir(), "/x"); err == nil {
		t.Error("cgroupDir without a mount table succeeded")
	}
}

func TestCgroupMounts(t *testing.T) {
	tests := []struct {
		name, table string
		want        []cgroupMount
	}{
		{"pure", "25 21 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n", []cgroupMount{{"/", "/sys/fs/cgroup"}}},
		{"hybrid", "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n" +
			"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n", []cgroupMount{{"/", "/sys/fs/cgroup/unified"}}},
		{"container", `25 21 0:22 /../../a\040b /mnt/x\040y rw shared:1 master:2 - cgroup2 c rw` + "\n", []cgroupMount{{"/../../a b", "/mnt/x y"}}},
		{"none", "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n", nil},
		{"not a table", "a b\n - cgroup2 \nx - y", nil},
	}
	for _, test := range tests {
		got := cgroupMounts([]byte(test.table))
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(cgroupMount{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzCgroupMounts(f *testing.F) {
	f.Add("25 21 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n")
	f.Add("32 31 0:29 /a\\040 /b\\134 rw - cgroup2 x\n - \n")
	f.Fuzz(func(t *testing.T, table string) {
		for _, m := range cgroupMounts([]byte(table)) {
			if m.root == "" || m.point == "" {
				t.Fatalf("%+v of %q", m, table)
			}
		}
	})
}
