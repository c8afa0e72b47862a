#include "fuzz.h"

#include <malloc.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ADDRESS_SANITIZER
#endif
#ifdef ADDRESS_SANITIZER
/* Its header comes with clang only. */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

struct str fuzz_piece(struct str *rest)
{
    if (!rest->data)
        return *rest;
    const char *end = rest->len ? memchr(rest->data, 0, rest->len) : NULL;
    struct str piece = {rest->data, end ? (size_t)(end - rest->data) : rest->len};
    *rest = end ? (struct str){end + 1, rest->len - piece.len - 1} : (struct str){0};
    return piece;
}

char *fuzz_exact(struct str piece)
{
    char *copy = malloc(piece.len ? piece.len : 1);
    assert(copy);
    if (piece.len)
        memcpy(copy, piece.data, piece.len);
    return copy;
}

char *fuzz_text(struct str piece)
{
    char *copy = malloc(piece.len + 1);
    assert(copy);
    if (piece.len)
        memcpy(copy, piece.data, piece.len);
    copy[piece.len] = 0;
    return copy;
}

bool fuzz_succeeded(int rc, const struct err *e)
{
    if (rc == 0)
        return true;
    assert(e->code == rc);
    assert(*e->msg);
    assert(rc != ERR_NOMEM); /* so much is there, within the stated limits */
    return false;
}

size_t fuzz_memory(void)
{
#ifdef ADDRESS_SANITIZER
    return __sanitizer_get_current_allocated_bytes();
#else
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
#endif
}
