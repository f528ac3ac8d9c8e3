package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/coreos/go-systemd/v22/activation"
)

// controlName is FileDescriptorName= of switcherood.socket.
const controlName = "control"

// controlSocket returns the control socket: the one that switcherood.socket
// holds, so that clients wait in it while the daemon is restarted, or else one
// of the daemon's own at path. Everybody may connect, because everybody may
// read; what else they may is looked at in each call.
func controlSocket(path string) (*net.UnixListener, error) {
	passed, err := passedSocket()
	if passed != nil || err != nil {
		return passed, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	// No other daemon lives, so nobody answers there.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	// The mode that it has until then lets root in alone (UMask=).
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// passedSocket returns the control socket that systemd has passed, nil if it
// has not.
func passedSocket() (found *net.UnixListener, err error) {
	for name, files := range activation.FilesWithNames() {
		for _, f := range files {
			if name == controlName && found == nil && err == nil {
				var l net.Listener
				if l, err = net.FileListener(f); err == nil {
					var ok bool
					if found, ok = l.(*net.UnixListener); !ok {
						l.Close()
						err = fmt.Errorf("the socket %q that systemd has passed is no unix socket that listens", controlName)
					}
				}
			}
			f.Close()
		}
	}
	if found != nil {
		found.SetUnlinkOnClose(false) // it is systemd's
	}
	return found, err
}
