-- The spine: what a reporter told us, what became of it, and who is asked.
-- Times are milliseconds since 1970-01-01T00:00:00Z; ids are text with the prefix of their noun.

-- Facts about this database itself: which keys it was written with.
CREATE TABLE meta (
    name   TEXT NOT NULL PRIMARY KEY, -- seal_key:s1, fingerprint_key:f1
    value  TEXT NOT NULL              -- proves the key without holding it
) STRICT, WITHOUT ROWID;

-- Signed messages whose signature held.
CREATE TABLE deliveries (
    id           TEXT    NOT NULL PRIMARY KEY,
    origin       TEXT    NOT NULL, -- who reports
    key_id       TEXT    NOT NULL, -- the reporter's key that signed it
    body_sha256  TEXT    NOT NULL, -- hexadecimal, of the raw body
    received_at  INTEGER NOT NULL,
    reports      INTEGER NOT NULL, -- records in it
    UNIQUE (origin, body_sha256)   -- a repeated message is the same delivery
) STRICT, WITHOUT ROWID;

-- Leaked tokens, one row each, without the token.
CREATE TABLE incidents (
    id               TEXT    NOT NULL PRIMARY KEY,
    delivery_id      TEXT    NOT NULL REFERENCES deliveries (id), -- the delivery that opened it
    origin           TEXT    NOT NULL,        -- who reported it first
    kind             TEXT    NOT NULL,        -- token kind
    fingerprint      TEXT    NOT NULL UNIQUE, -- key id and HMAC-SHA256 of the token's identity
    confidence       TEXT    NOT NULL,        -- shape, checksum, verified
    hint             TEXT    NOT NULL,        -- last characters of the checksum, or nothing
    issuer           TEXT,                    -- who is asked; none if nobody is configured for the kind
    state            TEXT    NOT NULL,        -- open, live, held, revoked, notified, settled, closed, stuck
    outcome          TEXT,                    -- of settled and closed
    stuck_step       TEXT,                    -- of stuck: where a retry goes on
    reason           TEXT,                    -- of held and stuck, in our words
    verdict          TEXT,                    -- what the issuer last said
    issued_token_id  TEXT,                    -- the issuer's name for its token
    owner_email      TEXT,                    -- personal: erased with the reports
    token            TEXT,                    -- what the issuer told about its token, JSON; the owner in it is erased with the reports
    notice_id        TEXT,                    -- the mail that tells its owner
    received_at      INTEGER NOT NULL,
    verified_at      INTEGER,
    revoked_at       INTEGER,
    notified_at      INTEGER,
    closed_at        INTEGER,
    version          INTEGER NOT NULL         -- counts stored moves
) STRICT;
CREATE INDEX incidents_by_state ON incidents (state, id);
CREATE INDEX incidents_by_issuer ON incidents (issuer, id);
CREATE INDEX incidents_by_kind ON incidents (kind, id);
CREATE INDEX incidents_by_origin ON incidents (origin, id);
-- What a notice gathers.
CREATE INDEX incidents_by_delivery ON incidents (delivery_id) WHERE state IN ('open', 'live', 'revoked');
CREATE INDEX incidents_by_notice ON incidents (notice_id) WHERE notice_id IS NOT NULL;

