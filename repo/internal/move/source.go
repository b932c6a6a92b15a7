package move

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// source is a SQLite database as of one moment: it may be in use.
type source struct {
	db *sql.DB
	tx *sql.Tx
}

// table is what is copied of one table, by the ascending order of its primary key.
type table struct {
	name    string
	columns []string
	key     []int // places of the primary key's columns
}

func (t *table) keyOf(row []any) []any {
	key := make([]any, len(t.key))
	for i, at := range t.key {
		key[i] = row[at]
	}
	return key
}

func (t *table) keyColumns() []string {
	names := make([]string, len(t.key))
	for i, at := range t.key {
		names[i] = t.columns[at]
	}
	return names
}

func openSource(ctx context.Context, path string) (*source, error) {
	name := (&url.URL{Path: path}).EscapedPath() // a folder may be called anything
	db, err := sql.Open("sqlite", "file:"+name+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &source{db: db, tx: tx}, nil
}

func (s *source) close() {
	_ = s.tx.Rollback()
	s.db.Close()
}

// version is that of the schema, by goose's table.
func (s *source) version(ctx context.Context) (v int64, err error) {
	err = s.tx.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version WHERE is_applied = 1").Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return v, nil
}

// identity tells one deployment from another: when it began, and its first account.
func (s *source) identity(ctx context.Context) (string, error) {
	var began string
	var first int64
	err := s.tx.QueryRowContext(ctx, `SELECT (SELECT min(tstamp) FROM goose_db_version), (SELECT coalesce(min(id), 0) FROM users)`).Scan(&began, &first)
	if err != nil {
		return "", fmt.Errorf("identify the source: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", began, first))
	return hex.EncodeToString(sum[:16]), nil
}

// tables lists the tables that hold the deployment's data, by name. The clock is SQLite's own.
func (s *source) tables(ctx context.Context) ([]*table, error) {
	names, err := s.strings(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
		AND name NOT LIKE 'goose\_%' ESCAPE '\' AND name <> 'clock' ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	tables := make([]*table, len(names))
	for i, name := range names {
		t := &table{name: name}
		if t.columns, err = s.strings(ctx, "SELECT name FROM pragma_table_info(?) ORDER BY cid", name); err != nil {
			return nil, fmt.Errorf("list the columns of %s: %w", name, err)
		}
		key, err := s.strings(ctx, "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", name)
		if err != nil {
			return nil, fmt.Errorf("find the key of %s: %w", name, err)
		}
		for _, column := range key {
			for at, c := range t.columns {
				if c == column {
					t.key = append(t.key, at)
				}
			}
		}
		if len(t.key) == 0 {
			return nil, fmt.Errorf("table %s has no primary key", name)
		}
		tables[i] = t
	}
	return tables, nil
}

func (s *source) strings(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// chunk returns up to limit rows after a key, in the key's order; a nil key is before all.
func (s *source) chunk(ctx context.Context, t *table, after []any, limit int) ([][]any, error) {
	where, args := "", []any(nil)
	if after != nil {
		where = " WHERE " + rowValue(t.keyColumns()) + " > (" + strings.TrimSuffix(strings.Repeat("?, ", len(after)), ", ") + ")"
		args = after
	}
	query := "SELECT " + strings.Join(t.columns, ", ") + " FROM " + t.name + where +
		" ORDER BY " + strings.Join(t.keyColumns(), ", ") + " LIMIT ?"
	rows, err := s.tx.QueryContext(ctx, query, append(append([]any{}, args...), limit)...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.name, err)
	}
	defer rows.Close()
	var chunk [][]any
	for rows.Next() {
		row := make([]any, len(t.columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read %s: %w", t.name, err)
		}
		chunk = append(chunk, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", t.name, err)
	}
	return chunk, nil
}

// lastNumber is the highest number that an AUTOINCREMENT table ever gave out, 0 for another table.
func (s *source) lastNumber(ctx context.Context, t *table) (n int64, err error) {
	err = s.tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", t.name).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("read the last number of %s: %w", t.name, err)
	}
	return n, nil
}

// rowValue is (a, b), which both engines compare as one value.
func rowValue(columns []string) string { return "(" + strings.Join(columns, ", ") + ")" }
