package iptables

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// bothReads returns what the table itself says, and what the text of
// iptables-legacy-save does. It fails the test unless they are the same, or the
// first is an error.
func bothReads(t testing.TB, f nat.Family) (native, text error) {
	t.Helper()
	var got snapshot
	table, native := legacyNAT(f)
	if native == nil {
		got, native = table.snapshot()
	}
	want, text := parseSave(command(t, Legacy.command(f)+"-save", "-t", "nat"))
	if native == nil && text == nil {
		if d := cmp.Diff(want, got, cmp.AllowUnexported(snapshot{}, hook{}), compareRules); d != "" {
			t.Errorf("%v: the text and the table: %s", f, d)
		}
	}
	return native, text
}

// others are rules that have nothing to do with ours, of both families.
var others = []string{
	"-N FOO",
	"-N SW-custom",
	"-N SWL-0123456789abcdef",
	"-N SW-0123456789ABCDEF",
	"-A FOO -j SW-custom",
	"-A FOO -g SW-0123456789ABCDEF",
	"-A SW-custom -p tcp --dport 1 -j ACCEPT",
	"-A PREROUTING -p udp --dport 53 -j ACCEPT",
	"-A PREROUTING -m comment --comment switcheroo -j ACCEPT",
	"-A PREROUTING -m comment --comment switcheroo -j FOO",
	"-A PREROUTING -m comment --comment SW-NETWORK",
	"-A PREROUTING -i lo -p tcp -m multiport --dports 80,443 -j REDIRECT --to-ports 9999",
	"-A PREROUTING -p tcp --syn",
	"-A PREROUTING -m conntrack --ctstate DNAT -j LOG --log-prefix SW-NETWORK",
	"-A PREROUTING ! -i lo -p tcp -m conntrack --ctstate NEW,RELATED -m limit --limit 3/min -j RETURN",
	"-A PREROUTING -p icmp -j ACCEPT",
	"-A OUTPUT -p tcp -m owner --uid-owner 7 -j ACCEPT",
	"-A OUTPUT -p tcp --dport 5 -j DNAT --to-destination :6",
	"-A OUTPUT -m mark --mark 7 -j FOO",
	"-A INPUT -p tcp -j SNAT --to-source :1-5",
	"-A POSTROUTING -o lo -j MASQUERADE --random",
	"-A POSTROUTING -m addrtype --dst-type LOCAL -j FOO",
}

// TestLegacyReadPlain: what must be read without a command.
func TestLegacyReadPlain(t *testing.T) {
	newNetns(t)
	check := func(when string) {
		t.Helper()
		for _, f := range families {
			if native, text := bothReads(t, f); native != nil || text != nil {
				t.Errorf("%v, %s: %v, %v", f, when, native, text)
			}
		}
	}
	both := func(rules ...string) {
		t.Helper()
		for _, f := range families {
			for _, words := range rules {
				ipt(t, Legacy, f, "-t nat "+words)
			}
		}
	}
	both("-L")
	check("an empty table")
	for _, f := range families {
		commandInput(t, "*nat\n:POSTROUTING DROP [0:0]\nCOMMIT\n", Legacy.command(f)+"-restore")
	}
	check("another policy")
	both(others...)
	check("others alone")
	b := newBackend(t, Legacy)
	mustApply(t, b, goldenRules().Redirects...)
	check("golden rules among others")
	both("-I PREROUTING 1 -p tcp --dport 25 -j ACCEPT", "-I PREROUTING 1 -j LOG", "-I OUTPUT 1 -j FOO")
	check("others before the hooks")
	both("-F FOO", "-A FOO -m comment --comment last", "-N BAR", "-A FOO -j BAR")
	check("a rule without a target, and one that leads to the next chain")
	for _, tt := range spoiled {
		if strings.HasPrefix(tt.name, "somebody's rule") {
			continue
		}
		mustApply(t, b, goldenRules().Redirects...)
		spoil(t, Legacy, tt.commands)
		check(tt.name)
	}
	both("-F", "-A PREROUTING -d 0.0.0.0/0 -m addrtype --dst-type LOCAL -m comment --comment switcheroo -j SW-NETWORK")
	check("an odd hook")
	mustApply(t, b, goldenRules().Redirects...)
	check("repaired")
	both("-F", "-X")
	check("flushed and deleted")
}

