package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	plain   = "myapp.service"
	adopted = "Listen=443\nPort=443\nProbe=none"
)

// A server on the public port itself is seen out like any other, and nothing
// that conntrack remembers of it outlives it.
func TestAdoption(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.enabled[plain] = true
		h.remembers = 3
		h.start(plain, app{port: 443, file: adopted, kind: "simple", busy: time.Minute})
		h.serves("myapp", plain)
		h.start(v2, app{file: noStandby})
		h.deployed(v2, plain)
		h.stopped(plain)
		h.boots(v2)
		h.start(v3, app{file: noStandby})
		h.deployed(v3, v2)
		h.do(func() {
			// Once drained, once more until there was none, and when it was gone.
			if diff := cmp.Diff([][]uint16{{443}, {443}, {443}}, h.forgot); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	})
}

// It comes back while it still runs; stopped, it cannot be probed any more,
// because its port leads to the new one.
func TestAdoptedOneComesBack(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		asks := strings.Replace(adopted, "Probe=none", "Probe=tcp", 1)
		h.start(plain, app{port: 443, file: asks})
		h.serves("myapp", plain)
		h.start(v2, app{dieAfter: 3 * time.Second})
		h.serves("myapp", v2)
		h.serves("myapp", plain)

		h.start(v3, app{file: noStandby})
		h.serves("myapp", v3)
		h.is(plain, "inactive")
		h.start(plain, app{port: 443, file: asks})
		h.until("it is refused", time.Minute, func() bool {
			return h.logged("not switched to", plain, "its private port 443 is a public one, which leads to "+v3, "Probe=none") == 1
		})
		h.serves("myapp", v3)
		h.edit(plain, "[X-Switcheroo]\n"+adopted)
		h.serves("myapp", plain)
		h.is(v3, "inactive")
	})
}
