package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// pick returns those of all that the comma-separated list names, in its order;
// "" stands for all, "ours" for those of which ours says so.
func pick[T any](what, list string, all []T, name func(T) string, ours func(T) bool) ([]T, error) {
	if list == "" {
		return all, nil
	}
	var picked []T
	for _, want := range strings.Split(list, ",") {
		if want == "ours" && ours != nil {
			for _, t := range all {
				if ours(t) {
					picked = append(picked, t)
				}
			}
			continue
		}
		i := slices.IndexFunc(all, func(t T) bool { return name(t) == want })
		if i < 0 {
			var names []string
			for _, t := range all {
				names = append(names, name(t))
			}
			return nil, usageError{fmt.Errorf("no %s %q: want some of %s", what, want, strings.Join(names, ", "))}
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

func pickContenders(list string) ([]contender.Contender, error) {
	return pick("contender", list, contender.All(), contender.Contender.Name, contender.Contender.Ours)
}

func pickServers(list string) ([]server.Kind, error) {
	if list == "" {
		return server.All(), nil
	}
	return pick("server", list, append(server.All(), server.Warm), func(k server.Kind) string { return k.Name }, nil)
}

// pickBoth picks what a verb's options name.
func pickBoth(contenders, servers string) ([]contender.Contender, []server.Kind, error) {
	picked, err := pickContenders(contenders)
	if err != nil {
		return nil, nil, err
	}
	kinds, err := pickServers(servers)
	return picked, kinds, err
}

// newSeed returns seed, or one from the clock for 0.
func newSeed(seed uint64) uint64 {
	if seed == 0 {
		return uint64(time.Now().UnixNano())
	}
	return seed
}
