-- The registry of models, and the history of which version served whom.

CREATE TABLE model_versions (
    model          text        NOT NULL CHECK (model ~ '^[A-Za-z0-9._-]{1,128}$'),
    version        bigint      NOT NULL CHECK (version > 0),
    created_at     timestamptz NOT NULL DEFAULT now(),
    actor          text        NOT NULL DEFAULT current_user,
    os_user        text        NOT NULL,
    note           text,
    artifact       bytea       NOT NULL,
    sha256         bytea       NOT NULL CHECK (octet_length(sha256) = 32),
    size           bigint      NOT NULL CHECK (size = octet_length(artifact)),
    objective      text        NOT NULL,
    trees          integer     NOT NULL,
    depth          integer     NOT NULL,
    features       text[]      NOT NULL,
    fingerprints   bytea       NOT NULL CHECK (octet_length(fingerprints) = 8 * cardinality(features)),
    canary_rows    bytea       NOT NULL,
    canary_margins bytea       NOT NULL,
    metrics        jsonb,
    training_from  timestamptz,
    training_to    timestamptz,
    parent         bigint,
    PRIMARY KEY (model, version),
    FOREIGN KEY (model, parent) REFERENCES model_versions (model, version)
);

-- The bytes of trees do not get smaller.
ALTER TABLE model_versions ALTER COLUMN artifact SET STORAGE EXTERNAL;

COMMENT ON TABLE model_versions IS 'Every version of every model that was registered; rows are never changed.';
COMMENT ON COLUMN model_versions.actor IS 'The role in this database; os_user is who the operating system says it was.';
COMMENT ON COLUMN model_versions.artifact IS 'XGBoost''s file (UBJ or JSON), as it was given.';
COMMENT ON COLUMN model_versions.depth IS 'Of the deepest tree; a lone leaf has 0.';
COMMENT ON COLUMN model_versions.features IS 'The value of the feature vector that each column of the model is.';
COMMENT ON COLUMN model_versions.fingerprints IS 'Of the feature of each column, 8 bytes each, as they were when it was registered.';
COMMENT ON COLUMN model_versions.canary_rows IS 'float32, little-endian, row after row: what a program that loads it must score.';
COMMENT ON COLUMN model_versions.canary_margins IS 'float32, one for each row: the margins that must come out, bit for bit.';
COMMENT ON COLUMN model_versions.metrics IS 'What is known of its quality, as it was given.';
COMMENT ON COLUMN model_versions.training_from IS 'The oldest request that it was trained on, training_to the newest; null: not known.';
COMMENT ON COLUMN model_versions.parent IS 'The champion that it was trained to beat; null: none, or not known.';

CREATE FUNCTION refuse_to_change_model_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'versions of models are never changed or removed: register another one';
END
$$;

CREATE TRIGGER model_versions_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON model_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_model_versions();

CREATE TABLE rollout_plans (
    model       text        NOT NULL,
    at          timestamptz NOT NULL,
    actor       text        NOT NULL,
    reason      text        NOT NULL,
    salt        text        NOT NULL,
    champion    bigint      NOT NULL,
    previous    bigint      NOT NULL,
    pinned      boolean     NOT NULL,
    challengers jsonb       NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX rollout_plans_model ON rollout_plans (model, at);

COMMENT ON TABLE rollout_plans IS 'Every plan that was on the topic models: who was served by which version, and since when. The newest of a model counts.';
COMMENT ON COLUMN rollout_plans.champion IS 'Version; 0: none, rules ranked. previous likewise.';
COMMENT ON COLUMN rollout_plans.challengers IS 'An array of {"name", "version", "mode", "share"}.';
COMMENT ON COLUMN rollout_plans.topic IS 'Where the plan was, with partition and offset; a topic that was made anew counts its offsets anew.';

GRANT SELECT, INSERT ON model_versions TO flotilla_operator;
GRANT SELECT ON rollout_plans TO flotilla_operator;
GRANT INSERT ON rollout_plans TO flotilla_recorder;
GRANT SELECT ON model_versions, rollout_plans TO flotilla_reader;
