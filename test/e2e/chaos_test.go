//go:build chaos

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// Everything that can happen to a host and its daemon happens, in any order and
// under load: deploys, good ones and all sorts of bad ones, of one version or
// two at once; the daemon is killed, stopped in its tracks, restarted, reloaded;
// so are systemd and dbus; other programs flush the rules, write their own, hold
// iptables' lock. No connection is lost but those that nothing can save: new
// ones between a flush and the repair. In the end one version is left, and the
// rules are for that one.
//
// SWITCHEROO_CHAOS=10m torments each backend for so long; SWITCHEROO_SEED=n
// repeats the order of things.
func TestChaos(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SWITCHEROO_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("SWITCHEROO_SEED: %v", err)
		}
	}
	total := 20 * time.Second
	if d := os.Getenv("SWITCHEROO_CHAOS"); d != "" {
		var err error
		if total, err = time.ParseDuration(d); err != nil {
			t.Fatalf("SWITCHEROO_CHAOS: %v", err)
		}
	}
	for i, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			t.Logf("SWITCHEROO_SEED=%d repeats the order of things", seed)
			c := newChaos(setWith(t, b, chaosFiles), b, rand.New(rand.NewPCG(seed, uint64(i))))
			end := time.Now().Add(total)
			for n := 1; time.Now().Before(end) && !t.Failed(); n++ {
				// A load has a longest duration and details of so many
				// failures, and a look at the rules now and then tells earlier
				// what went wrong.
				c.round(min(time.Until(end), time.Minute))
			}
			t.Logf("%s: %s", b, c.summary())
		})
	}
}

// chaosFiles make a service whose versions get their arguments from a file
// each, which systemd reads without a daemon-reload.
var chaosFiles = map[string]string{
	"/etc/systemd/system/myapp@.service.d/chaos.conf": `[Service]
EnvironmentFile=-/etc/chaos/%i
TimeoutStartSec=3s
[X-Switcheroo]
StandbySec=200ms
DrainSec=2min
Probe=http:/healthz
`,
	"/etc/systemd/system/switcherood.service.d/chaos.conf": "[Service]\nRestartSec=100ms\n",
}

// chaos is a stage with one service, and what happened to it so far.
type chaos struct {
	*stage
	on       backend
	rand     *rand.Rand
	versions int // started so far
	did      map[string]int
	windows  []window
	trace    *trace
	seen     load.Result // of all rounds
	excused  int
}

func newChaos(s *stage, on backend, r *rand.Rand) *chaos {
	c := &chaos{stage: s, on: on, rand: r, did: map[string]int{}, trace: s.monitor()}
	c.current(c.start1("quick"))
	return c
}

// round does everything once or more, in random order, then checks what must
// hold.
func (c *chaos) round(d time.Duration) {
	c.Helper()
	stop := c.load(load.Config{
		Short: 8, Rate: 150, KeepAlive: 2, Requests: 20, Streams: 3, StreamFor: 2 * time.Second,
		Duration: load.MaxDuration, Timeout: 20 * time.Second,
		// So few that each is used again while conntrack knows its last
		// connection.
		SourcePorts: load.PortRange{First: 20000, Last: 20399},
	},
		fromItself, fromAnother)
	for end := time.Now().Add(d); time.Now().Before(end); {
		names := slices.Sorted(maps.Keys(events))
		c.rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			if !time.Now().Before(end) {
				break
			}
			c.trace.add(happened{time.Now(), "test: " + name})
			events[name](c)
			c.did[name]++
			time.Sleep(time.Duration(c.rand.IntN(300)) * time.Millisecond)
		}
	}
	c.settle()
	c.judge(stop())
}

// settle waits until all is done that was begun, and checks that one version is
// left, and the rules are for that one.
func (c *chaos) settle() {
	c.Helper()
	c.up()
	c.calm()
	c.retry("systemctl stop 'myapp@bad*' && { systemctl reset-failed 'myapp@bad*' || true; }")
	last := c.start1("quick")
	c.current(last)
	c.within(time.Minute, "all but "+last+" are stopped", c.onlyRuns(last))
	c.served(strings.TrimSuffix(strings.TrimPrefix(last, "myapp@"), ".service"))
	c.rulesAreFor(last)
}

var (
	comment = regexp.MustCompile(`"?switcheroo:([0-9a-f]{32}):`)
	to      = regexp.MustCompile(`--dport 8080 .*--to-destination :(\d+)`)
)

// rulesAreFor checks that all that the kernel holds of ours is for one unit.
func (c *chaos) rulesAreFor(unit string) {
	c.Helper()
	id := c.property(unit, "InvocationID")
	var ports []string
	for _, tool := range []string{string(c.on), strings.Replace(string(c.on), "ip", "ip6", 1)} {
		rules := c.do(tool + "-save -t nat")
		for _, m := range comment.FindAllStringSubmatch(rules, -1) {
			if m[1] != id {
				c.Errorf("%s: a rule for %s is left, %s is %s:\n%s", tool, m[1], unit, id, rules)
			}
		}
		found := to.FindAllStringSubmatch(rules, -1)
		if len(found) != 1 || strings.Count(rules, "-j SW-") != 5 {
			c.Errorf("%s: not the rules of one service:\n%s", tool, rules)
			continue
		}
		ports = append(ports, found[0][1])
	}
	c.eventually("the ports of ended versions are forgotten", func() error {
		set := c.do("nft list set inet switcheroo private")
		for _, p := range ports {
			if p != ports[0] || !strings.Contains(set, "elements = { "+p+" }") {
				return fmt.Errorf("the rules lead to %v, and %s", ports, set)
			}
		}
		return nil
	})
}

// judge takes in what clients saw. Only refusals between a flush and the repair
// are no loss.
func (c *chaos) judge(r *load.Result) {
	c.Helper()
	c.seen.Merge(r)
	var lost []load.Failure
	for _, f := range r.Failures {
		if f.Class == load.Refused && f.Phase == load.Connect && slices.ContainsFunc(c.windows, func(w window) bool { return w.excuses(f) }) {
			c.excused++
			continue
		}
		if lost = append(lost, f); len(lost) <= 20 {
			c.Errorf("lost: %s", f)
		}
	}
	if len(lost) > 20 || r.LeftOut > 0 {
		c.Errorf("%d lost, %d left out", len(lost), r.LeftOut)
	}
	if len(lost) > 0 {
		c.Logf("what happened around the first that was lost:\n%s", c.around(lost))
	}
}

func (c *chaos) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d versions", c.versions)
	for _, name := range slices.Sorted(maps.Keys(c.did)) {
		fmt.Fprintf(&b, ", %d x %s", c.did[name], name)
	}
	var longest time.Duration
	for _, w := range c.windows {
		longest = max(longest, w.to.Sub(w.from))
	}
	fmt.Fprintf(&b, "\n%d connections were refused between a flush and its repair, which took at most %v\n", c.excused, longest.Round(time.Millisecond))
	if err := c.seen.Table(&b); err != nil {
		c.Fatal(err)
	}
	return b.String()
}
