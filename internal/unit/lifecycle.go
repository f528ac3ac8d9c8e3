package unit

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/godbus/dbus/v5"
)

// Forever is a timeout that never ends.
const Forever time.Duration = math.MaxInt64

// Lifecycle is how systemd starts and stops a unit that it has loaded.
type Lifecycle struct {
	After       []string      // the units that it is ordered after
	StopTimeout time.Duration // TimeoutStopSec=; Forever is infinity
	ExecStop    [][]string    // the commands, each with its arguments
	NeedReload  bool          // files have changed since they were loaded
	Result      string        // how it ended last: "success", "timeout", ...
}

// Lifecycle reads that of one unit; found is false if it is not loaded.
func (c *Client) Lifecycle(ctx context.Context, name string) (l Lifecycle, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = c.do(ctx, func(b *bus) error {
		var path dbus.ObjectPath
		err := b.call(ctx, b.systemd(managerPath), managerIface+".GetUnit", name).Store(&path)
		if isError(err, noSuchUnit) {
			return nil
		}
		if err != nil {
			return err
		}
		r := reader{bus: b}
		unit, err := r.get(ctx, path, unitIface, "After", "NeedDaemonReload")
		if err != nil {
			return err
		}
		service, err := r.get(ctx, path, serviceIface, "TimeoutStopUSec", "ExecStop", "Result")
		if err != nil {
			return err
		}
		l, found = lifecycle(unit.values, service.values), true
		return nil
	})
	if err != nil {
		return Lifecycle{}, false, fmt.Errorf("read unit %q: %w", name, err)
	}
	return l, found, nil
}

func lifecycle(unit, service map[string]dbus.Variant) Lifecycle {
	var l Lifecycle
	value(unit, "After", &l.After)
	value(unit, "NeedDaemonReload", &l.NeedReload)
	value(service, "Result", &l.Result)
	var stop uint64
	value(service, "TimeoutStopUSec", &stop)
	l.StopTimeout = Forever
	if stop < math.MaxInt64/1000 {
		l.StopTimeout = microseconds(stop)
	}
	var commands [][]any // path, arguments, whether a failure counts, and how the last run went
	value(service, "ExecStop", &commands)
	for _, c := range commands {
		if len(c) > 1 {
			if argv, ok := c[1].([]string); ok {
				l.ExecStop = append(l.ExecStop, argv)
			}
		}
	}
	return l
}
