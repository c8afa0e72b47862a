-- What the recorder writes, and who may write and read it.

-- Roles belong to the whole server: another fleet's migration may have made them, or be making them now.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['flotilla_recorder', 'flotilla_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;
    -- The recorder gathers a batch in temporary tables.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO flotilla_recorder', current_database());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO flotilla_recorder, flotilla_reader', current_schema());
END
$$;

CREATE TABLE consumer_offsets (
    group_name  text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL CHECK (partition >= 0),
    next_offset bigint      CHECK (next_offset >= 0),
    epoch       bigint      NOT NULL CHECK (epoch > 0),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, partition)
) WITH (fillfactor = 50);

COMMENT ON TABLE consumer_offsets IS
    'How far the partitions of topics are in this database; moved in the transaction that writes their rows.';
COMMENT ON COLUMN consumer_offsets.next_offset IS 'The first offset that is not here; null: nothing is.';
COMMENT ON COLUMN consumer_offsets.epoch IS
    'Raised by each claim of the partition: a writer with a lower one has lost it and may not commit.';

CREATE TABLE feature_values (
    scope    text        NOT NULL,
    key      text[]      NOT NULL,
    as_of    timestamptz NOT NULL,
    "values" jsonb       NOT NULL,
    PRIMARY KEY (scope, key)
) WITH (fillfactor = 70);

COMMENT ON TABLE feature_values IS 'The latest values of the features of each scope and key, as published to the topic features.';
COMMENT ON COLUMN feature_values.scope IS 'user, proposition, global, user*proposition.genres, ...';
COMMENT ON COLUMN feature_values.key IS 'One text for each dimension of the scope, in its order; empty for global.';
COMMENT ON COLUMN feature_values.as_of IS 'The newest event in these values; they are read at its time.';
COMMENT ON COLUMN feature_values."values" IS 'Feature name to number; null is a missing value.';

CREATE VIEW feature_value AS
SELECT f.scope, f.key, v.name, v.value::double precision AS value, f.as_of
  FROM feature_values f, LATERAL jsonb_each_text(f."values") AS v (name, value);

COMMENT ON VIEW feature_value IS
    'feature_values with one row a value: SELECT value FROM feature_value WHERE scope = ''user'' AND key = ''{u1}'' AND name = ''clicks_1h''.';

CREATE TABLE dead_letters (
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    "timestamp" timestamptz,
    worker      text        NOT NULL,
    reason      text        NOT NULL,
    detail      text        NOT NULL,
    key         bytea,
    value       bytea,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX dead_letters_recorded_at ON dead_letters (recorded_at);
CREATE INDEX dead_letters_reason ON dead_letters (reason, recorded_at);

COMMENT ON TABLE dead_letters IS 'Every record that a worker could not use: the topic dead-letters, and what the recorder itself could not store.';
COMMENT ON COLUMN dead_letters.topic IS 'Where the record was, with partition and offset.';
COMMENT ON COLUMN dead_letters."timestamp" IS 'The record''s; null if PostgreSQL cannot hold it.';
COMMENT ON COLUMN dead_letters.worker IS 'Who could not use it.';
COMMENT ON COLUMN dead_letters.reason IS 'A stable code: undecodable, unknown_schema, schema_mismatch, missing_key, future_timestamp, too_large, invalid_value.';
COMMENT ON COLUMN dead_letters.detail IS 'For a person: what was wrong, and where in the bytes.';
COMMENT ON COLUMN dead_letters.value IS 'The original bytes, cut at 512 KiB.';

GRANT SELECT, INSERT, UPDATE ON consumer_offsets TO flotilla_recorder;
GRANT SELECT, INSERT, UPDATE, DELETE ON feature_values TO flotilla_recorder;
GRANT INSERT ON dead_letters TO flotilla_recorder;
GRANT SELECT ON consumer_offsets, feature_values, feature_value, dead_letters TO flotilla_reader;
