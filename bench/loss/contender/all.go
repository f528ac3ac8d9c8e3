package contender

import (
	"fmt"
	"strings"
)

// All returns all contenders, ours first.
func All() []Contender {
	return []Contender{
		Switcheroo{Form: "nft", Backend: "iptables-nft"},
		Switcheroo{Form: "legacy", Backend: "iptables-legacy"},
		Standalone{},
		HAProxy{Graceful: true},
		HAProxy{},
		Activation{},
		ReusePort{Migrate: true},
		ReusePort{},
		Restart{},
		Naive{},
	}
}

// ByName returns the contender with that name.
func ByName(name string) (Contender, error) {
	var names []string
	for _, c := range All() {
		if c.Name() == name {
			return c, nil
		}
		names = append(names, c.Name())
	}
	return nil, fmt.Errorf("no contender %q, only %s", name, strings.Join(names, ", "))
}
