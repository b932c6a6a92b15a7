package repo_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// table is what one table holds, by primary key.
type table struct {
	columns []string
	rows    map[string][]any
	time    int // the column that tells when a row came, -1 for none
}

// committedBy tells whether a row was there at a time. The time itself may have had commits on both sides of a backup:
// a row of that millisecond was there when it is copied.
func (t *table) committedBy(row []any, at int64, copied bool) bool {
	if t.time < 0 {
		return true
	}
	came := row[t.time].(int64)
	return came < at || came == at && copied
}

// dump reads every table of a database.
func dump(t *testing.T, path string) map[string]*table {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]*table{}
	for _, name := range tableNames(t, db) {
		all[name] = dumpTable(t, db, name)
	}
	return all
}

func tableNames(t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

// keys says what makes a row its own; other tables have their first column.
var keys = map[string]int{"members": 2, "messages": 2, "join_requests": 2, "hidden": 3}

func dumpTable(t *testing.T, db *sql.DB, name string) *table {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	d := &table{rows: map[string][]any{}, time: -1}
	if d.columns, err = rows.Columns(); err != nil {
		t.Fatal(err)
	}
	for i, c := range d.columns {
		if c == "created_at" || c == "joined_at" {
			d.time = i
		}
	}
	for rows.Next() {
		row := make([]any, len(d.columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		d.rows[strings.Trim(fmt.Sprint(row[:max(keys[name], 1)]), "[]")] = row
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return d
}
