package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"", exitUsage, "", "want one of run, long"},
		{"runn", exitUsage, "", `no verb "runn"`},
		{"help", exitOK, "every contender with every server", ""},
		{"run -h", exitOK, "", "comma-separated"},
		{"run extra", exitUsage, "", `unexpected argument "extra"`},
		{"run -contenders nonsense", exitUsage, "", `no contender "nonsense": want some of switcheroo-nft`},
		{"run -servers nonsense", exitUsage, "", `no server "nonsense": want some of quick`},
		{"run -switches 0", exitUsage, "", "1 or more"},
		{"long -services 0", exitUsage, "", "1 to 10"},
		{"long -services 11", exitUsage, "", "1 to 10"},
		{"long -total 0", exitUsage, "", "1 or more"},
		{"latency -runs 0", exitUsage, "", "1 or more"},
		{"report -results testdata/nothing", exitLost, "", "no results to report"},
		{"list", exitOK, "haproxy-graceful", ""},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), strings.Fields(c.args), &stdout, &stderr)
		if status != c.status || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("loss %s: status %d\n%s\n%s", c.args, status, &stdout, &stderr)
		}
	}
}

// Every contender of ours meets every server, and each server meets others.
func TestChunk(t *testing.T) {
	ours, err := pickContenders("ours")
	if err != nil {
		t.Fatal(err)
	}
	kinds := server.All()
	met := map[string]bool{}
	neighbours := map[string]map[string]bool{}
	for n := range 2 * len(ours) * len(kinds) {
		p := chunk(n, ours, kinds, 3, 40)
		if len(p.Kinds) != 3 {
			t.Fatalf("chunk %d has %d services", n, len(p.Kinds))
		}
		for _, k := range p.Kinds {
			met[p.Contender.Name()+" "+k.Name] = true
			for _, other := range p.Kinds {
				if neighbours[k.Name] == nil {
					neighbours[k.Name] = map[string]bool{}
				}
				neighbours[k.Name][other.Name] = true
			}
		}
	}
	want := 0
	for _, c := range ours {
		for _, k := range kinds {
			if c.Supports(k) == nil {
				want++
			}
		}
	}
	if len(met) != want {
		t.Errorf("%d pairs of contender and server, want %d", len(met), want)
	}
	for name, all := range neighbours {
		if len(all) < 4 {
			t.Errorf("%s meets %v only", name, all)
		}
	}
}

// Each contender says what it is, and can run the server that all are compared with.
func TestContenders(t *testing.T) {
	quick, err := server.ByName("quick")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contender.All() {
		if err := c.Supports(quick); err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
		if c.About() == "" {
			t.Errorf("%s does not say what it is", c.Name())
		}
	}
}
