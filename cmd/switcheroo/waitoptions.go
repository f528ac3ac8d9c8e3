package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/config"
)

// waitOptions are those of verbs that wait for what they have asked for.
type waitOptions struct {
	options
	noBlock bool
	timeout timespan
	goal    goalValue
}

func (o *waitOptions) waitFlags(cmd *cobra.Command, block bool) {
	f := cmd.Flags()
	f.SortFlags = false
	if block {
		f.BoolVar(&o.noBlock, "no-block", false, "do not wait")
	}
	o.timeout = timespan(api.DefaultTimeout)
	f.Var(&o.timeout, "timeout", "for how long to wait; what was asked for goes on")
	o.jsonFlag(cmd)
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print errors only")
}

// goalFlag adds an option that says what to wait for.
func (o *waitOptions) goalFlag(cmd *cobra.Command, name, usage string) {
	o.goal = goalValue(api.ForSwitched)
	cmd.Flags().Var(&o.goal, name, usage)
	cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions([]string{"switched", "drained"}, cobra.ShellCompDirectiveNoFileComp))
}

// wait returns what the daemon is to wait for.
func (o *waitOptions) wait(goal api.Goal) api.Goal {
	if o.noBlock {
		return api.ForNothing
	}
	return goal
}

// limit returns --timeout as it goes to the daemon, where 0 is the default.
func (o *waitOptions) limit() api.Duration {
	if o.timeout.duration() == config.Infinity {
		return api.Infinity
	}
	return api.Duration(max(o.timeout.duration(), 1))
}

// goalValue is what to wait for.
type goalValue api.Goal

// String returns the value for --help.
func (g goalValue) String() string { return string(g) }

// Set reads the value.
func (g *goalValue) Set(text string) error {
	if text != string(api.ForSwitched) && text != string(api.ForDrained) {
		return errors.New("expected switched or drained")
	}
	*g = goalValue(text)
	return nil
}

// Type names the value in --help.
func (g *goalValue) Type() string { return "GOAL" }
