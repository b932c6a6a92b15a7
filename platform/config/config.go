// Package config fills a struct of settings from a YAML file, the environment
// and flags, each over the one before. A struct is its own documentation of
// what exists: what it does not name is an error.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
)

// envPrefix starts the name of every variable that is a setting.
const envPrefix = "GOCHAT_"

// Path is one setting.
type Path struct {
	Name    string // dotted: gateway.websocket.heartbeat
	Env     string // GOCHAT_GATEWAY_WEBSOCKET_HEARTBEAT
	Default any    // what the struct holds
}

// Paths lists the settings of a struct (or a pointer to one) with koanf tags, in its order.
func Paths(settings any) []Path {
	fields := collect(reflect.Indirect(reflect.ValueOf(settings)), "")
	paths := make([]Path, len(fields))
	for i, f := range fields {
		paths[i] = Path{Name: f.path, Env: envName(f.path), Default: f.value.Interface()}
	}
	return paths
}

// Load fills dst, a pointer to a struct that holds the defaults. Fields take part by their `koanf:"name"` tag; nested
// structs are sections, "-" is left alone. Types: string, bool, integers, floats, time.Duration ("30s") and lists of
// strings (in the environment and in flags separated by commas). file may be "" for none; environ is os.Environ();
// flags go by dotted path. The error is one line that names the setting and where its value came from.
func Load(file string, environ []string, flags map[string]any, dst any) error {
	fields := collect(reflect.ValueOf(dst).Elem(), "")
	byPath := make(map[string]field, len(fields))
	for _, f := range fields {
		byPath[f.path] = f
	}
	if file != "" {
		if err := loadFile(file, byPath); err != nil {
			return err
		}
	}
	if err := loadEnv(environ, byPath); err != nil {
		return err
	}
	for path, value := range flags {
		f, ok := byPath[path]
		if !ok {
			return fmt.Errorf("config: no setting %s%s", path, nearest(path, byPath))
		}
		if err := f.set(value); err != nil {
			return fmt.Errorf("config: %s (from a flag): %w", path, err)
		}
	}
	return nil
}

func loadFile(file string, byPath map[string]field) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	tree, err := yaml.Parser().Unmarshal(raw)
	if err != nil {
		return fmt.Errorf("config: %s: %s", file, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return walk(tree, "", func(path string, value any) error {
		f, ok := byPath[path]
		if !ok {
			return fmt.Errorf("config: %s: unknown setting %s%s", file, path, nearest(path, byPath))
		}
		if err := f.set(value); err != nil {
			return fmt.Errorf("config: %s (from %s): %w", path, file, err)
		}
		return nil
	}, byPath)
}

// walk calls visit for each leaf, in the order of the names, so that the first error is always the same one.
func walk(tree map[string]any, prefix string, visit func(path string, value any) error, byPath map[string]field) error {
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		path := prefix + name
		if section, ok := tree[name].(map[string]any); ok && !isLeaf(path, byPath) {
			if err := walk(section, path+".", visit, byPath); err != nil {
				return err
			}
			continue
		}
		if tree[name] == nil && !isLeaf(path, byPath) && isSection(path, byPath) {
			continue // a section whose settings are all commented out
		}
		if err := visit(path, tree[name]); err != nil {
			return err
		}
	}
	return nil
}

func isLeaf(path string, byPath map[string]field) bool {
	_, ok := byPath[path]
	return ok
}

func isSection(path string, byPath map[string]field) bool {
	for p := range byPath {
		if strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}

func loadEnv(environ []string, byPath map[string]field) error {
	byEnv := make(map[string]field, len(byPath))
	for path, f := range byPath {
		byEnv[envName(path)] = f
	}
	sorted := slices.Sorted(slices.Values(environ))
	for _, entry := range sorted {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || serviceLink(name, value) {
			continue
		}
		f, ok := byEnv[name]
		if !ok {
			return fmt.Errorf("config: unknown setting %s in the environment", name)
		}
		if err := f.set(value); err != nil {
			return fmt.Errorf("config: %s (from environment %s): %w", f.path, name, err)
		}
	}
	return nil
}

// serviceLink tells the variables that Kubernetes injects into every pod beside a service named gochat:
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
func serviceLink(name, value string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "PORT_") || rest == "PORT" && strings.Contains(value, "://")
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// field is one setting of a struct.
type field struct {
	path  string
	value reflect.Value
}

func collect(v reflect.Value, prefix string) []field {
	var fields []field
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("koanf")
		if name == "" || name == "-" {
			continue
		}
		if f := v.Field(i); f.Kind() == reflect.Struct {
			fields = append(fields, collect(f, prefix+name+".")...)
		} else {
			fields = append(fields, field{prefix + name, f})
		}
	}
	return fields
}

// set converts a value of YAML, or a string of the environment or a flag.
func (f field) set(value any) error {
	switch f.value.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(fmt.Sprint(value))
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s", fmt.Sprint(value))
		}
		f.value.SetInt(int64(d))
		return nil
	case []string:
		list, err := stringList(value)
		if err != nil {
			return err
		}
		f.value.Set(reflect.ValueOf(list))
		return nil
	}
	text := fmt.Sprint(value)
	switch value.(type) {
	case nil:
		return errors.New("has no value")
	case map[string]any, []any:
		return errors.New("must be a single value")
	}
	switch f.value.Kind() {
	case reflect.String:
		f.value.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		f.value.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, f.value.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		f.value.SetInt(n)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, f.value.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0", text)
		}
		f.value.SetUint(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		f.value.SetFloat(n)
	default:
		panic("config: " + f.path + " has a type that settings cannot have: " + f.value.Type().String())
	}
	return nil
}

func stringList(value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []any:
		list := make([]string, len(v))
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("%v is not a string", e)
			}
			list[i] = s
		}
		return list, nil
	case string:
		var list []string
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("%v is not a list of strings", value)
}

// nearest suggests the known setting that was most likely meant.
func nearest(path string, byPath map[string]field) string {
	best, bestDistance := "", 1+len(path)/3
	for known := range byPath {
		if d := distance(path, known); d < bestDistance || d == bestDistance && best != "" && known < best {
			best, bestDistance = known, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
