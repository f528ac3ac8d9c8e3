package companion

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrOwned is returned while another process owns the table.
var ErrOwned = errors.New("the nftables table belongs to another process")

// Flags of a table, uapi/linux/netfilter/nf_tables.h: changed by its owner
// alone (kernel 5.12), and left in place when the owner goes (kernel 6.9).
const (
	flagOwner   = 1 << 1
	flagPersist = 1 << 2
)

// refusesFlags says whether err is the kernel's answer to flags that it does
// not know.
func refusesFlags(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)
}

// check returns an error if another living process owns the table.
func (h header) check(port uint32) error {
	if h.flags&flagOwner == 0 || h.owner == port {
		return nil
	}
	if pid, command := socketHolder(h.owner); pid != 0 {
		return fmt.Errorf("table inet %s: %w: pid %d (%s); stop it first", h.name, ErrOwned, pid, command)
	}
	return fmt.Errorf("table inet %s: %w, with netlink port id %d (usually its pid); stop it first", h.name, ErrOwned, h.owner)
}

// socketHolder finds the process that holds the netfilter netlink socket with
// a port id. pid is 0 where /proc does not show it.
func socketHolder(port uint32) (pid int, command string) {
	f, err := os.Open("/proc/thread-self/net/netlink")
	if err != nil {
		return 0, ""
	}
	defer f.Close()
	inode := socketInode(f, port)
	if inode == "" {
		return 0, ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || to != "socket:["+inode+"]" {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		pid, _ = strconv.Atoi(filepath.Base(dir))
		comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
		return pid, strings.TrimSpace(string(comm))
	}
	return 0, ""
}

// socketInode reads /proc/net/netlink: address, protocol, port id, groups,
// four counters, drops, inode.
func socketInode(r io.Reader, port uint32) string {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) == 10 && f[1] == strconv.Itoa(unix.NETLINK_NETFILTER) && f[2] == strconv.FormatUint(uint64(port), 10) {
			return f[9]
		}
	}
	return ""
}
