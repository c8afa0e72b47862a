/*
 * Training sets: what was put is what is read, whatever the parts are.
 */
#include "unit.h"

#include "support/set_folder.h"
#include "support/set_samples.h"

static void what_was_put_is_read_bit_for_bit(void **state)
{
    const char *dir = *state;
    struct err e = {0};
    /* 4.5 rows a request: no part, one, several, one for each; chunks of 256 rows that are cut. */
    static const uint64_t counts[] = {0, 1, 15, 500}, part_rows[] = {0, 300, 1000, 1};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < (i == 3 ? 3 : 4); j++) {
            if (sample_write(dir, counts[i], part_rows[j], &e))
                fail_msg("%s", e.msg);
            assert_samples(dir, counts[i]);
            folder_empty(dir);
        }
}

static void what_a_set_is_comes_back(void **state)
{
    const char *dir = *state;
    const struct set_info info = sample_info();
    struct set *set = NULL;
    assert_int_equal(sample_write(dir, 3, 0, NULL), 0);
    assert_int_equal(set_open(&set, dir, NULL), 0);
    const struct set_info *got = set_info(set), *put = &info;
    assert_int_equal(got->columns.count, SAMPLE_COLUMNS);
    for (size_t i = 0; i < SAMPLE_COLUMNS; i++)
        assert_true(str_equal(got->columns.items[i], put->columns.items[i]));
    assert_true(str_equal(got->fingerprints, put->fingerprints));
    assert_true(str_equal(got->definitions, put->definitions));
    assert_true(str_equal(got->labels, put->labels));
    assert_true(str_equal(got->options, put->options));
    assert_int_equal(got->label_window_ms, 86400000);
    assert_int_equal(got->from_ms, -5);
    assert_int_equal(got->to_ms, 1700000000000);
    assert_true(str_is(got->counts, "{\"requests\":{\"used\":3}}"));
    set_free(set);
}

/* Any rows, any columns, over the borders of parts. */
static void columns_are_read_in_the_order_that_is_asked_for(void **state)
{
    const char *dir = *state;
    struct set *set = NULL;
    struct err e = {0};
    enum { REQUESTS = 400 };
    assert_int_equal(sample_write(dir, REQUESTS, 500, &e), 0);
    assert_int_equal(set_open(&set, dir, &e), 0);
    size_t rows = set_rows(set)->row_count, row = 0;
    float *all = malloc(rows * SAMPLE_COLUMNS * sizeof *all);
    float *some = malloc(rows * SAMPLE_COLUMNS * sizeof *some);
    assert_non_null(all);
    assert_non_null(some);
    for (uint64_t i = 0; i < REQUESTS; i++) {
        struct sample s;
        sample_make(&s, i);
        memcpy(all + row * SAMPLE_COLUMNS, s.vectors,
               s.request.count * SAMPLE_COLUMNS * sizeof *all);
        row += s.request.count;
    }
    assert_int_equal(row, rows);
    struct prng r;
    prng_seed(&r, 1);
    for (int trial = 0; trial < 200; trial++) {
        size_t from = prng_below(&r, (uint32_t)rows), columns[SAMPLE_COLUMNS + 1];
        size_t to = from + prng_below(&r, (uint32_t)(rows - from) + 1);
        size_t count = prng_below(&r, SAMPLE_COLUMNS + 1);
        for (size_t c = 0; c < count; c++)
            columns[c] = prng_below(&r, SAMPLE_COLUMNS);
        if (set_read(set, from, to, columns, count, some, &e))
            fail_msg("%s", e.msg);
        for (size_t i = 0; i < to - from; i++)
            for (size_t c = 0; c < count; c++)
                assert_memory_equal(&some[i * count + c],
                                    &all[(from + i) * SAMPLE_COLUMNS + columns[c]], sizeof *all);
    }
    free(some);
    free(all);
    set_free(set);
}

static void equal_requests_make_equal_bytes(void **state)
{
    const char *dir = *state;
    char first[512], second[512];
    snprintf(first, sizeof first, "%s/a", dir);
    snprintf(second, sizeof second, "%s/b", dir);
    assert_int_equal(sample_write(first, 200, 400, NULL), 0);
    assert_int_equal(sample_write(second, 200, 400, NULL), 0);
    assert_int_equal(folder_files(first), 4);
    assert_folders_equal(first, second);
}

/* A text that is long makes its column wide: the part before it ends, so that others' is not. */
static void a_long_text_does_not_widen_a_million_others(void **state)
{
    const char *dir = *state;
    enum { REQUESTS = 3000, LONG = 100000 };
    const struct set_info info = sample_info();
    struct set_writer *w = NULL;
    struct set *set = NULL;
    struct sample s;
    uint64_t kept = 0;
    char *text = malloc(LONG);
    assert_non_null(text);
    memset(text, 'x', LONG);
    assert_int_equal(set_writer_new(&w, dir, &info, &kept, NULL), 0);
    for (uint64_t i = 0; i < REQUESTS; i++) {
        sample_make(&s, i);
        s.request.user_id = i == 2000 ? (struct str){text, LONG} : s.request.user_id;
        assert_int_equal(set_writer_put(w, &s.request, NULL), 0);
    }
    assert_int_equal(set_writer_finish(w, str_of(""), NULL), 0);
    set_writer_free(w);
    assert_true(folder_bytes(dir) < (int64_t)4 * (256 << 20));
    assert_int_equal(set_open(&set, dir, NULL), 0);
    const struct set_rows *rows = set_rows(set);
    assert_text(rows, rows->users[2000], (struct str){text, LONG});
    sample_make(&s, 2999);
    assert_sample(set, 2999, &s);
    set_free(set);
    free(text);
}

