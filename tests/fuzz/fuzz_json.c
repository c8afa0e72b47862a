#include "records.h"

#include <stdlib.h>

void fuzz_json(struct str input)
{
    struct codec *c = fuzz_codec();
    const struct record_type *type = fuzz_record_type(&input);
    struct arena a = {0};
    struct err e = {0};
    char *exact = fuzz_exact(input);
    void *record = fuzz_structure(type);
    size_t before = fuzz_memory();
    int rc = value_read_json(record, codec_schema(c, type), str_bytes(exact, input.len), &a, &e);
    assert(fuzz_memory() < before + FUZZ_RECORD_MEMORY_MOST);
    if (fuzz_succeeded(rc, &e))
        fuzz_check_record(c, type, record);
    else
        assert(rc == ERR_CORRUPT || rc == ERR_SCHEMA || rc == ERR_TOO_LARGE);
    arena_free(&a);
    free(record);
    free(exact);
}
