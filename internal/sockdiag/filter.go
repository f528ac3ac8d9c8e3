package sockdiag

import (
	"encoding/binary"
	"slices"
)

// Codes of struct inet_diag_bc_op that are used here.
const (
	bcJump         = 1  // INET_DIAG_BC_JMP
	bcSportAtLeast = 2  // INET_DIAG_BC_S_GE
	bcSportAtMost  = 3  // INET_DIAG_BC_S_LE
	bcSportIs      = 11 // INET_DIAG_BC_S_EQ
)

// maxCompared is how many ports the kernel compares one by one. Each costs a few
// nanoseconds a socket; beyond this many it passes the range that spans them.
const maxCompared = 64

// filter selects sockets by local port, in the kernel as far as that is
// cheap, and exactly once they are here. nil selects all.
type filter struct {
	ports []uint16 // sorted, distinct
}

func newFilter(ports []uint16) *filter {
	ports = slices.Clone(ports)
	slices.Sort(ports)
	return &filter{ports: slices.Compact(ports)}
}

// match reports whether the port is one of the filter's.
func (f *filter) match(port uint16) bool {
	if f == nil {
		return true
	}
	_, ok := slices.BinarySearch(f.ports, port)
	return ok
}

// single returns the only port, for which the request itself has a field, or 0.
func (f *filter) single() uint16 {
	if f == nil || len(f.ports) != 1 {
		return 0
	}
	return f.ports[0]
}

// bytecode returns the program that the kernel runs for each socket. It accepts
// a socket when it ends exactly behind the last instruction, and refuses it when
// it jumps four bytes further. nil means that no program is needed.
func (f *filter) bytecode() []byte {
	switch {
	case f == nil || len(f.ports) <= 1:
		return nil
	case len(f.ports) > maxCompared:
		first, last := f.ports[0], f.ports[len(f.ports)-1]
		const size = 16
		b := appendCompare(nil, bcSportAtLeast, first, size+4)
		return appendCompare(b, bcSportAtMost, last, size-8+4)
	}
	// For each port but the last: "is it this one?", followed by a jump to
	// the end, which a no passes over.
	size := 12*len(f.ports) - 4
	var b []byte
	for i, port := range f.ports {
		if i == len(f.ports)-1 {
			return appendCompare(b, bcSportIs, port, 8+4)
		}
		b = appendCompare(b, bcSportIs, port, 12)
		b = appendOp(b, bcJump, 4, uint16(size-len(b)))
	}
	return b
}

// appendCompare appends a comparison of the source port: 4 bytes, and 4 more
// that hold the port in the field of a jump's distance.
func appendCompare(b []byte, code byte, port, no uint16) []byte {
	b = appendOp(b, code, 8, no)
	return appendOp(b, 0, 0, port)
}

// appendOp appends a struct inet_diag_bc_op; yes and no are distances in bytes.
func appendOp(b []byte, code, yes byte, no uint16) []byte {
	b = append(b, code, yes)
	return binary.NativeEndian.AppendUint16(b, no)
}
