package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/test/load"
)

// tcpCounters are those of both hosts' TCP that tell of a SYN that was lost.
type tcpCounters struct {
	synRetrans int64 // SYNs and SYN-ACKs sent again, by either host
	overflows  int64 // connections that an accept queue had no room for
	drops      int64 // SYNs that a listener dropped
	cookies    int64 // SYNs answered with a cookie: the queue of handshakes was full
}

func (s *stage) tcpCounters() tcpCounters {
	s.Helper()
	onClient, err := s.client.Run(s.Context(), "cat", "/proc/self/net/netstat")
	if err != nil {
		s.Fatal(err)
	}
	var sum tcpCounters
	for _, text := range []string{onClient, s.do("cat /proc/self/net/netstat")} {
		c := netstat(text)
		sum.synRetrans += c["TCPSynRetrans"]
		sum.overflows += c["ListenOverflows"]
		sum.drops += c["ListenDrops"]
		sum.cookies += c["TCPReqQFullDoCookies"]
	}
	return sum
}

// netstat reads /proc/net/netstat: lines of names, each followed by one of
// values.
func netstat(text string) map[string]int64 {
	counters := map[string]int64{}
	lines := strings.Split(text, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for j := range min(len(names), len(values)) {
			counters[names[j]], _ = strconv.ParseInt(values[j], 10, 64)
		}
	}
	return counters
}

// waiting waits until at least n connections to myapp wait.
func (s *stage) waiting(n int) {
	s.Helper()
	c := s.api()
	s.eventually(fmt.Sprintf("%d connections wait", n), func() error {
		svc, err := c.Service(s.Context(), "myapp", api.Select{})
		if err != nil {
			return err
		}
		if svc.Pause == nil || svc.Pause.Waiting < n {
			return fmt.Errorf("pause: %+v", svc.Pause)
		}
		return nil
	})
}

// A service is paused for 5 s and resumed, with clients from another host and
// from the same one, over IPv4 and IPv6. Nothing is refused, nothing is lost,
// and once it is resumed no SYN is sent again: none was dropped on its way
// through the accept queue, even if that has room for five.
func TestPauseUnderLoad(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		for _, backlog := range []int{4096, 5} {
			t.Run(fmt.Sprintf("%s/backlog %d", b, backlog), func(t *testing.T) {
				s := setWith(t, b, args("v1", fmt.Sprintf("-backlog %d", backlog)))
				s.deploy("v1")
				c := s.api()
				// As many clients as can begin while it is paused: later ones
				// come one by one, not all at once when it is over.
				clients := load.Config{Short: 420, Rate: 60, Duration: load.MaxDuration, Timeout: 20 * time.Second}
				var stop func() *load.Result
				steady := clients
				if backlog <= len(fromItself)+len(fromAnother) {
					// One by one in each place, which is never more than a few
					// at a time, whatever the machine does.
					steady.Short, steady.Rate = 1, 20
				}
				stopSteady := s.load(steady, fromItself, fromAnother)
				time.Sleep(time.Second)
				began, before := time.Now(), s.tcpCounters()
				if _, err := c.Pause(t.Context(), api.PauseRequest{Service: "myapp"}); err != nil {
					t.Fatal(err)
				}
				if steady.Short == 1 {
					// A client that the machine kept waiting makes up for it in
					// a burst, which is more than such a server can take
					// without a pause, too: most of them begin and end in it.
					clients.Duration = 5 * time.Second
					stop = s.load(clients, fromItself, fromAnother)
				}
				time.Sleep(5 * time.Second)
				s.waiting(400)
				paused := s.tcpCounters()
				out, err := c.Resume(t.Context(), api.Resume{Service: "myapp"})
				if err != nil {
					t.Fatal(err)
				}
				resumed, over := s.tcpCounters(), time.Now()
				time.Sleep(4 * time.Second) // a SYN that was lost comes again after 1 s, or after 3
				result := stopSteady()
				if stop != nil {
					result.Merge(stop())
				}
				end := s.tcpCounters()

				t.Logf("%s, backlog %d: paused for %v; %d connections waited, at most %v; all had gone on %v after the resume; sent again: %d in the pause, %d while they went on, %d after that\n%s",
					b, backlog, over.Sub(began).Round(time.Millisecond), out.Waited, out.Longest, out.Took, paused.synRetrans-before.synRetrans,
					resumed.synRetrans-paused.synRetrans, end.synRetrans-resumed.synRetrans, tableOf(t, result))
				if out.Waited < 400 || out.Left > 0 {
					t.Errorf("the pause let go %+v", out)
				}
				if end.synRetrans != resumed.synRetrans || end.overflows != before.overflows || end.drops != before.drops || end.cookies != before.cookies {
					t.Errorf("lost on the way: before %+v, resumed %+v, at the end %+v", before, resumed, end)
				}
				for _, f := range result.Failures {
					waited := f.Class == load.Retransmitted && f.Began >= began.UnixNano() && f.Began < over.UnixNano()
					if !waited || f.Connected > over.Add(time.Second/2).UnixNano() {
						t.Errorf("lost: %s", f)
					}
				}
				if n := result.Total().Versions["v1"]; n != result.Total().Connections {
					t.Errorf("%d of %d connections were answered", n, result.Total().Connections)
				}
			})
		}
	}
}
