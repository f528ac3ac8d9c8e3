package hold

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Of uapi/linux/netfilter/nfnetlink_queue.h.
const (
	msgPacket  = 0 // NFQNL_MSG_PACKET
	msgVerdict = 1
	msgConfig  = 2

	attrPacketHeader  = 1 // NFQA_PACKET_HDR
	attrVerdictHeader = 2
	attrPayload       = 10

	attrCommand  = 1 // NFQA_CFG_CMD
	attrParams   = 2
	attrMaxLen   = 3
	attrMask     = 4
	attrFlags    = 5
	commandBind  = 1 // NFQNL_CFG_CMD_BIND
	copyPacket   = 2 // NFQNL_COPY_PACKET
	flagSegments = 4 // NFQA_CFG_F_GSO: as they are, no checksum is completed for us
)

// verdict is what becomes of a packet: NF_DROP or NF_ACCEPT.
type verdict uint32

const (
	drop   verdict = 0
	accept verdict = 1
)

// packet is one that was queued.
type packet struct {
	id    uint32
	hook  byte // NF_INET_PRE_ROUTING or NF_INET_LOCAL_OUT
	start []byte
}

const nfgenmsgLen = 4

// message returns one about the queue of that number.
func message(kind int, number uint16, flags netlink.HeaderFlags, attrs func(*netlink.AttributeEncoder)) (netlink.Message, error) {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	attrs(ae)
	data, err := ae.Encode()
	if err != nil {
		return netlink.Message{}, err
	}
	header := binary.BigEndian.AppendUint16([]byte{unix.NFPROTO_UNSPEC, unix.NFNETLINK_V0}, number)
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_QUEUE<<8 | kind), Flags: netlink.Request | flags},
		Data:   append(header, data...),
	}, nil
}

// bindMessage asks for the queue.
func bindMessage(number uint16) (netlink.Message, error) {
	return message(msgConfig, number, netlink.Acknowledge, func(ae *netlink.AttributeEncoder) {
		ae.Bytes(attrCommand, []byte{commandBind, 0, 0, 0})
	})
}

// settingsMessage says how the queue shall be.
func settingsMessage(number uint16, most uint32) (netlink.Message, error) {
	return message(msgConfig, number, netlink.Acknowledge, func(ae *netlink.AttributeEncoder) {
		ae.Bytes(attrParams, append(binary.BigEndian.AppendUint32(nil, copied), copyPacket))
		ae.Uint32(attrMaxLen, most)
		ae.Uint32(attrMask, flagSegments)
		ae.Uint32(attrFlags, flagSegments)
	})
}

func verdictMessage(number uint16, id uint32, v verdict) (netlink.Message, error) {
	return message(msgVerdict, number, 0, func(ae *netlink.AttributeEncoder) {
		ae.Bytes(attrVerdictHeader, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(v)), id))
	})
}

// parsePacket returns the packet of a message, which it refers to. ok is false
// for a message of another kind.
func parsePacket(m netlink.Message) (p packet, ok bool, err error) {
	if m.Header.Type != netlink.HeaderType(unix.NFNL_SUBSYS_QUEUE<<8|msgPacket) {
		return packet{}, false, nil
	}
	if len(m.Data) < nfgenmsgLen {
		return packet{}, false, errors.New("message without a header")
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[nfgenmsgLen:])
	if err != nil {
		return packet{}, false, fmt.Errorf("decode attributes: %w", err)
	}
	for ad.Next() {
		switch b := ad.Bytes(); ad.Type() {
		case attrPacketHeader: // id, protocol, hook
			if len(b) < 7 {
				return packet{}, false, fmt.Errorf("packet header of %d bytes", len(b))
			}
			p.id, p.hook, ok = binary.BigEndian.Uint32(b), b[6], true
		case attrPayload:
			p.start = b
		}
	}
	if err := ad.Err(); err != nil {
		return packet{}, false, fmt.Errorf("decode attributes: %w", err)
	}
	return p, ok, nil
}
