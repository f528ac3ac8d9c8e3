package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// options are those that verbs have in common, as systemctl's have.
type options struct {
	json     jsonForm
	noPager  bool
	noLegend bool
	quiet    bool
	watch    bool
}

// flags adds the options to a verb that prints something for people.
func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	o.jsonFlag(cmd)
	f.BoolVar(&o.noLegend, "no-legend", false, "leave out headings and sums")
	f.BoolVar(&o.noPager, "no-pager", false, "do not show long output in a pager")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "leave out what is neither asked for nor an error")
}

// jsonFlag adds --json, which stands for --json=pretty.
func (o *options) jsonFlag(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&o.json, "json", "print values for programs: pretty, short or off")
	f.Lookup("json").NoOptDefVal = "pretty"
	cmd.RegisterFlagCompletionFunc("json", cobra.FixedCompletions(jsonForms, cobra.ShellCompDirectiveNoFileComp))
}

// watchFlag adds --watch.
func (o *options) watchFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "show it anew whenever something changes")
}

func (o *options) check() error {
	if o.watch && o.json.on() {
		return usageError{hinted{errors.New("--watch and --json are two things"), `"switcheroo events -f --json=short" follows what happens`}}
	}
	return nil
}

// on says whether JSON is wanted.
func (j jsonForm) on() bool { return j == "pretty" || j == "short" }

// arguments is for verbs that take from least to most arguments, which names
// says; most < 0 is any number.
func arguments(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		see := fmt.Sprintf("see %q", cmd.CommandPath()+" --help")
		switch {
		case len(args) < least:
			return usageError{hinted{fmt.Errorf("missing argument: %s %s", cmd.CommandPath(), names), see}}
		case most >= 0 && len(args) > most:
			return usageError{hinted{fmt.Errorf("unexpected argument %q", args[most]), see}}
		}
		for _, a := range args {
			if a == "" {
				return usageError{hinted{errors.New("an argument is empty"), see}}
			}
		}
		return nil
	}
}
