-- A database can be told from another one that stands at its address.

CREATE TABLE database_identity (
    id       uuid        NOT NULL DEFAULT gen_random_uuid(),
    made_at  timestamptz NOT NULL DEFAULT now(),
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row)
);

INSERT INTO database_identity DEFAULT VALUES;

COMMENT ON TABLE database_identity IS
    'One row: which database this is. A copy, a replica or a restored backup has it too, and knows by consumer_offsets how far it is. The recorder notes it in Kafka, beside the offsets of its group, and refuses another one.';

GRANT SELECT ON database_identity TO flotilla_recorder, flotilla_reader;
