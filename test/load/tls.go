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
	t.out = c
	t.in.Reset(c)
	t.aside = t.tlsAside
	return httpKeepAlive(ctx, t)
}

// glance is how long a record that has begun may take to come.
const glance = 200 * time.Millisecond

// tlsAside reads what came while the connection was idle: that it is closed,
// or a session ticket.
func (t *talk) tlsAside() error {
	timeout := t.timeout
	t.timeout = min(glance, timeout)
	defer func() { t.timeout = timeout }()
	switch _, err := t.in.Peek(1); {
	case err == nil:
		return errUnasked
	case errors.Is(err, io.EOF):
		return errIdleClose
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.forget() // it was no data, and there is more to come
		return nil
	default:
		return err
	}
}
