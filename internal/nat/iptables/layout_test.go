package iptables

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenRules have every form that a rule of ours can have.
func goldenRules() nat.Rules {
	return nat.Rules{Redirects: []nat.Redirect{
		{Service: "web", Activation: v2, Scope: nat.Everyone, Targets: []nat.Target{
			target("", 443, 8443, nat.DualStack),
			target("", 80, 8080, nat.DualStack),
			target("192.0.2.7", 443, 8444, nat.DualStack),
			target("2001:db8::7", 443, 8445, nat.DualStack),
		}},
		{Service: "inside", Activation: v1, Scope: nat.Localhost, Targets: []nat.Target{
			target("", 5432, 61000, nat.IPv4),
		}},
		{Service: "outside", Activation: v1, Scope: nat.Network, Targets: []nat.Target{
			target("0.0.0.0", 25, 61001, nat.DualStack),
			target("::", 25, 61002, nat.DualStack),
		}},
		{Service: "own address", Activation: v1, Scope: nat.Network, Targets: []nat.Target{
			target("::ffff:192.0.2.9", 8080, 61003, nat.IPv4),
		}},
	}}
}

var goldenFiles = map[nat.Family]string{nat.IPv4: "testdata/rules.v4", nat.IPv6: "testdata/rules.v6"}

func golden(t *testing.T, f nat.Family) string {
	t.Helper()
	text, err := os.ReadFile(goldenFiles[f])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLayoutGolden compares what we would write into an empty table.
func TestLayoutGolden(t *testing.T) {
	for f, file := range goldenFiles {
		t.Run(f.String(), func(t *testing.T) {
			l, err := newLayout(goldenRules(), f)
			if err != nil {
				t.Fatal(err)
			}
			got := diff(snapshot{}, l)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(golden(t, f), got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestLayoutReadsBack: rules that say the same as the layout need no write.
func TestLayoutReadsBack(t *testing.T) {
	for f := range goldenFiles {
		text := strings.ReplaceAll(golden(t, f), "-I PREROUTING 1", "-A PREROUTING")
		text = strings.ReplaceAll(text, "-I OUTPUT 1", "-A OUTPUT")
		text = strings.Replace(text, "*nat\n", "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n", 1)
		have, err := parseSave(text)
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLayout(goldenRules(), f)
		if err != nil {
			t.Fatal(err)
		}
		if script := diff(have, l); script != "" {
			t.Errorf("%v: would write:\n%s", f, script)
		}
	}
}

func TestLayoutIsTheSameInAnyOrder(t *testing.T) {
	one, two := goldenRules(), goldenRules()
	for i, j := 0, len(two.Redirects)-1; i < j; i, j = i+1, j-1 {
		two.Redirects[i], two.Redirects[j] = two.Redirects[j], two.Redirects[i]
	}
	a, err1 := newLayout(one, nat.IPv4)
	b, err2 := newLayout(two, nat.IPv4)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if d := cmp.Diff(a, b, compareRules); d != "" {
		t.Error(d)
	}
}

func TestChainNamesFit(t *testing.T) {
	l, err := newLayout(nat.Rules{Redirects: []nat.Redirect{web(v1, 8443)}}, nat.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	for name, rules := range l {
		// XT_EXTENSION_MAXNAMELEN is 29, with the NUL.
		if len(name) > 28 {
			t.Errorf("chain %q has %d characters", name, len(name))
		}
		for _, r := range rules {
			if len(r.comment) > 255 {
				t.Errorf("comment %q would be cut", r.comment)
			}
		}
	}
}

func TestIsOurs(t *testing.T) {
	for name, want := range map[string]bool{
		"SW-NETWORK":           true,
		"SW-LOCALHOST":         true,
		"SW-0123456789abcdef":  true,
		"SW-0123456789ABCDEF":  false,
		"SW-0123456789abcde":   false,
		"SW-0123456789abcdef0": false,
		"SW-INPUT":             false,
		"0123456789abcdef":     false,
		"":                     false,
	} {
		if got := isOurs(name); got != want {
			t.Errorf("isOurs(%q) = %v", name, got)
		}
	}
}

func TestActivationOf(t *testing.T) {
	if got := activationOf(comment(nat.Key("web"), v1)); got != v1 {
		t.Errorf("got %q", got)
	}
	for _, c := range []string{"", "switcheroo", "switcheroo:a", "other:a:b", "switcheroo:a:b:c", "SWITCHEROO:ns=web:port=1:pid=2"} {
		if got := activationOf(c); got != "" {
			t.Errorf("%q: got %q", c, got)
		}
	}
}
