package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Infinity is the value of a timespan written "infinity".
const Infinity = time.Duration(math.MaxInt64)

// units are systemd's units of time; "m" stands for minutes, "M" for months.
var units = map[string]time.Duration{
	"us": time.Microsecond, "usec": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond,
	"s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": day, "day": day, "days": day,
	"w": 7 * day, "week": 7 * day, "weeks": 7 * day,
	"M": month, "month": month, "months": month,
	"y": year, "year": year, "years": year,
}

// systemd's year has 365.25 days, its month a twelfth of that (30.44 days).
const (
	day   = 24 * time.Hour
	month = 2629800 * time.Second
	year  = 31557600 * time.Second
)

// ParseTimespan reads a span of time as systemd does: "30s", "5min",
// "1h 30min", "1.5h", "500ms"; a number without unit is in seconds. Anything
// below a microsecond is cut off. "infinity" gives [Infinity].
func ParseTimespan(s string) (time.Duration, error) {
	d, f := parseTimespan(s)
	if f != nil {
		return 0, fmt.Errorf("timespan %q: %s (%s)", s, f.message, f.hint)
	}
	return d, nil
}

const timespanHint = `expected for example 30s, 5min or "1h 30min"`

func parseTimespan(s string) (time.Duration, *fault) {
	rest := strings.Trim(s, whitespace)
	if rest == "infinity" {
		return Infinity, nil
	}
	if rest == "" {
		return 0, faultf(timespanHint, "not a timespan")
	}
	var sum time.Duration
	for rest != "" {
		d, after, f := cutTimespan(rest)
		if f != nil {
			return 0, f
		}
		if d >= Infinity-sum {
			return 0, faultf("write a shorter one", "longer than 292 years")
		}
		sum += d
		rest = strings.TrimLeft(after, whitespace)
	}
	return sum, nil
}

// parseFinite reads a timespan that ends.
func parseFinite(s string) (time.Duration, *fault) {
	d, f := parseTimespan(s)
	if f == nil && d == Infinity {
		f = faultf(timespanHint, "only DrainSec= can be infinite")
	}
	return d, f
}

// parsePositive reads a timespan that leaves time for something.
func parsePositive(s string) (time.Duration, *fault) {
	d, f := parseFinite(s)
	if f == nil && d == 0 {
		f = faultf(timespanHint, "no time at all")
	}
	return d, f
}

// cutTimespan reads one number with its unit.
func cutTimespan(s string) (d time.Duration, rest string, f *fault) {
	if s[0] == '-' {
		return 0, "", faultf(timespanHint, "negative")
	}
	unsigned, plus := strings.CutPrefix(s, "+")
	whole, rest := cutDigits(unsigned)
	fraction, pointed := "", strings.HasPrefix(rest, ".")
	if pointed {
		fraction, rest = cutDigits(rest[1:])
	}
	if pointed && fraction == "" || whole == "" && (plus || !pointed) {
		return 0, "", faultf(timespanHint, "not a timespan")
	}
	unit, rest, f := cutUnit(rest)
	if f != nil {
		return 0, "", f
	}
	n, err := strconv.ParseInt("0"+whole, 10, 64)
	if err != nil || n >= int64(Infinity/unit) {
		return 0, "", faultf("write a shorter one", "longer than 292 years")
	}
	d = time.Duration(n) * unit
	for _, c := range fraction {
		// As systemd, so that the same digits are lost: in whole microseconds.
		unit = (unit / 10).Truncate(time.Microsecond)
		d += time.Duration(c-'0') * unit
	}
	return d, rest, nil
}

func cutDigits(s string) (number, rest string) {
	rest = strings.TrimLeft(s, digits)
	return s[:len(s)-len(rest)], rest
}

// cutUnit reads the unit that s begins with, blanks before it aside. Without
// one it is seconds, if the number ends there.
func cutUnit(s string) (unit time.Duration, rest string, f *fault) {
	trimmed := strings.TrimLeft(s, whitespace)
	word := trimmed
	if i := strings.IndexAny(word, whitespace+digits+".+-"); i >= 0 {
		word = word[:i]
	}
	if unit, ok := units[word]; ok {
		return unit, trimmed[len(word):], nil
	}
	if word != "" {
		hint := "expected us, ms, s, min, h, d, w, month or y"
		if near := nearest(word, slices.Sorted(maps.Keys(units))); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return 0, "", faultf(hint, "unknown unit %s", quote(word))
	}
	if s != "" && s == trimmed {
		return 0, "", faultf(timespanHint, "not a timespan")
	}
	return time.Second, trimmed, nil
}
