package companion

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Hold is a nat.Hold and the number of the netfilter queue where its connections
// wait. While nobody has bound that queue they pass.
type Hold struct {
	nat.Hold
	Queue uint16
}

// The chains that hold connections from outside, and from this host. They are
// there always, and empty unless a service is paused: when a chain goes, the
// kernel drops every packet that waits in any queue.
const (
	holdFromNetwork = "hold-prerouting"
	holdFromHost    = "hold-output"
)

// beforeConntrack is the priority of the raw tables: while a packet waits there
// is no conntrack entry, and when it goes on it is led to what is current then.
const beforeConntrack = -300

func (c chain) holds() bool { return c.name == holdFromNetwork || c.name == holdFromHost }

// withHoldChains returns l with the chains, in the order of names.
func (l layout) withHoldChains() layout {
	l.chains = append(slices.Clone(l.chains),
		chain{name: holdFromHost, kind: "filter", hook: unix.NF_INET_LOCAL_OUT, priority: beforeConntrack, policy: accept},
		chain{name: holdFromNetwork, kind: "filter", hook: unix.NF_INET_PRE_ROUTING, priority: beforeConntrack, policy: accept})
	slices.SortFunc(l.chains, func(a, b chain) int { return strings.Compare(a.name, b.name) })
	return l
}

// holding returns l with the rules of holds. A shared table has no chains for
// them.
func (l layout) holding(holds []Hold) layout {
	rules := map[string][]rule{}
	for _, h := range holds {
		for _, t := range h.Targets {
			if h.Scope&nat.Network != 0 {
				// What this host sends to itself comes by here as well, but
				// has been held on its way out if it is to be.
				rules[holdFromNetwork] = append(rules[holdFromNetwork], rule{h.comment(), join(notLoopback(), h.match(t))})
			}
			if h.Scope&nat.Localhost != 0 {
				rules[holdFromHost] = append(rules[holdFromHost], rule{h.comment(), h.match(t)})
			}
		}
	}
	l.chains = slices.Clone(l.chains)
	for i, c := range l.chains {
		if c.holds() {
			l.chains[i].rules = rules[c.name]
		}
	}
	return l
}

// match is the same as that of the redirects, and the verdict.
func (h Hold) match(t nat.Target) []expr.Any {
	e := t.Endpoint.Canonical()
	all := join(opening(), portIs(e.Port))
	switch t.Serves() {
	case nat.IPv4:
		all = append(all, family(unix.NFPROTO_IPV4)...)
	case nat.IPv6:
		all = append(all, family(unix.NFPROTO_IPV6)...)
	}
	switch addr := e.Addr; {
	case addr.Is4():
		all = append(all, destination(16, addr.AsSlice())...)
	case addr.Is6():
		all = append(all, destination(24, addr.AsSlice())...)
	}
	return join(all, toThisHost(), queue(h.Queue))
}

// tcp dport port, for packets known to be TCP.
func portIs(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equal(binary.BigEndian.AppendUint16(nil, port)),
	}
}

// ip daddr or ip6 daddr, for packets known to be of that family.
func destination(offset uint32, addr []byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(addr))},
		equal(addr),
	}
}

// fib daddr type local: this host may be a router, too.
func toThisHost() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: reg, ResultADDRTYPE: true, FlagDADDR: true},
		equal(native(unix.RTN_LOCAL)),
	}
}

// queueBypass lets packets pass that nobody would take: NFQ_FLAG_BYPASS of
// uapi/linux/netfilter/xt_NFQUEUE.h.
const queueBypass = 1

// queue num n bypass, as the target of iptables: kernels are built without
// nftables' own statement more often than without this.
func queue(n uint16) []expr.Any {
	info := make(xt.Unknown, 8) // struct xt_NFQ_info_v3 { queuenum, queues_total, flags }, aligned
	binary.NativeEndian.PutUint16(info, n)
	binary.NativeEndian.PutUint16(info[2:], 1)
	binary.NativeEndian.PutUint16(info[4:], queueBypass)
	return []expr.Any{&expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}}
}

// holdComment begins the comments of rules that hold connections. Whose they
// are and until when follows, so that a daemon that comes back knows.
const holdComment = "switcheroo-pause:"

func (h Hold) comment() string {
	return holdComment + nat.Key(h.Service) + ":" + strconv.FormatInt(int64(h.Until), 10)
}

func parseHold(comment string) (nat.Held, bool) {
	rest, ours := strings.CutPrefix(comment, holdComment)
	key, until, complete := strings.Cut(rest, ":")
	ns, err := strconv.ParseInt(until, 10, 64)
	return nat.Held{Key: key, Until: time.Duration(ns)}, ours && complete && key != "" && err == nil
}

// Holds returns the pauses that the table has rules for, each once.
func (t *Table) Holds(ctx context.Context) ([]nat.Held, error) {
	var held []nat.Held
	err := t.exchange(ctx, func(c *conn) error {
		chains, err := c.readChains()
		if err != nil {
			return fmt.Errorf("read chains: %w", err)
		}
		for _, ch := range chains {
			for _, r := range ch.rules {
				if h, ok := parseHold(r.comment); ok && ch.holds() && !slices.Contains(held, h) {
					held = append(held, h)
				}
			}
		}
		return nil
	})
	return held, err
}

// holds exchanges the rules that hold connections, in one step each chain: no
// packet meets it half done.
func (b *batch) holds(have, want layout) {
	for i, c := range want.chains { // of the same shape
		if c.holds() && !c.same(have.chains[i]) {
			b.flushChain(c.name)
			for _, r := range c.rules {
				b.rule(c.name, r)
			}
		}
	}
}
