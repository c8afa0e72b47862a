-- Dead letters keep their headers, and how operators brought them back is on record.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'flotilla_operator') THEN
        BEGIN
            CREATE ROLE flotilla_operator NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO flotilla_operator', current_schema());
END
$$;

ALTER TABLE dead_letters ADD COLUMN headers jsonb;

COMMENT ON COLUMN dead_letters.headers IS
    'The record''s headers in their order: an array of [name, value], where a name or value is a text, or {"base64": "..."} if it is not UTF-8 or has U+0000, and a null value is null. Null: recorded before headers were kept.';

-- A record is looked up by where it was.
CREATE INDEX dead_letters_place ON dead_letters (topic, partition, "offset", recorded_at);

CREATE TABLE dead_letter_replay_runs (
    run        bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    fleet      text        NOT NULL,
    actor      text        NOT NULL DEFAULT current_user,
    os_user    text        NOT NULL,
    command    text,
    filter     text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX dead_letter_replay_runs_fleet ON dead_letter_replay_runs (fleet, run);

COMMENT ON TABLE dead_letter_replay_runs IS
    'Who ran `flotilla dead-letters replay`, and how. The newest run of a fleet has ended all others: they may write no row any more.';
COMMENT ON COLUMN dead_letter_replay_runs.fleet IS 'The setting kafka.prefix of its topics.';
COMMENT ON COLUMN dead_letter_replay_runs.actor IS 'The role in this database; os_user is who the operating system says it was.';
COMMENT ON COLUMN dead_letter_replay_runs.command IS 'What repaired the values; null: they were sent as they were.';
COMMENT ON COLUMN dead_letter_replay_runs.filter IS 'Which dead letters were chosen; empty: all.';

CREATE TABLE dead_letter_replays (
    topic            text        NOT NULL,
    partition        integer     NOT NULL,
    "offset"         bigint      NOT NULL,
    state            text        NOT NULL CHECK (state IN ('sending', 'sent', 'left')),
    run              bigint      NOT NULL REFERENCES dead_letter_replay_runs (run),
    attempts         integer     NOT NULL DEFAULT 1,
    changed_at       timestamptz NOT NULL DEFAULT now(),
    note             text,
    target_partition integer,
    log_end          bigint,
    target_offset    bigint,
    sent_bytes       integer,
    sent_sha256      bytea,
    PRIMARY KEY (topic, partition, "offset"),
    CHECK (state = 'left' OR (target_partition IS NOT NULL AND log_end IS NOT NULL)),
    CHECK (state <> 'sent' OR target_offset IS NOT NULL)
);

CREATE INDEX dead_letter_replays_sending ON dead_letter_replays (topic) WHERE state = 'sending';

COMMENT ON TABLE dead_letter_replays IS
    'Each dead letter that was replayed or that a replay has left. A topic that was made anew counts its offsets anew: delete its rows.';
COMMENT ON COLUMN dead_letter_replays.topic IS 'Where the original record was, with partition and offset.';
COMMENT ON COLUMN dead_letter_replays.state IS
    'sending: it may be in the topic or not, the next replay finds out; sent: it is in the topic, once; left: nothing was sent, and it may be tried again.';
COMMENT ON COLUMN dead_letter_replays.attempts IS 'How many runs have tried; run is the last of them.';
COMMENT ON COLUMN dead_letter_replays.note IS 'Why it was left, or how it is known that it was sent.';
COMMENT ON COLUMN dead_letter_replays.log_end IS 'Where the target partition ended before: what was sent is not before it.';
COMMENT ON COLUMN dead_letter_replays.target_offset IS 'Where the record is now, in target_partition of the same topic.';
COMMENT ON COLUMN dead_letter_replays.sent_sha256 IS 'Of the value that was sent, which has sent_bytes bytes; null: it had none.';

GRANT SELECT ON dead_letters TO flotilla_operator;
GRANT SELECT, INSERT ON dead_letter_replay_runs TO flotilla_operator;
GRANT SELECT, INSERT, UPDATE ON dead_letter_replays TO flotilla_operator;
GRANT SELECT ON dead_letter_replay_runs, dead_letter_replays TO flotilla_reader;
