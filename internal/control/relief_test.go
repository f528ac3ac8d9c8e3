package control

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRelief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		freed := 0
		r := &relief{free: func() { freed++ }}
		after := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if freed != want {
				t.Fatalf("freed %d times, want %d", freed, want)
			}
		}
		for n := range rush {
			r.connected(n)
		}
		r.connected(0)
		after(time.Hour, 0) // that was no rush
		r.connected(rush)
		r.connected(calm)
		after(time.Hour, 0) // and it is not over
		r.connected(calm - 1)
		r.connected(0)
		after(relax-time.Second, 0)
		r.connected(rush) // it comes back
		after(time.Hour, 0)
		r.connected(1)
		after(relax+time.Second, 1)
		r.connected(0)
		after(time.Hour, 1)
		r.connected(rush)
		r.connected(0)
		r.stop()
		after(time.Hour, 1)
	})
}
