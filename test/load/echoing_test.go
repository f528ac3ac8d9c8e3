package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// readCommand reads a command of a client.
func readCommand(in *bufio.Reader) ([]string, error) {
	r, err := readReply(in)
	if err != nil || len(r.list) == 0 {
		return nil, fmt.Errorf("no command: %v, %w", r, err)
	}
	var words []string
	for _, w := range r.list {
		words = append(words, string(w.text))
	}
	return words, nil
}

// echoing serves, at one address, each kind of client but streams and those
// of Redis.
func echoing(t *testing.T) string {
	t.Helper()
	return answer(t, func(c *net.TCPConn, in *bufio.Reader, n int) {
		first, err := in.Peek(5)
		switch {
		case err != nil:
		case first[0] == 22:
			s := tls.Server(replayed{in, c}, serverTLS())
			answerAll(s, bufio.NewReader(s))
			s.Close()
		case bytes.HasPrefix(first, []byte("PRI")):
			streams(func(h *h2, id uint32) bool { h.answer(id); return true })(c, in, n)
		case bytes.HasPrefix(first, []byte("echo ")):
			io.CopyN(c, in, greeted(c, in))
		default:
			if head, _ := in.Peek(in.Buffered()); !strings.Contains(string(head), "websocket") {
				answerAll(c, in)
				return
			}
			accepted(c, in)
			for {
				op, message := frame(in)
				if op == 0 {
					return
				}
				c.Write(framed(op, message))
				if op == opClose {
					return
				}
			}
		}
	})
}

// replayed is a connection of which something was looked at.
type replayed struct {
	in io.Reader
	*net.TCPConn
}

func (r replayed) Read(b []byte) (int, error) { return r.in.Read(b) }

// answerAll answers requests until the client wants the last one.
func answerAll(c io.Writer, in *bufio.Reader) {
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s: v1\r\nContent-Length: 3\r\n\r\nv1\n", wire.VersionHeader)
		if r.Close {
			return
		}
	}
}

// A server that serves them all, at one address.
func TestKinds(t *testing.T) {
	addr := echoing(t)
	config := Config{
		Targets: []string{addr}, Short: 1, KeepAlive: 1, Echo: 2, TLS: 2, WebSocket: 2, HTTP2: 2,
		Requests: 10, Rate: 50, Connections: 300, Duration: MaxDuration, SlowConnect: -1, Samples: true,
	}
	r, err := Run(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Table(t.Output())
	for _, f := range r.Failures {
		t.Error(f)
	}
	total := r.Total()
	if total.Connections != 300 || total.Versions["v1"] != total.Requests || int64(r.Samples.Len()) != total.Requests {
		t.Errorf("%d connections, %d requests, %d samples, by %v", total.Connections, total.Requests, r.Samples.Len(), total.Versions)
	}
	for kind, per := range map[Kind]int64{Short: 1, KeepAlive: 10, Echo: 10, TLS: 10, WebSocket: 11, HTTP2: 10} {
		if c := r.Kinds[kind]; c.Requests == 0 || c.Requests != per*c.Connections {
			t.Errorf("%s: %d connections with %d requests", kind, c.Connections, c.Requests)
		}
	}
}
