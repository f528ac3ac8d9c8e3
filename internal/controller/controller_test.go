package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	v1 = "myapp@v1.service"
	v2 = "myapp@v2.service"
	v3 = "myapp@v3.service"
)

// deployed waits until unit is alone: it serves, and the others are stopped.
func (h *host) deployed(unit string, others ...string) {
	h.t.Helper()
	h.serves("myapp", unit)
	for _, other := range others {
		h.is(other, "inactive")
	}
	h.until("nothing is left to do", time.Minute, func() bool { return h.old("myapp") == 0 })
}

// doneWith waits until all that is left of unit, which crashed, is the note that
// it may come back.
func (h *host) doneWith(unit string) {
	h.t.Helper()
	h.until("done with "+unit, time.Minute, func() bool {
		old := h.service("myapp").Old
		return len(old) == 1 && old[0].Unit == unit && old[0].Ended && old[0].Promoted
	})
}

// old returns how many old ones the saved State of a service has.
func (h *host) old(service string) int {
	return len(h.service(service).Old)
}

func TestThreeVersionsInARow(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.systemctl("enable", v1)
		h.start(v1, app{busy: time.Second})
		h.serves("myapp", v1)
		h.start(v2, app{busy: time.Second})
		h.deployed(v2, v1)
		h.start(v3, app{busy: time.Second})
		h.deployed(v3, v2)
		if diff := cmp.Diff([]string{v1, v2}, h.stops); diff != "" {
			t.Errorf("stopped (-want +got):\n%s", diff)
		}
		if want := []string{"myapp-v1-1", "myapp-v2-1", "myapp-v3-1"}; !slices.Equal(h.kernel.path["myapp"], want) {
			t.Errorf("the traffic went %v, want %v", h.kernel.path["myapp"], want)
		}
		if h.enabled[v1] || h.enabled[v2] || !h.enabled[v3] {
			t.Errorf("enabled: %v", h.enabled)
		}
	})
}
