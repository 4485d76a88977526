-- What magic tokens may do because of what they did, one request each.
CREATE TABLE proxy_grants (
    token_id    TEXT    NOT NULL REFERENCES tokens (id),
    upstream    TEXT    NOT NULL, -- its name in the configuration
    method      TEXT    NOT NULL,
    path        TEXT    NOT NULL, -- in its one spelling
    granted_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (token_id, upstream, method, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX proxy_grants_expiring ON proxy_grants (expires_at);
