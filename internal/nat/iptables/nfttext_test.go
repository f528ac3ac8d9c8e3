package iptables

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	regexpHandle  = regexp.MustCompile(`handle [0-9]+`)
	regexpCounter = regexp.MustCompile(`packets [0-9]+ bytes [0-9]+`)
)

const nftListing = `table inet filter { # handle 1
	set webports { # handle 3
		type inet_service
		elements = { 80, 443 }
	}

	chain web { # handle 1
		ip saddr 10.0.0.0/8 accept # handle 5
	}

	chain input { # handle 2
		type filter hook input priority filter; policy drop;
		tcp dport { 1, 2, 3,
			    4, 5 } accept # handle 8
		tcp dport 443 accept comment "a # handle 7" # handle 9
	}
}
`

func TestNFTTexts(t *testing.T) {
	want := map[uint64]string{
		5: "ip saddr 10.0.0.0/8 accept",
		8: "tcp dport { 1, 2, 3, 4, 5 } accept",
		9: `tcp dport 443 accept comment "a # handle 7"`,
	}
	if d := cmp.Diff(want, nftTexts(nftListing)); d != "" {
		t.Error(d)
	}
}

func TestNFTForDialled(t *testing.T) {
	tests := map[string]string{
		"tcp dport 443 accept":                                          dialled443 + " accept",
		"tcp dport 400-500 counter packets 1 bytes 2 drop":              dialled443 + " counter drop",
		"ct state new tcp dport { 80, 443 } limit rate 1/second accept": "ct state new " + dialled443 + " limit rate 1/second accept",
		"meta l4proto { tcp, udp } th dport @web accept":                "meta l4proto { tcp, udp } " + dialled443 + " accept",
		"tcp dport != 443 drop":                                         "",
		"tcp dport vmap { 443 : accept }":                               "",
		"tcp dport 443 tcp dport 443 accept":                            "",
		"drop":                                                          "",
		"":                                                              "",
	}
	for text, want := range tests {
		if got := nftForDialled(text, 443); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestNFTSame(t *testing.T) {
	for text, fixed := range map[string]string{
		"tcp dport 443 accept": dialled443 + " accept",
		`ip saddr 10.0.0.1 tcp dport { 80, 443 } counter packets 1 bytes 2 drop comment "x"`: "ip saddr 10.0.0.1 " + dialled443 + " counter packets 7 bytes 9 drop",
	} {
		if a, b := nftSame(text), nftSame(fixed); a != b || a == "" {
			t.Errorf("%q and %q", a, b)
		}
	}
	if a, b := nftSame("tcp dport 443 accept"), nftSame("ip saddr 10.0.0.1 tcp dport 443 accept"); a == b {
		t.Errorf("%q", a)
	}
}

func FuzzNFTTexts(f *testing.F) {
	f.Add(nftListing)
	f.Fuzz(func(t *testing.T, listing string) {
		for _, text := range nftTexts(listing) {
			if strings.Contains(text, "\n") {
				t.Errorf("text %q", text)
			}
			if fixed := nftForDialled(text, 443); fixed != "" && !strings.Contains(fixed, dialled443) {
				t.Errorf("%q became %q", text, fixed)
			}
		}
	})
}
