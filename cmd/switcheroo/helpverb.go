package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func helpVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "print what --help prints",
		Long:  `Print how to call a verb, as "switcheroo VERB --help" does, or which there are.`,
		Args:  arguments(0, 1, "[VERB]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			about, left, err := cmd.Root().Find(args)
			if err == nil && len(left) > 0 {
				err = about.ValidateArgs(left) // there is no such verb
			}
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var all []cobra.Completion
			for _, verb := range cmd.Root().Commands() {
				if len(args) == 0 && verb.IsAvailableCommand() && strings.HasPrefix(verb.Name(), word) {
					all = append(all, cobra.CompletionWithDesc(verb.Name(), verb.Short))
				}
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