// TestLegacyReadRandom goes through random layouts, with rules of others between.
func TestLegacyReadRandom(t *testing.T) {
	newNetns(t)
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, seed))
	b := newBackend(t, Legacy)
	for round := range 25 {
		mustApply(t, b, randomRules(rng).Redirects...)
		rule := others[rng.IntN(len(others))]
		for _, f := range families {
			if strings.HasPrefix(rule, "-A") && !strings.Contains(rule, " FOO") && !strings.Contains(rule, "custom") {
				ipt(t, Legacy, f, "-t nat "+strings.Replace(rule, "-A", "-I", 1))
			}
			if native, text := bothReads(t, f); native != nil || text != nil {
				t.Errorf("%v: %v, %v", f, native, text)
			}
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// TestLegacyReadDeclines: what takes the words of iptables is left to it.
func TestLegacyReadDeclines(t *testing.T) {
	tests := map[string][]string{
		"pinned by a jump":              {"-N FOO", "-A FOO -j " + goldenService},
		"pinned by a goto":              {"-N FOO", "-A FOO -g " + goldenService},
		"pinned by a built-in chain":    {"-A OUTPUT -j SW-NETWORK"},
		"pinned by another comment":     {"-A PREROUTING -m comment --comment mine -j SW-NETWORK"},
		"hook with more to it":          {"-A PREROUTING -i lo -m comment --comment switcheroo -j SW-NETWORK"},
		"hook that goes":                {"-A PREROUTING -m comment --comment switcheroo -g SW-NETWORK"},
		"hook of two comments":          {"-A PREROUTING -m comment --comment a -m comment --comment switcheroo -j SW-NETWORK"},
		"hook in another order":         {"-A PREROUTING -m comment --comment switcheroo -m addrtype --dst-type LOCAL -j SW-NETWORK"},
		"verdict in our chain":          {"-A SW-NETWORK -p tcp --dport 443 -j RETURN"},
		"return in our chain":           {"-A SW-NETWORK -j RETURN"},
		"nothing in our chain":          {"-A SW-NETWORK -p tcp --dport 443"},
		"goto in our chain":             {"-I SW-NETWORK 1 -g " + goldenService},
		"jump to somebody's chain":      {"-N FOO", "-A SW-NETWORK -j FOO"},
		"another target":                {"-A SW-NETWORK -j LOG"},
		"redirect":                      {"-A SW-NETWORK -p tcp --dport 7 -j REDIRECT --to-ports 8"},
		"range of ports":                {"-A SW-NETWORK -p tcp --dport 7:8 -j DNAT --to-destination :9"},
		"source port":                   {"-A SW-NETWORK -p tcp --sport 7 --dport 7 -j DNAT --to-destination :9"},
		"another port":                  {"-A SW-NETWORK -p tcp ! --dport 7 -j DNAT --to-destination :9"},
		"port zero":                     {"-A SW-NETWORK -p tcp --dport 0 -j DNAT --to-destination :9"},
		"any port":                      {"-A SW-NETWORK -p tcp -j DNAT --to-destination :9"},
		"any port, said":                {"-A SW-NETWORK -p tcp -m tcp -j DNAT --to-destination :9"},
		"udp":                           {"-A SW-NETWORK -p udp --dport 7 -j DNAT --to-destination :9"},
		"not tcp":                       {"-A SW-NETWORK ! -p tcp -j " + goldenService},
		"other flags":                   {"-A SW-NETWORK -p tcp --dport 7 --tcp-flags SYN,RST SYN -j DNAT --to-destination :9"},
		"not opening":                   {"-A SW-NETWORK -p tcp --dport 7 ! --syn -j DNAT --to-destination :9"},
		"an option of tcp":              {"-A SW-NETWORK -p tcp --dport 7 --tcp-option 5 -j DNAT --to-destination :9"},
		"to a range":                    {"-A SW-NETWORK -p tcp --dport 7 -j DNAT --to-destination :9-11"},
		"to a random port":              {"-A SW-NETWORK -p tcp --dport 7 -j DNAT --to-destination :9 --random"},
		"to a persistent one":           {"-A SW-NETWORK -p tcp --dport 7 -j DNAT --to-destination :9 --persistent"},
		"to an address":                 {"-A SW-NETWORK -p tcp --dport 7 -j DNAT --to-destination ADDR"},
		"to an address and port":        {"-A SW-NETWORK -p tcp --dport 7 -j DNAT --to-destination [ADDR]:9"},
		"not to an address":             {"-A SW-NETWORK ! -d ADDR -p tcp --dport 7 -j DNAT --to-destination :9"},
		"to a network":                  {"-A SW-NETWORK -d ADDR/31 -p tcp --dport 7 -j DNAT --to-destination :9"},
		"from an address":               {"-A SW-NETWORK -s ADDR -p tcp --dport 7 -j DNAT --to-destination :9"},
		"from an interface":             {"-A SW-NETWORK -i lo -p tcp --dport 7 -j DNAT --to-destination :9"},
		"from any interface of a kind":  {"-A SW-NETWORK -i w+ -p tcp --dport 7 -j DNAT --to-destination :9"},
		"another type of address":       {"-A SW-NETWORK -m addrtype --dst-type UNICAST -j " + goldenService},
		"not that type of address":      {"-A SW-NETWORK -m addrtype ! --dst-type LOCAL -j " + goldenService},
		"type of both addresses":        {"-A SW-NETWORK -m addrtype --src-type LOCAL --dst-type LOCAL -j " + goldenService},
		"type of address, by interface": {"-A SW-NETWORK -m addrtype --dst-type LOCAL --limit-iface-in -j " + goldenService},
		"no comment in the comment":     {"-A SW-NETWORK -m comment --comment  -j " + goldenService},
		"a mark":                        {"-A SW-NETWORK -m mark --mark 7 -j " + goldenService},
	}
	for name, rules := range tests {
		t.Run(name, func(t *testing.T) {
			newNetns(t)
			b := newBackend(t, Legacy)
			mustApply(t, b, goldenRules().Redirects...)
			for _, f := range families {
				addr := map[nat.Family]string{nat.IPv4: "192.0.2.6", nat.IPv6: "2001:db8::6"}[f]
				for _, words := range rules {
					if words = strings.ReplaceAll(words, "ADDR", addr); f == nat.IPv4 {
						words = strings.NewReplacer("[", "", "]", "").Replace(words)
					}
					// Not by fields: a word may be empty.
					command(t, append([]string{Legacy.command(f), "-w", "-t", "nat"}, strings.Split(words, " ")...)...)
				}
				native, text := bothReads(t, f)
				if native != errNotPlain || text != nil {
					t.Errorf("%v: %v, %v", f, native, text)
				}
			}
			// And iptables does it.
			mustApply(t, b, goldenRules().Redirects...)
			wantHooks := []string{"PREROUTING 1 SW-NETWORK", "OUTPUT 1 SW-LOCALHOST"}
			for _, tool := range b.tools {
				s, err := tool.read(testContext(t))
				if err != nil {
					t.Fatal(err)
				}
				var hooks []string
				for _, h := range s.hooks {
					hooks = append(hooks, fmt.Sprint(h.chain, " ", h.pos, " ", h.jump))
				}
				if d := cmp.Diff(wantHooks, hooks); d != "" {
					t.Errorf("%v: %s", tool.family, d)
				}
				l, err := newLayout(goldenRules(), tool.family)
				if err != nil || diff(s, l) != "" {
					t.Errorf("%v: %v, still to do: %q", tool.family, err, diff(s, l))
				}
			}
		})
	}
}

// TestLegacyReadBrokenLine: a comment of somebody's that breaks the line of the
// text does not matter to the table.
func TestLegacyReadBrokenLine(t *testing.T) {
	newNetns(t)
	command(t, "iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-m", "comment", "--comment", "one\ntwo", "-j", "ACCEPT")
	b := newBackend(t, Legacy)
	mustApply(t, b, web(v1, 8443))
	if native, text := bothReads(t, nat.IPv4); native != nil || text == nil {
		t.Errorf("%v, %v", native, text)
	}
	checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{web(v1, 8443)}})
}

