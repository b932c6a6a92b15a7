// Package check decides whether what clients of a server observed keeps the
// server's promises: acknowledged means stored, delivered means stored, once,
// in order without gaps, every change in the log, exact unread counts, and
// nothing after leaving. It looks at records only, so each promise has a test
// that breaks it.
package check

import (
	"time"

	gochat "github.com/gochat-im/gochat/sdk/go"
)

// Record is everything that a run observed. Times are since the run's start, by
// one clock.
type Record struct {
	Began      time.Time     // by the server's clock
	ClockSlack time.Duration // between the two clocks

	Conversations []Conversation
	Sends         []Send
	Frames        []Frame
	Joins         []Join
	Changes       []Change
	Readings      []Reading
	Logs          []Log
	Unread        []Unread
	Counts        []Count
	Groups        []Group
	Ends          []End
}

// Conversation is one that existed, with its members before the first event.
type Conversation struct {
	ID      string
	Initial []string
}

// Send is one message that a client tried to send, over all its tries.
type Send struct {
	User         string
	Conversation string
	ClientMsgID  string
	Content      string
	Started      time.Duration // before the first try
	Acked        time.Duration // after the first ack
	Seqs         []int64       // of every ack
	Refusal      string        // with which the server said no for good, and never yes; empty: it did not
	// Of messages that were sent without waiting for each other: which lot, and
	// which of it. Lot 0: none.
	Lot   int64
	Place int
}

// Frame is an entry that arrived at a socket of a user's device.
type Frame struct {
	User   string
	Device string // of one login
	At     time.Duration
	Entry  gochat.Entry
}

// End is the end of a device's login: a logout, or a password change elsewhere.
type End struct {
	Device string
	At     time.Duration // after the call returned
}

// Group is whom a member was told to be a group's owner at the end.
type Group struct {
	User         string
	Conversation string
	OwnerID      string
}

// Join is a call that may have made a user a member again.
type Join struct {
	User         string
	Conversation string // "": of a group whose creation was not answered
	Started      time.Duration
	Ended        time.Duration // 0: not known
}

// Change is an edit or a recall that a client tried.
type Change struct {
	Conversation string
	Seq          int64
	Content      string
	Recall       bool
	Started      time.Duration
	Done         time.Duration // 0: its outcome is unknown, or it was refused
	Unknown      bool          // it may have happened
}

// Reading is a conversation's whole log (include=all) as a member read it at
// the end.
type Reading struct {
	User         string
	Conversation string
	Entries      []gochat.Entry
}

// Log is a device's local log at the end, edits and recalls applied.
type Log struct {
	User         string
	Device       string
	Conversation string
	Entries      []gochat.Entry
}

// Unread is what the list of conversations counted for a member at the end. The client has
// marked something between ReadMin and ReadMax as read last.
type Unread struct {
	User         string
	Conversation string
	Unread       int64
	ReadSeq      int64
	LastSeq      int64
	ReadMin      int64
	ReadMax      int64
}

// Count is what the server counted over all of a user's conversations, as of
// the moment of the user's Unread.
type Count struct {
	User          string
	Total         int64
	Conversations map[string]int64 // only those with something unread
}
