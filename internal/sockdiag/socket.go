package sockdiag

import "net/netip"

// Socket is one TCP connection, seen from its local end.
type Socket struct {
	Local, Remote netip.AddrPort // IPv4 is never mapped; no zones
	State         State
	Inode         uint32 // 0: held by no process (see the package's facts)
	UID           uint32
	Unread        uint32 // bytes received and not read by the process
	Unacked       uint32 // bytes written and not acknowledged; a FIN counts as one
	Retransmits   uint8  // how often what is not acknowledged was sent again; in SYN_RECV, the SYN-ACK
}

// Accepted reports whether a server has taken this connection from its
// listener's queue, even if it has closed it since. In the states that need the
// server to close, inode 0 means an orphan; elsewhere, one still queued.
func (s Socket) Accepted() bool {
	switch s.State {
	case FinWait1, FinWait2, Closing, LastAck, TimeWait:
		return true
	}
	return s.Inode != 0
}

// live are the states that may hold a connection that something depends on.
// LISTEN and CLOSE are no connections, in TIME_WAIT both sides have everything,
// and SYN_SENT is an outgoing connection.
var live = Set(Established, SynRecv, FinWait1, FinWait2, CloseWait, LastAck, Closing)

// Live reports whether stopping the server, or the host's network right after
// it, could cost this connection something.
//
// An orphan whose data or FIN the client has not acknowledged (FIN_WAIT1,
// CLOSING, LAST_ACK) is live: the kernel would go on sending without the
// process, but not without the network, which at shutdown goes down next. It
// gives up by itself after tcp_orphan_retries, about 100 s with a client that
// has vanished. An orphan in FIN_WAIT2 is not: the client has acknowledged
// everything, whatever it still sends meets a closed socket, and it would stay
// for tcp_fin_timeout (60 s) while the client keeps its end open.
func (s Socket) Live() bool {
	return live.Has(s.State) && (s.State != FinWait2 || s.Inode != 0)
}
