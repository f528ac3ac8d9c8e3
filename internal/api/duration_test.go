package api

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDurationInJSON(t *testing.T) {
	for text, want := range map[string]Duration{
		"0":          0,
		"0.25":       Duration(250 * time.Millisecond),
		"300":        Duration(5 * time.Minute),
		"0.000001":   Duration(time.Microsecond),
		`"infinity"`: Infinity,
	} {
		var got Duration
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
		if back, err := json.Marshal(want); err != nil || string(back) != text {
			t.Errorf("%s becomes %s, %v; want %s", want, back, err, text)
		}
	}
	for _, text := range []string{`"5min"`, "-1", "1e300", "true", "[]", `""`} {
		var got Duration
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s is taken for %s", text, got)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("1.5")
	f.Add(`"infinity"`)
	f.Fuzz(func(t *testing.T, text string) {
		var d Duration
		if json.Unmarshal([]byte(text), &d) != nil {
			return
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var again Duration
		if err := json.Unmarshal(b, &again); err != nil || d < 0 {
			t.Fatalf("%s is %s, and that %s: %v", text, d, b, err)
		}
	})
}
