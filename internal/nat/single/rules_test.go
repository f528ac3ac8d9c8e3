package single

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/nat/iptables"
)

// What the kernel shows after an install, a second one, and the way back.
func TestRules(t *testing.T) {
	each(t, func(t *testing.T, tools []Tool) {
		r := New("web", tools)
		first := generation(11, 40400)
		first.Targets = append(first.Targets, nat.Target{
			Endpoint: nat.Endpoint{Addr: netip.MustParseAddr("192.0.2.7"), Port: 443}, Port: 40400, Families: nat.IPv4,
		})
		a := install(t, r, first)
		key := nat.Key("web")
		chain := generationChain(key, a.ID)
		note := `"switcheroo gen=1 pid=11 start=99 scope=3 port=40400 ns=web"`
		var want []string
		for _, family := range []string{"IPv4 ", "IPv6 "} {
			lines := []string{
				"-N SWL-" + key,
				"-N " + chain,
				`-A PREROUTING -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m addrtype --dst-type LOCAL -m comment --comment "switcheroo ns=web" -j SWL-` + key,
				`-A OUTPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m addrtype --dst-type LOCAL -m comment --comment "switcheroo ns=web" -j SWL-` + key,
				"-A SWL-" + key + " -m comment --comment " + note + " -j " + chain,
				"-A " + chain + " -m comment --comment " + note,
				"-A " + chain + " -p tcp -m tcp --dport 8080 -j DNAT --to-destination :40400",
			}
			if family == "IPv4 " {
				lines = append(lines, "-A "+chain+" -d 192.0.2.7/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination :40400")
			}
			for _, l := range lines {
				want = append(want, family+l)
			}
		}
		// The two variants sort chains in different ways.
		if diff := cmp.Diff(sorted(want), sorted(strings.Split(show(t, tools), "\n"))); diff != "" {
			t.Errorf("after the first install (-want +got):\n%s", diff)
		}

		b := install(t, r, generation(12, 40401))
		s := read(t, r)
		if s.Current != b.ID || len(s.Generations) != 2 || s.Generations[0].PID != 12 {
			t.Fatalf("after the second install: %+v", s)
		}
		old, _ := s.Find(a.ID)
		if old.Retired == 0 || old.Told || !cmp.Equal(old.Targets, merge(first.Targets), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
			t.Errorf("the first one is now %+v", old)
		}
		if ports := s.Ports(); !cmp.Equal(ports, []uint16{40401, 40400}) {
			t.Errorf("private ports %v", ports)
		}
		if err := r.Tell(t.Context(), s, a.ID); err != nil {
			t.Fatal(err)
		}
		if old, _ = read(t, r).Find(a.ID); !old.Told {
			t.Error("not told")
		}

		// Back to the first one, which loses its marks.
		if err := r.Lead(t.Context(), read(t, r), a.ID); err != nil {
			t.Fatal(err)
		}
		s = read(t, r)
		if old, _ = s.Find(a.ID); s.Current != a.ID || old.Told || old.Retired != 0 {
			t.Errorf("after the way back: current %s, %+v", s.Current, old)
		}
		if err := r.Drop(t.Context(), s, a.ID, b.ID); err != nil {
			t.Fatal(err)
		}
		if s = read(t, r); len(s.Generations) != 1 || s.Current != a.ID {
			t.Errorf("drop has left %+v", s)
		}
		if err := r.Leave(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if s = read(t, r); !s.Empty() {
			t.Errorf("left: %s", show(t, tools))
		}
		if left := show(t, tools); left != "" {
			t.Errorf("left: %s", left)
		}
	})
}

func sorted(lines []string) []string {
	var all []string
	for _, l := range lines {
		all = append(all, strings.TrimSpace(l))
	}
	slices.Sort(all)
	return all
}

// A scope that changes, with the hooks of the other one.
func TestScope(t *testing.T) {
	each(t, func(t *testing.T, tools []Tool) {
		r := New("web", tools)
		for i, scope := range []nat.Scope{nat.Network, nat.Everyone, nat.Localhost} {
			g := generation(i+1, 40400+uint16(i))
			g.Scope = scope
			install(t, r, g)
			text := show(t, tools)
			for _, b := range bases {
				if hooked := strings.Count(text, "-A "+b.chain+" "); hooked != map[bool]int{true: 2, false: 0}[scope&b.scope != 0] {
					t.Errorf("scope %v: %d hooks in %s:\n%s", scope, hooked, b.chain, text)
				}
			}
		}
	})
}

// failing is a tool's command that fails at the nth call, or at all from there
// on.
type failing struct {
	n     int // 0: never
	onAll bool
	calls int
}

func (f *failing) tools(real []Tool) []Tool {
	var all []Tool
	for _, tool := range real {
		command := tool.Command
		tool.Command = func(args ...string) *exec.Cmd {
			f.calls++
			if f.n > 0 && (f.calls == f.n || f.onAll && f.calls > f.n) {
				return exec.Command("sh", "-c", `echo "told to fail: $*" >&2; exit 4`, "sh", strings.Join(args, " "))
			}
			return command(args...)
		}
		all = append(all, tool)
	}
	return all
}

// Whichever command fails, everything is as it was, and the error says which and
// why.
func TestEveryCommandFails(t *testing.T) {
	original := []string{"-I", "PREROUTING", "1", "-p", "tcp", "--dport", "8080", "-m", "comment", "--comment", "SWITCHEROO:ns=web:port=40410:pid=77", "-j", "REDIRECT", "--to-ports", "40410"}
	foreign := []string{"-A", "PREROUTING", "-p", "tcp", "--dport", "9999", "-j", "REDIRECT", "--to-ports", "9998"}
	kinds := map[string]func(t *testing.T, tools []Tool) []Generation{
		"first": func(*testing.T, []Tool) []Generation { return nil },
		"switch": func(t *testing.T, tools []Tool) []Generation {
			install(t, New("web", tools), generation(11, 40400))
			return nil
		},
		"takeover": func(t *testing.T, tools []Tool) []Generation {
			ipt(t, tools, foreign...)
			ipt(t, tools, original...)
			ipt(t, tools, foreign...)
			old := generation(77, 40410)
			return []Generation{old}
		},
	}
	for kind, before := range kinds {
		t.Run(kind, func(t *testing.T) {
			each(t, func(t *testing.T, tools []Tool) {
				keep := before(t, tools)
				was := show(t, tools)
				for n := 1; ; n++ {
					f := &failing{n: n}
					r := New("web", f.tools(tools))
					s := read(t, New("web", tools))
					_, err := r.Install(t.Context(), s, generation(12, 40401), keep, nil)
					if f.calls < n {
						if err != nil {
							t.Fatal(err)
						}
						if now := read(t, New("web", tools)); len(now.Originals) > 0 {
							t.Errorf("rules of the original are left: %+v", now.Originals)
						}
						t.Logf("%d commands", n-1)
						return
					}
					var failed *CommandError
					if !errors.As(err, &failed) || !strings.Contains(err.Error(), "told to fail: -w 15 -t nat -") {
						t.Errorf("command %d: error %v", n, err)
					}
					if now := show(t, tools); now != was {
						t.Fatalf("command %d failed (%v), and left (-want +got):\n%s", n, err, cmp.Diff(was, now))
					}
				}
			})
		})
	}
}

// If nothing works any more from some command on, so that nothing can be undone
// either, the traffic is at one of the two, and the error says what is left.
func TestEveryCommandFailsFromThereOn(t *testing.T) {
	each(t, func(t *testing.T, tools []Tool) {
		real := New("web", tools)
		install(t, real, generation(11, 40400))
		for n := 1; ; n++ {
			f := &failing{n: n, onAll: true}
			s := read(t, real)
			_, err := New("web", f.tools(tools)).Install(t.Context(), s, generation(12, 40401), nil, nil)
			if f.calls < n {
				return
			}
			if err == nil {
				t.Fatalf("command %d failed, and nobody says so", n)
			}
			now := read(t, real)
			current, found := now.Find(now.Current)
			if !found || current.PID != 11 && current.PID != 12 || len(current.Targets) != 1 {
				t.Fatalf("command %d failed, and the traffic goes to %+v:\n%s", n, current, show(t, tools))
			}
			// The next process cleans up.
			for _, g := range now.Generations {
				if g.PID == 11 {
					if err := real.Lead(t.Context(), now, g.ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			now = read(t, real)
			for _, g := range now.Generations {
				if err := real.Drop(t.Context(), now, g.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// The daemon's rules and those of two services leave each other alone.
func TestBesideOthers(t *testing.T) {
	for _, variant := range []iptables.Variant{iptables.NFT, iptables.Legacy} {
		t.Run(variant.String(), func(t *testing.T) {
			tools := toolsOf(variant.String())
			daemon, err := iptables.New(t.Context(), iptables.Options{Variant: variant})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := daemon.Remove(context.Background()); err != nil {
					t.Error(err)
				}
			})
			want := func(port uint16) nat.Rules {
				return nat.Rules{Redirects: []nat.Redirect{{Service: "web", Activation: "abc", Scope: nat.Everyone,
					Targets: []nat.Target{{Endpoint: nat.Endpoint{Port: 443}, Port: port, Families: nat.DualStack}}}}}
			}
			apply := func(port uint16) {
				t.Helper()
				if _, err := daemon.Apply(t.Context(), want(port)); err != nil {
					t.Fatal(err)
				}
			}
			web, webs := New("web", tools), New("webs", tools)
			apply(61000)
			g := install(t, web, generation(11, 40400))
			other := generation(12, 40401)
			other.Targets[0].Endpoint.Port = 8081
			h := install(t, webs, other)
			apply(61001)
			if change, err := daemon.Apply(t.Context(), want(61001)); err != nil || change.Changed {
				t.Errorf("the daemon repairs what is none of its: %+v, %v", change, err)
			}
			if read(t, web).Current != g.ID || read(t, webs).Current != h.ID {
				t.Errorf("the daemon has changed the library's rules:\n%s", show(t, tools))
			}
			g = install(t, web, generation(13, 40402))
			claims := read(t, web).Claims([]nat.Target{{Endpoint: nat.Endpoint{Port: 443}}, {Endpoint: nat.Endpoint{Port: 8081}}}, nat.Network)
			owners := map[string]int{}
			for _, c := range claims {
				owners[c.Owner] = c.PID
			}
			if diff := cmp.Diff(map[string]int{"": 0, "webs": 12}, owners); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			if err := daemon.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			if read(t, web).Current != g.ID || read(t, webs).Current != h.ID {
				t.Errorf("the daemon has removed the library's rules:\n%s", show(t, tools))
			}
			if err := web.Remove(t.Context(), read(t, web)); err != nil {
				t.Fatal(err)
			}
			if !read(t, web).Empty() || read(t, webs).Current != h.ID {
				t.Errorf("after the removal of one:\n%s", show(t, tools))
			}
			if err := webs.Remove(t.Context(), read(t, webs)); err != nil {
				t.Fatal(err)
			}
			if left := show(t, tools); left != "" {
				t.Errorf("left:\n%s", left)
			}
		})
	}
}
