package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func versionVerb() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "version [options]",
		Short: "print the version, and the daemon's",
		Long: `Print the version of this program, the commit that it was built from and, if
the daemon answers, the daemon's version, since when it runs, and how it is. The
daemon need not run.`,
		Args: noArguments,
		RunE: o.verb(versionRun),
	}
	o.jsonFlag(cmd)
	return cmd
}

// versions is what version prints as JSON.
type versions struct {
	Version string      `json:"version"`
	Commit  string      `json:"commit,omitempty"`
	Daemon  *api.Health `json:"daemon,omitempty"`
}

func versionRun(ctx context.Context, s *session, _ []string) error {
	v := versions{Version: version, Commit: commit}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	h, err := s.client.Health(ctx)
	if err == nil {
		v.Daemon = h
	}
	if s.json.on() {
		return s.value(v)
	}
	own := "switcheroo " + v.Version
	if v.Commit != "" {
		own += ", commit " + v.Commit
	}
	s.lines(text(own))
	if h := v.Daemon; h != nil {
		s.lines(text(fmt.Sprintf("switcherood %s, %s, up %s, rules by %s", h.Version, h.Status, rough(time.Duration(h.Uptime)), h.Backend)))
		for _, p := range h.Problems {
			s.lines(line{{"  " + p, bad}})
		}
	}
	return nil
}

// versionTimeout is how long the daemon may take to answer.
const versionTimeout = 2 * time.Second

// noArguments is for verbs that take options only.
func noArguments(cmd *cobra.Command, args []string) error {
	return arguments(0, 0, "")(cmd, args)
}
