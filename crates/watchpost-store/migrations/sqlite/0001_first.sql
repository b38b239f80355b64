-- Times are milliseconds since 1970 UTC; `hour` counts hours from there. See ARCHITECTURE.md, "Data".

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('next_key', 1);

CREATE TABLE monitors (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    target     TEXT NOT NULL,
    document   TEXT NOT NULL,
    position   INTEGER NOT NULL,
    removed_at INTEGER
);

-- Written when phase or counters change, not per result. `last_tick` and `newest_hour` follow at each compaction:
-- the newest tick of, and the newest hour that has, results that left the log.
CREATE TABLE states (
    monitor     INTEGER PRIMARY KEY,
    state       TEXT NOT NULL,
    last_tick   INTEGER,
    newest_hour INTEGER,
    wake_at     INTEGER
);

CREATE INDEX states_by_wake ON states (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE intervals (
    monitor INTEGER NOT NULL,
    from_at INTEGER NOT NULL,
    shown   TEXT NOT NULL,
    PRIMARY KEY (monitor, from_at)
) WITHOUT ROWID;

CREATE TABLE incidents (
    id         INTEGER PRIMARY KEY,
    monitor    INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    closed_at  INTEGER,
    closed_why TEXT
);

CREATE INDEX incidents_by_time ON incidents (opened_at, id);
CREATE INDEX incidents_by_monitor ON incidents (monitor, opened_at, id);
CREATE INDEX incidents_open ON incidents (opened_at, id) WHERE closed_at IS NULL;

-- Append-only: a row per commit and hour, without a secondary index (an index per result costs 16 times the writing).
CREATE TABLE results_log (
    seq  INTEGER PRIMARY KEY,
    hour INTEGER NOT NULL,
    rows BLOB NOT NULL
);

-- What the log of a closed hour becomes: a block per monitor. `id` is hour * 2^32 + monitor: a compaction appends, a
-- pruning cuts off the beginning, and rows of up to 4 kB stay in their page, which WITHOUT ROWID would not give.
CREATE TABLE blocks (
    id    INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    data  BLOB NOT NULL
);

-- Results by verdict; `id` as above. They outlive the blocks.
CREATE TABLE counts (
    id           INTEGER PRIMARY KEY,
    pass         INTEGER NOT NULL,
    degraded     INTEGER NOT NULL,
    fail         INTEGER NOT NULL,
    inconclusive INTEGER NOT NULL
);

-- The hours that have blocks or counts, and how many blocks and results.
CREATE TABLE hours (
    hour    INTEGER PRIMARY KEY,
    blocks  INTEGER NOT NULL,
    results INTEGER NOT NULL
);
