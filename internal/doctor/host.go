package doctor

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// HostChecks are those that need nothing but what ReadHost reads.
var HostChecks = []string{"locks", "conntrack-table", "ephemeral-range"}

// ReadHost reads the facts that anybody may read of this host, in the network
// namespace of the caller. locks are the paths of those over rules; it takes two
// seconds if one is held.
func ReadHost(ctx context.Context, locks ...string) Facts {
	f := Facts{Unknown: map[string]string{}}
	var err error
	if f.Ephemeral, f.Reserved, err = readEphemeral(); err != nil {
		f.Unknown["ephemeral-range"] = err.Error()
	}
	if f.Conntrack, err = readConntrack(); err != nil {
		f.Unknown["conntrack-table"] = err.Error()
	}
	f.Locks = Held(ctx, locks...)
	return f
}

const sysctls = "/proc/sys/net/"

// readEphemeral reads "32768	60999" and "8080,9000-9100".
func readEphemeral() (all Ports, reserved []Ports, err error) {
	text, err := os.ReadFile(sysctls + "ipv4/ip_local_port_range")
	if err != nil {
		return Ports{}, nil, err
	}
	if n, err := fmt.Sscan(string(text), &all.First, &all.Last); n != 2 {
		return Ports{}, nil, fmt.Errorf("ip_local_port_range: %q: %w", text, err)
	}
	text, err = os.ReadFile(sysctls + "ipv4/ip_local_reserved_ports")
	if err != nil {
		return Ports{}, nil, err
	}
	reserved, err = parsePorts(strings.TrimSpace(string(text)))
	return all, reserved, err
}

func parsePorts(text string) ([]Ports, error) {
	var all []Ports
	for s := range strings.SplitSeq(text, ",") {
		if s == "" {
			continue
		}
		first, last, isRange := strings.Cut(s, "-")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("ports %q: %w", s, err)
		}
		b, err := strconv.ParseUint(last, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("ports %q: %w", s, err)
		}
		all = append(all, Ports{uint16(a), uint16(b)})
	}
	return all, nil
}

// readConntrack returns zero where conntrack is not in use.
func readConntrack() (Use, error) {
	var u Use
	for name, n := range map[string]*int{"nf_conntrack_count": &u.Entries, "nf_conntrack_max": &u.Most} {
		text, err := os.ReadFile(sysctls + "netfilter/" + name)
		if os.IsNotExist(err) {
			return Use{}, nil
		}
		if err != nil {
			return Use{}, err
		}
		if *n, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
			return Use{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	return u, nil
}
