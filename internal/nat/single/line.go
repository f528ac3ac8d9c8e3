package single

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/nat/iptables"
)

// line is one rule, as "iptables -S" shows it.
type line struct {
	chain   string
	pos     int      // in its chain, from 1
	words   []string // behind the chain's name
	comment string
	jump    string // -j, -g: a chain or a target
	dst     netip.Addr
	dport   uint16
	toPort  uint16 // DNAT to a port alone, or REDIRECT
}

// parseLine reads what stands behind "-A CHAIN ".
func parseLine(chain string, pos int, spec string) (line, error) {
	words, err := iptables.Words(spec)
	if err != nil {
		return line{}, err
	}
	l := line{chain: chain, pos: pos, words: words}
	for i, word := range words[:max(0, len(words)-1)] {
		value := words[i+1]
		switch word {
		case "--comment":
			l.comment = value
		case "-j", "-g":
			l.jump = value
		case "-d":
			if p, err := netip.ParsePrefix(value); err == nil && p.IsSingleIP() {
				l.dst = p.Addr()
			}
		case "--dport":
			l.dport = port(value)
		case "--to-destination":
			l.toPort = port(strings.TrimPrefix(value, ":"))
		case "--to-ports":
			l.toPort = port(value)
		}
	}
	return l, nil
}

func (l line) endpoint() nat.Endpoint { return nat.Endpoint{Addr: l.dst, Port: l.dport} }

// port returns 0 for what is not a port.
func port(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// The rules that are ours, as arguments for iptables.

func hookRule(service, chain string) []string {
	return []string{"-p", "tcp", "-m", "tcp", "--syn", "-m", "addrtype", "--dst-type", "LOCAL",
		"-m", "comment", "--comment", noteWord + " ns=" + service, "-j", chain}
}

func jumpRule(note, chain string) []string {
	return []string{"-m", "comment", "--comment", note, "-j", chain}
}

func noteRule(note string) []string { return []string{"-m", "comment", "--comment", note} }

func targetRule(t nat.Target) []string {
	var words []string
	if addr := t.Endpoint.Addr; addr.IsValid() {
		words = append(words, "-d", netip.PrefixFrom(addr, addr.BitLen()).String())
	}
	return append(words, "-p", "tcp", "-m", "tcp", "--dport", strconv.Itoa(int(t.Endpoint.Port)),
		"-j", "DNAT", "--to-destination", ":"+strconv.Itoa(int(t.Port)))
}
