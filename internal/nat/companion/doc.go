// Package companion keeps the one nftables table of ours, "inet switcheroo",
// that stands beside the redirects whatever their backend. It holds
//
//   - the conntrack timeouts of redirected connections, so that no source port
//     that is used again meets a port that is closed, and the conntrack table
//     does not fill (chains prerouting and output);
//   - the pin: a second user of NAT and of conntrack, so that established
//     connections stay translated when another program flushes the redirects
//     (chain pin). While a daemon lives it owns the table, which
//     "nft flush ruleset" then spares (Linux 6.9);
//   - the guard: private ports refuse connections that were not redirected,
//     except from this host (chain guard);
//   - the holds: connection-opening packets to the public ports of paused
//     services go to a queue (chains hold-prerouting and hold-output), where
//     package hold keeps them.
//
// The rules but those of holds match private ports, which stand in two sets, and run behind the
// translation: they need to know no address, no public port and no backend. A
// deploy changes elements of the sets, in microseconds.
//
//	table, err := companion.Open(ctx, companion.Options{Log: log})
//	if err != nil {
//		return err
//	}
//	defer table.Close() // the table stays
//	if _, err := table.Apply(ctx, private, guarded); err != nil {
//		return err
//	}
//	return table.Watch(ctx, func() {
//		select {
//		case look <- struct{}{}: // whoever receives applies all rules again
//		default:
//		}
//	})
//
// A ruleset that was saved while the table was owned ("nft list ruleset") holds
// the table too, and cannot be loaded until that part is removed: the kernel
// refuses the whole transaction with EPERM.
package companion
