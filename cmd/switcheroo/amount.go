package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// rough returns a time in systemd's notation, to two units: "12s", "3min 5s",
// "2h 5min", "4d 3h".
func rough(d time.Duration) string {
	if api.Duration(d) == api.Infinity {
		return "infinity"
	}
	if d < 0 {
		d = 0
	}
	day := 24 * time.Hour
	for _, u := range []struct {
		of, part   time.Duration
		name, less string
	}{{day, time.Hour, "d", "h"}, {time.Hour, time.Minute, "h", "min"}, {time.Minute, time.Second, "min", "s"}} {
		if d < u.of {
			continue
		}
		whole := fmt.Sprintf("%d%s", d/u.of, u.name)
		if rest := d % u.of / u.part; rest > 0 {
			whole += fmt.Sprintf(" %d%s", rest, u.less)
		}
		return whole
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// ago says how long before now a time was; "-" if it is not known.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return rough(now.Sub(*t)) + " ago"
}

// precise returns how long something took: "31ms", "0.41s", "12s", "3min 5s".
func precise(d api.Duration) string {
	switch t := time.Duration(d); {
	case t < 100*time.Millisecond:
		return fmt.Sprintf("%dms", max(t.Milliseconds(), 1))
	case t < 10*time.Second:
		return fmt.Sprintf("%.2fs", t.Seconds())
	default:
		return rough(t)
	}
}

// size returns a number of bytes: "812B", "3.4K", "12M".
func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%dB", n)
	}
	v := float64(n)
	for _, unit := range "KMGTPE" {
		if v /= 1024; v < 999.5 {
			if v < 9.95 {
				return strconv.FormatFloat(v, 'f', 1, 64) + string(unit)
			}
			return strconv.FormatFloat(math.Round(v), 'f', 0, 64) + string(unit)
		}
	}
	return "much"
}

// count says how many there are of something: "1 connection", "2 connections".
func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

const barWidth = 20

// bar shows how much of a time is over: "[#####...............]".
func bar(over, all time.Duration) string {
	full := barWidth
	if all > 0 {
		full = int(float64(min(max(over, 0), all)) / float64(all) * barWidth)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}
