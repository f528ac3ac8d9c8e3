//go:build chaos

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// events are what happens in TestChaos. None ends a connection, but where it
// says so. They do not wait for what they begin, so that the next one happens
// in the midst of it.
var events = map[string]func(*chaos){
	"deploy": func(c *chaos) { c.start1(c.anyMode()) },
	"deploy and wait": func(c *chaos) {
		c.calm()
		c.current(c.start1(c.anyMode()))
	},
	"two deploys at once": func(c *chaos) {
		one, two := c.version(c.anyMode()), c.version(c.anyMode())
		c.retry("systemctl start --no-block " + one + " " + two)
	},
	"deploy that is never ready":  func(c *chaos) { c.startBad("-mode never-ready") },
	"deploy that fails its probe": func(c *chaos) { c.startBad("-mode unhealthy") },
	"deploy that exits at once":   func(c *chaos) { c.startBad("-mode exit-before-ready") },
	"deploy that does not listen": func(c *chaos) { c.startBad("-mode no-listener") },
	"deploy that dies when ready": func(c *chaos) { c.startBad("-mode no-listener -die-after 1ms") },
	"deploy on too many ports":    func(c *chaos) { c.startBad("-mode two-listeners") },
	"an old one stopped by hand":  (*chaos).stopOld,
	"the daemon killed":           func(c *chaos) { c.retry("systemctl kill --signal=KILL --kill-who=main switcherood || true") },
	"the daemon killed and a deploy": func(c *chaos) {
		c.up()
		unit := c.version(c.anyMode())
		c.retry(fmt.Sprintf("systemctl start --no-block %s; sleep 0.%03d; systemctl kill --signal=KILL --kill-who=main switcherood || true", unit, c.rand.IntN(200)))
	},
	"the daemon held up": func(c *chaos) {
		c.retry(fmt.Sprintf("systemctl kill --signal=STOP switcherood || true; sleep 0.%d; systemctl kill --signal=CONT switcherood || true", 1+c.rand.IntN(8)))
	},
	"the daemon restarted": func(c *chaos) { c.retry("systemctl restart switcherood") },
	"the daemon reloaded": func(c *chaos) {
		c.up()
		c.retry("systemctl reload switcherood")
	},
	"daemon-reload":       func(c *chaos) { c.retry("systemctl daemon-reload") },
	"daemon-reexec":       func(c *chaos) { c.retry("systemctl daemon-reexec") },
	"dbus restarted":      func(c *chaos) { c.retry("systemctl restart dbus.service") },
	"iptables' lock held": func(c *chaos) { c.retry(fmt.Sprintf("flock /run/xtables.lock sleep 0.%d", 1+c.rand.IntN(8))) },
	"rules of others": func(c *chaos) {
		rule := " PREROUTING -p tcp --dport 9 -j DNAT --to-destination :10"
		c.retry(fmt.Sprintf("%s -w 5 -t nat -I%s && sleep 0.%d && %[1]s -w 5 -t nat -D%s", c.on, rule, c.rand.IntN(3), rule))
	},
	"rules flushed": (*chaos).flushSome,
	// It may have switched, and not have saved that yet.
	"the daemon killed in a deploy, and rules flushed": func(c *chaos) {
		c.up()
		unit := c.version(c.anyMode())
		c.retry(fmt.Sprintf("systemctl start %s; sleep 0.%03d; systemctl kill --signal=KILL --kill-who=main switcherood || true", unit, c.rand.IntN(100)))
		c.flushSome()
	},
	// Without a living owner of our table nothing would keep translation up.
	"all of nftables flushed": func(c *chaos) {
		if c.on != nft {
			return
		}
		c.up()
		c.flush(window{v4: true, v6: true}, "nft flush ruleset; ", []string{"iptables-nft", "ip6tables-nft"})
	},
}

// anyMode returns the arguments of a good server.
func (c *chaos) anyMode() string {
	return []string{"quick", "quick", "abrupt", "abrupt", "resetting", "slow-accept"}[c.rand.IntN(6)]
}

// version makes the next version, a good one, and returns its unit.
func (c *chaos) version(mode string) string {
	c.Helper()
	c.versions++
	return c.instance(fmt.Sprintf("v%d", c.versions), "-mode "+mode)
}

func (c *chaos) instance(name, args string) string {
	c.Helper()
	c.write(map[string]string{"/etc/chaos/" + name: "ARGS=" + args + "\n"})
	return "myapp@" + name + ".service"
}

