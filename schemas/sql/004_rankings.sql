-- Every answer of the rankers, for reports and for whoever asks why somebody saw what they saw.

CREATE TABLE rankings (
    request_id  text        NOT NULL,
    user_id     text        NOT NULL,
    at          timestamptz NOT NULL,
    placement   text        NOT NULL,
    model       text        NOT NULL,
    version     bigint      NOT NULL,
    variant     text        NOT NULL,
    degraded    text,
    items       jsonb       NOT NULL,
    unknown     text[]      NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX rankings_request_id ON rankings (request_id);
CREATE INDEX rankings_user_id ON rankings (user_id, at);
-- Small, however large the table is: rows come in the order of their time of recording.
CREATE INDEX rankings_recorded_at ON rankings USING brin (recorded_at);

COMMENT ON TABLE rankings IS
    'The answers on the topic rankings, a row a record: an answer that was given twice is here twice, under the same request_id. Flotilla deletes none; how long they are kept is the operator''s to say: DELETE FROM rankings WHERE recorded_at < now() - interval ''90 days''.';
COMMENT ON COLUMN rankings.at IS 'The request''s time: features were read as of it.';
COMMENT ON COLUMN rankings.model IS 'What ranked it: a model''s name, or rules.';
COMMENT ON COLUMN rankings.version IS 'Of the model; 0 for rules.';
COMMENT ON COLUMN rankings.variant IS 'champion, previous, the challenger''s name, or rules.';
COMMENT ON COLUMN rankings.degraded IS 'Why a lesser answer was given; null: none was.';
COMMENT ON COLUMN rankings.items IS
    'Best first, an array of {"proposition_id", "score", "propensity", "contributions"}; contributions are {} unless the request asked for them.';
COMMENT ON COLUMN rankings.unknown IS 'Candidates of the request that no record of propositions was known of.';

GRANT INSERT ON rankings TO flotilla_recorder;
GRANT SELECT ON rankings TO flotilla_reader, flotilla_operator;
