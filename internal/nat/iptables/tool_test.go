package iptables

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// fakeCommands makes PATH a folder with these commands only, by name: each a
// shell script or, if it begins with '/', a link.
func fakeCommands(t *testing.T, commands map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range commands {
		path := filepath.Join(dir, name)
		var err error
		if strings.HasPrefix(text, "/") {
			err = os.Symlink(text, path)
		} else {
			err = os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func TestFindTool(t *testing.T) {
	const (
		nft    = `echo "iptables v1.8.9 (nf_tables)"`
		legacy = `echo "iptables v1.8.9 (legacy)"`
		before = `echo "iptables v1.6.2"`
		old    = `echo "iptables v1.4.21"`
	)
	family := func(name, version string) map[string]string {
		return map[string]string{name: version, name + "-save": "", name + "-restore": ""}
	}
	both := func(a, b map[string]string) map[string]string {
		for k, v := range b {
			a[k] = v
		}
		return a
	}
	tests := map[string]struct {
		commands map[string]string
		variant  Variant
		want     string // variant, restore command, name; or the error
	}{
		"auto is what iptables is":          {family("iptables", legacy), Auto, "legacy iptables-restore iptables"},
		"auto prefers the explicit name":    {both(family("iptables", nft), family("iptables-nft", nft)), Auto, "nft iptables-nft-restore iptables"},
		"a variant by its own name":         {both(family("iptables", nft), family("iptables-legacy", legacy)), Legacy, "legacy iptables-legacy-restore iptables-legacy"},
		"a variant that is plain iptables":  {family("iptables", legacy), Legacy, "legacy iptables-restore iptables"},
		"iptables before it had variants":   {family("iptables", before), Auto, "legacy iptables-restore iptables"},
		"only the other one":                {family("iptables", legacy), NFT, "iptables-nft: no such command in PATH"},
		"no plain command, explicit wanted": {family("iptables-nft", nft), NFT, "nft iptables-nft-restore iptables-nft"},
		"nothing":                           {nil, Auto, "iptables: no such command in PATH"},
		"too old":                           {family("iptables", old), Auto, "version 1.4.21 is too old"},
		"no restore":                        {map[string]string{"iptables": nft, "iptables-save": ""}, Auto, "iptables-restore: no such command in PATH"},
		"not iptables":                      {family("iptables", "echo hello"), Auto, "no iptables version found"},
		"broken":                            {family("iptables", "echo broken >&2; exit 1"), Auto, "broken"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fakeCommands(t, tt.commands)
			tool, err := findTool(t.Context(), nat.IPv4, tt.variant, 5)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = tool.variant.String() + " " + filepath.Base(tool.restore) + " " + tool.name
			}
			if got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// withoutIPv6 are hosts that lack it, each in its own way.
func withoutIPv6() map[string]map[string]string {
	host := func(save, restore string) map[string]string {
		commands := map[string]string{}
		for _, cmd := range []string{"", "-save", "-restore"} {
			commands["iptables-legacy"+cmd] = "/usr/sbin/iptables-legacy" + cmd
		}
		if restore != "" {
			commands["ip6tables-legacy"] = "/usr/sbin/ip6tables-legacy"
			commands["ip6tables-legacy-save"] = save
			commands["ip6tables-legacy-restore"] = restore
		}
		return commands
	}
	return map[string]map[string]string{
		"no command": host("", ""),
		"no module": host(`echo "ip6tables-save v1.8.9 (legacy): Cannot initialize: Table does not exist (do you need to insmod?)" >&2; exit 1`,
			`echo "ip6tables-restore v1.8.9 (legacy): ip6tables-restore: unable to initialize table 'nat'" >&2; exit 2`),
	}
}

func TestWithoutIPv6(t *testing.T) {
	for name, commands := range withoutIPv6() {
		t.Run(name, func(t *testing.T) {
			newNetns(t)
			fakeCommands(t, commands)
			var log strings.Builder
			b, err := New(t.Context(), Options{Log: textLog(&log), Variant: Legacy})
			if err != nil {
				t.Fatal(err)
			}
			for _, activation := range []string{v1, v2} {
				mustApply(t, b, web(activation, 8443))
			}
			if got := strings.Count(log.String(), "IPv6 is not available"); got != 1 {
				t.Errorf("said %d times:\n%s", got, log.String())
			}
			if got := b.Families(); got != nat.IPv4 {
				t.Errorf("serves %v", got)
			}
			six := nat.Redirect{Service: "six", Activation: v1, Scope: nat.Network,
				Targets: []nat.Target{target("2001:db8::7", 80, 8080, nat.DualStack)}}
			_, err = b.Apply(testContext(t), nat.Rules{Redirects: []nat.Redirect{web(v1, 8443), six}})
			if err == nil || !strings.Contains(err.Error(), `"six": endpoint [2001:db8::7]:80 needs IPv6`) {
				t.Errorf("got %v", err)
			}
			got, err := b.Read(testContext(t))
			if err != nil || len(got) != 1 || got[0].Activation != v2 {
				t.Errorf("written before it was refused: %+v, %v", got, err)
			}
		})
	}
}

// TestIPv6RefusedFirst: what the first Apply of all cannot have, keeps nothing
// else from the next one.
func TestIPv6RefusedFirst(t *testing.T) {
	for name, commands := range withoutIPv6() {
		t.Run(name, func(t *testing.T) {
			newNetns(t)
			fakeCommands(t, commands)
			b := newBackend(t, Legacy)
			six := nat.Redirect{Service: "six", Activation: v1, Scope: nat.Network,
				Targets: []nat.Target{target("", 80, 8080, nat.IPv6)}}
			change, err := b.Apply(testContext(t), nat.Rules{Redirects: []nat.Redirect{web(v1, 8443), six}})
			var h interface{ Hint() string }
			if change != (nat.Change{}) || err == nil || !errors.As(err, &h) || h.Hint() == "" {
				t.Errorf("got %+v, %v, hint %v", change, err, h)
			}
			if legacyTable(nat.IPv4, "nat") {
				t.Error("IPv4 was written to")
			}
			if got := b.Families(); got != nat.IPv4 {
				t.Errorf("serves %v", got)
			}
			mustApply(t, b, web(v1, 8443))
			only4 := web(v1, 8443)
			only4.Targets[0].Families = nat.IPv4
			checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{only4}})
		})
	}
}

func TestFamilies(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		for range 2 {
			if got := b.Families(); got != nat.DualStack {
				t.Errorf("got %v", got)
			}
			mustApply(t, b, web(v1, 8443))
		}
	})
}

// TestIPv6Fails: any other error of IPv6 is one, and names the family.
func TestIPv6Fails(t *testing.T) {
	newNetns(t)
	commands := withoutIPv6()["no module"]
	commands["ip6tables-legacy-save"] = ""
	commands["ip6tables-legacy-restore"] = "echo oops >&2; exit 1"
	fakeCommands(t, commands)
	b := newBackend(t, Legacy)
	change, err := b.Apply(testContext(t), nat.Rules{Redirects: []nat.Redirect{web(v1, 8443)}})
	var cmdErr *CommandError
	if !change.Changed || !errors.As(err, &cmdErr) || !strings.Contains(err.Error(), "write IPv6 rules: ip6tables-legacy-restore: exit status 1: oops") {
		t.Errorf("got %+v, %v", change, err)
	}
}
