package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// exchange makes a call that file descriptors go or come with, over a connection
// of its own. What comes is the caller's to close, and nothing comes with an
// error.
func (c *Client) exchange(ctx context.Context, method, path string, what any, files []*os.File, into any) ([]*os.File, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(limited, "unix", c.socket)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(limited, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	r := &RightsConn{UnixConn: conn.(*net.UnixConn)}
	r.Send(files)
	err = roundTrip(r, method, path, body, into)
	came := r.Take()
	if err != nil {
		closeAll(came)
		if limited.Err() != nil && ctx.Err() == nil {
			err = limited.Err()
		}
		return nil, c.explain(ctx, err)
	}
	return came, nil
}

func roundTrip(conn net.Conn, method, path string, body []byte, into any) error {
	req, err := http.NewRequest(method, "http://switcheroo"+Version+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	if err := req.Write(conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode < 300 {
		return json.Unmarshal(text, into)
	}
	var f Failure
	if err := json.Unmarshal(text, &f); err != nil || f.Error == nil {
		return &Error{Code: Internal, Message: "the daemon answered " + resp.Status, Status: resp.StatusCode}
	}
	f.Error.Status = resp.StatusCode
	return f.Error
}

// RightsConn is a connection over which file descriptors are passed as well
// (SCM_RIGHTS). Like a net.Conn it has one reader and one writer at a time, which
// may be two goroutines.
type RightsConn struct {
	*net.UnixConn
	send []*os.File
	oob  []byte

	mu   sync.Mutex
	came []*os.File
}

// Send has files go with what is written next. They must be open until then.
func (c *RightsConn) Send(files []*os.File) { c.send = files }

// Take returns the file descriptors that have come so far, at most
// MaxListeners, for the caller to close.
func (c *RightsConn) Take() []*os.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	came := c.came
	c.came = nil
	return came
}

// Read reads bytes, and puts aside the file descriptors that come with them.
func (c *RightsConn) Read(b []byte) (int, error) {
	if c.oob == nil {
		c.oob = make([]byte, unix.CmsgSpace(4*MaxListeners))
	}
	n, oobn, _, _, err := c.ReadMsgUnix(b, c.oob) // close-on-exec
	if oobn > 0 {
		c.take(c.oob[:oobn])
	}
	received(c.UnixConn)
	if errors.Is(err, io.EOF) {
		err = io.EOF // as callers compare
	}
	return max(n, 0), err // it is negative when there is an error
}

func (c *RightsConn) take(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		c.mu.Lock()
		for _, fd := range fds {
			if len(c.came) >= MaxListeners {
				unix.Close(fd)
				continue
			}
			c.came = append(c.came, os.NewFile(uintptr(fd), "passed"))
		}
		c.mu.Unlock()
	}
}

// Write writes bytes, and with the first of them the files of Send.
func (c *RightsConn) Write(b []byte) (int, error) {
	if len(c.send) == 0 || len(b) == 0 {
		return c.UnixConn.Write(b)
	}
	files := c.send
	c.send = nil
	// Not by Fd, which would have them block for all who have a copy.
	fds := make([]int, 0, len(files))
	n, err := withFDs(files, fds, func(fds []int) (int, error) {
		n, _, err := c.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
		return max(n, 0), err
	})
	if err != nil || n == len(b) {
		return n, err
	}
	rest, err := c.UnixConn.Write(b[n:])
	return n + rest, err
}

// withFDs calls do with the descriptors of files, which are open meanwhile.
func withFDs(files []*os.File, fds []int, do func([]int) (int, error)) (n int, err error) {
	if len(files) == 0 {
		return do(fds)
	}
	raw, err := files[0].SyscallConn()
	if err != nil {
		return 0, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { n, inner = withFDs(files[1:], append(fds, int(fd)), do) })
	return n, errors.Join(err, inner)
}
