package drain

import (
	stdcmp "cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// kernel is a fake one: what it shows at a time since the bubble's beginning,
// and the looks that were taken.
type kernel struct {
	queues  func(at time.Duration) (queue, error)
	live    func(at time.Duration) (int, error)
	entries func(at time.Duration) (int, error)
	wrong   func(at time.Duration) (uint64, error) // handshakes; nil: conntrack has none of our timeouts
	took    time.Duration                          // what each look costs

	begun time.Time
	mu    sync.Mutex
	looks []string // "live 0s [61000]"
}

func (k *kernel) monitor(log io.Writer) *Monitor {
	k.begun = time.Now()
	return &Monitor{
		log:        slog.New(slog.NewTextHandler(log, nil)),
		timeouts:   func() bool { return k.wrong != nil },
		queues:     look[queue]{read: reader(k, "queues", k.queues)},
		live:       look[int]{read: reader(k, "live", k.live)},
		entries:    look[int]{read: reader(k, "entries", k.entries)},
		handshakes: handshakes{read: k.handshakes},
	}
}

func (k *kernel) handshakes() (uint64, error) {
	if k.wrong == nil {
		return 0, nil
	}
	return k.wrong(time.Since(k.begun))
}

// reader shows the same at each of the ports.
func reader[T any](k *kernel, what string, show func(time.Duration) (T, error)) func(context.Context, []uint16) (map[uint16]T, error) {
	return func(ctx context.Context, ports []uint16) (map[uint16]T, error) {
		at := time.Since(k.begun)
		k.mu.Lock()
		k.looks = append(k.looks, what+" "+at.String())
		k.mu.Unlock()
		if err := sleep(ctx, k.took, time.Time{}); err != nil {
			return nil, err
		}
		if show == nil {
			return nil, nil
		}
		v, err := show(at)
		if err != nil {
			return nil, err
		}
		found := make(map[uint16]T)
		for _, port := range ports {
			found[port] = v
		}
		return found, nil
	}
}

func (k *kernel) count(what string) int {
	n := 0
	for _, l := range k.looks {
		if strings.HasPrefix(l, what) {
			n++
		}
	}
	return n
}

// until shows v before the time, and nothing from then on.
func until[T any](end time.Duration, v T) func(time.Duration) (T, error) {
	return func(at time.Duration) (T, error) {
		var none T
		if at < end {
			return v, nil
		}
		return none, nil
	}
}

const forever = time.Duration(1<<63 - 1)

func TestQuiesce(t *testing.T) {
	for name, c := range map[string]struct {
		kernel *kernel // nil: nothing at all
		max    time.Duration
		want   Left
		took   time.Duration
		looks  []string // nil: not compared
	}{
		"nothing left": {
			max:   30 * time.Second,
			took:  110 * time.Millisecond,
			looks: []string{"queues 100ms", "queues 110ms"},
		},
		"a queue that empties": {
			kernel: &kernel{queues: until(113*time.Millisecond, queue{unaccepted: 2})},
			max:    30 * time.Second,
			took:   125 * time.Millisecond,
			looks:  []string{"queues 100ms", "queues 105ms", "queues 110ms", "queues 115ms", "queues 125ms"},
		},
		"empty once, then not": {
			kernel: &kernel{queues: func(at time.Duration) (queue, error) {
				if at == 110*time.Millisecond {
					return queue{halfOpen: 1}, nil
				}
				return queue{}, nil
			}},
			max:   30 * time.Second,
			took:  125 * time.Millisecond,
			looks: []string{"queues 100ms", "queues 110ms", "queues 115ms", "queues 125ms"},
		},
		"never": {
			kernel: &kernel{queues: until(forever, queue{halfOpen: 1, unaccepted: 3})},
			max:    30 * time.Second,
			want:   Left{HalfOpen: 2, Unaccepted: 6, Expired: true},
			took:   30 * time.Second,
		},
		"all the time of the world": {
			kernel: &kernel{queues: until(120*time.Millisecond, queue{unaccepted: 3})},
			max:    forever,
			took:   130 * time.Millisecond,
		},
		"no time at all": {
			kernel: &kernel{queues: until(forever, queue{unaccepted: 3})},
			max:    0,
			want:   Left{Unaccepted: 6, Expired: true},
			took:   0,
			looks:  []string{"queues 0s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := stdcmp.Or(c.kernel, &kernel{})
				m := k.monitor(io.Discard)
				left, err := m.Quiesce(t.Context(), []uint16{61001, 61000, 61001}, c.max)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, left); diff != "" {
					t.Errorf("left (-want +got):\n%s", diff)
				}
				if took := time.Since(k.begun); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
				if diff := cmp.Diff(c.looks, k.looks); c.looks != nil && diff != "" {
					t.Errorf("looks (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestDrain(t *testing.T) {
	unreadable := errors.New("unreadable")
	for name, c := range map[string]struct {
		kernel   *kernel       // nil: nothing at all
		led      time.Duration // ago, to the ports, if Quiesce was called then; 0: nobody knows
		deadline time.Duration // 0: none
		want     Left
		took     time.Duration
		looks    []string // nil: not compared
	}{
		"nothing left": {
			deadline: 5 * time.Minute,
			took:     10 * time.Millisecond,
			looks:    []string{"live 0s", "live 10ms", "entries 10ms"}, // that one serves to confirm: no time has passed
		},
		"nothing left, in looks of 1 ms": {
			kernel: &kernel{took: time.Millisecond},
			took:   14 * time.Millisecond,
			looks:  []string{"live 0s", "live 11ms", "entries 12ms", "live 13ms"},
		},
		"nothing left, and all handshakes went well": {
			kernel: &kernel{wrong: wrongFrom(forever)},
			led:    unanswered,
			took:   10 * time.Millisecond,
			looks:  []string{"live 0s", "live 10ms"},
		},
		"nothing left, and the entries have not our timeouts": {
			led:   time.Minute,
			took:  10 * time.Millisecond,
			looks: []string{"live 0s", "live 10ms", "entries 10ms"},
		},
		"nothing left, but a SYN may be on its way": {
			kernel: &kernel{wrong: wrongFrom(forever)},
			led:    unanswered - 20*time.Millisecond,
			took:   10 * time.Millisecond,
			looks:  []string{"live 0s", "live 10ms", "entries 10ms"},
		},
		"nothing left, and nobody knows since when": {
			kernel: &kernel{wrong: wrongFrom(forever)},
			took:   10 * time.Millisecond,
			looks:  []string{"live 0s", "live 10ms", "entries 10ms"},
		},
		"nothing left, but a handshake went wrong": {
			led:    time.Minute,
			kernel: &kernel{wrong: wrongFrom(0)},
			took:   10 * time.Millisecond,
			looks:  []string{"live 0s", "live 10ms", "entries 10ms"},
		},
		"nothing left, and handshakes unreadable": {
			led:    time.Minute,
			kernel: &kernel{wrong: func(time.Duration) (uint64, error) { return 0, unreadable }},
			took:   10 * time.Millisecond,
			looks:  []string{"live 0s", "live 10ms", "entries 10ms"},
		},
		"connections that end": {
			kernel: &kernel{live: until(120*time.Millisecond, 7)},
			took:   160 * time.Millisecond,
			looks:  []string{"live 0s", "live 50ms", "live 100ms", "live 150ms", "live 160ms", "entries 160ms"},
		},
		"an entry that leads to no connection": {
			kernel: &kernel{entries: until(100*time.Millisecond, 1)},
			took:   110 * time.Millisecond,
			looks: []string{
				"live 0s", "live 10ms", "entries 10ms", "entries 60ms", "entries 110ms", "live 110ms",
			},
		},
		"an entry that leads to a connection": {
			kernel: &kernel{
				entries: until(50*time.Millisecond, 1),
				live: func(at time.Duration) (int, error) {
					if at >= 30*time.Millisecond && at < 80*time.Millisecond {
						return 1, nil
					}
					return 0, nil
				},
			},
			took: 120 * time.Millisecond,
			looks: []string{
				"live 0s", "live 10ms", "entries 10ms", "entries 60ms", "live 60ms", // there it is
				"live 110ms", "live 120ms", "entries 120ms",
			},
		},
		"an entry for days": {
			kernel: &kernel{entries: until(forever, 1)},
			want:   Left{Entries: 2},
			took:   10*time.Millisecond + maxEntriesWait,
		},
		"an entry for days, and a deadline before": {
			kernel:   &kernel{entries: until(forever, 1)},
			deadline: 2 * time.Second,
			want:     Left{Entries: 2, Expired: true},
			took:     2 * time.Second,
		},
		"a connection for ever": {
			kernel:   &kernel{live: until(forever, 3)},
			deadline: 5 * time.Minute,
			want:     Left{Live: 6, Expired: true},
			took:     5 * time.Minute,
		},
		"a deadline that has passed": {
			kernel:   &kernel{live: until(forever, 3)},
			deadline: -time.Second,
			want:     Left{Live: 6, Expired: true},
			took:     0,
			looks:    []string{"live 0s"},
		},
		"a connection seen only to confirm, at the deadline": {
			kernel: &kernel{took: time.Millisecond, live: func(at time.Duration) (int, error) {
				if at == 13*time.Millisecond {
					return 1, nil
				}
				return 0, nil
			}},
			deadline: 13500 * time.Microsecond,
			want:     Left{Live: 2, Expired: true},
			took:     14 * time.Millisecond,
			looks:    []string{"live 0s", "live 11ms", "entries 12ms", "live 13ms"},
		},
		"conntrack unreadable": {
			kernel: &kernel{entries: func(time.Duration) (int, error) { return 0, unreadable }},
			took:   10*time.Millisecond + maxEntriesWait,
			looks:  []string{"live 0s", "live 10ms", "entries 10ms", "live 5.01s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := stdcmp.Or(c.kernel, &kernel{})
				var log strings.Builder
				m := k.monitor(&log)
				if c.led != 0 {
					m.left.note([]uint16{61000, 61001})
					time.Sleep(c.led)
					k.begun = time.Now()
				}
				deadline := time.Time{}
				if c.deadline != 0 {
					deadline = time.Now().Add(c.deadline)
				}
				left, err := m.Drain(t.Context(), []uint16{61000, 61001}, deadline)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, left); diff != "" {
					t.Errorf("left (-want +got):\n%s", diff)
				}
				if took := time.Since(k.begun); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
				if diff := cmp.Diff(c.looks, k.looks); c.looks != nil && diff != "" {
					t.Errorf("looks (-want +got):\n%s", diff)
				}
				if m.left.longAgo([]uint16{61000}) {
					t.Error("the ports are still known as this server's")
				}
				if strings.Contains(log.String(), "unreadable") != (name == "conntrack unreadable") {
					t.Errorf("log: %s", log.String())
				}
			})
		})
	}
}

// wrongFrom shows one handshake that went wrong at a time.
func wrongFrom(when time.Duration) func(time.Duration) (uint64, error) {
	return func(at time.Duration) (uint64, error) {
		if at >= when {
			return 1, nil
		}
		return 0, nil
	}
}

func TestNoPortsNothingToWaitFor(t *testing.T) {
	m := New(Options{})
	if left, err := m.Quiesce(t.Context(), nil, time.Hour); left != (Left{}) || err != nil {
		t.Errorf("Quiesce: %+v, %v", left, err)
	}
	if left, err := m.Drain(t.Context(), nil, time.Time{}); left != (Left{}) || err != nil {
		t.Errorf("Drain: %+v, %v", left, err)
	}
}

// A drain without an end wakes up at most every 2 s, and seldom if a look costs
// much.
func TestLongDrainLooksSeldom(t *testing.T) {
	for name, c := range map[string]struct {
		took     time.Duration
		max, min int // looks in the second hour
	}{
		"cheap looks":           {time.Millisecond, 1800, 1700},
		"60 ms a look":          {60 * time.Millisecond, 1800, 1700},
		"200 ms a look":         {200 * time.Millisecond, 900, 800},
		"a look takes a second": {time.Second, 720, 500},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := kernel{live: until(forever, 1), took: c.took}
				m := k.monitor(io.Discard)
				if _, err := m.Drain(t.Context(), []uint16{1}, time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				first := len(k.looks)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				if _, err := m.Drain(ctx, []uint16{1}, time.Time{}); err != context.DeadlineExceeded {
					t.Fatal(err)
				}
				n := len(k.looks) - 2*first
				t.Logf("%d looks in the first hour, %d in the second", first, n)
				if n > c.max || n < c.min {
					t.Errorf("%d looks, want %d to %d", n, c.min, c.max)
				}
			})
		})
	}
}

