package controller

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/switcheroo/switcheroo/internal/config"
)

// settings are what the units' files ask for. A unit whose files have become
// invalid keeps what it had.
type settings struct {
	log   *slog.Logger
	files map[string][]config.File // as last read, by unit
	valid map[string]*config.Instance
	none  map[string]bool             // units without the section
	told  map[string][]string         // errors that were logged, until they are mended
	force map[string]*config.Instance // what effective returned last
	clash []string                    // conflicts that were logged, until they are mended
}

func newSettings(log *slog.Logger) *settings {
	return &settings{log: log, files: map[string][]config.File{}, valid: map[string]*config.Instance{},
		none: map[string]bool{}, told: map[string][]string{}}
}

// read takes in the files of u. It reports whether anything changed.
func (s *settings) read(u Unit) bool {
	if old, ok := s.files[u.Name]; ok && sameFiles(old, u.Files) {
		return false
	}
	s.files[u.Name] = u.Files
	in, err := config.ParseInstance(u.Name, u.Files)
	s.tell(u.Name, err)
	s.none[u.Name] = err == nil && in == nil
	switch {
	case err != nil:
	case in == nil:
		delete(s.valid, u.Name)
	default:
		s.valid[u.Name] = in
	}
	return true
}

// drop forgets a unit that is not loaded any more.
func (s *settings) drop(unit string) {
	delete(s.files, unit)
	delete(s.valid, unit)
	delete(s.none, unit)
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
			s.log.Error("configuration error", "unit", unit, "error", message)
		}
	}
	s.told[unit] = now
}

func sameFiles(a, b []config.File) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Path != b[i].Path || !bytes.Equal(a[i].Data, b[i].Data) {
			return false
		}
	}
	return true
}

// asked renders what a unit's files ask for, to tell one version of them from
// another.
func asked(in *config.Instance) string {
	plain := *in
	plain.ListenAt = nil // a line that moved asks for nothing else
	b, err := json.Marshal(plain)
	if err != nil {
		panic(fmt.Sprintf("controller: marshal of a settings value: %v", err)) // plain data
	}
	return string(b)
}

// routing renders the part of in that rules are made from.
func routing(in *config.Instance) string {
	return asked(&config.Instance{Service: in.Service, Listen: in.Listen, Ports: in.Ports, Scope: in.Scope})
}
