package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// streamFor is long enough to begin before a deploy and end well after it.
const streamFor = 9 * time.Second

// breath is for the reader, and for clients to meet what a step left behind.
const breath = 2 * time.Second

// show shows what there is: a host, and what it takes to configure it.
func (s *story) show(ctx context.Context) error {
	s.screen.say("%s is a private host that a %s of its own runs; it booted in %s. "+
		"It lives in namespaces: nothing of this machine is changed.",
		hostName, s.stage.systemd, human(s.stage.booted))
	for _, file := range []string{unitFile, demoDropIn} {
		s.types(ctx, "cat", file)
		if err := s.until(ctx, "cat", s.commandEnded); err != nil {
			return err
		}
		if s.failed != nil {
			return s.failed
		}
	}
	s.screen.say("That is all the configuration. In /opt/myapp are four versions of a server:")
	for _, v := range versions {
		s.screen.output(fmt.Sprintf("%s   %s\n", v.name, v.about))
	}
	return s.pass(ctx, 2*breath) // it is a lot to read
}

func (s *story) commandEnded() bool { return s.command == nil }

// starts types systemctl start of a version.
func (s *story) starts(ctx context.Context, v string) {
	s.types(ctx, "systemctl", "start", "myapp@"+v)
}

// deploy starts a version and returns when the port leads to it.
func (s *story) deploy(ctx context.Context, v string) error {
	s.starts(ctx, v)
	err := s.until(ctx, "the port to lead to "+v, func() bool {
		return s.commandEnded() && (s.failed != nil || s.record.has(switched, v))
	})
	return errors.Join(err, s.failed)
}

// first starts v1.
func (s *story) first(ctx context.Context) error {
	s.screen.title("1  The first version")
	return s.deploy(ctx, "v1")
}

// second deploys v2 while clients are at work, one of them on a long stream.
func (s *story) second(ctx context.Context) (*stream, error) {
	s.screen.title("2  The second version, while clients are at work")
	n := shortClients + keepAliveClients
	s.screen.say("%d clients on %s, another host, and %d on %s itself open connections all the time, "+
		"for one request or for %d. One more on %[2]s reads a stream that lasts %[6]s.",
		n, s.stage.client.Name(), n, hostName, requests, human(streamFor))
	stream, err := openStream(ctx, s.stage.outside(), streamFor)
	if err != nil {
		return nil, err
	}
	if err := s.deploy(ctx, "v2"); err != nil {
		return nil, err
	}
	if err := s.asks(ctx, "v2"); err != nil {
		return nil, err
	}
	if !stream.ended() {
		s.tells(s.stage.client.Name(), plain, "its stream, begun before, still comes from v1")
	}
	if err := s.until(ctx, "the stream to end", stream.ended); err != nil {
		return nil, err
	}
	if err := s.tellsOf(stream); err != nil {
		return nil, err
	}
	return stream, s.until(ctx, "v1 to stop", func() bool { return s.record.has(stopped, "v1") })
}

// asks shows which version answers a new connection, and wants it to be this.
func (s *story) asks(ctx context.Context, want string) error {
	type answer struct {
		version string
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		version, err := ask(ctx, s.stage.outside())
		answers <- answer{version, err}
	}()
	var got answer
	err := s.until(ctx, "an answer", func() bool {
		select {
		case got = <-answers:
			return true
		default:
			return false
		}
	})
	if err := errors.Join(err, got.err); err != nil {
		return err
	}
	s.tells(s.stage.client.Name(), plain, "dials %s:%s once more: %s answers", host4, publicPort, got.version)
	if got.version != want {
		return fmt.Errorf("%s answers a new connection, not %s", got.version, want)
	}
	return nil
}

// tellsOf tells how a stream ended, which must have come from v1. A stream
// that broke is no error here: it is counted like every other connection.
func (s *story) tellsOf(st *stream) error {
	who := s.stage.client.Name()
	if st.err != nil {
		return st.err
	}
	if len(st.result.Failures) > 0 {
		s.tells(who, bad, "its stream broke: %s", st.result.Failures[0])
		return nil
	}
	if n := st.result.Total().Versions["v1"]; n != 1 {
		return fmt.Errorf("the stream did not come from v1, but: %v", st.result.Total().Versions)
	}
	s.tells(who, good, "its stream is complete: %s, every byte right, from v1", human(st.lasts))
	return nil
}

// third deploys v3, which never gets ready.
func (s *story) third(ctx context.Context) error {
	s.screen.title("3  A version that never gets ready")
	s.screen.say("A drop-in says how long systemd waits for it: %s.", strings.Fields(v3Timeout)[1])
	s.starts(ctx, "v3")
	if err := s.until(ctx, "v3 to fail", func() bool { return s.commandEnded() && s.record.has(neverReady, "v3") }); err != nil {
		return err
	}
	if s.failed == nil {
		return errors.New("systemctl says that v3 has started")
	}
	return s.asks(ctx, "v2")
}

// fourth deploys v4, which crashes soon after the switch.
func (s *story) fourth(ctx context.Context) error {
	s.screen.title("4  A version that crashes " + human(dieAfter) + " after it got ready")
	s.screen.say("What it has in hand at that moment is lost with it. The question is how soon the port leads to v2 again.")
	if err := s.deploy(ctx, "v4"); err != nil {
		return err
	}
	if err := s.until(ctx, "the port to lead to v2 again", func() bool { return s.record.has(switchedBack, "v2") }); err != nil {
		return err
	}
	return s.asks(ctx, "v2")
}
