package contender

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRenames(t *testing.T) {
	dir := t.TempDir()
	r, err := watchRenames(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	file := filepath.Join(dir, "new")
	for range 2 {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file, filepath.Join(dir, "state")); err != nil {
			t.Fatal(err)
		}
		if renamed, err := r.wait(t.Context(), time.Hour); !renamed || err != nil {
			t.Fatal(renamed, err)
		}
	}
	if renamed, err := r.wait(t.Context(), time.Millisecond); renamed || err != nil {
		t.Errorf("none: %v, %v", renamed, err)
	}
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, enough)
	defer cancel()
	if _, err := r.wait(ctx, time.Hour); !errors.Is(err, enough) {
		t.Errorf("when the context ends: %v", err)
	}
	if _, err := watchRenames(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
