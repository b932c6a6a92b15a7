package sqlite

import (
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

// arenaSize is the room of a connection for the text and blob arguments of one statement.
const arenaSize = 64 << 10

// conn is one connection with its prepared statements. It is used by one
// goroutine at a time. It calls the SQLite library itself: database/sql costs
// more per statement than most statements here do.
type conn struct {
	tls   *libc.TLS
	db    uintptr
	stmts map[string]*stmt
	out   uintptr // two pointers for results

	arena     uintptr // where arguments live while their statement runs
	arenaUsed int
}

// openConn opens a connection that reads and writes, or only reads.
func openConn(path string, readOnly bool) (*conn, error) {
	if readOnly {
		return openWith(path, sqlite3.SQLITE_OPEN_READONLY, "")
	}
	return openWith(path, sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_CREATE, "")
}

// openWriter opens the connection of the writer, whose log gathers its writes.
func openWriter(path string) (*conn, error) {
	if rc := registerWALFiles(); rc != sqlite3.SQLITE_OK {
		return nil, &Error{Code: int(rc), Message: "registering the layer for log files"}
	}
	return openWith(path, sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_CREATE, walVFS)
}

func openWith(path string, flags int32, vfs string) (*conn, error) {
	c := &conn{tls: libc.NewTLS(), stmts: map[string]*stmt{}}
	c.out = libc.Xmalloc(c.tls, 16)
	c.arena = libc.Xmalloc(c.tls, arenaSize)
	if c.out == 0 || c.arena == 0 {
		c.close()
		return nil, errors.New("out of memory")
	}
	name, err := libc.CString(path)
	if err != nil {
		c.close()
		return nil, err
	}
	defer libc.Xfree(c.tls, name)
	var layer uintptr // 0: the system's own
	if vfs != "" {
		if layer, err = libc.CString(vfs); err != nil {
			c.close()
			return nil, err
		}
		defer libc.Xfree(c.tls, layer)
	}
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, c.out, flags|sqlite3.SQLITE_OPEN_NOMUTEX, layer)
	c.db = c.pointer(0)
	if rc != sqlite3.SQLITE_OK {
		err := c.fail(rc)
		c.close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, 10_000)
	return c, nil
}

func (c *conn) close() {
	for _, s := range c.stmts {
		sqlite3.Xsqlite3_finalize(c.tls, s.p)
	}
	c.stmts = nil
	if c.db != 0 {
		sqlite3.Xsqlite3_close_v2(c.tls, c.db)
		c.db = 0
	}
	if c.out != 0 {
		libc.Xfree(c.tls, c.out)
	}
	if c.arena != 0 {
		libc.Xfree(c.tls, c.arena)
	}
	c.tls.Close()
}

// prepare returns the statement of a text, compiled at its first use.
func (c *conn) prepare(sql string) (*stmt, error) {
	if s, ok := c.stmts[sql]; ok {
		return s, nil
	}
	text, err := libc.CString(sql)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, text)
	rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, sqlite3.SQLITE_PREPARE_PERSISTENT, c.out, 0)
	if rc != sqlite3.SQLITE_OK {
		return nil, fmt.Errorf("prepare %.60q: %w", sql, c.fail(rc))
	}
	s := &stmt{c: c, p: c.pointer(0)}
	c.stmts[sql] = s
	return s, nil
}

// Exec implements sqlstore.Conn.
func (c *conn) Exec(sql string, args ...any) (int64, error) {
	s, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	mark, err := s.bind(args)
	defer s.end(mark)
	if err != nil {
		return 0, err
	}
	for more := true; more; {
		if more, err = s.step(); err != nil {
			return 0, err
		}
	}
	return c.changes(), nil
}

// Query implements sqlstore.Conn.
func (c *conn) Query(sql string, each func(r sqlstore.Row) error, args ...any) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	if s.busy {
		return fmt.Errorf("query %.60q: runs inside itself", sql)
	}
	mark, err := s.bind(args)
	defer s.end(mark)
	if err != nil {
		return err
	}
	for {
		more, err := s.step()
		if err != nil || !more {
			return err
		}
		if err := each(s); err != nil {
			return err
		}
	}
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

// ExecEach implements sqlstore.Conn.
func (c *conn) ExecEach(sql string, sets [][]any) error {
	for _, args := range sets {
		if _, err := c.Exec(sql, args...); err != nil {
			return err
		}
	}
	return nil
}

// QueryEach implements sqlstore.Conn.
func (c *conn) QueryEach(sql string, sets [][]any, each func(i int, r sqlstore.Row) error) error {
	for i, args := range sets {
		if err := c.Query(sql, func(r sqlstore.Row) error { return each(i, r) }, args...); err != nil {
			return err
		}
	}
	return nil
}

// changes is the number of rows that the last INSERT, UPDATE or DELETE changed.
func (c *conn) changes() int64 { return sqlite3.Xsqlite3_changes64(c.tls, c.db) }

// pagesWritten counts the pages that this connection wrote so far.
func (c *conn) pagesWritten() int64 {
	sqlite3.Xsqlite3_db_status(c.tls, c.db, sqlite3.SQLITE_DBSTATUS_CACHE_WRITE, c.out, c.out+8, 0)
	return int64(int32(c.pointer(0)))
}

// inTransaction is false after SQLite rolled back by itself.
func (c *conn) inTransaction() bool { return sqlite3.Xsqlite3_get_autocommit(c.tls, c.db) == 0 }

func (c *conn) fail(rc int32) error {
	e := &Error{Code: int(rc), Message: "unknown error"}
	if c.db != 0 {
		if p := sqlite3.Xsqlite3_errmsg(c.tls, c.db); p != 0 {
			e.Message = libc.GoString(p)
		}
	}
	return e
}

func (c *conn) pointer(i uintptr) uintptr {
	return *(*uintptr)(unsafe.Pointer(c.out + 8*i)) //nolint:govet // C memory, not the garbage collector's
}
