/*
 * Model versions on a topic: cut into parts, and put together from whatever order they come in.
 */
#include "unit.h"

#include "model/artifact.h"
#include "model/model_check.h"

#include <stdlib.h>

enum { BYTES = 2 * ARTIFACT_PART_BYTES + 1000, SPARE = 8 << 20 };

/* A version with bytes of its own. */
struct version {
    struct model_parts parts;
    struct str names[2];
    uint8_t sha256[MODEL_SHA256_BYTES];
    uint8_t *bytes;
};

static void version_make(struct version *v, const char *model, int64_t number, size_t size,
                         uint8_t seed)
{
    v->bytes = malloc(size);
    assert_non_null(v->bytes);
    for (size_t i = 0; i < size; i++)
        v->bytes[i] = (uint8_t)(i * 31 + i / 251 + seed);
    v->names[0] = str_of("price");
    v->names[1] = str_of("clicks_1h");
    v->parts = (struct model_parts){.name = str_of(model),
                                    .version = number,
                                    .sha256 = {(const char *)v->sha256, sizeof v->sha256},
                                    .features = {v->names, 2},
                                    .fingerprints = str_of("0123456789abcdef"),
                                    .canary_rows = str_of("12345678"),
                                    .canary_margins = str_of("1234"),
                                    .calibration = str_of("{\"kind\":1}"),
                                    .bytes = str_bytes(v->bytes, size)};
    assert_int_equal(model_sha256(v->sha256, v->parts.bytes, NULL), 0);
}

struct desk {
    struct version v;
    struct artifacts *artifacts;
};

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    version_make(&d->v, "shop", 7, BYTES, 1);
    assert_int_equal(artifacts_new(&d->artifacts, SPARE, NULL), 0);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    artifacts_free(d->artifacts);
    free(d->v.bytes);
    free(d);
    return 0;
}

/* As if the record were read from the topic: in memory that is gone after the call. */
static int take_record(struct artifacts *a, const struct model_artifact *record, struct err *e)
{
    struct buf key = {0}, copy = {0};
    struct model_artifact r = *record;
    artifact_key(&key, r.model, r.version, r.part);
    buf_put_str(&copy, r.bytes);
    r.bytes = buf_str(&copy);
    int rc = artifacts_take(a, buf_str(&key), &r, e);
    buf_free(&key);
    buf_free(&copy);
    return rc;
}

static int take(struct artifacts *a, const struct version *v, int part)
{
    struct model_artifact record = artifact_part(&v->parts, part);
    struct err e = {0};
    int rc = take_record(a, &record, &e);
    if (rc && rc != ERR_NOMEM)
        fail_msg("%s", e.msg);
    return rc;
}

static void take_all(struct artifacts *a, const struct version *v)
{
    for (int part = 0; part < artifact_part_count(&v->parts); part++)
        take(a, v, part);
}

static void bury(struct artifacts *a, const struct version *v, int part)
{
    struct buf key = {0};
    artifact_key(&key, v->parts.name, v->parts.version, part);
    assert_int_equal(artifacts_take(a, buf_str(&key), NULL, NULL), 0);
    buf_free(&key);
}

static void want(struct artifacts *a, const char *model, int64_t version)
{
    assert_int_equal(artifacts_want(a, str_of(model), &version, version ? 1 : 0, NULL), 0);
}

/* The next one is this version, to the last byte. */
static void assert_next(struct artifacts *a, const struct version *v)
{
    struct artifact *got = artifacts_next(a);
    assert_non_null(got);
    const struct model_parts *p = &got->parts;
    assert_true(str_equal(p->name, v->parts.name));
    assert_int_equal(p->version, v->parts.version);
    assert_true(str_equal(p->sha256, v->parts.sha256));
    assert_true(str_equal(p->bytes, v->parts.bytes));
    assert_int_equal(p->features.count, 2);
    assert_true(str_is(p->features.items[1], "clicks_1h"));
    assert_true(str_equal(p->fingerprints, v->parts.fingerprints));
    assert_true(str_equal(p->canary_rows, v->parts.canary_rows));
    assert_true(str_equal(p->canary_margins, v->parts.canary_margins));
    assert_true(str_equal(p->calibration, v->parts.calibration));
    artifact_free(got);
}

