package history

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/api"
)

func TestEntry(t *testing.T) {
	got, err := eventOf([]byte(`{"__REALTIME_TIMESTAMP":"1764111431000001","MESSAGE":"switched: service=a","SWITCHEROO_EVENT":"switched",
		"SWITCHEROO_EVENT_ID":"7","SWITCHEROO_SERVICE":"a","SWITCHEROO_UNIT":"a@2.service","SWITCHEROO_FROM":"a@1.service",
		"SWITCHEROO_INVOCATION":"00","SWITCHEROO_TOOK_USEC":"1500","SWITCHEROO_REASON":[1,2],"_PID":"1"}`))
	want := api.Event{ID: 7, Time: time.UnixMicro(1764111431000001).UTC(), Kind: api.Switched, Message: "switched: service=a", Service: "a",
		Unit: "a@2.service", From: "a@1.service", Invocation: "00", Took: api.Duration(1500 * time.Microsecond)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, text := range []string{``, `[]`, `{}`, `{"__REALTIME_TIMESTAMP":"soon"}`} {
		if e, err := eventOf([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, e)
		}
	}
}

// FuzzEntry: whatever stands in the journal, it is read or refused.
func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","SWITCHEROO_TOOK_USEC":"18446744073709551615","MESSAGE":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := eventOf(b); err == nil && e.Time.IsZero() {
			t.Errorf("%+v", e)
		}
	})
}
