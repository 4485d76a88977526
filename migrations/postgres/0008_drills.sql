-- Fire drills: what became of each, stage by stage.
CREATE TABLE drills (
    id           TEXT   NOT NULL PRIMARY KEY,
    started_by   TEXT   NOT NULL, -- operator:…
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    passed_at    BIGINT,          -- set if every stage was passed, in time or late
    report       TEXT   NOT NULL  -- JSON, without any secret or address
);
CREATE INDEX drills_by_passing ON drills (passed_at) WHERE passed_at IS NOT NULL;
