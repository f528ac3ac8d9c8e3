package iptables

import (
	"fmt"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// openingFor is an endpoint in one family.
type openingFor struct {
	endpoint nat.Endpoint
	family   nat.Family
}

// inputWalk follows a connection through the chains of a host firewall: as it
// came before there was a redirect, to the public port, and as it comes now, to
// the private port. Rules that matched the one and not the other are void.
type inputWalk struct {
	set      ruleset
	endpoint nat.Endpoint
	before   packet
	after    packet
	findings []found

	wasDecided bool            // the fate of before is known
	decided    action          // the fate of after; pass if it is not known yet
	decider    *step           // the rule that decided it
	known      map[string]bool // rules by origin that were met
	addressed  bool            // one of those lets some in
	cut        bool            // a cut-off was found
	allow      remedy          // of the first rule that used to let some in
	spent      budget
}

// run walks from a base chain.
func (w *inputWalk) run(base string) error {
	w.known = map[string]bool{}
	if err := w.walk(base, yes, yes, false); err != nil {
		return err
	}
	if w.decided == pass && w.set.policy(base) == drop {
		rule := w.set.opening(openingFor{w.endpoint, w.after.family})
		w.cutOff(w.set.describe(base), w.set.last(base, rule))
	}
	return nil
}

// walk goes through a chain. was and is say how sure the packets get there, and
// byOrigin that they were sent there by their origin.
func (w *inputWalk) walk(chain string, was, is truth, byOrigin bool) error {
	steps, err := w.set.steps(chain)
	if err != nil {
		return err
	}
	if err := w.spent.spend(len(steps)); err != nil {
		return err
	}
	for i := range steps {
		s := &steps[i]
		if w.wasDecided {
			was = no
		}
		if w.decided != pass {
			is = no
		}
		matched, matches := s.match(w.before), s.match(w.after)
		if s.byOrigin && matches != no {
			w.known[s.same] = true
		}
		matched = min(matched, was)
		if matched != no && matches == no {
			if err := w.void(s); err != nil {
				return err
			}
		}
		matches = min(matches, is)
		switch s.do {
		case accept, drop:
			w.decide(s, matched, matches, byOrigin || s.byOrigin)
		case jump, goTo:
			if matched == no && matches == no {
				continue
			}
			if err := w.walk(s.chain, matched, matches, byOrigin || s.byOrigin); err != nil {
				return err
			}
			if s.do == goTo {
				was, is = unless(was, matched), unless(is, matches)
			}
		case leave:
			was, is = unless(was, matched), unless(is, matches)
		}
	}
	return nil
}

// unless is how sure a packet goes on in a chain that some of it has left.
func unless(t, left truth) truth {
	if left == yes {
		return no
	}
	return t
}

func (w *inputWalk) decide(s *step, matched, matches truth, byOrigin bool) {
	if matched == yes {
		w.wasDecided = true
	}
	if matches == no {
		return
	}
	switch {
	case byOrigin:
		// As its author wants it.
		w.addressed = w.addressed || s.do == accept
	case s.do == drop && matches >= likely:
		w.cutOff(s.rule, s.insert(w.set.opening(openingFor{w.endpoint, w.after.family})))
	}
	if matches == yes {
		w.decided, w.decider = s.do, s
	}
}

// void reports a rule that no longer matches.
func (w *inputWalk) void(s *step) error {
	keepsOut, letsIn, err := w.effect(s)
	if err != nil {
		return err
	}
	switch {
	case w.known[s.same]: // its like for redirected connections is there
	case keepsOut && w.decided != drop:
		at := s
		if w.decider != nil {
			at = w.decider // behind that one it would have no effect
		}
		w.report(nat.VoidDrop, s.rule, w.fix(s, at), "it no longer keeps them out")
	case letsIn && !keepsOut && w.decided == pass:
		fix := w.fix(s, s)
		if w.allow.command == "" {
			w.allow = fix
		}
		w.report(nat.VoidAccept, s.rule, fix, "it no longer lets them in")
	}
	return nil
}

func (w *inputWalk) fix(s, at *step) remedy {
	rule := s.forDialled(w.endpoint.Port)
	if rule == "" {
		return remedy{}
	}
	return at.insert(rule)
}

// effect says what a rule, or the chain that it leads to, may do.
func (w *inputWalk) effect(s *step) (keepsOut, letsIn bool, err error) {
	switch s.do {
	case drop:
		return true, false, nil
	case accept, leave:
		return false, true, nil
	case jump, goTo:
		steps, err := w.set.steps(s.chain)
		if err != nil {
			return false, false, err
		}
		if err := w.spent.spend(len(steps)); err != nil {
			return false, false, err
		}
		for i := range steps {
			out, in, err := w.effect(&steps[i])
			if err != nil {
				return false, false, err
			}
			keepsOut, letsIn = keepsOut || out, letsIn || in
		}
	}
	return keepsOut, letsIn, nil
}

func (w *inputWalk) cutOff(rule string, fix remedy) {
	if w.addressed || w.cut {
		return
	}
	w.cut = true
	if w.allow.command != "" {
		// What let some in before shall not let everybody in now.
		fix = w.allow
	}
	w.report(nat.CutOff, rule, fix, "it keeps them out")
}

func (w *inputWalk) report(kind nat.FindingKind, rule string, fix remedy, effect string) {
	w.findings = append(w.findings, newFound(nat.Finding{
		Kind:     kind,
		Family:   w.after.family,
		Rule:     rule,
		Endpoint: w.endpoint,
		Message: fmt.Sprintf("redirected connections to %v reach this rule with port %d, so %s",
			w.endpoint, w.after.port, effect),
	}, fix))
}
