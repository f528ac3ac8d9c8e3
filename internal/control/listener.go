package control

import (
	"net"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// listener accepts connections, finds out whose they are, and turns away who
// has too many.
type listener struct {
	*net.UnixListener
	gate   *gate
	relief *relief
	full   string // what those get that are turned away
}

// tooMany turns those away who speak HTTP.
const tooMany = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 78\r\n\r\n" +
	`{"error":{"code":"too-many","message":"too many connections of this user's"}}` + "\n"

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		p, err := newPeer(c)
		if err != nil {
			c.Close()
			continue
		}
		if !l.gate.enter(p.caller) {
			c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) // its buffer is empty
			c.Write([]byte(l.full))
			c.Close()
			p.close()
			continue
		}
		l.relief.connected(l.gate.busy())
		return &conn{RightsConn: api.RightsConn{UnixConn: c}, peer: p, leave: l.leave}, nil
	}
}

func (l *listener) leave(c caller) {
	l.gate.leave(c)
	l.relief.connected(l.gate.busy())
}

// conn is a connection whose peer is known.
type conn struct {
	api.RightsConn
	peer   *Peer
	leave  func(caller)
	closed sync.Once
}

func (c *conn) Close() error {
	err := c.UnixConn.Close()
	c.closed.Do(func() {
		closeAll(c.Take())
		c.peer.close()
		c.leave(c.peer.caller)
	})
	return err
}
