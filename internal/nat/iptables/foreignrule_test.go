package iptables

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

func TestForeignRuleMatch(t *testing.T) {
	local := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	before := packet{family: nat.IPv4, port: 443, local: local}
	after := packet{family: nat.IPv4, port: 61001, orig: 443, local: local}
	tests := map[string]struct{ before, after truth }{
		"":                              {yes, yes},
		"-p tcp":                        {yes, yes},
		"-p 6":                          {yes, yes},
		"-p udp":                        {no, no},
		"! -p tcp":                      {no, no},
		"! -p udp":                      {yes, yes},
		"-s 10.0.0.0/8":                 {maybe, maybe},
		"! -s 10.0.0.0/8":               {maybe, maybe},
		"-d 192.0.2.1/32":               {likely, likely},
		"-d 192.0.2.0/24":               {likely, likely},
		"-d 198.51.100.0/24":            {no, no},
		"! -d 198.51.100.0/24":          {yes, yes},
		"-d 192.0.2.1/255.0.0.0":        {maybe, maybe},
		"-i eth0":                       {likely, likely},
		"-i lo":                         {no, no},
		"! -i lo":                       {yes, yes},
		"-i +":                          {yes, yes},
		"-f":                            {no, no},
		"-p tcp -m tcp --dport 443":     {yes, no},
		"-p tcp -m tcp --dport 400:500": {yes, no},
		"-p tcp -m tcp --dport 1:65535": {yes, yes},
		"-p tcp -m tcp ! --dport 443":   {no, yes},
		"-p tcp -m tcp --dport 61001":   {no, yes},
		"-p tcp -m tcp --sport 443":     {maybe, maybe},
		"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN":                         {yes, yes},
		"-p tcp -m tcp --syn":                                                   {yes, yes},
		"-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN":                       {no, no},
		"-p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN":                             {no, no},
		"-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE":                {no, no},
		"-p tcp -m tcp --tcp-flags ALL NONE":                                    {no, no},
		"-p tcp -m tcp --tcp-flags RST RST":                                     {no, no},
		"-p tcp -m tcp --tcp-flags RST,ACK NONE":                                {yes, yes},
		"-p tcp -m multiport --dports 80,443":                                   {yes, no},
		"-p tcp -m multiport ! --dports 80,443":                                 {no, yes},
		"-p tcp -m multiport --dports 80,400:500":                               {yes, no},
		"-p tcp -m multiport --ports 443":                                       {yes, maybe},
		"-m state --state NEW":                                                  {yes, yes},
		"-m state --state RELATED,ESTABLISHED":                                  {no, no},
		"-m conntrack --ctstate DNAT":                                           {no, yes},
		"-m conntrack ! --ctstate DNAT":                                         {yes, no},
		"-m conntrack --ctstate ESTABLISHED,DNAT":                               {no, yes},
		"-m conntrack --ctstate INVALID":                                        {no, no},
		"-p tcp -m conntrack --ctstate DNAT --ctorigdstport 443":                {no, yes},
		"-p tcp -m conntrack --ctorigdstport 443":                               {yes, yes},
		"-p tcp -m conntrack --ctorigdstport 80":                                {no, no},
		"-p tcp -m conntrack --ctorigdst 198.51.100.1":                          {no, no},
		"-m conntrack --ctproto 6 --ctdir ORIGINAL":                             {yes, yes},
		"-m conntrack --ctdir REPLY":                                            {no, no},
		"-m conntrack --ctstatus ASSURED":                                       {maybe, maybe},
		"-m conntrack --ctreplsrcport 443":                                      {yes, no},
		"-m addrtype --dst-type LOCAL":                                          {yes, yes},
		"-m addrtype --dst-type BROADCAST":                                      {no, no},
		"-m addrtype --src-type LOCAL":                                          {no, no},
		"-m limit --limit 3/min":                                                {maybe, maybe},
		"-m unheard-of":                                                         {maybe, maybe},
		"-m comment --comment \"-j DROP --dport 80\" -p tcp -m tcp --dport 443": {yes, no},
	}
	for spec, want := range tests {
		t.Run(spec, func(t *testing.T) {
			r, ok := parseForeign(strings.TrimSpace(spec + " -j DROP"))
			if !ok || r.do != drop {
				t.Fatalf("parsed %+v, %v", r, ok)
			}
			if b, a := r.match(before), r.match(after); b != want.before || a != want.after {
				t.Errorf("before %v, after %v; want %v, %v", b, a, want.before, want.after)
			}
		})
	}
}

