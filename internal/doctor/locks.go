package doctor

import (
	"context"
	"time"

	"github.com/switcheroo/switcheroo/internal/lock"
)

// looks at a lock, so far apart. Whoever has it for its work has given it back by
// the last one.
const (
	looks     = 3
	lookPause = time.Second
)

// Held returns which of the locks at paths are held all the time by the same
// process, as far as can be seen. It takes two seconds if one is.
func Held(ctx context.Context, paths ...string) []Lock {
	began := time.Now()
	held := map[string]string{}
	for _, p := range paths {
		if who := lock.Holder(p); who != "" {
			held[p] = who
		}
	}
	for range looks - 1 {
		if len(held) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookPause):
		}
		for p, who := range held {
			if lock.Holder(p) != who {
				delete(held, p)
			}
		}
	}
	var all []Lock
	for _, p := range paths {
		if held[p] != "" {
			all = append(all, Lock{Path: p, Holder: held[p], For: time.Since(began)})
		}
	}
	return all
}