/* ---- Keys and parts ---- */

static void a_key_is_read_as_it_was_written(void **state)
{
    struct buf key = {0};
    struct str model;
    int64_t version;
    int part;
    (void)state;
    artifact_key(&key, str_of("shop"), 12345678901, 127);
    assert_bytes(&key,
                 "shop\x1f"
                 "12345678901\x1f"
                 "127",
                 20);
    assert_true(artifact_parse_key(buf_str(&key), &model, &version, &part));
    assert_true(str_is(model, "shop"));
    assert_int_equal(version, 12345678901);
    assert_int_equal(part, 127);
    buf_free(&key);
}

static void what_is_no_key_is_none(void **state)
{
    static const char *const wrong[] = {"",
                                        "shop",
                                        "shop\x1f",
                                        "shop\x1f"
                                        "7",
                                        "shop\x1f"
                                        "7\x1f",
                                        "\x1f"
                                        "7\x1f"
                                        "0",
                                        "shop\x1f"
                                        "0\x1f"
                                        "0",
                                        "shop\x1f"
                                        "-1\x1f"
                                        "0",
                                        "shop\x1f"
                                        "07\x1f"
                                        "0",
                                        "shop\x1f"
                                        "7\x1f"
                                        "128",
                                        "shop\x1f"
                                        "7\x1f"
                                        "0\x1f"
                                        "0",
                                        "shop\x1f"
                                        "7\x1f"
                                        " 0",
                                        "shop\x1f"
                                        "99999999999999999999\x1f"
                                        "0"};
    struct str model;
    int64_t version;
    int part;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (artifact_parse_key(str_of(wrong[i]), &model, &version, &part))
            fail_msg("\"%s\" (%zu) is taken for a key", wrong[i], i);
}

static void a_version_is_cut_into_parts_of_half_a_mebibyte(void **state)
{
    const struct desk *d = *state;
    struct version small, even;
    version_make(&small, "shop", 1, 1, 0);
    version_make(&even, "shop", 1, 2 * ARTIFACT_PART_BYTES, 0);
    assert_int_equal(artifact_part_count(&d->v.parts), 3);
    assert_int_equal(artifact_part_count(&small.parts), 1);
    assert_int_equal(artifact_part_count(&even.parts), 2);
    struct model_artifact first = artifact_part(&d->v.parts, 0),
                          last = artifact_part(&d->v.parts, 2);
    assert_int_equal(first.bytes.len, ARTIFACT_PART_BYTES);
    assert_int_equal(first.features.count, 2);
    assert_int_equal(last.bytes.len, 1000);
    assert_int_equal(last.features.count, 0);
    assert_int_equal(last.parts, 3);
    assert_int_equal(artifact_part(&even.parts, 1).bytes.len, ARTIFACT_PART_BYTES);
    free(small.bytes);
    free(even.bytes);
}

/* ---- Putting together ---- */

static void parts_may_come_in_any_order_and_more_than_once(void **state)
{
    static const int orders[][7] = {
        {0, 1, 2, -1}, {2, 1, 0, -1}, {1, 1, 2, 1, 2, 0, -1}, {2, 0, 2, 1, -1}};
    const struct desk *d = *state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct artifacts *a = NULL;
        assert_int_equal(artifacts_new(&a, SPARE, NULL), 0);
        want(a, "shop", 7);
        for (int k = 0; orders[i][k] >= 0; k++) {
            assert_null(artifacts_next(a));
            take(a, &d->v, orders[i][k]);
        }
        assert_next(a, &d->v);
        assert_null(artifacts_next(a));
        assert_int_equal(artifacts_bytes(a), 0);
        artifacts_free(a);
    }
}

static void parts_of_several_versions_may_be_mixed(void **state)
{
    struct desk *d = *state;
    struct version other, third;
    version_make(&other, "shop", 8, BYTES, 2);
    version_make(&third, "search", 7, BYTES, 3);
    const int64_t both[] = {7, 8};
    assert_int_equal(artifacts_want(d->artifacts, str_of("shop"), both, 2, NULL), 0);
    want(d->artifacts, "search", 7);
    for (int part = 2; part >= 0; part--) {
        take(d->artifacts, &d->v, part);
        take(d->artifacts, &other, 2 - part);
        take(d->artifacts, &third, part);
    }
    assert_next(d->artifacts, &d->v);
    assert_next(d->artifacts, &other);
    assert_next(d->artifacts, &third);
    assert_null(artifacts_next(d->artifacts));
    free(other.bytes);
    free(third.bytes);
}