func TestForeignRuleFromThisHost(t *testing.T) {
	p := packet{family: nat.IPv4, port: 443, lo: true, local: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	for spec, want := range map[string]truth{
		"-i lo -j X": yes, "! -i lo -j X": no, "-i eth0 -j X": no, "-d 127.0.0.9/32 -j X": maybe,
		"-o lo -j X": yes, "-m addrtype --src-type LOCAL -j X": yes,
	} {
		if r, _ := parseForeign(spec); r.match(p) != want {
			t.Errorf("%s: got %v, want %v", spec, r.match(p), want)
		}
	}
}

func TestForeignRuleVerdict(t *testing.T) {
	for spec, want := range map[string]action{
		"-j ACCEPT": accept, "-j DROP": drop, "-j REJECT --reject-with tcp-reset": drop, "-j RETURN": leave,
		"-j DNAT --to-destination 192.0.2.1:1": take, "-j REDIRECT": take, "-g FOO": goTo, "-j FOO": jump,
		"-p tcp": pass, "-j": pass, "": pass,
	} {
		if r, ok := parseForeign(spec); !ok || r.do != want {
			t.Errorf("%q: got %v, want %v", spec, r.do, want)
		}
	}
}

func TestForDialled(t *testing.T) {
	const dialled = "-m conntrack --ctstate DNAT --ctorigdstport 443"
	tests := map[string]string{
		"-p tcp -m tcp --dport 443 -j ACCEPT":                                                "-p tcp " + dialled + " -j ACCEPT",
		"-p tcp -m tcp --dport 443 --tcp-flags FIN,SYN,RST,ACK SYN -j DROP":                  "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN " + dialled + " -j DROP",
		"! -s 10.0.0.0/8 -p tcp -m multiport --dports 80,443 -j DROP":                        "! -s 10.0.0.0/8 -p tcp " + dialled + " -j DROP",
		"-p tcp -m state --state NEW -m tcp --dport 443 -j ACCEPT":                           "-p tcp -m state --state NEW " + dialled + " -j ACCEPT",
		`-p tcp -m tcp --dport 443 -m comment --comment "it\'s \"$x\"" -j ACCEPT`:            "-p tcp -m comment --comment 'it'\\''s \"$x\"' " + dialled + " -j ACCEPT",
		"-p tcp -m tcp --dport 443 -m limit --limit 3/min -j REJECT --reject-with tcp-reset": "-p tcp -m limit --limit 3/min " + dialled + " -j REJECT --reject-with tcp-reset",
	}
	for spec, want := range tests {
		r, ok := parseForeign(spec)
		if !ok {
			t.Fatal(spec)
		}
		got := shellQuote(r.forDialled(443))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", spec, d)
		}
		words := command(t, "sh", "-c", "printf '%s\\n' "+got)
		again := foreignRule{}
		again.target = strings.Split(strings.TrimSuffix(words, "\n"), "\n")
		if d := cmp.Diff(r.forDialled(443), again.target); d != "" {
			t.Errorf("the shell makes other words of it: %s", d)
		}
	}
}

func FuzzParseForeign(f *testing.F) {
	for _, spec := range []string{
		"-p tcp -m state --state NEW -m tcp --dport 443 -j ACCEPT",
		`! -s 10.0.0.0/8 -p tcp -m multiport ! --dports 80,443:500 -m comment --comment "a \"b\"" -j REJECT --reject-with tcp-reset`,
		"-m conntrack --ctstate DNAT --ctorigdstport 443 -g FOO", "! -j", "! -m 0", `0 -m ""`, "-m", "--dport",
	} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		r, ok := parseForeign(spec)
		if !ok {
			return
		}
		r.match(packet{family: nat.IPv4, port: 443})
		r.match(packet{family: nat.IPv6, port: 61001, orig: 443, lo: true})
		// Nothing is lost: the rule written again says the same.
		words, err := split(spec)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(strings.Join(words, "\x00"), strings.Join(r.words(), "\x00")); d != "" {
			t.Error(d)
		}
		r.same()
		r.forDialled(443)
	})
}
