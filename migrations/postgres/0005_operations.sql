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
    term         TEXT COLLATE "C" NOT NULL,
    incident_id  TEXT NOT NULL REFERENCES incidents (id),
    PRIMARY KEY (term, incident_id)
);
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
ALTER TABLE events ADD COLUMN written_in BIGINT NOT NULL DEFAULT 0;
ALTER TABLE events ALTER COLUMN written_in SET DEFAULT (pg_current_xact_id()::text::bigint);
CREATE INDEX events_by_writing ON events (written_in, position);
CREATE INDEX events_by_kind ON events (kind, position);
CREATE INDEX events_of_operators ON events (position) WHERE substr(actor, 1, 9) = 'operator:';
CREATE TABLE audit_blocks (
    number          BIGINT NOT NULL PRIMARY KEY, -- from 1, without a gap
    positions       TEXT   NOT NULL,             -- the events in it, in order: JSON list of [first, last]
    first_position  BIGINT NOT NULL,             -- the smallest of them
    last_position   BIGINT NOT NULL,             -- the largest
    events          BIGINT NOT NULL,             -- how many
    hash            TEXT   NOT NULL,             -- hexadecimal: HMAC-SHA256 over the block before, and these events
    sealed_at       BIGINT NOT NULL
);
CREATE TRIGGER blocks_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_blocks
FOR EACH STATEMENT EXECUTE FUNCTION refuse_event_change();
-- How far the chain, and what is computed by following it, has come.
CREATE TABLE audit_head (
    name        TEXT   NOT NULL PRIMARY KEY, -- chain
    number      BIGINT NOT NULL,             -- the last block
    hash        TEXT   NOT NULL,             -- its hash
    events      BIGINT NOT NULL,             -- in all blocks
    written_in  BIGINT NOT NULL,             -- the last event that is sealed
    position    BIGINT NOT NULL,
    floor       BIGINT NOT NULL              -- everything up to here was sealed before the database was restored
);
INSERT INTO audit_head (name, number, hash, events, written_in, position, floor) VALUES ('chain', 0, '', 0, 0, 0, 0);

-- Figures of each hour, counted from the audit trail as it is sealed. Spans fall into buckets an eighth of an octave wide.
CREATE TABLE statistics_hours (
    hour     BIGINT NOT NULL, -- its first millisecond
    measure  TEXT   NOT NULL, -- opened, repeated, revoked, notified, verdict:…, closed:…, stuck, held
    issuer   TEXT   NOT NULL, -- empty if none was asked
    origin   TEXT   NOT NULL,
    bucket   BIGINT NOT NULL, -- of revoked and notified, else 0
    amount   BIGINT NOT NULL,
    PRIMARY KEY (hour, measure, issuer, origin, bucket)
);

-- What each reporter sent in each hour, counted again while the hour may still change.
CREATE TABLE reporter_hours (
    origin        TEXT   NOT NULL,
    hour          BIGINT NOT NULL, -- its first millisecond
    deliveries    BIGINT NOT NULL,
    reports       BIGINT NOT NULL, -- records in them
    tokens        BIGINT NOT NULL, -- that named a token of a known kind
    unrecognized  BIGINT NOT NULL,
    malformed     BIGINT NOT NULL,
    PRIMARY KEY (origin, hour)
);
CREATE TABLE reporter_days (
    origin    TEXT   NOT NULL,
    day       BIGINT NOT NULL, -- its first millisecond, UTC
    answers   BIGINT NOT NULL,
    slow      BIGINT NOT NULL, -- answers that took longer than the reporter's agreement allows
    rejected  BIGINT NOT NULL, -- deliveries whose signature did not hold
    PRIMARY KEY (origin, day)
);

-- How each process that works finds the issuers.
CREATE TABLE issuer_health (
    issuer         TEXT   NOT NULL,
    node           TEXT   NOT NULL,
    breaker        TEXT   NOT NULL, -- closed, half_open, open, misconfigured
    reason         TEXT,            -- why it is not called now, in our words
    resting_until  BIGINT,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (issuer, node)
);

-- Answers to requests that carried an idempotency key, for a day.
CREATE TABLE idempotent_answers (
    key         TEXT   NOT NULL PRIMARY KEY, -- hexadecimal SHA-256 of who asked and the key
    request     TEXT   NOT NULL,             -- hexadecimal SHA-256 of method, path and body
    status      BIGINT,                      -- none while it runs
    body        TEXT,
    created_at  BIGINT NOT NULL
);
CREATE INDEX idempotent_answers_by_age ON idempotent_answers (created_at);
