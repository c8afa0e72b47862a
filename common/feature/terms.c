#include "feature/terms.h"

#include <stdlib.h>
#include <utf8proc.h>

static bool is_term_letter(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           category == UTF8PROC_CATEGORY_ND;
}

/* Calls each term, in the order of the text; its bytes are good for the call. False: memory was
 * short, or each said so. */
static bool each_term(struct str text, struct arena *a, bool (*each)(void *arg, struct str term),
                      void *arg)
{
    /* A letter in lower case may be longer than it was: at most 4 bytes for each. */
    char *lower = arena_alloc(a, text.len * 4 + 4);
    size_t n = 0;
    if (!lower)
        return false;
    for (size_t i = 0; i < text.len;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text.data + i,
                                                  (utf8proc_ssize_t)(text.len - i), &c);
        bool letter = bytes > 0 && is_term_letter(c);
        i += bytes > 0 ? (size_t)bytes : 1;
        if (letter)
            n += (size_t)utf8proc_encode_char(utf8proc_tolower(c), (utf8proc_uint8_t *)lower + n);
        if (n && (!letter || i == text.len)) {
            if (!each(arg, str_bytes(lower, n)))
                return false;
            lower += n; /* terms may be kept */
            n = 0;
        }
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Terms as they come; grown by doubling. */
struct collected {
    struct arena *a;
    struct str_list list;
    size_t cap;
};

static bool collect(void *arg, struct str term)
{
    struct collected *c = arg;
    if (c->list.count == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 8;
        struct str *items = arena_alloc(c->a, cap * sizeof *items);
        if (!items)
            return false;
        if (c->list.count)
            memcpy(items, c->list.items, c->list.count * sizeof *items);
        c->list.items = items;
        c->cap = cap;
    }
    c->list.items[c->list.count++] = term;
    return true;
}

bool terms_of(struct str_list *out, struct str text, struct arena *a)
{
    struct collected c = {.a = a};
    *out = (struct str_list){0};
    if (!each_term(text, a, collect, &c))
        return false;
    if (c.list.count)
        qsort(c.list.items, c.list.count, sizeof *c.list.items, compare);
    size_t kept = 0;
    for (size_t i = 0; i < c.list.count; i++)
        if (kept == 0 || !str_equal(c.list.items[kept - 1], c.list.items[i]))
            c.list.items[kept++] = c.list.items[i];
    *out = (struct str_list){c.list.items, kept};
    return true;
}

/* Which of the terms were met. */
struct met {
    struct str_list terms;
    bool *seen;
    size_t count;
};

static bool meet(void *arg, struct str term)
{
    struct met *m = arg;
    const struct str *at =
        m->terms.count ? bsearch(&term, m->terms.items, m->terms.count, sizeof term, compare)
                       : NULL;
    if (at && !m->seen[at - m->terms.items]) {
        m->seen[at - m->terms.items] = true;
        m->count++;
    }
    return true;
}

bool terms_in(size_t *out, struct str_list terms, const struct str *texts, size_t count,
              struct arena *a)
{
    struct met m = {.terms = terms, .seen = arena_alloc(a, terms.count + 1)};
    if (!m.seen)
        return false;
    memset(m.seen, 0, terms.count + 1);
    for (size_t i = 0; i < count; i++)
        if (!each_term(texts[i], a, meet, &m))
            return false;
    *out = m.count;
    return true;
}
