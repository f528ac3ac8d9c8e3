package switcheroo

import (
	"fmt"
	"net"
	"os"
	"slices"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// passed are the sockets that whoever started this process handed it
// (LISTEN_FDS): systemd, or "switcheroo exec" under the daemon. They are taken
// out of the environment the first time anybody asks, so that no child takes
// them for its own.
var passed struct {
	sync.Mutex
	asked bool
	any   bool
	files []*os.File
}

// anyPassed reports whether this process was handed sockets: then it needs
// neither iptables nor a port of its own.
func anyPassed() bool {
	passed.Lock()
	defer passed.Unlock()
	if !passed.asked {
		passed.files = activation.Files(true)
		passed.asked, passed.any = true, len(passed.files) > 0
	}
	return passed.any
}

// passedListener returns the next one that was passed and not given out yet,
// preferably one with the service's name (LISTEN_FDNAMES); nil if none was
// passed at all.
func passedListener(name string) (net.Listener, error) {
	if !anyPassed() {
		return nil, nil
	}
	passed.Lock()
	defer passed.Unlock()
	slices.SortStableFunc(passed.files, func(a, b *os.File) int {
		switch named := a.Name() == name; {
		case named == (b.Name() == name):
			return 0
		case named:
			return -1
		}
		return 1
	})
	for i, f := range passed.files {
		l, err := net.FileListener(f)
		if err != nil {
			continue // a socket of another kind
		}
		if _, tcp := l.Addr().(*net.TCPAddr); !tcp {
			l.Close()
			continue
		}
		f.Close() // the listener has a descriptor of its own
		passed.files = slices.Delete(passed.files, i, i+1)
		return l, nil
	}
	return nil, fmt.Errorf("LISTEN_FDS: no TCP listener was passed for %q, or all are taken", name)
}

// notifyReady tells the service manager, if one listens, that this process is
// ready.
func notifyReady() error {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}
