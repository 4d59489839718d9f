package appliance

import "github.com/spf13/cobra"

// What the shell completes after a flag. The flag must be there: it is named
// beside its registration, and every test that makes the commands sees to it.

// completeChoices has one of values completed.
func completeChoices(cmd *cobra.Command, flag string, values ...string) {
	mustFlag(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// completeFiles has files completed whose names end in one of endings.
func completeFiles(cmd *cobra.Command, flag string, endings ...string) {
	mustFlag(cmd.MarkFlagFilename(flag, endings...))
}

func completeDirectories(cmd *cobra.Command, flag string) { mustFlag(cmd.MarkFlagDirname(flag)) }

func mustFlag(err error) {
	if err != nil {
		panic(err)
	}
}
