-- Responses that continue one another share a thread; a thread is forgotten as a whole, so that a conversation which is
-- still going on does not lose its beginning.
CREATE TABLE response_threads (
    number     INTEGER PRIMARY KEY,
    touched_at INTEGER NOT NULL,
    bytes      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX response_threads_touched ON response_threads (touched_at);

CREATE TABLE responses (
    id         TEXT PRIMARY KEY,
    thread     INTEGER NOT NULL,
    owner      TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    previous   TEXT,
    created_at INTEGER NOT NULL,
    input      TEXT NOT NULL,      -- JSON array of items
    body       TEXT NOT NULL       -- the response object
) STRICT, WITHOUT ROWID;
CREATE INDEX responses_thread ON responses (thread);
