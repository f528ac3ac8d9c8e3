package main

import "path/filepath"

// paths are where the daemon keeps its files, as DESIGN and the unit file have
// them.
type paths struct {
	runtime    string // gone with a reboot
	persistent string // kept
}

func defaultPaths() paths {
	return paths{runtime: "/run/switcheroo", persistent: "/var/lib/switcheroo"}
}

// rulesLock serialises all who write our rules.
func (p paths) rulesLock() string { return filepath.Join(p.runtime, "rules.lock") }

// control is the control socket.
func (p paths) control() string { return filepath.Join(p.runtime, "control.sock") }

// credentials is where systemd asks for LoadCredential=.
func (p paths) credentials() string { return filepath.Join(p.runtime, "credential.sock") }

// daemonLock is held for as long as a daemon lives.
func (p paths) daemonLock() string { return filepath.Join(p.runtime, "switcherood.lock") }