// start1 starts the next version without waiting for it.
func (c *chaos) start1(mode string) string {
	c.Helper()
	unit := c.version(mode)
	c.retry("systemctl start --no-block " + unit)
	return unit
}

func (c *chaos) startBad(args string) {
	c.Helper()
	c.versions++
	c.retry("systemctl start --no-block " + c.instance(fmt.Sprintf("bad%d", c.versions), args))
}

// retry runs a command line on the host until it succeeds: systemd may be away
// for a moment.
func (c *chaos) retry(line string) {
	c.Helper()
	c.eventually(line, func() error {
		_, err := c.host.Run(c.Context(), "sh", "-c", line)
		return err
	})
}

// calm waits until no good version is on its way up: of two, the one that is
// ready last has the traffic.
func (c *chaos) calm() {
	c.Helper()
	c.retry("! systemctl list-jobs --no-legend | grep -q myapp@v")
}

// up waits until the daemon is.
func (c *chaos) up() {
	c.Helper()
	c.retry("systemctl is-active switcherood")
}

// flushSome flushes the rules of one family, or of both.
func (c *chaos) flushSome() {
	c.Helper()
	w := window{v4: true}
	var tools []string
	switch c.rand.IntN(3) {
	case 0:
		w.v6 = true
		tools = []string{string(c.on), strings.Replace(string(c.on), "ip", "ip6", 1)}
	case 1:
		tools = []string{string(c.on)}
	case 2:
		w = window{v6: true}
		tools = []string{strings.Replace(string(c.on), "ip", "ip6", 1)}
	}
	line := ""
	for _, t := range tools {
		line += t + " -w 5 -t nat -F; "
	}
	c.flush(w, line, tools)
}

// flush flushes rules and waits until they are back.
func (c *chaos) flush(w window, line string, tools []string) {
	c.Helper()
	for _, t := range tools {
		line += fmt.Sprintf("until %s -t nat -S OUTPUT 2>/dev/null | grep -q SW-; do sleep 0.01; done; ", t)
	}
	w.from = time.Now()
	c.do(line)
	w.to = time.Now()
	c.windows = append(c.windows, w)
}

// stopOld stops an old version while it drains: that ends the one connection
// that it has left, and no other.
func (c *chaos) stopOld() {
	c.Helper()
	c.calm()
	c.current(c.start1("quick"))
	held := c.hold(server4 + ":8080")
	defer held.in.Close()
	old := "myapp@" + held.asks() + ".service"
	c.current(c.start1("quick"))
	var port uint16
	for _, o := range c.drains() {
		if o.Unit == old {
			port = o.Targets[0].Port
		}
	}
	if port == 0 {
		c.Fatalf("%s is no old one: %v", old, c.drains())
	}
	c.within(time.Minute, "all others have left "+old, func() error {
		out := c.do(fmt.Sprintf("ss -Htn state established state syn-recv 'sport = :%d'", port))
		if n := strings.Count(out, "\n"); n != 1 {
			return fmt.Errorf("it has %d connections", n)
		}
		return nil
	})
	c.retry("systemctl stop " + old)
	if _, err := io.WriteString(held.in, "\n"); err == nil {
		if got, err := held.out.ReadString('\n'); err == nil {
			c.Errorf("the connection to %s is not over: %q", old, got)
		}
	}
	if err := held.cmd.Wait(); err == nil {
		c.Errorf("the connection to %s has not been lost", old)
	}
}

// retired is an old version, as the daemon saved it.
type retired struct {
	Unit    string
	Targets []struct{ Port uint16 }
}

func (c *chaos) drains() []retired {
	c.Helper()
	text, err := c.host.ReadFile("/run/switcheroo/state.json")
	if err != nil {
		c.Fatal(err)
	}
	var state struct {
		Services map[string]struct{ Old []retired }
	}
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		c.Fatal(err)
	}
	return state.Services["myapp"].Old
}

// asks makes a request on the connection and returns which version answers.
func (h *holder) asks() string {
	h.s.Helper()
	if _, err := io.WriteString(h.in, "\n"); err != nil {
		h.s.Fatal(err)
	}
	got, err := h.out.ReadString('\n')
	if err != nil {
		h.s.Fatalf("held connection: %v", err)
	}
	return strings.TrimSpace(got)
}
