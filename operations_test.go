package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedNames: every metric that the documents name exists, and so does every setting that the operator's page names.
func TestDocumentedNames(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, root := range []string{"gateway", "logic", "repo", "task", "platform"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			code.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	docs, err := filepath.Glob("docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatal(docs, err)
	}
	metric := regexp.MustCompile("`(gochat_[a-z_]+)`")
	for _, doc := range docs {
		for _, m := range metric.FindAllStringSubmatch(readFile(t, doc), -1) {
			name, ofRouter := strings.CutPrefix(m[1], "gochat_router_")
			if !strings.Contains(code.String(), `"`+m[1]+`"`) && (!ofRouter || !strings.Contains(code.String(), `counter("`+name+`"`)) {
				t.Errorf("%s names %s, which nothing measures", doc, m[1])
			}
		}
	}
	settings := parseYAML(t, readFile(t, "config.yaml"))
	setting := regexp.MustCompile("`((?:gateway|logic|repo|task|kafka|redis|postgres|registry|roles)(?:\\.[a-z_]+)+)`")
	named := setting.FindAllStringSubmatch(readFile(t, "docs/operations.md"), -1)
	if len(named) == 0 {
		t.Error("docs/operations.md names no setting")
	}
	for _, m := range named {
		at := any(settings)
		for part := range strings.SplitSeq(m[1], ".") {
			section, _ := at.(map[string]any)
			at = section[part]
		}
		if at == nil {
			t.Errorf("docs/operations.md names %s, which is no setting", m[1])
		}
	}
}
