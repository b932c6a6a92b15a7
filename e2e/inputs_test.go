package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// inputs names to `go test` what a result depends on besides this package: it remembers which folders and variables a
// test looks at, and would show an old result for a new server otherwise.
var inputs = sync.OnceFunc(func() {
	_ = os.Getenv(topologyVariable)
	_ = filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != ".." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" || entry.Name() == "data") {
			return fs.SkipDir
		}
		return err
	})
})
