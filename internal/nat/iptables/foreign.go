package iptables

import (
	"context"

	"github.com/switcheroo/switcheroo/internal/nat"
)

func (b *Backend) Foreign(ctx context.Context, redirects []nat.Redirect) ([]nat.Finding, error) {
	return nil, nil
}
