/*
 * A folder for a test, and what is in it. Include after unit.h.
 */
#pragma once

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int folder_drop(const char *path, const struct stat *s, int kind, struct FTW *f)
{
    (void)s;
    (void)kind;
    return f->level == 0 ? 0 : remove(path);
}

/* Removes what is in it, if it is there. */
static inline void folder_empty(const char *dir)
{
    if (access(dir, F_OK) == 0)
        assert_int_equal(nftw(dir, folder_drop, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline int folder_make(void **state)
{
    const char *base = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof path, "%s/flotilla-set-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    *state = strdup(path);
    return *state ? 0 : -1;
}

static inline int folder_remove(void **state)
{
    folder_empty(*state);
    rmdir(*state);
    free(*state);
    return 0;
}

static inline void folder_put(const char *dir, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* A file's bytes; the caller's to free. */
static inline char *folder_get(const char *dir, const char *name, size_t *len)
{
    char path[1024];
    struct stat s;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &s), 0);
    char *bytes = malloc((size_t)s.st_size + 1);
    assert_non_null(bytes);
    *len = fread(bytes, 1, (size_t)s.st_size, f);
    assert_int_equal(*len, s.st_size);
    bytes[*len] = 0;
    fclose(f);
    return bytes;
}

static inline int folder_files(const char *dir)
{
    int count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));)
        count += entry->d_name[0] != '.';
    closedir(d);
    return count;
}

static inline int64_t folder_bytes(const char *dir)
{
    int64_t bytes = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        struct stat s;
        if (entry->d_name[0] != '.' && fstatat(dirfd(d), entry->d_name, &s, 0) == 0)
            bytes += s.st_size;
    }
    closedir(d);
    return bytes;
}

/* The same files with the same bytes. */
static inline void assert_folders_equal(const char *a, const char *b)
{
    DIR *d = opendir(a);
    assert_non_null(d);
    assert_int_equal(folder_files(a), folder_files(b));
    for (struct dirent *entry; (entry = readdir(d));) {
        size_t n = 0, m = 0;
        if (entry->d_name[0] == '.')
            continue;
        char *x = folder_get(a, entry->d_name, &n), *y = folder_get(b, entry->d_name, &m);
        if (n != m || memcmp(x, y, n) != 0)
            fail_msg("%s differs", entry->d_name);
        free(y);
        free(x);
    }
    closedir(d);
}
