package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// daemon answers on a unix socket with h.
func daemon(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	c := NewClient(path)
	t.Cleanup(func() {
		c.Close()
		s.Close()
		<-done
	})
	return c
}

func TestCallsSayWhatIsAsked(t *testing.T) {
	var got string
	c := daemon(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.RequestURI() + " " + string(body)
		switch r.URL.Path {
		case "/v1/services", "/v1/instances", "/v1/switches", "/v1/history", "/v1/connections/a b@c.service":
			io.WriteString(w, "[]")
		default:
			io.WriteString(w, "{}")
		}
	})
	ctx := t.Context()
	for want, call := range map[string]func() error{
		"GET /v1/services?connections=yes ":                 func() error { _, err := c.Services(ctx, Select{Connections: true}); return err },
		"GET /v1/services/my%2Fapp ":                        func() error { _, err := c.Service(ctx, "my/app", Select{}); return err },
		"GET /v1/instances ":                                func() error { _, err := c.Instances(ctx, Select{}); return err },
		"GET /v1/switches?service=myapp ":                   func() error { _, err := c.Switches(ctx, "myapp"); return err },
		"GET /v1/history?lines=3&service=a ":                func() error { _, err := c.History(ctx, "a", time.Time{}, 3); return err },
		"GET /v1/history?since=1970-01-01T00%3A00%3A01.5Z ": func() error { _, err := c.History(ctx, "", time.Unix(1, 5e8), 0); return err },
		"GET /v1/doctor ":                                   func() error { _, err := c.Doctor(ctx); return err },
		"GET /v1/connections/a%20b@c.service ":              func() error { _, err := c.Connections(ctx, "a b@c.service"); return err },
		"GET /v1/health ":                                   func() error { _, err := c.Health(ctx); return err },
		`POST /v1/check {"unit":"a.service"}`:               func() error { _, err := c.Check(ctx, Check{Unit: "a.service"}); return err },
		`POST /v1/deploy {"unit":"a","wait":"drained","timeout":1.5}`: func() error {
			_, err := c.Deploy(ctx, Deploy{Unit: "a", Wait: ForDrained, Timeout: Duration(1500 * time.Millisecond)})
			return err
		},
		`POST /v1/rollback {"service":"s"}`:               func() error { _, err := c.Rollback(ctx, Rollback{Service: "s"}); return err },
		`POST /v1/drain {"unit":"a"}`:                     func() error { _, err := c.Drain(ctx, Drain{Unit: "a"}); return err },
		`POST /v1/wait {"unit":"a","timeout":"infinity"}`: func() error { _, err := c.Wait(ctx, Wait{Unit: "a", Timeout: Infinity}); return err },
	} {
		if err := call(); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

func TestErrorsAreTyped(t *testing.T) {
	c := daemon(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/services/known":
			w.WriteHeader(http.StatusNotFound)
			json.NewEncoder(w).Encode(Failure{Errorf(NoService, "no service %q", "known").WithHint("see list")})
		case "/v1/services/plain":
			http.Error(w, "nginx says no", http.StatusBadGateway)
		case "/v1/services/cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"name":`)
		}
	})
	_, err := c.Service(t.Context(), "known", Select{})
	var e *Error
	if !errors.As(err, &e) || e.Code != NoService || e.Status != 404 || e.Hint() != "see list" {
		t.Errorf("%#v", err)
	}
	_, err = c.Service(t.Context(), "plain", Select{})
	if !errors.As(err, &e) || e.Code != Internal || e.Status != 502 {
		t.Errorf("%#v", err)
	}
	_, err = c.Service(t.Context(), "cut", Select{})
	if !errors.As(err, new(*UnreachableError)) {
		t.Errorf("%#v", err)
	}
	gone := NewClient(filepath.Join(t.TempDir(), "none"))
	_, err = gone.Health(t.Context())
	var u *UnreachableError
	if !errors.As(err, &u) || u.Hint() == "" {
		t.Errorf("%#v", err)
	}
}

func TestContextEndsACall(t *testing.T) {
	began := make(chan struct{})
	c := daemon(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	if _, err := c.Wait(ctx, Wait{Unit: "a"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestStream(t *testing.T) {
	c := daemon(t, func(w http.ResponseWriter, r *http.Request) {
		since := r.URL.Query().Get("since")
		fmt.Fprintf(w, "{\"id\":1,\"kind\":\"switched\",\"reason\":%q}\n\n{\"id\":2}\n", since)
		w.(http.Flusher).Flush()
		if since == "7" {
			return
		}
		<-r.Context().Done()
	})
	s, err := c.Events(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if e, err := s.Next(); err != nil || e.ID != 1 || e.Kind != Switched || e.Reason != "7" {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := s.Next(); err != nil || e.ID != 2 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := s.Next(); err != io.EOF {
		t.Errorf("%v at the end", err)
	}

	s, err = c.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Next()
	s.Next()
	time.AfterFunc(10*time.Millisecond, s.Close)
	if _, err := s.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v after Close", err)
	}
}
