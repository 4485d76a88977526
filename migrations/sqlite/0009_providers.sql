-- Operators who sign in at an identity provider.

-- Hexadecimal SHA-256 of issuer and subject; none until they came from there the first time.
ALTER TABLE operators ADD COLUMN provider_account TEXT;
CREATE UNIQUE INDEX operators_by_provider_account ON operators (provider_account);

-- 1: opened on the word of an identity provider, so it needs no password.
ALTER TABLE sessions ADD COLUMN by_provider INTEGER NOT NULL DEFAULT 0;
