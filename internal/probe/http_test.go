package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// web serves HTTP on the address until the test ends.
func web(t *testing.T, addr string, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	network := "tcp6"
	if strings.Contains(addr, ".") {
		network = "tcp4" // else 0.0.0.0 would be [::]
	}
	l, bound := listen(t, network, addr)
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return bound
}

func TestHTTPStatus(t *testing.T) {
	needKernel(t)
	for name, c := range map[string]struct {
		status  int
		body    string
		wantErr string // without the address; empty for success
	}{
		"200":              {200, "ok", ""},
		"204":              {204, "", ""},
		"redirect":         {302, "", ""},
		"404":              {404, "404 page not found\n", `404 Not Found: "404 page not found"`},
		"503 and why":      {503, "\n  database is starting\nsecond line\n", `503 Service Unavailable: "database is starting"`},
		"500 and nothing":  {500, "", `500 Internal Server Error`},
		"control bytes":    {500, "a\x1b[31mb", `500 Internal Server Error: "a\x1b[31mb"`},
		"one endless line": {500, strings.Repeat("x", 1<<20), `500 Internal Server Error: "` + strings.Repeat("x", maxLine) + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan *http.Request, 2)
			addr := web(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
				asked <- r
				if c.status == 302 {
					w.Header().Set("Location", "/elsewhere")
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			err := HTTP(within(t, 5*time.Second), addr, "/healthz?full=1")
			got := ""
			if err != nil {
				got = err.Error()
			}
			want := c.wantErr
			if want != "" {
				want = "GET http://" + addr.String() + "/healthz?full=1: " + want
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			r := <-asked
			if r.Method != "GET" || r.RequestURI != "/healthz?full=1" || r.Host != addr.String() || !r.Close {
				t.Errorf("asked %s %s of %s, close %v", r.Method, r.RequestURI, r.Host, r.Close)
			}
			if len(asked) > 0 {
				t.Error("asked twice")
			}
		})
	}
}

func TestHTTPAddresses(t *testing.T) {
	needKernel(t)
	for listen, host := range map[string]string{
		"0.0.0.0:0": "127.0.0.1",
		"[::]:0":    "[::1]",
		"[::1]:0":   "[::1]",
	} {
		t.Run(listen, func(t *testing.T) {
			hosts := make(chan string, 1)
			addr := web(t, listen, func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })
			if err := HTTP(within(t, 5*time.Second), addr, "/"); err != nil {
				t.Fatal(err)
			}
			name, _, err := net.SplitHostPort(<-hosts)
			if err != nil || name != strings.Trim(host, "[]") {
				t.Errorf("Host %q, %v; want %s", name, err, host)
			}
		})
	}
}

func TestHTTPIgnoresTheEnvironmentsProxy(t *testing.T) {
	needKernel(t)
	for _, name := range []string{"HTTP_PROXY", "http_proxy"} {
		t.Setenv(name, "http://127.0.0.1:9")
	}
	addr := web(t, "127.0.0.7:0", func(http.ResponseWriter, *http.Request) {})
	if err := HTTP(within(t, 5*time.Second), addr, "/"); err != nil {
		t.Error(err)
	}
}

