package bench

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver that the server's store is built on

	"github.com/gochat-im/gochat/bench/internal/latency"
	migrations "github.com/gochat-im/gochat/migrations/sqlite"
)

const insertMessage = `INSERT INTO messages (conversation_id, seq, kind, user_id, created_at, count_no, sent_no, message_type, content, dedupe_key)
VALUES (?, ?, 1, ?, ?, ?, ?, 'text', ?, ?)`

// sendFloor inserts rows into the same schema, as many in a transaction as the
// server had, with nothing around it.
func (o sendOptions) sendFloor(ctx context.Context, batch int) (*report, error) {
	dir, err := os.MkdirTemp("", "gochat-floor-")
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	defer os.RemoveAll(dir)
	db, err := bareDatabase(ctx, filepath.Join(dir, "floor.db"))
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	defer db.Close()
	insert, err := db.PrepareContext(ctx, insertMessage)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	defer insert.Close()
	before, began := ownCPU(), time.Now()
	rows := int64(0)
	for time.Since(began) < min(o.Duration, 5*time.Second) && ctx.Err() == nil {
		if err := o.insertBatch(ctx, db, insert, rows, batch); err != nil {
			return nil, fmt.Errorf("floor: %w", err)
		}
		rows += int64(batch)
	}
	took := time.Since(began)
	r := &report{Name: "floor"}
	r.add("sends", float64(rows)/took.Seconds(), "/s")
	r.add("server CPU a message", float64((ownCPU()-before).Microseconds())/float64(max(rows, 1)), "µs")
	return r, ctx.Err()
}

func (o sendOptions) insertBatch(ctx context.Context, db *sql.DB, prepared *sql.Stmt, from int64, batch int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert := tx.StmtContext(ctx, prepared) //nolint:sqlclosecheck // the transaction closes it
	now := time.Now().UnixMilli()
	for i := range int64(batch) {
		n := from + i
		conversation, seq := n%int64(o.Senders)+1, n/int64(o.Senders)+1
		stamp := fmt.Sprint(time.Now().UnixNano(), n)
		content := stamp + " the quick brown fox jumps over the lazy dog"
		if _, err := insert.ExecContext(ctx, conversation, seq, conversation, now, seq, seq, content, stamp); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// bareDatabase opens a new database with the server's schema and durability.
func bareDatabase(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=cache_size(-65536)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			return nil, err
		}
		if _, err := db.ExecContext(ctx, strings.ReplaceAll(string(text), "-- +goose Up", "")); err != nil {
			db.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return db, nil
}

const (
	selectBefore = `SELECT seq, kind, user_id, created_at, message_type, content, dedupe_key, updated_at, recalled, target_seq, details
FROM messages WHERE conversation_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?`
	selectAfter = `SELECT seq, kind, user_id, created_at, message_type, content, dedupe_key, updated_at, recalled, target_seq, details
FROM messages WHERE conversation_id = ? AND seq > ? ORDER BY seq LIMIT ?`
)

// barePages reads the same pages straight from the database's file.
func (o historyOptions) barePages(ctx context.Context, path, conversation string, last int64) (*report, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=cache_size(-8192)")
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	r := &report{Name: "floor"}
	for _, q := range []struct{ name, text string }{{pagesBefore, selectBefore}, {pagesAfter, selectAfter}} {
		statement, err := db.PrepareContext(ctx, q.text)
		if err != nil {
			return nil, fmt.Errorf("floor: %w", err)
		}
		var h latency.Histogram
		for range o.Reads {
			began := time.Now()
			if err := barePage(ctx, statement, conversation, 1+rand.Int64N(last), o.Page); err != nil {
				statement.Close() //nolint:sqlclosecheck // before the next one is prepared
				return nil, fmt.Errorf("floor: %w", err)
			}
			h.Add(time.Since(began))
		}
		statement.Close()
		r.latencies(q.name, &h)
	}
	return r, nil
}

func barePage(ctx context.Context, statement *sql.Stmt, conversation string, seq int64, limit int) error {
	rows, err := statement.QueryContext(ctx, conversation, seq, limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var numbers [7]int64
		var texts [4]sql.NullString
		if err := rows.Scan(&numbers[0], &numbers[1], &numbers[2], &numbers[3], &texts[0], &texts[1], &texts[2],
			&numbers[4], &numbers[5], &numbers[6], &texts[3]); err != nil {
			return err
		}
	}
	return rows.Err()
}
