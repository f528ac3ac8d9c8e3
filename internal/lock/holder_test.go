package lock

import (
	"strings"
	"testing"
)

func TestHolder(t *testing.T) {
	const locks = `1: POSIX  ADVISORY  READ  10 fe:00:1234 128 128
2: FLOCK  ADVISORY  WRITE 4711 00:1a:1234 0 EOF
2: -> FLOCK  ADVISORY  WRITE 4712 00:1a:1234 0 EOF
3: FLOCK  ADVISORY  WRITE -1 00:1a:99 0 EOF
4: OFDLCK ADVISORY  READ  -1 00:06:1086 0 EOF
garbage
`
	tests := map[string]struct {
		ino  uint64
		want int
	}{
		"the holder, not who waits":       {1234, 4711},
		"nobody":                          {1, 0},
		"in another pid namespace":        {99, 0},
		"the last digits are not enough":  {234, 0},
		"another kind of lock is no hold": {1086, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := holder(strings.NewReader(locks), tt.ino); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func FuzzHolder(f *testing.F) {
	f.Add("1: FLOCK  ADVISORY  WRITE 4711 00:1a:1234 0 EOF\n", uint64(1234))
	f.Add("1: -> FLOCK  ADVISORY  WRITE 4711 00:1a: 0 EOF\n", uint64(0))
	f.Fuzz(func(t *testing.T, locks string, ino uint64) {
		if pid := holder(strings.NewReader(locks), ino); pid < 0 {
			t.Errorf("pid %d", pid)
		}
	})
}
