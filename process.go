package switcheroo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// errGone says that a process has ended, or that its pid is another's by now.
var errGone = errors.New("the process has ended")

// process is one that is known by more than its pid: the descriptor stands for
// it alone, even when the pid is used again.
type process struct {
	pid int
	fd  *os.File // a pidfd
}

// openProcess opens the process that had this pid and began at start, in clock
// ticks since boot. errGone is its error where there is no such process. The
// caller closes it.
func openProcess(pid int, start uint64) (*process, error) {
	if pid <= 0 {
		return nil, errGone
	}
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH),
		errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // a thread's id, on older and newer kernels
		return nil, errGone
	case err != nil:
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that Go can wait for it
		unix.Close(fd)
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	p := &process{pid: pid, fd: os.NewFile(uintptr(fd), "pidfd")}
	// Read after the pidfd is there: if it is the right one now, it was then.
	began, err := startOf(pid)
	if err == nil && (began != start || p.ended()) {
		err = errGone
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// startOf reads when a process began, in clock ticks since boot.
func startOf(pid int) (uint64, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, errGone
	}
	if err != nil {
		return 0, err
	}
	return parseStart(string(stat))
}

// parseStart reads field 22 of /proc/PID/stat. The second field is the command
// in parentheses, which may hold both those and spaces.
func parseStart(stat string) (uint64, error) {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const startTime = 22 - 3 // the first of f is field 3
	if len(f) <= startTime {
		return 0, fmt.Errorf("unexpected /proc/PID/stat %q", stat)
	}
	return strconv.ParseUint(f[startTime], 10, 64)
}

// isAlive reports whether the process still runs. An error means that it cannot
// be told: nothing is to be done to it then.
func isAlive(pid int, start uint64) (bool, error) {
	p, err := openProcess(pid, start)
	if errors.Is(err, errGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p.close()
	return true, nil
}

// isGone reports whether the process has ended for sure.
func isGone(g single.Generation) bool {
	alive, err := isAlive(g.PID, g.Start)
	return err == nil && !alive
}

func (p *process) close() { p.fd.Close() }

// terminate sends SIGTERM to this very process, or nobody.
func (p *process) terminate() error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), unix.SIGTERM, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(sent, unix.ESRCH) {
		return errGone
	}
	return sent
}

// ended looks whether it has ended, if not yet reaped.
func (p *process) ended() bool {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return true // closed
	}
	var over bool
	raw.Control(func(fd uintptr) { over = readable(fd) })
	return over
}

// wait returns nil once the process has ended, or ctx's error.
func (p *process) wait(ctx context.Context) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { p.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = raw.Read(readable)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// readable says whether a pidfd is: it becomes so when the process ends.
func readable(fd uintptr) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if err != unix.EINTR {
			return n > 0
		}
	}
}
