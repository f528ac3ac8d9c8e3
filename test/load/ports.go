package load

import (
	"fmt"
	"strconv"
	"strings"
)

// PortRange is a range of source ports, both ends included.
type PortRange struct{ First, Last uint16 }

// ParsePortRange parses "20000-21999".
func ParsePortRange(s string) (PortRange, error) {
	first, last, ok := strings.Cut(s, "-")
	a, err := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(last, 10, 16)
	if !ok || err != nil || err2 != nil || a == 0 || a > b {
		return PortRange{}, fmt.Errorf("%q is no range of ports, such as 20000-21999", s)
	}
	return PortRange{uint16(a), uint16(b)}, nil
}

// Len returns the number of ports, 0 for the zero value.
func (r PortRange) Len() int {
	if r.First == 0 {
		return 0
	}
	return int(r.Last) - int(r.First) + 1
}

func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// ports hands out source ports, each to one connection at a time and the one
// that was free for longest first. Its zero value hands out 0.
type ports struct{ free chan uint16 }

func newPorts(r PortRange) ports {
	if r.Len() == 0 {
		return ports{}
	}
	p := ports{free: make(chan uint16, r.Len())}
	for n := int(r.First); n <= int(r.Last); n++ {
		p.free <- uint16(n)
	}
	return p
}

func (p ports) take() uint16 {
	if p.free == nil {
		return 0
	}
	return <-p.free // there are more ports than clients
}

func (p ports) put(port uint16) { p.free <- port }
