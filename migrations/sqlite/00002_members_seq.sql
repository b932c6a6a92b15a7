-- +goose Up

-- The seq of the last change of who is in a conversation: a list of its members that was read before it is out of date.
ALTER TABLE conversations ADD COLUMN members_seq INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET members_seq = COALESCE(
    (SELECT max(max(m.joined_seq, m.left_seq)) FROM members m WHERE m.conversation_id = conversations.id), 0);
