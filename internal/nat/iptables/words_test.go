package iptables

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	tests := map[string]struct {
		line string
		want []string
	}{
		"empty":           {"", nil},
		"words":           {"-p tcp  --dport 443", []string{"-p", "tcp", "--dport", "443"}},
		"quoted":          {`--comment "a b" -j X`, []string{"--comment", "a b", "-j", "X"}},
		"escaped":         {`--comment "say \"hi\" \\ \'"`, []string{"--comment", `say "hi" \ '`}},
		"empty quoted":    {`--comment "" -j X`, []string{"--comment", "", "-j", "X"}},
		"quote in a word": {`a"b c"`, []string{`a"b`, `c"`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := split(tt.line)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	for _, bad := range []string{`"abc`, `a "`, `"\`} {
		if got, err := split(bad); err == nil {
			t.Errorf("split(%q) = %q, want an error", bad, got)
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("switcheroo")
	f.Add(`a "b" \ c`)
	f.Add("")
	f.Fuzz(func(t *testing.T, word string) {
		got, err := split(quote(word))
		if err != nil || len(got) != 1 || got[0] != word {
			t.Errorf("%q became %q, %v", word, got, err)
		}
	})
}
