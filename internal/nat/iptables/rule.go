package iptables

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// rule is one line of a chain, as far as we write such lines. What is not of
// this form is kept whole in other, and so equals nothing that we want.
type rule struct {
	opening bool       // -p tcp --syn: matches what opens a connection
	local   bool       // -m addrtype --dst-type LOCAL: to an address of this host
	dst     netip.Addr // -d, one address
	dport   uint16     // -p tcp --dport
	comment string
	jump    string // -j CHAIN
	toPort  uint16 // -j DNAT --to-destination :PORT
	other   string
}

// String returns the rule as iptables takes it, without the chain's name.
func (r rule) String() string {
	if r.other != "" {
		return r.other
	}
	var b strings.Builder
	word := func(format string, args ...any) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, format, args...)
	}
	if r.dst.IsValid() {
		word("-d %s/%d", r.dst, r.dst.BitLen())
	}
	if r.opening || r.dport != 0 {
		word("-p tcp -m tcp")
	}
	if r.dport != 0 {
		word("--dport %d", r.dport)
	}
	if r.opening {
		word("--tcp-flags FIN,SYN,RST,ACK SYN")
	}
	if r.local {
		word("-m addrtype --dst-type LOCAL")
	}
	if r.comment != "" {
		word("-m comment --comment %s", quote(r.comment))
	}
	if r.toPort != 0 {
		word("-j DNAT --to-destination :%d", r.toPort)
	} else if r.jump != "" {
		word("-j %s", r.jump)
	}
	return b.String()
}

// parseRule reads a rule as iptables-save writes it after "-A CHAIN ". Versions
// differ in the order of matches and in what they spell out, so only the
// meaning counts.
func parseRule(spec string) rule {
	words, err := split(spec)
	if err != nil {
		return rule{other: spec}
	}
	var r rule
	var tcp bool
	for len(words) > 0 {
		n := r.take(words, &tcp)
		if n == 0 {
			return rule{other: spec}
		}
		words = words[n:]
	}
	if (r.dport != 0 || r.opening) != tcp || (r.jump == "") == (r.toPort == 0) {
		return rule{other: spec}
	}
	return r
}

// take reads one option from the front of words and returns how many words it
// took; 0 if we never write such an option.
func (r *rule) take(words []string, tcp *bool) int {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	value := arg(1)
	switch words[0] {
	case "-p":
		*tcp = true
		return count(value == "tcp", 2)
	case "-m":
		switch value {
		case "tcp", "addrtype", "comment":
			return 2
		}
	case "-d":
		p, err := netip.ParsePrefix(value)
		r.dst = p.Addr()
		return count(err == nil && p.IsSingleIP(), 2)
	case "--dport":
		r.dport = port(value)
		return count(r.dport != 0, 2)
	case "--syn":
		r.opening = true
		return 1
	case "--tcp-flags":
		r.opening = true
		return count(arg(1) == "FIN,SYN,RST,ACK" && arg(2) == "SYN" || arg(1) == "0x17" && arg(2) == "0x02", 3)
	case "--dst-type":
		r.local = true
		return count(value == "LOCAL", 2)
	case "--comment":
		r.comment = value
		return count(value != "", 2)
	case "-j":
		if value != "DNAT" {
			r.jump = value
			return count(value != "", 2)
		}
		to, ok := strings.CutPrefix(arg(3), ":")
		r.toPort = port(to)
		return count(ok && arg(2) == "--to-destination" && r.toPort != 0, 4)
	}
	return 0
}

func count(ok bool, n int) int {
	if ok {
		return n
	}
	return 0
}

// port returns 0 for what is not a port.
func port(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
