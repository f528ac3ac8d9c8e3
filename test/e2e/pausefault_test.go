package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// later makes one request from each of both hosts, over IPv4 and IPv6, and
// returns a function that waits for the answers: all have to be by version.
func (s *stage) later() func(version string) {
	s.Helper()
	type dial struct{ at, answer string }
	answers := make(chan dial, 4)
	for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080"} {
		go func() {
			out, err := s.client.Run(s.Context(), s.swload, "once", "-timeout=30s", addr)
			answers <- dial{"from the client to " + addr, answer(out, err)}
		}()
		go func() {
			out, err := s.host.Run(s.Context(), inside, "once", "-timeout=30s", addr)
			answers <- dial{"from the host to " + addr, answer(out, err)}
		}()
	}
	return func(version string) {
		s.Helper()
		for range cap(answers) {
			// One whose SYN came again while it was held says so, and was served.
			if d := <-answers; d.answer != version && d.answer != "syn-retransmitted" {
				s.Errorf("%s: %s, want %s", d.at, d.answer, version)
			}
		}
	}
}

// paused returns the pause of myapp, nil if there is none.
func (s *stage) paused() *api.Pause {
	s.Helper()
	svc, err := s.api().Service(s.Context(), "myapp", api.Select{})
	if err != nil {
		s.Fatal(err)
	}
	return svc.Pause
}

func (s *stage) pause(most time.Duration) *api.Paused {
	s.Helper()
	out, err := s.api().Pause(s.Context(), api.PauseRequest{Service: "myapp", Max: api.Duration(most)})
	if err != nil {
		s.Fatal(err)
	}
	return out
}

func (s *stage) resume() *api.Resumed {
	s.Helper()
	out, err := s.api().Resume(s.Context(), api.Resume{Service: "myapp"})
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// everyBackend runs a test on a host for each.
func everyBackend(t *testing.T, test func(t *testing.T, b backend)) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) { t.Parallel(); test(t, b) })
	}
}

