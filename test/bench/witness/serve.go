package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

// serve is a service that accepts at once, and closes a connection when the
// client has. It goes at once when it is told to.
func serve(version string) error {
	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		return err
	}
	witness, err := datagrams(event.Socket)
	if err != nil {
		return err
	}
	say := func(k event.Kind) {
		line, err := json.Marshal(event.Event{At: event.Now(), Kind: k, Unit: version})
		if err == nil {
			witness.Write(line) // if there is a witness
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			say(event.Accepted)
			go func() {
				io.Copy(io.Discard, c)
				say(event.Closed)
				c.Close()
			}()
		}
	}()
	systemd, err := datagrams(os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	say(event.Ready)
	if _, err := systemd.Write([]byte("READY=1")); err != nil {
		return err
	}
	<-term.Done()
	say(event.Stopping)
	return nil
}

func datagrams(path string) (*net.UnixConn, error) {
	return net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
}

// listen accepts on n ports from address on, and closes what it accepted when
// the client has.
func listen(address, count string) error {
	first, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for i := range n {
		l, err := net.Listen("tcp", netip.AddrPortFrom(first.Addr(), first.Port()+uint16(i)).String())
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.Copy(io.Discard, c)
				c.Close()
			}
		}()
	}
	systemd, err := datagrams(os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(systemd, "READY=1"); err != nil {
		return err
	}
	select {}
}
