/*
 * Training sets whose writing is broken off: by a kill, a full disk, memory that cannot be had.
 * Whoever goes on then gets the set that nobody disturbed, byte for byte.
 */
#include "unit.h"

#include "support/set_folder.h"
#include "support/set_samples.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { REQUESTS = 130, PART_ROWS = 200, KILLED = 9 };

/* ---------------------------------------------------------- the system's calls */

/* HDF5's and the library's own calls come here. The one that is due ends the process or fails;
 * none waits for the disk, which tests need not. */
static struct {
    long at; /* of the calls from the start, from 1; 0: none */
    long count;
    int reason; /* what it fails with, and every one after it; 0: the process ends there */
} due;

static bool is_due(void)
{
    due.count++;
    return due.at && (due.reason ? due.count >= due.at : due.count == due.at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset);
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset)
{
    if (is_due()) {
        if (due.reason) {
            errno = due.reason;
            return -1;
        }
        /* Half of it is there, as after a crash. */
        syscall(SYS_pwrite64, fd, bytes, n / 2, offset);
        _exit(KILLED);
    }
    return syscall(SYS_pwrite64, fd, bytes, n, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    return pwrite64(fd, bytes, n, offset);
}

static int call(long number, const char *from, const char *to)
{
    if (is_due()) {
        if (!due.reason)
            _exit(KILLED);
        errno = due.reason;
        return -1;
    }
    return (int)syscall(number, from, to, 0);
}

int rename(const char *from, const char *to)
{
    return call(SYS_rename, from, to);
}

int unlink(const char *path)
{
    /* Tidying up is no reason to fail; being killed there is. */
    return due.reason ? (int)syscall(SYS_unlink, path) : call(SYS_unlink, path, NULL);
}

int fsync(int fd)
{
    (void)fd;
    if (is_due()) {
        if (!due.reason)
            _exit(KILLED);
        errno = due.reason;
        return -1;
    }
    return 0;
}

/* ---------------------------------------------------------- the folders */

struct folders {
    char undisturbed[300], disturbed[300];
};

static void name_folders(struct folders *f, const char *dir)
{
    snprintf(f->undisturbed, sizeof f->undisturbed, "%s/undisturbed", dir);
    snprintf(f->disturbed, sizeof f->disturbed, "%s/disturbed", dir);
}

static int setup(void **state)
{
    void *dir = NULL;
    struct folders *f = calloc(1, sizeof *f);
    assert_non_null(f);
    due.at = 0;
    folder_make(&dir);
    name_folders(f, dir);
    assert_int_equal(sample_write(f->undisturbed, REQUESTS, PART_ROWS, NULL), 0);
    /* Some parts and set.json. */
    assert_true(folder_files(f->undisturbed) > 3);
    free(dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folders *f = *state;
    void *dir = strdup(f->undisturbed);
    *strrchr(dir, '/') = 0;
    free(f);
    return folder_remove(&dir);
}

static void go_on(const struct folders *f)
{
    struct err e = {0};
    due.at = 0;
    if (sample_write(f->disturbed, REQUESTS, PART_ROWS, &e))
        fail_msg("%s", e.msg);
    assert_folders_equal(f->undisturbed, f->disturbed);
    folder_empty(f->disturbed);
}

/* ---------------------------------------------------------- tests */

static int ended_how(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void killed_at_any_write_it_goes_on_to_the_same_set(void **state)
{
    const struct folders *f = *state;
    int kills = 0;
    for (long n = 1;; n++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            due.at = n;
            due.count = 0;
            _exit(sample_write(f->disturbed, REQUESTS, PART_ROWS, NULL) ? 1 : 0);
        }
        int status = ended_how(child);
        if (status == 0)
            break;
        assert_int_equal(status, KILLED);
        kills++;
        /* Behind its last write the set is finished, and only unfinished.json is too much. */
        struct set *set = NULL;
        if (set_open(&set, f->disturbed, NULL) == 0) {
            set_free(set);
            assert_samples(f->disturbed, REQUESTS);
            folder_empty(f->disturbed);
            continue;
        }
        go_on(f);
    }
    assert_true(kills > 100);
}

/* Parts that are whole are kept, whatever comes behind them. */
static void whole_parts_are_not_written_again(void **state)
{
    const struct folders *f = *state;
    const struct set_info info = sample_info();
    struct set_writer *w = NULL;
    uint64_t kept = 0, before = 0;
    for (uint64_t puts = 0; puts <= REQUESTS; puts += 10) {
        assert_int_equal(set_writer_new(&w, f->disturbed, &info, &kept, NULL), 0);
        assert_true(kept >= before && kept <= (puts < 10 ? 0 : puts - 10));
        before = kept;
        set_writer_limit(w, PART_ROWS, 0);
        assert_int_equal(sample_put(w, kept, puts, NULL), 0);
        set_writer_free(w);
    }
    assert_true(before > REQUESTS / 2);
    go_on(f);
}

static void a_part_that_was_damaged_meanwhile_is_made_again(void **state)
{
    const struct folders *f = *state;
    const struct set_info info = sample_info();
    struct set_writer *w = NULL;
    uint64_t kept = 0, all = 0;
    char path[400];
    assert_int_equal(set_writer_new(&w, f->disturbed, &info, &kept, NULL), 0);
    set_writer_limit(w, PART_ROWS, 0);
    assert_int_equal(sample_put(w, 0, REQUESTS, NULL), 0);
    set_writer_free(w);
    assert_int_equal(set_writer_new(&w, f->disturbed, &info, &all, NULL), 0);
    set_writer_free(w);
    snprintf(path, sizeof path, "%s/part-000002.h5", f->disturbed);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, 5000, SEEK_SET);
    fputc('!', file);
    fclose(file);
    assert_int_equal(set_writer_new(&w, f->disturbed, &info, &kept, NULL), 0);
    set_writer_free(w);
    assert_true(kept > 0 && kept < all);
    go_on(f);
}

static void a_full_disk_is_told_and_gone_on_from(void **state)
{
    const struct folders *f = *state;
    struct err e = {0};
    int failures = 0;
    for (long n = 1;; n++) {
        due.at = n;
        due.count = 0;
        due.reason = ENOSPC;
        int rc = sample_write(f->disturbed, REQUESTS, PART_ROWS, &e);
        due.at = 0;
        due.reason = 0;
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_IO);
        assert_contains(e.msg, "No space left on device");
        assert_contains(e.msg, f->disturbed);
        failures++;
        /* The last that can fail is the end of a set that is there. */
        struct set *set = NULL;
        if (set_open(&set, f->disturbed, NULL) == 0) {
            set_free(set);
            folder_empty(f->disturbed);
            continue;
        }
        go_on(f);
    }
    assert_true(failures > 100);
}

