package gochat

// Event is something that a [Session] tells the application: one of the types
// below.
type Event interface{ event() }

type (
	// EntryEvent is the next entry of a conversation's log, one's own messages
	// included. For each conversation the seqs come in order, none twice and none
	// left out.
	EntryEvent struct{ Entry Entry }

	// ReadEvent says how far someone has read: oneself on another device, or the
	// peer of a one-to-one conversation.
	ReadEvent struct {
		ConversationID string
		UserID         string
		Seq            int64
	}

	// DeliveredEvent says that a device of the peer of a one-to-one conversation
	// has its messages up to Seq.
	DeliveredEvent struct {
		ConversationID string
		UserID         string
		Seq            int64
	}

	// TypingEvent says that someone types in a conversation that is open (see
	// [Session.Open]).
	TypingEvent struct {
		ConversationID string
		UserID         string
	}

	// HiddenEvent says that oneself hid a message on another device.
	HiddenEvent struct {
		ConversationID string
		Seq            int64
	}

	// LeftEvent says that one is not a member of the conversation any more. Its
	// log stays where it is; it goes on, without a hole, after a rejoin.
	LeftEvent struct{ ConversationID string }

	// StateEvent says how the connection does.
	StateEvent struct {
		State State
		Err   error // of Disconnected: why
	}
)

func (EntryEvent) event()     {}
func (ReadEvent) event()      {}
func (DeliveredEvent) event() {}
func (TypingEvent) event()    {}
func (HiddenEvent) event()    {}
func (LeftEvent) event()      {}
func (StateEvent) event()     {}

// State is how a session's connection does.
type State int

const (
	// Connected: the socket is up; what was missed is on its way.
	Connected State = iota + 1
	// Synced: everything that was missed has been handed out.
	Synced
	// Disconnected: the session tries to come back by itself.
	Disconnected
)
