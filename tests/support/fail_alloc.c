#include "support/fail_alloc.h"

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

static bool fails(void)
{
    if (!left || --left)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = __wrap_malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}
