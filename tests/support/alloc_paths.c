#include "support/alloc_paths.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    DEPTH = 10,      /* calls of a path */
    KNOWN = 1 << 16, /* room for paths; a test has a few hundred */
};

/* The linker's: where the program and its code begin and end. */
extern const char __executable_start[], etext[];

static struct {
    int file; /* -1: nobody asks */
    uint64_t failing;
    bool rest_fails;
    atomic_bool failed;
    pthread_mutex_t lock;
    uint64_t known[KNOWN];
} paths = {.file = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

__attribute__((constructor)) static void read_environment(void)
{
    const char *list = getenv("ALLOC_PATHS"), *failing = getenv("ALLOC_FAILS");
    if (list)
        paths.file = open(list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (failing)
        paths.failing = strtoull(failing, NULL, 16);
    paths.rest_fails = getenv("ALLOC_REST");
}

static bool is_own_code(uintptr_t address)
{
    return address >= (uintptr_t)__executable_start && address < (uintptr_t)etext;
}

/* Where the stack of this thread ends: a library's frame may leave anything where its caller's
 * frame should be. */
static uintptr_t stack_end(void)
{
    static _Thread_local uintptr_t end;
    pthread_attr_t attributes;
    void *start;
    size_t size;
    if (!end && pthread_getattr_np(pthread_self(), &attributes) == 0) {
        if (pthread_attr_getstack(&attributes, &start, &size) == 0)
            end = (uintptr_t)start + size;
        pthread_attr_destroy(&attributes);
    }
    return end;
}

/* Follows the frame pointers for as long as the code is the project's. */
__attribute__((no_sanitize("address"))) static int trace(uintptr_t *path, void *const *frame,
                                                         void *caller)
{
    uintptr_t end = stack_end(), at = (uintptr_t)caller;
    int n = 0;
    while (n < DEPTH && is_own_code(at)) {
        path[n++] = at - (uintptr_t)__executable_start;
        void *const *next = frame[0];
        if (next <= frame || (uintptr_t)(next + 2) > end || (uintptr_t)next % sizeof(void *))
            break;
        frame = next;
        at = (uintptr_t)frame[1];
    }
    return n;
}

static uint64_t hash_of(const uintptr_t *path, int n)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (int i = 0; i < n; i++)
        hash = (hash ^ path[i]) * 0x100000001b3 ^ hash >> 29;
    return hash ? hash : 1;
}

/* Whether it is met for the first time; it is known from then on. */
static bool is_new(uint64_t hash)
{
    pthread_mutex_lock(&paths.lock);
    size_t i = hash % KNOWN;
    while (paths.known[i] && paths.known[i] != hash)
        i = (i + 1) % KNOWN;
    bool found = paths.known[i];
    paths.known[i] = hash;
    pthread_mutex_unlock(&paths.lock);
    return !found;
}

static void write_path(uint64_t hash, const uintptr_t *path, int n)
{
    char line[20 * (DEPTH + 1)];
    int length = snprintf(line, sizeof line, "%016llx", (unsigned long long)hash);
    for (int i = 0; i < n; i++)
        length += snprintf(line + length, sizeof line - (size_t)length, " %llx",
                           (unsigned long long)path[i]);
    line[length++] = '\n';
    if (write(paths.file, line, (size_t)length) != length)
        abort();
}

bool alloc_path_fails(void *const *frame, void *caller)
{
    uintptr_t path[DEPTH];
    if (paths.file < 0)
        return false;
    if (paths.failed)
        return paths.rest_fails;
    int n = trace(path, frame, caller);
    uint64_t hash = hash_of(path, n);
    if (!paths.failing && is_new(hash))
        write_path(hash, path, n);
    if (hash != paths.failing || atomic_exchange(&paths.failed, true))
        return false;
    if (write(paths.file, "failed\n", 7) != 7)
        abort();
    return true;
}
