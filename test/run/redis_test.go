package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// redisClients say PING, SET and GET, and QUIT, on one new connection after the
// other, and classify what goes wrong. They never retry.
type redisClients struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	sessions int
	versions map[string]int // by the private port that redis says it has
	failures map[string]int
	first    string // failure
}

// The limits of a run of redisClients.
const (
	redisTimeout  = 10 * time.Second
	redisLimit    = 2 * time.Minute
	redisSessions = 200_000
)

// startRedisClients starts n clients in each network namespace, which is that of
// a process, with targets there.
func startRedisClients(ctx context.Context, n int, where map[int][]string) *redisClients {
	ctx, cancel := context.WithTimeout(ctx, redisLimit)
	c := &redisClients{cancel: cancel, versions: map[string]int{}, failures: map[string]int{}}
	for pid, targets := range where {
		for i := range n {
			c.done.Go(func() {
				for j := i; ctx.Err() == nil && c.count() < redisSessions; j++ {
					port, err := redisSession(pid, targets[j%len(targets)], fmt.Sprintf("key:%d:%d:%d", pid, i, j))
					c.note(port, err)
					time.Sleep(time.Millisecond) // the rate, not a wait
				}
			})
		}
	}
	return c
}

// stop ends the clients after the session under way.
func (c *redisClients) stop() {
	c.cancel()
	c.done.Wait()
}

func (c *redisClients) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions
}

// redisLoad puts clients in both places.
func (s *stage) redisLoad(port string) *redisClients {
	network, local := targets(port)
	server := 0
	if s.machine != nil {
		server = s.machine.PID()
	} else {
		server = s.server.PID()
	}
	return startRedisClients(s.Context(), 2, map[int][]string{s.client.PID(): network, server: local})
}

// redisAnswers waits until the redis with this private port answers everywhere.
func (s *stage) redisAnswers(private string) {
	s.Helper()
	network, _ := targets("6379")
	for _, target := range network {
		s.eventually(private+" answers", func() error {
			got, err := redisSession(s.client.PID(), target, "first")
			if err == nil && got != private {
				err = fmt.Errorf("%s answers", got)
			}
			return err
		})
	}
}

// nothingLostByRedis wants no failure, and answers from all of versions.
func (s *stage) nothingLostByRedis(c *redisClients, versions ...string) {
	s.Helper()
	s.Logf("%d sessions, answers %v, failed %v", c.sessions, c.versions, c.failures)
	if len(c.failures) > 0 {
		s.Errorf("sessions failed: %v, the first: %s", c.failures, c.first)
	}
	for _, v := range versions {
		if c.versions[v] == 0 {
			s.Errorf("no answer from %s: %v", v, c.versions)
		}
	}
}

func (c *redisClients) note(port string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions++
	if err == nil {
		c.versions[port]++
		return
	}
	c.failures[classify(err)]++
	if c.first == "" {
		c.first = err.Error()
	}
}

func classify(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "ended early"
	case errors.Is(err, errWrong):
		return "wrong bytes"
	}
	return "other"
}

var errWrong = errors.New("wrong answer")

// dialIn connects in the network namespace of a process.
func dialIn(pid int, target string) (net.Conn, error) {
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	defer there.Close()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer here.Close()
	runtime.LockOSThread() // until it is back
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", target, redisTimeout)
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		return nil, errors.Join(back, err) // the thread ends with its goroutine
	}
	runtime.UnlockOSThread()
	return conn, err
}

// redisSession is one connection. It returns the port that the server says it
// has.
func redisSession(pid int, target, key string) (string, error) {
	conn, err := dialIn(pid, target)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(redisTimeout)); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	for _, x := range []struct{ say, want string }{
		{"PING\r\n", "+PONG\r\n"},
		{"SET " + key + " value-of-" + key + "\r\n", "+OK\r\n"},
		{"GET " + key + "\r\n", fmt.Sprintf("$%d\r\nvalue-of-%s\r\n", len("value-of-"+key), key)},
		{"DEL " + key + "\r\n", ":1\r\n"},
	} {
		if _, err := io.WriteString(conn, x.say); err != nil {
			return "", err
		}
		got := make([]byte, len(x.want))
		if _, err := io.ReadFull(in, got); err != nil {
			return "", err
		}
		if string(got) != x.want {
			return "", fmt.Errorf("%w: %q to %q", errWrong, got, x.say)
		}
	}
	port, err := configPort(conn, in)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, "QUIT\r\n"); err != nil {
		return "", err
	}
	rest, err := io.ReadAll(in)
	if err == nil && string(rest) != "+OK\r\n" {
		err = fmt.Errorf("%w: %q to QUIT", errWrong, rest)
	}
	return port, err
}

// configPort asks redis for its own port, which tells its versions apart.
func configPort(conn net.Conn, in *bufio.Reader) (string, error) {
	if _, err := io.WriteString(conn, "CONFIG GET port\r\n"); err != nil {
		return "", err
	}
	var lines []string
	for range 5 { // *2, $4, port, $5, 40400
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if lines[2] != "port" {
		return "", fmt.Errorf("%w: %q to CONFIG GET port", errWrong, lines)
	}
	return lines[4], nil
}
