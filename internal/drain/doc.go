// Package drain waits until nothing depends on an old server any more: until the
// queues of its listener are empty (quiesce), and until its connections have
// ended (drain). It looks at sockets and at conntrack, by private port, and
// never asks the server.
//
// A [Monitor] is shared by all waits of a process. The kernel has no event for
// "the last connection of this port has ended" that would not cost every
// connection of the host something, so it is looked at again and again; each
// look serves all that wait at the time, and the pause between two grows with
// the time already waited and with what a look costs. Looks are taken by those
// who wait: no goroutine runs, and without a wait nothing wakes up.
//
//	left, err := monitor.Quiesce(ctx, ports, 30*time.Second)
//	...
//	left, err = monitor.Drain(ctx, ports, time.Now().Add(5*time.Minute))
//
// What is read, and why it suffices:
//
//   - After the switch no SYN is given to the old port any more, but one that was
//     just before is still on its way to the socket: 100 ms are left for it. Then
//     a connection is half open, in the accept queue, or the server's.
//   - Two sorts of connections have no socket yet: a handshake answered with a
//     SYN cookie, and a SYN that was dropped because the accept queue was full
//     and will be sent again. Both have a conntrack entry that leads to the
//     private port: SYN_RECV or ESTABLISHED, and SYN_SENT. So does, in CLOSE, a
//     source port whose last connection the server has reset; its next
//     connection would still be led to the old port. With the timeouts that come
//     with the rules, a second after the switch all of these are of handshakes
//     that went wrong, and those the kernel counts: conntrack is asked only if
//     there were any. (Not counted is one whose SYN-ACKs were all lost, where
//     tcp_synack_retries is so low that it is given up before its entry is.)
//   - A server from before there was a redirect listens on the public port itself.
//     Conntrack may remember connections of it that are over, because it saw only
//     a part of them; [Monitor.Forget] makes it forget those.
//   - A look at sockets may miss one that moves while it is taken, so nothing is
//     believed before it was seen twice.
package drain
