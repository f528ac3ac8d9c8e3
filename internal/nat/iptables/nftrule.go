package iptables

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// condition is one match of a rule of nftables.
type condition func(packet) truth

// nftRule is a rule of nftables as it is compiled, expression by expression.
type nftRule struct {
	elements   func(set string) ([]nftables.SetElement, error)
	registers  map[uint32]load
	compared   map[uint32]expr.CmpOp // registers that were compared since they were loaded
	conditions []condition
	byOrigin   bool
	verdicts   []verdict // more than one comes of a verdict map
}

// verdict is what a rule does under a further condition, if that is not nil.
type verdict struct {
	when  condition
	do    action
	chain string
}

// compileNFT reads the expressions of a rule. The library leaves out those that
// it does not know; what they loaded is then missing, and a comparison of it
// tells nothing.
func compileNFT(exprs []expr.Any, elements func(set string) ([]nftables.SetElement, error)) *nftRule {
	r := &nftRule{elements: elements, registers: map[uint32]load{}, compared: map[uint32]expr.CmpOp{}}
	for _, e := range exprs {
		r.add(e)
	}
	return r
}

func (r *nftRule) match(p packet) truth {
	t := yes
	for _, c := range r.conditions {
		t = min(t, c(p))
	}
	return t
}

func (r *nftRule) add(e expr.Any) {
	switch e := e.(type) {
	case *expr.Meta:
		if !e.SourceRegister {
			r.load(e.Register, loadMeta(e))
		}
	case *expr.Payload:
		if e.OperationType == expr.PayloadLoad {
			r.load(e.DestRegister, loadPayload(e))
		}
	case *expr.Ct:
		r.load(e.Register, loadCt(e))
	case *expr.Fib:
		r.load(e.Register, loadFib(e))
	case *expr.Bitwise:
		r.load(e.DestRegister, r.bitwise(e))
	case *expr.Cmp:
		r.compare(e)
	case *expr.Range:
		l := r.use(e.Register)
		r.when(l, e.Op == expr.CmpOpNeq, func(p packet) truth { return l.between(p, e.FromData, e.ToData) })
	case *expr.Lookup:
		r.lookup(e)
	case *expr.Immediate:
		r.load(e.Register, unknown)
	case *expr.Verdict:
		r.verdict(nil, e)
	case *expr.Reject:
		r.verdicts = append(r.verdicts, verdict{do: drop})
	case *expr.NAT:
		if e.Type == expr.NATTypeDestNAT {
			r.verdicts = append(r.verdicts, verdict{do: take})
		}
	case *expr.Redir, *expr.Queue:
		r.verdicts = append(r.verdicts, verdict{do: take})
	case *expr.Target: // of iptables, in a rule that iptables-nft wrote
		if e.Name == "REJECT" {
			r.verdicts = append(r.verdicts, verdict{do: drop})
		}
	case *expr.Counter, *expr.Log, *expr.Notrack, *expr.Objref, *expr.SecMark, *expr.Masq, *expr.CtHelper, *expr.CtTimeout:
		// They match all.
	default: // limits, quotas, sets of what was seen, matches of iptables
		r.conditions = append(r.conditions, func(packet) truth { return maybe })
	}
}

func (r *nftRule) load(register uint32, l load) {
	r.registers[register] = l
	delete(r.compared, register)
}

// use returns what a register holds. A second comparison of one load is taken
// for one of something that the library left out, but for a pair that makes a
// range.
func (r *nftRule) use(register uint32) load {
	l, ok := r.registers[register]
	if _, again := r.compared[register]; !ok || again {
		return unknown
	}
	r.compared[register] = expr.CmpOpEq
	return l
}

func (r *nftRule) bitwise(e *expr.Bitwise) load {
	l, ok := r.registers[e.SourceRegister]
	isZero := len(bytes.Trim(e.Xor, "\x00")) == 0
	if !ok || l.masked == nil || !isZero || l.size != len(e.Mask) {
		return unknown
	}
	return l.masked(e.Mask)
}

// when adds a condition on a load.
func (r *nftRule) when(l load, invert bool, c condition) {
	r.byOrigin = r.byOrigin || l.byOrigin
	if invert {
		plain := c
		c = func(p packet) truth { return plain(p).not() }
	}
	r.conditions = append(r.conditions, c)
}

func (r *nftRule) compare(e *expr.Cmp) {
	if e.Op == expr.CmpOpLte && r.compared[e.Register] == expr.CmpOpGte {
		delete(r.compared, e.Register)
	}
	l := r.use(e.Register)
	r.compared[e.Register] = e.Op
	lowest, highest := make([]byte, len(e.Data)), bytes.Repeat([]byte{0xff}, len(e.Data))
	low, high := e.Data, e.Data
	switch e.Op {
	case expr.CmpOpLte, expr.CmpOpGt:
		low = lowest
	case expr.CmpOpGte, expr.CmpOpLt:
		high = highest
	}
	invert := e.Op == expr.CmpOpNeq || e.Op == expr.CmpOpGt || e.Op == expr.CmpOpLt
	r.when(l, invert, func(p packet) truth { return l.between(p, low, high) })
}

