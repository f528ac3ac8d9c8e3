package iptables

import (
	"errors"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// action is what a rule does with a packet that it matches.
type action uint8

const (
	pass   action = iota // nothing that matters here
	accept               // ends the walk
	drop                 // so does this; REJECT is one
	take                 // so does this: translates the destination
	leave                // back to the chain that led here
	jump
	goTo
)

// step is one rule of somebody else's, of iptables or nftables, as far as it
// concerns our packets.
type step struct {
	match func(packet) truth
	do    action
	chain string // of jump and goTo
	rule  string // for people: with its table and chain
	// byOrigin: it asks conntrack for the port dialled, or whether the packet
	// was redirected, so its author knows about redirects.
	byOrigin bool
	// same is equal for two rules that differ in nothing but in how they ask
	// for the port.
	same string
	// forDialled returns the rule as it must be to match the redirected
	// connections to a port; "" where we cannot tell.
	forDialled func(port uint16) string
	// insert puts a rule before this one.
	insert func(rule string) remedy
}

// ruleset is a table of somebody else's.
type ruleset interface {
	steps(chain string) ([]step, error)
	// policy is what happens at the end of the base chain.
	policy(chain string) action
	// opening returns a rule that lets redirected connections to e in.
	opening(e openingFor) string
	// last puts a rule at the end of a base chain.
	last(chain, rule string) remedy
	// describe names the base chain, for people.
	describe(chain string) string
}

// remedy is a command that puts a rule into a chain of somebody else's.
type remedy struct {
	command string
	chain   string
	pos     int // from 1, where the command counts rules
}

// found is a finding and its remedy.
type found struct {
	nat.Finding
	remedy remedy
}

func newFound(f nat.Finding, r remedy) found {
	f.Fix = r.command
	return found{f, r}
}

// budget bounds a walk: chains may lead to a chain from many places, and that
// to the next.
type budget int

const maxSteps = 100_000

var errTooManyRules = errors.New("too many rules, by too many ways")

// spend counts one more chain, and its steps.
func (b *budget) spend(steps int) error {
	*b += budget(steps + 1)
	if *b > maxSteps {
		return errTooManyRules
	}
	return nil
}
