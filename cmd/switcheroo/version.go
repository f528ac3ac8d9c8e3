package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func versionVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "switcheroo %s\n", version)
			return err
		},
	}
}

// noArguments is for verbs that take options only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{hinted{fmt.Errorf("unexpected argument %q", args[0]), fmt.Sprintf("see %q", cmd.CommandPath()+" --help")}}
	}
	return nil
}
