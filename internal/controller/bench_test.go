package controller

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// many returns a Controller of n services, each with a current activation, one
// that drains, and one that was refused.
func many(n int) *Controller {
	c := New(Options{Router: fixed{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Duration { return now }})
	c.world.Now = now
	for i := range n {
		service := fmt.Sprintf("app%d", i)
		add := func(version string) Activation {
			unit := service + "@" + version + ".service"
			u := up("a1", early)
			u.Name, u.Invocation = unit, service+version
			u.Files = []config.File{{Path: "/etc/systemd/system/" + service + "@.service", Data: []byte(fmt.Sprintf("[X-Switcheroo]\nListen=%d\n", 1000+i))}}
			c.see(u)
			return Activation{Unit: unit, ID: u.Invocation, ReadyAt: early, Instance: *c.settings.valid[unit],
				Targets: []nat.Target{{Endpoint: nat.Endpoint{Port: uint16(1000 + i)}, Port: uint16(20000 + 3*i), Families: nat.DualStack}}}
		}
		cur, before := add("v2"), add("v1")
		before.Targets[0].Port++
		refused := add("v3")
		o := &Retired{Activation: before}
		drained(o)
		c.world.Running[task{stopTask, o.ID}] = true
		o.Stopping = true
		c.world.State.Services[service] = &Service{Current: &cur, Old: []*Retired{o},
			Refused: map[string]Refusal{refused.ID: {Unit: refused.Unit, Asked: refused.Instance, At: early}}}
	}
	return c
}

// fixed is a Router of which nothing but its families is asked.
type fixed struct{ Router }

func (fixed) Families() nat.Family { return nat.DualStack }

func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{1, 50, 1000} {
		c := many(n)
		c.refresh(context.Background())
		b.Run(fmt.Sprint("services=", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if actions := plan(&c.world); len(actions) != 0 {
					b.Fatalf("planned %d actions: %s", len(actions), show(actions[0]))
				}
			}
		})
	}
}

// What else is done before each plan.
func BenchmarkRefresh(b *testing.B) {
	for _, n := range []int{1, 50, 1000} {
		c := many(n)
		b.Run(fmt.Sprint("services=", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.refresh(context.Background())
			}
		})
	}
}

func BenchmarkRules(b *testing.B) {
	c := many(1000)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.world.State.clone().rules().Validate(); err != nil {
			b.Fatal(err)
		}
	}
}
