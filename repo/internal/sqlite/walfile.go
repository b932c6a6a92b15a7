package sqlite

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// walVFS is the name of a layer over the system's files that gathers what a
// transaction appends to the write-ahead log into one write. SQLite writes each
// page with two system calls, the most of what a commit costs; a batch of
// messages touches hundreds of pages.
//
// It needs synchronous=FULL: then every commit syncs the log before it shows
// the log's new end to other connections, so whatever they may read has left
// the buffer. Everything but a write in sequence empties the buffer first.
const walVFS = "gochat-wal"

// walBufferSize bounds one gathered write. SQLite's own layer writes less than
// 128 KiB at a time: it takes a length modulo that.
const walBufferSize = 124 << 10

// walFile is one open log. Its connection's goroutine alone uses it.
type walFile struct {
	base   *sqlite3.Tsqlite3_io_methods
	buffer uintptr
	offset int64 // in the file, of the buffer's begin
	length int
}

var wal struct {
	once    sync.Once
	base    *sqlite3.Tsqlite3_vfs
	rc      int32
	methods uintptr // *sqlite3.Tsqlite3_io_methods, shared by all logs

	mu    sync.RWMutex // guards files and methods
	files map[uintptr]*walFile
}

// registerWALFiles makes walVFS known to SQLite.
func registerWALFiles() int32 {
	wal.once.Do(func() {
		tls := libc.NewTLS()
		defer tls.Close()
		wal.files = map[uintptr]*walFile{}
		base := sqlite3.Xsqlite3_vfs_find(tls, 0)
		layer := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
		name, err := libc.CString(walVFS)
		if base == 0 || layer == 0 || err != nil {
			wal.rc = sqlite3.SQLITE_NOMEM
			return
		}
		wal.base = at[sqlite3.Tsqlite3_vfs](base)
		v := at[sqlite3.Tsqlite3_vfs](layer)
		*v = *wal.base
		v.FpNext, v.FzName = 0, name
		v.FxOpen = pointerTo(walOpen)
		wal.rc = sqlite3.Xsqlite3_vfs_register(tls, layer, 0)
	})
	return wal.rc
}

type (
	openFunc   = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	rwFunc     = func(tls *libc.TLS, file, buf uintptr, n int32, offset int64) int32
	fileFunc   = func(tls *libc.TLS, file uintptr) int32
	flagsFunc  = func(tls *libc.TLS, file uintptr, flags int32) int32
	resizeFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	sizeFunc   = func(tls *libc.TLS, file, out uintptr) int32
)

func walOpen(tls *libc.TLS, _, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := function[openFunc](wal.base.FxOpen)(tls, uintptr(unsafe.Pointer(wal.base)), name, file, flags, outFlags)
	if rc != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_WAL == 0 {
		return rc
	}
	f := at[sqlite3.Tsqlite3_file](file)
	w := &walFile{base: at[sqlite3.Tsqlite3_io_methods](f.FpMethods), buffer: libc.Xmalloc(tls, walBufferSize)}
	if w.buffer == 0 {
		return rc // works without
	}
	wal.mu.Lock()
	defer wal.mu.Unlock()
	if wal.methods == 0 {
		p := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
		if p == 0 {
			libc.Xfree(tls, w.buffer)
			return rc
		}
		m := at[sqlite3.Tsqlite3_io_methods](p)
		*m = *w.base
		m.FxClose, m.FxRead, m.FxWrite = pointerTo(walClose), pointerTo(walRead), pointerTo(walWrite)
		m.FxTruncate, m.FxSync, m.FxFileSize = pointerTo(walTruncate), pointerTo(walSync), pointerTo(walFileSize)
		wal.methods = p
	}
	wal.files[file] = w
	f.FpMethods = wal.methods
	return rc
}

func walFileOf(file uintptr) *walFile {
	wal.mu.RLock()
	defer wal.mu.RUnlock()
	return wal.files[file]
}

// flush empties the buffer. What could not be written is dropped: SQLite takes
// the transaction back, and the next one writes over it.
func (w *walFile) flush(tls *libc.TLS, file uintptr) int32 {
	n := w.length
	if n == 0 {
		return sqlite3.SQLITE_OK
	}
	w.length = 0
	return function[rwFunc](w.base.FxWrite)(tls, file, w.buffer, int32(n), w.offset)
}

func walWrite(tls *libc.TLS, file, buf uintptr, n int32, offset int64) int32 {
	w := walFileOf(file)
	if w.length > 0 && (offset != w.offset+int64(w.length) || w.length+int(n) > walBufferSize) {
		if rc := w.flush(tls, file); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	if int(n) > walBufferSize {
		return function[rwFunc](w.base.FxWrite)(tls, file, buf, n, offset)
	}
	if w.length == 0 {
		w.offset = offset
	}
	copy(memory(w.buffer+uintptr(w.length), int(n)), memory(buf, int(n)))
	w.length += int(n)
	return sqlite3.SQLITE_OK
}

func walRead(tls *libc.TLS, file, buf uintptr, n int32, offset int64) int32 {
	w := walFileOf(file)
	if rc := w.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[rwFunc](w.base.FxRead)(tls, file, buf, n, offset)
}

func walSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	w := walFileOf(file)
	if rc := w.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[flagsFunc](w.base.FxSync)(tls, file, flags)
}

func walTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	w := walFileOf(file)
	if rc := w.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[resizeFunc](w.base.FxTruncate)(tls, file, size)
}

func walFileSize(tls *libc.TLS, file, out uintptr) int32 {
	w := walFileOf(file)
	if rc := w.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[sizeFunc](w.base.FxFileSize)(tls, file, out)
}

func walClose(tls *libc.TLS, file uintptr) int32 {
	w := walFileOf(file)
	rc := w.flush(tls, file)
	wal.mu.Lock()
	delete(wal.files, file)
	wal.mu.Unlock()
	libc.Xfree(tls, w.buffer)
	if closed := function[fileFunc](w.base.FxClose)(tls, file); closed != sqlite3.SQLITE_OK {
		return closed
	}
	return rc
}

// function is the Go function behind a pointer that C code calls, and pointerTo
// the reverse, as the translated library makes them.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }

func pointerTo[F any](f F) uintptr {
	var boxed any = f
	return (*[2]uintptr)(unsafe.Pointer(&boxed))[1]
}

// at is a structure in C memory.
func at[T any](p uintptr) *T {
	return (*T)(unsafe.Pointer(p)) //nolint:govet // C memory, not the garbage collector's
}
