package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// controlName is FileDescriptorName= of switcherood.socket.
const controlName = "control"

// inherited is what systemd has passed to the daemon.
type inherited struct {
	sockets []*net.UnixListener   // of switcherood.socket
	kept    map[string][]*os.File // listeners that an earlier daemon has put away
}

// inherit takes what systemd has passed. Nothing else may do so.
func inherit() (in inherited, err error) {
	in.kept = map[string][]*os.File{}
	for name, files := range activation.FilesWithNames() {
		if key, ok := strings.CutPrefix(name, keptPrefix); ok {
			in.kept[key] = files
			continue
		}
		for _, f := range files {
			if name == controlName {
				l, broken := listenerOf(f)
				if broken == nil {
					in.sockets = append(in.sockets, l)
				}
				err = errors.Join(err, broken)
			}
			f.Close()
		}
	}
	return in, err
}

func listenerOf(f *os.File) (*net.UnixListener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("the socket %q that systemd has passed is no unix socket that listens", controlName)
	}
	u.SetUnlinkOnClose(false) // it is systemd's
	return u, nil
}

// socket returns what listens at path: a socket that switcherood.socket holds,
// so that clients wait in it while the daemon is restarted, or else one of the
// daemon's own. Everybody may connect; what else they may is looked at in each
// call.
func (in *inherited) socket(path string) (*net.UnixListener, error) {
	for _, l := range in.sockets {
		if addr := l.Addr(); addr.String() == path {
			return l, nil
		}
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
