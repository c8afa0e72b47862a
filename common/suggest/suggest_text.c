#include "suggest/suggest_text.h"

#include "base/utf8.h"
#include "base/yaml_text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

enum { LONGEST_WORD = 24, LONGEST_PLAIN = 60, FLAG_TAKEN = 1 };

void draft_start(struct draft *d, struct buf *out)
{
    *d = (struct draft){.out = out, .names = table_new()};
    d->failed = !d->names;
}

void draft_free(struct draft *d)
{
    table_free(d->names);
}

/* ---- Names ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Words of YAML 1.1 that other readers take for truth values or nothing. */
static bool is_special(struct str text)
{
    static const char *const special[] = {"null", "true", "false", "yes", "no",
                                          "on",   "off",  "y",     "n"};
    char lower[8];
    if (text.len >= sizeof lower)
        return false;
    for (size_t i = 0; i < text.len; i++)
        lower[i] = (char)tolower((unsigned char)text.data[i]);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (str_is(str_bytes(lower, text.len), special[i]))
            return true;
    return false;
}

/* Letters, digits and single underscores between them. */
static size_t put_word(char *name, size_t len, struct str word)
{
    size_t end = len + LONGEST_WORD;
    if (len > 0)
        name[len++] = '_';
    for (size_t i = 0; i < word.len && len < end; i++) {
        char c = is_word(word.data[i]) ? (char)tolower((unsigned char)word.data[i]) : '_';
        if (c != '_' || (len > 0 && name[len - 1] != '_'))
            name[len++] = c;
    }
    while (len > 0 && name[len - 1] == '_')
        len--;
    return len;
}

/* Whether the name, or it with a window behind, is that of another feature or value. */
static bool is_free(const struct draft *d, const char *name)
{
    if (table_find(d->names, str_of(name)) != TABLE_NONE)
        return false;
    for (size_t i = 0; suggest_usual_window(i).text; i++) {
        char value[SUGGESTED_NAME_BYTES + 8];
        snprintf(value, sizeof value, "%s_%s", name, suggest_usual_window(i).text);
        if (table_find(d->names, str_of(value)) != TABLE_NONE)
            return false;
    }
    return true;
}

static void take_name(struct draft *d, const char *name)
{
    d->failed |= table_insert(d->names, str_of(name)) == TABLE_NONE;
    for (size_t i = 0; suggest_usual_window(i).text; i++) {
        char value[SUGGESTED_NAME_BYTES + 8];
        snprintf(value, sizeof value, "%s_%s", name, suggest_usual_window(i).text);
        d->failed |= table_insert(d->names, str_of(value)) == TABLE_NONE;
    }
}

void draft_name(struct draft *d, char name[SUGGESTED_NAME_BYTES], const struct str *words)
{
    size_t len = 0;
    name[0] = '\0';
    for (; words->data && len + LONGEST_WORD + 8 < SUGGESTED_NAME_BYTES; words++)
        len = put_word(name, len, *words);
    if (len == 0 || (name[0] >= '0' && name[0] <= '9') || is_special(str_bytes(name, len))) {
        memmove(name + 2, name, len);
        memcpy(name, len ? "n_" : "nn", 2);
        len += 2;
    }
    name[len] = '\0';
    if (d->failed)
        return;
    for (int n = 2; !is_free(d, name); n++)
        snprintf(name + len, SUGGESTED_NAME_BYTES - len, "_%d", n);
    take_name(d, name);
}

/* ---- Scalars ---- */

/* Starts with a letter; `user*proposition.genres` is plain too. */
static bool is_plain(struct str text)
{
    if (text.len == 0 || text.len > LONGEST_PLAIN || !is_word(text.data[0]) ||
        (text.data[0] >= '0' && text.data[0] <= '9') || is_special(text))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_word(text.data[i]) && !strchr(".*-", text.data[i]))
            return false;
    return true;
}

void draft_scalar(struct buf *out, struct str text)
{
    if (is_plain(text))
        buf_put_str(out, text);
    else
        yaml_put_text(out, text);
}

void draft_windows(struct buf *out, const struct suggested_windows *w)
{
    for (size_t i = 0; i < w->count; i++)
        buf_printf(out, "%s%s", i ? ", " : "[", w->items[i].text);
    buf_put_u8(out, ']');
}

/* ---- Lines ---- */

void draft_comment(struct draft *d, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_printf(d->out, "  # %s\n", text);
}

const char *draft_quoted(struct draft *d, char text[QUOTED_BYTES], struct str name)
{
    enum { LONGEST_QUOTED = 48 };
    struct buf b = {0};
    size_t len = name.len;
    if (len > LONGEST_QUOTED) /* not in the middle of a character */
        for (len = LONGEST_QUOTED; len > 0 && ((unsigned char)name.data[len] & 0xc0) == 0x80;)
            len--;
    draft_scalar(&b, str_bytes(name.data, len));
    /* Escapes make it longer than it was. */
    size_t most = b.len < QUOTED_BYTES - 4 ? b.len : QUOTED_BYTES - 4;
    while (most < b.len && most > 0 && (b.data[most] & 0xc0) == 0x80)
        most--;
    snprintf(text, QUOTED_BYTES, "%.*s%s", (int)most, b.data ? (const char *)b.data : "",
             len < name.len || most < b.len ? "..." : "");
    d->failed |= b.failed;
    buf_free(&b);
    return text;
}

const char *draft_thousands(char text[THOUSANDS_BYTES], uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t out = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            text[out++] = ',';
        text[out++] = digits[i];
    }
    text[out] = '\0';
    return text;
}

void draft_feature(struct draft *d, bool commented_out, const char *name, const struct buf *scope,
                   const char *kind, const struct buf *parameters)
{
    buf_printf(d->out, "  %s- {name: %s, scope: %.*s, %s: {%.*s}}\n", commented_out ? "# " : "",
               name, STR_ARG(buf_str(scope)), kind, STR_ARG(buf_str(parameters)));
    d->out->failed |= scope->failed || parameters->failed;
    d->features += !commented_out;
}
