/*
 * Records decoded and encoded without a registry, by a codec that the executable's tests share.
 */
#pragma once

#include "serde/codec.h"
#include "unit.h"

/* Never fails; lives until the process ends. */
static inline struct codec *test_codec(void)
{
    static struct codec *codec;
    if (!codec)
        assert_int_equal(codec_new(&codec, NULL, NULL, NULL), 0);
    return codec;
}

static inline int record_decode(void *out, const struct record_type *type, struct str bytes,
                                struct arena *a, struct err *e)
{
    return codec_decode(test_codec(), out, type, bytes, a, e);
}

static inline void record_encode(struct buf *out, const struct record_type *type,
                                 const void *record)
{
    codec_encode(test_codec(), out, "", type, record);
}

static inline void record_print_json(struct buf *out, const struct record_type *type,
                                     const void *record)
{
    value_print_json(out, codec_schema(test_codec(), type), record);
}

static inline uint64_t record_fingerprint(const struct record_type *type)
{
    return codec_fingerprint(test_codec(), type);
}
