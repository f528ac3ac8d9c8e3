package companion

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// batch is one transaction under construction. Its messages are our own, as
// google/nftables has none that carries a table's flags.
type batch struct {
	name     string // of the table
	messages []netlink.Message
	what     []string // for each message: what it does, for an error
	err      error    // of the last message: nothing was added after it
	timed    bool     // it makes timeouts
}

// elementsPerMessage keeps a list of elements below the 64 KiB of an attribute.
const elementsPerMessage = 1000

func (b *batch) add(what string, kind int, flags netlink.HeaderFlags, attrs func(*netlink.AttributeEncoder)) {
	if b.err != nil {
		return
	}
	m, err := message(kind, netlink.Request|netlink.Acknowledge|flags, attrs)
	b.messages = append(b.messages, m)
	b.what = append(b.what, what)
	b.err = err
}

// framed returns the messages between the two that make them a transaction.
func (b *batch) framed() []netlink.Message {
	frame := func(t netlink.HeaderType) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: t, Flags: netlink.Request},
			Data:   nfgenmsg(unix.NFPROTO_UNSPEC, unix.NFNL_SUBSYS_NFTABLES),
		}
	}
	framed := append([]netlink.Message{frame(unix.NFNL_MSG_BATCH_BEGIN)}, b.messages...)
	return append(framed, frame(unix.NFNL_MSG_BATCH_END))
}

// table creates the table, or takes over one that nobody owns any more.
func (b *batch) table(flags uint32) {
	b.add("add the table", unix.NFT_MSG_NEWTABLE, netlink.Create, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_TABLE_NAME, b.name)
		ae.Uint32(unix.NFTA_TABLE_FLAGS, flags)
	})
}

func (b *batch) deleteTable() {
	b.add("delete the table", unix.NFT_MSG_DELTABLE, 0, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_TABLE_NAME, b.name)
	})
}

func (b *batch) timeout(t timeout) {
	b.timed = true
	b.add("add ct timeout "+t.name, unix.NFT_MSG_NEWOBJ, netlink.Create, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_OBJ_TABLE, b.name)
		t.encode(ae)
	})
}

func (b *batch) deleteTimeout(name string) {
	b.add("delete ct timeout "+name, unix.NFT_MSG_DELOBJ, 0, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_OBJ_TABLE, b.name)
		ae.String(unix.NFTA_OBJ_NAME, name)
		ae.Uint32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_CT_TIMEOUT)
	})
}

func (b *batch) set(s set, id uint32) {
	b.add("add set "+s.name, unix.NFT_MSG_NEWSET, netlink.Create, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_SET_TABLE, b.name)
		ae.String(unix.NFTA_SET_NAME, s.name)
		ae.Uint32(unix.NFTA_SET_FLAGS, s.flags)
		ae.Uint32(unix.NFTA_SET_KEY_TYPE, s.keyType)
		ae.Uint32(unix.NFTA_SET_KEY_LEN, s.keyLen)
		ae.Uint32(unix.NFTA_SET_ID, id) // unique in the batch
	})
	b.elements("add", unix.NFT_MSG_NEWSETELEM, s.name, s.ports)
}

func (b *batch) deleteSet(name string) {
	b.add("delete set "+name, unix.NFT_MSG_DELSET, 0, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_SET_TABLE, b.name)
		ae.String(unix.NFTA_SET_NAME, name)
	})
}

func (b *batch) addPorts(set string, ports []uint16) {
	b.elements("add", unix.NFT_MSG_NEWSETELEM, set, ports)
}

func (b *batch) deletePorts(set string, ports []uint16) {
	b.elements("delete", unix.NFT_MSG_DELSETELEM, set, ports)
}

func (b *batch) elements(verb string, kind int, set string, ports []uint16) {
	for len(ports) > 0 {
		n := min(len(ports), elementsPerMessage)
		part := ports[:n]
		ports = ports[n:]
		b.add(verb+" ports of set "+set, kind, netlink.Create, func(ae *netlink.AttributeEncoder) {
			ae.String(unix.NFTA_SET_ELEM_LIST_TABLE, b.name)
			ae.String(unix.NFTA_SET_ELEM_LIST_SET, set)
			ae.Nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(ae *netlink.AttributeEncoder) error {
				for _, p := range part {
					ae.Nested(unix.NFTA_LIST_ELEM, func(ae *netlink.AttributeEncoder) error {
						ae.Nested(unix.NFTA_SET_ELEM_KEY, func(ae *netlink.AttributeEncoder) error {
							ae.Uint16(unix.NFTA_DATA_VALUE, p)
							return nil
						})
						return nil
					})
				}
				return nil
			})
		})
	}
}

func (b *batch) chain(c chain) {
	b.add("add chain "+c.name, unix.NFT_MSG_NEWCHAIN, netlink.Create, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_CHAIN_TABLE, b.name)
		ae.String(unix.NFTA_CHAIN_NAME, c.name)
		ae.Nested(unix.NFTA_CHAIN_HOOK, func(ae *netlink.AttributeEncoder) error {
			ae.Uint32(unix.NFTA_HOOK_HOOKNUM, c.hook)
			ae.Int32(unix.NFTA_HOOK_PRIORITY, c.priority)
			return nil
		})
		ae.Uint32(unix.NFTA_CHAIN_POLICY, c.policy)
		ae.String(unix.NFTA_CHAIN_TYPE, c.kind)
	})
	for _, r := range c.rules {
		b.rule(c.name, r)
	}
}

func (b *batch) deleteChain(name string) {
	b.add("delete chain "+name, unix.NFT_MSG_DELCHAIN, 0, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_CHAIN_TABLE, b.name)
		ae.String(unix.NFTA_CHAIN_NAME, name)
	})
}

func (b *batch) rule(chain string, r rule) {
	b.add("add a rule to chain "+chain, unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, b.name)
		ae.String(unix.NFTA_RULE_CHAIN, chain)
		ae.Nested(unix.NFTA_RULE_EXPRESSIONS, func(ae *netlink.AttributeEncoder) error {
			for _, e := range r.exprs {
				ae.Do(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, func() ([]byte, error) {
					return expr.Marshal(unix.NFPROTO_INET, e)
				})
			}
			return nil
		})
		if r.comment != "" {
			ae.Bytes(unix.NFTA_RULE_USERDATA, userdata.AppendString(nil, userdata.TypeComment, r.comment))
		}
	})
}

// flushChain empties one chain.
func (b *batch) flushChain(name string) {
	b.add("flush chain "+name, unix.NFT_MSG_DELRULE, 0, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, b.name)
		ae.String(unix.NFTA_RULE_CHAIN, name)
	})
}

// flushRules empties every chain.
func (b *batch) flushRules() {
	b.add("flush the rules", unix.NFT_MSG_DELRULE, 0, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, b.name)
	})
}

// message returns an nf_tables message of family inet.
func message(kind int, flags netlink.HeaderFlags, attrs func(*netlink.AttributeEncoder)) (netlink.Message, error) {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	attrs(ae)
	data, err := ae.Encode()
	if err != nil {
		return netlink.Message{}, err
	}
	return netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind),
			Flags: flags,
		},
		Data: append(nfgenmsg(unix.NFPROTO_INET, 0), data...),
	}, nil
}

const nfgenmsgLen = 4

// nfgenmsg is the header behind netlink's: family, version, resource id.
func nfgenmsg(family byte, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
}