/* ---------------------------------------------------------- what is refused */

static void refused(const char *dir, const struct set_info *info, int code, const char *part)
{
    struct set_writer *w = NULL;
    uint64_t kept = 0;
    struct err e = {0};
    assert_int_equal(set_writer_new(&w, dir, info, &kept, &e), code);
    assert_contains(e.msg, part);
    assert_contains(e.msg, dir);
}

static void a_directory_of_something_else_is_left_alone(void **state)
{
    const char *dir = *state;
    const struct set_info info = sample_info();
    folder_put(dir, "thesis.txt", "years of work");
    refused(dir, &info, ERR_INVALID, "thesis.txt");
    assert_int_equal(folder_files(dir), 1);
    folder_empty(dir);
    /* Parts without the document that says what they are could be anybody's. */
    folder_put(dir, "part-000001.h5", "?");
    refused(dir, &info, ERR_INVALID, "part-000001.h5");
}

static void a_finished_set_is_not_written_again(void **state)
{
    const char *dir = *state;
    const struct set_info info = sample_info();
    assert_int_equal(sample_write(dir, 2, 0, NULL), 0);
    refused(dir, &info, ERR_INVALID, "finished training set");
    assert_samples(dir, 2);
}

static void an_unfinished_set_of_another_kind_is_not_gone_on_with(void **state)
{
    const char *dir = *state;
    struct set_info other = sample_info();
    struct set_writer *w = NULL;
    uint64_t kept = 0;
    assert_int_equal(set_writer_new(&w, dir, &other, &kept, NULL), 0);
    set_writer_limit(w, 100, 0);
    assert_int_equal(sample_put(w, 0, 100, NULL), 0);
    refused(dir, &other, ERR_INVALID, "another process");
    set_writer_free(w);
    other.labels = str_of("click=2");
    refused(dir, &other, ERR_INVALID, "labels");
    other = sample_info();
    other.options = str_of("sample 0.6");
    refused(dir, &other, ERR_INVALID, "options");
    other = sample_info();
    other.to_ms++;
    refused(dir, &other, ERR_INVALID, "range of time");
    other = sample_info();
    other.definitions = str_of("features: []\n");
    refused(dir, &other, ERR_INVALID, "definitions");
    other = sample_info();
    other.columns.count--;
    other.fingerprints.len -= 8;
    refused(dir, &other, ERR_INVALID, "columns");
    other = sample_info();
    assert_int_equal(set_writer_new(&w, dir, &other, &kept, NULL), 0);
    assert_true(kept > 0);
    set_writer_free(w);
}

static void an_unfinished_set_without_a_part_gives_way_to_another(void **state)
{
    const char *dir = *state;
    struct set_info other = sample_info();
    struct set_writer *w = NULL;
    uint64_t kept = 0;
    other.label_window_ms = 1;
    other.columns.count--;
    other.fingerprints.len -= 8;
    assert_int_equal(set_writer_new(&w, dir, &other, &kept, NULL), 0);
    set_writer_free(w);
    assert_int_equal(sample_write(dir, 10, 0, NULL), 0);
    assert_samples(dir, 10);
}

static void names_that_hdf5_reads_otherwise_are_refused(void **state)
{
    const char *dir = *state;
    static const char *const names[] = {"a/b", "", "."};
    for (size_t i = 0; i < 3; i++) {
        struct str name = str_of(names[i]);
        struct set_info info = sample_info();
        struct set_writer *w = NULL;
        struct err e = {0};
        uint64_t kept = 0;
        info.columns = (struct str_list){&name, 1};
        info.fingerprints.len = 8;
        assert_int_equal(set_writer_new(&w, dir, &info, &kept, &e), ERR_INVALID);
        assert_contains(e.msg, "name the feature otherwise");
    }
}

static void without_a_finished_set_the_reader_says_what_to_do(void **state)
{
    const char *dir = *state;
    const struct set_info info = sample_info();
    struct set *set = NULL;
    struct set_writer *w = NULL;
    struct err e = {0};
    uint64_t kept = 0;
    assert_int_equal(set_open(&set, "/nowhere/at/all", &e), ERR_NOT_FOUND);
    assert_contains(e.msg, "flotilla backfill makes one");
    assert_int_equal(set_open(&set, dir, &e), ERR_NOT_FOUND);
    assert_int_equal(set_writer_new(&w, dir, &info, &kept, &e), 0);
    assert_int_equal(set_open(&set, dir, &e), ERR_NOT_FOUND);
    assert_contains(e.msg, "unfinished");
    assert_contains(e.msg, "run the same flotilla backfill again");
    set_writer_free(w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_read_bit_for_bit),
        TEST(what_a_set_is_comes_back),
        TEST(columns_are_read_in_the_order_that_is_asked_for),
        TEST(equal_requests_make_equal_bytes),
        TEST(a_long_text_does_not_widen_a_million_others),
        TEST(a_directory_of_something_else_is_left_alone),
        TEST(a_finished_set_is_not_written_again),
        TEST(an_unfinished_set_of_another_kind_is_not_gone_on_with),
        TEST(an_unfinished_set_without_a_part_gives_way_to_another),
        TEST(names_that_hdf5_reads_otherwise_are_refused),
        TEST(without_a_finished_set_the_reader_says_what_to_do),
    };
    return RUN(tests);
}
