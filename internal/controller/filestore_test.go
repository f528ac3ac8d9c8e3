package controller

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func newStore(t testing.TB) FileStore {
	return FileStore{Runtime: filepath.Join(t.TempDir(), "run"), Persistent: filepath.Join(t.TempDir(), "lib")}
}

func TestFileStore(t *testing.T) {
	s := newStore(t)
	state, err := s.Load()
	if err != nil || state.Services != nil {
		t.Fatalf("without a file: %+v, %v", state, err)
	}
	current, err := s.LastCurrent()
	if err != nil || len(current) != 0 {
		t.Fatalf("without a file: %v, %v", current, err)
	}

	cur := activation("a1", time.Second)
	want := State{Services: map[string]*Service{"app": {
		Current: &cur, Down: true, ByBoot: true,
		Old:     []*Retired{old("b1", 2, dismissed), old("c1", 1, rejected)},
		Refused: map[string]Refusal{"d1": {Unit: "d", Reason: "why", Asked: *asks("d"), At: 3, Tries: 4, Passing: true}},
	}}}
	for range 2 { // the second replaces the first
		if err := s.Save(want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("-saved +loaded:\n%s", diff)
	}
	if err := s.SaveCurrent(map[string]string{"app": "a.service"}); err != nil {
		t.Fatal(err)
	}
	current, err = s.LastCurrent()
	if err != nil || current["app"] != "a.service" {
		t.Errorf("%v, %v", current, err)
	}

	for _, path := range []string{s.statePath(), s.currentPath()} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s has mode %o", path, got)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 {
			t.Errorf("beside %s there is something: %v, %v", path, entries, err)
		}
	}
	for range 2 {
		if err := s.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if state, err := s.Load(); err != nil || state.Services != nil {
		t.Errorf("after Remove: %+v, %v", state, err)
	}
}

// A file that cannot be written leaves the one before whole.
func TestFileStoreKeepsTheEarlierOne(t *testing.T) {
	s := newStore(t)
	cur := activation("a1", time.Second)
	if err := s.Save(State{Services: map[string]*Service{"app": {Current: &cur}}}); err != nil {
		t.Fatal(err)
	}
	// No temporary file can be made where the directory is a file.
	broken := FileStore{Runtime: s.statePath(), Persistent: s.statePath()}
	if err := broken.Save(State{}); err == nil {
		t.Error("Save into a file has worked")
	}
	if err := broken.SaveCurrent(nil); err == nil {
		t.Error("SaveCurrent into a file has worked")
	}
	if err := broken.Remove(); err == nil {
		t.Error("Remove from a file has worked")
	}
	got, err := s.Load()
	if err != nil || got.Services["app"] == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFileStoreDamaged(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut": `{"services": {"app": {"curr`, "not JSON": "\x00\x00", "another type": `{"services": [1, 2]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			for _, path := range []string{s.statePath(), s.currentPath()} {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), s.statePath()) {
				t.Errorf("Load: %v", err)
			}
			if _, err := s.LastCurrent(); err == nil || !strings.Contains(err.Error(), s.currentPath()) {
				t.Errorf("LastCurrent: %v", err)
			}
			// It is kept for whoever wants to know, and in nobody's way.
			if kept, err := os.ReadFile(s.statePath() + ".bad"); err != nil || string(kept) != text {
				t.Errorf("put aside: %q, %v", kept, err)
			}
			if _, err := s.Load(); err != nil {
				t.Errorf("Load again: %v", err)
			}
			if err := s.Remove(); err != nil {
				t.Error(err)
			}
			if entries, err := os.ReadDir(s.Runtime); err != nil || len(entries) != 0 {
				t.Errorf("left after Remove: %v, %v", entries, err)
			}
			// And a daemon starts anew, from what the kernel says.
			bubble(t, func(h *host) {
				h.run()
				h.start(v1, app{})
				h.deployed(v1)
				h.kill()
				h.state, h.current = []byte(text), []byte(text)
				if text == "" {
					h.state, h.current = []byte("{"), []byte("{")
				}
				h.run()
				h.start(v2, app{})
				h.deployed(v2, v1)
				h.went("myapp-v1-1", "myapp-v2-1")
			})
		})
	}
}
