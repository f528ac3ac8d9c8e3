package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const says = "*2\r\n$25\r\n" + redisVersion + "\r\n$2\r\nv1\r\n"

func TestRedisClasses(t *testing.T) {
	short := Config{Short: 1, Protocol: Redis, SlowConnect: -1}
	keepAlive := Config{KeepAlive: 1, Protocol: Redis, SlowConnect: -1}
	once := func(text string) func(c *net.TCPConn, in *bufio.Reader, n int) {
		return func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			fmt.Fprint(c, text)
			in.Discard(in.Buffered())
		}
	}
	open := func(text string) func(c *net.TCPConn, in *bufio.Reader, n int) {
		return func(c *net.TCPConn, in *bufio.Reader, n int) {
			once(text)(c, in, n)
			io.Copy(io.Discard, in)
		}
	}
	for _, c := range []fault{
		{"reset at once", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			rst(c)
		}, trouble{ResetBefore, Wait, 1}},
		{"close at once", short, once(""), trouble{EarlyEnd, Wait, 1}},
		{"close in a length", short, once("*2\r\n$2"), trouble{EarlyEnd, Response, 1}},
		{"close in a text", short, once("*2\r\n$25\r\nclu"), trouble{EarlyEnd, Response, 1}},
		{"reset in a reply", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			once("*2\r\n$2")(c, in, n)
			rst(c)
		}, trouble{ResetAfter, Response, 1}},
		{"no Redis", short, open("HTTP/1.1 400 Bad Request\r\n\r\n"), trouble{WrongBytes, Response, 1}},
		{"no line", short, open(strings.Repeat("$", 1<<16)), trouble{WrongBytes, Response, 1}},
		{"an error", short, open("-ERR max number of clients reached\r\n"), trouble{WrongBytes, Response, 1}},
		{"another setting", short, open("*2\r\n$4\r\nport\r\n$1\r\n0\r\n"), trouble{WrongBytes, Response, 1}},
		{"no answer", short, open(""), trouble{TimedOut, Wait, 1}},
		{"half an answer", short, open("*2\r\n"), trouble{TimedOut, Response, 1}},
		{"QUIT refused", short, open(says + "-ERR no\r\n"), trouble{WrongBytes, Response, 1}},
		{"no close", short, open(says + "+OK\r\n"), trouble{TimedOut, Close, 1}},
		{"more than the replies", short, open(says + "+OK\r\n+OK\r\n"), trouble{WrongBytes, Close, 1}},
		{"reset instead of a close", short, func(c *net.TCPConn, in *bufio.Reader, n int) {
			once(says+"+OK\r\n")(c, in, n)
			rst(c)
		}, trouble{ResetAfter, Close, 1}},
		{"another text", keepAlive, open("$2\r\nhi\r\n" + says), trouble{WrongBytes, Response, 1}},
		{"another stream", Config{Streams: 1, Protocol: Redis, SlowConnect: -1}, open(says + "$2\r\nhi\r\n" + says), trouble{WrongBytes, Response, 1}},
	} {
		t.Run(c.name, c.run)
	}
}

// redis starts a Redis whose version is v7, and returns its address.
func redis(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	l.Close()
	cmd := exec.CommandContext(t.Context(), "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--"+redisVersion, "v7")
	cmd.Dir, cmd.Stderr = t.TempDir(), os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatal("redis-server does not listen")
		}
	}
}

// The real one, as Debian packages it.
func TestRedis(t *testing.T) {
	r, err := Run(t.Context(), Config{
		Targets: []string{redis(t)}, Protocol: Redis, Short: 4, KeepAlive: 4, Streams: 2, StreamFor: 300 * time.Millisecond,
		Pause: 2 * time.Millisecond, Duration: time.Second, SlowConnect: -1, Samples: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Table(t.Output())
	if err := r.Valid(); err != nil {
		t.Error(err)
	}
	for _, f := range r.Failures {
		t.Error(f)
	}
	for _, k := range []Kind{Short, KeepAlive, Stream} {
		if c := r.Kinds[k]; c.Requests == 0 || c.Versions["v7"] != c.Requests {
			t.Errorf("%s: %d requests, by %v", k, c.Requests, c.Versions)
		}
	}
	if total := r.Total(); int64(r.Samples.Len()) != total.Requests {
		t.Errorf("%d samples of %d requests", r.Samples.Len(), total.Requests)
	}
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{says, "+OK\r\n", "-ERR\r\n", ":5\r\n", "$-1\r\n", "$3\r\na\r\n\r\n", "*1\r\n*1\r\n*1\r\n+x\r\n", "*99999999999\r\n", "$5\r\nhi\r\n", "\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := readReply(bufio.NewReader(strings.NewReader(string(in))))
		if err != nil {
			return
		}
		if len(r.list) > maxList || len(r.text) > max(maxText, len(in)) || !strings.ContainsRune("+-:$*", rune(r.kind)) {
			t.Errorf("%q: %v", in, r)
		}
	})
}
