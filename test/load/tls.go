package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"time"
)

// tlsConfig takes any certificate: what matters is that the handshake, and
// every record, comes from one end.
var tlsConfig = &tls.Config{InsecureSkipVerify: true, ServerName: "test", NextProtos: []string{"http/1.1"}}

// tlsKeepAlive does over TLS what httpKeepAlive does.
func tlsKeepAlive(ctx context.Context, t *talk) error {
	t.phase = Handshake
	c := tls.Client(t.conn, tlsConfig)
	if err := c.Handshake(); err != nil {
		return err
	}
	t.out, t.secure = c, true
	t.in.Reset(c)
	return httpKeepAlive(ctx, t)
}

// glance is how long the rest of a record may take that came while idle.
const glance = 200 * time.Millisecond

// idleTLS is idle within TLS, which itself may have read on: to a close_notify,
// or to a session ticket.
func (t *talk) idleTLS(ctx context.Context, d time.Duration) error {
	t.phase, t.patient = Idle, true
	defer func() { t.patient = false }()
	look := func() error {
		_, err := t.in.Peek(1)
		return err
	}
	err := t.until(ctx, d, look)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.forget() // which is no failure
		if more, err := t.idle(ctx, 0); !more {
			return err
		}
		// This goroutine was late, or something else than data has come.
		if err = t.until(context.Background(), glance, look); errors.Is(err, os.ErrDeadlineExceeded) {
			t.forget()
			return nil
		}
	}
	switch {
	case err == nil:
		return errUnasked
	case errors.Is(err, io.EOF):
		return errIdleClose
	}
	return err
}
