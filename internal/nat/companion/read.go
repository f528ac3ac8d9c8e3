package companion

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// found is the table as the kernel has it. The zero value: there is none.
type found struct {
	header
	layout
}

func (f found) exists() bool { return f.name != "" }

// readHeader returns the zero header if there is no table.
func (c *conn) readHeader() (header, error) {
	answer, err := c.request(unix.NFT_MSG_GETTABLE, 0, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_TABLE_NAME, c.name)
	})
	if err != nil {
		return header{}, fmt.Errorf("read table %q: %w", c.name, err)
	}
	for _, m := range answer {
		return decodeHeader(m)
	}
	return header{}, nil
}

// read returns the table with all it holds. Several dumps are not one
// snapshot: the caller alone writes to the table, or reads again after it.
func (c *conn) read() (found, error) {
	var f found
	var err error
	if f.header, err = c.readHeader(); err != nil || !f.exists() {
		return f, err
	}
	if f.timeouts, err = c.readTimeouts(); err != nil {
		return f, fmt.Errorf("read ct timeouts: %w", err)
	}
	if f.sets, err = c.readSets(); err != nil {
		return f, fmt.Errorf("read sets: %w", err)
	}
	if f.chains, err = c.readChains(); err != nil {
		return f, fmt.Errorf("read chains: %w", err)
	}
	return f, nil
}

func (c *conn) readTimeouts() ([]timeout, error) {
	answer, err := c.request(unix.NFT_MSG_GETOBJ, netlink.Dump, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_OBJ_TABLE, c.name)
		ae.Uint32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_CT_TIMEOUT)
	})
	if err != nil {
		return nil, err
	}
	var timeouts []timeout
	for _, m := range answer {
		t, ok, err := decodeTimeout(m)
		if err != nil {
			return nil, err
		}
		if ok {
			timeouts = append(timeouts, t)
		}
	}
	slices.SortFunc(timeouts, func(a, b timeout) int { return cmp.Compare(a.name, b.name) })
	return timeouts, nil
}

func (c *conn) readSets() ([]set, error) {
	answer, err := c.request(unix.NFT_MSG_GETSET, netlink.Dump, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_SET_TABLE, c.name)
	})
	if err != nil {
		return nil, err
	}
	var sets []set
	for _, m := range answer {
		s, err := decodeSet(m)
		if err != nil {
			return nil, err
		}
		if s.ports, err = c.readPorts(s.name); err != nil {
			return nil, fmt.Errorf("elements of %q: %w", s.name, err)
		}
		sets = append(sets, s)
	}
	slices.SortFunc(sets, func(a, b set) int { return cmp.Compare(a.name, b.name) })
	return sets, nil
}

func (c *conn) readPorts(set string) ([]uint16, error) {
	answer, err := c.request(unix.NFT_MSG_GETSETELEM, netlink.Dump, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_SET_ELEM_LIST_TABLE, c.name)
		ae.String(unix.NFTA_SET_ELEM_LIST_SET, set)
	})
	if err != nil {
		return nil, err
	}
	var ports []uint16
	for _, m := range answer {
		p, err := decodePorts(m)
		if err != nil {
			return nil, err
		}
		ports = append(ports, p...)
	}
	slices.Sort(ports)
	return ports, nil
}

func (c *conn) readChains() ([]chain, error) {
	// The kernel cannot filter this dump by table.
	answer, err := c.request(unix.NFT_MSG_GETCHAIN, netlink.Dump, func(*netlink.AttributeEncoder) {})
	if err != nil {
		return nil, err
	}
	var chains []chain
	for _, m := range answer {
		table, ch, err := decodeChain(m)
		if err != nil {
			return nil, err
		}
		if table == c.name {
			chains = append(chains, ch)
		}
	}
	slices.SortFunc(chains, func(a, b chain) int { return cmp.Compare(a.name, b.name) })
	return chains, c.readRules(chains)
}

// readRules fills in the rules of chains, in the order in which they apply.
func (c *conn) readRules(chains []chain) error {
	answer, err := c.request(unix.NFT_MSG_GETRULE, netlink.Dump, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, c.name)
	})
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	for _, m := range answer {
		name, r, err := decodeRule(m)
		if err != nil {
			return fmt.Errorf("rules: %w", err)
		}
		for i := range chains {
			if chains[i].name == name {
				chains[i].rules = append(chains[i].rules, r)
			}
		}
	}
	return nil
}

// Guarded returns the ports that the table in the kernel guards, sorted; none if
// there is no table.
func (t *Table) Guarded(ctx context.Context) ([]uint16, error) {
	var ports []uint16
	err := t.exchange(ctx, func(c *conn) error {
		have, err := c.read()
		if err == nil && have.exists() && have.sameShape(t.schema()) {
			ports = have.ports(guardedSet)
		}
		return err
	})
	return ports, err
}
