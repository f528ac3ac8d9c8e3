package controller

import (
	"bytes"
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/switcheroo/switcheroo/internal/config"
)

// settings are what the units' files ask for. A unit whose files have become
// invalid keeps what it had.
type settings struct {
	log   *slog.Logger
	news  func(slog.Level, string, News, ...any)
	files map[string][]config.File // as last read, by unit
	valid map[string]*config.Instance
	none  map[string]bool             // units without the section
	told  map[string][]string         // errors that were logged, until they are mended
	force map[string]*config.Instance // what effective returned last, and its units by service
	units map[string][]string
	stale bool // something that effective looks at has changed
	// claims are the conflicts of now in words, by unit.
	claims map[string][]string
	clash  map[string][]string // conflicts that were logged, until they are mended, by unit
}

func newSettings(log *slog.Logger, news func(slog.Level, string, News, ...any)) *settings {
	return &settings{log: log, news: news, files: map[string][]config.File{}, valid: map[string]*config.Instance{},
		none: map[string]bool{}, told: map[string][]string{}, stale: true}
}

// read takes in the files of u. If they are invalid from the start, it has what
// it had in an earlier daemon, as State tells.
func (s *settings) read(u Unit, state *State) {
	if old, ok := s.files[u.Name]; ok && sameFiles(old, u.Files) {
		return
	}
	s.files[u.Name], s.stale = u.Files, true
	in, err := config.ParseInstance(u.Name, u.Files)
	s.tell(u.Name, err)
	delete(s.none, u.Name)
	switch {
	case err != nil:
		if had := s.had(u.Name, state); had != nil {
			s.valid[u.Name] = had
		}
	case in == nil && !whole(u.Files) && s.had(u.Name, state) != nil:
		// What cannot be read has not been taken away from what runs: the file
		// may be masked, deleted, or where the daemon's sandbox hides it.
		s.valid[u.Name] = s.had(u.Name, state)
		s.log.Warn("its file is gone, masked or not readable: what it asked for holds", "unit", u.Name)
	case in == nil:
		delete(s.valid, u.Name)
		s.none[u.Name] = true
	default:
		s.valid[u.Name] = in
	}
}

// had returns what a unit asked for when that was last valid, in this daemon or
// an earlier one; nil if it never was.
func (s *settings) had(unit string, state *State) *config.Instance {
	return cmp.Or(s.valid[unit], state.instance(unit))
}

// whole reports whether files begin with the unit's own, and not with a drop-in
// or with what masks it.
func whole(files []config.File) bool {
	return len(files) > 0 && files[0].Data != nil && strings.HasSuffix(files[0].Path, ".service")
}

// drop forgets a unit that is not loaded any more.
func (s *settings) drop(unit string) {
	s.stale = true
	delete(s.files, unit)
	delete(s.valid, unit)
	delete(s.none, unit)
	delete(s.told, unit)
}

// tell logs each error of a unit in a line of its own, and none twice while it
// lasts.
func (s *settings) tell(unit string, err error) {
	var all config.Errors
	var now []string
	if errors.As(err, &all) {
		for _, e := range all {
			now = append(now, e.Error())
		}
	} else if err != nil {
		now = append(now, err.Error())
	}
	for _, message := range now {
		if !slices.Contains(s.told[unit], message) {
			s.misconfigured(unit, message)
		}
	}
	if len(now) == 0 && len(s.told[unit]) > 0 {
		s.mended(unit)
	}
	s.told[unit] = now
}

func (s *settings) misconfigured(unit, message string) {
	s.news(slog.LevelError, "configuration error", News{Kind: Misconfigured, Unit: unit, Reason: message}, "unit", unit, "error", message)
}

func (s *settings) mended(unit string) {
	s.news(slog.LevelInfo, "configuration error mended", News{Kind: Adopted, Unit: unit}, "unit", unit)
}

// mistakes returns what is wrong with the units' files, by unit.
func (s *settings) mistakes() map[string][]string {
	all := map[string][]string{}
	for _, from := range []map[string][]string{s.told, s.claims} {
		for unit, messages := range from {
			if len(messages) > 0 {
				all[unit] = slices.Concat(all[unit], messages)
			}
		}
	}
	return all
}

func sameFiles(a, b []config.File) bool {
	return slices.EqualFunc(a, b, func(a, b config.File) bool {
		return a.Path == b.Path && bytes.Equal(a.Data, b.Data)
	})
}

// same reports whether a and b ask for the same.
func same(a, b *config.Instance) bool {
	return a.Unit == b.Unit && sameRouting(a, b) && a.Probe == b.Probe && a.ProbeTimeout == b.ProbeTimeout &&
		a.Standby == b.Standby && a.Drain == b.Drain && a.Guard == b.Guard
}

// sameRouting reports whether rules are made from the same parts of a and b.
func sameRouting(a, b *config.Instance) bool {
	return a.Service == b.Service && a.Scope == b.Scope && slices.Equal(a.Listen, b.Listen) &&
		(a.Ports == nil) == (b.Ports == nil) && maps.Equal(a.Ports, b.Ports)
}
