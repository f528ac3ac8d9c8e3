package companion

import (
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// chainPrefix begins the names of the chains that the iptables backend makes.
const chainPrefix = "SW-"

// event is one message of the nf_tables multicast group. A transaction is a
// row of changes, ended by one "new generation".
type event struct {
	port     uint32 // netlink port id of the socket that sent the transaction
	end      bool   // the new generation
	relevant bool   // a change to a table, chain or rule that redirects depend on
}

func decodeEvent(m netlink.Message) event {
	e := event{port: m.Header.PID}
	if m.Header.Type>>8 != unix.NFNL_SUBSYS_NFTABLES || len(m.Data) < nfgenmsgLen {
		return e
	}
	kind := int(m.Header.Type & 0xff)
	if kind == unix.NFT_MSG_NEWGEN {
		e.end = true
		return e
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[nfgenmsgLen:])
	if err != nil {
		return e
	}
	var table, chain string
	for ad.Next() {
		switch {
		case ad.Type() == attrTable:
			table = ad.String()
		case ad.Type() == chainAttr(kind):
			chain = ad.String()
		}
	}
	e.relevant = relevant(m.Data[0], table, chain)
	return e
}

// attrTable is the table's name in every message but NEWGEN.
const attrTable = 1

// chainAttr returns the attribute with the chain's name in a message about a
// chain or a rule.
func chainAttr(kind int) uint16 {
	switch kind {
	case unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_DELCHAIN:
		return unix.NFTA_CHAIN_NAME
	case unix.NFT_MSG_NEWRULE, unix.NFT_MSG_DELRULE:
		return unix.NFTA_RULE_CHAIN
	}
	return 0xffff
}

// relevant: our tables, and in the nat tables of iptables-nft our chains and
// the two that lead to them, where an earlier rule may take our ports.
func relevant(family byte, table, chain string) bool {
	switch {
	case strings.HasPrefix(table, Name):
		return true
	case table != "nat" || family != unix.NFPROTO_IPV4 && family != unix.NFPROTO_IPV6:
		return false
	}
	return chain == "" || chain == "PREROUTING" || chain == "OUTPUT" || strings.HasPrefix(chain, chainPrefix)
}