static void a_version_is_handed_over_once_it_is_wanted(void **state)
{
    struct desk *d = *state;
    take_all(d->artifacts, &d->v);
    assert_null(artifacts_next(d->artifacts));
    want(d->artifacts, "search", 7);
    assert_null(artifacts_next(d->artifacts));
    want(d->artifacts, "shop", 7);
    assert_next(d->artifacts, &d->v);
    take_all(d->artifacts, &d->v); /* the topic may repeat itself */
    assert_null(artifacts_next(d->artifacts));
    bury(d->artifacts, &d->v, 0);
    take_all(d->artifacts, &d->v);
    assert_next(d->artifacts, &d->v);
}

static void a_tombstone_forgets_what_was_gathered(void **state)
{
    struct desk *d = *state;
    want(d->artifacts, "shop", 7);
    take(d->artifacts, &d->v, 0);
    take(d->artifacts, &d->v, 1);
    bury(d->artifacts, &d->v, 1);
    assert_int_equal(artifacts_bytes(d->artifacts), 0);
    take(d->artifacts, &d->v, 2);
    assert_null(artifacts_next(d->artifacts));
    bury(d->artifacts, &d->v, 5); /* of what is not there */
}

/* ---- Bounds ---- */

static void of_what_nobody_wants_the_oldest_is_let_go(void **state)
{
    struct desk *d = *state;
    struct artifacts *a = NULL;
    struct version other;
    version_make(&other, "shop", 8, BYTES, 2);
    assert_int_equal(artifacts_new(&a, BYTES + 2000, NULL), 0);
    take_all(a, &d->v);
    assert_false(artifacts_lost(a));
    take_all(a, &other);
    assert_in_range(artifacts_bytes(a), BYTES, BYTES + 2000);
    want(a, "shop", 8);
    assert_false(artifacts_lost(a));
    assert_next(a, &other);
    want(a, "shop", 7);
    assert_true(artifacts_lost(a));
    take_all(a, &d->v); /* only a whole reading counts */
    assert_null(artifacts_next(a));
    artifacts_again(a);
    assert_false(artifacts_lost(a));
    take_all(a, &d->v);
    assert_next(a, &d->v);
    /* Given away, and wanted once more. */
    take_all(a, &d->v);
    assert_null(artifacts_next(a));
    artifacts_retry(a, str_of("shop"), 7);
    assert_true(artifacts_lost(a));
    artifacts_again(a);
    take_all(a, &d->v);
    assert_next(a, &d->v);
    artifacts_free(a);
    free(other.bytes);
}

static void what_is_wanted_is_kept_whatever_it_takes(void **state)
{
    struct desk *d = *state;
    struct artifacts *a = NULL;
    assert_int_equal(artifacts_new(&a, 0, NULL), 0);
    want(a, "shop", 7);
    take_all(a, &d->v);
    assert_next(a, &d->v);
    /* Given away for a plan that has gone, it is to be read again for the next. */
    want(a, "shop", 0);
    assert_false(artifacts_lost(a));
    want(a, "shop", 7);
    assert_true(artifacts_lost(a));
    artifacts_free(a);
}

/* ---- Refused ---- */

static void assert_refused(struct desk *d, const struct model_artifact *r, int code,
                           const char *part)
{
    struct err e = {0};
    assert_int_equal(take_record(d->artifacts, r, &e), code);
    assert_contains(e.msg, part);
}

