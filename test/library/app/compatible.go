package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/switcheroo/switcheroo"
)

// compatible is what a program written for the original looks like.
func compatible(term context.Context, o options) error {
	logger := log.New(os.Stderr, "", log.LstdFlags)
	var (
		s   *switcheroo.Switcheroo
		err error
	)
	switch o.api {
	case "compatible":
		s, err = switcheroo.NewSwitcheroo(o.name, o.port, logger)
	case "sudo":
		s, err = switcheroo.NewSwitcherooWithSudoIptables(o.name, o.port, logger)
	case "command":
		s = switcheroo.NewSwitcherooWithIptablesCmd(o.name, o.port, logger, command(o.iptables))
	default:
		err = fmt.Errorf("no API %q", o.api)
	}
	if err != nil {
		return err
	}
	if first, last := o.portRange(); last != 0 {
		s.PortMin, s.PortMax = first, last
	}
	if o.scope != 0 {
		s.SetFlags(o.scope)
	}
	l, finish, err := s.Begin()
	if err != nil {
		return err
	}
	say("listening", l.Addr().(*net.TCPAddr).Port)
	server := newServer(o)
	server.serve(l)
	if err := finish(); err != nil {
		return err
	}
	say("ready")
	<-term.Done()
	say("done")
	if o.abrupt {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = server.http.Shutdown(ctx)
	say("ended")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
