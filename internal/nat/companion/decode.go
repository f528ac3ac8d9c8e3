package companion

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// What a foreign hand put into the table need not be understood, only be seen
// to differ from ours: nothing here rejects an attribute that it does not know.

// header is the state of the table itself.
type header struct {
	name  string
	flags uint32
	owner uint32 // netlink port id of the living owner; 0: none
}

// attrTableOwner is NFTA_TABLE_OWNER (kernel 5.12), which package unix lacks.
const attrTableOwner = 7

func decodeHeader(m netlink.Message) (h header, err error) {
	err = attributes(m, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_TABLE_NAME:
			h.name = ad.String()
		case unix.NFTA_TABLE_FLAGS:
			h.flags = ad.Uint32()
		case attrTableOwner:
			h.owner = ad.Uint32()
		}
	})
	return h, err
}

// decodeTimeout returns ok = false for an object of another type.
func decodeTimeout(m netlink.Message) (t timeout, ok bool, err error) {
	t.seconds = map[uint16]uint32{}
	err = attributes(m, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_OBJ_NAME:
			t.name = ad.String()
		case unix.NFTA_OBJ_TYPE:
			ok = ad.Uint32() == unix.NFT_OBJECT_CT_TIMEOUT
		case unix.NFTA_OBJ_DATA:
			if !ok { // the type comes first
				return
			}
			nested(ad, func(ad *netlink.AttributeDecoder) {
				switch ad.Type() {
				case attrTimeoutL3:
					t.l3 = ad.Uint16()
				case attrTimeoutL4:
					t.l4 = ad.Uint8()
				case attrTimeoutData:
					nested(ad, func(ad *netlink.AttributeDecoder) { t.seconds[ad.Type()] = ad.Uint32() })
				}
			})
		}
	})
	return t, ok, err
}

func decodeSet(m netlink.Message) (s set, err error) {
	err = attributes(m, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_SET_NAME:
			s.name = ad.String()
		case unix.NFTA_SET_FLAGS:
			s.flags = ad.Uint32()
		case unix.NFTA_SET_KEY_TYPE:
			s.keyType = ad.Uint32()
		case unix.NFTA_SET_KEY_LEN:
			s.keyLen = ad.Uint32()
		}
	})
	return s, err
}

// decodePorts returns the two-byte keys of a list of elements.
func decodePorts(m netlink.Message) (ports []uint16, err error) {
	err = attributes(m, func(ad *netlink.AttributeDecoder) {
		if ad.Type() != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return
		}
		nested(ad, func(ad *netlink.AttributeDecoder) {
			nested(ad, func(ad *netlink.AttributeDecoder) {
				if ad.Type() != unix.NFTA_SET_ELEM_KEY {
					return
				}
				nested(ad, func(ad *netlink.AttributeDecoder) {
					if b := ad.Bytes(); ad.Type() == unix.NFTA_DATA_VALUE && len(b) == 2 {
						ports = append(ports, binary.BigEndian.Uint16(b))
					}
				})
			})
		})
	})
	return ports, err
}

// decodeChain returns the name of the table too, as chains are dumped for a
// whole family.
func decodeChain(m netlink.Message) (table string, c chain, err error) {
	err = attributes(m, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_CHAIN_TABLE:
			table = ad.String()
		case unix.NFTA_CHAIN_NAME:
			c.name = ad.String()
		case unix.NFTA_CHAIN_TYPE:
			c.kind = ad.String()
		case unix.NFTA_CHAIN_POLICY:
			c.policy = ad.Uint32()
		case unix.NFTA_CHAIN_HOOK:
			nested(ad, func(ad *netlink.AttributeDecoder) {
				switch ad.Type() {
				case unix.NFTA_HOOK_HOOKNUM:
					c.hook = ad.Uint32()
				case unix.NFTA_HOOK_PRIORITY:
					c.priority = ad.Int32()
				}
			})
		}
	})
	return table, c, err
}

func decodeRule(m netlink.Message) (chain string, r rule, err error) {
	err = attributes(m, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_RULE_CHAIN:
			chain = ad.String()
		case unix.NFTA_RULE_EXPRESSIONS:
			nested(ad, func(ad *netlink.AttributeDecoder) { r.exprs = append(r.exprs, decodeExpr(ad)) })
		case unix.NFTA_RULE_USERDATA:
			r.comment = decodeComment(ad.Bytes())
		}
	})
	return chain, r, err
}

// decodeExpr returns nil for an expression that no rule of ours has: the
// decoder of google/nftables dereferences nil for those it does not know.
func decodeExpr(ad *netlink.AttributeDecoder) expr.Any {
	var e expr.Any
	nested(ad, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_EXPR_NAME:
			e = newExpr(ad.String())
		case unix.NFTA_EXPR_DATA: // the name comes first
			if e != nil && expr.Unmarshal(unix.NFPROTO_INET, ad.Bytes(), e) != nil {
				e = nil
			}
		}
	})
	return e
}

func newExpr(name string) expr.Any {
	switch name {
	case "bitwise":
		return &expr.Bitwise{}
	case "cmp":
		return &expr.Cmp{}
	case "ct":
		return &expr.Ct{}
	case "fib":
		return &expr.Fib{}
	case "lookup":
		return &expr.Lookup{}
	case "meta":
		return &expr.Meta{}
	case "objref":
		return &expr.Objref{}
	case "payload":
		return &expr.Payload{}
	case "reject":
		return &expr.Reject{}
	case "target":
		return &expr.Target{}
	}
	return nil
}

// decodeComment reads nft's user data: type, length, bytes; type 0 is the
// comment, ended by a zero byte.
func decodeComment(b []byte) string {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		kind, value := b[0], b[2:2+int(b[1])]
		if kind == 0 {
			comment, _, _ := bytes.Cut(value, []byte{0})
			return string(comment)
		}
		b = b[2+len(value):]
	}
	return ""
}

// attributes calls f for each attribute of an nf_tables message.
func attributes(m netlink.Message, f func(*netlink.AttributeDecoder)) error {
	if len(m.Data) < nfgenmsgLen {
		return errors.New("nf_tables message without a header")
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[nfgenmsgLen:])
	if err != nil {
		return fmt.Errorf("decode attributes: %w", err)
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		f(ad)
	}
	if err := ad.Err(); err != nil {
		return fmt.Errorf("decode attributes: %w", err)
	}
	return nil
}

func nested(ad *netlink.AttributeDecoder, f func(*netlink.AttributeDecoder)) {
	ad.Nested(func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			f(ad)
		}
		return nil
	})
}
