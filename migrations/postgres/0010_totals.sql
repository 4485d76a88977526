-- How many incidents there ever were, counted as the audit trail is followed: counting a million closed ones again and
-- again would be reading them all.
CREATE TABLE incident_totals (
    name    TEXT   NOT NULL PRIMARY KEY, -- opened
    amount  BIGINT NOT NULL
);
INSERT INTO incident_totals (name, amount)
SELECT 'opened', count(*)
FROM events
WHERE kind = 'opened'
  AND (written_in, position) <= (SELECT written_in, position FROM audit_head WHERE name = 'chain');
