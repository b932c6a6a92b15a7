// Package postgres holds the schema of the PostgreSQL store: numbered
// migrations, forward only, compiled into the binary.
package postgres

import "embed"

// FS holds the migrations, to be run in the order of their numbers.
//
//go:embed *.sql
var FS embed.FS
