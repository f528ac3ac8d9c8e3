package arena

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Where the kernel counts connections that are lost, or in danger: those of
// /proc/net/snmp and netstat, and of nf_conntrack.
var (
	tcpCounters = []string{
		"AttemptFails", "EstabResets", "RetransSegs", "OutRsts",
		"ListenOverflows", "ListenDrops", "TCPReqQFullDrop", "TCPReqQFullDoCookies", "SyncookiesSent", "SyncookiesFailed",
		"EmbryonicRsts", "PAWSActive", "PAWSEstab", "PAWSTimewait", "TCPTimeouts", "TCPSynRetrans",
		"TCPAbortOnData", "TCPAbortOnClose", "TCPAbortOnMemory", "TCPAbortOnTimeout", "TCPAbortOnLinger",
		"TCPMigrateReqSuccess", "TCPMigrateReqFailure", "TCPBacklogDrop", "TCPTimeWaitOverflow",
	}
	conntrackCounters = []string{
		"clashres", "invalid", "chainlength", "insert_failed", "drop", "early_drop", "icmp_error", "search_restart",
	}
)

// Counters returns counters of the host's kernel that say where connections
// got lost, since it booted: "tcp.ListenDrops", "conntrack.insert_failed".
// Without connection tracking there are none of that.
func (a *Arena) Counters(context.Context) (map[string]int64, error) {
	dir := fmt.Sprintf("/proc/%d/net/", a.Host.PID())
	all := map[string]int64{}
	for _, name := range []string{"snmp", "netstat"} {
		b, err := os.ReadFile(dir + name)
		if err != nil {
			return nil, fmt.Errorf("read the kernel's counters: %w", err)
		}
		if err := parseCounters(string(b), all); err != nil {
			return nil, fmt.Errorf("read the kernel's counters: %s: %w", name, err)
		}
	}
	b, err := os.ReadFile(dir + "stat/nf_conntrack")
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = parseConntrack(string(b), all)
	}
	if err != nil {
		return nil, fmt.Errorf("read conntrack's counters: %w", err)
	}
	return all, nil
}

// parseCounters adds those of tcpCounters that text has: pairs of lines, names
// and numbers, that begin with the protocol.
func parseCounters(text string, all map[string]int64) error {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, numbers := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		if len(names) == 0 || len(names) != len(numbers) || names[0] != numbers[0] {
			return fmt.Errorf("%.60q and %.60q are no pair", lines[i], lines[i+1])
		}
		if names[0] != "Tcp:" && names[0] != "TcpExt:" {
			continue
		}
		for n, name := range names[1:] {
			if !slices.Contains(tcpCounters, name) {
				continue
			}
			v, err := strconv.ParseInt(numbers[n+1], 10, 64)
			if err != nil {
				return err
			}
			all["tcp."+name] += v
		}
	}
	return nil
}

// parseConntrack adds those of conntrackCounters: a line of names, and one of
// hexadecimal numbers a CPU.
func parseConntrack(text string, all map[string]int64) error {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	names := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		numbers := strings.Fields(line)
		if len(numbers) != len(names) {
			return fmt.Errorf("%d numbers for %d names", len(numbers), len(names))
		}
		for n, name := range names {
			if !slices.Contains(conntrackCounters, name) {
				continue
			}
			v, err := strconv.ParseUint(numbers[n], 16, 32)
			if err != nil {
				return err
			}
			all["conntrack."+name] += int64(v)
		}
	}
	return nil
}
