// Package sockdiag reads TCP sockets from the kernel through NETLINK_SOCK_DIAG:
// listeners with the cgroup that made them, and connections by local port.
//
// It sees the network namespace of the calling thread and needs no capability.
// Every call opens a netlink socket of its own, which costs about 50 µs, holds no
// state and starts no goroutine.
//
// Facts of the kernel that callers meet:
//   - A connection belongs to the family of its listener: the IPv4 clients of a
//     listener on [::] are AF_INET6 sockets with mapped addresses. Here such
//     addresses are always unmapped; reads ask for both families.
//   - A connection that was not accepted yet has inode 0. So has one that its
//     process has closed and the kernel is still ending (an orphan); the states
//     of the two don't overlap, see [Socket.Accepted].
//   - A dump that spans several messages is no snapshot: where the sockets of
//     one hash bucket straddle two messages, one may be missed or seen twice.
//     Who must be sure that there is none looks twice.
//   - Ports are those of the local end. Both ends of a connection from this host
//     to itself are sockets of this namespace, and only the server's counts for
//     the port. An outgoing connection that uses the very port as its source
//     counts as well; the kernel picks no source port on which anything
//     listens, so this needs a port in the ephemeral range and a listener that
//     is gone.
package sockdiag
