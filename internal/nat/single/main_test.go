package single

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/test/host"
)

func TestMain(m *testing.M) { os.Exit(host.MainAlone(m)) }

// variants are the two iptables, as tools.
var variants = []string{"nft", "legacy"}

func toolsOf(variant string) []Tool {
	named := func(name string) func(args ...string) *exec.Cmd {
		return func(args ...string) *exec.Cmd { return exec.Command(name+"-"+variant, args...) }
	}
	return []Tool{{nat.IPv4, named("iptables")}, {nat.IPv6, named("ip6tables")}}
}

// each runs a test with both, and leaves the kernel as it was.
func each(t *testing.T, f func(t *testing.T, tools []Tool)) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a network namespace of its own")
	}
	for _, v := range variants {
		t.Run(v, func(t *testing.T) {
			tools := toolsOf(v)
			t.Cleanup(func() {
				for _, tool := range tools {
					for _, args := range [][]string{{"-F"}, {"-X"}} {
						if _, err := tool.run(context.Background(), args...); err != nil {
							t.Error(err)
						}
					}
				}
			})
			f(t, tools)
		})
	}
}

// show returns all rules of table nat, family by family.
func show(t *testing.T, tools []Tool) string {
	t.Helper()
	var all []string
	for _, tool := range tools {
		text, err := tool.run(t.Context(), "-S")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "-P ") {
				all = append(all, tool.Family.String()+" "+strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(all, "\n")
}

// ipt runs one command of the IPv4 tool.
func ipt(t *testing.T, tools []Tool, args ...string) {
	t.Helper()
	if _, err := tools[0].run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, r *Rules) State {
	t.Helper()
	s, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func generation(pid int, port uint16) Generation {
	return Generation{
		PID: pid, Start: 99, Port: port, Scope: nat.Everyone,
		Targets: []nat.Target{{Endpoint: nat.Endpoint{Port: 8080}, Port: port, Families: nat.DualStack}},
	}
}

func install(t *testing.T, r *Rules, g Generation, keep ...Generation) Generation {
	t.Helper()
	g, err := r.Install(t.Context(), read(t, r), g, keep, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
