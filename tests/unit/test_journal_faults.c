#include "unit.h"

#include "support/journals.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

enum { TINY = 4096 };

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_true(fputc(byte ^ 0x10, f) != EOF);
    fclose(f);
}

static long size_of(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long n = ftell(f);
    fclose(f);
    return n;
}

/* Opens and reads a sealed one: 0 only if both went well. */
static int use(const char *dir, struct err *e)
{
    struct journal *j = NULL;
    struct buf text = {0};
    bool sealed = false;
    int rc = try_open(&j, dir, "a", 0, &sealed, e);
    if (!rc) {
        assert_true(sealed);
        rc = try_text(&text, j, e);
        journal_free(j);
    }
    buf_free(&text);
    return rc;
}

static void every_damaged_byte_is_found_and_its_file_named(void **state)
{
    (void)state;
    /* Those of the first run's attributes are read when it is sealed only. */
    static const char *const files[] = {"run-000002", "sealed"};
    char dir[TEMPORARY_BYTES], path[TEMPORARY_BYTES + 16];
    struct err e = {0};
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 0);
    fill(j, 20);
    seal(j);
    journal_free(j);
    assert_int_equal(use(dir, &e), 0);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        /* The manifest's form says whose it is: another one is no damage. */
        for (long at = i == 1 ? 8 : 0; at < size_of(path); at++) {
            flip(path, at);
            if (use(dir, &e) != ERR_CORRUPT)
                fail_msg("byte %ld of %s was not found: %s", at, files[i], e.msg);
            assert_contains(e.msg, files[i]);
            assert_contains(e.msg, "read everything again");
            flip(path, at);
        }
    }
    assert_int_equal(use(dir, &e), 0);
    remove_temporary(dir);
}

static void a_run_that_is_missing_or_cut_is_found(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES], path[TEMPORARY_BYTES + 16];
    struct err e = {0};
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 0);
    fill(j, 20);
    seal(j);
    journal_free(j);
    snprintf(path, sizeof path, "%s/run-000001", dir);
    assert_int_equal(truncate(path, size_of(path) - 1), 0);
    assert_int_equal(use(dir, &e), ERR_CORRUPT);
    assert_contains(e.msg, "run-000001 has not the");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(use(dir, &e), ERR_CORRUPT);
    assert_contains(e.msg, "run-000001: No such file");
    remove_temporary(dir);
}

static void a_directory_with_other_files_is_refused_and_left_as_it_is(void **state)
{
    (void)state;
    static const char *const names[] = {"run-notes.txt", "run-2024-01.csv", "run-12345",
                                        "sealed.txt", "run-0000001.h5"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char dir[TEMPORARY_BYTES], path[TEMPORARY_BYTES + 32];
        struct journal *j = NULL;
        struct err e = {0};
        bool sealed;
        temporary_journal(dir);
        journal_free(open_journal(dir, 0));
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        fclose(f);
        assert_int_equal(try_open(&j, dir, "a", 0, &sealed, &e), ERR_INVALID);
        assert_contains(e.msg, names[i]);
        assert_int_equal(unlink(path), 0);
        remove_temporary(dir);
    }
}

static void a_directory_that_is_no_journal_keeps_even_files_named_like_a_journals(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES], path[TEMPORARY_BYTES + 32];
    struct journal *j = NULL;
    struct err e = {0};
    bool sealed;
    temporary_journal(dir);
    journal_free(open_journal(dir, 0));
    snprintf(path, sizeof path, "%s/journal", dir);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/run-202401", dir);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(try_open(&j, dir, "a", 0, &sealed, &e), ERR_INVALID);
    assert_contains(e.msg, "run-202401 and is no journal");
    assert_int_equal(journal_remove(dir, &e), ERR_INVALID);
    assert_int_equal(unlink(path), 0);
    remove_temporary(dir);
}

static void a_file_that_cannot_grow_is_named_with_the_reason(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    struct rlimit before, little;
    struct err e = {0};
    int rc = 0;
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 1 << 20);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = (struct rlimit){100000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    for (int i = 0; i < 100000 && !rc; i++) {
        struct entry n = event_entry("x", i, i);
        rc = journal_add(j, &n, &e);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, ERR_IO);
    assert_contains(e.msg, "/run-000001 behind its first ");
    assert_contains(e.msg, strerror(EFBIG));
    journal_free(j);
    remove_temporary(dir);
}

static int whole_life(const char *dir, struct err *e)
{
    struct journal *j = NULL;
    struct buf text = {0};
    bool sealed;
    int rc = try_open(&j, dir, "a", TINY, &sealed, e);
    for (int i = 0; i < 100 && !rc && !sealed; i++) {
        struct entry n = i % 2 ? event_entry("x", -i, i) : user_entry("u", i, i);
        rc = journal_add(j, &n, e);
    }
    if (!rc && !sealed)
        rc = journal_seal(j, str_of("{}"), e);
    if (!rc)
        rc = try_text(&text, j, e);
    journal_free(j);
    if (!rc) { /* once more, as a process that comes later */
        j = NULL;
        rc = try_open(&j, dir, "a", TINY, &sealed, e);
        journal_free(rc ? NULL : j);
    }
    if (!rc && !buf_ok(&text))
        rc = ERR_NOMEM;
    buf_free(&text);
    return rc;
}

static void memory_that_cannot_be_had_is_told_at_every_allocation(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    struct err e = {0};
    temporary_journal(dir);
    int n = 1;
    for (;; n++) {
        assert_int_equal(journal_remove(dir, &e), 0);
        fail_alloc_at(n);
        int rc = whole_life(dir, &e);
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
    }
    assert_true(n > 20);
    remove_temporary(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_damaged_byte_is_found_and_its_file_named),
        cmocka_unit_test(a_run_that_is_missing_or_cut_is_found),
        cmocka_unit_test(a_directory_with_other_files_is_refused_and_left_as_it_is),
        cmocka_unit_test(a_directory_that_is_no_journal_keeps_even_files_named_like_a_journals),
        cmocka_unit_test(a_file_that_cannot_grow_is_named_with_the_reason),
        cmocka_unit_test(memory_that_cannot_be_had_is_told_at_every_allocation),
    };
    return RUN(tests);
}
