-- The store, user_version 1. What each column holds is documented in src/log/store.rs.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE leaf (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;

CREATE TABLE tree (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;

CREATE TABLE blob (
    sha256 BLOB NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    size INTEGER NOT NULL,
    codec TEXT NOT NULL,
    bytes BLOB NOT NULL,
    stored_sha256 BLOB NOT NULL,
    payload_sha256 BLOB NOT NULL,
    row_sha256 BLOB NOT NULL
) STRICT;
CREATE INDEX blob_payload ON blob (payload_sha256);

CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    kind TEXT NOT NULL,
    snapshot INTEGER,
    collector TEXT,
    source TEXT,
    target TEXT
) STRICT;
CREATE INDEX entry_kind ON entry (kind, seq) WHERE collector IS NULL AND snapshot IS NULL;
CREATE INDEX entry_snapshot ON entry (snapshot) WHERE snapshot IS NOT NULL;
CREATE INDEX entry_target ON entry (collector, source, target, kind, seq) WHERE collector IS NOT NULL;

CREATE TABLE alert (
    seq INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    test TEXT NOT NULL,
    collector TEXT NOT NULL,
    source TEXT NOT NULL,
    severity TEXT NOT NULL,
    told TEXT NOT NULL,
    acknowledged INTEGER NOT NULL,
    UNIQUE (event, test, collector, source)
) STRICT;
CREATE TABLE alert_target (
    seq INTEGER NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (seq, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    alert INTEGER,
    phase TEXT NOT NULL,
    about INTEGER,
    since TEXT NOT NULL,
    channel TEXT,
    message TEXT,
    attempts INTEGER NOT NULL,
    next TEXT NOT NULL
) STRICT;

-- For people with the sqlite3 shell.
CREATE VIEW leaves AS
    SELECT seq, time, kind, collector, source, target, CAST(leaf.bytes AS TEXT) AS json
    FROM leaf JOIN entry USING (seq);
CREATE VIEW snapshots AS
    SELECT seq, time, collector, source, target, json ->> '$.complete' AS complete, json ->> '$.resources' AS resources
    FROM leaves WHERE kind = 'snapshot';
CREATE VIEW failures AS
    SELECT seq, time, collector, source, target, json ->> '$.class' AS class, json ->> '$.message' AS message
    FROM leaves WHERE kind = 'failure';
CREATE VIEW results AS
    SELECT leaves.seq, time, json ->> '$.snapshot' AS snapshot, value ->> '$.test' AS test,
           value ->> '$.outcome' AS outcome, value ->> '$.pass' AS pass, value ->> '$.fail' AS fail,
           value ->> '$.unknown' AS unknown
    FROM leaves, json_each(json, '$.results') WHERE kind = 'evaluation';
CREATE VIEW alerts AS
    SELECT seq, time, json ->> '$.state' AS state, ifnull(json ->> '$.alert', seq) AS alert, json ->> '$.event' AS event,
           json ->> '$.severity' AS severity, json ->> '$.test' AS test, collector, source,
           json ->> '$.delivery.channel' AS channel, json ->> '$.delivery.answer' AS answer
    FROM leaves WHERE kind = 'alert';
