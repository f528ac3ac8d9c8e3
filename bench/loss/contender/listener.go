package contender

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
)

// Private ports with a number are outside of the ephemeral range and of the
// clients' source ports: each of the ten services that a host may have, told
// apart by the last digit of their public ports, has 400 of its own.
const (
	firstPrivate   = 61000
	privateService = 400
	maxServices    = arena.MaxServices
)

// privatePort is the number of a version's private port. It comes again after
// privateService versions, which is more than can be draining.
func privatePort(s Service, version int) uint16 {
	slot := (int(s.Port) + maxServices - 1) % maxServices // 8081 is the first
	return uint16(firstPrivate + slot*privateService + version%privateService)
}

// listeners returns the inodes of the sockets that listen on port, with either
// family.
func listeners(a *arena.Arena, port uint16) (map[string]bool, error) {
	inodes := map[string]bool{}
	for _, family := range []string{"tcp", "tcp6"} {
		if err := readListeners(fmt.Sprintf("/proc/%d/net/%s", a.Host.PID(), family), port, inodes); err != nil {
			return nil, err
		}
	}
	return inodes, nil
}

func readListeners(path string, port uint16, inodes map[string]bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	suffix := fmt.Sprintf(":%04X", port)
	lines := bufio.NewScanner(f)
	lines.Scan() // the heading
	for lines.Scan() {
		f := strings.Fields(lines.Text()) // slot, local, remote, state, ..., inode is the tenth
		// The kernel shows listeners first; connections may be many thousands.
		if len(f) < 10 || f[3] != "0A" {
			break
		}
		if strings.HasSuffix(f[1], suffix) {
			inodes[f[9]] = true
		}
	}
	return lines.Err()
}

// awaitListener returns when something listens on port, which is when the
// kernel lets connections in.
func awaitListener(ctx context.Context, a *arena.Arena, port uint16) error {
	return await(ctx, quickly, fmt.Sprintf("something listens on port %d", port), func() error {
		found, err := listeners(a, port)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("nothing does")
		}
		return err
	})
}
