package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func readyCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Ask the server with these settings whether it can do its work",
		Long: `Asks the server that runs with these settings, over its private listener
(private_listen), whether it can do its work, and says so: exit code 0 and one
line, or 1 and what is missing. For health checks: containers have no other
program to ask with.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if cfg.PrivateListen == "" {
				return usageError{errors.New("private_listen: is empty, so there is nobody to ask")}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			parts, err := askReady(ctx, cfg.PrivateListen)
			if err != nil {
				return fmt.Errorf("not ready: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ready:", parts)
			return err
		},
	}
	addSettingFlags(cmd.Flags())
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for its answer")
	return cmd
}

// askReady asks the private listener at an address and returns what it says of each part of the process.
func askReady(ctx context.Context, listen string) (parts string, err error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", usageError{fmt.Errorf("private_listen: %w", err)}
	}
	if address, err := netip.ParseAddr(host); host == "" || err == nil && address.IsUnspecified() {
		host = "localhost" // it listens everywhere
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", listen, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("nobody answers: %w", err)
	}
	defer answer.Body.Close()
	said := map[string]string{}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return "", fmt.Errorf("%s is not a GoChat's private listener: %w", listen, err)
	}
	var list []string
	for _, part := range slices.Sorted(maps.Keys(said)) {
		list = append(list, part+" "+said[part])
	}
	parts = strings.Join(list, ", ")
	if answer.StatusCode != http.StatusOK {
		return "", errors.New(parts)
	}
	return parts, nil
}
