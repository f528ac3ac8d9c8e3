package switcheroo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// mend puts our rules back if another program has flushed them, or a part of
// them, and returns what there is then. Each process sees to its own; the one
// that was current leads the traffic to itself again. What Cleanup has removed
// stays away.
func (k *keeper) mend(ctx context.Context, st single.State) (single.State, error) {
	if need, _, _ := k.missing(st); !need {
		return st, nil
	}
	err := k.locked(ctx, func(now single.State) error {
		st = now
		need, mine, isCurrent := k.missing(now)
		if !need {
			return nil
		}
		k.applyTable(ctx, append(now.Ports(), mine.Port))
		if err := k.rules.Mend(ctx, now, mine, isCurrent); err != nil {
			return fmt.Errorf("put the rules back: %w", err)
		}
		k.log.Warn("another program had removed rules: they are back", "service", k.name, "current", isCurrent)
		var err error
		st, err = k.rules.Read(ctx)
		return err
	})
	return st, err
}

// missing reports whether something of ours is, by another program's doing, what
// there should be, and whether the traffic should be led there.
func (k *keeper) missing(st single.State) (need bool, mine single.Generation, isCurrent bool) {
	mine = k.mine
	have, found := st.Find(k.id)
	if found && have.PID != 0 {
		k.retired = have.Retired
	}
	current := st.Current
	if current == "" {
		current = readMemory(k.lockPath)
	}
	isCurrent = current == k.id
	if !isCurrent {
		mine.Retired = k.retired
	}
	switch {
	case have.Told, current == nobody, !found && k.sameProcess(st): // on purpose
		return false, mine, isCurrent
	}
	return !st.Complete(mine, isCurrent), mine, isCurrent
}

// sameProcess reports whether the current generation is of this process, too.
func (k *keeper) sameProcess(st single.State) bool {
	current, found := st.Find(st.Current)
	return found && current.PID == os.Getpid()
}

// watchTable returns signs that rules of nftables were changed, by another program
// or by a command of ours, which costs a look too many; none where that cannot be
// told. Then the regular look has to do.
func (k *keeper) watchTable(ctx context.Context) <-chan struct{} {
	if k.table == nil {
		return nil
	}
	signs := make(chan struct{}, 1)
	k.keeping.Add(1)
	go func() {
		defer k.keeping.Done()
		err := k.table.Watch(ctx, func() {
			select {
			case signs <- struct{}{}:
			default:
			}
		})
		if err != nil && ctx.Err() == nil {
			k.log.Warn("changes of nftables are noticed late", "error", err)
		}
	}()
	return signs
}

// The lock file holds the id of the generation that the traffic was last led to.
// It is asked only where the rules do not say, because another program has
// flushed them: which of the processes that put theirs back is the current one.
// nobody stands for rules that were taken away on purpose.
const nobody = "nobody"

func readMemory(lockPath string) string {
	text, err := os.ReadFile(lockPath)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// writeMemory writes over the line that is there: at no moment is there none.
func writeMemory(lockPath, id string) error {
	f, err := os.OpenFile(lockPath, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	text := id + "\n"
	_, err = f.WriteAt([]byte(text), 0)
	return errors.Join(err, f.Truncate(int64(len(text))), f.Close())
}

// remember is for who has just led the traffic to a generation. The caller holds
// the lock.
func (h *Handover) remember(id string) {
	if err := writeMemory(h.lockPath, id); err != nil {
		h.log.Warn("if another program flushes the rules they do not come back", "error", err)
	}
}
