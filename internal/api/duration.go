package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Duration is a time.Duration that is a number of seconds in JSON: 0.25, 300.
// One without end is the string "infinity".
type Duration time.Duration

// Infinity is a Duration without end.
const Infinity = Duration(math.MaxInt64)

// Seconds returns d in seconds.
func (d Duration) Seconds() float64 { return time.Duration(d).Seconds() }

// String returns "1.5s", or "infinity".
func (d Duration) String() string {
	if d == Infinity {
		return "infinity"
	}
	return time.Duration(d).String()
}

// MarshalJSON writes seconds with at most six digits after the point.
func (d Duration) MarshalJSON() ([]byte, error) {
	if d == Infinity {
		return []byte(`"infinity"`), nil
	}
	s := math.Round(d.Seconds()*1e6) / 1e6
	return strconv.AppendFloat(nil, s, 'f', -1, 64), nil
}

// UnmarshalJSON reads a number of seconds or "infinity".
func (d *Duration) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte(`"infinity"`)) {
		*d = Infinity
		return nil
	}
	var s float64
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration %s: not a number of seconds", b)
	}
	if s < 0 || s > float64(math.MaxInt64/int64(time.Second))-1 {
		return fmt.Errorf("duration %s: out of range", b)
	}
	*d = Duration(s * float64(time.Second))
	return nil
}
