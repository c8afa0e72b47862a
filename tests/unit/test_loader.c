/*
 * Models loaded beside the processing thread. This program is its own child process, as a worker
 * is; with other arguments it is one that crashes, hangs, or wants too much.
 */
#include "unit.h"

#include "base/clock.h"
#include "model/loader.h"
#include "support/small_model.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define CRASH  "--crash"
#define KILLED "--killed"
#define HANG   "--hang"
#define QUIET  "--quiet"

enum { PATIENCE_MS = 60000 };

static int setup(void **state)
{
    struct small_model *s = malloc(sizeof *s);
    assert_non_null(s);
    small_model_start(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    small_model_end(*state);
    free(*state);
    return 0;
}

static struct loader *start(const struct small_model *s, const struct loader_opts *opts)
{
    struct loader *l = NULL;
    struct err e = {0};
    if (loader_new(&l, s->set, opts, &e))
        fail_msg("%s", e.msg);
    return l;
}

/* As it comes from the topic. */
static void give(struct loader *l, const struct small_model *s)
{
    struct artifacts *a = NULL;
    struct model_artifact record = artifact_part(&s->parts, 0);
    struct buf key = {0};
    artifact_key(&key, s->parts.name, s->parts.version, 0);
    assert_int_equal(artifacts_new(&a, 0, NULL), 0);
    assert_int_equal(artifacts_want(a, s->parts.name, &s->parts.version, 1, NULL), 0);
    assert_int_equal(artifacts_take(a, buf_str(&key), &record, NULL), 0);
    struct artifact *whole = artifacts_next(a);
    assert_non_null(whole);
    assert_int_equal(loader_give(l, whole, NULL), 0);
    artifacts_free(a);
    buf_free(&key);
}

static struct loaded take(struct loader *l)
{
    struct loaded out = {0};
    int64_t until_us = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000);
    while (!loader_take(l, &out)) {
        assert_true(clock_monotonic_us() < until_us);
        clock_sleep_ms(1);
    }
    return out;
}

/* What becomes of a model is this failure. */
static void assert_refused(const struct small_model *s, const struct loader_opts *opts, int code,
                           const char *part)
{
    struct loader *l = start(s, opts);
    give(l, s);
    struct loaded got = take(l);
    assert_null(got.model);
    assert_string_equal(got.name, "shop");
    assert_int_equal(got.version, 7);
    assert_contains(got.why.msg, part);
    assert_int_equal(got.why.code, code);
    loader_free(l);
}

static void a_good_model_is_ready_to_serve(void **state)
{
    struct small_model *s = *state;
    struct loader *l = start(s, NULL);
    assert_int_equal(loader_waiting(l), 0);
    give(l, s);
    s->parts.version = 8;
    give(l, s);
    struct loaded first = take(l), second = take(l);
    assert_int_equal(first.version, 7);
    assert_int_equal(second.version, 8);
    assert_non_null(first.model);
    assert_non_null(second.model);
    assert_int_equal(first.model->version, 7);
    assert_string_equal(second.model->name, "shop");
    assert_int_equal(loader_waiting(l), 0);
    loader_free(l); /* what was taken is the taker's */
    assert_true(ensemble_margin(second.model->ensemble, (float[]){0, 2}) == -0.125F);
    model_free(first.model);
    model_free(second.model);
}

static void what_the_child_says_is_the_reason(void **state)
{
    struct small_model *s = *state;
    s->margins.data[8] ^= 1;
    assert_refused(s, NULL, ERR_CORRUPT, "canary row 2: the margin is 0.25, but it was 0.2500000");
    s->margins.data[8] ^= 1;
    s->bytes.len -= 3;
    small_model_sum(s);
    assert_refused(s, NULL, ERR_INVALID, "model file");
}

static void other_definitions_are_told_without_trying(void **state)
{
    struct small_model *s = *state;
    const struct loader_opts opts = {.argument = CRASH};
    s->fingerprints.data[0] ^= 1;
    assert_refused(s, &opts, ERR_NOT_FOUND, "price: the model was trained on fingerprint");
}

static void a_crash_is_a_reason_and_the_next_model_loads(void **state)
{
    struct small_model *s = *state;
    const struct loader_opts opts = {.argument = CRASH};
    struct loader *l = start(s, NULL);
    assert_refused(s, &opts, ERR_CORRUPT, "crashed: signal 6 (Aborted)");
    give(l, s);
    struct loaded got = take(l);
    assert_non_null(got.model);
    model_free(got.model);
    loader_free(l);
}

static void what_takes_too_long_is_ended(void **state)
{
    const struct loader_opts opts = {.argument = HANG, .limit_ms = 200};
    assert_refused(*state, &opts, ERR_UNAVAILABLE, "took longer than 200 ms");
}

static void a_child_without_a_reason_is_no_verdict(void **state)
{
    const struct loader_opts quiet = {.argument = QUIET}, none = {.program = "/nonexistent"},
                             killed = {.argument = KILLED};
    assert_refused(*state, &killed, ERR_UNAVAILABLE, "signal 9 (Killed)");
    assert_refused(*state, &quiet, ERR_UNAVAILABLE, "ended with status 7");
    assert_refused(*state, &none, ERR_UNAVAILABLE, "cannot start the process");
}

static void it_ends_at_once_while_a_child_hangs(void **state)
{
    const struct loader_opts opts = {.argument = HANG};
    struct loader *l = start(*state, &opts);
    give(l, *state);
    give(l, *state);
    assert_int_equal(loader_waiting(l), 2);
    loader_free(l); /* ctest's own limit would end a wait */
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    struct small_model *s = *state;
    int n = 1;
    for (;; n++) {
        struct loader *l = NULL;
        fail_alloc_at(n);
        int rc = loader_new(&l, s->set, NULL, NULL);
        bool failed = fail_alloc_end();
        loader_free(l);
        if (!failed)
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
    assert_int_equal(n, 4);
}

static void the_argument_alone_makes_a_child(void **state)
{
    (void)state;
    assert_true(loader_is_child(2, (char *[]){"ranker", LOADER_ARGUMENT, NULL}));
    assert_false(loader_is_child(1, (char *[]){"ranker", NULL}));
    assert_false(loader_is_child(2, (char *[]){"ranker", "--verify", NULL}));
    assert_false(loader_is_child(3, (char *[]){"ranker", LOADER_ARGUMENT, "x", NULL}));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_model_is_ready_to_serve),
        TEST(what_the_child_says_is_the_reason),
        TEST(other_definitions_are_told_without_trying),
        TEST(a_crash_is_a_reason_and_the_next_model_loads),
        TEST(what_takes_too_long_is_ended),
        TEST(a_child_without_a_reason_is_no_verdict),
        TEST(it_ends_at_once_while_a_child_hangs),
        TEST(memory_that_cannot_be_had_is_an_error),
        TEST(the_argument_alone_makes_a_child),
    };
    if (loader_is_child(argc, argv))
        return loader_child_main();
    if (argc == 2 && strcmp(argv[1], CRASH) == 0)
        abort();
    if (argc == 2 && strcmp(argv[1], KILLED) == 0)
        raise(SIGKILL);
    if (argc == 2 && strcmp(argv[1], HANG) == 0)
        pause();
    if (argc == 2 && strcmp(argv[1], QUIET) == 0)
        return 7;
    return RUN(tests);
}
