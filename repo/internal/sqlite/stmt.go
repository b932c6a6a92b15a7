package sqlite

import (
	"fmt"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// stmt is a prepared statement; while it runs, its present row.
type stmt struct {
	c     *conn
	p     uintptr
	extra uintptr // argument memory beyond the arena
	busy  bool
}

// bind sets every parameter and returns what end wants.
func (s *stmt) bind(args []any) (mark int, err error) {
	size := 0
	for _, a := range args {
		switch v := a.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	mark, mem := s.begin(size)
	for i, a := range args {
		n := i + 1
		switch v := a.(type) {
		case int64:
			s.bindInt(n, v)
		case int32:
			s.bindInt(n, int64(v))
		case int:
			s.bindInt(n, int64(v))
		case bool:
			s.bindInt(n, boolInt(v))
		case string:
			mem = s.bindText(n, mem, v)
		case []byte:
			mem = s.bindBlob(n, mem, v)
		case nil:
			sqlite3.Xsqlite3_bind_null(s.c.tls, s.p, int32(n))
		default:
			return mark, fmt.Errorf("argument %d: type %T", n, a)
		}
	}
	return mark, nil
}

// begin reserves size bytes for the arguments of one run; end(mark) ends the run.
func (s *stmt) begin(size int) (mark int, mem uintptr) {
	c := s.c
	s.busy = true
	mark = c.arenaUsed
	if mark+size <= arenaSize {
		c.arenaUsed += size
		return mark, c.arena + uintptr(mark)
	}
	s.extra = libc.Xmalloc(c.tls, libc.Tsize_t(size))
	if s.extra == 0 {
		panic("out of memory")
	}
	return mark, s.extra
}

func (s *stmt) end(mark int) {
	sqlite3.Xsqlite3_reset(s.c.tls, s.p)
	s.busy = false
	s.c.arenaUsed = mark
	if s.extra != 0 {
		sqlite3.Xsqlite3_clear_bindings(s.c.tls, s.p)
		libc.Xfree(s.c.tls, s.extra)
		s.extra = 0
	}
}

func (s *stmt) bindInt(n int, v int64) { sqlite3.Xsqlite3_bind_int64(s.c.tls, s.p, int32(n), v) }

func (s *stmt) bindText(n int, mem uintptr, v string) uintptr {
	copy(memory(mem, len(v)), v)
	sqlite3.Xsqlite3_bind_text(s.c.tls, s.p, int32(n), mem, int32(len(v)), 0)
	return mem + uintptr(len(v))
}

func (s *stmt) bindBlob(n int, mem uintptr, v []byte) uintptr {
	copy(memory(mem, len(v)), v)
	sqlite3.Xsqlite3_bind_blob(s.c.tls, s.p, int32(n), mem, int32(len(v)), 0)
	return mem + uintptr(len(v))
}

// step advances to the next row; false at the end.
func (s *stmt) step() (bool, error) {
	switch rc := sqlite3.Xsqlite3_step(s.c.tls, s.p); rc {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	default:
		return false, s.c.fail(rc)
	}
}

func (s *stmt) Int64(i int) int64 { return sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, int32(i)) }

func (s *stmt) Int32(i int) int32 { return int32(s.Int64(i)) }

func (s *stmt) Bool(i int) bool { return s.Int64(i) != 0 }

// Text is "" for NULL.
func (s *stmt) Text(i int) string {
	p := sqlite3.Xsqlite3_column_text(s.c.tls, s.p, int32(i))
	if p == 0 {
		return ""
	}
	return string(memory(p, int(sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i)))))
}

// Blob is a copy, nil for NULL.
func (s *stmt) Blob(i int) []byte {
	p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	if p == 0 {
		return nil
	}
	return append([]byte{}, memory(p, int(sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))))...)
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// memory is C memory as bytes.
func memory(p uintptr, n int) []byte {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), n) //nolint:govet // C memory, not the garbage collector's
}
