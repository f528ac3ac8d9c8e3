package switcheroo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// tools returns the iptables commands to use: IPv4, and IPv6 where this host has
// it. That there is no IPv6 is said in the log, once.
func (o Options) tools(ctx context.Context) ([]single.Tool, error) {
	log := logOf(o)
	v4, v6 := o.Iptables, o.IP6tables
	if v4 == nil {
		var err error
		if v4, err = system("iptables", o.Backend); err != nil {
			return nil, err
		}
		if v6 == nil {
			if v6, err = system("ip6tables", o.Backend); err != nil {
				log.Warn("IPv6 is not redirected", "error", err)
			}
		}
	} else if v6 == nil {
		log.Info("IPv6 is not redirected: only an iptables command for IPv4 was given")
	}
	tools := []single.Tool{{Family: nat.IPv4, Command: v4}}
	if err := tools[0].Check(ctx); err != nil {
		return nil, fmt.Errorf("try iptables: %w", err)
	}
	if v6 == nil {
		return tools, nil
	}
	six := single.Tool{Family: nat.IPv6, Command: v6}
	if _, err := os.Stat("/proc/thread-self/net/if_inet6"); err != nil {
		log.Info("IPv6 is not redirected: the kernel has it switched off")
	} else if err := six.Check(ctx); single.IsTemporary(err) {
		// To go on without would leave IPv6 with a process that is told to end.
		return nil, fmt.Errorf("try ip6tables: %w", err)
	} else if err != nil {
		log.Warn("IPv6 is not redirected", "error", err)
	} else {
		tools = append(tools, six)
	}
	return tools, nil
}

// system finds one of the host's own commands.
func system(name string, b Backend) (func(args ...string) *exec.Cmd, error) {
	switch b {
	case Auto:
	case IptablesNFT:
		name += "-nft"
	case IptablesLegacy:
		name += "-legacy"
	default:
		return nil, fmt.Errorf("backend %q: neither %q nor %q", b, IptablesNFT, IptablesLegacy)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, errors.Unwrap(err))
	}
	return func(args ...string) *exec.Cmd { return exec.Command(path, args...) }, nil
}
