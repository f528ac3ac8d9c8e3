package e2e

import (
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// window is a time in which new connections of a family were refused.
type window struct {
	from, to time.Time
	v4, v6   bool
}

func (w window) excuses(f load.Failure) bool {
	if v6 := strings.HasPrefix(f.Remote, "["); v6 && !w.v6 || !v6 && !w.v4 {
		return false
	}
	return f.Began <= w.to.UnixNano() && f.Time >= w.from.UnixNano()
}
