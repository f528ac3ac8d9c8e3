package iptables

import (
	"net/netip"
	"testing"
)

func TestRule(t *testing.T) {
	const note = "switcheroo:" + v1 + ":01234567"
	tests := map[string]struct {
		spec string // as iptables-save writes it
		want rule
	}{
		"hook": {
			"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m addrtype --dst-type LOCAL -m comment --comment switcheroo -j SW-NETWORK",
			rule{opening: true, local: true, comment: "switcheroo", jump: "SW-NETWORK"},
		},
		"jump":         {"-j SW-0123456789abcdef", rule{jump: "SW-0123456789abcdef"}},
		"current":      {`-m comment --comment "` + note + `" -j SW-0123456789abcdef`, rule{comment: note, jump: "SW-0123456789abcdef"}},
		"target":       {`-p tcp -m tcp --dport 443 -m comment --comment "` + note + `" -j DNAT --to-destination :8443`, rule{dport: 443, comment: note, toPort: 8443}},
		"IPv4 address": {"-d 192.0.2.7/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination :8443", rule{dst: netip.MustParseAddr("192.0.2.7"), dport: 443, toPort: 8443}},
		"IPv6 address": {"-d 2001:db8::7/128 -p tcp -m tcp --dport 443 -j DNAT --to-destination :8443", rule{dst: netip.MustParseAddr("2001:db8::7"), dport: 443, toPort: 8443}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := parseRule(tt.spec); got != tt.want {
				t.Errorf("parsed %+v, want %+v", got, tt.want)
			}
			if got := tt.want.String(); got != tt.spec {
				t.Errorf("rendered %s, want %s", got, tt.spec)
			}
		})
	}
}

func TestParseRuleOtherSpellings(t *testing.T) {
	hook := bases[0].hook()
	for _, spec := range []string{
		"-p tcp --syn -m addrtype --dst-type LOCAL -m comment --comment switcheroo -j SW-NETWORK",
		"-p tcp -m tcp --tcp-flags 0x17 0x02 -m addrtype --dst-type LOCAL -m comment --comment \"switcheroo\" -j SW-NETWORK",
		"-p tcp -m comment --comment switcheroo -m addrtype --dst-type LOCAL -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j SW-NETWORK",
	} {
		if got := parseRule(spec); got != hook {
			t.Errorf("%s: parsed %+v", spec, got)
		}
	}
}

// TestParseRuleForeign: a rule that says anything more, or anything else, than
// ours can say must not be taken for ours.
func TestParseRuleForeign(t *testing.T) {
	for _, spec := range []string{
		"",
		"-p tcp",
		"-p udp -m udp --dport 443 -j DNAT --to-destination :8443",
		"-p tcp -j DNAT --to-destination :8443",
		"--dport 443 -j DNAT --to-destination :8443",
		"-p tcp -m tcp ! --dport 443 -j DNAT --to-destination :8443",
		"-p tcp -m tcp --dport 443:444 -j DNAT --to-destination :8443",
		"-p tcp -m tcp --dport 0 -j DNAT --to-destination :8443",
		"-p tcp -m tcp --dport 443 -j DNAT --to-destination :8443 --random",
		"-p tcp -m tcp --dport 443 -j DNAT --to-destination 192.0.2.1:8443",
		"-p tcp -m tcp --dport 443 -j DNAT",
		"-p tcp -m tcp --dport 443 -j REDIRECT --to-ports 8443",
		"-d 192.0.2.0/24 -j SW-NETWORK",
		"-i eth0 -j SW-NETWORK",
		"-g SW-NETWORK",
		"-j",
		"-m",
		`-m comment --comment "unfinished`,
	} {
		if got := parseRule(spec); got.other != spec || (got != rule{other: spec}) {
			t.Errorf("%q: parsed %+v", spec, got)
		}
	}
}
