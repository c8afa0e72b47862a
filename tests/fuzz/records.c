#include "records.h"

#include <stdlib.h>

static struct codec *codec;

static void codec_end(void)
{
    codec_free(codec);
}

struct codec *fuzz_codec(void)
{
    struct err e = {0};
    if (codec)
        return codec;
    assert(codec_new(&codec, NULL, NULL, &e) == 0);
    for (int i = 0; i < RECORD_TYPES; i++)
        assert(codec_declare(codec, FUZZ_TOPIC, record_types[i], &e) == 0);
    assert(atexit(codec_end) == 0);
    return codec;
}

const struct record_type *fuzz_record_type(struct str *input)
{
    uint8_t first = input->len ? (uint8_t)*input->data : 0;
    if (input->len)
        *input = str_bytes(input->data + 1, input->len - 1);
    return record_types[first % RECORD_TYPES];
}

void *fuzz_structure(const struct record_type *type)
{
    void *structure = malloc(type->size);
    assert(structure);
    memset(structure, 0xa5, type->size);
    return structure;
}

static void check_json(struct codec *c, const struct record_type *type, struct buf *json)
{
    const struct schema_node *n = codec_schema(c, type);
    struct arena a = {0};
    struct buf again = {0};
    struct err e = {0};
    void *record = fuzz_structure(type);
    assert(value_read_json(record, n, buf_str(json), &a, &e) == 0);
    value_print_json(&again, n, record);
    assert(str_equal(buf_str(json), buf_str(&again)));
    arena_free(&a);
    buf_free(&again);
    free(record);
}

void fuzz_check_record(struct codec *c, const struct record_type *type, const void *record)
{
    const struct schema_node *n = codec_schema(c, type);
    struct arena a = {0};
    struct buf json = {0}, bytes = {0}, again = {0};
    struct err e = {0};
    void *decoded = fuzz_structure(type);
    value_print_json(&json, n, record);
    codec_encode(c, &bytes, FUZZ_TOPIC, type, record);
    assert(buf_ok(&json) && buf_ok(&bytes));
    /* In the other form, or with its defaults, a record may be longer than it may be. */
    if (bytes.len <= VALUE_MAX_BYTES) {
        assert(codec_decode(c, decoded, type, buf_str(&bytes), &a, &e) == 0);
        value_print_json(&again, n, decoded);
        assert(str_equal(buf_str(&json), buf_str(&again)));
    }
    if (json.len <= VALUE_MAX_BYTES)
        check_json(c, type, &json);
    arena_free(&a);
    buf_free(&json);
    buf_free(&bytes);
    buf_free(&again);
    free(decoded);
}
