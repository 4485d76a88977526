-- The people who run the service: who they are, what they may do, and where they are signed in.

-- Operators. Never deleted: the audit trail names them.
CREATE TABLE operators (
    id                   TEXT    NOT NULL PRIMARY KEY,
    name                 TEXT    NOT NULL UNIQUE, -- what is typed at sign-in, in lower case
    role                 TEXT    NOT NULL,        -- viewer, responder, admin
    password             TEXT,                    -- argon2id in PHC form; none until the first one is chosen
    created_at           INTEGER NOT NULL,
    password_changed_at  INTEGER,
    signed_in_at         INTEGER,
    disabled_at          INTEGER
) STRICT;

-- Browsers that are signed in. A row is deleted when it ends.
CREATE TABLE sessions (
    token_sha256  TEXT    NOT NULL PRIMARY KEY, -- hexadecimal, of the cookie's value
    operator_id   TEXT    NOT NULL REFERENCES operators (id),
    created_at    INTEGER NOT NULL,
    seen_at       INTEGER NOT NULL,             -- to the minute or so
    confirmed_at  INTEGER NOT NULL,             -- when the password was typed last
    expires_at    INTEGER NOT NULL              -- whatever happens
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_operator ON sessions (operator_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Links with which a password is chosen, each good for one use: the bootstrap link, and those for new or locked out
-- operators.
CREATE TABLE invitations (
    token_sha256  TEXT    NOT NULL PRIMARY KEY, -- hexadecimal, of the link's last part
    operator_id   TEXT REFERENCES operators (id), -- none in the bootstrap link: it makes the first admin
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Failed tries to sign in, so that guessing is slow on every machine.
CREATE TABLE sign_in_failures (
    subject    TEXT    NOT NULL PRIMARY KEY, -- hash of an account, an address, or both
    failures   INTEGER NOT NULL,             -- since `since`
    since      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
