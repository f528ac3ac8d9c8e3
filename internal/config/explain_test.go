package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every value has its place, and what nobody gave is the default.
func TestExplain(t *testing.T) {
	files := []File{
		{"web@.service", []byte("[X-Switcheroo]\nListen=http=80\nListen=https=443\nPort=http=20080 https=1%i\nDrainSec=1min\n")},
		{"web@.service.d/a.conf", []byte("[X-Switcheroo]\nDrainSec=90min\nPort=https=2%i\n")},
	}
	got, err := Explain("web@0443.service", files)
	if err != nil {
		t.Fatal(err)
	}
	main, dropIn := "web@.service", "web@.service.d/a.conf"
	want := []Setting{
		{"Service", "web", Pos{}},
		{"Listen", "http=80", Pos{main, 2}},
		{"Listen", "https=443", Pos{main, 3}},
		{"Port", "http=20080", Pos{main, 4}},
		{"Port", "https=20443", Pos{dropIn, 3}},
		{"Scope", "both", Pos{}},
		{"Probe", "tcp", Pos{}},
		{"ProbeTimeoutSec", "30s", Pos{}},
		{"StandbySec", "10s", Pos{}},
		{"DrainSec", "1h 30min", Pos{dropIn, 2}},
		{"Guard", "yes", Pos{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, err := Explain("a.service", []File{{"a", []byte("[Service]\n")}}); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Explain("a.service", []File{{"a", []byte("[X-Switcheroo]\nLisen=1\n")}}); err == nil {
		t.Error("no error")
	}
}

// What is explained can be read again.
func TestTimespanIsReadBack(t *testing.T) {
	for _, d := range []time.Duration{0, time.Microsecond, 1500 * time.Millisecond, 90 * time.Minute, 49*time.Hour + 3*time.Second, Infinity} {
		back, err := ParseTimespan(timespan(d))
		if err != nil || back != d {
			t.Errorf("%s is %q, and that is %s (%v)", d, timespan(d), back, err)
		}
	}
}
