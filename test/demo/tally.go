package main

import "github.com/switcheroo/switcheroo/test/load"

// tally counts failures.
type tally map[load.Kind]map[load.Class]int64

func (t tally) add(k load.Kind, c load.Class, n int64) {
	if n == 0 {
		return
	}
	if t[k] == nil {
		t[k] = map[load.Class]int64{}
	}
	t[k][c] += n
}

// of returns how many of this class there are, of all kinds of clients if kind
// is "".
func (t tally) of(kind load.Kind, class load.Class) int64 {
	var n int64
	for k, classes := range t {
		if kind == "" || k == kind {
			n += classes[class]
		}
	}
	return n
}

// total returns how many there are of a kind, or of all if it is "".
func (t tally) total(kind load.Kind) int64 {
	var n int64
	for k, classes := range t {
		if kind != "" && k != kind {
			continue
		}
		for _, m := range classes {
			n += m
		}
	}
	return n
}
