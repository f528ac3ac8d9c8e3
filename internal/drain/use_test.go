package drain

import (
	"testing"
)

func TestUse(t *testing.T) {
	needKernel(t)
	before, most, err := Use()
	if err != nil || most == 0 {
		t.Fatalf("%d of %d, %v", before, most, err)
	}
	s := serve(t, "tcp4", "127.0.0.1:0")
	redirect(t, 82, s.port) // has connections tracked
	dial(t, "127.0.0.1", s.port)
	if after, _, err := Use(); err != nil || after <= before {
		t.Errorf("%d entries, then %d, %v", before, after, err)
	}
}

func FuzzParseUse(f *testing.F) {
	f.Add([]byte{36, 0, 0, 0, 5, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 5, 8, 0, 2, 0, 0, 4, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, most, err := parseUse(b)
		if entries < 0 || most < 0 {
			t.Errorf("%d of %d, %v", entries, most, err)
		}
	})
}