// Fifty drains at once don't cost fifty times the looks of one.
func TestLooksAreShared(t *testing.T) {
	alone := func(t *testing.T, n int) (looks int) {
		synctest.Test(t, func(t *testing.T) {
			k := kernel{live: until(30*time.Second, 1), took: 20 * time.Millisecond}
			m := k.monitor(io.Discard)
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 7 * time.Millisecond)
					left, err := m.Drain(t.Context(), []uint16{uint16(61000 + i)}, time.Time{})
					if left != (Left{}) || err != nil {
						t.Errorf("%+v, %v", left, err)
					}
				})
			}
			wg.Wait()
			looks = k.count("live")
		})
		return looks
	}
	one, fifty := alone(t, 1), alone(t, 50)
	t.Logf("one drain: %d looks, fifty: %d", one, fifty)
	if fifty > 5*one {
		t.Errorf("fifty drains took %d looks, one %d", fifty, one)
	}
}

func TestContextEndsAWait(t *testing.T) {
	for name, begin := range map[string]func(context.Context, *Monitor) error{
		"quiesce": func(ctx context.Context, m *Monitor) error {
			_, err := m.Quiesce(ctx, []uint16{1}, time.Hour)
			return err
		},
		"drain": func(ctx context.Context, m *Monitor) error {
			_, err := m.Drain(ctx, []uint16{1}, time.Time{})
			return err
		},
		"connections": func(ctx context.Context, m *Monitor) error {
			_, err := m.Connections(ctx, []uint16{1})
			return err
		},
	} {
		for when, took := range map[string]time.Duration{"in a pause": 0, "in a look": time.Hour} {
			if name == "connections" && took == 0 {
				continue
			}
			t.Run(name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := kernel{queues: until(forever, queue{unaccepted: 1}), live: until(forever, 1), took: took}
					m := k.monitor(io.Discard)
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(time.Minute, cancel)
					if err := begin(ctx, m); err != context.Canceled {
						t.Errorf("got %v, want context.Canceled", err)
					}
					if since := time.Since(k.begun); since != time.Minute {
						t.Errorf("ended after %s", since)
					}
				})
			})
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		k := kernel{
			queues: func(time.Duration) (queue, error) { return queue{}, broken },
			live:   func(time.Duration) (int, error) { return 0, broken },
		}
		m := k.monitor(io.Discard)
		ports := []uint16{61001, 61000}
		_, quiesce := m.Quiesce(t.Context(), ports, time.Hour)
		_, drain := m.Drain(t.Context(), ports, time.Time{})
		_, connections := m.Connections(t.Context(), ports)
		var got []string
		for _, err := range []error{quiesce, drain, connections} {
			if !errors.Is(err, broken) {
				t.Errorf("%v does not wrap the cause", err)
			}
			got = append(got, err.Error())
		}
		want := []string{
			"quiesce ports [61000 61001]: broken",
			"drain ports [61000 61001]: broken",
			"count connections of ports [61000 61001]: broken",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
