package iptables

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// generation numbers the state of all nftables of this network namespace: every
// commit, whoever makes it, counts it up (nf_tables_commit). As long as it
// stays what it was, so does what iptables-nft-save has to say.
type generation uint32

// generationTimeout is for an answer that takes microseconds, unless another
// program's long transaction is in the way.
const generationTimeout = 5 * time.Second

// currentGeneration costs one netlink message where a read of the rules costs
// milliseconds.
func currentGeneration(ctx context.Context) (generation, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("nftables generation: %w", err)
	}
	defer conn.Close()
	end := time.Now().Add(generationTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	if err := conn.SetDeadline(end); err != nil {
		return 0, fmt.Errorf("nftables generation: %w", err)
	}
	answer, err := conn.Execute(netlink.Message{
		Header: netlink.Header{
			Type:  unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN,
			Flags: netlink.Request,
		},
		Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}, // struct nfgenmsg
	})
	if err != nil {
		return 0, fmt.Errorf("nftables generation: %w", err)
	}
	for _, m := range answer {
		if g, err := parseGeneration(m.Data); err == nil {
			return g, nil
		}
	}
	return 0, errors.New("nftables generation: not in the kernel's answer")
}

func parseGeneration(data []byte) (generation, error) {
	const nfgenmsg = 4
	if len(data) < nfgenmsg {
		return 0, errors.New("short message")
	}
	attrs, err := netlink.NewAttributeDecoder(data[nfgenmsg:])
	if err != nil {
		return 0, err
	}
	attrs.ByteOrder = binary.BigEndian
	var g generation
	found := false
	for attrs.Next() {
		if attrs.Type() == unix.NFTA_GEN_ID {
			g, found = generation(attrs.Uint32()), true
		}
	}
	if err := attrs.Err(); err != nil {
		return 0, err
	}
	if !found {
		return 0, errors.New("no NFTA_GEN_ID")
	}
	return g, nil
}
