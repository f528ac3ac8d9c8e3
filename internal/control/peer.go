package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errGone says that the process which connected has ended. Whoever has its pid
// now is another.
var errGone = errors.New("the process that connected has ended")

// Peer is the process that made a connection. Whoever inherited or was passed
// its socket acts as that process.
type Peer struct {
	conn *net.UnixConn
	cred unix.Ucred
	// held is a pidfd from when the connection was accepted, where the kernel
	// has none of when it was made (before 6.5); else -1.
	held int
	// caller is whose share its connection and calls are of.
	caller caller
}

// newPeer returns the peer of c. Close it.
func newPeer(c *net.UnixConn) (*Peer, error) {
	p := &Peer{conn: c, held: -1}
	err := p.control(func(fd int) error {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return fmt.Errorf("read the peer's credentials: %w", err)
		}
		p.cred = *cred
		pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		switch {
		case err == nil:
			unix.Close(pidfd) // asked for again when it matters
		case errors.Is(err, unix.ENOPROTOOPT):
			if pidfd, err := unix.PidfdOpen(int(cred.Pid), 0); err == nil {
				p.held = pidfd
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.caller.uid = p.UID()
	if p.UID() != 0 {
		// Only root makes system services; user@1000.service holds all that
		// belongs to a user's own.
		if unit, err := p.Unit(); err == nil && strings.HasSuffix(unit, ".service") && !strings.HasPrefix(unit, "user@") {
			p.caller.unit = unit
		}
	}
	return p, nil
}

func (p *Peer) close() {
	if p.held >= 0 {
		unix.Close(p.held)
		p.held = -1
	}
}

func (p *Peer) control(f func(fd int) error) error {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// UID is the user that connected.
func (p *Peer) UID() uint32 { return p.cred.Uid }

// in reports whether the user that connected was in a group.
func (p *Peer) in(gid uint32) bool {
	if p.cred.Gid == gid {
		return true
	}
	var groups []uint32
	err := p.control(func(fd int) (err error) {
		groups, err = peerGroups(fd)
		return err
	})
	return err == nil && slices.Contains(groups, gid)
}

// peerGroups returns the supplementary groups of who connected.
func peerGroups(fd int) ([]uint32, error) {
	for n := 64; ; {
		groups := make([]uint32, n)
		size := uint32(4 * n)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno == unix.ERANGE && int(size/4) > n:
			n = int(size / 4)
		default:
			return nil, errno
		}
	}
}

// Unit returns the systemd unit that the process which connected is in, "" if
// it is in none. The answer is about that process even if its pid has been
// reused: then it is an error.
func (p *Peer) Unit() (string, error) {
	if p.cred.Pid <= 0 {
		return "", errGone // or in a pid namespace that is no part of ours
	}
	pidfd, err := p.pidfd()
	if err != nil {
		return "", err
	}
	if pidfd != p.held {
		defer unix.Close(pidfd)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.cred.Pid))
	if err != nil {
		return "", fmt.Errorf("find the unit of process %d: %w", p.cred.Pid, err)
	}
	// If it is still there now, it was what had the pid when that was read.
	if err := alive(pidfd); err != nil {
		return "", err
	}
	return unitOf(string(text)), nil
}

// pidfd returns a pidfd of the process that connected.
func (p *Peer) pidfd() (pidfd int, err error) {
	if p.held >= 0 {
		return p.held, nil
	}
	err = p.control(func(fd int) (err error) {
		pidfd, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		return err
	})
	if err != nil { // ESRCH or EINVAL: it has been reaped
		return -1, fmt.Errorf("%w (%w)", errGone, err)
	}
	return pidfd, nil
}

// alive is an error if the process of a pidfd has been reaped. EPERM, which
// comes later than ESRCH, means that it has not.
func alive(pidfd int) error {
	err := unix.PidfdSendSignal(pidfd, 0, nil, 0)
	if err == nil || errors.Is(err, unix.EPERM) {
		return nil
	}
	return errGone
}

// unitOf returns the unit in a process's cgroup table: the first part of the
// path that is no slice. What comes after it is for the unit to make, and can
// have any name (Delegate=).
func unitOf(table string) string {
	for line := range strings.Lines(table) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::/")
		if !ok {
			continue
		}
		for part := range strings.SplitSeq(path, "/") {
			// systemd puts _ before what looks like a file of the kernel's.
			part = strings.TrimPrefix(part, "_")
			switch {
			case strings.HasSuffix(part, ".slice"):
			case strings.HasSuffix(part, ".service"), strings.HasSuffix(part, ".scope"):
				return part
			default:
				return "" // outside of our cgroup namespace, or not systemd's
			}
		}
	}
	return ""
}
