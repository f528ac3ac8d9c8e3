package controller

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

func (d *daemon) Holds(ctx context.Context) ([]nat.Held, error) {
	err := d.enter(ctx, "Holds", time.Millisecond)
	defer d.mu.Unlock()
	var held []nat.Held
	for _, h := range d.kernel.holds {
		held = append(held, nat.Held{Key: nat.Key(h.Service), Until: h.Until})
	}
	return held, err
}

func (d *daemon) Release(ctx context.Context, service string) (LetGo, error) {
	err := d.enter(ctx, "Release", 50*time.Millisecond)
	defer d.mu.Unlock()
	if err != nil {
		return LetGo{Left: 3}, err
	}
	return LetGo{Connections: 7, Longest: time.Second, Took: 50 * time.Millisecond}, nil
}

// held returns the hold of myapp that is in the kernel, and for how long it is
// at most.
func (h *host) held() (hold *nat.Hold, left time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.kernel.holds {
		if h.kernel.holds[i].Service == "myapp" {
			hold = &h.kernel.holds[i]
			return hold, hold.Until - h.now()
		}
	}
	return nil, 0
}

func (h *host) holds(want bool) {
	h.t.Helper()
	if hold, _ := h.held(); (hold != nil) != want {
		h.t.Errorf("held: %+v, want %v", hold, want)
	}
}

func (d *daemon) pauses(most time.Duration, want error) {
	d.t.Helper()
	if err := d.Pause(d.ctx, "myapp", most); !errors.Is(err, want) {
		d.t.Errorf("pause: %v, want %v", err, want)
	}
}

func (d *daemon) resumes(want error) {
	d.t.Helper()
	if err := d.Resume(d.ctx, "myapp"); !errors.Is(err, want) {
		d.t.Errorf("resume: %v, want %v", err, want)
	}
}

func TestPause(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		time.Sleep(time.Second)
		d.pauses(time.Second, ErrNoService)
		d.resumes(ErrNoService)
		h.start(v1, app{file: "Listen=443\nScope=network"})
		h.serves("myapp", v1)
		d.resumes(ErrNotPaused)

		// It ends by itself.
		d.pauses(10*time.Second, nil)
		hold, left := h.held()
		if hold == nil || hold.Scope != nat.Network || len(hold.Targets) == 0 || left.Round(100*time.Millisecond) != 10*time.Second {
			t.Errorf("%+v, %v left", hold, left)
		}
		time.Sleep(9 * time.Second)
		h.holds(true)
		time.Sleep(2 * time.Second)
		h.holds(false)
		if h.logged("resumed", "its time is over", "waited=7") != 1 {
			t.Error("no word of it")
		}

		// It is extended, and told to end.
		d.pauses(10*time.Second, nil)
		time.Sleep(9 * time.Second)
		d.pauses(10*time.Second, nil)
		time.Sleep(9 * time.Second)
		h.holds(true)
		d.resumes(nil)
		time.Sleep(time.Second)
		h.holds(false)
		if h.logged("pause extended") != 1 || h.logged("resumed", "it was asked for") != 1 {
			t.Error("no word of it")
		}
		d.resumes(ErrNotPaused)

		// One that is paused again while it is resumed stays paused.
		d.pauses(10*time.Second, nil)
		d.resumes(nil)
		d.pauses(time.Minute, nil)
		time.Sleep(30 * time.Second)
		h.holds(true)
	})
}

// Nobody is let go while nothing serves, but when the time is over.
func TestPauseWhileNothingServes(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.serves("myapp", v1)
		for range 2 {
			d.pauses(time.Minute, nil)
			h.systemctl("stop", v1)
			h.serves("myapp", "")
			h.holds(true)
			d.resumes(nil)
			time.Sleep(10 * time.Second)
			h.holds(true)
			h.start(v1, app{})
			h.serves("myapp", v1)
			time.Sleep(time.Second)
			h.holds(false)
		}
		d.pauses(time.Minute, nil)
		h.systemctl("stop", v1)
		d.resumes(nil)
		time.Sleep(59 * time.Second)
		h.holds(true)
		time.Sleep(2 * time.Second)
		h.holds(false)
	})
}

// A daemon that comes back goes on with a pause, or ends it.
func TestPauseOutlivesTheDaemon(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.serves("myapp", v1)
		d.pauses(time.Minute, nil)
		h.kill()
		time.Sleep(10 * time.Second)
		h.holds(true)
		h.run()
		time.Sleep(10 * time.Second)
		if hold, left := h.held(); hold == nil || left.Round(100*time.Millisecond) != 40*time.Second {
			t.Errorf("%+v, %v left", hold, left)
		}
		h.kill()
		time.Sleep(5 * time.Minute)
		h.holds(true) // nobody was there to take it away, and nobody holds what it says
		h.run()
		time.Sleep(time.Second)
		h.holds(false)
	})
}

// Rules that cannot be changed are an error, and no pause then or later.
func TestPauseThatFails(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.serves("myapp", v1)
		broken := errors.New("no such target")
		hook, _ := fails(broken, "Apply")
		h.do(func() { h.before, h.faulty = hook, true })
		d.pauses(time.Minute, broken)
		if err := d.Pause(d.ctx, "myapp", time.Minute); !errors.As(err, new(RulesError)) {
			t.Errorf("%v is no RulesError", err)
		}
		h.do(func() { h.before, h.faulty = nil, false })
		time.Sleep(10 * time.Second)
		h.holds(false)

		// One that cannot be released in order ends all the same.
		d.pauses(time.Minute, nil)
		hook, _ = fails(errors.New("not read"), "Release")
		h.do(func() { h.before, h.faulty = hook, true })
		d.resumes(nil)
		time.Sleep(10 * time.Second)
		h.holds(false)
		h.do(func() { h.before, h.faulty = nil, false })
	})
}

// The endpoint of a paused service that does not serve any more is another's.
func TestPauseGivesWay(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.serves("myapp", v1)
		d.pauses(10*time.Minute, nil)
		h.systemctl("stop", v1)
		h.serves("myapp", "")
		h.start("other@v1.service", app{})
		h.serves("other", "other@v1.service")
		h.holds(false)
	})
}
