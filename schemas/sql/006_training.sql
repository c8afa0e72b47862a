-- What is known of a version that was trained here: from what, with what, how good it was.

ALTER TABLE model_versions
    ADD COLUMN calibration        bytea NOT NULL DEFAULT '',
    ADD COLUMN parameters         jsonb,
    ADD COLUMN drift_reference    jsonb,
    ADD COLUMN validation_from    timestamptz,
    ADD COLUMN test_from          timestamptz,
    ADD COLUMN training_requests  bigint CHECK (training_requests > 0),
    ADD COLUMN training_rows      bigint CHECK (training_rows > 0),
    ADD COLUMN training_positives bigint CHECK (training_positives >= 0),
    ADD COLUMN labels             text,
    ADD COLUMN label_window_ms    bigint;

COMMENT ON COLUMN model_versions.calibration IS 'JSON: from margins to the scores that are published; empty: they are what the objective makes of the margins.';
COMMENT ON COLUMN model_versions.parameters IS 'What it was trained with.';
COMMENT ON COLUMN model_versions.drift_reference IS 'Bins and counts of each feature and of the score, frozen with the version.';
COMMENT ON COLUMN model_versions.training_from IS 'The oldest request of the training set, training_to the newest, those of validation and test among them; null: not known.';
COMMENT ON COLUMN model_versions.validation_from IS 'Requests from here on decided when to stop; before it are those that the trees were grown on.';
COMMENT ON COLUMN model_versions.test_from IS 'Requests from here on are the out-of-time test: nothing was decided by them.';
COMMENT ON COLUMN model_versions.training_positives IS 'Rows whose label is above 0.';
COMMENT ON COLUMN model_versions.labels IS 'The events that count, with their weights: click=1,convert=5.';
COMMENT ON COLUMN model_versions.label_window_ms IS 'How long after the impression an event counts.';

CREATE TABLE model_metrics (
    model   text    NOT NULL,
    version bigint  NOT NULL,
    scorer  text    NOT NULL,
    segment text    NOT NULL DEFAULT '',
    metric  text    NOT NULL,
    place   integer NOT NULL,
    value   double precision,
    low     double precision,
    high    double precision,
    n       bigint  NOT NULL,
    PRIMARY KEY (model, version, scorer, segment, metric),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

COMMENT ON TABLE model_metrics IS 'The report on each version that was trained here, a number a row; rows are never changed.';
COMMENT ON COLUMN model_metrics.scorer IS 'Whose number it is: model, or what it is held against on the same requests (rules, popularity, as shown, random).';
COMMENT ON COLUMN model_metrics.segment IS 'Empty: all requests of the test; else those of one segment, as user.tier=gold.';
COMMENT ON COLUMN model_metrics.place IS 'In the order of the report.';
COMMENT ON COLUMN model_metrics.value IS 'Null: cannot be told of these rows. low and high are the ends of the 95 % interval.';
COMMENT ON COLUMN model_metrics.n IS 'Rows or requests that it is of.';

CREATE TRIGGER model_metrics_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON model_metrics
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_model_versions();

GRANT SELECT, INSERT ON model_metrics TO flotilla_operator;
GRANT SELECT ON model_metrics TO flotilla_reader;
