package config

import "fmt"

// Conflict says that an instance is refused because a connection to one of
// its endpoints would be to another service's as well.
type Conflict struct {
	Refused  *Instance
	Listen   Listen // of Refused
	ListenAt Pos    // where it stands, if a file gave it
	Holder   *Instance
	Held     Listen // of Holder
}

// Err returns the conflict in the form of every other fault.
func (c Conflict) Err() *Error {
	e := &Error{
		File:    c.ListenAt.File,
		Line:    c.ListenAt.Line,
		Section: instanceSchema.name,
		Message: fmt.Sprintf("Listen=%s: service %q (%s) has Listen=%s already", c.Listen, c.Holder.Service, c.Holder.Unit, c.Held),
		Hint:    fmt.Sprintf("choose another port or address, or join that service with Service=%s", c.Holder.Service),
	}
	if e.File == "" {
		e.File = c.Refused.Unit
	}
	return e
}

// Conflicts returns what is refused when the claims are made one after the
// other: who comes first holds its endpoints, for its service, and an instance
// of another service that claims one of them is refused as a whole and holds
// nothing. Two endpoints conflict when their port is the same, their address
// is the same or that of one is any, and their scopes have connections in
// common. There is one Conflict for each endpoint of the refused that another
// service holds, in the order of claims.
func Conflicts(claims []*Instance) []Conflict {
	type claim struct {
		holder *Instance
		listen Listen
	}
	held := make(map[uint16][]claim) // by port
	var all []Conflict
	for _, in := range claims {
		before := len(all)
		for i, l := range in.Listen {
			for _, c := range held[l.Port] {
				if c.holder.Service == in.Service || c.holder.Scope&in.Scope == 0 || !c.listen.overlaps(l) {
					continue
				}
				conflict := Conflict{Refused: in, Listen: l, Holder: c.holder, Held: c.listen}
				if i < len(in.ListenAt) {
					conflict.ListenAt = in.ListenAt[i]
				}
				all = append(all, conflict)
				break
			}
		}
		if len(all) > before {
			continue
		}
		for _, l := range in.Listen {
			held[l.Port] = append(held[l.Port], claim{in, l})
		}
	}
	return all
}