// between is in, for data that may be of another size than the value: the value
// is then one part of several (a concatenation), or compared in part.
func (l load) between(p packet, low, high []byte) truth {
	if l.size == 0 || len(low) != l.size || len(high) != l.size {
		return maybe
	}
	return l.in(p, low, high)
}

func (r *nftRule) lookup(e *expr.Lookup) {
	l := r.use(e.SourceRegister)
	isVerdicts := e.IsDestRegSet && e.DestRegister == unix.NFT_REG_VERDICT
	if e.IsDestRegSet && !isVerdicts {
		r.load(e.DestRegister, unknown)
	}
	var ranges []elementRange
	if l.size > 0 || isVerdicts {
		elements, err := r.elements(e.SetName)
		if err != nil {
			l = unknown // sets change all the time
		}
		ranges = rangesOf(elements)
	}
	in := func(er elementRange) condition {
		return func(p packet) truth { return l.between(p, er.low, er.high) }
	}
	if isVerdicts {
		r.byOrigin = r.byOrigin || l.byOrigin
		for _, er := range ranges {
			r.verdict(in(er), er.verdict)
		}
		return
	}
	r.when(l, e.Invert, func(p packet) truth {
		if l.size == 0 {
			return maybe
		}
		t := no
		for _, er := range ranges {
			t = max(t, in(er)(p))
		}
		return t
	})
}

func (r *nftRule) verdict(when condition, v *expr.Verdict) {
	out := verdict{when: when}
	if v == nil {
		return
	}
	switch v.Kind {
	case expr.VerdictAccept, expr.VerdictStop:
		out.do = accept
	case expr.VerdictDrop:
		out.do = drop
	case expr.VerdictReturn:
		out.do = leave
	case expr.VerdictJump:
		out.do, out.chain = jump, v.Chain
	case expr.VerdictGoto:
		out.do, out.chain = goTo, v.Chain
	case expr.VerdictQueue, expr.VerdictStolen:
		out.do = take
	default:
		return
	}
	r.verdicts = append(r.verdicts, out)
}

// elementRange is an element of a set: a value, or all from low to high.
type elementRange struct {
	low, high []byte
	verdict   *expr.Verdict // in a verdict map
}

// rangesOf puts together the elements of a set. One with intervals has an
// element for each begin, and one for the first value behind each end.
func rangesOf(elements []nftables.SetElement) []elementRange {
	elements = slices.Clone(elements)
	slices.SortStableFunc(elements, func(a, b nftables.SetElement) int { return bytes.Compare(a.Key, b.Key) })
	intervals := slices.ContainsFunc(elements, func(e nftables.SetElement) bool { return e.IntervalEnd })
	var ranges []elementRange
	for i, e := range elements {
		if e.IntervalEnd {
			continue
		}
		er := elementRange{low: e.Key, high: e.Key, verdict: verdictOfElement(e)}
		switch {
		case len(e.KeyEnd) > 0:
			er.high = e.KeyEnd
		case intervals && i+1 < len(elements):
			er.high = previous(elements[i+1].Key)
		case intervals:
			er.high = bytes.Repeat([]byte{0xff}, len(e.Key))
		}
		ranges = append(ranges, er)
	}
	return ranges
}

// previous is the value before a big-endian one that is not zero.
func previous(value []byte) []byte {
	v := bytes.Clone(value)
	for i := len(v) - 1; i >= 0; i-- {
		v[i]--
		if v[i] != 0xff {
			break
		}
	}
	return v
}

// verdictOfElement decodes what the library leaves encoded in Val: nested
// NFTA_VERDICT attributes.
func verdictOfElement(e nftables.SetElement) *expr.Verdict {
	if e.VerdictData != nil {
		return e.VerdictData
	}
	attrs, err := netlink.NewAttributeDecoder(e.Val)
	if err != nil {
		return nil
	}
	attrs.ByteOrder = binary.BigEndian
	var v *expr.Verdict
	for attrs.Next() {
		switch attrs.Type() {
		case unix.NFTA_VERDICT_CODE:
			v = &expr.Verdict{Kind: expr.VerdictKind(int32(attrs.Uint32()))}
		case unix.NFTA_VERDICT_CHAIN:
			if v != nil {
				v.Chain = attrs.String()
			}
		}
	}
	if attrs.Err() != nil {
		return nil
	}
	return v
}
