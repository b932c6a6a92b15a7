package postgres

import "sync"

// clock keeps the times of this process's transactions in order when the
// database's clock is set back: never before an earlier transaction and always
// after every sync cursor that was issued here. What other processes wrote in
// a conversation is respected by its lock.
type clock struct {
	mu     sync.Mutex
	last   int64 // of the newest transaction
	issued int64 // the highest cursor
}

// begin returns the time of a transaction that begins at a time of the database.
func (c *clock) begin(database int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(database, c.last, c.issued+1)
	return c.last
}

// cursor notes one that is issued.
func (c *clock) cursor(t int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued = max(c.issued, t)
	return t
}
