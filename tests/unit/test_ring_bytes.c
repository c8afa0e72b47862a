/* Rings that are carried along without being decoded, held against decoding, merging, encoding. */
#include "feature/ring.h"
#include "unit.h"

#include "support/rings.h"

enum { KINDS = FEATURE_GAP + 1, LARGEST_SHIFT = 70, CHAIN = 4 };

/* The rings of some windows, encoded behind each other; of those that are the same as the one
 * before, sometimes only that is written. */
struct chain {
    struct ring rings[CHAIN];
    struct buf bytes;
};

static void chain_any(struct chain *c, struct random *r, enum feature_kind kind)
{
    buf_reset(&c->bytes);
    for (size_t i = 0; i < CHAIN; i++) {
        bool same = i > 0 && random_below(r, 3) == 0;
        c->rings[i] = same ? c->rings[i - 1] : any_ring(r, kind);
        if (same && random_below(r, 4))
            buf_put_u8(&c->bytes, RING_SAME);
        else
            ring_encode(&c->bytes, &c->rings[i], kind);
    }
    assert_true(buf_ok(&c->bytes));
}

static void put_merged(struct buf *out, const struct ring *a, int64_t a_age,
                       const struct bucket *newest, enum feature_kind kind)
{
    struct ring one, both;
    one.count = 1;
    one.ages[0] = 0;
    one.buckets[0] = *newest;
    ring_merge(&both, a, a_age, &one, 0, kind);
    ring_encode(out, &both, kind);
}

/* Rings that follow each other are stepped over one by one to where decoding comes. */
static void a_step_ends_where_decoding_does(void **state)
{
    (void)state;
    struct random random = {31};
    struct chain chain = {0};
    for (int round = 0; round < 20000; round++) {
        enum feature_kind kind = (enum feature_kind)(round % KINDS);
        chain_any(&chain, &random, kind);
        struct str copy = exact_copy(buf_str(&chain.bytes));
        struct cursor step = cursor_of(copy.data, copy.len), decode = step;
        struct ring_bytes r = {0};
        struct ring decoded = {0};
        for (size_t i = 0; i < CHAIN; i++) {
            const struct ring *expected = &chain.rings[i];
            assert_true(ring_step(&r, &step, kind));
            ring_decode(&decoded, &decode, kind);
            assert_ptr_equal(step.at, decode.at);
            assert_int_equal(r.count, expected->count);
            assert_int_equal(r.oldest, expected->count ? expected->ages[expected->count - 1] : 0);
            same_rings(&decoded, expected);
        }
        assert_int_equal(cursor_left(&step), 0);
        assert_false(ring_step(&r, &step, kind)); /* there is no more */
        free((char *)(uintptr_t)copy.data);
    }
    buf_free(&chain.bytes);
}

/* The bytes are those of ring_encode(), so they are canonical. */
static void the_newest_bucket_is_put_as_merging_puts_it(void **state)
{
    (void)state;
    struct random random = {32};
    struct chain chain = {0};
    struct buf got = {0}, expected = {0};
    for (int round = 0; round < 2000; round++) {
        enum feature_kind kind = (enum feature_kind)(round % KINDS);
        chain_any(&chain, &random, kind);
        struct bucket newest = any_bucket(&random, kind);
        struct str copy = exact_copy(buf_str(&chain.bytes));
        struct cursor c = cursor_of(copy.data, copy.len);
        struct ring_bytes r = {0};
        for (size_t i = 0; i < CHAIN; i++) {
            assert_true(ring_step(&r, &c, kind));
            for (int64_t shift = 0; shift <= LARGEST_SHIFT; shift++) {
                buf_reset(&got);
                buf_reset(&expected);
                ring_put_newest(&got, &r, shift, &newest, kind);
                put_merged(&expected, &chain.rings[i], shift, &newest, kind);
                assert_bytes(&got, expected.data, expected.len);
            }
        }
        free((char *)(uintptr_t)copy.data);
    }
    buf_free(&chain.bytes);
    buf_free(&got);
    buf_free(&expected);
}

