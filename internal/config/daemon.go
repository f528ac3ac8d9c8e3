package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
)

// Backend says what puts the rules into the kernel.
type Backend string

const (
	BackendIptables       Backend = "iptables"        // what the command iptables is on this host
	BackendIptablesNFT    Backend = "iptables-nft"    // iptables over nftables
	BackendIptablesLegacy Backend = "iptables-legacy" // the old kernel interface
)

// PortRange is a range of ports, ends included.
type PortRange struct {
	First, Last uint16
}

// String returns "61000-64999".
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// Contains reports whether port is in the range.
func (r PortRange) Contains(port uint16) bool { return r.First <= port && port <= r.Last }

// DefaultPrivatePorts lie above the kernel's own ephemeral range (32768-60999).
var DefaultPrivatePorts = PortRange{First: 61000, Last: 64999}

// Daemon is the [Switcherood] section of switcherood.conf, validated, with
// defaults filled in.
type Daemon struct {
	Backend Backend
	// PrivatePorts are those that the daemon hands out.
	PrivatePorts PortRange
	LogLevel     slog.Level
	// MetricsListen is the "host:port" where metrics are served; empty: nowhere.
	MetricsListen string
}

// daemonSchema is the section of switcherood.conf.
var daemonSchema = &schema{
	name:   "Switcherood",
	file:   DaemonPath,
	scalar: []string{"Backend", "PrivatePorts", "LogLevel", "MetricsListen"},
	alone:  true,
}

// ParseDaemon reads the daemon's settings; [DaemonFiles] gives the files.
// None is needed. The error is of type [Errors] and holds every fault; the
// Daemon is usable all the same, with defaults where a value is wrong.
func ParseDaemon(files []File) (Daemon, error) {
	sec := readSection(daemonSchema, files)
	r := &reader{section: sec, expand: literal}
	d := Daemon{
		Backend:       scalar(r, "Backend", BackendIptables, parseBackend),
		PrivatePorts:  scalar(r, "PrivatePorts", DefaultPrivatePorts, parsePortRange),
		LogLevel:      scalar(r, "LogLevel", slog.LevelInfo, parseLogLevel),
		MetricsListen: scalar(r, "MetricsListen", "", parseHostPort),
	}
	return d, sec.errs.sorted(files)
}

// literal leaves specifiers alone: as in systemd's own daemons' settings,
// there is no unit to take them from.
func literal(s string) (text string, known bool, f *fault) { return s, true, nil }

func parseBackend(s string) (Backend, *fault) {
	known := []string{string(BackendIptables), string(BackendIptablesNFT), string(BackendIptablesLegacy)}
	for _, k := range known {
		if s == k {
			return Backend(k), nil
		}
	}
	if s == "nftables" {
		return "", faultf("use "+oneOf(known), "not available yet")
	}
	return "", faultf(suggest(s, known), "unknown backend")
}

func parsePortRange(s string) (PortRange, *fault) {
	const (
		hint = `expected FIRST-LAST, for example 61000-64999`
		// Apps without privileges listen on these ports.
		lowest = 1024
	)
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		return PortRange{}, faultf(hint, "not a range of ports")
	}
	var r PortRange
	for _, end := range []struct {
		text string
		port *uint16
	}{{first, &r.First}, {last, &r.Last}} {
		port, f := parsePort(strings.Trim(end.text, whitespace))
		if f != nil {
			return PortRange{}, faultf(hint, "%s", f.message)
		}
		*end.port = port
	}
	switch {
	case r.First > r.Last:
		return PortRange{}, faultf(fmt.Sprintf("write %d-%d", r.Last, r.First), "the first port is above the last")
	case r.First < lowest:
		return PortRange{}, faultf(hint, "ports below %d are for privileged servers", lowest)
	}
	return r, nil
}

// ParseLogLevel reads what LogLevel= may say: debug, info, warning or error.
func ParseLogLevel(s string) (slog.Level, error) {
	level, f := parseLogLevel(s)
	if f != nil {
		return 0, fmt.Errorf("level %q: %s (%s)", s, f.message, f.hint)
	}
	return level, nil
}

// ParseMetricsListen reads what MetricsListen= may say.
func ParseMetricsListen(s string) (string, error) {
	addr, f := parseHostPort(s)
	if f != nil {
		return "", fmt.Errorf("%q: %s (%s)", s, f.message, f.hint)
	}
	return addr, nil
}

func parseLogLevel(s string) (slog.Level, *fault) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warning", "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, faultf(suggest(s, []string{"debug", "info", "warning", "error"}), "unknown level")
}

// parseHostPort reads where to listen: an address or localhost, and a port.
func parseHostPort(s string) (string, *fault) {
	const hint = "expected ADDRESS:PORT, for example 127.0.0.1:9100"
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", faultf(hint, "not an address and a port")
	}
	if _, f := parsePort(port); f != nil {
		return "", faultf(f.hint, "%s", f.message)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		if host == "" || host == "*" {
			return "", faultf(fmt.Sprintf("write [::]:%s for every address", port), "no address before the colon")
		}
		return "", faultf("write the address itself, names are not looked up", "%s is not an address", quote(host))
	}
	return net.JoinHostPort(host, port), nil
}
