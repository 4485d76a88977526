-- The brake: what was let pass, what is held and why, who released it; and what people paused.
-- Times are milliseconds since 1970-01-01T00:00:00Z; ids are text with the prefix of their noun.

-- The brakes that went on. The row of all is always there: whoever lets a token pass locks it first.
CREATE TABLE brakes (
    scope     TEXT NOT NULL PRIMARY KEY, -- all, issuer:acme, high_impact:acme, origin:github, origin:github@acme
    cause     TEXT NOT NULL,             -- all, high_impact, issuer, origin
    issuer    TEXT,                      -- whose tokens it stops; none: everybody's
    origin    TEXT,                      -- whose reports it stops; none: everybody's
    on_since  INTEGER,                  -- none while it lets pass
    on_until  INTEGER                   -- none: until a person lets go
) STRICT, WITHOUT ROWID;
INSERT INTO brakes (scope, cause) VALUES ('all', 'all');

-- Live tokens let pass, in small spans of time; kept for as long as a window can be.
CREATE TABLE brake_spent (
    span_at  INTEGER NOT NULL, -- start of the span
    issuer   TEXT    NOT NULL,
    origin   TEXT    NOT NULL,
    impact   TEXT    NOT NULL, -- high, normal
    tokens   INTEGER NOT NULL,
    PRIMARY KEY (span_at, issuer, origin, impact)
) STRICT, WITHOUT ROWID;

-- The same by the hour, for the peak of the past week. An hour in which a brake went on is no measure.
CREATE TABLE brake_hours (
    hour_at  INTEGER NOT NULL, -- start of the hour
    issuer   TEXT    NOT NULL,
    tokens   INTEGER NOT NULL,
    tripped  INTEGER NOT NULL, -- 1 if a brake went on in it
    PRIMARY KEY (hour_at, issuer)
) STRICT, WITHOUT ROWID;

-- Releases that wait for a second person, and those that are over.
CREATE TABLE release_requests (
    id            TEXT    NOT NULL PRIMARY KEY,
    state         TEXT    NOT NULL, -- pending, approved, withdrawn, expired
    incidents     INTEGER NOT NULL, -- how many it asked for
    reason        TEXT    NOT NULL,
    requested_by  TEXT    NOT NULL, -- operator:…
    requested_at  INTEGER NOT NULL,
    decided_by    TEXT,
    decided_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX release_requests_by_state ON release_requests (state, id);

-- Live tokens that are held, one row each for as long as they are.
CREATE TABLE holds (
    incident_id  TEXT    NOT NULL PRIMARY KEY REFERENCES incidents (id),
    cause        TEXT    NOT NULL, -- all, dry_run, high_impact, issuer, origin
    issuer       TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    origin       TEXT    NOT NULL,
    held_at      INTEGER NOT NULL,
    told_at      INTEGER,          -- when it was last said that it is held for too long
    request_id   TEXT REFERENCES release_requests (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_by_age ON holds (held_at);
CREATE INDEX holds_by_group ON holds (issuer, cause, incident_id);
CREATE INDEX holds_by_request ON holds (request_id) WHERE request_id IS NOT NULL;

-- Issuers that are not called, by a person's decision.
CREATE TABLE pauses (
    issuer     TEXT    NOT NULL PRIMARY KEY, -- its name; * for all, and then no mail is sent either
    actor      TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    paused_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
