package main

import (
	"errors"
	"testing"

	"github.com/spf13/cobra"
)

// Every command says which arguments it takes; others are wrong usage (exit code 2), whatever package it comes from.
func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	refused := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Args == nil {
			t.Errorf("%s does not say which arguments it takes", cmd.CommandPath())
		}
		for _, args := range [][]string{nil, {"one", "two", "three"}} {
			if err := cmd.ValidateArgs(args); err != nil {
				refused++
				if _, ok := errors.AsType[usageError](err); !ok {
					t.Errorf("%s with %q: %v is no usage error", cmd.CommandPath(), args, err)
				}
			}
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(rootCommand())
	if refused < 20 {
		t.Errorf("%d refusals over all commands", refused)
	}
}
