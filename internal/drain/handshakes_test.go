package drain

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSumWrong(t *testing.T) {
	const (
		names   = "TcpExt: SyncookiesSent PruneCalled ListenOverflows ListenDrops TCPReqQFullDoCookies TCPReqQFullDrop\n"
		numbers = "TcpExt: 1 70 200 3000 40000 500000\n"
		others  = "IpExt: InNoRoutes\nIpExt: 9\n"
	)
	if n, err := sumWrong(others + names + numbers + others); n != 543201 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"names only":      names,
		"others":          others,
		"a number less":   names + "TcpExt: 1 70 200 3000 40000\n",
		"no number":       names + "TcpExt: 1 70 200 many 40000 500000\n",
		"a counter less":  "TcpExt: SyncookiesSent PruneCalled\nTcpExt: 1 2\n",
		"a negative one":  names + "TcpExt: 1 70 200 -3000 40000 500000\n",
		"numbers at once": "TcpExt: 1 70 200 3000 40000 500000\n",
	} {
		if n, err := sumWrong(text); err == nil {
			t.Errorf("%s: %d", name, n)
		}
	}
	if _, err := readWrong(); err != nil {
		t.Errorf("this kernel's: %v", err)
	}
}

// What went wrong counts until no client can be waiting for it any more, also if
// that was before anybody looked.
func TestAllWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var count uint64
		var failed error
		h := handshakes{read: func() (uint64, error) { return count, failed }}
		expect := func(want bool, when string) {
			t.Helper()
			if got := h.allWell(); got != want {
				t.Errorf("%s: %t", when, got)
			}
		}
		expect(true, "nothing yet")
		count = 3
		expect(false, "now")
		time.Sleep(handshakePatience - time.Second)
		expect(false, "a moment ago")
		time.Sleep(time.Second)
		expect(true, "long ago")
		count++
		expect(false, "again")
		time.Sleep(handshakePatience)
		failed = errors.New("unreadable")
		expect(false, "nobody knows")
		failed = nil
		expect(false, "nobody knew")
		time.Sleep(handshakePatience)
		expect(true, "known for long enough")
	})
}

// Quiesce looks as well: it comes before Drain, often by long.
func TestQuiesceNotesHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{wrong: wrongFrom(0)} // and no more than one
		m := k.monitor(t.Output())
		if _, err := m.Quiesce(context.Background(), []uint16{61000}, time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(handshakePatience)
		k.looks = nil
		if _, err := m.Drain(context.Background(), []uint16{61000}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if len(k.looks) != 2 {
			t.Errorf("looks %v, want none at conntrack", k.looks)
		}
	})
}
