package companion

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// sendSequence returns the sequence number of c's next byte.
func sendSequence(t *testing.T, c net.Conn) uint32 {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var seq int
	raw.Control(func(fd uintptr) {
		const sendQueue, offWithoutProbe = 2, -1
		for _, o := range []struct{ name, value int }{{unix.TCP_REPAIR, 1}, {unix.TCP_REPAIR_QUEUE, sendQueue}} {
			if err == nil {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, o.name, o.value)
			}
		}
		if err == nil {
			seq, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ)
		}
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, offWithoutProbe)
	})
	if err != nil {
		t.Fatalf("TCP_REPAIR: %v", err)
	}
	return uint32(seq)
}

// sendReset sends a RST from c's address with the given sequence number.
func (n *namespace) sendReset(t *testing.T, c net.Conn, seq uint32) {
	t.Helper()
	from, to := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr)
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b[0:], uint16(from.Port))
	binary.BigEndian.PutUint16(b[2:], uint16(to.Port))
	binary.BigEndian.PutUint32(b[4:], seq)
	b[12], b[13] = 5<<4, 0x04 // five words, RST
	pseudo := append(append(append([]byte{}, from.IP.To4()...), to.IP.To4()...), 0, unix.IPPROTO_TCP, 0, byte(len(b)))
	binary.BigEndian.PutUint16(b[16:], checksum(append(pseudo, b...)))
	var err error
	n.do(func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP); err != nil {
			return
		}
		defer unix.Close(fd)
		err = unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: [4]byte(to.IP.To4())})
	})
	if err != nil {
		t.Fatalf("send a RST: %v", err)
	}
}

func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestServerThatResets: after a RST of the old server, the next connection from
// the same source port, at once, gets the new server; also when the old one's
// port is closed. With any other timeout of the CLOSE state it is refused.
func TestServerThatResets(t *testing.T) {
	for _, w := range ways() {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			server, remote := hosts(t)
			client := w.client(server, remote)
			apply(t, server.open(t, Options{}), []uint16{61000, 61001}, nil)
			old := server.listen(t, ":61000", resets("old"))
			server.listen(t, ":61001", says("new"))
			w.redirect(t, server, 61000, false)

			const ports = 20
			connect := func(port int) (string, error) {
				c, err := client.dial(w.public(), port, dialTimeout)
				if err != nil {
					return "", err
				}
				defer c.Close()
				word := make([]byte, 3)
				if _, err := io.ReadFull(c, word); err != nil {
					return "", err
				}
				c.Write([]byte("x"))
				io.ReadAll(c) // until the end, whichever it is
				return string(word), nil
			}
			for port := range ports {
				if got, err := connect(20000 + port); got != "old" {
					t.Fatalf("before the switch: %q, %v", got, err)
				}
			}
			w.redirect(t, server, 61001, true)
			old.Close()
			for port := range ports {
				if got, err := connect(20000 + port); got != "new" {
					t.Errorf("after the switch, source port %d: %q, %v", 20000+port, got, err)
				}
			}
		})
	}
}

// TestResetInsideTheWindow pins what "close: 0" costs: see redirected.
func TestResetInsideTheWindow(t *testing.T) {
	for _, test := range []struct {
		name, close string
		offset      uint32
		survives    bool
	}{
		{"exact", "1", 0, false},
		{"inexact", "1", 100, true},
		{"inexact", "0", 100, false},
	} {
		t.Run(fmt.Sprintf("%s, close %s", test.name, test.close), func(t *testing.T) {
			t.Parallel()
			w := way{tool: "iptables-nft"}
			server, client := hosts(t)
			server.script(t, `table inet other {
				ct timeout t { protocol tcp; l3proto ip; policy = { close: `+test.close+` }; }
				chain c { type filter hook prerouting priority -90; tcp dport 61000 ct timeout set "t"; }
			}`)
			w.redirect(t, server, 61000, false)
			server.listen(t, ":61000", echo)
			c, err := client.dial(w.public(), 0, dialTimeout)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := ping(c); err != nil {
				t.Fatal(err)
			}
			client.sendReset(t, c, sendSequence(t, c)+test.offset)
			if err := ping(c); (err == nil) != test.survives {
				t.Errorf("after the RST: %v", err)
			}
		})
	}
}
