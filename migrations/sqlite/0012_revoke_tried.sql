-- A step may be given up after its revocation took effect unheard: found dead later, the token is one that we revoked.
ALTER TABLE incidents ADD COLUMN revoke_tried INTEGER NOT NULL DEFAULT 0;
