// Package iptables puts redirects into the kernel with iptables: its nft
// variant or its legacy one, IPv4 and IPv6.
//
// In table nat of each family it keeps
//
//	-A PREROUTING -p tcp --syn -m addrtype --dst-type LOCAL -m comment --comment switcheroo -j SW-NETWORK
//	-A OUTPUT     -p tcp --syn -m addrtype --dst-type LOCAL -m comment --comment switcheroo -j SW-LOCALHOST
//	-A SW-NETWORK   -j SW-<service>
//	-A SW-LOCALHOST -j SW-<service>
//	-A SW-<service>    -m comment --comment "switcheroo:<activation>:<service>" -j SW-<activation>
//	-A SW-<activation> -p tcp --dport 443 -m comment --comment "..." -j DNAT --to-destination :8443
//
// where <service> and <activation> in a chain's name are nat.Key and
// nat.ActivationKey. The two rules in the shared chains are the hooks: they
// are put first when they are missing and are never moved. A switch replaces
// the one rule of SW-<service> in place (-R), so that no packet sees an empty
// chain, and all else that it takes is in the same commit.
//
// The rules are data here: a layout is what we want, a snapshot is what
// iptables-save shows, and diff turns the two into the input of
// iptables-restore, which is empty when there is nothing to do. What was written
// is read back; a switch of the nft variant is not, if the kernel proves what a
// read would show (see proof). A legacy table is read without iptables-save,
// unless it takes iptables' own words for what it has of ours (see xtable).
//
// The iptables-restore of a switch can be started before there is anything to
// write, see Anticipate.
package iptables
