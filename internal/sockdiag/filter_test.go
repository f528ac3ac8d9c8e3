package sockdiag

import (
	"encoding/binary"
	"slices"
	"testing"
)

// run runs the program as the kernel's inet_diag_bc_run does.
func run(program []byte, sport uint16) bool {
	at := 0
	for at < len(program) {
		code, yes := program[at], int(program[at+1])
		no := int(binary.NativeEndian.Uint16(program[at+2:]))
		var operand uint16
		if code != bcJump {
			operand = binary.NativeEndian.Uint16(program[at+6:])
		}
		var ok bool
		switch code {
		case bcSportIs:
			ok = sport == operand
		case bcSportAtLeast:
			ok = sport >= operand
		case bcSportAtMost:
			ok = sport <= operand
		}
		if ok {
			at += yes
		} else {
			at += no
		}
	}
	return at == len(program)
}

func TestBytecode(t *testing.T) {
	var many []uint16
	for port := uint16(61000); len(many) <= maxCompared; port += 3 {
		many = append(many, port)
	}
	for name, ports := range map[string][]uint16{
		"two":         {61000, 61001},
		"three":       {80, 61000, 65535},
		"as many":     many[:maxCompared],
		"beyond that": many,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFilter(ports)
			program := f.bytecode()
			lo, hi := slices.Min(ports), slices.Max(ports)
			for port := range 1 << 16 {
				want := slices.Contains(ports, uint16(port))
				if f.match(uint16(port)) != want {
					t.Fatalf("match(%d) = %v", port, !want)
				}
				if len(ports) > maxCompared {
					want = lo <= uint16(port) && uint16(port) <= hi
				}
				if run(program, uint16(port)) != want {
					t.Fatalf("the program says %v to port %d", !want, port)
				}
			}
		})
	}
}
