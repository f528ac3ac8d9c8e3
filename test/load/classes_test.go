package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/server/wire"
)

func TestMain(m *testing.M) { os.Exit(host.MainAlone(m)) }

// answer serves connections at loopback, each with handle, which gets the
// number of the connection and must not fail the test.
func answer(t *testing.T, handle func(c *net.TCPConn, in *bufio.Reader, n int)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var handlers sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		handlers.Wait()
	})
	handlers.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handlers.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn), bufio.NewReader(c), n)
			})
		}
	})
	return l.Addr().String()
}

// request reads a request; false means that there is none.
func request(in *bufio.Reader) bool {
	_, err := http.ReadRequest(in)
	return err == nil
}

func respond(c net.Conn, body string) {
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nVersion: v1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func rst(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// fault is a server that does something wrong, and what a client makes of it.
type fault struct {
	name   string
	config Config
	handle func(c *net.TCPConn, in *bufio.Reader, n int)
	want   trouble
}

type trouble struct {
	Class   Class
	Phase   Phase
	Request int
}

// runEvenly is Run with pauses of the same length, so that no request is so early
// that it crosses what a server does with an idle connection.
func runEvenly(t *testing.T, c Config) *Result {
	t.Helper()
	r, err := newRun(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.between = func(*rand.Rand) time.Duration { return c.Pause }
	return r.run(t.Context(), nil)
}

// idling is such a pause; few tests wait for its end.
const idling = time.Second

// run makes one connection, which is to fail as it should.
func (c fault) run(t *testing.T) {
	t.Parallel()
	addr := answer(t, c.handle)
	c.config.Targets, c.config.Duration, c.config.Connections = []string{addr}, 30*time.Second, 1
	if c.want.Class == TimedOut {
		c.config.Timeout = 150 * time.Millisecond
	}
	before := time.Now().UnixNano()
	r := runEvenly(t, c.config)
	if r.Failed() != 1 || len(r.Failures) != 1 {
		t.Fatalf("%d failures: %v", r.Failed(), r.Failures)
	}
	f := r.Failures[0]
	if diff := cmp.Diff(c.want, trouble{f.Class, f.Phase, f.Request}); diff != "" {
		t.Errorf("%s\n%s", diff, f)
	}
	if f.Began < before || f.Connected < f.Began || f.Time < f.Connected || f.Time > time.Now().UnixNano() {
		t.Errorf("it began at %d, connected at %d and was seen at %d", f.Began, f.Connected, f.Time)
	}
	if f.Remote != addr || !strings.HasPrefix(f.Local, "127.0.0.1:") {
		t.Errorf("from %s to %s", f.Local, f.Remote)
	}
	if err := r.Valid(); err != nil {
		t.Error(err)
	}
}

// The client tells each way to fail from the others.
func TestClasses(t *testing.T) {
	short := Config{Short: 1, SlowConnect: -1}
	for _, c := range []fault{
		{"reset at once", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1) // the request is sent
			rst(c)
		}, trouble{ResetBefore, Wait, 1}},
		{"reset in the headers", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nVer")
			rst(c)
		}, trouble{ResetAfter, Response, 1}},
		{"reset in the body", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nVersion: v1\r\nContent-Length: 3\r\n\r\nv")
			rst(c)
		}, trouble{ResetAfter, Response, 1}},
		{"reset after the response", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			respond(c, "v1\n")
			rst(c)
		}, trouble{ResetAfter, Close, 1}},
		{"close before the response", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
		}, trouble{EarlyEnd, Wait, 1}},
		{"close in the headers", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nVer")
		}, trouble{EarlyEnd, Response, 1}},
		{"close in the body", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nVersion: v1\r\nContent-Length: 3\r\n\r\nv")
		}, trouble{EarlyEnd, Response, 1}},
		{"no HTTP", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "hello\r\n\r\n")
			io.Copy(io.Discard, in)
		}, trouble{WrongBytes, Response, 1}},
		{"an error status", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
		}, trouble{WrongBytes, Response, 1}},
		{"another body", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			respond(c, "v2\n")
		}, trouble{WrongBytes, Response, 1}},
		{"more than the response", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			respond(c, "v1\n")
			fmt.Fprint(c, "x")
		}, trouble{WrongBytes, Close, 1}},
		{"no answer", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			io.Copy(io.Discard, in)
		}, trouble{TimedOut, Wait, 1}},
		{"half an answer", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
			io.Copy(io.Discard, in)
		}, trouble{TimedOut, Response, 1}},
		{"no close", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			respond(c, "v1\n")
			io.Copy(io.Discard, in)
		}, trouble{TimedOut, Close, 1}},
		{"close of an idle connection", Config{KeepAlive: 1, SlowConnect: -1}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			for range 3 {
				request(in)
				respond(c, "v1\n")
			}
			c.CloseWrite()
			request(in) // a close before it is read would be a reset
		}, trouble{EarlyEnd, Wait, 4}},
		{"Connection: close without a close", Config{KeepAlive: 1, SlowConnect: -1}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nVersion: v1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nv1\n")
			io.Copy(io.Discard, in)
		}, trouble{TimedOut, Close, 1}},
		{"stream of another length", Config{Streams: 1, SlowConnect: -1}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			respond(c, "short")
		}, trouble{WrongBytes, Response, 1}},
		{"stream with a byte twice", Config{Streams: 1, StreamFor: wire.Interval, SlowConnect: -1}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			b := make([]byte, wire.Chunk)
			wire.Fill(b, 0)
			copy(b[1000:], b[999:])
			respond(c, string(b))
		}, trouble{WrongBytes, Response, 1}},
		{"stream cut off", Config{Streams: 1, StreamFor: wire.Interval, SlowConnect: -1}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			b := make([]byte, 1000)
			wire.Fill(b, 0)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nVersion: v1\r\nContent-Length: %d\r\n\r\n%s", wire.Chunk, b)
		}, trouble{EarlyEnd, Response, 1}},
	} {
		t.Run(c.name, c.run)
	}
}

