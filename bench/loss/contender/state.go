package contender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
)

// stateFile is written anew, and renamed, by the daemon.
const stateFile = "/run/switcheroo/state.json"

// state is what the daemon has saved of one service.
type state struct {
	saved   time.Time // when
	Current *instance
	Down    bool
	Old     []instance
	Refused map[string]struct {
		Unit, Reason string
	}
}

type instance struct{ Unit string }

// readState reads what the daemon has saved of the service.
func readState(a *arena.Arena, s Service) (state, error) {
	f, err := os.Open(hostRoot(a) + stateFile)
	if err != nil {
		return state{}, err
	}
	return decodeState(f, s)
}

// decodeState closes f.
func decodeState(f *os.File, s Service) (state, error) {
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return state{}, err
	}
	var all struct{ Services map[string]state }
	if err := json.NewDecoder(f).Decode(&all); err != nil {
		return state{}, fmt.Errorf("read what the daemon has saved: %w", err)
	}
	one := all.Services[s.Name]
	one.saved = info.ModTime()
	return one, nil
}

func (s state) leadsTo(unit string) bool {
	return s.Current != nil && !s.Down && s.Current.Unit == unit
}

// refusal says why the daemon does not switch to unit, if it has said so.
func (s state) refusal(unit string) string {
	for _, r := range s.Refused {
		if r.Unit == unit {
			return ": " + r.Reason
		}
	}
	return ""
}

// blindly is how often the state is read though nothing says that it is new.
const blindly = time.Second

// moved waits until the rules lead to unit, and returns since when. The daemon
// saves its state right after each change of the rules, in another file each time,
// whose date is the moment.
func (c Switcheroo) moved(ctx context.Context, a *arena.Arena, s Service, unit string, saves *renames) (time.Time, error) {
	for {
		files, err := c.saved(ctx, a, saves)
		states, decodeErr := decodeStates(files, s)
		if decodeErr != nil {
			return time.Time{}, decodeErr
		}
		for _, one := range states {
			if one.leadsTo(unit) {
				return one.saved, nil
			}
		}
		if err != nil {
			var last state
			if len(states) > 0 {
				last = states[len(states)-1]
			}
			return time.Time{}, fmt.Errorf("wait until the rules lead to %s: they do not%s: %w", unit, last.refusal(unit), err)
		}
	}
}

// decodeStates closes the files.
func decodeStates(files []*os.File, s Service) (states []state, err error) {
	for _, f := range files {
		one, decodeErr := decodeState(f, s)
		states, err = append(states, one), errors.Join(err, decodeErr)
	}
	return states, err
}

// saved waits until the daemon saves its state, or for a while, and returns what
// it has saved from then on until it is to be read; also if there is an error, the
// one of ctx.
func (c Switcheroo) saved(ctx context.Context, a *arena.Arena, saves *renames) (files []*os.File, err error) {
	renamed, err := saves.wait(ctx, blindly)
	read := time.Now().Add(c.Unread)
	for {
		if f, openErr := os.Open(hostRoot(a) + stateFile); openErr == nil {
			files = append(files, f)
		}
		if !renamed || err != nil || !time.Now().Before(read) {
			return files, err
		}
		if renamed, err = saves.wait(ctx, time.Until(read)); !renamed {
			return files, err
		}
	}
}
