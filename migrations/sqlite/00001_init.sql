-- +goose Up

-- The store's clock: the time of the last commit, so that created_at never goes back.
CREATE TABLE clock (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    now INTEGER NOT NULL
);
INSERT INTO clock (id, now) VALUES (1, 0);

-- The *_key columns hold the lower-case form that uniqueness and search use.
CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    username      TEXT    NOT NULL,
    username_key  TEXT    NOT NULL,
    nickname      TEXT    NOT NULL,
    nickname_key  TEXT    NOT NULL,
    avatar        TEXT    NOT NULL,
    email         TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    status        INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
);
CREATE UNIQUE INDEX users_username ON users (username_key);
CREATE INDEX users_nickname ON users (nickname_key, username_key);

CREATE TABLE invitations (
    code_hash  BLOB    PRIMARY KEY,
    created_by INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by    INTEGER NOT NULL DEFAULT 0,
    used_at    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY,
    user_id      INTEGER NOT NULL,
    device_id    TEXT    NOT NULL,
    platform     TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX sessions_live ON sessions (user_id, created_at, id) WHERE revoked_at = 0;

-- Used tokens stay until they expire: presenting one again revokes its session.
CREATE TABLE refresh_tokens (
    token_hash BLOB    PRIMARY KEY,
    session_id INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id, expires_at);

-- Where a device is reached when it has no connection.
CREATE TABLE devices (
    session_id INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    token      TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX devices_user ON devices (user_id);
CREATE UNIQUE INDEX devices_token ON devices (kind, token);

-- last_seq, the totals and the time of the last event are those of the conversation's last log row.
CREATE TABLE conversations (
    id           INTEGER PRIMARY KEY,
    type         INTEGER NOT NULL,
    name         TEXT    NOT NULL DEFAULT '',
    avatar       TEXT    NOT NULL DEFAULT '',
    low_id       INTEGER NOT NULL DEFAULT 0, -- a one-to-one's pair of users, the lower id first
    high_id      INTEGER NOT NULL DEFAULT 0,
    is_large     INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    dissolved_at INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX conversations_pair ON conversations (low_id, high_id) WHERE type = 1;

-- Who left keeps the row: a sync can tell, and a return continues the counters.
-- unread = (messages in all - read_count) - (sent - read_sent); sent is kept for
-- groups only, a one-to-one has it in its last log row.
CREATE TABLE members (
    conversation_id INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    role            INTEGER NOT NULL,
    muted_until     INTEGER NOT NULL DEFAULT 0,
    joined_at       INTEGER NOT NULL,
    joined_seq      INTEGER NOT NULL DEFAULT 0,
    left_at         INTEGER NOT NULL DEFAULT 0,
    left_seq        INTEGER NOT NULL DEFAULT 0,
    sent            INTEGER NOT NULL DEFAULT 0,
    read_seq        INTEGER NOT NULL DEFAULT 0,
    read_count      INTEGER NOT NULL DEFAULT 0,
    read_sent       INTEGER NOT NULL DEFAULT 0,
    read_at         INTEGER NOT NULL DEFAULT 0,
    delivered_seq   INTEGER NOT NULL DEFAULT 0,
    silent          INTEGER NOT NULL DEFAULT 0, -- the member's own "muted" setting
    pinned          INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;
CREATE INDEX members_user ON members (user_id, left_at, conversation_id);

-- The log. One b-tree holds a conversation's entries side by side.
-- count_no and sent_no count the messages up to and including the row: of everybody, and of the row's user.
-- dedupe_key is the sender's client_msg_id, body_hash tells a retry from a second use of it.
CREATE TABLE messages (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    kind            INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    count_no        INTEGER NOT NULL,
    sent_no         INTEGER NOT NULL,
    message_type    TEXT,
    content         TEXT,
    dedupe_key      TEXT,
    echo_key        INTEGER NOT NULL DEFAULT 0, -- the client chose the key, so readers see it
    body_hash       INTEGER NOT NULL DEFAULT 0,
    updated_at      INTEGER NOT NULL DEFAULT 0,
    recalled        INTEGER NOT NULL DEFAULT 0,
    target_seq      INTEGER NOT NULL DEFAULT 0,
    details         TEXT,                       -- JSON: what only some kinds have
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX messages_dedupe ON messages (user_id, dedupe_key) WHERE dedupe_key IS NOT NULL;

CREATE TABLE hidden (
    user_id         INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    hidden_at       INTEGER NOT NULL,
    PRIMARY KEY (user_id, conversation_id, seq)
) WITHOUT ROWID;
CREATE INDEX hidden_since ON hidden (user_id, hidden_at);

-- A group's id is its conversation's; name and avatar are the conversation's.
CREATE TABLE groups (
    id           INTEGER PRIMARY KEY,
    description  TEXT    NOT NULL,
    owner_id     INTEGER NOT NULL,
    max_members  INTEGER NOT NULL,
    member_count INTEGER NOT NULL,
    join_policy  INTEGER NOT NULL
);

CREATE TABLE join_requests (
    group_id   INTEGER NOT NULL,
    user_id    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) WITHOUT ROWID;
CREATE INDEX join_requests_age ON join_requests (group_id, created_at, user_id);

CREATE TABLE jobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- a late FinishJobs never meets another job
    kind       TEXT    NOT NULL,
    job_key    TEXT    NOT NULL DEFAULT '',
    payload    BLOB    NOT NULL,
    due_at     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    dead       INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX jobs_key ON jobs (job_key) WHERE job_key <> '' AND dead = 0;
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE dead = 0;
CREATE INDEX jobs_dead ON jobs (id) WHERE dead = 1;

-- Batches of messages whose push decision is not made yet. ranges: JSON [[conversation_id, from_seq, to_seq], …].
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    ranges     TEXT    NOT NULL
);
CREATE INDEX outbox_age ON outbox (created_at, id);
