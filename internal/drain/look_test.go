package drain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slow is a look that takes a second and notes its ports.
func slow(taken *[]string) *look[int] {
	begun := time.Now()
	return &look[int]{read: func(ctx context.Context, ports []uint16) (map[uint16]int, error) {
		*taken = append(*taken, fmt.Sprint(time.Since(begun), ports))
		if err := sleep(ctx, time.Second, time.Time{}); err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		return map[uint16]int{ports[0]: 1}, nil
	}}
}

func TestLook(t *testing.T) {
	type asking struct {
		after  time.Duration // when
		since  time.Duration // how old the reading may be, as a time
		ports  []uint16
		cancel time.Duration // 0: never
	}
	for name, c := range map[string]struct {
		watched []uint16
		asking  []asking
		want    []string
	}{
		"alone, with what others watch": {
			watched: []uint16{3, 1},
			asking:  []asking{{ports: []uint16{2, 1}}},
			want:    []string{"0s [1 2 3]"},
		},
		"shared while under way": {
			asking: []asking{{ports: []uint16{1}}, {after: 500 * time.Millisecond, ports: []uint16{1}}},
			want:   []string{"0s [1]"},
		},
		"shared afterwards, if recent enough": {
			asking: []asking{{ports: []uint16{1}}, {after: 5 * time.Second, ports: []uint16{1}}},
			want:   []string{"0s [1]"},
		},
		"too old": {
			asking: []asking{{ports: []uint16{1}}, {after: 5 * time.Second, since: 2 * time.Second, ports: []uint16{1}}},
			want:   []string{"0s [1]", "5s [1]"},
		},
		"begun too early": {
			asking: []asking{{ports: []uint16{1}}, {after: 500 * time.Millisecond, since: 500 * time.Millisecond, ports: []uint16{1}}},
			want:   []string{"0s [1]", "1s [1]"},
		},
		"of other ports": {
			asking: []asking{{ports: []uint16{1}}, {after: 500 * time.Millisecond, ports: []uint16{2}}},
			want:   []string{"0s [1]", "1s [2]"},
		},
		"its reader was called off": {
			asking: []asking{
				{ports: []uint16{1}, cancel: 700 * time.Millisecond},
				{after: 500 * time.Millisecond, ports: []uint16{1}},
			},
			want: []string{"0s [1]", "700ms [1]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var taken []string
				l := slow(&taken)
				defer l.watch(c.watched)()
				begun := time.Now()
				var wg sync.WaitGroup
				for _, a := range c.asking {
					wg.Go(func() {
						time.Sleep(a.after)
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						if a.cancel > 0 {
							time.AfterFunc(a.cancel, cancel)
						}
						r, err := l.at(ctx, begun.Add(a.since), distinct(a.ports))
						if a.cancel > 0 {
							if err != context.Canceled {
								t.Errorf("got %v, want context.Canceled", err)
							}
							return
						}
						if err != nil {
							t.Error(err)
						} else if r.begun.Before(begun.Add(a.since)) || !r.covers(a.ports) {
							t.Errorf("reading of %s of ports %v", r.begun.Sub(begun), r.ports)
						}
					})
				}
				wg.Wait()
				if diff := cmp.Diff(c.want, taken); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestWatchEnds(t *testing.T) {
	var l look[int]
	a, b := l.watch([]uint16{1, 2}), l.watch([]uint16{2, 3})
	a()
	if diff := cmp.Diff(map[uint16]int{2: 1, 3: 1}, l.watched); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b()
	if len(l.watched) != 0 {
		t.Errorf("still watched: %v", l.watched)
	}
}

// A look that failed is tried again by the next who asks, not by those who shared it.
func TestLookFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, broken := 0, errors.New("broken")
		l := look[int]{read: func(context.Context, []uint16) (map[uint16]int, error) {
			time.Sleep(time.Second)
			if n++; n == 1 {
				return nil, broken
			}
			return nil, nil
		}}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := l.at(t.Context(), time.Time{}, []uint16{1}); err != broken {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if _, err := l.at(t.Context(), time.Time{}, []uint16{1}); err != nil || n != 2 {
			t.Errorf("then %v, %d looks", err, n)
		}
	})
}

func TestPace(t *testing.T) {
	p := pace{min: 50 * time.Millisecond, max: 2 * time.Second, rest: 20}
	for _, c := range []struct{ waited, took, want time.Duration }{
		{0, 0, 50 * time.Millisecond},
		{time.Second, 0, 100 * time.Millisecond},
		{time.Minute, 0, 2 * time.Second},
		{0, 10 * time.Millisecond, 200 * time.Millisecond},
		{time.Minute, 150 * time.Millisecond, 3 * time.Second},
		{time.Minute, time.Minute, maxRest},
	} {
		if got := p.pause(c.waited, c.took); got != c.want {
			t.Errorf("waited %s, took %s: %s, want %s", c.waited, c.took, got, c.want)
		}
	}
}
