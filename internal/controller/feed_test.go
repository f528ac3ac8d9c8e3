package controller

import (
	"testing"
	"time"
)

func TestFeed(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	f := NewFeed(now)
	begin := f.Last()
	if begin != uint64(now.UnixMicro()) {
		t.Errorf("IDs begin with %d", begin)
	}
	news, missed, more := f.Since(begin)
	if len(news) != 0 || missed {
		t.Errorf("an empty feed has %v, missed %v", news, missed)
	}
	for range feedLen + 10 {
		f.Add(News{Kind: Switched})
	}
	select {
	case <-more:
	default:
		t.Error("nobody was woken")
	}
	news, missed, _ = f.Since(begin)
	if !missed || len(news) != feedBatch || news[0].ID != begin+11 {
		t.Errorf("missed %v, %d news from %d on", missed, len(news), news[0].ID-begin)
	}
	// Batch by batch to the end, each once.
	read, last := 0, begin+10
	for {
		news, missed, more = f.Since(last)
		if missed {
			t.Fatal("missed some of what is kept")
		}
		if len(news) == 0 {
			break
		}
		for _, n := range news {
			if last++; n.ID != last {
				t.Fatalf("%d after %d", n.ID, last-1)
			}
		}
		read += len(news)
	}
	if read != feedLen || last != f.Last() || len(f.All()) != feedLen {
		t.Errorf("read %d up to %d of %d, all are %d", read, last, f.Last(), len(f.All()))
	}
	select {
	case <-more:
		t.Error("woken for nothing")
	default:
	}
	// An ID from the future is of a daemon whose clock was ahead.
	if news, missed, _ := f.Since(last + 1000); !missed || len(news) != feedBatch {
		t.Errorf("from the future: missed %v, %d", missed, len(news))
	}
}

// News of a later daemon have greater IDs.
func TestFeedAcrossRestarts(t *testing.T) {
	f := NewFeed(time.Now())
	for range 10 {
		f.Add(News{})
	}
	time.Sleep(time.Millisecond) // no daemon lives shorter
	if next := NewFeed(time.Now()); next.Last() < f.Last() {
		t.Errorf("%d after %d", next.Last(), f.Last())
	}
}
