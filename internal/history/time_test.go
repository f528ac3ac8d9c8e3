package history

import (
	"errors"
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	for text, want := range map[string]string{
		"@1.5": "@1.500000", "2026-11-25 19:08:11 UTC": "@1795633691.000000", "@1795633691.000001": "@1795633691.000001",
	} {
		if got, err := Time(t.Context(), text); err != nil || Since(got) != want {
			t.Errorf("%s: %s, %v, want %s", text, Since(got), err, want)
		}
	}
	if got, err := Time(t.Context(), "-2h"); err != nil || time.Since(got).Round(time.Hour) != 2*time.Hour {
		t.Errorf("%s, %v", got, err)
	}
	for _, text := range []string{"", "whenever", "--help"} {
		if got, err := Time(t.Context(), text); !errors.Is(err, ErrNoTime) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	if s := Since(time.Time{}); s != "" {
		t.Error(s)
	}
}
