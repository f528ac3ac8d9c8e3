package switcheroo

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// mend puts our rules back if another program has flushed them, or a part of
// them, and returns what there is then. Each process sees to its own; the one
// that was current leads the traffic to itself again. What Cleanup has removed
// stays away.
func (k *keeper) mend(ctx context.Context, st single.State) (single.State, error) {
	if st.Current != "" {
		k.current = st.Current
	}
	isCurrent := k.current == k.id
	mine := k.mine
	if have, found := st.Find(k.id); found {
		mine.Told = have.Told
		k.retired = max(k.retired, have.Retired)
	}
	if isCurrent {
		k.retired = 0
	}
	mine.Retired = k.retired
	if mine.Told || st.Complete(mine, isCurrent) {
		return st, nil
	}
	err := k.locked(ctx, func(now single.State) error {
		st = now
		another := now.Current != "" && now.Current != k.id
		_, found := now.Find(k.id)
		switch {
		case another && isCurrent: // we were too slow to look
			return nil
		case !found && another && k.sameProcess(now):
			return nil // an older Handover, seen out by a newer one
		case cleanedMark(k.lockPath) != k.cleaned:
			return nil
		case now.Complete(mine, isCurrent):
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

// sameProcess reports whether the current generation is of this process, too.
func (k *keeper) sameProcess(st single.State) bool {
	current, found := st.Find(st.Current)
	return found && current.PID == os.Getpid()
}

// watchTable returns signs that another program has changed rules of nftables;
// none where that cannot be told. Then the regular look has to do.
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

// cleanedMark returns what Cleanup has last left in the lock file, which has no
// other content: it is how running processes tell a cleanup from a flush.
func cleanedMark(lockPath string) string {
	text, err := os.ReadFile(lockPath)
	if err != nil {
		return ""
	}
	return string(text)
}

func markCleaned(lockPath string) error {
	return os.WriteFile(lockPath, []byte("cleaned up at "+time.Now().Format(time.RFC3339Nano)+"\n"), 0o600)
}
