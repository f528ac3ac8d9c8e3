package main

import (
	"net"
	"strconv"
	"testing"
)

func TestHasListener(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0", "0.0.0.0:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		for _, endpoint := range []string{port, ":" + port, l.Addr().String()} {
			if !hasListener(endpoint) {
				t.Errorf("%s is not seen as %s", l.Addr(), endpoint)
			}
		}
		// One that is open, and one that has ended on our side first, are none.
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		server.Close()
		client.Close()
		l.Close()
		for _, endpoint := range []string{port, l.Addr().String()} {
			if hasListener(endpoint) {
				t.Errorf("%s is seen as %s when it is closed", l.Addr(), endpoint)
			}
		}
	}
	if hasListener("80a") || hasListener("127.0.0.1:") {
		t.Error("garbage is a listener")
	}
}
