package postgres

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// conn is a connection that runs the shared statements. One goroutine uses it,
// for the time of one transaction.
type conn struct {
	ctx    context.Context //nolint:containedctx // of the one transaction that it is made for
	pg     *pgx.Conn
	begin  string // sent with the first statement
	failed error  // the first statement that failed: PostgreSQL runs nothing after it but a rollback
}

// Exec implements sqlstore.Conn.
func (c *conn) Exec(sql string, args ...any) (int64, error) {
	tag, err := c.pg.Exec(c.ctx, translate(sql), values(args)...)
	if err != nil {
		return 0, c.fail(err)
	}
	return tag.RowsAffected(), nil
}

// Query implements sqlstore.Conn.
func (c *conn) Query(sql string, each func(r sqlstore.Row) error, args ...any) error {
	if c.begin != "" {
		return c.QueryEach(sql, [][]any{args}, func(_ int, r sqlstore.Row) error { return each(r) })
	}
	rows, err := c.pg.Query(c.ctx, translate(sql), values(args)...)
	if err != nil {
		return c.fail(err)
	}
	return c.scan(rows, each)
}

// ExecEach implements sqlstore.Conn in one round trip.
func (c *conn) ExecEach(sql string, sets [][]any) error {
	return c.QueryEach(sql, sets, func(int, sqlstore.Row) error { return nil })
}

// QueryEach implements sqlstore.Conn in one round trip.
func (c *conn) QueryEach(sql string, sets [][]any, each func(i int, r sqlstore.Row) error) error {
	if len(sets) == 0 {
		return nil
	}
	sql = translate(sql)
	var b pgx.Batch
	if c.begin != "" {
		b.Queue(c.begin)
	}
	for _, args := range sets {
		b.Queue(sql, values(args)...)
	}
	results := c.pg.SendBatch(c.ctx, &b)
	defer results.Close()
	if c.begin != "" {
		c.begin = ""
		if _, err := results.Exec(); err != nil {
			return c.fail(err)
		}
	}
	for i := range sets {
		rows, err := results.Query()
		if err != nil {
			return c.fail(err)
		}
		if err := c.scan(rows, func(r sqlstore.Row) error { return each(i, r) }); err != nil {
			return err
		}
	}
	return nil
}

// QueryInt implements sqlstore.Conn.
func (c *conn) QueryInt(sql string, args ...any) (v int64, found bool, err error) {
	err = c.Query(sql, func(r sqlstore.Row) error {
		if !found {
			v, found = r.Int64(0), true
		}
		return nil
	}, args...)
	return v, found, err
}

// scan reads a result to its end.
func (c *conn) scan(rows pgx.Rows, each func(r sqlstore.Row) error) error {
	defer rows.Close()
	var r row
	for rows.Next() {
		r.columns = rows.RawValues()
		if err := each(&r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return c.fail(err)
	}
	return nil
}

// fail remembers the first error of the connection.
func (c *conn) fail(err error) error {
	err = &failure{err}
	if c.failed == nil {
		c.failed = err
	}
	return err
}

// row is the present row of a result, as PostgreSQL sent it: integers big-endian, everything else as it is.
type row struct{ columns [][]byte }

func (r *row) Int64(i int) int64 {
	switch v := r.columns[i]; len(v) {
	case 8:
		return int64(binary.BigEndian.Uint64(v))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(v)))
	default: // NULL
		return 0
	}
}

func (r *row) Int32(i int) int32 { return int32(r.Int64(i)) }
func (r *row) Bool(i int) bool   { return r.Int64(i) != 0 }
func (r *row) Text(i int) string { return string(r.columns[i]) }
func (r *row) Blob(i int) []byte {
	if r.columns[i] == nil {
		return nil
	}
	return append([]byte{}, r.columns[i]...)
}

// values are arguments as the columns of the schema take them.
func values(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case int:
			args[i] = int64(v)
		case int32:
			args[i] = int64(v)
		case bool:
			args[i] = int64(0)
			if v {
				args[i] = int64(1)
			}
		}
	}
	return args
}

var translated sync.Map // the shared text of a statement → PostgreSQL's

// translate writes the parameters of a shared statement as PostgreSQL does: $1, $2 ….
func translate(sql string) string {
	if s, ok := translated.Load(sql); ok {
		return s.(string)
	}
	var b strings.Builder
	quoted, n := false, 0
	for i := 0; i < len(sql); i++ {
		switch ch := sql[i]; {
		case ch == '\'':
			quoted = !quoted
			b.WriteByte(ch)
		case ch != '?' || quoted:
			b.WriteByte(ch)
		default:
			b.WriteByte('$')
			if i+1 < len(sql) && sql[i+1] >= '0' && sql[i+1] <= '9' {
				continue // numbered already
			}
			n++
			b.WriteString(strconv.Itoa(n))
		}
	}
	translated.Store(sql, b.String())
	return b.String()
}