// TestLegacyReadDeletes: what was read from the table, hooks too, is deleted by it.
func TestLegacyReadDeletes(t *testing.T) {
	newNetns(t)
	b := newBackend(t, Legacy)
	mustApply(t, b, goldenRules().Redirects...)
	blind(b)
	for _, f := range families {
		addr := map[nat.Family]string{nat.IPv4: "192.0.2.6", nat.IPv6: "2001:db8::6"}[f]
		for _, spec := range []string{
			"-m comment --comment switcheroo",
			"-m addrtype --dst-type LOCAL -m comment --comment switcheroo",
			"-p tcp --syn -m comment --comment switcheroo",
			"-d " + addr + " -p tcp --dport 7 --syn -m addrtype --dst-type LOCAL -m comment --comment switcheroo",
			hookSpec[:len(hookSpec)-len(" -j ")],
		} {
			for _, chain := range []string{"PREROUTING", "OUTPUT"} {
				ipt(t, Legacy, f, "-t nat -A "+chain+" "+spec+" -j SW-NETWORK")
			}
		}
	}
	if change := mustApply(t, b, goldenRules().Redirects...); change != (nat.Change{Changed: true, Repaired: true}) {
		t.Errorf("%+v", change)
	}
	wantGolden(t, Legacy)
	if err := b.Remove(testContext(t)); err != nil {
		t.Error(err)
	}
	wantNoTrace(t, Legacy)
}

