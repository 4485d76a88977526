-- Until when an answer is kept, or for how long a request that began is waited for. One that shows a secret goes sooner.
ALTER TABLE idempotent_answers ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX idempotent_answers_by_age;
CREATE INDEX idempotent_answers_expiring ON idempotent_answers (expires_at);
