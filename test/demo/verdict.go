package main

import (
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// trial is the short life of a version that was switched to and died.
type trial struct {
	Version string
	From    time.Time // before this it got no connections
	Dies    time.Time // before this it was alive
	Back    time.Time // from here on new connections went elsewhere
}

// owns says whether a failure is one that no proxy and no rule could have
// spared the client: the version died with its connection, or was dead before
// anybody could know. Strictly: it failed after the death, and
//   - was served by that version last, or
//   - had no answer yet, was opened while the port led to that version, and was
//     refused, reset or ended.
func (t trial) owns(f load.Failure) bool {
	if f.Time < t.Dies.UnixNano() {
		return false
	}
	switch f.Class {
	case load.Refused, load.ResetBefore, load.ResetAfter, load.EarlyEnd:
	default:
		return false // a death makes nobody wait, and alters no byte
	}
	if f.Version != "" {
		return f.Version == t.Version
	}
	return t.From.UnixNano() <= f.Began && f.Began < t.Back.UnixNano()
}

// verdict says whose the failures are.
type verdict struct {
	Lost    tally          // the promise broken
	Own     tally          // the dead version's
	Details []load.Failure // of what was lost, as far as there are
}

// judge divides all failures of r. Those whose details are missing count as
// lost, as does whatever is not clearly the dead version's.
func judge(r *load.Result, t trial) verdict {
	v := verdict{Lost: tally{}, Own: tally{}}
	for _, f := range r.Failures {
		if t.owns(f) {
			v.Own.add(f.Kind, f.Class, 1)
		} else {
			v.Details = append(v.Details, f)
		}
	}
	for kind, counters := range r.Kinds {
		for class, n := range counters.Failures {
			v.Lost.add(kind, class, n-v.Own.of(kind, class))
		}
	}
	return v
}
