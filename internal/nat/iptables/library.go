package iptables

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// libraryPrefix is how the chains of package single begin.
const libraryPrefix = "SWL-"

// Command is the iptables command of one family and variant.
type Command struct {
	Family nat.Family
	Path   string
}

// Library returns the commands, of both variants, whose table nat has chains of
// the library's; mostly none. It takes about a millisecond, writes and loads
// nothing.
func (b *Backend) Library(ctx context.Context) ([]Command, error) {
	var all []Command
	for _, t := range slices.Concat(b.current(), b.others) {
		has, err := t.hasLibrary(ctx)
		if err != nil {
			return nil, err
		}
		if !has {
			continue
		}
		path, err := exec.LookPath(t.name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, errNoCommand)
		}
		all = append(all, Command{t.family, path})
	}
	return all, nil
}

func (t *tool) hasLibrary(ctx context.Context) (bool, error) {
	if t.variant == Legacy {
		if !legacyTable(t.family, "nat") {
			return false, nil
		}
		if table, err := legacyNAT(t.family); err == nil {
			return slices.ContainsFunc(table.chains, func(c xchain) bool {
				return strings.HasPrefix(c.name, libraryPrefix)
			}), nil
		}
		text, err := run(ctx, commandTimeout, "", t.save, "-t", "nat")
		if err != nil {
			return false, fmt.Errorf("read %v rules: %w", t.family, err)
		}
		return strings.Contains(text, "\n:"+libraryPrefix), nil
	}
	conn, err := dialNFT(ctx)
	if err != nil {
		return false, err
	}
	defer conn.CloseLasting()
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamily(nfproto(t.family)))
	if err != nil {
		return false, fmt.Errorf("list the %v chains of nftables: %w", t.family, err)
	}
	return slices.ContainsFunc(chains, func(c *nftables.Chain) bool {
		return c.Table.Name == "nat" && strings.HasPrefix(c.Name, libraryPrefix)
	}), nil
}
