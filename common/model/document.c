#include "model/document.h"

#include "serde/json_text.h"

#include <math.h>
#include <stdlib.h>

int document_open(struct document *d, struct str bytes, struct err *e)
{
    *d = (struct document){.reading = {.e = e}};
    struct reading *r = &d->reading;
    r->start = r->at = (const uint8_t *)(bytes.len ? bytes.data : "");
    r->end = r->at + bytes.len;
    r->arena = &d->arena;
    r->memory_left = bytes.len;
    uint8_t first = json_peek(r);
    uint8_t second = reading_left(r) > 1 ? r->at[1] : 0;
    if (first != '{')
        return document_fail(d, ERR_CORRUPT, "neither UBJ nor JSON of a model begins like this");
    /* A key of UBJ begins with the type of its length, one of JSON with a quote. */
    d->is_ubj = second && strchr("iUIlL", second);
    return 0;
}

void document_close(struct document *d)
{
    arena_free(&d->arena);
}

int document_fail(struct document *d, int code, const char *what)
{
    return reading_fail(&d->reading, code, what);
}

int document_array(struct document *d, struct document_list *list)
{
    *list = (struct document_list){0};
    if (d->is_ubj)
        return ubj_open_array(&d->reading, &list->ubj);
    if (json_peek(&d->reading) != '[')
        return document_fail(d, ERR_CORRUPT, "an array is wanted here");
    return reading_enter(&d->reading);
}

int document_object(struct document *d, struct document_list *list)
{
    *list = (struct document_list){0};
    if (d->is_ubj)
        return ubj_open_object(&d->reading, &list->ubj);
    if (json_peek(&d->reading) != '{')
        return document_fail(d, ERR_CORRUPT, "an object is wanted here");
    return reading_enter(&d->reading);
}

/* The brackets and commas between the items of a list of JSON. */
static int json_more(struct document *d, struct document_list *list, char open, bool *more)
{
    int rc = json_next(&d->reading, open, !list->is_begun, more);
    list->is_begun = true;
    d->reading.depth -= !rc && !*more;
    return rc;
}

int document_next(struct document *d, struct document_list *list, bool *more)
{
    if (!d->is_ubj)
        return json_more(d, list, '[', more);
    int rc = ubj_next_item(&d->reading, &list->ubj, more);
    d->item_type = *more ? list->ubj.type : 0;
    return rc;
}

int document_key(struct document *d, struct document_list *list, struct str *key, bool *more)
{
    struct reading *r = &d->reading;
    int rc = d->is_ubj ? ubj_next_key(r, &list->ubj, key, more) : json_more(d, list, '{', more);
    if (rc || !*more)
        return rc;
    if (!d->is_ubj && !(rc = json_text(r, key)))
        rc = json_expect(r, ':');
    if (!rc)
        r->path[r->depth] = *key;
    return rc;
}

int document_text(struct document *d, struct str *out)
{
    return d->is_ubj ? ubj_text(&d->reading, out) : json_text(&d->reading, out);
}

int document_integer(struct document *d, int64_t *out)
{
    struct reading *r = &d->reading;
    struct json_number number;
    if (d->is_ubj)
        return ubj_integer(r, d->item_type, out);
    uint8_t first = json_peek(r);
    if (first == 't' || first == 'f') {
        *out = first == 't';
        return json_word(r, *out ? "true" : "false");
    }
    int rc = json_number(r, &number);
    if (!rc && !number.is_whole)
        rc = document_fail(d, ERR_CORRUPT, "an integer is wanted here");
    *out = rc ? 0 : number.whole;
    return rc;
}

/* Whether a word that stands for no finite number is next; passes over it. */
static bool take_word(struct reading *r, float *out)
{
    static const struct {
        const char *text;
        float value;
    } words[] = {{"Infinity", INFINITY}, {"-Infinity", -INFINITY}, {"NaN", NAN}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].text);
        if (reading_left(r) >= n && memcmp(r->at, words[i].text, n) == 0) {
            r->at += n;
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

/* A double between would round twice: what lies next to the middle of two floats could come out as
 * the wrong one of them. */
static int json_float(struct document *d, float *out)
{
    struct reading *r = &d->reading;
    struct json_number number;
    char text[64];
    json_peek(r);
    if (take_word(r, out))
        return 0;
    const uint8_t *start = r->at;
    int rc = json_number(r, &number);
    size_t n = (size_t)(r->at - start);
    if (rc)
        return rc;
    if (n >= sizeof text)
        return document_fail(d, ERR_CORRUPT, "a number has more digits than any float");
    memcpy(text, start, n);
    text[n] = 0;
    *out = strtof(text, NULL);
    return 0;
}

int document_float(struct document *d, float *out)
{
    return d->is_ubj ? ubj_float(&d->reading, d->item_type, out) : json_float(d, out);
}

int document_skip(struct document *d)
{
    return d->is_ubj ? ubj_skip(&d->reading, d->item_type) : json_skip(&d->reading);
}

bool document_is_over(struct document *d)
{
    json_peek(&d->reading);
    return d->reading.at == d->reading.end;
}
