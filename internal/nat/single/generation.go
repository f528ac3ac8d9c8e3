package single

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Generation is one process of a service, as the rules describe it.
type Generation struct {
	ID     string // of its chain
	Number int    // a newer one has a greater
	PID    int    // 0: the rules were left half written
	Start  uint64 // of the process, in clock ticks since boot (/proc/PID/stat)
	Port   uint16 // private
	Scope  nat.Scope
	// Targets are what its rules say. Their Families are those in which they
	// were found.
	Targets []nat.Target
	Retired int64 // seconds since boot when it ceased to be current; 0 if it did not
	Told    bool  // it has been, or is about to be, told to end
	// Signalled says that it has been: who was to do so may have died in between.
	Signalled bool
}

// note is the comment that describes g.
func (g Generation) note(service string) string {
	return fmt.Sprintf("%s gen=%d pid=%d start=%d scope=%d port=%d ns=%s", noteWord, g.Number, g.PID, g.Start, g.Scope, g.Port, service)
}

const (
	retiredKey = "retired"
	toldMark   = noteWord + " told"
	sentMark   = noteWord + " signalled"
)

func retiredMark(at int64) string { return fmt.Sprintf("%s %s=%d", noteWord, retiredKey, at) }

// take reads one comment of a generation's chain. It returns the service's name
// if that was in it.
func (g *Generation) take(comment string) (service string) {
	rest, ok := strings.CutPrefix(comment, noteWord+" ")
	if !ok {
		return ""
	}
	switch comment {
	case toldMark:
		g.Told = true
		return ""
	case sentMark:
		g.Signalled = true
		return ""
	}
	var n Generation
	for {
		if name, last := strings.CutPrefix(rest, "ns="); last {
			n.ID, n.Targets, n.Retired, n.Told, n.Signalled = g.ID, g.Targets, g.Retired, g.Told, g.Signalled
			*g = n
			return name
		}
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		key, value, _ := strings.Cut(word, "=")
		v, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return ""
		}
		switch key {
		case "gen":
			n.Number = int(v)
		case "pid":
			n.PID = int(v)
		case "start":
			n.Start = v
		case "scope":
			n.Scope = nat.Scope(v)
		case "port":
			n.Port = uint16(v)
		case retiredKey:
			g.Retired = int64(v)
			return ""
		}
	}
}
