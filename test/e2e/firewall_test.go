package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// do runs a command line on the host under test.
func (s *stage) do(line string) string {
	s.Helper()
	out, err := s.host.Run(s.Context(), "sh", "-c", line)
	if err != nil {
		s.Fatalf("%s: %v\n%s", line, err, out)
	}
	return out
}

// instead returns the commands that the log says to use.
func (s *stage) instead(words ...string) []string {
	s.Helper()
	s.log(words...)
	var fixes []string
	for line := range strings.Lines(s.journal()) {
		if !containsAll(line, words) {
			continue
		}
		_, fix, ok := strings.Cut(line, "instead=\"")
		if !ok {
			s.Fatalf("no rule to use instead in %q", line)
		}
		fix, _, _ = strings.Cut(fix, "\"")
		fixes = append(fixes, fix)
	}
	return fixes
}

// A host firewall lets only the public port in: the switch cuts the service
// off, which the first one says, with the rule that lets it in again.
func TestFirewallThatDropsByDefault(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setWith(t, b)
			for _, tool := range []string{string(b), strings.Replace(string(b), "ip", "ip6", 1)} {
				s.do(tool + " -A INPUT -i lo -j ACCEPT")
				s.do(tool + " -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
				if strings.HasPrefix(tool, "ip6") {
					s.do(tool + " -A INPUT -p ipv6-icmp -j ACCEPT") // or nobody finds anybody
				}
				s.do(tool + " -A INPUT -p tcp --dport 8080 -j ACCEPT")
				s.do(tool + " -P INPUT DROP")
			}
			s.start("myapp@v1")
			s.log("switched", "to=myapp@v1.service")
			if got := s.fromClient(server4 + ":8080"); got != "timed-out" {
				t.Errorf("before the rule is replaced: %q", got)
			}
			for _, fix := range s.instead("INPUT", "--ctorigdstport 8080", "ACCEPT") {
				s.do(fix)
			}
			s.served("v1")
			for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080"} {
				if got := s.fromClient(addr); got != "v1" {
					t.Errorf("%s with the rules that the log says: %q", addr, got)
				}
			}
		})
	}
}

// A host firewall keeps the network from the public port: the switch makes
// that void, which the first one says, with the rule that keeps it out again.
func TestFirewallThatDropsThePublicPort(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setWith(t, b)
			s.do(string(b) + " -A INPUT -i eth0 -p tcp --dport 8080 -j DROP")
			s.start("myapp@v1")
			s.log("switched", "to=myapp@v1.service")
			if got := s.fromClient(server4 + ":8080"); got != "v1" {
				t.Errorf("the rule should be void, but: %q", got)
			}
			for _, fix := range s.instead("INPUT", "--ctorigdstport 8080", "DROP") {
				s.do(fix)
			}
			if got := s.fromClient(server4 + ":8080"); got != "timed-out" {
				t.Errorf("with the rule that the log says: %q", got)
			}
			if got := s.fromHost("127.0.0.1:8080"); got != "v1" {
				t.Errorf("the host itself: %q", got)
			}
		})
	}
}

// Another program's NAT rule ahead of ours takes the port: the log says which.
func TestForeignRuleTakesThePort(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	s.do("iptables -t nat -I PREROUTING 1 -p tcp --dport 8080 -j REDIRECT --to-ports 9999 -m comment --comment theirs")
	s.start("myapp@v2")
	s.log("8080", "PREROUTING", "theirs")
}

// Others' rules stay as they are, whatever their order.
func TestForeignRulesAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := set(t)
	theirs := []string{
		"iptables -t nat -N THEIRS",
		"iptables -t nat -A THEIRS -p tcp --dport 1234 -j DNAT --to-destination :4321",
		"iptables -t nat -A PREROUTING -j THEIRS",
		"iptables -t nat -A OUTPUT -d 127.0.0.1 -j THEIRS",
		"iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE",
		"nft add table inet theirs",
		"nft add chain inet theirs input { type filter hook input priority 5 \\; }",
	}
	for _, line := range theirs {
		s.do(line)
	}
	rules := func() string {
		var out []string
		for line := range strings.Lines(s.do("iptables-save -t nat; nft list table inet theirs")) {
			if !strings.Contains(line, "SW-") && !strings.HasPrefix(line, "#") {
				rule, _, _ := strings.Cut(line, " [") // packets and bytes so far
				out = append(out, strings.TrimSpace(rule)+"\n")
			}
		}
		return strings.Join(out, "")
	}
	before := rules()
	s.deploy("v1")
	s.do("iptables -t nat -I PREROUTING 1 -p tcp --dport 1235 -j DNAT --to-destination :4321")
	s.do("iptables -t nat -D PREROUTING -p tcp --dport 1235 -j DNAT --to-destination :4321")
	s.deploy("v2")
	s.is("myapp@v1", "inactive")
	if after := rules(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// Another program flushes our rules: they come back, and what was open stays.
func TestFlushedRulesComeBack(t *testing.T) {
	flushes := map[string]struct {
		on   backend
		line string
	}{
		"iptables-nft -F":    {nft, "iptables-nft -t nat -F; ip6tables-nft -t nat -F"},
		"nft flush ruleset":  {nft, "nft flush ruleset"},
		"iptables-legacy -F": {legacy, "iptables-legacy -t nat -F; ip6tables-legacy -t nat -F"},
	}
	for name, flush := range flushes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setWith(t, flush.on)
			s.deploy("v1")
			held := s.hold(server4 + ":8080")
			s.do(flush.line)
			s.served("v1")
			s.eventually("IPv6 is back, too", func() error {
				if got := s.fromClient("[" + server6 + "]:8080"); got != "v1" {
					return fmt.Errorf("%q", got)
				}
				return nil
			})
			held.says("v1")
			held.close()
			s.log("rules repaired")
		})
	}
}
