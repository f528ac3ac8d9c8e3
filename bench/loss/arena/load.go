package arena

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// Load is clients in both places: on the servers' host itself, and on the
// other one.
type Load struct {
	places []*load.Remote
}

// Source ports of the clients of one Load, in each place, of which sourcePorts
// says how many are used. The kernel gives none of them away, and no server has
// one.
const (
	firstSource = 20000
	sources     = 1000

	// MaxServices is how many services can have clients at a time.
	MaxServices = 10
)

// Load starts the clients of c in each of the two places, to a port of the
// host: there to 127.0.0.1, ::1 and its own address, and from outside by both
// families. Targets and source ports of c are filled in; a Duration that is
// zero is the longest. When ctx ends they are killed.
func (a *Arena) Load(ctx context.Context, c load.Config, port uint16) (*Load, error) {
	first := firstSource + sources*((a.loads.Add(1)-1)%MaxServices)
	c.SourcePorts = load.PortRange{First: uint16(first), Last: uint16(first + int64(sourcePorts(c)) - 1)}
	if c.Duration == 0 {
		c.Duration = load.MaxDuration
	}
	l := &Load{}
	for _, p := range []struct {
		guest   load.Guest
		program string
		targets []string
	}{
		{a.Host, inside, []string{"127.0.0.1", "::1", Server4}},
		{a.Client, a.swload, []string{Server4, Server6}},
	} {
		c.Targets = nil
		for _, t := range p.targets {
			c.Targets = append(c.Targets, net.JoinHostPort(t, strconv.Itoa(int(port))))
		}
		r, err := load.Start(ctx, p.guest, p.program, c, nil)
		if err != nil {
			_, stopped := l.Stop()
			return nil, fmt.Errorf("start clients in %s: %w", p.guest.Name(), errors.Join(err, stopped))
		}
		l.places = append(l.places, r)
	}
	return l, nil
}

// fewSources is more than there are clients at any rate, and a multiple of the
// targets of either place: a port comes back to the address that it was at.
const fewSources = 60

// sourcePorts returns how many source ports clients have: so few that each comes
// back within a second or two, however low their rate. A forgotten conntrack
// entry does harm for ten.
func sourcePorts(c load.Config) int {
	if c.Rate == 0 {
		return sources
	}
	return min(max(c.Rate/fewSources, 1)*fewSources, sources)
}

// Running returns when all clients run, which takes about a second.
func (l *Load) Running(ctx context.Context) error {
	for _, r := range l.places {
		if err := r.Running(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop tells the clients to finish the request under way, and returns what all
// of them saw. It is an error if some had ended before, as they do after
// load.MaxDuration: they have not seen what came then.
func (l *Load) Stop() (*load.Result, error) {
	told := time.Now()
	return l.collect(func(r *load.Remote) (*load.Result, error) {
		result, err := r.Stop()
		if err == nil && result.End < told.UnixNano() {
			err = fmt.Errorf("clients had ended by themselves, %v before they were told to", told.Sub(time.Unix(0, result.End)).Round(time.Millisecond))
		}
		return result, err
	})
}

// Wait returns it when the clients have ended by themselves, after Duration.
func (l *Load) Wait() (*load.Result, error) { return l.collect((*load.Remote).Wait) }

func (l *Load) collect(end func(*load.Remote) (*load.Result, error)) (*load.Result, error) {
	type ended struct {
		result *load.Result
		err    error
	}
	results := make(chan ended)
	for _, r := range l.places {
		go func() {
			result, err := end(r)
			results <- ended{result, err}
		}()
	}
	all := &load.Result{}
	var errs []error
	for range l.places {
		e := <-results
		errs = append(errs, e.err)
		if e.result != nil {
			all.Merge(e.result)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}
