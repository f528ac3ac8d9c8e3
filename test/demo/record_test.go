package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecord(t *testing.T) {
	r := record{}
	note := func(unit, message string, mono time.Duration) {
		r.note(entry{Unit: unit, Message: message, Mono: mono})
	}
	note(daemonUnit, "switched: service=myapp from=none to=myapp@v1.service port=443->1", 1)
	note(daemonUnit, "switched: service=myapp from=myapp@v1.service to=myapp@v2.service port=443->2", 2)
	note(daemonUnit, "drained: service=myapp unit=myapp@v1.service took=5s", 3)
	note(daemonUnit, "switched: service=myapp from=myapp@v4.service to=myapp@v2.service port=443->2", 4) // the first one counts
	note("myapp@v3.service", "switched: to=myapp@v3.service", 5)                                         // not the daemon's

	got := map[saying]time.Duration{}
	for s, e := range r {
		got[s] = e.Mono
	}
	want := map[saying]time.Duration{{switched, "v1"}: 1, {switched, "v2"}: 2, {drained, "v1"}: 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if !r.has(switched, "v2") || r.has(switched, "v3") {
		t.Error("has does not say what is there")
	}
}
