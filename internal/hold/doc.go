// Package hold keeps the connections of paused services: the SYNs that rules of
// package companion send to a netfilter queue wait there, in the kernel, until
// they are let go. Nothing of them has been tracked or translated yet, so one
// that goes on is led to what is current then.
//
// They go on in the order in which they came, and no faster than the server's
// accept queue has room for: SYNs that are let go all at once overflow it, and
// what the kernel drops then comes back by the client's retransmission only, a
// second later or more.
//
// A client sends its SYN again while it waits, after 1, 3, 7 and 15 s. The
// latest one stands for the connection, in the place of the first: the kernel
// drops all that wait when any hook of netfilter is removed, without a word, so
// the earlier one may be gone.
//
// Nobody else is needed for what was held to end well. When the process dies,
// the kernel drops what waits, the clients send it again, and that passes,
// because the rules bypass a queue that nobody has bound.
package hold
