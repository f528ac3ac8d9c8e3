package packaging

import (
	"net/netip"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switcheroo/switcheroo/internal/config"
)

var commentedKey = regexp.MustCompile(`(?m)^#([A-Z][A-Za-z]+=)`)

// TestExampleShowsTheDefaults: what the example has as comments is what holds
// without it, and every key is there.
func TestExampleShowsTheDefaults(t *testing.T) {
	text := read(t, root+"/examples/switcheroo-example@.service")
	without := instance(t, text)
	if diff := cmp.Diff(without, instance(t, commentedKey.ReplaceAllString(text, "$1")), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-without the comments +with them as keys):\n%s", diff)
	}
	manual := read(t, root+"/docs/man/switcheroo.unit.5")
	keys := regexp.MustCompile(`(?m)^\.It Cm ([A-Z]\w+=)`).FindAllStringSubmatch(manual, -1)
	if len(keys) < 9 {
		t.Fatalf("switcheroo.unit(5) has only %d keys", len(keys))
	}
	for _, key := range keys {
		if !regexp.MustCompile(`(?m)^#?` + key[1]).MatchString(text) {
			t.Errorf("the example does not have %s", key[1])
		}
	}
}

func instance(t *testing.T, text string) *config.Instance {
	t.Helper()
	i, err := config.ParseInstance("switcheroo-example@v1.service", []config.File{{Path: "example", Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}
