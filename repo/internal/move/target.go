package move

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/platform/errs"
)

// target is a PostgreSQL database of this version's schema.
type target struct {
	conn *pgx.Conn
}

func openTarget(ctx context.Context, url string) (*target, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("reach the target: %w", err)
	}
	return &target{conn: conn}, nil
}

func (t *target) close(ctx context.Context) { _ = t.conn.Close(context.WithoutCancel(ctx)) }

// begin takes an empty target for the source, or goes on with one that it took before. Conflict for any other.
func (t *target) begin(ctx context.Context, tables []*table, source string) error {
	var begun string
	var finished bool
	err := t.conn.QueryRow(ctx, "SELECT source, finished FROM store_move").Scan(&begun, &finished)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return fmt.Errorf("look for an earlier move: %w", err)
	case begun != source:
		return errs.New(errs.Conflict, "the target holds the data of another deployment")
	case finished:
		return errs.New(errs.Conflict, "the move to this target is finished: the servers may use it")
	default:
		return nil
	}
	for _, table := range tables {
		var used bool
		if err := t.conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+table.name+")").Scan(&used); err != nil {
			return fmt.Errorf("look into the target's %s: %w", table.name, err)
		}
		if used {
			return errs.New(errs.Conflict, "the target is not empty: its table %s holds rows", table.name)
		}
	}
	if _, err := t.conn.Exec(ctx, "INSERT INTO store_move (source, finished) VALUES ($1, false)", source); err != nil {
		return fmt.Errorf("take the target: %w", err)
	}
	return nil
}

func (t *target) finish(ctx context.Context) error {
	if _, err := t.conn.Exec(ctx, "UPDATE store_move SET finished = true"); err != nil {
		return fmt.Errorf("finish the move: %w", err)
	}
	return nil
}

// span is the rows with after < key ≤ upTo; nil is no bound.
type span struct{ after, upTo []any }

func (s span) where(table *table) (string, []any) {
	var conditions []string
	var args []any
	for _, bound := range []struct {
		op  string
		key []any
	}{{">", s.after}, {"<=", s.upTo}} {
		if bound.key == nil {
			continue
		}
		places := make([]string, len(bound.key))
		for i, v := range bound.key {
			args = append(args, v)
			places[i] = fmt.Sprintf("$%d", len(args))
		}
		conditions = append(conditions, rowValue(table.keyColumns())+" "+bound.op+" "+rowValue(places))
	}
	if len(conditions) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}

// rows reads a span in the key's order, at most limit rows.
func (t *target) rows(ctx context.Context, table *table, s span, limit int) ([][]any, error) {
	where, args := s.where(table)
	query := "SELECT " + strings.Join(table.columns, ", ") + " FROM " + table.name + where +
		" ORDER BY " + strings.Join(table.keyColumns(), ", ") + fmt.Sprintf(" LIMIT %d", limit)
	rows, err := t.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the target's %s: %w", table.name, err)
	}
	defer rows.Close()
	var all [][]any
	for rows.Next() {
		row, err := rows.Values()
		if err != nil {
			return nil, fmt.Errorf("read the target's %s: %w", table.name, err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the target's %s: %w", table.name, err)
	}
	return all, nil
}

// replace makes a span hold exactly these rows.
func (t *target) replace(ctx context.Context, table *table, s span, rows [][]any) error {
	err := pgx.BeginFunc(ctx, t.conn, func(tx pgx.Tx) error {
		where, args := s.where(table)
		if _, err := tx.Exec(ctx, "DELETE FROM "+table.name+where, args...); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{table.name}, table.columns, pgx.CopyFromRows(rows))
		return err
	})
	if err != nil {
		return fmt.Errorf("write the target's %s: %w", table.name, err)
	}
	return nil
}

// setNumber lets a table that numbers its rows go on after n.
func (t *target) setNumber(ctx context.Context, table *table, n int64) error {
	_, err := t.conn.Exec(ctx, `SELECT setval(s, greatest($3::bigint, 1), $3::bigint > 0) FROM pg_get_serial_sequence($1, $2) AS s WHERE s IS NOT NULL`,
		table.name, table.columns[table.key[0]], n)
	if err != nil {
		return fmt.Errorf("set the next number of %s: %w", table.name, err)
	}
	return nil
}
