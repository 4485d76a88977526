-- The built-in issuer's tokens in four kinds with one life, and what belongs to it.

ALTER TABLE owners ADD COLUMN suspended_at INTEGER; -- none of its tokens is accepted meanwhile

-- `sha256` is what a token is looked up by: the hash of the whole token, of a macaroon the hash of its identifier.
ALTER TABLE tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'pat';        -- key, macaroon, magic, pat
ALTER TABLE tokens ADD COLUMN prefix TEXT NOT NULL DEFAULT '';         -- what its text begins with
ALTER TABLE tokens ADD COLUMN caveats TEXT NOT NULL DEFAULT '[]';      -- JSON list of the issuer's caveats, each as its text
ALTER TABLE tokens ADD COLUMN projects TEXT NOT NULL DEFAULT '[]';     -- JSON list of normalized names; empty: all of the owner's
ALTER TABLE tokens ADD COLUMN organisations TEXT NOT NULL DEFAULT '[]'; -- JSON list; empty: not bound to any
ALTER TABLE tokens ADD COLUMN not_before INTEGER;
ALTER TABLE tokens ADD COLUMN suspended_at INTEGER;                    -- not accepted meanwhile; can be lifted
ALTER TABLE tokens ADD COLUMN first_used_at INTEGER;
ALTER TABLE tokens ADD COLUMN last_used_from TEXT;                     -- the network of the last use, never the whole address
ALTER TABLE tokens ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN created_by TEXT NOT NULL DEFAULT '';     -- operator:…, token:…, owner:…, configuration
ALTER TABLE tokens ADD COLUMN updated_at INTEGER;
ALTER TABLE tokens ADD COLUMN updated_by TEXT;
ALTER TABLE tokens ADD COLUMN revoked_by TEXT;
ALTER TABLE tokens ADD COLUMN family_id TEXT;                          -- the first token of a line of rotations
ALTER TABLE tokens ADD COLUMN replaced_by TEXT;                        -- the token that a rotation put in its place
ALTER TABLE tokens ADD COLUMN canary INTEGER NOT NULL DEFAULT 0;       -- 1: never accepted, any use is an alarm
ALTER TABLE tokens ADD COLUMN policy TEXT;                             -- of magic: what may be asked of the upstream, JSON
ALTER TABLE tokens ADD COLUMN upstream TEXT;                           -- of magic: the upstream's name in the configuration
ALTER TABLE tokens ADD COLUMN additional TEXT NOT NULL DEFAULT '{}';   -- small facts about its making, JSON
ALTER TABLE tokens ADD COLUMN seal_key_id TEXT;                        -- the sealing key
ALTER TABLE tokens ADD COLUMN sealed BLOB;                             -- of macaroon the root key, of magic the upstream's credential
CREATE INDEX tokens_expiring ON tokens (expires_at) WHERE expires_at IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX tokens_by_family ON tokens (family_id) WHERE family_id IS NOT NULL;
CREATE INDEX tokens_by_seal_key ON tokens (seal_key_id) WHERE seal_key_id IS NOT NULL;

-- Points of macaroon chains below which nothing is accepted.
CREATE TABLE denied_branches (
    sha256       TEXT    NOT NULL PRIMARY KEY, -- hexadecimal, of the chain's signature at that point
    token_id     TEXT    NOT NULL REFERENCES tokens (id),
    denied_at    INTEGER NOT NULL,
    denied_by    TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    incident_id  TEXT                          -- the incident that denied it
) STRICT, WITHOUT ROWID;
CREATE INDEX denied_branches_by_token ON denied_branches (token_id);

-- One-time caveats that were used up.
CREATE TABLE used_nonces (
    token_id  TEXT    NOT NULL REFERENCES tokens (id),
    nonce     TEXT    NOT NULL, -- hexadecimal SHA-256
    used_at   INTEGER NOT NULL,
    PRIMARY KEY (token_id, nonce)
) STRICT, WITHOUT ROWID;

-- Mails about tokens that nothing happened to: made, about to expire, tried though it is a canary.
CREATE TABLE token_notices (
    id           TEXT    NOT NULL PRIMARY KEY, -- also in the Message-ID
    token_id     TEXT    NOT NULL REFERENCES tokens (id),
    occasion     TEXT    NOT NULL, -- created, expires_in_7_days, expires_in_1_day, canary_used
    detail       TEXT    NOT NULL, -- small facts, JSON
    state        TEXT    NOT NULL, -- pending, sent, moot, undeliverable
    created_at   INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    tries        INTEGER NOT NULL,
    lease_token  TEXT,             -- proof of the lease; none if nobody is sending it
    lease_until  INTEGER,
    last_error   TEXT,
    sent_at      INTEGER,
    UNIQUE (token_id, occasion)    -- one mail each
) STRICT, WITHOUT ROWID;
CREATE INDEX token_notices_due ON token_notices (due_at) WHERE state = 'pending';
