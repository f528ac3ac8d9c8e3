package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/api"
)

func TestTable(t *testing.T) {
	table := table{legend: []string{"NAME", "N", "WHAT"}, right: []int{1}}
	table.add(span{"a", good}, span{"7", plain}, span{"something", plain}).more = []line{text("   more of it")}
	table.add(span{"longer", plain}, span{"12345", plain}, span{"", plain})
	for name, test := range map[string]struct {
		style   style
		columns int
		want    string
	}{
		"plain": {style{}, 0, "NAME        N  WHAT\na           7  something\n   more of it\nlonger  12345\n"},
		"cut":   {style{}, 17, "NAME        N ...\na           7 ...\n   more of it\nlonger  12345\n"},
		"colour": {style{true}, 0, "\x1b[2mNAME\x1b[0m        \x1b[2mN\x1b[0m  \x1b[2mWHAT\x1b[0m\n\x1b[32ma\x1b[0m           7  something\n" +
			"   more of it\nlonger  12345\n"},
	} {
		var got strings.Builder
		for _, l := range table.lines(true) {
			got.WriteString(test.style.render(l, test.columns) + "\n")
		}
		if diff := cmp.Diff(test.want, got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCutNeverExceeds(t *testing.T) {
	l := line{{"grüße ", strong}, {"an alle", plain}, {" hier", faint}}
	for columns := 1; columns < 30; columns++ {
		got := style{}.render(l, columns)
		if n := utf8.RuneCountInString(got); n > columns {
			t.Errorf("%d columns in %d: %q", n, columns, got)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		lead, text string
		columns    int
		want       []string
	}{
		{"12:00  ", "as it is", 0, []string{"12:00  as it is"}},
		{"12:00  ", "it fits", 14, []string{"12:00  it fits"}},
		{"12:00  ", "it does not fit there", 16, []string{"12:00  it does", "    not fit", "    there"}},
		{"  ", "unbreakableword and", 10, []string{"  unbreakableword", "    and"}},
	} {
		if diff := cmp.Diff(test.want, wrap(test.lead, test.text, 4, test.columns)); diff != "" {
			t.Errorf("%q in %d (-want +got):\n%s", test.text, test.columns, diff)
		}
	}
}

func TestAmounts(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": -time.Second, "59s": 59900 * time.Millisecond, "1min": time.Minute, "3min 5s": 185 * time.Second,
		"2h 5min": 2*time.Hour + 5*time.Minute + 59*time.Second, "4d 3h": 99*time.Hour + time.Minute, "infinity": time.Duration(api.Infinity),
	} {
		if got := rough(d); got != want {
			t.Errorf("rough(%s) = %q, want %q", d, got, want)
		}
	}
	for want, d := range map[string]time.Duration{"1ms": time.Microsecond, "31ms": 31 * time.Millisecond, "0.41s": 410 * time.Millisecond, "12s": 12 * time.Second} {
		if got := precise(api.Duration(d)); got != want {
			t.Errorf("precise(%s) = %q, want %q", d, got, want)
		}
	}
	for want, n := range map[string]uint64{"0B": 0, "999B": 999, "1.0K": 1023, "3.4K": 3500, "12K": 12 << 10, "1.0M": 1 << 20, "16E": 1<<64 - 1} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	for want, over := range map[string]time.Duration{
		"[....................]": -time.Second, "[##########..........]": time.Minute, "[####################]": time.Hour,
	} {
		if got := bar(over, 2*time.Minute); got != want {
			t.Errorf("bar(%s) = %s, want %s", over, got, want)
		}
	}
	if got := bar(time.Duration(1<<62), time.Duration(1<<62+1<<61)); len(got) != barWidth+2 {
		t.Error(got)
	}
}
