package wire

import (
	"strconv"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/id"
)

const (
	maxFrameID     = 64
	maxClientMsgID = 64
)

// Decode reads a client's frame into f, which must be zero. Every error is
// Invalid (TooLarge for content over maxContent bytes) and names the field;
// then f holds what had been read, so that the answer can carry its id.
// Nothing in f points into b.
func Decode(b []byte, f *Frame, maxContent int) error {
	d := decoder{scanner: scanner{b: b}, f: f, maxContent: maxContent}
	if err := d.frame(); err != nil {
		return err
	}
	if d.peek() != 0 || d.i != len(b) {
		return d.fail("something after the frame")
	}
	return d.required()
}

type decoder struct {
	scanner
	f          *Frame
	maxContent int
	seen       uint32 // fields of data
}

// The fields of data, by bit.
const (
	fieldConversationID = 1 << iota
	fieldSeq
	fieldContent
	fieldMessageType
	fieldClientMsgID
	fieldToken
	fieldCursor
	fieldConversations
)

var allowed = [typeCount]uint32{
	TypeMessage: fieldConversationID | fieldContent | fieldMessageType | fieldClientMsgID,
	TypeRead:    fieldConversationID | fieldSeq,
	TypeOpen:    fieldConversationID,
	TypeClose:   fieldConversationID,
	TypeTyping:  fieldConversationID,
	TypeSync:    fieldConversations | fieldCursor,
	TypeAuth:    fieldToken,
}

var needed = [typeCount]uint32{
	TypeMessage: fieldConversationID | fieldContent | fieldMessageType,
	TypeRead:    fieldConversationID | fieldSeq,
	TypeOpen:    fieldConversationID,
	TypeClose:   fieldConversationID,
	TypeTyping:  fieldConversationID,
	TypeAuth:    fieldToken,
}

var fieldNames = [...]string{
	"conversation_id", "seq", "content", "message_type", "client_msg_id", "token", "cursor", "conversations",
}

