package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

func httpShort(_ context.Context, t *talk) error {
	began := t.begin()
	if err := t.exchange("/version", true, checkVersion); err != nil {
		return err
	}
	t.answered(began, t.version)
	return nil
}

func httpKeepAlive(ctx context.Context, t *talk) error {
	return t.requests(ctx, func(last bool) error { return t.exchange("/version", last, checkVersion) })
}

func httpStream(_ context.Context, t *talk) error {
	d := t.client.StreamFor
	began := t.begin()
	if err := t.exchange("/stream?seconds="+strconv.FormatFloat(d.Seconds(), 'f', -1, 64), true, checkStream(d)); err != nil {
		return err
	}
	t.answered(began, t.version)
	return nil
}

// exchange sends a request and checks the response with check, byte for byte.
// With the last one of a connection it asks the server to close, and waits for
// that; a server may also close of itself if it says so: c.closing. After an
// error c.phase says when it happened.
func (c *conn) exchange(path string, last bool, check func(*http.Response) error) error {
	closing := ""
	if last {
		closing = "Connection: close\r\n"
	}
	if err := c.send(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", path, closing)); err != nil {
		return err
	}
	r, err := c.response(nil)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return wrong("status " + r.Status)
	}
	if err := check(r); err != nil {
		return err
	}
	if c.closing = r.Close && !last; c.closing || last {
		return c.ended()
	}
	return nil
}

// response reads the head of a response whose first byte is there. No response
// begins as a reset of the server's own will does.
func (c *conn) response(to *http.Request) (*http.Response, error) {
	if first, _ := c.in.Peek(1); string(first) == string(wire.Reset) {
		return nil, errOwnReset
	}
	r, err := http.ReadResponse(c.in, to)
	if err != nil {
		return nil, err
	}
	c.version = r.Header.Get(wire.VersionHeader)
	return r, nil
}

// checkVersion expects the body of /version to be the version of the header.
func checkVersion(r *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4096))
	if err != nil {
		return err
	}
	if want := r.Header.Get(wire.VersionHeader) + "\n"; want == "\n" || string(body) != want {
		return wrong(fmt.Sprintf("the body is %q, the version %q", body, want))
	}
	return nil
}

// checkStream expects the body to be the stream that lasts d.
func checkStream(d time.Duration) func(*http.Response) error {
	length := wire.StreamLength(d)
	return func(r *http.Response) error {
		if r.ContentLength != length {
			return wrong(fmt.Sprintf("the stream has %d bytes, not %d", r.ContentLength, length))
		}
		got, want := make([]byte, wire.Chunk), make([]byte, wire.Chunk)
		for offset := int64(0); offset < length; offset += wire.Chunk {
			if _, err := io.ReadFull(r.Body, got); err != nil {
				return err
			}
			if wire.Fill(want, offset); !bytes.Equal(got, want) {
				return wrong(fmt.Sprintf("the stream differs in the %d bytes from %d on", len(got), offset))
			}
		}
		return nil
	}
}
