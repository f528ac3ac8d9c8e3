package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// foreignNAT is about NAT rules that take what is dialled before ours do.
func foreignNAT(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, n := range f.Foreign {
		// Those of the library are told by name: see claimed.
		if n.Kind == nat.Taken && !strings.Contains(n.Rule, " SWL-") {
			all = append(all, foreign(n, api.Broken, "delete that rule, or have it spare the port"))
		}
	}
	return all
}

// firewall is about filters, which see the private port where they name the
// public one.
func firewall(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, n := range f.Foreign {
		switch n.Kind {
		case nat.CutOff:
			all = append(all, foreign(n, api.Broken, "accept connections by the port that was dialled: -m conntrack --ctorigdstport"))
		case nat.VoidAccept, nat.VoidDrop:
			all = append(all, foreign(n, api.Doubtful, "match the port that was dialled: -m conntrack --ctorigdstport"))
		}
	}
	return all
}

func foreign(n nat.Finding, severity api.Severity, otherwise string) api.Ailment {
	a := api.Ailment{Severity: severity, Where: n.Rule, Message: n.Message, Remedy: n.Fix}
	if a.Remedy == "" {
		a.Remedy = otherwise
	}
	return a
}

// claimed is about endpoints that a process without the daemon serves.
func claimed(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, c := range f.Claims {
		who := fmt.Sprintf("%q", c.Owner)
		end := fmt.Sprintf("see \"switcheroo run --list\", and remove what it has left with \"switcheroo run --cleanup --name %s\"", c.Owner)
		if c.PID != 0 {
			who += fmt.Sprintf(" (process %d)", c.PID)
			end = fmt.Sprintf("end process %d, or give %s another Listen=", c.PID, c.Service)
		}
		all = append(all, api.Ailment{Severity: api.Broken, Where: c.Service + ": " + c.Endpoint,
			Message: fmt.Sprintf("%s, started with the library or \"switcheroo run\", has the connections to it", who), Remedy: end})
	}
	return all
}

// mixed is about the two variants of iptables side by side: each writes what the
// other does not show, and a NAT rule in one hides those in the other.
func mixed(f *Facts) []api.Ailment {
	used := map[string][]string{}
	for _, t := range f.Tables {
		used[t.Variant] = append(used[t.Variant], t.Family+" "+t.Name)
	}
	if len(used["legacy"]) == 0 || len(used["nft"]) == 0 {
		return nil
	}
	names := func(variant string) string {
		all := slices.Compact(slices.Sorted(slices.Values(used[variant])))
		return "iptables-" + variant + ": " + strings.Join(all, ", ")
	}
	return []api.Ailment{{Severity: api.Doubtful, Where: names("legacy") + "; " + names("nft"),
		Message: "both variants of iptables hold rules: neither shows those of the other, and which comes first is by chance",
		Remedy:  "have all programs use one: \"update-alternatives --config iptables\", Backend= in switcherood.conf; then reload the firewall and delete what is left in the other"}}
}

// ipv6 is about clients whom nobody redirects.
func ipv6(f *Facts) []api.Ailment {
	if f.NoIPv6 == "" || len(f.IPv6) == 0 {
		return nil
	}
	return []api.Ailment{{Severity: api.Doubtful, Where: f.IPv6[0].String(),
		Message: "this host has IPv6 addresses, and connections to them are not redirected: " + f.NoIPv6,
		Remedy:  "install ip6tables (package iptables), or load the kernel's part with \"modprobe -a ip6table_nat\", and restart switcherood"}}
}
