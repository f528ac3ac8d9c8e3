package switcheroo

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/drain"
	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// quiesceAtLeast is how long the queues of an old listener may take to get empty,
// even if a drain is to take less.
const quiesceAtLeast = 30 * time.Second

// seeOut waits until nothing depends on an older process any more, tells it to
// end, and removes its rules once it has. It returns early, with nothing lost,
// when ctx ends: who has to do it then begins again.
func (k *keeper) seeOut(ctx context.Context, g single.Generation) {
	if g.PID == os.Getpid() { // an older Handover of this process
		if k.untilIdle(ctx, g) == nil {
			k.say(k.drop(ctx, g.ID))
		}
		return
	}
	p, err := openProcess(g.PID, g.Start)
	if errors.Is(err, errGone) {
		k.say(k.drop(ctx, g.ID))
		return
	}
	if err != nil {
		k.log.Warn("older process left alone", "pid", g.PID, "error", err)
		<-ctx.Done()
		return
	}
	defer p.close()

	living, cancel := context.WithCancel(ctx) // ends with the process, too
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		p.wait(living)
	}()
	defer func() { cancel(); <-ended }()

	for !g.Signalled {
		var err error
		if !g.Told { // else somebody has waited for it
			err = k.untilIdle(living, g)
		}
		if err == nil {
			err = k.tell(ctx, g, p)
		}
		if err == nil || living.Err() != nil {
			break
		}
		k.log.Warn("older process not told to end", "service", k.name, "pid", g.PID, "error", err)
		if errors.Is(err, unix.EPERM) {
			break
		}
		pause(living, tryAgain)
	}
	<-living.Done()
	if ctx.Err() != nil || !p.ended() {
		return
	}
	if !g.Told {
		k.log.Info("older process has ended", "service", k.name, "pid", g.PID)
	}
	k.say(k.drop(ctx, g.ID))
}

// tryAgain is the pause after an error that may pass.
const tryAgain = time.Second

// pause returns after d, or with ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// untilIdle is quiesce, standby and drain. How long it lasts counts from when
// the process ceased to be current, whoever saw to it until now.
func (k *keeper) untilIdle(ctx context.Context, g single.Generation) error {
	ports := []uint16{g.Port}
	left, err := k.monitor.Quiesce(ctx, ports, max(quiesceAtLeast, k.drain))
	if err != nil {
		return err
	}
	if left.Expired {
		k.log.Warn("the old listener's queues are not empty", "pid", g.PID, "port", g.Port, "half-open", left.HalfOpen, "unaccepted", left.Unaccepted)
	}
	since := time.Duration(g.Since()) * time.Second
	if err := pause(ctx, k.standby-since); err != nil {
		return err
	}
	var deadline time.Time // none
	if k.drain >= 0 {
		deadline = time.Now().Add(k.drain - max(0, since-k.standby))
	}
	if left, err = k.monitor.Drain(ctx, ports, deadline); err != nil {
		return err
	}
	k.logDrained(g, left)
	return nil
}

func (k *keeper) logDrained(g single.Generation, left drain.Left) {
	if left.Expired {
		k.log.Warn("drain took too long", "service", k.name, "pid", g.PID, "port", g.Port, "connections", left.Live)
		return
	}
	k.log.Info("drained", "service", k.name, "pid", g.PID, "port", g.Port)
}

// tell sends SIGTERM, if we are still the ones to do so. It is recorded before:
// from then on nobody leads traffic there again; and afterwards: if we die in
// between, the next one sends it.
func (k *keeper) tell(ctx context.Context, g single.Generation, p *process) error {
	return k.locked(ctx, func(st single.State) error {
		now, found := st.Find(g.ID)
		if !found || now.Signalled || st.Current == g.ID || caretaker(st, now) != k.id {
			return nil
		}
		if !now.Told {
			if err := k.rules.Tell(ctx, st, g.ID); err != nil {
				return err
			}
		}
		switch err := p.terminate(); {
		case errors.Is(err, errGone):
		case err != nil:
			return err
		default:
			k.log.Info("older process told to end", "service", k.name, "pid", g.PID)
		}
		if err := k.rules.Signalled(ctx, st, g.ID); err != nil {
			k.say(err) // at worst the next one sends it again
		}
		return nil
	})
}

// drop removes the rules of a process that has ended.
func (k *keeper) drop(ctx context.Context, id string) error {
	return k.locked(ctx, func(st single.State) error {
		// Rules are looked at without the lock: a generation that was just being
		// written then has no process yet, and may have one by now.
		now, _ := st.Find(id)
		if st.Current == id || now.PID != os.Getpid() && now.PID != 0 && !isGone(now) {
			return nil
		}
		if err := k.rules.Drop(ctx, st, id); err != nil {
			return err
		}
		var ports []uint16
		for _, g := range st.Generations {
			if g.ID != id {
				ports = append(ports, g.Port)
			}
		}
		k.applyTable(ctx, ports)
		return nil
	})
}
