// Package sqlstore is what the SQL engines of the store share: the rules of
// each mutation, run inside a transaction, the reads, and the one SQL text of
// both, in the subset that the engines have in common. An engine supplies
// connections, transactions and what it keeps in memory.
package sqlstore

import "context"

// Store implements the methods of repo.Store that are the same on every
// engine. An engine embeds it and may replace a method by a faster one.
type Store struct {
	engine Engine
}

// New returns the shared methods over an engine.
func New(e Engine) Store { return Store{engine: e} }

// Engine is a database.
type Engine interface {
	// Write runs fn in a transaction and returns when it is durable, with an
	// error of platform/errs or fn's own. fn checks first and writes
	// afterwards; it may run more than once, so it must set its results anew
	// each time.
	Write(ctx context.Context, fn func(t *Tx) error) error
	// Read runs fn in one snapshot, which holds whatever was acknowledged before the call.
	Read(ctx context.Context, fn func(q Conn) error) error
	// ReadLists is Read for what pages through history and lists; a copy of the
	// database may serve it, and fn may run more than once.
	ReadLists(ctx context.Context, fn func(q Conn) error) error
	// Overview returns a user's conversations, in no order, as of one moment
	// after the call's begin.
	Overview(ctx context.Context, userID int64) ([]Entry, error)
	// Page returns up to limit of a user's conversations in the order of their
	// places, those behind a place, and whether there are more; the zero Place
	// is the list's begin. It is Overview otherwise.
	Page(ctx context.Context, userID int64, behind Place, limit int) (entries []Entry, more bool, err error)
	// Head returns a conversation's state when the engine keeps it in memory, as of the last commit.
	Head(conversationID int64) (Conversation, bool)
	// Cursor returns a time up to which everything is committed and after
	// which every later transaction lies.
	Cursor(ctx context.Context) (int64, error)
}
