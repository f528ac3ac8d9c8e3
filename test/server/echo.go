package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// echo is the raw echo: after its line, n bytes come back, and the server is
// the first to close.
func (s *server) echo(c *conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return
	}
	n, err := wire.ParseEcho(string(line))
	if err != nil {
		fmt.Fprintln(c, err)
		return
	}
	if _, err := fmt.Fprintln(c, s.version); err != nil {
		return
	}
	io.CopyN(c, in, n)
}

// websocket echoes messages until the client closes, which it answers before
// it is the first to close the connection.
func (s *server) websocket(w http.ResponseWriter, r *http.Request) {
	s.hijacked.Add(1)
	defer s.hijacked.Done()
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

// upgrade makes an HTTP connection a raw echo, until the client closes it.
func (s *server) upgrade(w http.ResponseWriter, r *http.Request) {
	s.hijacked.Add(1)
	defer s.hijacked.Done()
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "echo")
	w.WriteHeader(http.StatusSwitchingProtocols)
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	if err := buffered.Flush(); err != nil {
		return
	}
	io.Copy(c, buffered)
}

// reset says that it does so of its own will, and resets the connection.
func reset(c *conn) error {
	_, err := c.Write([]byte{wire.Reset})
	return errors.Join(err, c.Conn.(*net.TCPConn).SetLinger(0), c.Close())
}
