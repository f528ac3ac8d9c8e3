package sockdiag

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// silent is a request that the kernel does not answer: without NLM_F_ACK there
// is nothing to say to a message of no operation.
var silent = netlink.Message{Header: netlink.Header{Type: netlink.Noop, Flags: netlink.Request}}

func TestContextEndsAnExchangeUnderWay(t *testing.T) {
	needKernel(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	err := Exchange(ctx, unix.NETLINK_SOCK_DIAG, silent, func(netlink.Message) error { return nil })
	if err != context.Canceled {
		t.Errorf("got %v, want context.Canceled", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = Exchange(ctx, unix.NETLINK_SOCK_DIAG, silent, func(netlink.Message) error { return nil })
	if err != context.DeadlineExceeded {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
}

func TestConsistently(t *testing.T) {
	other := errors.New("other")
	for name, c := range map[string]struct {
		errs []error // of one attempt after the other; the last is repeated
		n    int
		want error
	}{
		"at once":      {[]error{nil}, 1, nil},
		"interrupted":  {[]error{ErrInterrupted, ErrInterrupted, nil}, 3, nil},
		"other error":  {[]error{ErrInterrupted, other}, 2, other},
		"never a dump": {[]error{ErrInterrupted}, maxAttempts, ErrInterrupted},
	} {
		n := 0
		err := Consistently(func() error {
			n++
			return c.errs[min(n, len(c.errs))-1]
		})
		if err != c.want || n != c.n {
			t.Errorf("%s: got %v after %d attempts, want %v after %d", name, err, n, c.want, c.n)
		}
	}
}
