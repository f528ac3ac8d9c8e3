package iptables

import "github.com/switcheroo/switcheroo/internal/nat"

func nftFamily(f nat.Family) string {
	if f == nat.IPv6 {
		return "ip6"
	}
	return "ip"
}

func nftChainID(family, table, chain string) string { return family + " " + table + " " + chain }
