package sqlstore

// Conn is one connection inside a transaction or a snapshot. Parameters are
// written ? in order, or all of them ?1, ?2 …. Arguments are int64, int32,
// int, bool (stored as 1 or 0), string, []byte or nil.
type Conn interface {
	// Exec runs a statement that returns nothing and reports how many rows it changed.
	Exec(sql string, args ...any) (int64, error)
	// Query calls each for every row; the row is valid during the call only,
	// which must not use the connection.
	Query(sql string, each func(r Row) error, args ...any) error
	// ExecEach runs a statement that returns nothing for each set of arguments,
	// in order, and QueryEach one that reads, whose rows it tells with the
	// number of their set. A server across a network gets all sets at once.
	ExecEach(sql string, sets [][]any) error
	QueryEach(sql string, sets [][]any, each func(i int, r Row) error) error
	// QueryInt returns the first column of the first row; found is false without one.
	QueryInt(sql string, args ...any) (v int64, found bool, err error)
}

// Row is one row of a result, its columns counted from 0. NULL reads as zero.
type Row interface {
	Int64(i int) int64
	Int32(i int) int32
	Bool(i int) bool
	Text(i int) string
	Blob(i int) []byte // a copy, nil for NULL
}
