package main

import (
	"context"
	"os/exec"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// share lets n services share the machine that one has to itself elsewhere.
func share(n int) func(*load.Config) {
	return func(c *load.Config) {
		for _, clients := range []*int{&c.Short, &c.KeepAlive, &c.Streams, &c.Echo, &c.TLS, &c.WebSocket, &c.HTTP2} {
			if *clients > 0 {
				*clients = max(*clients/n, 1)
			}
		}
		if c.Rate > 0 {
			c.Rate = max(c.Rate/n, 1)
		}
	}
}

// commit names what is being tested, "" if that cannot be found out. What the
// bench itself writes makes no difference.
func commit(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*"}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	name, err := git("describe", "--always")
	if err != nil {
		return ""
	}
	changes, err := git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/bench/loss/results", ":!/docs")
	if err != nil || changes != "" {
		name += "-dirty"
	}
	return name
}
