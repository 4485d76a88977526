-- Operating it: lists that stay fast at a million incidents, the chain over the audit trail, statistics, what reporters
-- did, how issuers are, answers to repeated requests.

-- Incidents are listed newest first, by receipt; each filter reads its page from one index, in the order it is shown.
DROP INDEX incidents_by_state;
DROP INDEX incidents_by_issuer;
DROP INDEX incidents_by_kind;
DROP INDEX incidents_by_origin;
CREATE INDEX incidents_by_receipt ON incidents (received_at, id);
CREATE INDEX incidents_by_state ON incidents (state, received_at, id);
CREATE INDEX incidents_by_issuer ON incidents (issuer, received_at, id);
CREATE INDEX incidents_by_kind ON incidents (kind, received_at, id);
CREATE INDEX incidents_by_origin ON incidents (origin, received_at, id);

-- What an incident is searched by, in lower case: `t:` and what names the token, `o:` and what names its owner. The
-- second kind is personal and erased with the reports. Written a moment after the verdict, and can be written again.
CREATE TABLE incident_terms (
    term         TEXT NOT NULL,
    incident_id  TEXT NOT NULL REFERENCES incidents (id),
    PRIMARY KEY (term, incident_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_terms_of ON incident_terms (incident_id);

-- The record of revoked tokens, newest first.
CREATE INDEX revocations_by_time ON revocations (revoked_at, incident_id);
CREATE INDEX revocations_by_issuer ON revocations (issuer, revoked_at, incident_id);

-- What a reporter sent in an hour is counted from here.
CREATE INDEX deliveries_by_receipt ON deliveries (received_at, origin);

-- The audit trail is proved twice. `mac` says that stanch wrote the event: HMAC-SHA256 over its content under a key that
-- is sealed in `meta`. The blocks say that it was this event, in this place, and none between or after.
ALTER TABLE events ADD COLUMN mac TEXT; -- hexadecimal; none in events older than this table
-- The transaction that wrote it. A position is taken before its transaction commits, so positions alone do not tell
-- which events may still appear before one that is visible; transactions do.
-- SQLite has one writer: positions are the order of commits, and this is always 0.
ALTER TABLE events ADD COLUMN written_in INTEGER NOT NULL DEFAULT 0;
CREATE INDEX events_by_writing ON events (written_in, position);
CREATE INDEX events_by_kind ON events (kind, position);
CREATE INDEX events_of_operators ON events (position) WHERE substr(actor, 1, 9) = 'operator:';
CREATE TABLE audit_blocks (
    number          INTEGER NOT NULL PRIMARY KEY, -- from 1, without a gap
    positions       TEXT   NOT NULL,             -- the events in it, in order: JSON list of [first, last]
    first_position  INTEGER NOT NULL,             -- the smallest of them
    last_position   INTEGER NOT NULL,             -- the largest
    events          INTEGER NOT NULL,             -- how many
    hash            TEXT   NOT NULL,             -- hexadecimal: HMAC-SHA256 over the block before, and these events
    sealed_at       INTEGER NOT NULL
) STRICT;
CREATE TRIGGER blocks_are_never_changed BEFORE UPDATE ON audit_blocks
BEGIN SELECT RAISE(ABORT, 'audit blocks are never changed'); END;
CREATE TRIGGER blocks_are_never_deleted BEFORE DELETE ON audit_blocks
BEGIN SELECT RAISE(ABORT, 'audit blocks are never deleted'); END;
-- How far the chain, and what is computed by following it, has come.
CREATE TABLE audit_head (
    name        TEXT   NOT NULL PRIMARY KEY, -- chain
    number      INTEGER NOT NULL,             -- the last block
    hash        TEXT   NOT NULL,             -- its hash
    events      INTEGER NOT NULL,             -- in all blocks
    written_in  INTEGER NOT NULL,             -- the last event that is sealed
    position    INTEGER NOT NULL,
    floor       INTEGER NOT NULL              -- everything up to here was sealed before the database was restored
) STRICT, WITHOUT ROWID;
INSERT INTO audit_head (name, number, hash, events, written_in, position, floor) VALUES ('chain', 0, '', 0, 0, 0, 0);

-- Figures of each hour, counted from the audit trail as it is sealed. Spans fall into buckets an eighth of an octave wide.
CREATE TABLE statistics_hours (
    hour     INTEGER NOT NULL, -- its first millisecond
    measure  TEXT   NOT NULL, -- opened, repeated, revoked, notified, verdict:…, closed:…, stuck, held
    issuer   TEXT   NOT NULL, -- empty if none was asked
    origin   TEXT   NOT NULL,
    bucket   INTEGER NOT NULL, -- of revoked and notified, else 0
    amount   INTEGER NOT NULL,
    PRIMARY KEY (hour, measure, issuer, origin, bucket)
) STRICT, WITHOUT ROWID;

-- What each reporter sent in each hour, counted again while the hour may still change.
CREATE TABLE reporter_hours (
    origin        TEXT   NOT NULL,
    hour          INTEGER NOT NULL, -- its first millisecond
    deliveries    INTEGER NOT NULL,
    reports       INTEGER NOT NULL, -- records in them
    tokens        INTEGER NOT NULL, -- that named a token of a known kind
    unrecognized  INTEGER NOT NULL,
    malformed     INTEGER NOT NULL,
    PRIMARY KEY (origin, hour)
) STRICT, WITHOUT ROWID;
CREATE TABLE reporter_days (
    origin    TEXT   NOT NULL,
    day       INTEGER NOT NULL, -- its first millisecond, UTC
    answers   INTEGER NOT NULL,
    slow      INTEGER NOT NULL, -- answers that took longer than the reporter's agreement allows
    rejected  INTEGER NOT NULL, -- deliveries whose signature did not hold
    PRIMARY KEY (origin, day)
) STRICT, WITHOUT ROWID;

-- How each process that works finds the issuers.
CREATE TABLE issuer_health (
    issuer         TEXT   NOT NULL,
    node           TEXT   NOT NULL,
    breaker        TEXT   NOT NULL, -- closed, half_open, open, misconfigured
    reason         TEXT,            -- why it is not called now, in our words
    resting_until  INTEGER,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (issuer, node)
) STRICT, WITHOUT ROWID;

-- Answers to requests that carried an idempotency key, for a day.
CREATE TABLE idempotent_answers (
    key         TEXT   NOT NULL PRIMARY KEY, -- hexadecimal SHA-256 of who asked and the key
    request     TEXT   NOT NULL,             -- hexadecimal SHA-256 of method, path and body
    status      INTEGER,                      -- none while it runs
    body        TEXT,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotent_answers_by_age ON idempotent_answers (created_at);
