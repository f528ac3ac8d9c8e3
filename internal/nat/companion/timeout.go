package companion

import (
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// timeout is a "ct timeout" object. It is coded here and not with
// expr.CtTimeout, which keeps every policy in one shared map and sends its own
// default for each state left out (43200 for established).
type timeout struct {
	name    string
	l3      uint16
	l4      uint8
	seconds map[uint16]uint32 // by CTA_TIMEOUT_TCP_*; a state left out gets the namespace's sysctl
}

// CTA_TIMEOUT_TCP_* of uapi/linux/netfilter/nfnetlink_cttimeout.h, and
// NFTA_CT_TIMEOUT_* of uapi/linux/netfilter/nf_tables.h.
const (
	tcpSynSent     = 1
	tcpEstablished = 3
	tcpTimeWait    = 7
	tcpClose       = 8

	attrTimeoutL3   = 1
	attrTimeoutL4   = 2
	attrTimeoutData = 3
)

// redirected is the policy of redirected connections, in seconds.
func redirected() map[uint16]uint32 {
	return map[uint16]uint32{
		// An idle connection stays translated for five days, whatever the
		// host's sysctl: unlike a direct one it cannot be picked up again.
		tcpEstablished: 432000,
		// The retransmission of a SYN that the old listener dropped (after
		// 1 s) is a new connection, and goes to the new one.
		tcpSynSent: 1,
		// Keeps the table from filling: a SYN may take over an entry in
		// TIME_WAIT at any time, so nothing needs it for long.
		tcpTimeWait: 5,
		// A server's own RST leaves an entry that still leads to its port. A
		// SYN from the same source port follows it, and the RST of a port
		// that is closed by then renews it. Measured with a server that
		// resets 2 % of 10,000 connections a second and dies: 10 s refuse
		// about 750 later connections, 1 s about 65 (a client that retries
		// once a second from one port: all of them), 0 s none.
		//
		// The price: conntrack uses this timeout for a RST that is inside
		// the window but not exact, too. The server answers such a RST, a
		// blind forgery, with a challenge ACK (RFC 5961) and lives on; here
		// the entry is gone, and with it the connection.
		tcpClose: 0,
	}
}

func (t timeout) encode(ae *netlink.AttributeEncoder) {
	ae.String(unix.NFTA_OBJ_NAME, t.name)
	ae.Uint32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_CT_TIMEOUT)
	ae.Nested(unix.NFTA_OBJ_DATA, func(ae *netlink.AttributeEncoder) error {
		ae.Uint16(attrTimeoutL3, t.l3)
		ae.Uint8(attrTimeoutL4, t.l4)
		ae.Nested(attrTimeoutData, func(ae *netlink.AttributeEncoder) error {
			for state, seconds := range t.seconds {
				ae.Uint32(state, seconds)
			}
			return nil
		})
		return nil
	})
}

// holds says whether t, as read, is want. The kernel reports every state.
func (t timeout) holds(want timeout) bool {
	for state, seconds := range want.seconds {
		if got, ok := t.seconds[state]; !ok || got != seconds {
			return false
		}
	}
	return t.name == want.name && t.l3 == want.l3 && t.l4 == want.l4
}
