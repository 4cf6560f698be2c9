-- A transcript is one incarnation of a session. Its number is never given out twice, so that an answer which
-- arrives after its transcript was purged cannot land in somebody else's.
CREATE TABLE transcripts (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id  TEXT NOT NULL,
    session_key TEXT NOT NULL,
    archived_at INTEGER            -- NULL: the session's present transcript
) STRICT;
CREATE INDEX transcripts_archive ON transcripts (archived_at) WHERE archived_at IS NOT NULL;
CREATE INDEX transcripts_archive_key ON transcripts (session_key) WHERE archived_at IS NOT NULL;

CREATE TABLE sessions (
    number             INTEGER PRIMARY KEY,
    key                TEXT NOT NULL UNIQUE,
    agent_id           TEXT NOT NULL,
    transcript         INTEGER NOT NULL,
    session_id         TEXT NOT NULL,
    created_at         INTEGER NOT NULL,
    session_started_at INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    status             TEXT,
    aborted_last_run   INTEGER NOT NULL DEFAULT 0,
    started_at         INTEGER,
    ended_at           INTEGER,
    message_count      INTEGER NOT NULL DEFAULT 0,
    input_tokens       INTEGER NOT NULL DEFAULT 0,
    output_tokens      INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens  INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    last_prompt_tokens INTEGER NOT NULL DEFAULT 0,
    provider           TEXT,
    model              TEXT,
    label              TEXT,       -- settings.label
    label_folded       TEXT,       -- the same in lower case, for search beyond ASCII
    settings           TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX sessions_activity ON sessions (updated_at);

-- place = transcript << 32 | seq: a transcript lies together and in order in the one tree of the table, so a page of
-- history is one seek and one append touches one leaf, whatever the length.
CREATE TABLE messages (
    place      INTEGER PRIMARY KEY,
    id         TEXT NOT NULL,
    role       TEXT NOT NULL,
    run_id     TEXT,
    created_at INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;

-- position is the order of acceptance: the clock may jump, this does not.
CREATE TABLE runs (
    position    INTEGER PRIMARY KEY,
    run_id      TEXT NOT NULL UNIQUE,
    session_key TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    source      TEXT NOT NULL,
    state       TEXT NOT NULL,
    transcript  INTEGER,           -- where it began
    accepted_at INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,           -- NULL exactly while the run is accepted or running
    error       TEXT,
    stop_reason TEXT,
    result      TEXT,
    request     TEXT NOT NULL      -- emptied when the run ends
) STRICT;
CREATE INDEX runs_open ON runs (session_key) WHERE ended_at IS NULL;
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE documents (
    collection TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (collection, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE probe (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
