package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	maxAnswer = 64 << 10 // of an answer is read, in bytes
	maxLine   = 200      // of a refusal's first line is quoted
	// patience is how long the body of a refusal may take once its header
	// is there.
	patience = 200 * time.Millisecond
)

// HTTP asks the server behind addr, what a listener is bound to, for path (with
// its query, if any) in plain HTTP/1.1, and is satisfied with 2xx or 3xx;
// redirects are not followed. The Host header is the address connected to. The
// error of any other answer holds its status and the first line of its body.
func HTTP(ctx context.Context, addr netip.AddrPort, path string) error {
	req, err := request(ctx, addr, path)
	if err != nil {
		return err
	}
	if err := get(ctx, addr, req); err != nil {
		return fmt.Errorf("GET %s: %w", req.URL, err)
	}
	return nil
}

// get does without http.Transport, which pools connections, asks the
// environment for a proxy and writes to the global log when a server speaks
// first.
func get(ctx context.Context, addr netip.AddrPort, req *http.Request) error {
	conn, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer leave(conn)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	resp, err := exchange(conn, req)
	if !stop() {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	switch resp.StatusCode / 100 {
	case 2, 3:
		return nil // leave reads what remains
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	if line := firstLine(resp.Body); line != "" {
		return fmt.Errorf("%s: %q", resp.Status, line)
	}
	return fmt.Errorf("%s", resp.Status)
}

// exchange sends the request and returns the final answer, whose body is still
// to be read from conn and need not be closed.
func exchange(conn net.Conn, req *http.Request) (*http.Response, error) {
	if err := req.Write(conn); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	r := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	for {
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		// 1xx precede the answer, but for the switch to another protocol.
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
}

func request(ctx context.Context, addr netip.AddrPort, path string) (*http.Request, error) {
	u, err := url.ParseRequestURI(path)
	if err != nil || u.Host != "" || path == "" || path[0] != '/' {
		return nil, fmt.Errorf("probe path %q is not of the form /path", path)
	}
	host := reachable(addr)[0]
	u.Scheme = "http"
	u.Host = netip.AddrPortFrom(host.Addr().WithZone(""), host.Port()).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("probe path %q: %w", path, err)
	}
	req.Close = true
	req.Header.Set("User-Agent", "switcheroo-probe")
	return req, nil
}

// firstLine returns the first line that is not blank, cut at maxLine.
func firstLine(body io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(body, 4<<10)) // what came is what is quoted
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			return line[:min(len(line), maxLine)]
		}
	}
	return ""
}
