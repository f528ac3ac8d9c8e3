package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// What must have a name outside the namespaces (temporary directories and
// cgroups) begins with prefix and the owner: the process id and its start
// time, which together name a process once and for all.
const prefix = "switcheroo-host-"

var (
	owner   = sync.OnceValue(func() string { return fmt.Sprintf("%d-%d", os.Getpid(), startTime(os.Getpid())) })
	sweeper sync.Once
	counter atomic.Int64
)

// nextName returns a name that no other host has, and its number in this
// process.
func nextName() (string, int) {
	n := int(counter.Add(1))
	return fmt.Sprintf("%s%s-%d", prefix, owner(), n), n
}

// processDir returns this process's temporary directory, making it if need be.
func processDir() (string, error) {
	dir := filepath.Join(os.TempDir(), prefix+owner())
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("make temporary directory: %w", err)
	}
	return dir, nil
}

// disks guards the temporary directory, which goes with the last host's in it.
var disks sync.Mutex

// makeDiskDir makes a host's own directory in it.
func makeDiskDir(number int) (string, error) {
	disks.Lock()
	defer disks.Unlock()
	parent, err := processDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, fmt.Sprint(number))
	return dir, os.Mkdir(dir, 0o755)
}

// removeDiskDir removes that, if it is empty.
func removeDiskDir(dir string) {
	disks.Lock()
	defer disks.Unlock()
	os.Remove(dir)
	os.Remove(filepath.Dir(dir)) // if this was the last
}

// sweep removes what processes that are gone could not remove themselves.
// Errors are left for the next process: another one may be sweeping too.
func sweep(cgroups string) {
	dirs, _ := filepath.Glob(filepath.Join(cgroups, prefix+"*"))
	for _, dir := range dirs {
		if ownerGone(filepath.Base(dir)) {
			removeCgroup(dir)
		}
	}
	dirs, _ = filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range dirs {
		if ownerGone(filepath.Base(dir)) {
			os.RemoveAll(dir)
		}
	}
}

// ownerGone says whether name is one of ours whose process has ended.
func ownerGone(name string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return false
	}
	f := strings.Split(rest, "-") // pid, start time, and a number for cgroups
	if len(f) < 2 {
		return false
	}
	pid, err := strconv.Atoi(f[0])
	if err != nil {
		return false
	}
	start, err := strconv.ParseUint(f[1], 10, 64)
	return err == nil && startTime(pid) != start
}

// startTime returns field 22 of /proc/PID/stat, the clock ticks from the
// machine's boot to the start of the process; 0 if there is no such process.
func startTime(pid int) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field, the command in parentheses, may hold anything.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 20 {
		return 0
	}
	n, _ := strconv.ParseUint(f[19], 10, 64)
	return n
}
