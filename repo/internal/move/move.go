// Package move copies a deployment's data from SQLite to PostgreSQL, table by
// table and chunk by chunk. A chunk that the target holds already is only
// compared, so one mechanism copies, goes on after an interruption, catches up
// with a source that was in use, and verifies.
package move

import (
	"bytes"
	"context"
	"fmt"
)

// chunkRows bounds what is held in memory and what one transaction writes: at most 2,000 messages of 16 KB each.
const chunkRows = 2000

// Options say what is moved, and who is told how it goes.
type Options struct {
	SourcePath string // of the SQLite file
	TargetURL  string // of a migrated PostgreSQL database
	// SourceVersion is the version of the schema that the source must have.
	SourceVersion int64
	// Final: nothing writes to the source any more. The target is verified and opened to servers.
	Final    bool
	Progress func(Progress)
}

// Progress is told when a table is done. Changed rows are those of chunks that the target had not or not like this.
type Progress struct {
	Table         string
	Rows, Changed int64
}

// Run makes the target equal to the source. Conflict when the target is another deployment's, in use, or not empty;
// then nothing is changed. It may be repeated after any error.
func Run(ctx context.Context, o Options) error {
	src, err := openSource(ctx, o.SourcePath)
	if err != nil {
		return err
	}
	defer src.close()
	version, err := src.version(ctx)
	if err != nil {
		return err
	}
	if version != o.SourceVersion {
		return fmt.Errorf("the source's schema has version %d, this program's is %d: run this version's server on it first", version, o.SourceVersion)
	}
	dst, err := openTarget(ctx, o.TargetURL)
	if err != nil {
		return err
	}
	defer dst.close(ctx)
	tables, err := src.tables(ctx)
	if err != nil {
		return err
	}
	identity, err := src.identity(ctx)
	if err != nil {
		return err
	}
	if err := dst.begin(ctx, tables, identity); err != nil {
		return err
	}
	for _, t := range tables {
		p, err := copyTable(ctx, src, dst, t)
		if err != nil {
			return err
		}
		o.Progress(p)
	}
	if !o.Final {
		return nil
	}
	for _, t := range tables {
		if err := verifyTable(ctx, src, dst, t); err != nil {
			return err
		}
	}
	return dst.finish(ctx)
}

// eachSpan walks the source's rows with the spans of keys that they fill; the last span has no upper bound.
func eachSpan(ctx context.Context, src *source, t *table, do func(s span, rows [][]any) error) error {
	var s span
	for {
		rows, err := src.chunk(ctx, t, s.after, chunkRows)
		if err != nil {
			return err
		}
		s.upTo = nil
		if len(rows) == chunkRows {
			s.upTo = t.keyOf(rows[len(rows)-1])
		}
		if err := do(s, rows); err != nil || s.upTo == nil {
			return err
		}
		s.after = s.upTo
	}
}

func copyTable(ctx context.Context, src *source, dst *target, t *table) (Progress, error) {
	p := Progress{Table: t.name}
	err := eachSpan(ctx, src, t, func(s span, rows [][]any) error {
		p.Rows += int64(len(rows))
		there, err := dst.rows(ctx, t, s, len(rows)+1)
		if err != nil || same(rows, there) {
			return err
		}
		p.Changed += int64(len(rows))
		return dst.replace(ctx, t, s, rows)
	})
	if err != nil {
		return p, err
	}
	last, err := src.lastNumber(ctx, t)
	if err != nil {
		return p, err
	}
	return p, dst.setNumber(ctx, t, last)
}

// verifyTable compares every row.
func verifyTable(ctx context.Context, src *source, dst *target, t *table) error {
	return eachSpan(ctx, src, t, func(s span, rows [][]any) error {
		there, err := dst.rows(ctx, t, s, len(rows)+1)
		if err == nil && !same(rows, there) {
			err = fmt.Errorf("verify %s: the target differs after key %v", t.name, s.after)
		}
		return err
	})
}

func same(a, b [][]any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		for at := range a[i] {
			if !equal(a[i][at], b[i][at]) {
				return false
			}
		}
	}
	return true
}

func equal(a, b any) bool {
	x, isBytes := a.([]byte)
	y, alsoBytes := b.([]byte)
	if isBytes && alsoBytes {
		return bytes.Equal(x, y)
	}
	return isBytes == alsoBytes && a == b
}
