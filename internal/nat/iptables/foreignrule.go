package iptables

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// foreignRule is a rule of somebody else's, cut into its matches.
type foreignRule struct {
	matches []match
	do      action
	chain   string   // where do leads
	target  []string // "-j" and what follows
}

// match is one -m of a rule with its options, or one option outside of any.
type match struct {
	module  string // "" outside of any
	options []option
}

type option struct {
	not  bool
	name string
	args []string
}

// parseForeign reads a rule as iptables prints it after "-A CHAIN ". What it
// does not know, it keeps.
func parseForeign(spec string) (foreignRule, bool) {
	words, err := split(spec)
	if err != nil {
		return foreignRule{}, false
	}
	var r foreignRule
	for len(words) > 0 {
		not := false
		if words[0] == "!" && len(words) > 1 {
			not, words = true, words[1:]
		}
		name := words[0]
		if name == "-j" || name == "-g" {
			if not {
				return foreignRule{}, false
			}
			r.target = words
			r.do, r.chain = verdictOf(words)
			return r, true
		}
		n := argCount(name, words[1:])
		args := words[1 : 1+n]
		words = words[1+n:]
		switch {
		case name == "-m" && n > 0:
			if not || args[0] == "" {
				return foreignRule{}, false // iptables knows no such thing
			}
			r.matches = append(r.matches, match{module: args[0]})
		case strings.HasPrefix(name, "--") && len(r.matches) > 0:
			last := &r.matches[len(r.matches)-1]
			last.options = append(last.options, option{not, name, args})
		default:
			r.matches = append(r.matches, match{options: []option{{not, name, args}}})
		}
	}
	return r, true
}

// argCount returns how many of the words are arguments of an option: all up to
// the next option, but the text of a comment may look like one.
func argCount(name string, words []string) int {
	if name == "--comment" || name == "-m" {
		return min(1, len(words))
	}
	n := slices.IndexFunc(words, func(w string) bool {
		return w == "!" || len(w) > 1 && w[0] == '-' && (w[1] < '0' || w[1] > '9')
	})
	if n < 0 {
		return len(words)
	}
	return n
}

// verdictOf reads "-j TARGET" or "-g CHAIN".
func verdictOf(words []string) (action, string) {
	if len(words) < 2 {
		return pass, ""
	}
	name := words[1]
	if words[0] == "-g" {
		return goTo, name
	}
	switch name {
	case "ACCEPT":
		return accept, ""
	case "DROP", "REJECT", "TARPIT", "DELUDE", "STEAL":
		return drop, ""
	case "RETURN":
		return leave, ""
	case "DNAT", "REDIRECT", "NETMAP", "TPROXY", "QUEUE", "NFQUEUE":
		return take, ""
	}
	return jump, name // or to an extension: the names of chains tell
}

// match reports whether the rule matches the packet.
func (r foreignRule) match(p packet) truth {
	t := yes
	for _, m := range r.matches {
		for _, o := range m.options {
			one := o.match(m.module, p)
			if o.not {
				one = one.not()
			}
			t = min(t, one)
		}
		if len(m.options) == 0 && !neutral[m.module] {
			t = min(t, maybe)
		}
	}
	return t
}

// neutral are the modules that alone match everything that the rule's protocol
// allows.
var neutral = map[string]bool{"tcp": true, "comment": true, "conntrack": true, "state": true}

// match evaluates one option, as if it were not negated.
func (o option) match(module string, p packet) truth {
	arg := ""
	if len(o.args) > 0 {
		arg = o.args[0]
	}
	switch module {
	case "":
		return o.matchPlain(arg, p)
	case "comment":
		return yes
	case "tcp":
		switch o.name {
		case "--dport":
			return truthOf(inPorts(arg, p.port))
		case "--syn":
			return yes
		case "--tcp-flags":
			return truthOf(len(o.args) == 2 && matchesSYN(o.args[0], o.args[1]))
		}
	case "multiport":
		switch o.name {
		case "--dports":
			return truthOf(inPorts(arg, p.port))
		case "--ports":
			if inPorts(arg, p.port) {
				return yes
			}
		}
	case "state", "conntrack":
		return o.matchConntrack(arg, p)
	case "addrtype":
		switch o.name {
		case "--dst-type":
			return truthOf(slices.Contains(strings.Split(arg, ","), "LOCAL"))
		case "--src-type":
			if arg == "LOCAL" {
				return truthOf(p.lo)
			}
		}
	}
	return maybe
}