static void a_writer_that_failed_writes_no_more(void **state)
{
    const struct folders *f = *state;
    const struct set_info info = sample_info();
    struct set_writer *w = NULL;
    struct err e = {0};
    uint64_t kept = 0;
    assert_int_equal(set_writer_new(&w, f->disturbed, &info, &kept, NULL), 0);
    set_writer_limit(w, PART_ROWS, 0);
    due.at = 1;
    due.count = 0;
    due.reason = EIO;
    int rc = sample_put(w, 0, REQUESTS, &e);
    due.at = 0;
    due.reason = 0;
    assert_int_equal(rc, ERR_IO);
    assert_contains(e.msg, "Input/output error");
    assert_int_equal(sample_put(w, 0, 1, &e), ERR_IO);
    assert_contains(e.msg, "failed before");
    assert_int_equal(set_writer_finish(w, str_of("{}"), &e), ERR_IO);
    set_writer_free(w);
    go_on(f);
}

static void every_allocation_of_the_writer_may_fail(void **state)
{
    const struct folders *f = *state;
    struct err e = {0};
    for (int n = 1;; n++) {
        fail_alloc_at(n);
        int rc = sample_write(f->disturbed, 60, PART_ROWS, &e);
        if (!fail_alloc_end())
            break;
        assert_int_equal(rc, ERR_NOMEM);
        folder_empty(f->disturbed);
    }
    assert_samples(f->disturbed, 60);
}

static void every_allocation_of_the_reader_may_fail(void **state)
{
    const struct folders *f = *state;
    static const size_t columns[] = {4, 2};
    struct set *set = NULL;
    struct err e = {0};
    float *out = malloc(SAMPLE_MOST_ROWS * REQUESTS * 2 * sizeof *out);
    assert_non_null(out);
    for (int n = 1;; n++) {
        fail_alloc_at(n);
        int rc = set_open(&set, f->undisturbed, &e);
        if (!rc) {
            rc = set_read(set, 0, set_rows(set)->row_count, columns, 2, out, &e);
            set_free(set);
        }
        if (!fail_alloc_end())
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
    free(out);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(killed_at_any_write_it_goes_on_to_the_same_set),
        TEST(whole_parts_are_not_written_again),
        TEST(a_part_that_was_damaged_meanwhile_is_made_again),
        TEST(a_full_disk_is_told_and_gone_on_from),
        TEST(a_writer_that_failed_writes_no_more),
        TEST(every_allocation_of_the_writer_may_fail),
        TEST(every_allocation_of_the_reader_may_fail),
    };
    return RUN(tests);
}