static void what_is_older_than_any_shift_allows_is_forgotten(void **state)
{
    (void)state;
    struct random random = {33};
    struct buf bytes = {0}, got = {0}, expected = {0};
    static const int64_t shifts[] = {
        64, 65, 127, 128, 256, UINT32_MAX, (int64_t)1 << 32, INT64_MAX - 64};
    for (int kind = 0; kind < KINDS; kind++) {
        struct ring ring = any_ring(&random, (enum feature_kind)kind);
        struct bucket newest = any_bucket(&random, (enum feature_kind)kind);
        struct ring_bytes r = {0};
        ring_encode(&bytes, &ring, (enum feature_kind)kind);
        struct cursor c = cursor_of(bytes.data, bytes.len);
        assert_true(ring_step(&r, &c, (enum feature_kind)kind));
        for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
            buf_reset(&got);
            buf_reset(&expected);
            ring_put_newest(&got, &r, shifts[i], &newest, (enum feature_kind)kind);
            put_merged(&expected, &(struct ring){0}, 0, &newest, (enum feature_kind)kind);
            assert_bytes(&got, expected.data, expected.len);
        }
        buf_reset(&bytes);
    }
    buf_free(&bytes);
    buf_free(&got);
    buf_free(&expected);
}

/* ------------------------------------------------------------ damaged bytes */

/* What is stepped over is what decoding reads: in length, in number, and in what becomes of it. */
static bool steps_as_decoding_reads(struct str bytes, enum feature_kind kind, struct random *r,
                                    struct buf *got, struct buf *expected)
{
    struct cursor step = cursor_of(bytes.data, bytes.len), decode = step;
    struct ring_bytes stepped = {0};
    struct ring decoded = {0}, back, merged;
    if (!ring_step(&stepped, &step, kind))
        return false;
    ring_decode(&decoded, &decode, kind);
    assert_false(decode.bad);
    assert_ptr_equal(step.at, decode.at);
    assert_int_equal(stepped.count, decoded.count);
    struct bucket newest = any_bucket(r, kind);
    for (int i = 0; i < 4; i++) {
        int64_t shift = random_below(r, LARGEST_SHIFT + 1);
        buf_reset(got);
        buf_reset(expected);
        ring_put_newest(got, &stepped, shift, &newest, kind);
        put_merged(expected, &decoded, shift, &newest, kind);
        struct cursor c = cursor_of(got->data, got->len);
        ring_decode(&back, &c, kind);
        assert_false(c.bad);
        assert_int_equal(cursor_left(&c), 0);
        c = cursor_of(expected->data, expected->len);
        ring_decode(&merged, &c, kind);
        same_rings(&back, &merged);
    }
    return true;
}

static void a_ring_that_was_cut_is_refused_at_every_length(void **state)
{
    (void)state;
    struct random random = {34};
    struct buf bytes = {0};
    for (int round = 0; round < 2000; round++) {
        enum feature_kind kind = (enum feature_kind)(round % KINDS);
        struct ring ring = any_ring(&random, kind);
        buf_reset(&bytes);
        ring_encode(&bytes, &ring, kind);
        for (size_t n = 0; n < bytes.len; n++) {
            struct str cut = exact_copy(str_bytes(bytes.data, n));
            struct cursor c = cursor_of(cut.data, cut.len);
            struct ring_bytes r = {0};
            assert_false(ring_step(&r, &c, kind));
            free((char *)(uintptr_t)cut.data);
        }
    }
    buf_free(&bytes);
}

static void a_damaged_ring_is_refused_or_stepped_over_as_it_is_read(void **state)
{
    (void)state;
    struct random random = {35};
    struct buf bytes = {0}, got = {0}, expected = {0};
    size_t taken = 0, refused = 0;
    for (int round = 0; round < 200000; round++) {
        enum feature_kind kind = (enum feature_kind)(round % KINDS);
        struct ring ring = any_ring(&random, kind);
        buf_reset(&bytes);
        ring_encode(&bytes, &ring, kind);
        for (int64_t i = random_below(&random, 24); i > 0; i--) /* so that much can be read */
            buf_put_u8(&bytes, (uint8_t)random_next(&random));
        struct str bad = exact_copy(buf_str(&bytes));
        damage(bad, &random);
        bool is_taken = steps_as_decoding_reads(bad, kind, &random, &got, &expected);
        taken += is_taken;
        refused += !is_taken;
        free((char *)(uintptr_t)bad.data);
    }
    assert_true(taken > 20000 && refused > 20000);
    buf_free(&bytes);
    buf_free(&got);
    buf_free(&expected);
}

