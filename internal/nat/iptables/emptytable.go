package iptables

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// builtinHooks are the chains that iptables-nft makes in table nat, on first
// need, and never takes away again.
var builtinHooks = map[string]*nftables.ChainHook{
	"PREROUTING":  nftables.ChainHookPrerouting,
	"INPUT":       nftables.ChainHookInput,
	"OUTPUT":      nftables.ChainHookOutput,
	"POSTROUTING": nftables.ChainHookPostrouting,
}

// removeEmptyTable deletes table nat of iptables-nft if nothing is left in it
// but what iptables makes by itself. A table that somebody uses stays.
func removeEmptyTable(ctx context.Context, family nat.Family) error {
	chains, err := builtinChains(ctx, family)
	if err != nil || len(chains) == 0 {
		return err
	}
	err = deleteTable(ctx, family, "nat", chains)
	switch {
	case errors.Is(err, unix.EBUSY): // in use, perhaps only since we looked
	case errors.Is(err, unix.ENOENT): // somebody else was faster
	case err != nil:
		return fmt.Errorf("delete the empty %v table nat: %w", family, err)
	}
	return nil
}

// builtinChains returns the chains of table nat; none if any of them is not as
// iptables makes it.
func builtinChains(ctx context.Context, family nat.Family) ([]string, error) {
	conn, err := dialNFT(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.CloseLasting()
	all, err := conn.ListChainsOfTableFamily(nftables.TableFamily(nfproto(family)))
	if err != nil {
		return nil, fmt.Errorf("list the %v chains of nftables: %w", family, err)
	}
	var names []string
	for _, c := range all {
		if c.Table.Name != "nat" {
			continue
		}
		hook := builtinHooks[c.Name]
		if hook == nil || c.Hooknum == nil || *c.Hooknum != *hook || c.Type != nftables.ChainTypeNAT ||
			c.Policy == nil || *c.Policy != nftables.ChainPolicyAccept {
			return nil, nil
		}
		names = append(names, c.Name)
	}
	return names, nil
}

// deleteTable deletes a table with its chains in one transaction. It deletes
// nothing and returns EBUSY if a chain has a rule, or the table has anything
// else: that is what NLM_F_NONREC asks for (nf_tables_delchain,
// nf_tables_deltable; since Linux 4.15).
func deleteTable(ctx context.Context, family nat.Family, table string, chains []string) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	end := time.Now().Add(nftTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	if err := conn.SetDeadline(end); err != nil {
		return err
	}
	batch := []netlink.Message{batchMessage(unix.NFNL_MSG_BATCH_BEGIN)}
	for _, chain := range chains {
		m, err := deleteMessage(unix.NFT_MSG_DELCHAIN, family, func(ae *netlink.AttributeEncoder) {
			ae.String(unix.NFTA_CHAIN_TABLE, table)
			ae.String(unix.NFTA_CHAIN_NAME, chain)
		})
		if err != nil {
			return err
		}
		batch = append(batch, m)
	}
	m, err := deleteMessage(unix.NFT_MSG_DELTABLE, family, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_TABLE_NAME, table)
	})
	if err != nil {
		return err
	}
	batch = append(batch, m, batchMessage(unix.NFNL_MSG_BATCH_END))
	if _, err := conn.SendMessages(batch); err != nil {
		return err
	}
	// One answer a message, but for the two of the frame; the first error is
	// the cause of the others.
	for range batch[1 : len(batch)-1] {
		if _, err := conn.Receive(); err != nil {
			return err
		}
	}
	return nil
}

func deleteMessage(kind int, family nat.Family, attrs func(*netlink.AttributeEncoder)) (netlink.Message, error) {
	ae := netlink.NewAttributeEncoder()
	attrs(ae)
	data, err := ae.Encode()
	if err != nil {
		return netlink.Message{}, err
	}
	return netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind),
			Flags: netlink.Request | netlink.Acknowledge | unix.NLM_F_NONREC,
		},
		Data: append(nfgenmsg(nfproto(family), 0), data...),
	}, nil
}

func batchMessage(kind netlink.HeaderType) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request},
		Data:   nfgenmsg(unix.NFPROTO_UNSPEC, unix.NFNL_SUBSYS_NFTABLES),
	}
}

// nfgenmsg is the header behind netlink's: family, version, resource id.
func nfgenmsg(family byte, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
}

func nfproto(f nat.Family) byte {
	if f == nat.IPv6 {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}
