package main

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// busy reports whether this host's processors have had more than half of their
// time to do in the last minute, by the load average. Without an answer they have
// not.
func busy() bool {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return false
	}
	const one = 1 << 16 // SI_LOAD_SHIFT
	return 2*uint64(info.Loads[0]) > one*uint64(runtime.NumCPU())
}
