package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

var shells = []string{"bash", "zsh", "fish"}

func completionVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print a script that has a shell complete verbs, options and names",
		Long: `Print a script for a shell. Then it completes verbs and options, and asks the
daemon for the names of services, instances and units.

  bash  source <(switcheroo completion bash)       (needs bash-completion)
  zsh   switcheroo completion zsh >"${fpath[1]}/_switcheroo"
  fish  switcheroo completion fish >~/.config/fish/completions/switcheroo.fish`,
		Args:      arguments(1, 1, strings.Join(shells, "|")),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			write := map[string]func(io.Writer) error{
				"bash": func(w io.Writer) error { return cmd.Root().GenBashCompletionV2(w, true) },
				"zsh":  cmd.Root().GenZshCompletion,
				"fish": func(w io.Writer) error { return cmd.Root().GenFishCompletion(w, true) },
			}[args[0]]
			if write == nil {
				return usageError{hinted{fmt.Errorf("no completion for %q", args[0]), "there is one for bash, zsh and fish"}}
			}
			return write(cmd.OutOrStdout())
		},
	}
}

// completeTimeout is how long a name may take to be completed: somebody waits
// with a finger on the key.
const completeTimeout = 2 * time.Second

const (
	one  = 1
	many = -1
)

// names returns names that may stand somewhere, each with a description.
type names func(ctx context.Context, c *api.Client) ([]cobra.Completion, error)

// complete returns what cobra asks for the arguments of a verb that takes most
// of these names. If the daemon does not answer there are none.
func complete(find names, most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		c := api.NewClient(api.Socket)
		defer c.Close()
		all, err := find(ctx, c)
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

func completeServices(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
	services, err := c.Services(ctx, api.Select{})
	var all []cobra.Completion
	for i := range services {
		all = append(all, cobra.CompletionWithDesc(services[i].Name, "port "+listens(&services[i])))
	}
	return all, err
}

func completeInstances(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
	instances, err := c.Instances(ctx, api.Select{})
	var all []cobra.Completion
	for _, in := range instances {
		all = append(all, cobra.CompletionWithDesc(short(in.Unit), string(in.State)))
	}
	return all, err
}

func completeAll(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
	services, err := completeServices(ctx, c)
	if err != nil {
		return nil, err
	}
	instances, err := completeInstances(ctx, c)
	return append(services, instances...), err
}

// completeUnits returns what can be deployed: instances, plain units, and
// templates up to their "@".
func completeUnits(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
	all, err := completeInstances(ctx, c)
	if err != nil {
		return nil, err
	}
	checked, err := c.Check(ctx, api.Check{})
	if err != nil {
		return all, nil // a name fewer
	}
	known := map[string]bool{}
	for _, name := range all {
		word, _, _ := strings.Cut(name, "\t")
		known[word] = true
	}
	for _, unit := range checked.Units {
		if name := short(unit); !known[name] {
			all = append(all, cobra.CompletionWithDesc(name, "not loaded"))
		}
	}
	return all, nil
}

// completeRollback completes a service and then one of its instances.
func completeRollback(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return complete(completeServices, one)(cmd, args, word)
	}
	return complete(func(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
		svc, err := c.Service(ctx, args[0], api.Select{})
		if err != nil {
			return nil, err
		}
		var all []cobra.Completion
		for i := range svc.Instances {
			if in := &svc.Instances[i]; in.State != api.Current {
				all = append(all, cobra.CompletionWithDesc(short(in.Unit), string(in.State)))
			}
		}
		return all, nil
	}, 2)(cmd, args, word)
}
