package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"short  enough", []string{"short  enough"}},
		{"exactly 16 wide.", []string{"exactly 16 wide."}},
		{"one word more than that", []string{"one word more", "than that"}},
		{"    indented, and too long", []string{"    indented,", "    and too long"}},
		{"a word_that_is_much_too_long", []string{"a", "word_that_is_much_too_long"}},
		{"öffnet elf Türen zwölf", []string{"öffnet elf Türen", "zwölf"}},
	} {
		if diff := cmp.Diff(test.want, wrap(test.text, 16)); diff != "" {
			t.Errorf("wrap %q (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                        "0 ms",
		49 * time.Microsecond:    "0 ms",
		340 * time.Microsecond:   "0.3 ms",
		9900 * time.Microsecond:  "9.9 ms",
		14050 * time.Microsecond: "14 ms",
		100 * time.Millisecond:   "100 ms",
		999 * time.Millisecond:   "999 ms",
		time.Second:              "1 s",
		2959 * time.Millisecond:  "3 s",
		6480 * time.Millisecond:  "6.5 s",
		20 * time.Second:         "20 s",
	} {
		if got := human(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := count(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
