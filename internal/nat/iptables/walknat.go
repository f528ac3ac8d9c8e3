package iptables

import (
	"fmt"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// natWalk follows a connection to a public port through somebody else's nat
// chains: up to our hook, if that is in them.
type natWalk struct {
	set      ruleset
	endpoint nat.Endpoint
	packet   packet
	reached  truth  // how sure the packet gets to the base chain
	hook     string // the chain of ours that ends the walk, "" if there is none
	fix      remedy
	findings []found
	spent    budget
}

func (w *natWalk) run(base string) error {
	_, err := w.walk(base, w.reached, 0)
	return err
}

// walk reports whether the packet's fate is known.
func (w *natWalk) walk(chain string, reached truth, depth int) (bool, error) {
	steps, err := w.set.steps(chain)
	if err != nil {
		return false, err
	}
	if err := w.spent.spend(len(steps)); err != nil {
		return false, err
	}
	for _, s := range steps {
		if s.chain != "" && s.chain == w.hook {
			return true, nil
		}
		matches := min(s.match(w.packet), reached)
		if matches == no {
			continue
		}
		switch s.do {
		case leave:
			if depth > 0 {
				if matches == yes {
					return false, nil
				}
				break
			}
			fallthrough // at the end of a built-in chain all is accepted
		case accept, drop, take:
			w.report(s, matches)
			if matches == yes {
				return true, nil
			}
		case jump, goTo:
			done, err := w.walk(s.chain, matches, depth+1)
			if err != nil || done {
				return done, err
			}
			if s.do == goTo && matches == yes {
				return depth == 0, nil
			}
		}
	}
	return false, nil
}

func (w *natWalk) report(s step, matches truth) {
	verb := "may take"
	if matches == yes {
		verb = "takes"
	}
	w.findings = append(w.findings, newFound(nat.Finding{
		Kind:     nat.Taken,
		Family:   w.packet.family,
		Rule:     s.rule,
		Endpoint: w.endpoint,
		Message:  fmt.Sprintf("a rule ahead of ours %s connections to %v", verb, w.endpoint),
	}, w.fix))
}
