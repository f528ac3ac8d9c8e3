// Package switcheroo deploys a new version of a TCP server without losing a
// connection, and without a proxy, a service manager or a daemon: the new
// process points the public port at itself, by NAT rules in the kernel, and sees
// the old one out.
//
//	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
//	defer stop()
//	h, err := switcheroo.Listen(ctx, switcheroo.Options{Name: "myapp", Listen: []string{"8080"}})
//	if err != nil {
//		return err
//	}
//	defer h.Close()
//	go http.Serve(h.Listener(), handler) // on a private port
//	if err := h.Ready(ctx); err != nil { // from here on port 8080 leads here
//		return err
//	}
//	<-h.Done()
//
// To deploy, start the new version. Ready probes it, moves the traffic by one
// atomic replace of a rule, and returns; connections that are open stay where
// they are. Then, in the background, the new process waits until the old one's
// queues are empty, keeps it warm for a while ([Options.Standby]), waits until
// its connections have ended ([Options.Drain]), and sends it SIGTERM. If
// anything fails before, the old one has the traffic as it had. If the new one
// dies while the old one still runs, or does not answer any more in its standby,
// the traffic goes back.
//
// [NewSwitcheroo] and what belongs to it is the API of the original library of
// this name: a program written for that compiles with this package, and takes
// over from a process that was deployed with it.
//
// # Who watches whom
//
// There is no daemon and no state but the kernel's rules. A process that serves
// has a chain of its own there, with its pid and the moment at which it began,
// so that no other process is taken for it when the pid is used again. Every
// change is made under a lock of the service, an flock, which the kernel drops
// when its holder dies. A process does in the background what follows from the
// rules:
//
//   - it sees out the one before it, and is seen out by the one after it; if that
//     is gone, by the next newer one;
//   - while another is current, it watches that one's process. If it dies, the
//     traffic goes to the newest that was not told to end yet.
//
// So any number of versions may be draining at once, any process may die at any
// moment, and ten that are started at once end as one: each takes over from the
// one before it, and the last to be ready stays.
//
// # Under the daemon
//
// A process that is handed a listener (LISTEN_FDS), by switcherood or by a
// systemd socket unit, uses that one and touches no rule: Ready sends READY=1.
// The same program runs in both ways.
//
// # Privilege
//
// Rules are changed by the iptables command, which Options.Iptables may wrap
// ("sudo iptables"). With CAP_NET_ADMIN there is, besides, one nftables table a
// service with conntrack timeouts for its connections. Without it a switch looks
// at sockets alone, and can cost connections in rare cases: those of clients
// whose source port comes back after the server had reset it, and handshakes
// that were dropped because an accept queue was full. The log says so once.
//
// It needs Linux 5.3 or newer.
package switcheroo
