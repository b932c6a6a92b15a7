package gateway

type docsFrame struct{ Sends, Data, Answer string }

// docsFrames are the frames of the WebSocket, as the page shows them.
var docsFrames = []docsFrame{
	{"auth", "{token}", "hello · when the connection was opened without a token, within 10 s"},
	{"message", "{conversation_id, content, message_type, client_msg_id}", "ack {client_msg_id, conversation_id, message_id, seq, created_at, duplicate?} once stored, or error"},
	{"read", "{conversation_id, seq}", "the other devices and the peer get read {conversation_id, user_id, seq}"},
	{"open, close", "{conversation_id}", "says what is on screen, up to 16 at a time: only there does typing arrive"},
	{"typing", "{conversation_id}", "members who have it open get typing {conversation_id, user_id}"},
	{"sync", "{conversations: {id: seq, …}}, {cursor} or both", "what was missed, as ordinary events, then sync {cursor, complete}"},
	{"ping", "", "pong"},
	{"", "", "hello {session_id, user_id, heartbeat_ms, max_message_bytes, feature_level}: the first frame"},
	{"", "", "message: a Message, to every device of every member but the sending connection"},
	{"", "", "event: an Event"},
	{"", "", "delivered {conversation_id, user_id, seq}: a device of the one-to-one's peer has its messages up to seq"},
	{"", "", "error {code, message, details?, client_msg_id?}"},
	{"", "", "disconnect {code, reason, reconnect, retry_after_ms?, window_ms?}, before a close"},
}

type docsClose struct{ Code, Meaning, Then string }

var docsCloses = []docsClose{
	{"4000", "server error", "reconnect and resume"},
	{"4001", "the server is stopping", "reconnect and resume, within window_ms"},
	{"4003", "too slow", "reconnect and resume"},
	{"4004", "ping timeout", "reconnect and resume"},
	{"4006", "the server saw a gap", "reconnect and resume"},
	{"4100", "token expired", "refresh it, then reconnect"},
	{"4101", "state invalid", "reconnect and sync in full"},
	{"4200", "rate limited", "reconnect after retry_after_ms"},
	{"4201", "overloaded", "reconnect after retry_after_ms"},
	{"4500", "invalid token", "stop"},
	{"4501", "protocol error", "stop"},
	{"4502", "not authenticated in time", "stop"},
	{"4503", "logged out or kicked", "stop"},
	{"4504", "replaced by the same device", "stop"},
	{"4505", "too many connections", "stop"},
	{"4506", "banned", "stop"},
	{"4508", "too many errors", "stop"},
}