// TestLegacyReadLoadsNothing: a table that is not there stays so.
func TestLegacyReadLoadsNothing(t *testing.T) {
	newNetns(t)
	b := newBackend(t, Legacy)
	for _, tool := range b.tools {
		s, seen, err := tool.readSeen(testContext(t))
		if err != nil || !s.empty() || seen != (fingerprint{}) {
			t.Errorf("%+v, %+v, %v", s, seen, err)
		}
		if has, err := tool.hasLibrary(testContext(t)); has || err != nil {
			t.Errorf("%v, %v", has, err)
		}
		if legacyTable(tool.family, "nat") {
			t.Errorf("%v: loaded", tool.family)
		}
	}
}

// sides are two states of a table in one size, with the same number of rules:
// where somebody's rule is, before one hook of ours or the other.
var sides = []string{
	"*nat\n-D OUTPUT 1\n-I PREROUTING 1 -p tcp --dport 7 -j ACCEPT\nCOMMIT\n",
	"*nat\n-D PREROUTING 1\n-I OUTPUT 1 -p tcp --dport 7 -j ACCEPT\nCOMMIT\n",
}

// positions are those of the hooks.
func positions(s snapshot) (all []int) {
	for _, h := range s.hooks {
		all = append(all, h.pos)
	}
	return all
}

