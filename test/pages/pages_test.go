package pages

import "testing"

func TestPages(t *testing.T) {
	for page, s := range map[string]setting{
		"ci-cd.md":            {},
		"firewall.md":         {},
		"security.md":         {},
		"troubleshooting.md":  {},
		"adoption.md":         {},
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
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			follow(t, page, s)
		})
	}
}