-- Sealed tokens, only while a step still needs them.
CREATE TABLE secrets (
    incident_id  TEXT NOT NULL PRIMARY KEY REFERENCES incidents (id),
    key_id       TEXT NOT NULL, -- the sealing key
    sealed       BLOB NOT NULL  -- XChaCha20-Poly1305, bound to this row
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_by_key ON secrets (key_id);

-- The records of each delivery, and how each was answered.
CREATE TABLE reports (
    delivery_id  TEXT    NOT NULL REFERENCES deliveries (id),
    position     INTEGER NOT NULL, -- from 0, as sent
    outcome      TEXT    NOT NULL, -- malformed, token, unrecognized
    reason       TEXT,             -- of malformed, in our words
    incident_id  TEXT REFERENCES incidents (id),
    label        TEXT,             -- the answer: false_positive, true_positive
    PRIMARY KEY (delivery_id, position)
) STRICT, WITHOUT ROWID;

-- Places where a token was seen.
CREATE TABLE occurrences (
    id                 TEXT    NOT NULL PRIMARY KEY,
    incident_id        TEXT    NOT NULL REFERENCES incidents (id),
    origin             TEXT    NOT NULL,
    place_hash         TEXT    NOT NULL, -- of origin and place; the row's id once purged
    sent_type          TEXT,             -- as sent; none once purged
    url                TEXT,             -- as sent, never fetched; none once purged
    source             TEXT,             -- as sent; none once purged
    reports            INTEGER NOT NULL, -- how often this place was reported
    first_reported_at  INTEGER NOT NULL,
    last_reported_at   INTEGER NOT NULL,
    purge_at           INTEGER,          -- set when the incident ends
    UNIQUE (incident_id, place_hash)
) STRICT;
CREATE INDEX occurrences_to_purge ON occurrences (purge_at) WHERE purge_at IS NOT NULL AND sent_type IS NOT NULL;

-- Work that is due. At most one row an incident.
CREATE TABLE jobs (
    id           TEXT    NOT NULL PRIMARY KEY,
    incident_id  TEXT    NOT NULL UNIQUE REFERENCES incidents (id),
    issuer       TEXT,             -- whom the step calls
    step         TEXT    NOT NULL, -- verify, revoke, notify, close
    due_at       INTEGER NOT NULL,
    tries        INTEGER NOT NULL, -- failed and counted
    claims       INTEGER NOT NULL, -- since the last settled or postponed try: more than one means that a worker died
    lease_token  TEXT,             -- proof of the lease; none if the job is free
    lease_until  INTEGER,
    worker       TEXT,             -- who holds the lease, for people
    last_error   TEXT              -- why the last try was postponed
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_ready ON jobs (due_at) WHERE lease_token IS NULL;
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE lease_token IS NOT NULL;

-- Mails about revoked tokens.
CREATE TABLE notices (
    id          TEXT    NOT NULL PRIMARY KEY, -- also in the Message-ID
    address     TEXT,                         -- whom it is for; erased with the reports
    state       TEXT    NOT NULL,             -- pending, sent, undeliverable
    created_at  INTEGER NOT NULL,
    sent_at     INTEGER
) STRICT, WITHOUT ROWID;

-- Which incident revoked an issued token: many spellings of one token share one revocation.
CREATE TABLE revocations (
    issuer           TEXT    NOT NULL,
    issued_token_id  TEXT    NOT NULL,
    incident_id      TEXT    NOT NULL REFERENCES incidents (id),
    revoked_at       INTEGER NOT NULL,
    PRIMARY KEY (issuer, issued_token_id)
) STRICT, WITHOUT ROWID;

-- The audit trail. Rows are added, never changed.
CREATE TABLE events (
    position     INTEGER PRIMARY KEY AUTOINCREMENT, -- order of storing
    id           TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    actor        TEXT    NOT NULL, -- delivery:…, operator:…, worker:…
    kind         TEXT    NOT NULL,
    incident_id  TEXT,
    detail       TEXT              -- small facts, JSON
) STRICT;
CREATE INDEX events_by_incident ON events (incident_id, position);
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'audit events are never deleted'); END;

-- The last good key list of each origin.
CREATE TABLE key_lists (
    origin      TEXT    NOT NULL PRIMARY KEY,
    keys        TEXT    NOT NULL, -- JSON, public keys only
    etag        TEXT,
    fetched_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Owners known to the built-in issuer.
CREATE TABLE owners (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    email       TEXT    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL
) STRICT;

-- The built-in issuer's tokens: a hash each, never the token.
CREATE TABLE tokens (
    id              TEXT    NOT NULL PRIMARY KEY,
    owner_id        TEXT    NOT NULL REFERENCES owners (id),
    name            TEXT    NOT NULL,
    sha256          TEXT    NOT NULL UNIQUE, -- hexadecimal, of the whole token
    hint            TEXT    NOT NULL,
    scopes          TEXT    NOT NULL,        -- JSON list
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    last_used_at    INTEGER,
    revoked_at      INTEGER,                 -- final
    revoked_reason  TEXT,
    incident_id     TEXT                     -- the incident that revoked it
) STRICT;
CREATE INDEX tokens_by_owner ON tokens (owner_id, name);