// TestLegacyReadLooksAgain: the table has changed since the fingerprint that the
// read begins with, in its size or not.
func TestLegacyReadLooksAgain(t *testing.T) {
	newNetns(t)
	mustApply(t, newBackend(t, Legacy), web(v1, 8443))
	for _, f := range families {
		e, seen, err := openSeen(f)
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		ipt(t, Legacy, f, "-t nat -I OUTPUT 1 -p tcp --dport 7 -j ACCEPT")
		for i, want := range [][]int{{1, 2}, {2, 1}, {1, 2}} {
			if i > 0 {
				commandInput(t, sides[i-1], Legacy.command(f)+"-restore", "--noflush", "-w")
			}
			table, now, err := e.table(seen)
			if err != nil || now == seen {
				t.Fatalf("%v: %v, with the fingerprint of before: %v", f, err, now == seen)
			}
			s, err := table.snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, positions(s)); d != "" {
				t.Errorf("%v: %s", f, d)
			}
			if again, err := e.look(); err != nil || again != now {
				t.Errorf("%v: not the fingerprint of what was read: %v", f, err)
			}
			seen = now
		}
	}
}

// TestLegacyReadBesideOthersWhoWrite: a read shows the table as it was at one
// moment, whatever is committed meanwhile.
func TestLegacyReadBesideOthersWhoWrite(t *testing.T) {
	newNetns(t)
	mustApply(t, newBackend(t, Legacy), web(v1, 8443))
	ipt(t, Legacy, nat.IPv4, "-t nat -I OUTPUT 1 -p tcp --dport 7 -j ACCEPT")
	here := thisHost(t)
	over := make(chan error, 1)
	go func() {
		over <- here.do(func() error {
			for i := range 200 {
				if _, err := run(t.Context(), commandTimeout, sides[i%2], "iptables-legacy-restore", "--noflush", "-w"); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	var reads, torn int
	seen := map[string]int{}
	for running := true; running; reads++ {
		select {
		case err := <-over:
			running = false
			if err != nil {
				t.Fatal(err)
			}
		default:
		}
		table, err := legacyNAT(nat.IPv4)
		if err != nil {
			torn++
			continue
		}
		s, err := table.snapshot()
		if err != nil {
			t.Fatal(err)
		}
		seen[fmt.Sprint(positions(s))]++
	}
	t.Logf("%d reads: %v; %d gave up", reads, seen, torn)
	if len(seen) != 2 || seen["[1 2]"] == 0 || seen["[2 1]"] == 0 || torn > reads/10 {
		t.Error("want all of the two states")
	}
}

// TestLegacySwitchRunsNothingElse: a switch takes the two writes, and no other
// command, not even to see whether the library claims the port.
func TestLegacySwitchRunsNothingElse(t *testing.T) {
	newNetns(t)
	ran := logCommands(t)
	b := newBackend(t, Legacy)
	mustApply(t, b, goldenRules().Redirects...)
	ran()
	if all, err := b.Library(testContext(t)); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
	if change := mustApply(t, b, moved().Redirects...); change != (nat.Change{Changed: true}) {
		t.Errorf("%+v", change)
	}
	want := []string{"iptables-legacy-restore --noflush -w 5", "ip6tables-legacy-restore --noflush -w 5"}
	if d := cmp.Diff(want, ran()); d != "" {
		t.Error(d)
	}
	checkInstalled(t, b, moved())
	mustApply(t, b, moved().Redirects...)
	if got := ran(); len(got) > 0 {
		t.Errorf("to see that nothing is to be done: %q", got)
	}
	ipt(t, Legacy, nat.IPv4, "-t nat -N SWL-0123456789abcdef")
	ran()
	if all, err := b.Library(testContext(t)); err != nil || len(all) != 1 || len(ran()) > 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// logCommands has the commands of iptables-legacy noted. The function that it
// returns tells of those since its last call.
func logCommands(t *testing.T) (ran func() []string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	commands := map[string]string{}
	for _, f := range families {
		for _, name := range []string{"", "-save", "-restore"} {
			name = Legacy.command(f) + name
			path, err := exec.LookPath(name)
			if err != nil {
				t.Fatal(err)
			}
			commands[name] = fmt.Sprintf("echo %s \"$@\" >>%s\nexec %s \"$@\"", name, log, path)
		}
	}
	fakeCommands(t, commands)
	return func() (lines []string) {
		text, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
		if err := os.RemoveAll(log); err != nil {
			t.Fatal(err)
		}
		return lines
	}
}