func (o option) matchPlain(arg string, p packet) truth {
	switch o.name {
	case "-p":
		return truthOf(arg == "tcp" || arg == "6" || arg == "all" || arg == "0")
	case "-d":
		if prefix, ok := parsePrefix(arg); ok {
			return p.to(prefix)
		}
	case "-i", "-o": // what this host opens to itself goes out through lo
		return p.through(arg)
	case "-f":
		return no
	}
	return maybe
}

func (o option) matchConntrack(arg string, p packet) truth {
	switch o.name {
	case "--state", "--ctstate":
		// One of them is enough.
		states := strings.Split(arg, ",")
		return truthOf(slices.Contains(states, "NEW") || p.orig != 0 && slices.Contains(states, "DNAT"))
	case "--ctorigdstport":
		return truthOf(inPorts(arg, p.dialled()))
	case "--ctorigdst":
		if prefix, ok := parsePrefix(arg); ok {
			return p.to(prefix)
		}
	case "--ctreplsrcport":
		return truthOf(inPorts(arg, p.port))
	case "--ctproto":
		return truthOf(arg == "tcp" || arg == "6")
	case "--ctdir":
		return truthOf(arg == "ORIGINAL")
	}
	return maybe
}

// byOrigin reports whether the rule is meant for redirected connections.
func (r foreignRule) byOrigin() bool {
	for _, m := range r.matches {
		for _, o := range m.options {
			if o.byOrigin() && !o.not {
				return true
			}
		}
	}
	return false
}

// byOrigin reports whether an option asks how the connection was before it was
// redirected.
func (o option) byOrigin() bool {
	return o.name == "--ctorigdstport" ||
		o.name == "--ctstate" && slices.Contains(strings.Split(strings.Join(o.args, ""), ","), "DNAT")
}

// asksPort reports whether an option names ports that INPUT sees.
func (o option) asksPort() bool {
	return o.name == "--dport" || o.name == "--dports" || o.name == "--ports"
}

// inPorts reports whether a port is in a list such as "80,443,1000:2000".
func inPorts(list string, port uint16) bool {
	for _, item := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(item, ":")
		low, err1 := strconv.ParseUint(from, 10, 16)
		high := low
		var err2 error
		if isRange {
			high, err2 = strconv.ParseUint(to, 10, 16)
		}
		if err1 == nil && err2 == nil && uint64(port) >= low && uint64(port) <= high {
			return true
		}
	}
	return false
}

// matchesSYN reports whether --tcp-flags matches what opens a connection.
func matchesSYN(mask, set string) bool {
	masked := strings.Split(mask, ",")
	if slices.Contains(masked, "ALL") || slices.Contains(masked, "SYN") {
		return set == "SYN"
	}
	return set == "NONE"
}

// parsePrefix also takes a mask that is written as an address.
func parsePrefix(s string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

// words returns the rule as arguments for iptables.
func (r foreignRule) words() []string {
	var words []string
	for _, m := range r.matches {
		if m.module != "" {
			words = append(words, "-m", m.module)
		}
		for _, o := range m.options {
			if o.not {
				words = append(words, "!")
			}
			words = append(append(words, o.name), o.args...)
		}
	}
	return append(words, r.target...)
}

// without returns the rule without the options that drops says, and without
// the modules that are then bare.
func (r foreignRule) without(drops func(option) bool) foreignRule {
	var kept []match
	for _, m := range r.matches {
		options := slices.DeleteFunc(slices.Clone(m.options), drops)
		if len(options) > 0 || len(m.options) == 0 {
			kept = append(kept, match{m.module, options})
		}
	}
	r.matches = kept
	return r
}

// forDialled returns the rule with the port dialled in place of the ports that
// it names.
func (r foreignRule) forDialled(port uint16) []string {
	rest := r.without(func(o option) bool { return o.asksPort() && !o.not })
	rest.matches = append(rest.matches, match{"conntrack", []option{
		{name: "--ctstate", args: []string{"DNAT"}},
		{name: "--ctorigdstport", args: []string{strconv.Itoa(int(port))}},
	}})
	return rest.words()
}

// same is equal for two rules that differ in nothing but how they ask for the
// port, and in their comments.
func (r foreignRule) same() string {
	rest := r.without(func(o option) bool {
		return o.asksPort() && !o.not || o.byOrigin() || o.name == "--comment"
	})
	return strings.Join(rest.words(), " ")
}

// shellQuote makes one line of words that a shell splits into them again.
func shellQuote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,+@%=") != "" && w != "!" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}
