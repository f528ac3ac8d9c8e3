package report

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is where a run took place.
type Machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Memory   uint64            `json:"memory_bytes"`
	Kernel   string            `json:"kernel"`
	System   string            `json:"system"`
	Versions map[string]string `json:"versions"` // of the programs that took part
}

// programs are asked for their versions; those that are not there are left out.
var programs = map[string][]string{
	"systemd":  {"systemctl", "--version"},
	"iptables": {"iptables", "--version"},
	"nftables": {"nft", "--version"},
	"haproxy":  {"haproxy", "-v"},
	"nginx":    {"nginx", "-v"},
	"redis":    {"redis-server", "--version"},
	"node":     {"/usr/bin/node", "--version"},
	"python":   {"/usr/bin/python3", "--version"},
}

// ThisMachine describes the machine that this runs on.
func ThisMachine(ctx context.Context) Machine {
	m := Machine{Cores: runtime.NumCPU(), Versions: map[string]string{"go": runtime.Version()}}
	m.CPU = field("/proc/cpuinfo", "model name", ":")
	m.System = strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`)
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		m.Memory = s.Totalram * uint64(s.Unit)
	}
	for name, args := range programs {
		if v := version(ctx, args); v != "" {
			m.Versions[name] = v
		}
	}
	return m
}

// version returns the first line that a program prints.
func version(ctx context.Context, args []string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// field returns the value of the first line of a file that begins with key.
func field(file, key, separator string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		k, v, ok := strings.Cut(lines.Text(), separator)
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