static void parts_that_make_no_sense_are_refused(void **state)
{
    struct desk *d = *state;
    struct model_artifact good = artifact_part(&d->v.parts, 1), r = good;
    struct err e = {0};
    r.bytes.len--;
    assert_refused(d, &r, ERR_CORRUPT, "shop version 7: part 1 of 3 with 524287 bytes");
    r = good;
    r.sha256.len = 31;
    assert_refused(d, &r, ERR_CORRUPT, "SHA-256 of 31");
    r = good;
    r.parts = 1;
    assert_refused(d, &r, ERR_CORRUPT, "part 1 of 1");
    r.parts = 129;
    assert_refused(d, &r, ERR_TOO_LARGE, "129 parts are more than 128");
    r.parts = -1;
    assert_refused(d, &r, ERR_CORRUPT, "part 1 of -1");
    assert_int_equal(artifacts_take(d->artifacts, str_of("shop"), &good, &e), ERR_CORRUPT);
    assert_contains(e.msg, "the key is not");
    assert_int_equal(artifacts_take(d->artifacts,
                                    str_of("shop\x1f"
                                           "8\x1f"
                                           "1"),
                                    &good, &e),
                     ERR_CORRUPT);
    assert_contains(e.msg, "not the one that its key names");
    assert_int_equal(artifacts_bytes(d->artifacts), 0);
}

static void a_version_with_another_sum_is_forgotten_and_may_come_again(void **state)
{
    struct desk *d = *state;
    struct err e = {0};
    want(d->artifacts, "shop", 7);
    take(d->artifacts, &d->v, 0);
    take(d->artifacts, &d->v, 1);
    d->v.bytes[BYTES - 1] ^= 1;
    struct model_artifact last = artifact_part(&d->v.parts, 2);
    assert_int_equal(take_record(d->artifacts, &last, &e), ERR_CORRUPT);
    assert_contains(e.msg, "shop version 7: the SHA-256 of its 1049576 bytes");
    assert_null(artifacts_next(d->artifacts));
    assert_int_equal(artifacts_bytes(d->artifacts), 0);
    d->v.bytes[BYTES - 1] ^= 1;
    take_all(d->artifacts, &d->v);
    assert_next(d->artifacts, &d->v);
}

static void a_part_of_another_sum_starts_its_version_anew(void **state)
{
    struct desk *d = *state;
    struct version other;
    version_make(&other, "shop", 7, BYTES, 9);
    want(d->artifacts, "shop", 7);
    take(d->artifacts, &d->v, 0);
    take(d->artifacts, &d->v, 1);
    take(d->artifacts, &other, 2);
    assert_null(artifacts_next(d->artifacts));
    take(d->artifacts, &other, 0);
    take(d->artifacts, &other, 1);
    assert_next(d->artifacts, &other);
    take_all(d->artifacts, &d->v);
    assert_next(d->artifacts, &d->v);
    free(other.bytes);
}

static int whole_way(const struct version *v, const struct buf *keys)
{
    struct artifacts *a = NULL;
    const int64_t seven = 7;
    int rc = artifacts_new(&a, SPARE, NULL);
    if (!rc)
        rc = artifacts_want(a, str_of("shop"), &seven, 1, NULL);
    for (int part = 0; part < 3 && !rc; part++) {
        struct model_artifact record = artifact_part(&v->parts, part);
        rc = artifacts_take(a, buf_str(&keys[part]), &record, NULL);
    }
    if (!rc)
        assert_next(a, v);
    artifacts_free(a);
    return rc;
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    const struct desk *d = *state;
    struct buf keys[3] = {{0}};
    int n = 1;
    for (int part = 0; part < 3; part++)
        artifact_key(&keys[part], d->v.parts.name, 7, part);
    for (;; n++) {
        fail_alloc_at(n);
        int rc = whole_way(&d->v, keys);
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
    }
    assert_true(n > 5);
    for (int part = 0; part < 3; part++)
        buf_free(&keys[part]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_read_as_it_was_written),
        TEST(what_is_no_key_is_none),
        TEST(a_version_is_cut_into_parts_of_half_a_mebibyte),
        TEST(parts_may_come_in_any_order_and_more_than_once),
        TEST(parts_of_several_versions_may_be_mixed),
        TEST(a_version_is_handed_over_once_it_is_wanted),
        TEST(a_tombstone_forgets_what_was_gathered),
        TEST(of_what_nobody_wants_the_oldest_is_let_go),
        TEST(what_is_wanted_is_kept_whatever_it_takes),
        TEST(parts_that_make_no_sense_are_refused),
        TEST(a_version_with_another_sum_is_forgotten_and_may_come_again),
        TEST(a_part_of_another_sum_starts_its_version_anew),
        TEST(memory_that_cannot_be_had_is_an_error),
    };
    return RUN(tests);
}
