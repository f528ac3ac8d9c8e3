package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// FuzzRequests sends any bytes. Whatever they are, the answers are HTTP, an
// error is said in JSON, and the server is there for the next one.
func FuzzRequests(f *testing.F) {
	for _, r := range routes {
		f.Add([]byte(r.method + " " + r.path + " HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	for _, body := range []string{`{"unit":"myapp@v1","wait":"none"}`, `{"unit":7}`, `{"service":"myapp"}`, `{`, `[]`, `{"unit":"a"}{}`,
		`{"unit":"myapp@v1","timeout":"infinity"}`, `{"unit":"myapp@v1","timeout":-1}`, `{"files":[{"name":"a@.service","text":"[X-Switcheroo]"}]}`} {
		for _, path := range []string{"deploy", "rollback", "drain", "wait", "check"} {
			f.Add([]byte(fmt.Sprintf("POST /v1/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)))
		}
	}
	f.Add([]byte("GET /v1/services/%00%ff?connections=maybe HTTP/1.0\r\n\r\n"))
	f.Add([]byte("GET /v1/events?since=18446744073709551615 HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	b := &bench{fake: &fake{}, feed: controller.NewFeed(time.Now()), path: filepath.Join(f.TempDir(), "s")}
	b.shows(of(in("v1", controller.RoleCurrent)))
	var log bytes.Buffer
	b.server = New(Options{World: b, Feed: b.feed, Units: b, Sockets: b, Gate: b, Doctor: b, Journal: b, Metrics: NewMetrics("test", "none"),
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.path, Net: "unix"})
	if err != nil {
		f.Fatal(err)
	}
	go b.server.Run(f.Context(), l)
	f.Fuzz(func(t *testing.T, text []byte) {
		b.T = t
		answer := bufio.NewReader(strings.NewReader(b.raw(string(text))))
		for {
			resp, err := http.ReadResponse(answer, nil)
			if err != nil {
				break // the end, or of an answer that was cut off by the caller's own end
			}
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusNotImplemented &&
				resp.StatusCode != http.StatusHTTPVersionNotSupported && resp.StatusCode != http.StatusGatewayTimeout {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			var failure api.Failure
			if resp.StatusCode >= 400 && resp.Header.Get("Content-Type") == "application/json" &&
				(json.Unmarshal(body, &failure) != nil || failure.Error == nil || failure.Error.Message == "") && len(body) > 0 {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		}
		if bytes.Contains(log.Bytes(), []byte("panic")) {
			t.Fatalf("%s", log.Bytes())
		}
		log.Reset()
	})
}

// Who connects and says nothing is cut off; who reads events and stops reading
// is dropped. Nothing of either is left, and a reader who reads sees everything.
func TestIdleAndStalledClients(t *testing.T) {
	b := serve(t)
	if _, err := b.client.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	var conns []net.Conn
	dial := func(text string) {
		c, err := net.Dial("unix", b.path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, text)
		conns = append(conns, c)
	}
	for range 300 {
		dial("")
	}
	stream, err := b.client.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		dial("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	for b.server.long.busy() < 21 {
		time.Sleep(time.Millisecond)
	}
	// More than what fits into the sockets' buffers.
	reason := strings.Repeat("x", 4<<10)
	first := b.feed.Last()
	began := time.Now()
	const many = 600
	for range many {
		b.feed.Add(controller.News{Kind: controller.Trouble, Reason: reason})
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the writer was held up for %s", took)
	}
	for i := range many {
		e, err := stream.Next()
		if err != nil || e.ID != first+uint64(i)+1 {
			t.Fatalf("event %d: %+v, %v", i, e.ID, err)
		}
	}
	if _, err := b.client.Health(t.Context()); err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(time.Minute); b.server.long.busy() > 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d readers of events who do not read are not dropped", b.server.long.busy()-1)
		}
	}
	for _, c := range conns { // each is cut off by the server, not by us
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("not cut off: %v", err)
			break
		}
		c.Close()
	}
	stream.Close()
	b.client.Close()
	b.idle()
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > before+3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
		}
	}
}

// Over the limit one is told so, and others are let in.
func TestLimits(t *testing.T) {
	g := newGate(2, 3)
	for _, c := range []struct {
		caller caller
		want   bool
	}{
		{caller{uid: 1}, true}, {caller{uid: 1}, true}, {caller{uid: 1}, false}, {caller{uid: 2}, true}, {caller{uid: 3}, false},
		{caller{}, true}, {caller{}, true}, {caller{}, true}, {caller{}, false},
		// Of the same user, which is full.
		{caller{1, "myapp@v1.service"}, true}, {caller{1, "myapp@v1.service"}, true}, {caller{1, "myapp@v1.service"}, false},
		{caller{1, "myapp@v2.service"}, true},
	} {
		if got := g.enter(c.caller); got != c.want {
			t.Errorf("%+v: %v", c.caller, got)
		}
	}
	g.leave(caller{uid: 1})
	g.leave(caller{1, "myapp@v2.service"})
	if !g.enter(caller{uid: 3}) || g.busy() != 8 {
		t.Errorf("%d inside", g.busy())
	}
}

// The same refusal is told at once, and then counted.
func TestRefusalsAreToldOnce(t *testing.T) {
	var r refusals
	one := refusal{1000, "a.service", "deploy", ""}
	if r.count(one) != 1 || r.count(one) != 0 || r.count(one) != 0 || r.count(refusal{1001, "", "deploy", ""}) != 1 {
		t.Error("not once each")
	}
	r.last[one].at = time.Now().Add(-2 * tellAgain)
	if n := r.count(one); n != 3 {
		t.Errorf("%d times", n)
	}
	for i := range 3 * maxRefusals {
		r.count(refusal{uint32(i), "", "deploy", strings.Repeat("x", 1000)})
	}
	if len(r.last) > maxRefusals {
		t.Errorf("%d are remembered", len(r.last))
	}
}

// A request that is too large, too slow or in pieces is an error of its own.
func TestLargeAndSlowBodies(t *testing.T) {
	b := serve(t)
	large := strings.Repeat(" ", maxBody+1)
	if got := b.raw(fmt.Sprintf("POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(large), large)); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("%.80q", got)
	}
	if got := b.raw("GET /v1/health HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("%.80q", got)
	}
}
