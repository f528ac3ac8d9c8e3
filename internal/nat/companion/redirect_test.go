package companion

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A way is one that connections to the server host take: who translates them,
// which family, and from where they come.
type way struct {
	tool  string // iptables-nft or iptables-legacy
	ipv6  bool
	local bool // over lo: OUTPUT; else over veth: PREROUTING
}

func (w way) String() string {
	return fmt.Sprintf("%s/%s/%s", w.tool, map[bool]string{false: "IPv4", true: "IPv6"}[w.ipv6],
		map[bool]string{false: "network", true: "localhost"}[w.local])
}

func ways() []way {
	var all []way
	for _, tool := range []string{"iptables-nft", "iptables-legacy"} {
		for i := range 4 {
			all = append(all, way{tool, i&1 != 0, i&2 != 0})
		}
	}
	return all
}

func (w way) public() string {
	if w.ipv6 {
		return "[2001:db8::1]:443"
	}
	return "192.0.2.1:443"
}

// private returns the address of port, dialled directly.
func (w way) private(port int) string {
	return strings.Replace(w.public(), "443", strconv.Itoa(port), 1)
}

// iptables runs w's tool for w's family, waiting for the lock.
func (w way) iptables(t *testing.T, n *namespace, args ...string) {
	t.Helper()
	tool := w.tool
	if w.ipv6 {
		tool = strings.Replace(tool, "iptables", "ip6tables", 1)
	}
	n.run(t, tool, append([]string{"-w", "5"}, args...)...)
}

func (w way) chain() string {
	if w.local {
		return "OUTPUT"
	}
	return "PREROUTING"
}

// redirect points the public port at a private one, replacing rule 1 if there
// is one.
func (w way) redirect(t *testing.T, n *namespace, port int, replace bool) {
	t.Helper()
	how := []string{"-A", w.chain()}
	if replace {
		how = []string{"-R", w.chain(), "1"}
	}
	args := append([]string{"-t", "nat"}, how...)
	w.iptables(t, n, append(args, "-p", "tcp", "--syn", "--dport", "443", "-m", "addrtype", "--dst-type", "LOCAL",
		"-j", "DNAT", "--to-destination", fmt.Sprintf(":%d", port))...)
}

// client returns the namespace that dials.
func (w way) client(server, remote *namespace) *namespace {
	if w.local {
		return server
	}
	return remote
}

// echo answers what it gets.
func echo(c net.Conn) {
	io.Copy(c, c)
	c.Close()
}

// says sends a word and closes.
func says(word string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, word)
		c.Close()
	}
}

// resets says a word, then resets the connection.
func resets(word string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, word)
		io.ReadFull(c, make([]byte, 1)) // the client has the word
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// ping sends a byte and waits for its echo.
func ping(c net.Conn) error {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// flow is a line of conntrack -L about the client's connection.
type flow struct {
	state   string
	seconds int // until it expires
}

var flowLine = regexp.MustCompile(`^tcp +6 (\d+) (\S+) src=`)

// flows lists the connections of w's family to the original port.
func (w way) flows(t *testing.T, n *namespace, port int) []flow {
	t.Helper()
	family := map[bool]string{false: "ipv4", true: "ipv6"}[w.ipv6]
	out := n.run(t, "conntrack", "-L", "-f", family, "-p", "tcp", "--orig-port-dst", strconv.Itoa(port))
	var all []flow
	for line := range strings.Lines(out) {
		if m := flowLine.FindStringSubmatch(line); m != nil {
			seconds, _ := strconv.Atoi(m[1])
			all = append(all, flow{m[2], seconds})
		}
	}
	return all
}

// eventually waits until f returns nil.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}

const dialTimeout = 3 * time.Second
