package wire

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gochat-im/gochat/repo/repopb"
)

// Message is what somebody wrote, as it stands now.
type Message struct {
	Kind           string `json:"kind" enum:"message"`
	ID             string `json:"id" doc:"\"<conversation_id>-<seq>\"."`
	ConversationID ID     `json:"conversation_id"`
	Seq            int64  `json:"seq" minimum:"1" doc:"Place in the conversation's log: 1, 2, 3… without holes."`
	FromUserID     ID     `json:"from_user_id"`
	ToUserID       ID     `json:"to_user_id,omitempty" doc:"The receiver, in a one-to-one conversation."`
	Content        string `json:"content" doc:"Empty once recalled."`
	MessageType    string `json:"message_type" enum:"text,image,file,audio,video,location,custom,system"`
	ClientMsgID    string `json:"client_msg_id,omitempty"`
	Status         string `json:"status" enum:"sent,delivered,read,recalled"`
	CreatedAt      Time   `json:"created_at"`
	UpdatedAt      Time   `json:"updated_at,omitempty" doc:"Last edit or recall."`
}

// Event is every other entry of the log: changes of messages (edit, recall,
// reaction) and notices about the group (the rest, message_type "system").
// It is also the data of the WebSocket's event frame.
type Event struct {
	Kind           string `json:"kind" enum:"edit,recall,reaction,created,member_joined,member_left,member_removed,role_changed,member_muted,group_updated,dissolved,hidden"`
	ID             string `json:"id,omitempty" doc:"\"<conversation_id>-<seq>\"."`
	ConversationID ID     `json:"conversation_id"`
	Seq            int64  `json:"seq,omitempty" minimum:"1" doc:"Place in the conversation's log; absent on \"hidden\", which is not part of the log."`
	TargetSeq      int64  `json:"target_seq,omitempty" doc:"The message that an edit, recall, reaction or hiding is about."`
	UserID         ID     `json:"user_id,omitempty" doc:"Who did it."`
	Content        string `json:"content,omitempty" doc:"Of an edit: the message as it stands now; absent once recalled."`
	MessageType    string `json:"message_type,omitempty" enum:"text,image,file,audio,video,location,custom,system" doc:"\"system\" for notices."`
	TargetUserIDs  []ID   `json:"target_user_ids,omitempty" doc:"Whom it is about."`
	Role           string `json:"role,omitempty" enum:"owner,admin,member" doc:"Of role_changed: the new role."`
	MutedUntil     Time   `json:"muted_until,omitempty" doc:"Of member_muted; absent when the mute is lifted."`
	Name           string `json:"name,omitempty" doc:"Of created and group_updated: the group's name after it."`
	Avatar         string `json:"avatar,omitempty"`
	CreatedAt      Time   `json:"created_at,omitempty"`
}

// Entry is one entry of a log: exactly one of its fields is set.
type Entry struct {
	Message *Message
	Event   *Event
}

// MarshalJSON writes the one that is set.
func (e Entry) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	var err error
	if e.Message != nil {
		err = enc.Encode(e.Message)
	} else {
		err = enc.Encode(e.Event)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Schema describes an entry in the OpenAPI document.
func (Entry) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[Message](), true, "Message"),
		r.Schema(reflect.TypeFor[Event](), true, "Event"),
	}}
}

// EntryOf converts an entry of the log.
func EntryOf(e *repopb.Event) Entry {
	if e.GetKind() == repopb.EventKind_EVENT_KIND_MESSAGE {
		m := MessageOf(e)
		return Entry{Message: &m}
	}
	v := EventOf(e)
	return Entry{Event: &v}
}

// EntriesOf converts a page of the log; never nil.
func EntriesOf(events []*repopb.Event) []Entry {
	out := make([]Entry, len(events))
	for i, e := range events {
		out[i] = EntryOf(e)
	}
	return out
}

// MessageOf converts an event of kind MESSAGE.
func MessageOf(e *repopb.Event) Message {
	return Message{
		Kind: "message", ID: MessageID(e.GetConversationId(), e.GetSeq()),
		ConversationID: ID(e.GetConversationId()), Seq: e.GetSeq(),
		FromUserID: ID(e.GetUserId()), ToUserID: ID(e.GetPeerId()),
		Content: e.GetContent(), MessageType: e.GetMessageType(), ClientMsgID: e.GetClientMsgId(),
		Status:    MessageStatus(e.GetStatus()),
		CreatedAt: Time(e.GetCreatedAt()), UpdatedAt: Time(e.GetUpdatedAt()),
	}
}

// EventOf converts an event of any other kind.
func EventOf(e *repopb.Event) Event {
	v := Event{
		Kind: EventKind(e.GetKind()), ID: MessageID(e.GetConversationId(), e.GetSeq()),
		ConversationID: ID(e.GetConversationId()), Seq: e.GetSeq(), TargetSeq: e.GetTargetSeq(),
		UserID: ID(e.GetUserId()), TargetUserIDs: IDs(e.GetTargetUserIds()), Role: Role(e.GetRole()),
		MutedUntil: Time(e.GetMutedUntil()), Name: e.GetName(), Avatar: e.GetAvatar(),
		CreatedAt: Time(e.GetCreatedAt()),
	}
	if IsNotice(e.GetKind()) {
		v.MessageType = "system"
	} else if e.GetKind() == repopb.EventKind_EVENT_KIND_EDIT {
		v.Content, v.MessageType = e.GetContent(), e.GetMessageType()
	}
	return v
}

// HiddenOf is the event that tells one's own devices that one hid a message.
func HiddenOf(h *repopb.Hidden) Event {
	return Event{Kind: "hidden", ConversationID: ID(h.GetConversationId()), TargetSeq: h.GetSeq()}
}
