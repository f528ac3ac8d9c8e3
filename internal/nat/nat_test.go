package nat_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/nat"
)

const invocation = "0123456789abcdef0123456789abcdef"

func target(endpoint string, port uint16, f nat.Family) nat.Target {
	e := nat.Endpoint{Port: 443}
	if endpoint != "" {
		e.Addr = netip.MustParseAddr(endpoint)
	}
	return nat.Target{Endpoint: e, Port: port, Families: f}
}

func redirect(service string, s nat.Scope, targets ...nat.Target) nat.Redirect {
	return nat.Redirect{Service: service, Activation: invocation, Scope: s, Targets: targets}
}

func TestKey(t *testing.T) {
	// First 16 hex digits of `printf web | sha256sum`: rules in kernels of
	// older versions are found by it, so it must never change.
	if got, want := nat.Key("web"), "4b5e57f6eb2f42b9"; got != want {
		t.Errorf("Key: got %s, want %s", got, want)
	}
	if a, b := nat.ActivationKey("a", "bc"), nat.ActivationKey("ab", "c"); a == b {
		t.Error("two activations share a key")
	}
}

func TestServes(t *testing.T) {
	tests := map[string]struct {
		target nat.Target
		want   nat.Family
	}{
		"every address":          {target("", 1, nat.DualStack), nat.DualStack},
		"every address, one":     {target("", 1, nat.IPv6), nat.IPv6},
		"IPv4 address":           {target("192.0.2.7", 1, nat.DualStack), nat.IPv4},
		"mapped IPv4 address":    {target("::ffff:192.0.2.7", 1, nat.DualStack), nat.IPv4},
		"IPv6 address":           {target("2001:db8::7", 1, nat.DualStack), nat.IPv6},
		"IPv6 address, IPv4 app": {target("2001:db8::7", 1, nat.IPv4), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.target.Serves(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	web := redirect("web", nat.Everyone, target("", 8443, nat.DualStack))
	tests := map[string]struct {
		redirects []nat.Redirect
		want      string // part of the error, "" if there is none
	}{
		"nothing": {nil, ""},
		"one":     {[]nat.Redirect{web}, ""},
		"an address of its own beside every address": {[]nat.Redirect{
			web, redirect("b", nat.Everyone, target("192.0.2.7", 1, nat.DualStack))}, ""},
		"one endpoint in two families": {[]nat.Redirect{
			redirect("a", nat.Network, target("", 1, nat.IPv4)),
			redirect("b", nat.Network, target("", 2, nat.IPv6))}, ""},
		"one endpoint in two scopes": {[]nat.Redirect{
			redirect("a", nat.Network, target("", 1, nat.IPv4)),
			redirect("b", nat.Localhost, target("", 2, nat.IPv4))}, ""},
		"one endpoint twice": {[]nat.Redirect{
			web, redirect("b", nat.Localhost, target("", 2, nat.IPv6))}, `"b": endpoint 443 belongs to "web"`},
		"one endpoint, spelt otherwise": {[]nat.Redirect{
			web, redirect("b", nat.Localhost, target("0.0.0.0", 2, nat.DualStack))}, `belongs to "web"`},
		"one service twice": {[]nat.Redirect{
			web, redirect("web", nat.Network, target("192.0.2.7", 2, nat.IPv4))}, "given twice"},
		"no name":         {[]nat.Redirect{redirect("", nat.Network, target("", 1, nat.IPv4))}, "no service name"},
		"no targets":      {[]nat.Redirect{redirect("a", nat.Network)}, "no targets"},
		"no scope":        {[]nat.Redirect{redirect("a", 0, target("", 1, nat.IPv4))}, "bad scope Scope(0)"},
		"unknown scope":   {[]nat.Redirect{redirect("a", 5, target("", 1, nat.IPv4))}, "bad scope Scope(5)"},
		"no private port": {[]nat.Redirect{redirect("a", nat.Network, target("", 0, nat.IPv4))}, "no private port"},
		"no public port": {[]nat.Redirect{redirect("a", nat.Network,
			nat.Target{Port: 1, Families: nat.IPv4})}, "no port"},
		"no family": {[]nat.Redirect{redirect("a", nat.Network, target("", 1, 0))}, "bad families Family(0)"},
		"a family without the address": {[]nat.Redirect{redirect("a", nat.Network,
			target("192.0.2.7", 1, nat.IPv6))}, "192.0.2.7:443: not an IPv6 address"},
		"a zone": {[]nat.Redirect{redirect("a", nat.Network,
			target("fe80::1%eth0", 1, nat.IPv6))}, "zone"},
		"an activation that would end the comment early": {[]nat.Redirect{{
			Service: "a", Activation: "a:b", Scope: nat.Network,
			Targets: []nat.Target{target("", 1, nat.IPv4)}}}, `activation "a:b"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := nat.Rules{Redirects: tt.redirects}.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestText(t *testing.T) {
	tests := map[string]string{
		target("", 1, nat.IPv4).Endpoint.String():            "443",
		target("192.0.2.7", 1, nat.IPv4).Endpoint.String():   "192.0.2.7:443",
		target("2001:db8::7", 1, nat.IPv6).Endpoint.String(): "[2001:db8::7]:443",
		nat.Network.String():                                 "network",
		nat.Localhost.String():                               "localhost",
		nat.Everyone.String():                                "everyone",
		nat.IPv4.String():                                    "IPv4",
		nat.IPv6.String():                                    "IPv6",
		nat.DualStack.String():                               "IPv4+IPv6",
	}
	for got, want := range tests {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
