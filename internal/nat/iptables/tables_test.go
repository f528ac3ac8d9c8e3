package iptables

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// shell runs a command line; it must succeed.
func shell(t *testing.T, line string) {
	t.Helper()
	if out, err := exec.CommandContext(testContext(t), "sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// TestSurvey: the tables of both variants that are in use, and where NAT rules of
// others lead on this host. Ours, the library's and those to other hosts do not
// count.
func TestSurvey(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		tables, detours, err := b.Survey(testContext(t))
		if err != nil || len(tables) > 0 || len(detours) > 0 {
			t.Errorf("of an empty host: %v, %v, %v", tables, detours, err)
		}
		mustApply(t, b, web(v1, 8443))
		ipt, other := "iptables-"+v.String(), "iptables-"+v.other().String()
		for _, rule := range []string{
			ipt + " -t nat -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 8443",
			ipt + " -t nat -A OUTPUT -p tcp -d 192.0.2.1 --dport 82 -j DNAT --to-destination 127.0.0.1:8444",
			ipt + " -t nat -A PREROUTING -p tcp --dport 83 -j DNAT --to-destination 192.0.2.7:8445",
			ipt + " -t nat -N SWL-0123456789abcdef",
			ipt + " -t nat -A SWL-0123456789abcdef -p tcp --dport 84 -j DNAT --to-destination :8446",
			"ip6tables-" + v.String() + " -t nat -A PREROUTING -p tcp --dport 85 -j DNAT --to-destination [::1]:8447",
			other + " -P INPUT DROP",
			other + " -t mangle -A PREROUTING -p tcp --dport 86 -j MARK --set-mark 1",
			other + " -t raw -L", // in use by nobody, if there
		} {
			shell(t, rule)
		}
		tables, detours, err = b.Survey(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, table := range tables {
			got = append(got, fmt.Sprintf("%v %v %s", table.Variant, table.Family, table.Name))
		}
		want := []string{v.String() + " IPv4 nat", v.String() + " IPv6 nat", v.other().String() + " IPv4 filter", v.other().String() + " IPv4 mangle"}
		for i, w := range want {
			if !strings.Contains(strings.Join(got, "\n")+"\n", w+"\n") || len(got) != len(want) {
				t.Errorf("tables %q, want %q (%d)", got, want, i)
			}
		}
		got = nil
		for _, d := range detours {
			_, rule, _ := strings.Cut(d.Rule, ": ")
			got = append(got, fmt.Sprintf("%v %d %s", d.Family, d.Port, rule))
		}
		if diff := cmp.Diff([]string{
			"IPv4 8443 -A PREROUTING -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 8443",
			"IPv4 8444 -A OUTPUT -d 192.0.2.1/32 -p tcp -m tcp --dport 82 -j DNAT --to-destination 127.0.0.1:8444",
			"IPv6 8447 -A PREROUTING -p tcp -m tcp --dport 85 -j DNAT --to-destination [::1]:8447",
		}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestLibrary: which commands show chains of the library's, in either variant.
func TestLibrary(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		mustApply(t, b, web(v1, 8443))
		if all, err := b.Library(testContext(t)); err != nil || len(all) > 0 {
			t.Errorf("without any: %v, %v", all, err)
		}
		shell(t, "iptables-"+v.other().String()+" -t nat -N SWL-0123456789abcdef")
		all, err := b.Library(testContext(t))
		if err != nil || len(all) != 1 || all[0].Family != nat.IPv4 {
			t.Fatalf("%v, %v", all, err)
		}
		shell(t, all[0].Path+" -t nat -S SWL-0123456789abcdef")
	})
}

// TestWhoHoldsTheLock is about legacy, as only that has the lock. Not parallel: all
// tests share it.
func TestWhoHoldsTheLock(t *testing.T) {
	newNetns(t)
	b, other := newBackend(t, Legacy), newBackend(t, NFT)
	if who := b.LockHolder(); who != "" {
		t.Errorf("nobody has it, and it says %q", who)
	}
	release := holdXtablesLock(t)
	if who := b.LockHolder(); !strings.HasPrefix(who, "process ") {
		t.Errorf("while we have it: %q", who)
	}
	if who := other.LockHolder(); who != "" {
		t.Errorf("nft does not wait, and it says %q", who)
	}
	release()
	if who := b.LockHolder(); who != "" {
		t.Errorf("afterwards: %q", who)
	}
}
