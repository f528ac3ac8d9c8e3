package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// notifySocket is where a command says READY=1, as sd_notify(3) has it. Its
// address is an abstract one, which leaves nothing to remove.
type notifySocket struct {
	conn    *net.UnixConn
	address string

	mu     sync.Mutex
	status string // the last STATUS=
}

func newNotifySocket() (*notifySocket, error) {
	address := "@switcheroo-" + rand.Text()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("open a NOTIFY_SOCKET: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		}), err)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open a NOTIFY_SOCKET: %w", err)
	}
	return &notifySocket{conn: conn, address: address}, nil
}

// close ends listen.
func (n *notifySocket) close() { n.conn.Close() }

// said returns the last STATUS= of the command.
func (n *notifySocket) said() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status
}

// listen reads what processes of the command whose first one is pid say, until
// the socket is closed, and calls ready at each READY=1. Everybody on this host
// can write to it, so what others say is dropped.
func (n *notifySocket) listen(pid int, ready func()) {
	message, oob := make([]byte, 4096), make([]byte, 4096)
	for {
		size, oobSize, _, _, err := n.conn.ReadMsgUnix(message, oob)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // one that was too much for us
		}
		sender := openControl(oob[:oobSize])
		if sender == 0 || !descends(sender, pid) {
			continue
		}
		saysReady, status := parseNotification(string(message[:size]))
		if status != "" {
			n.mu.Lock()
			n.status = status
			n.mu.Unlock()
		}
		if saysReady {
			ready()
		}
	}
}

// parseNotification reads what was said: whether READY=1, and the last STATUS=.
func parseNotification(message string) (ready bool, status string) {
	for line := range strings.Lines(message) {
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "="); name {
		case "READY":
			ready = ready || value == "1"
		case "STATUS":
			status = value
		}
	}
	return ready, status
}

// openControl returns the process that sent a message, 0 if it is out of sight.
// File descriptors that came along are closed: for BARRIER=1 that is the answer.
func openControl(oob []byte) int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	sender := 0
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			sender = int(cred.Pid)
		}
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
	}
	return sender
}

// descends says whether a process is one of the command's: its first one, in
// its process group, or a descendant.
func descends(pid, first int) bool {
	if group, err := unix.Getpgid(pid); err == nil && group == first {
		return true
	}
	const deepest = 64
	for range deepest {
		if pid == first {
			return true
		}
		if pid = parent(pid); pid <= 1 {
			return false
		}
	}
	return false
}

// parent returns the parent of a process, 0 if there is none to be seen.
func parent(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field, the command in parentheses, may hold anything.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(f[1])
	return n
}
