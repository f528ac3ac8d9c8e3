package doctor

import (
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// daemon is about the daemon itself.
func daemon(f *Facts) []api.Ailment {
	if f.Down {
		return []api.Ailment{{Severity: api.Broken, Where: "switcherood.service",
			Message: "switcherood does not run: what has the traffic keeps it, but nothing new is switched to",
			Remedy:  "systemctl start switcherood"}}
	}
	var all []api.Ailment
	for _, p := range f.Problems {
		all = append(all, api.Ailment{Severity: api.Broken, Where: "switcherood.service", Message: p,
			Remedy: "it is tried again; see \"journalctl -u switcherood\" for the rest"})
	}
	return all
}

// locks is about who keeps others from changing rules.
func locks(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, l := range f.Locks {
		all = append(all, api.Ailment{Severity: api.Broken, Where: l.Path,
			Message: fmt.Sprintf("%s has kept the lock over rules for %s at least: nothing can be switched meanwhile", l.Holder, l.For.Round(time.Second/10)),
			Remedy:  fmt.Sprintf("see what it does, and end it if it hangs; \"fuser -v %s\" names it", l.Path)})
	}
	return all
}
