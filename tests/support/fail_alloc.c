#include "support/fail_alloc.h"

#include "support/alloc_paths.h"

#include <stddef.h>
#include <string.h>

/* The linker's --wrap gives these names. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);

static int left; /* allocations until the one that fails; 0: none does */
static bool failed;

void fail_alloc_at(int n)
{
    left = n;
    failed = false;
}

bool fail_alloc_end(void)
{
    left = 0;
    return failed;
}

static bool fails(void *const *frame, void *caller)
{
    if (alloc_path_fails(frame, caller))
        return true;
    if (!left || --left)
        return false;
    failed = true;
    return true;
}

/* Of the function that uses it. */
#define FAILS() fails(__builtin_frame_address(0), __builtin_return_address(0))

void *__wrap_malloc(size_t n)
{
    return FAILS() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return FAILS() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return FAILS() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = FAILS() ? NULL : __real_malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}