func TestOwnResetIsNoFailure(t *testing.T) {
	addr := answer(t, func(c *net.TCPConn, in *bufio.Reader, n int) {
		for i := 0; request(in); i++ {
			if i == 2 {
				c.Write([]byte{wire.Reset})
				rst(c)
				return
			}
			respond(c, "v1\n")
		}
	})
	r, err := Run(t.Context(), Config{Targets: []string{addr}, KeepAlive: 1, Duration: time.Minute, Connections: 5, SlowConnect: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Kinds[KeepAlive]; r.Failed() != 0 || c.ServerResets != 5 || c.Requests != 10 {
		t.Errorf("%d failures, %d resets, %d requests", r.Failed(), c.ServerResets, c.Requests)
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r, err := Run(t.Context(), Config{Targets: []string{l.Addr().String()}, Short: 1, Duration: time.Minute, Connections: 3,
		SourcePorts: PortRange{21000, 21009}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kinds[Short].Failures[Refused] != 3 || r.Failed() != 3 {
		t.Fatalf("failures: %v", r.Failures)
	}
	if f := r.Failures[1]; f.Phase != Connect || f.Local != ":21001" || f.Request != 0 {
		t.Errorf("%+v", f)
	}
	if took := r.Duration(); took < 2*pause {
		t.Errorf("three refusals in %v: the client does not pause", took)
	}
}

func TestClientErrorMakesARunInvalid(t *testing.T) {
	// A listener holds the only source port.
	fd := exclusive(t, 21100)
	defer fd.Close()
	addr := answer(t, func(c *net.TCPConn, in *bufio.Reader, n int) {})
	r, err := Run(t.Context(), Config{Targets: []string{addr}, Short: 1, Duration: time.Minute, Connections: 1,
		SourcePorts: PortRange{21100, 21100}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed() != 0 || r.Kinds[Short].Failures[ClientError] != 1 {
		t.Errorf("failures: %v", r.Failures)
	}
	if err := r.Valid(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("the run is valid: %v", err)
	}
}

func TestBusySourcePortIsPassedOver(t *testing.T) {
	fd := exclusive(t, 21200)
	defer fd.Close()
	addr := answer(t, func(c *net.TCPConn, in *bufio.Reader, n int) {
		request(in)
		respond(c, "v1\n")
	})
	r, err := Run(t.Context(), Config{Targets: []string{addr}, Short: 1, Duration: time.Minute, Connections: 3,
		SourcePorts: PortRange{21200, 21201}, SlowConnect: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Kinds[Short]; len(c.Failures) != 0 || c.Requests != 3 || c.BusyPorts == 0 {
		t.Errorf("%+v, %v", c, r.Failures)
	}
}

// HTTP/2 clients close first, so their ports are not free at once.
func TestHTTP2LeavesSourcePortsAlone(t *testing.T) {
	r, err := Run(t.Context(), Config{Targets: []string{echoing(t)}, HTTP2: 1, Requests: 1, Duration: time.Minute, Connections: 5,
		SourcePorts: PortRange{21300, 21300}, SlowConnect: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Kinds[HTTP2]; len(c.Failures) != 0 || c.Requests != 5 || c.BusyPorts != 0 {
		t.Errorf("%+v, %v", c, r.Failures)
	}
}

// exclusive listens on a port of all addresses, so that nobody else can bind it.
func exclusive(t *testing.T, port int) io.Closer {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	return l
}
