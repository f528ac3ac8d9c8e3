package pages

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// followed are the pages that are done to the letter, with what their reader has.
var followed = map[string]setting{
	"adoption.md":         {},
	"ci-cd.md":            {},
	"firewall.md":         {},
	"getting-started.md":  {},
	"recipes/go.md":       {},
	"recipes/gunicorn.md": {},
	"recipes/nginx.md":    {},
	"recipes/node.md":     {},
	// The host has no generators, and this one makes the clusters' units.
	"recipes/postgres.md": {done: `mkdir -p /run/systemd/system-generators
		ln -s /lib/systemd/system-generators/postgresql-generator /run/systemd/system-generators/clusters
		systemctl daemon-reload`},
	"recipes/redis.md":     {},
	"recipes/websocket.md": {},
	"security.md":          {},
	"troubleshooting.md":   {},
}

func TestPages(t *testing.T) {
	for page, s := range followed {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			follow(t, page, s)
		})
	}
}

var promised = regexp.MustCompile(`(?m)^- \x{2022} \[[^]]+\]\(([^)]+)\)`)

// TestIndex: the pages that the index says are tested are, and no others.
func TestIndex(t *testing.T) {
	index, err := os.ReadFile("../../docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, m := range promised.FindAllStringSubmatch(string(index), -1) {
		pages = append(pages, m[1])
	}
	slices.Sort(pages)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(followed)), pages); diff != "" {
		t.Errorf("(-followed +promised):\n%s", diff)
	}
	recipes, err := os.ReadDir("../../docs/recipes")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recipes {
		if _, ok := followed["recipes/"+r.Name()]; !ok {
			t.Errorf("nobody follows %s", r.Name())
		}
	}
}
