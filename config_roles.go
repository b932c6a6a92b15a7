package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gochat-im/gochat/platform/rpc"
)

var allRoles = []string{"gateway", "logic", "repo", "task"}

// RolesConfig says which roles run in this process, how the others are reached, and how processes trust each other.
type RolesConfig struct {
	Run             []string      `koanf:"run"`
	Listen          string        `koanf:"listen"`
	Advertise       string        `koanf:"advertise"`
	Secret          string        `koanf:"secret"`
	AlsoAccept      string        `koanf:"also_accept"`
	TLS             rpc.TLSConfig `koanf:"tls"`
	Reflection      bool          `koanf:"reflection"`
	MaxMessageBytes int           `koanf:"max_message_bytes"`
	Wait            time.Duration `koanf:"wait"` // for what this process needs, at start
	Logic           PeerConfig    `koanf:"logic"`
	Repo            PeerConfig    `koanf:"repo"`
	Task            PeerConfig    `koanf:"task"`
}

// PeerConfig is where a role of other processes is.
type PeerConfig struct {
	Address string `koanf:"address"`
}

func defaultRolesConfig() RolesConfig {
	return RolesConfig{Run: allRoles, MaxMessageBytes: rpc.DefaultMaxMessageBytes, Wait: time.Minute}
}

// local reports whether a role runs in this process.
func (c RolesConfig) local(role string) bool {
	return slices.Contains(c.Run, role) || slices.Contains(c.Run, "all")
}

// talk counts the roles of this process that talk over topics and to sockets: none and all of them need nothing shared.
func (c RolesConfig) talk() int {
	n := 0
	for _, r := range []string{"gateway", "logic", "task"} {
		if c.local(r) {
			n++
		}
	}
	return n
}

func (c RolesConfig) address(role string) string {
	return map[string]PeerConfig{"logic": c.Logic, "repo": c.Repo, "task": c.Task}[role].Address
}

// needs reports whether roles of this process call a role of other processes.
func (c RolesConfig) needs(role string) bool {
	if c.local(role) {
		return false
	}
	switch role {
	case "logic":
		return c.local("gateway")
	case "repo":
		return c.local("logic") || c.local("task")
	}
	return false
}

// called reports whether roles of other processes call one of this process.
func (c RolesConfig) called() bool {
	toSockets := c.local("logic") && c.local("task")
	return c.local("repo") && !toSockets || c.local("logic") && !c.local("gateway") || c.local("gateway") && !toSockets
}

// crosses reports whether calls come in or go out: what must be protected.
func (c RolesConfig) crosses() bool {
	return c.Listen != "" || c.called() || slices.ContainsFunc(allRoles, func(r string) bool { return !c.local(r) && c.address(r) != "" })
}

func (c RolesConfig) trust() rpc.Config {
	return rpc.Config{Secret: c.Secret, AlsoAccept: c.AlsoAccept, TLS: c.TLS, Reflection: c.Reflection, MaxMessageBytes: c.MaxMessageBytes}
}

// advertised is the address under which other processes reach a listener of this one.
func (c RolesConfig) advertised(l net.Addr) string {
	if c.Advertise != "" {
		return c.Advertise
	}
	host, port, err := net.SplitHostPort(l.String())
	if err != nil {
		return l.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return net.JoinHostPort(host, port)
}

// validate answers with the first setting that cannot work, by its name below roles.
func (c RolesConfig) validate() error {
	if len(c.Run) == 0 {
		return errors.New("run: must not be empty")
	}
	for _, r := range c.Run {
		if r != "all" && !slices.Contains(allRoles, r) {
			return fmt.Errorf("run: %q is not one of all, %s", r, strings.Join(allRoles, ", "))
		}
	}
	for _, r := range allRoles {
		if a := c.address(r); a != "" {
			if err := rpc.CheckAddress(a); err != nil {
				return fmt.Errorf("%s.address: %w", r, err)
			}
		} else if c.needs(r) {
			return fmt.Errorf("%s.address: the role %s runs neither here (roles.run is %s) nor is it said where else", r, r, strings.Join(c.Run, ","))
		}
	}
	for _, a := range []struct{ setting, value string }{{"listen", c.Listen}, {"advertise", c.Advertise}} {
		if _, _, err := net.SplitHostPort(a.value); a.value != "" && err != nil {
			return fmt.Errorf("%s: %q is not HOST:PORT", a.setting, a.value)
		}
	}
	switch {
	case c.Listen == "" && c.called():
		return fmt.Errorf("listen: roles of other processes must reach this one (roles.run is %s)", strings.Join(c.Run, ","))
	case c.MaxMessageBytes < 1<<20 || c.MaxMessageBytes > 1<<30:
		return errors.New("max_message_bytes: must be 1,048,576 to 1,073,741,824")
	case c.Wait < time.Second:
		return errors.New("wait: must be at least 1s")
	}
	if !c.crosses() {
		return nil
	}
	return c.trust().Validate()
}

// validateRoles refuses roles that cannot work together, and backends that do not reach the other processes.
func (c Config) validateRoles() error {
	if err := c.Roles.validate(); err != nil {
		return fmt.Errorf("roles.%w", err)
	}
	run := strings.Join(c.Roles.Run, ",")
	if n := c.Roles.talk(); n > 0 && n < 3 {
		if c.Bus == "embedded" {
			return fmt.Errorf("bus: embedded stays in one process, and gateway, logic and task are not all in this one (roles.run is %s)", run)
		}
		if c.Cache == "embedded" {
			return fmt.Errorf("cache: embedded stays in one process, and without a shared one (redis) the gateways are not found by logic and task (roles.run is %s)", run)
		}
	}
	return nil
}