// A body that never ends does not hold up the answer.
func TestHTTPEndlessBody(t *testing.T) {
	needKernel(t)
	for name, status := range map[string]int{"accepted": 200, "refused": 500} {
		t.Run(name, func(t *testing.T) {
			addr := web(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				io.WriteString(w, "one line\n")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			begun := time.Now()
			err := HTTP(within(t, 20*time.Second), addr, "/")
			if (err == nil) != (status == 200) || time.Since(begun) > 10*time.Second {
				t.Errorf("got %v after %s", err, time.Since(begun))
			}
			if err != nil && !strings.Contains(err.Error(), `"one line"`) {
				t.Errorf("got %v, want the line that was sent", err)
			}
		})
	}
}

func TestHTTPNoAnswer(t *testing.T) {
	needKernel(t)
	l, addr := listen(t, "tcp", "127.0.0.1:0")
	serve(t, l, keep(t))
	err := HTTP(within(t, 100*time.Millisecond), addr, "/")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

// What a server says may be anything.
func TestHTTPRawAnswers(t *testing.T) {
	needKernel(t)
	for name, test := range map[string]struct {
		answer, wantErr string // how the error begins behind "GET URL: "; empty for success
	}{
		"another protocol": {"220 smtp\r\n", "read answer: "},
		"nothing":          {"", "read answer: "},
		"cut off":          {"HTTP/1.1 200 OK\r\nContent-", "read answer: "},
		"interim answers":  {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", ""},
		"interim, refused": {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\n\r\nwhy", `500 No: "why"`},
		"only interim":     {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1<<14), "read answer: "},
		"switches":         {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 Switching Protocols"},
		"endless header":   {"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 1<<20), "read answer: "},
		"HTTP/1.0":         {"HTTP/1.0 200 OK\r\n\r\nfine", ""},
		"short body":       {"HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nwhy", `500 No: "why"`},
	} {
		t.Run(name, func(t *testing.T) {
			l, addr := listen(t, "tcp", "127.0.0.1:0")
			serve(t, l, func(c *net.TCPConn) {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					t.Error(err)
				}
				io.WriteString(c, test.answer)
			})
			err := HTTP(within(t, 5*time.Second), addr, "/")
			got := ""
			if err != nil {
				got = strings.TrimPrefix(err.Error(), "GET http://"+addr.String()+"/: ")
			}
			if (err == nil) != (test.wantErr == "") || !strings.HasPrefix(got, test.wantErr) {
				t.Errorf("got  %q\nwant %q", got, test.wantErr)
			}
		})
	}
}

// The server sees an end of file behind the request, not a reset.
func TestHTTPLeavesInOrder(t *testing.T) {
	needKernel(t)
	l, addr := listen(t, "tcp", "127.0.0.1:0")
	ended := make(chan error, 1)
	serve(t, l, func(c *net.TCPConn) {
		defer c.Close()
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err != nil {
			t.Error(err)
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("body ", 1000))
		_, err := r.ReadByte()
		ended <- err
	})
	if err := HTTP(within(t, 5*time.Second), addr, "/"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("the server read %v, want EOF", err)
	}
}

func TestRequestPath(t *testing.T) {
	addr := netip.MustParseAddrPort("[fe80::1%eth0]:80")
	for path, want := range map[string]string{
		"/":               "http://[fe80::1]:80/",
		"/a/b?c=d":        "http://[fe80::1]:80/a/b?c=d",
		"//other.example": "http://[fe80::1]:80//other.example",
		"healthz":         "",
		"":                "",
		"http://other/":   "",
		"/a b\n":          "",
	} {
		req, err := request(t.Context(), addr, path)
		got := ""
		if err == nil {
			got = req.URL.String()
		}
		if got != want {
			t.Errorf("%q: got %q, %v; want %q", path, got, err, want)
		}
	}
}

func FuzzRequestPath(f *testing.F) {
	f.Add("/healthz")
	f.Add("//host/path?q#f")
	f.Add("http://elsewhere/")
	addr := netip.MustParseAddrPort("127.0.0.1:80")
	f.Fuzz(func(t *testing.T, path string) {
		req, err := request(t.Context(), addr, path)
		if err == nil && (req.URL.Host != addr.String() || req.URL.Scheme != "http" || req.URL.User != nil) {
			t.Errorf("%q leads to %s", path, req.URL)
		}
	})
}

func FuzzFirstLine(f *testing.F) {
	f.Add("\n  why \nsecond")
	f.Add(strings.Repeat("x", 2*maxLine))
	f.Fuzz(func(t *testing.T, body string) {
		line := firstLine(strings.NewReader(body))
		if len(line) > maxLine || strings.Contains(line, "\n") || !strings.Contains(body, line) {
			t.Errorf("%q of %q", line, body)
		}
	})
}
