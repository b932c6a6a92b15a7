// Package sqlite holds the schema of the SQLite store: numbered migrations,
// forward only, compiled into the binary.
package sqlite

import "embed"

// FS holds the migrations, to be run in the order of their numbers.
//
//go:embed *.sql
var FS embed.FS
