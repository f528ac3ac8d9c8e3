package pages

import "testing"

func TestPages(t *testing.T) {
	for page, s := range map[string]setting{
		"ci-cd.md":             {},
		"firewall.md":          {},
		"security.md":          {},
		"troubleshooting.md":   {},
		"adoption.md":          {},
		"getting-started.md":   {},
		"recipes/go.md":        {},
		"recipes/gunicorn.md":  {},
		"recipes/nginx.md":     {},
		"recipes/node.md":      {},
		"recipes/postgres.md":  {},
		"recipes/redis.md":     {},
		"recipes/websocket.md": {},
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			follow(t, page, s)
		})
	}
}
