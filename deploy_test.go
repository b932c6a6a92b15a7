package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/knadh/koanf/parsers/yaml"

	"github.com/gochat-im/gochat/platform/config"
)

// someSecret is what an operator may put for any of the secrets.
const someSecret = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// processesOf reads the environments of GoChat's processes from the deployment files, by the process's name.
func processesOf(t *testing.T) map[string][]string {
	t.Helper()
	processes := map[string][]string{}
	compose := parseYAML(t, readFile(t, "deploy/compose.yaml"))
	for name, service := range compose["services"].(map[string]any) {
		s := service.(map[string]any)
		if s["image"] != "gochat" {
			continue
		}
		processes["compose "+name] = environOf(s["environment"].(map[string]any))
	}
	var shared []string
	for line := range strings.Lines(readFile(t, "deploy/kubernetes/settings.env")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			shared = append(shared, line)
		}
	}
	for _, role := range allRoles {
		deployment, _, _ := strings.Cut(readFile(t, "deploy/kubernetes/"+role+".yaml"), "\n---\n")
		env := append(slices.Clone(shared), "GOCHAT_ROLES_RUN="+role,
			"GOCHAT_ROLES_SECRET="+someSecret, "GOCHAT_POSTGRES_URL=postgres://gochat:x@postgres/gochat", "GOCHAT_REDIS_PASSWORD=x")
		for _, m := range regexp.MustCompile(`\{name: (GOCHAT_\w+), value: "?([^"}]*)"?\}`).FindAllStringSubmatch(deployment, -1) {
			env = append(env, m[1]+"="+strings.ReplaceAll(m[2], "$(POD_IP)", "10.0.0.1"))
		}
		if !strings.Contains(deployment, "args: [serve, --roles, "+role+"]") {
			t.Errorf("%s.yaml does not run role %s", role, role)
		}
		processes["kubernetes "+role] = env
	}
	return processes
}

func environOf(settings map[string]any) []string {
	var env []string
	for name, value := range settings {
		env = append(env, fmt.Sprintf("%s=%v", name, value))
	}
	// Compose fills in what the operator sets: ${NAME:?why} and ${NAME:-default}.
	variable := regexp.MustCompile(`\$\{[A-Z_]+:(\?|-)([^}]*)\}`)
	for i, e := range env {
		env[i] = variable.ReplaceAllStringFunc(e, func(v string) string {
			if m := variable.FindStringSubmatch(v); m[1] == "-" {
				return m[2]
			}
			return someSecret
		})
	}
	return env
}

// The deployments' settings exist and work together, and none of their secrets has a value.
func TestDeploymentSettings(t *testing.T) {
	t.Parallel()
	processes := processesOf(t)
	if len(processes) != 2*len(allRoles) {
		t.Errorf("processes: %v", slices.Sorted(maps.Keys(processes)))
	}
	for name, environ := range processes {
		cfg := defaultConfig()
		if err := config.Load("", environ, nil, &cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := cfg.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for line := range strings.Lines(readFile(t, "deploy/.env.example")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") && value != "" {
			t.Errorf(".env.example gives %s a value", name)
		}
	}
}

func TestDeploymentFilesParse(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("deploy/kubernetes/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("manifests: %v, %v", files, err)
	}
	kinds := map[string]int{}
	for _, file := range files {
		for doc := range strings.SplitSeq(readFile(t, file), "\n---\n") {
			m := parseYAML(t, doc)
			if m["apiVersion"] == nil || m["kind"] == nil {
				t.Errorf("%s holds a document without apiVersion or kind", file)
			}
			kinds[fmt.Sprint(m["kind"])]++
		}
	}
	if kinds["NetworkPolicy"] == 0 {
		t.Error("no policy says who may reach what")
	}
	for _, kind := range []string{"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"} {
		if kinds[kind] != len(allRoles) {
			t.Errorf("%d documents of kind %s, want one a role", kinds[kind], kind)
		}
	}
}

// What the units and the containers give a process to stop in is more than it takes.
func TestDeploymentsLetAProcessDrain(t *testing.T) {
	t.Parallel()
	limit := defaultConfig().ShutdownTimeout
	for file, setting := range map[string]string{
		"deploy/systemd/gochat.service": `TimeoutStopSec=(\d+)`, "deploy/systemd/gochat@.service": `TimeoutStopSec=(\d+)`,
		"deploy/compose.yaml": `stop_grace_period: (\d+)s`, "deploy/kubernetes/gateway.yaml": `terminationGracePeriodSeconds: (\d+)`,
		"deploy/kubernetes/logic.yaml": `terminationGracePeriodSeconds: (\d+)`, "deploy/kubernetes/repo.yaml": `terminationGracePeriodSeconds: (\d+)`,
		"deploy/kubernetes/task.yaml": `terminationGracePeriodSeconds: (\d+)`,
	} {
		m := regexp.MustCompile(setting).FindStringSubmatch(readFile(t, file))
		if m == nil {
			t.Errorf("%s has no %s", file, setting)
			continue
		}
		if seconds, _ := strconv.Atoi(m[1]); time.Duration(seconds)*time.Second < limit+5*time.Second {
			t.Errorf("%s gives %d s, shutdown_timeout is %s", file, seconds, limit)
		}
	}
}

// A proxy that sends a request to a second gateway after the first has it would do twice what was asked for once.
func TestTheBalancerRepeatsNothing(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(readFile(t, "deploy/nginx.conf")) {
		code, _, _ := strings.Cut(line, "#")
		if strings.Contains(code, "non_idempotent") {
			t.Errorf("deploy/nginx.conf: %s", line)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parseYAML(t *testing.T, text string) map[string]any {
	t.Helper()
	m, err := yaml.Parser().Unmarshal([]byte(text))
	if err != nil {
		t.Fatalf("parse %.40q: %v", text, err)
	}
	return m
}