/* 65 says that the ring is the one before; no ring has more than 64 buckets. */
static void more_buckets_than_64_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[200];
    for (int kind = 0; kind < KINDS; kind++)
        for (unsigned count = 65; count < 128; count++) {
            struct ring_bytes r = {0};
            memset(bytes, 0x40, sizeof bytes); /* n is 1; ages 0 */
            bytes[0] = (uint8_t)count;
            struct cursor c = cursor_of(bytes, sizeof bytes);
            assert_int_equal(ring_step(&r, &c, (enum feature_kind)kind), count == RING_SAME);
            assert_int_equal(r.count, 0);
        }
}

/* Encodings that nothing here writes, by hand: what the flags mean is said in ring.c. */
static void encodings_that_are_not_canonical_are_read_one_way(void **state)
{
    (void)state;
    static const struct {
        enum feature_kind kind;
        size_t len;
        uint8_t bytes[16];
    } cases[] = {
        {FEATURE_COUNT, 4, {1, 0x81, 5, 5}},                  /* a flag that a count has not */
        {FEATURE_COUNT, 4, {0xc0, 5, 5, 5}},                  /* the same, of the newest alone */
        {FEATURE_COUNT, 3, {1, 0, 1}},                        /* 1, but written */
        {FEATURE_COUNT, 4, {1, 3, 0x81, 0}},                  /* 1 in two bytes */
        {FEATURE_COUNT, 5, {2, 0x40, 0x40, 0, 0}},            /* one age twice */
        {FEATURE_RATE, 4, {1, 0xc3, 7, 7}},                   /* both flags */
        {FEATURE_RATE, 5, {2, 0x43, 0xc1, 7, 7}},             /* both flags behind others */
        {FEATURE_SUM, 12, {1, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0}}, /* a flag that a sum has not */
        {FEATURE_COUNT,                                       /* 71 bits */
         14,
         {1, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0}},
        {FEATURE_COUNT, /* 77 bits */
         14,
         {1, 3, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0}},
    };
    struct random random = {36};
    struct buf got = {0}, expected = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str bytes = exact_copy(str_bytes(cases[i].bytes, cases[i].len));
        for (int round = 0; round < 50; round++)
            steps_as_decoding_reads(bytes, cases[i].kind, &random, &got, &expected);
        free((char *)(uintptr_t)bytes.data);
    }
    buf_free(&got);
    buf_free(&expected);
}

/* 64 buckets, two of them of one age: another one would make 65, the sign for the ring before. */
static void no_ring_becomes_longer_than_64_buckets(void **state)
{
    (void)state;
    uint8_t bytes[1 + REMEMBERED_BUCKETS];
    struct random random = {37};
    struct buf got = {0}, expected = {0};
    for (size_t twice = 1; twice < REMEMBERED_BUCKETS; twice++) {
        bytes[0] = REMEMBERED_BUCKETS;
        for (size_t i = 1; i <= REMEMBERED_BUCKETS; i++)
            bytes[i] = i == 1 || i == twice + 1 ? 0x40 : 0x41;
        for (int round = 0; round < 50; round++)
            steps_as_decoding_reads(str_bytes(bytes, sizeof bytes), FEATURE_COUNT, &random, &got,
                                    &expected);
    }
    buf_free(&got);
    buf_free(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_ends_where_decoding_does),
        cmocka_unit_test(the_newest_bucket_is_put_as_merging_puts_it),
        cmocka_unit_test(what_is_older_than_any_shift_allows_is_forgotten),
        cmocka_unit_test(a_ring_that_was_cut_is_refused_at_every_length),
        cmocka_unit_test(a_damaged_ring_is_refused_or_stepped_over_as_it_is_read),
        cmocka_unit_test(more_buckets_than_64_are_refused),
        cmocka_unit_test(encodings_that_are_not_canonical_are_read_one_way),
        cmocka_unit_test(no_ring_becomes_longer_than_64_buckets),
    };
    return RUN(tests);
}
