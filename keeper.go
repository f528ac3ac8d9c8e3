package switcheroo

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/internal/lock"
	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// keeper is what a process does in the background once it has had the traffic,
// until it ends. What it has to do follows from the rules alone:
//
//   - each process is seen out by the next newer one that lives and was not told
//     to end itself (see [caretaker]): usually the one that followed it, whether
//     that is still current or not, so that many deploys in a row do not keep one
//     another from their work. One that was rejected is the current one's to see
//     out;
//   - all but the current one watch that. If it dies, the traffic goes back to
//     the newest of them that was not told to end yet.
//
// So there is always one, and whoever dies, at whatever moment, the next one
// finds in the rules what is to be done. Whoever changes rules takes the
// service's lock, which the keepers of all processes notice: signs like this,
// or a process's death, only make them look again.
type keeper struct {
	*Handover
	farewells map[string]context.CancelFunc // by id of the generation that is seen out
	finished  chan string                   // its id, when one is over
	watched   string                        // the current generation, if it is another's
	unwatched context.CancelFunc
	died      chan string
	saying    sync.Mutex
	retired   int64  // seconds since boot when this one ceased to be current, as last seen
	said      string // the last error, so as not to say it again and again
}

// patience is after how long to look again without a sign.
const patience = 10 * time.Second

// A look costs two commands, and a sign comes to every process of the service at
// once: so not all look at the same moment, and none very often.
const (
	soon      = 20 * time.Millisecond
	lookEvery = 500 * time.Millisecond
)

func newKeeper(h *Handover) *keeper {
	return &keeper{
		Handover:  h,
		farewells: map[string]context.CancelFunc{},
		finished:  make(chan string),
		died:      make(chan string),
	}
}

// run returns once ctx has ended, or this process has been told to end.
func (k *keeper) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer k.keepingDone()
	defer cancel()
	signs, stop, err := lock.Watch(k.lockPath)
	every := patience
	if err != nil {
		every = time.Second
	} else {
		defer stop()
	}
	flushed := k.watchTable(ctx)
	tick := time.NewTicker(every)
	defer tick.Stop()
	k.keeping.Add(1)
	go func() {
		defer k.keeping.Done()
		k.watchSelf(ctx)
	}()
	for {
		if over := k.look(ctx); over {
			return
		}
		looked := time.Now()
		var again <-chan time.Time // of the next look, after a sign
		sign := func() {
			if again == nil {
				again = time.After(max(soon+rand.N(soon), lookEvery-time.Since(looked)))
			}
		}
		for waiting := true; waiting; {
			waiting = false
			select {
			case <-ctx.Done():
				return
			case <-signs:
				sign()
				waiting = true
			case <-flushed:
				sign()
				waiting = true
			case <-again:
			case <-tick.C:
			case id := <-k.finished:
				delete(k.farewells, id)
			case id := <-k.died:
				if id == k.watched {
					k.forget()
				}
				err := k.restore(ctx, id)
				if k.say(err); err != nil {
					pause(ctx, tryAgain)
				}
			}
		}
	}
}

// stop ends one farewell; its end is told to the loop.
func (k *keeper) stop(id string) {
	if cancel := k.farewells[id]; cancel != nil {
		cancel()
	}
}

// caretaker returns who sees g out: the id of the next newer generation that
// lives and was not told to end. One that is newer than the current one was
// rejected, and is that one's to see out.
func caretaker(st single.State, g single.Generation) string {
	next := st.Current
	for _, n := range st.Generations { // the newest first
		if n.Number <= g.Number {
			break
		}
		if n.Told || n.PID == 0 {
			continue
		}
		if alive, err := isAlive(n.PID, n.Start); err == nil && alive {
			next = n.ID
		}
	}
	return next
}

// keepingDone ends what the loop has started. Those send to nobody any more.
func (k *keeper) keepingDone() {
	k.forget()
	for _, cancel := range k.farewells {
		cancel()
	}
	k.settle()
}

// say logs an error unless it is what was logged last.
func (k *keeper) say(err error) {
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text = err.Error()
	}
	k.saying.Lock()
	defer k.saying.Unlock()
	if text != "" && text != k.said {
		k.log.Warn("handover: will try again", "service", k.name, "error", err)
	}
	k.said = text
}

// look reads the rules and does what follows from them. It reports whether this
// process's part is over.
func (k *keeper) look(ctx context.Context) (over bool) {
	st, err := k.rules.Read(ctx)
	if k.say(err); err != nil {
		return false
	}
	k.mu.Lock()
	id, leaving := k.id, k.leaving
	k.mu.Unlock()
	if leaving {
		return true
	}
	if st, err = k.mend(ctx, st); err != nil {
		k.say(err)
		return false
	}
	me, found := st.Find(id)
	switch {
	case st.Current == "":
		// The rules were taken away, and are not back yet.
		return false
	case !found || me.Told:
		k.closeDone()
		return true
	case st.Current == id:
		k.forget()
	case st.Current != k.watched:
		if newer, _ := st.Find(st.Current); newer.Number > me.Number {
			k.log.Info("a newer process has taken over", "service", k.name, "by", newer.PID)
		}
		k.forget()
		k.watch(ctx, st)
	}
	k.seeOthersOut(ctx, st, me)
	return false
}

// watch has the death of the current process told to the loop.
func (k *keeper) watch(ctx context.Context, st single.State) {
	current, _ := st.Find(st.Current)
	p, err := openProcess(current.PID, current.Start)
	ctx, k.unwatched = context.WithCancel(ctx)
	k.watched = current.ID
	k.keeping.Add(1)
	go func() {
		defer k.keeping.Done()
		if err == nil {
			defer p.close()
			if p.wait(ctx) != nil {
				return
			}
		} else if !errors.Is(err, errGone) {
			k.log.Warn("cannot watch the newer process", "pid", current.PID, "error", err)
			return
		}
		select {
		case k.died <- current.ID:
		case <-ctx.Done():
		}
	}()
}

func (k *keeper) forget() {
	if k.watched != "" {
		k.unwatched()
		k.watched = ""
	}
}

// seeOthersOut starts what is not under way yet, ends what is another's by now,
// and says when no older one is left to tell.
func (k *keeper) seeOthersOut(ctx context.Context, st single.State, me single.Generation) {
	waiting := false
	for _, g := range st.Generations {
		if g.ID == st.Current {
			k.stop(g.ID)
			continue
		}
		if g.Number < me.Number && !g.Told {
			waiting = true
		}
		mine := caretaker(st, g) == me.ID
		if !mine {
			k.stop(g.ID)
		}
		if !mine || k.farewells[g.ID] != nil {
			continue
		}
		task, cancel := context.WithCancel(ctx)
		k.farewells[g.ID] = cancel
		k.keeping.Add(1)
		go func() {
			defer k.keeping.Done()
			defer cancel()
			k.seeOut(task, g)
			select {
			case k.finished <- g.ID:
			case <-ctx.Done():
			}
		}()
	}
	if !waiting {
		k.settle()
	}
}