// A pause ends by itself, is extended by another one, and by a shorter one made
// shorter; a service that is not paused cannot be resumed.
func TestPauseEndsByItself(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	c := s.api()
	var refused *api.Error
	if _, err := c.Resume(t.Context(), api.Resume{Service: "myapp"}); !errors.As(err, &refused) || refused.Code != api.NotPaused {
		t.Errorf("resumed without a pause: %v", err)
	}
	if out := s.pause(1500 * time.Millisecond); out.Extended || out.Pause.Until.Before(time.Now()) {
		t.Errorf("%+v", out)
	}
	answers := s.later()
	s.waiting(4)
	answers("v1")
	s.log("resumed", "reason=\"its time is over\"", "waited=4")
	if p := s.paused(); p != nil {
		t.Errorf("%+v", p)
	}

	s.pause(time.Second)
	answers = s.later()
	s.waiting(4)
	if out := s.pause(time.Minute); !out.Extended || time.Until(out.Pause.Until) < 50*time.Second {
		t.Errorf("%+v", out)
	}
	time.Sleep(1500 * time.Millisecond) // past the end of the first one
	s.waiting(4)
	if out := s.pause(100 * time.Millisecond); !out.Extended {
		t.Errorf("%+v", out)
	}
	answers("v1")
	s.eventually("the pause is over", func() error {
		if p := s.paused(); p != nil {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	if text := s.do("nft list chain inet switcheroo hold-prerouting; nft list chain inet switcheroo hold-output"); strings.Contains(text, "NFQUEUE") {
		t.Errorf("rules are left:\n%s", text)
	}
}

// What waited goes to the instance that is current when the pause is over, and
// while nothing is current nobody is refused.
func TestPauseOverSwitchesAndRestarts(t *testing.T) {
	everyBackend(t, func(t *testing.T, b backend) {
		s := setWith(t, b, keys("StandbySec=0"))
		s.deploy("v1")
		s.pause(time.Minute)
		answers := s.later()
		s.waiting(4)
		if _, err := s.api().Deploy(t.Context(), api.Deploy{Unit: "myapp@v2", Wait: api.ForDrained}); err != nil {
			t.Fatal(err)
		}
		if out := s.resume(); out.Waited != 4 || out.Left != 0 {
			t.Errorf("%+v", out)
		}
		answers("v2")

		// The daemon hears of the restart when it has been told to resume.
		s.pause(time.Minute)
		answers = s.later()
		s.waiting(4)
		s.systemctl("restart", "myapp@v2")
		s.resume()
		answers("v2")

		s.pause(time.Minute)
		s.systemctl("stop", "myapp@v2")
		s.log("current one is gone")
		answers = s.later()
		s.waiting(4)
		resumed := make(chan error, 1)
		go func() {
			_, err := s.api().Resume(t.Context(), api.Resume{Service: "myapp"})
			resumed <- err
		}()
		s.eventually("it is told to end", func() error {
			if p := s.paused(); p == nil || !p.Ending || p.Waiting != 4 {
				return fmt.Errorf("%+v", p)
			}
			return nil
		})
		s.start("myapp@v2")
		if err := <-resumed; err != nil {
			t.Error(err)
		}
		answers("v2")
	})
}

// The daemon is killed in a pause. While it is away new connections pass, and
// those that waited come again; when it is back the pause goes on, until its
// time is over.
func TestPauseOutlivesTheDaemon(t *testing.T) {
	everyBackend(t, func(t *testing.T, b backend) {
		s := setWith(t, b, map[string]string{"/etc/systemd/system/switcherood.service.d/restart.conf": "[Service]\nRestart=no\n"})
		s.deploy("v1")
		until := s.pause(12 * time.Second).Pause.Until
		held := s.later()
		s.waiting(4)
		s.do("systemctl kill --signal=KILL switcherood")
		s.is("switcherood", "failed")
		for _, from := range []func(string) string{s.fromClient, s.fromHost} {
			for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080"} {
				if got := from(addr); got != "v1" {
					t.Errorf("%s without the daemon: %s", addr, got)
				}
			}
		}
		held("v1")
		s.start("switcherood")
		s.log("paused, as found in the rules")
		if p := s.paused(); p == nil || p.Until.Sub(until).Abs() > 50*time.Millisecond {
			t.Fatalf("%+v, want until %v", p, until)
		}
		held = s.later()
		s.waiting(4)
		held("v1")
		if early := time.Until(until); early > 0 {
			t.Errorf("it ended %v too early", early)
		}
		s.log("resumed", "its time is over")
	})
}

// Another program flushes its rules, and so ours, in a pause. Those that the
// kernel drops with them come again and wait again; nobody is refused.
func TestPauseOutlivesFlushes(t *testing.T) {
	everyBackend(t, func(t *testing.T, b backend) {
		s := setWith(t, b)
		s.deploy("v1")
		s.pause(time.Minute)
		first := s.later()
		s.waiting(4)
		tool := string(b)
		s.do(fmt.Sprintf("for t in raw nat filter; do %[1]s -w 5 -t $t -F; %[2]s -w 5 -t $t -F; done", tool, strings.Replace(tool, "ip", "ip6", 1)))
		second := s.later()
		s.waiting(8)
		if b == nft {
			s.do("nft flush ruleset")
			third := s.later()
			s.waiting(12)
			defer third("v1")
		}
		s.log("rules repaired")
		s.resume()
		first("v1")
		second("v1")
		s.served("v1")
	})
}

// Two services are paused at once, and each is resumed for itself.
func TestPauseOfTwoServices(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]string{"/etc/systemd/system/web@.service": strings.Replace(template, "Listen=8080", "Listen=8081", 1)})
	s.deploy("v1")
	s.start("web@v1")
	s.eventually("web serves", func() error {
		if got := s.fromClient(server4 + ":8081"); got != "v1" {
			return errors.New(got)
		}
		return nil
	})
	c := s.api()
	s.pause(time.Minute)
	answers := s.later()
	s.waiting(4)
	if got := s.fromClient(server4 + ":8081"); got != "v1" {
		t.Errorf("web, while myapp is paused: %s", got)
	}
	if _, err := c.Pause(t.Context(), api.PauseRequest{Service: "web"}); err != nil {
		t.Fatal(err)
	}
	web := make(chan string, 1)
	go func() {
		out, err := s.client.Run(t.Context(), s.swload, "once", "-timeout=30s", "["+server6+"]:8081")
		web <- answer(out, err)
	}()
	s.eventually("web has one waiting", func() error {
		svc, err := c.Service(t.Context(), "web", api.Select{})
		if err == nil && (svc.Pause == nil || svc.Pause.Waiting != 1) {
			err = fmt.Errorf("%+v", svc.Pause)
		}
		return err
	})
	s.waiting(4) // the other pause has dropped none
	if out := s.resume(); out.Waited != 4 {
		t.Errorf("%+v", out)
	}
	answers("v1")
	if out, err := c.Resume(t.Context(), api.Resume{Service: "web"}); err != nil || out.Waited != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if got := <-web; got != "v1" && got != "syn-retransmitted" {
		t.Errorf("web: %s", got)
	}
}
