package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gochat-im/gochat/platform/config"
)

type settings struct {
	Name  string   `koanf:"name"`
	Roles []string `koanf:"roles"`
	Bus   section  `koanf:"some_bus"`
	Dir   string   `koanf:"-"`
}

type section struct {
	Lanes int           `koanf:"lanes"`
	Wait  time.Duration `koanf:"max_wait"`
	On    bool          `koanf:"on"`
	Rate  float64       `koanf:"rate"`
}

func defaults() settings {
	return settings{Name: "n", Roles: []string{"a"}, Bus: section{Lanes: 8, Wait: time.Second, Rate: 1.5}, Dir: "kept"}
}

func load(t *testing.T, yaml string, env []string, flags map[string]any) (settings, error) {
	t.Helper()
	file := ""
	if yaml != "" {
		file = filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := defaults()
	err := config.Load(file, env, flags, &s)
	return s, err
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	yaml := "name: file\nroles: [x, y]\nsome_bus:\n  lanes: 2\n  max_wait: 5m\n  on: true\n"
	got, err := load(t, yaml, []string{"GOCHAT_SOME_BUS_LANES=3", "GOCHAT_SOME_BUS_RATE=2.5", "HOME=/x"},
		map[string]any{"some_bus.rate": "3.5", "roles": "p, q"})
	want := settings{Name: "file", Roles: []string{"p", "q"}, Dir: "kept", Bus: section{Lanes: 3, Wait: 5 * time.Minute, On: true, Rate: 3.5}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := load(t, "some_bus:\n", nil, nil); err != nil || !reflect.DeepEqual(got, defaults()) {
		t.Errorf("an empty section: %+v, %v", got, err)
	}
}

func TestErrorsNameTheSetting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml  string
		env   []string
		flags map[string]any
		want  []string
	}{
		"unknown key":         {yaml: "some_bus:\n  lane: 2\n", want: []string{"some_bus.lane", "did you mean some_bus.lanes?", "config.yaml"}},
		"unknown section":     {yaml: "zzz:\n  lane: 2\n", want: []string{"zzz.lane"}},
		"section as a value":  {yaml: "some_bus: 3\n", want: []string{"some_bus"}},
		"value as a section":  {yaml: "name:\n  first: x\n", want: []string{"name", "single value"}},
		"not a number":        {yaml: "some_bus:\n  lanes: many\n", want: []string{"some_bus.lanes", `"many"`, "config.yaml"}},
		"fraction":            {yaml: "some_bus:\n  lanes: 1.5\n", want: []string{"some_bus.lanes"}},
		"number as duration":  {yaml: "some_bus:\n  max_wait: 5\n", want: []string{"some_bus.max_wait", "duration"}},
		"list of numbers":     {yaml: "roles: [1]\n", want: []string{"roles"}},
		"no value":            {yaml: "name:\n", want: []string{"name"}},
		"not YAML":            {yaml: "a: [\n", want: []string{"config.yaml"}},
		"bad env":             {env: []string{"GOCHAT_SOME_BUS_MAX_WAIT=abc"}, want: []string{"some_bus.max_wait", "GOCHAT_SOME_BUS_MAX_WAIT", `"abc"`}},
		"unknown env":         {env: []string{"GOCHAT_SOME_BUS=1"}, want: []string{"GOCHAT_SOME_BUS"}},
		"injected is not set": {env: []string{"GOCHAT_DIR=1"}, want: []string{"GOCHAT_DIR"}},
		"bad flag":            {flags: map[string]any{"some_bus.on": "maybe"}, want: []string{"some_bus.on", "flag", `"maybe"`}},
		"unknown flag":        {flags: map[string]any{"nam": "x"}, want: []string{"nam", "did you mean name?"}},
	} {
		_, err := load(t, c.yaml, c.env, c.flags)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line", name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not name %q", name, err, w)
			}
		}
	}
	if err := config.Load("/no/such/file", nil, nil, &settings{}); err == nil || !strings.Contains(err.Error(), "/no/such/file") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestKubernetesServiceLinks(t *testing.T) {
	t.Parallel()
	env := []string{
		"GOCHAT_PORT=tcp://10.0.0.1:8080", "GOCHAT_SERVICE_HOST=10.0.0.1", "GOCHAT_SERVICE_PORT_HTTP=8080",
		"GOCHAT_PORT_8080_TCP_ADDR=10.0.0.1", "GOCHAT_PORT_8080_TCP=tcp://10.0.0.1:8080",
	}
	if got, err := load(t, "", env, nil); err != nil || !reflect.DeepEqual(got, defaults()) {
		t.Errorf("Load = %+v, %v", got, err)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range config.Paths(defaults()) {
		names = append(names, p.Name+"="+p.Env)
	}
	want := "name=GOCHAT_NAME roles=GOCHAT_ROLES some_bus.lanes=GOCHAT_SOME_BUS_LANES some_bus.max_wait=GOCHAT_SOME_BUS_MAX_WAIT some_bus.on=GOCHAT_SOME_BUS_ON some_bus.rate=GOCHAT_SOME_BUS_RATE"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("Paths: %s", got)
	}
}