func (d *decoder) frame() error {
	if d.peek() != '{' {
		return errs.New(errs.Invalid, "a frame is one JSON object")
	}
	d.i++
	const seenType, seenID, seenData = 1, 2, 4
	seen, dataAt := 0, -1
	for first := true; ; first = false {
		more, err := d.next(first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		bit := 0
		switch string(key) {
		case "type":
			bit = seenType
			err = d.frameType()
		case "id":
			bit = seenID
			d.f.ID, err = d.string("id", maxFrameID)
		case "data":
			bit = seenData
			if d.f.Type != TypeUnknown {
				err = d.data()
				break
			}
			d.space()
			dataAt = d.i
			err = d.skip(1)
		default:
			err = unknownField(key)
		}
		if err != nil {
			return err
		}
		if seen&bit != 0 {
			return errs.InvalidField(string(key), "given twice")
		}
		seen |= bit
	}
	if seen&seenType == 0 {
		return errs.InvalidField("type", "required")
	}
	if dataAt < 0 {
		return nil
	}
	end := d.i
	d.i = dataAt
	err := d.data()
	if err == nil {
		d.i = end
	}
	return err
}

func (d *decoder) frameType() error {
	if d.peek() != '"' {
		return errs.InvalidField("type", "must be a string")
	}
	name, err := d.text()
	if err != nil {
		return err
	}
	if d.f.Type = typeOf(name); d.f.Type == TypeUnknown {
		return errs.InvalidField("type", "unknown")
	}
	return nil
}

func (d *decoder) data() error {
	if d.peek() != '{' {
		return errs.InvalidField("data", "must be an object")
	}
	d.i++
	for first := true; ; first = false {
		more, err := d.next(first)
		if err != nil || !more {
			return err
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		if err := d.field(key); err != nil {
			return err
		}
	}
}

func (d *decoder) field(key []byte) error {
	n := fieldIndex(key)
	if n < 0 || allowed[d.f.Type]&(1<<n) == 0 {
		return unknownField(key)
	}
	name, bit := fieldNames[n], uint32(1)<<n
	if d.seen&bit != 0 {
		return errs.InvalidField(name, "given twice")
	}
	d.seen |= bit
	var err error
	switch bit {
	case fieldConversationID:
		d.f.ConversationID, err = d.identifier(name)
	case fieldSeq:
		d.f.Seq, err = d.integer(name)
	case fieldContent:
		err = d.content()
	case fieldMessageType:
		d.f.MessageType, err = d.messageType()
	case fieldClientMsgID:
		d.f.ClientMsgID, err = d.string(name, maxClientMsgID)
	case fieldToken:
		d.f.Token, err = d.string(name, len(d.b))
	case fieldCursor:
		d.f.HasCursor = true
		d.f.Cursor, err = d.string(name, len(d.b))
	case fieldConversations:
		err = d.conversations()
	}
	return err
}

func fieldIndex(key []byte) int {
	for i, name := range fieldNames {
		if string(key) == name {
			return i
		}
	}
	return -1
}

func (d *decoder) required() error {
	missing := needed[d.f.Type] &^ d.seen
	for i, name := range fieldNames {
		if missing&(1<<i) != 0 {
			return errs.InvalidField(name, "required")
		}
	}
	return nil
}

func unknownField(key []byte) error {
	name := string(key[:min(len(key), 64)])
	if !validText(name) {
		name = "?"
	}
	return errs.InvalidField(name, "unknown field")
}

// string reads a string of up to limit bytes.
func (d *decoder) string(name string, limit int) (string, error) {
	if d.peek() != '"' {
		return "", errs.InvalidField(name, "must be a string")
	}
	t, err := d.text()
	if err != nil {
		return "", err
	}
	if len(t) > limit {
		return "", errs.InvalidField(name, "longer than %d bytes", limit)
	}
	return string(t), nil
}

func (d *decoder) content() error {
	if d.peek() != '"' {
		return errs.InvalidField("content", "must be a string")
	}
	t, err := d.text()
	switch {
	case err != nil:
		return err
	case len(t) == 0:
		return errs.InvalidField("content", "must not be empty")
	case len(t) > d.maxContent:
		return errs.New(errs.TooLarge, "content: longer than %d bytes", d.maxContent).With("field", "content")
	}
	d.f.Content = string(t)
	return nil
}

func (d *decoder) messageType() (string, error) {
	if d.peek() != '"' {
		return "", errs.InvalidField("message_type", "must be a string")
	}
	t, err := d.text()
	if err != nil {
		return "", err
	}
	for _, known := range [...]string{"text", "image", "file", "audio", "video", "location", "custom"} {
		if string(t) == known {
			return known, nil
		}
	}
	return "", errs.InvalidField("message_type", "must be text, image, file, audio, video, location or custom")
}

func (d *decoder) identifier(name string) (int64, error) {
	if d.peek() != '"' {
		return 0, errs.InvalidField(name, "must be a string")
	}
	t, err := d.text()
	if err != nil {
		return 0, err
	}
	v, ok := parseID(t)
	if !ok {
		return 0, errs.InvalidField(name, "not an id")
	}
	return v, nil
}

func parseID(t []byte) (int64, bool) {
	if len(t) == 0 || len(t) > 19 {
		return 0, false
	}
	v, err := id.Parse(string(t))
	return v, err == nil
}

func (d *decoder) integer(name string) (int64, error) {
	if c := d.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, errs.InvalidField(name, "must be a whole number")
	}
	t, err := d.number()
	if err != nil {
		return 0, err
	}
	if len(t) > 19 {
		return 0, errs.InvalidField(name, "out of range")
	}
	v, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil {
		return 0, errs.InvalidField(name, "must be a whole number")
	}
	if v < 0 {
		return 0, errs.InvalidField(name, "must not be negative")
	}
	return v, nil
}

func (d *decoder) conversations() error {
	if d.peek() != '{' {
		return errs.InvalidField("conversations", "must be an object of seqs by conversation id")
	}
	d.i++
	have := map[int64]int64{}
	d.f.Conversations = have
	for first := true; ; first = false {
		more, err := d.next(first)
		if err != nil || !more {
			return err
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		conversation, ok := parseID(key)
		if !ok {
			return errs.InvalidField("conversations", "not an id")
		}
		if _, twice := have[conversation]; twice {
			return errs.InvalidField("conversations", "%d given twice", conversation)
		}
		seq, err := d.integer("conversations")
		if err != nil {
			return err
		}
		have[conversation] = seq
	}
}
