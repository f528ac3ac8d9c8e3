package switcheroo

import (
	"context"
	"net/netip"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat/single"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

// successor returns who gets the traffic when the generation id ceases to serve:
// the newest older one that still runs and was not told to end, or else one that
// was rejected before.
func (h *Handover) successor(st single.State, id string) (single.Generation, bool) {
	from, _ := st.Find(id)
	var rejected single.Generation
	for _, g := range st.Generations { // the newest first
		if g.ID == id || g.Told || g.PID == 0 {
			continue
		}
		if alive, err := isAlive(g.PID, g.Start); err != nil || !alive {
			continue
		}
		if g.Number < from.Number {
			return g, true
		}
		if rejected.ID == "" {
			rejected = g
		}
	}
	return rejected, rejected.ID != ""
}

// restore gives the traffic of a current generation whose process is dead to the
// best of the others, if nobody has done so before us.
func (h *Handover) restore(ctx context.Context, dead string) error {
	return h.locked(ctx, func(st single.State) error {
		current, found := st.Find(st.Current)
		if found && current.ID != dead {
			return nil
		}
		if found {
			if alive, err := isAlive(current.PID, current.Start); err != nil || alive {
				return err
			}
		}
		best, found := h.successor(st, dead)
		if !found {
			return nil
		}
		began := time.Now()
		if err := h.rules.Lead(ctx, st, best.ID); err != nil {
			return err
		}
		h.remember(best.ID)
		h.log.Warn("the newer process died: new connections go back to the older one",
			"service", h.name, "died", current.PID, "pid", best.PID, "took", time.Since(began).Round(time.Millisecond))
		return nil
	})
}

const (
	// watchEvery is the pause between two looks at ourselves in standby.
	watchEvery = time.Second
	// watchOnce is how long one look may take.
	watchOnce = 2 * time.Second
	// maxFailed is how many in a row are too many.
	maxFailed = 3
)

// watchSelf probes this process as long as an older one is kept in standby, and
// gives the traffic back if it does not answer any more.
func (k *keeper) watchSelf(ctx context.Context) {
	if k.standby == 0 || k.probe.kind == "none" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, k.standby)
	defer cancel()
	failed := 0
	for {
		if pause(ctx, watchEvery) != nil {
			return
		}
		err := k.askSelf(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failed = 0
			continue
		}
		if failed++; failed < maxFailed {
			continue
		}
		k.log.Error("this process does not answer any more", "service", k.name, "error", err)
		k.say(k.handBack(ctx))
		return
	}
}

func (k *keeper) askSelf(ctx context.Context) error {
	listeners, err := sockdiag.ListenersOn(ctx, uint16(k.port))
	if err != nil {
		return nil // that says nothing
	}
	addr := netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(k.port))
	if len(listeners) > 0 {
		addr = listeners[0].Addr
	}
	return ask(ctx, k.probe, addr, watchOnce)
}

// handBack leads the traffic to an older process, if there is one. That sees
// this one out, then.
func (k *keeper) handBack(ctx context.Context) error {
	return k.locked(ctx, func(st single.State) error {
		best, found := k.successor(st, k.id)
		if st.Current != k.id || !found {
			return nil
		}
		if err := k.rules.Lead(ctx, st, best.ID); err != nil {
			return err
		}
		k.remember(best.ID)
		k.log.Warn("new connections go back to the older process", "service", k.name, "pid", best.PID)
		return nil
	})
}
