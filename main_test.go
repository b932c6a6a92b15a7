package main

import (
	"errors"
	"testing"

	"github.com/spf13/cobra"
)

// Arguments too many, or too few for a command that takes any number, are wrong usage (exit code 2), whatever package the
// command comes from.
func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		err := errors.Join(cmd.ValidateArgs([]string{"one", "two", "three"}), cmd.ValidateArgs(nil))
		if _, ok := errors.AsType[usageError](err); !ok {
			t.Errorf("%s with three arguments and with none: %v, want a usage error", cmd.CommandPath(), err)
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(rootCommand())
}
