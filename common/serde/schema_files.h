/*
 * The schemas in `schemas/` as they were when the programs were built, earlier versions included
 * (`schemas/earlier/NAME.VERSION.avsc`). Constants.
 */
#pragma once

struct schema_file {
    const char *name; /* event, earlier/event.1 */
    const char *text;
};

/* name NULL behind the last. */
extern const struct schema_file schema_files[];
