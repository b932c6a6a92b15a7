-- +goose Up

-- The columns are those of the SQLite store: ids and times (unix milliseconds) are BIGINT, flags 0 or 1, JSON is TEXT.
-- The *_key columns hold the lower-case form that uniqueness and search use, compared byte by byte.
CREATE TABLE users (
    id            BIGINT PRIMARY KEY,
    username      TEXT   NOT NULL,
    username_key  TEXT   NOT NULL COLLATE "C",
    nickname      TEXT   NOT NULL,
    nickname_key  TEXT   NOT NULL COLLATE "C",
    avatar        TEXT   NOT NULL,
    email         TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    status        BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_username ON users (username_key);
CREATE INDEX users_nickname ON users (nickname_key, username_key);

CREATE TABLE invitations (
    code_hash  BYTEA  PRIMARY KEY,
    created_by BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_by    BIGINT NOT NULL DEFAULT 0,
    used_at    BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE sessions (
    id           BIGINT PRIMARY KEY,
    user_id      BIGINT NOT NULL,
    device_id    TEXT   NOT NULL,
    platform     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX sessions_live ON sessions (user_id, created_at, id) WHERE revoked_at = 0;

-- Used tokens stay until they expire: presenting one again revokes its session.
CREATE TABLE refresh_tokens (
    token_hash BYTEA  PRIMARY KEY,
    session_id BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id, expires_at);

-- Where a device is reached when it has no connection.
CREATE TABLE devices (
    session_id BIGINT PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    token      TEXT   NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX devices_user ON devices (user_id);
CREATE UNIQUE INDEX devices_token ON devices (kind, token);

-- last_seq, the totals and the time of the last event are those of the conversation's last log row. Whoever adds one
-- holds the lock of the conversation's row, which is never rewritten for it.
CREATE TABLE conversations (
    id           BIGINT PRIMARY KEY,
    type         BIGINT NOT NULL,
    name         TEXT   NOT NULL DEFAULT '',
    avatar       TEXT   NOT NULL DEFAULT '',
    low_id       BIGINT NOT NULL DEFAULT 0, -- a one-to-one's pair of users, the lower id first
    high_id      BIGINT NOT NULL DEFAULT 0,
    is_large     BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    dissolved_at BIGINT NOT NULL DEFAULT 0,
    members_seq  BIGINT NOT NULL DEFAULT 0  -- seq of the last change of who is in it
);
CREATE UNIQUE INDEX conversations_pair ON conversations (low_id, high_id) WHERE type = 1;

-- Who left keeps the row: a sync can tell, and a return continues the counters.
-- unread = (messages in all - read_count) - (sent - read_sent); sent is kept for
-- groups only, a one-to-one has it in its last log row.
CREATE TABLE members (
    conversation_id BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    role            BIGINT NOT NULL,
    muted_until     BIGINT NOT NULL DEFAULT 0,
    joined_at       BIGINT NOT NULL,
    joined_seq      BIGINT NOT NULL DEFAULT 0,
    left_at         BIGINT NOT NULL DEFAULT 0,
    left_seq        BIGINT NOT NULL DEFAULT 0,
    sent            BIGINT NOT NULL DEFAULT 0,
    read_seq        BIGINT NOT NULL DEFAULT 0,
    read_count      BIGINT NOT NULL DEFAULT 0,
    read_sent       BIGINT NOT NULL DEFAULT 0,
    read_at         BIGINT NOT NULL DEFAULT 0,
    delivered_seq   BIGINT NOT NULL DEFAULT 0,
    silent          BIGINT NOT NULL DEFAULT 0, -- the member's own "muted" setting
    pinned          BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80); -- pointers move all the time: room to do it within the page
CREATE INDEX members_user ON members (user_id, left_at, conversation_id);

-- The log. count_no and sent_no count the messages up to and including the row: of everybody, and of the row's user.
-- dedupe_key is the sender's client_msg_id, body_hash tells a retry from a second use of it.
--
-- One table, not partitions. A page of history is one short range of the primary key whatever the table's size: its
-- depth grows by one level for some hundred times the rows. Partitions by a hash of the conversation would make the
-- indexes smaller, but a unique index must then contain the conversation, and a sender's key is unique over all of
-- them: it would need a table of its own, one more insert a message. Rows are never moved, and all but edits and
-- recalls never change, so vacuum finds little to do.
CREATE TABLE messages (
    conversation_id BIGINT NOT NULL,
    seq             BIGINT NOT NULL,
    kind            BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    count_no        BIGINT NOT NULL,
    sent_no         BIGINT NOT NULL,
    echo_key        BIGINT NOT NULL DEFAULT 0, -- the client chose the key, so readers see it
    body_hash       BIGINT NOT NULL DEFAULT 0,
    updated_at      BIGINT NOT NULL DEFAULT 0,
    recalled        BIGINT NOT NULL DEFAULT 0,
    target_seq      BIGINT NOT NULL DEFAULT 0,
    message_type    TEXT,
    content         TEXT,
    dedupe_key      TEXT COLLATE "C",
    details         TEXT,                      -- JSON: what only some kinds have
    PRIMARY KEY (conversation_id, seq)
);
CREATE UNIQUE INDEX messages_dedupe ON messages (user_id, dedupe_key) WHERE dedupe_key IS NOT NULL;

CREATE TABLE hidden (
    user_id         BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    seq             BIGINT NOT NULL,
    hidden_at       BIGINT NOT NULL,
    PRIMARY KEY (user_id, conversation_id, seq)
);
CREATE INDEX hidden_since ON hidden (user_id, hidden_at);

-- A group's id is its conversation's; name and avatar are the conversation's.
CREATE TABLE groups (
    id           BIGINT PRIMARY KEY,
    description  TEXT   NOT NULL,
    owner_id     BIGINT NOT NULL,
    max_members  BIGINT NOT NULL,
    member_count BIGINT NOT NULL,
    join_policy  BIGINT NOT NULL
);

CREATE TABLE join_requests (
    group_id   BIGINT NOT NULL,
    user_id    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX join_requests_age ON join_requests (group_id, created_at, user_id);

CREATE TABLE jobs (
    id         BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kind       TEXT   NOT NULL,
    job_key    TEXT   NOT NULL DEFAULT '',
    payload    BYTEA  NOT NULL,
    due_at     BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    last_error TEXT   NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    dead       BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX jobs_key ON jobs (job_key) WHERE job_key <> '' AND dead = 0;
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE dead = 0;
CREATE INDEX jobs_dead ON jobs (id) WHERE dead = 1;

-- Batches of messages whose push decision is not made yet. ranges: JSON [[conversation_id, from_seq, to_seq], …].
CREATE TABLE outbox (
    id         BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    created_at BIGINT NOT NULL,
    ranges     TEXT   NOT NULL
);
CREATE INDEX outbox_age ON outbox (created_at, id);
