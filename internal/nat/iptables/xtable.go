package iptables

import (
	"errors"
	"math/bits"
)

// errMalformed says that a legacy table does not add up, or is not of the form
// that iptables gives it.
var errMalformed = errors.New("table nat is not of the form that iptables gives it")

// xtable is a legacy table as the kernel has it, cut into its chains.
type xtable struct {
	chains []xchain       // in the table's order, built-in ones first
	begins map[int]string // those that rules can lead to, by the offset of their first entry
}

// xchain is one of its chains.
type xchain struct {
	name    string
	builtin bool
	policy  int      // a built-in chain's last entry is at this offset
	rules   []xentry // in a finished chain without the last entry, which is none
}

// hookNames are the built-in chains, by their numbers in linux/netfilter.h.
var hookNames = [5]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

// parseTable cuts the entries of a table into its chains. What iptables (its
// libiptc) would not write is an error.
//
// It writes one chain after the other. Built-in chains come first: each begins
// where info says, and ends with its policy. Each of the others begins with an
// entry that has the target ERROR with the chain's name, and ends with a return.
// The table ends with a target ERROR by the name of ERROR.
func parseTable(form *xform, info fingerprint, data []byte) (xtable, error) {
	hooks := map[int]int{} // those to come, by the offset where their chain begins
	for hook, offset := range info.hookEntry {
		if info.validHooks&(1<<hook) != 0 {
			hooks[int(offset)] = hook
		}
	}
	if bits.OnesCount32(info.validHooks) != len(hooks) || len(data) != int(info.size) {
		return xtable{}, errMalformed
	}
	t := xtable{begins: map[int]string{}}
	var chain xchain // the one that entries go to; without a name at first
	finish := func() bool {
		if chain.name != "" {
			t.chains = append(t.chains, chain)
			return t.chains[len(t.chains)-1].finish()
		}
		return true
	}
	var entries uint32
	for offset := 0; offset < len(data); {
		e, err := cutEntry(form, data, offset)
		if err != nil {
			return xtable{}, err
		}
		name, err := e.heads()
		if err != nil {
			return xtable{}, err
		}
		hook, begins := hooks[offset]
		entries++
		offset = e.next // beyond e.offset: an entry has a header
		switch {
		case name == "ERROR" && offset == len(data):
			if !finish() || entries != info.entries || len(hooks) > 0 {
				return xtable{}, errMalformed
			}
			return t, nil
		case name != "":
			if !finish() || begins {
				return xtable{}, errMalformed
			}
			chain = xchain{name: name}
			t.begins[offset] = name
			continue
		case begins:
			if !finish() || len(t.begins) > 0 {
				return xtable{}, errMalformed
			}
			chain = xchain{name: hookNames[hook], builtin: true, policy: int(info.underflow[hook])}
			delete(hooks, e.offset)
		case chain.name == "":
			return xtable{}, errMalformed
		}
		chain.rules = append(chain.rules, e)
	}
	return xtable{}, errMalformed // it has no end
}

// finish takes the last entry away. It reports whether that is as it should be.
func (c *xchain) finish() bool {
	if len(c.rules) == 0 {
		return false
	}
	last := c.rules[len(c.rules)-1]
	c.rules = c.rules[:len(c.rules)-1]
	v, standard := last.verdict()
	if !standard || len(last.matches) > 0 {
		return false
	}
	if c.builtin {
		return v < 0 && last.offset == c.policy
	}
	const xtReturn = -5 // XT_RETURN of linux/netfilter/x_tables.h
	return v == xtReturn
}

// jump returns the chain that an entry leads to; "" if it leads to none.
func (t xtable) jump(e xentry) (string, error) {
	v, standard := e.verdict()
	if !standard || v < 0 || v == e.next { // to the next one: there is no target
		return "", nil
	}
	name, found := t.begins[v]
	if !found {
		return "", errMalformed
	}
	return name, nil
}
