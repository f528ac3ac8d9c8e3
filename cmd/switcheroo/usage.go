package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// usage prints how to call a verb, in 80 columns.
func usage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s VERB [options]\n", cmd.CommandPath())
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	for _, g := range cmd.Groups() {
		fmt.Fprintf(&b, "\n%s\n", g.Title)
		for _, verb := range cmd.Commands() {
			// That of help itself is never available, by cobra's reckoning.
			if verb.GroupID == g.ID && (verb.IsAvailableCommand() || verb.Name() == "help") {
				fmt.Fprintf(&b, "  %-12s %s\n", verb.Name(), verb.Short)
			}
		}
	}
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(&b, "\nOptions:\n%s", cmd.LocalFlags().FlagUsagesWrapped(80))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\nMore about a verb: %s VERB --help, and switcheroo(1).\n", cmd.CommandPath())
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}
