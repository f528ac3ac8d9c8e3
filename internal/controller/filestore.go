package controller

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// FileStore is a Store in two directories. Each file is replaced as a whole
// and synced, so a crash leaves the earlier or the later one.
type FileStore struct {
	Runtime    string // lost with a reboot: /run/switcheroo
	Persistent string // kept: /var/lib/switcheroo
}

func (s FileStore) statePath() string   { return filepath.Join(s.Runtime, "state.json") }
func (s FileStore) currentPath() string { return filepath.Join(s.Persistent, "current.json") }

// Load returns the saved State, an empty one if there is none. One that cannot
// be understood is put aside.
func (s FileStore) Load() (State, error) {
	var state State
	err := load(s.statePath(), &state)
	if errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) {
		if aside := os.Rename(s.statePath(), s.statePath()+".bad"); aside == nil {
			err = fmt.Errorf("%w (kept as %s.bad)", err, s.statePath())
		}
	}
	return state, err
}

// Save replaces the saved State.
func (s FileStore) Save(state State) error { return save(s.statePath(), state) }

// LastCurrent returns the units that were current when last saved.
func (s FileStore) LastCurrent() (map[string]string, error) {
	current := map[string]string{}
	err := load(s.currentPath(), &current)
	return current, err
}

// SaveCurrent replaces the names of the current units.
func (s FileStore) SaveCurrent(current map[string]string) error {
	return save(s.currentPath(), current)
}

// Remove deletes all files.
func (s FileStore) Remove() error {
	var errs []error
	for _, path := range []string{s.statePath(), s.statePath() + ".bad", s.currentPath()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// load reads the JSON file path into v, and leaves v as it is if there is none.
func load(path string, v any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func save(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// Without the directory it would try whether /tmp is on the same file system.
	return renameio.WriteFile(path, append(b, '\n'), 0o600, renameio.WithTempDir(filepath.Dir(path)))
}
