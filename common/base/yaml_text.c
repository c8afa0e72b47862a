#include "base/yaml_text.h"

#include "base/json.h"
#include "base/utf8.h"

/* An implicit key may have 1,024 characters. */
enum { LONGEST_KEY = 1000, STEP = 2 };

/* What YAML wants escaped, and JSON does not: DEL, the second set of control characters, line ends
 * of Unicode, the byte order mark. */
static bool is_unprintable(uint32_t c)
{
    return (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe ||
           c == 0xffff;
}

/* The code point of the character of n bytes at `at`, which is sound. */
static uint32_t code_point(const uint8_t *at, size_t n)
{
    uint32_t c = n == 1 ? at[0] : at[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (at[i] & 0x3f);
    return c;
}

/* A text of JSON is a scalar of YAML, but for characters that YAML does not take as they are. */
void yaml_put_text(struct buf *out, struct str text)
{
    struct buf json = {0};
    json_put_text(&json, text);
    out->failed |= json.failed;
    for (size_t i = 0, n; i < json.len; i += n) {
        n = utf8_length((const char *)json.data + i, json.len - i);
        n = n ? n : 1;
        uint32_t c = code_point(json.data + i, n);
        if (is_unprintable(c))
            buf_printf(out, "\\u%04x", c);
        else
            buf_put(out, json.data + i, n);
    }
    buf_free(&json);
}

static void put_indent(struct buf *out, int indent)
{
    for (int i = 0; i < indent; i++)
        buf_put_u8(out, ' ');
}

/* What stands behind "key:" or "-". */
static void put_value(struct buf *out, const struct yaml_node *n, int indent)
{
    if (n->type == YAML_TEXT) {
        buf_put_u8(out, ' ');
        yaml_put_text(out, str_of(n->text));
        buf_put_u8(out, '\n');
        return;
    }
    if (n->count == 0) {
        buf_put_text(out, n->type == YAML_LIST ? " []\n" : " {}\n");
        return;
    }
    buf_put_u8(out, '\n');
    for (size_t i = 0; i < n->count; i++) {
        if (n->type == YAML_MAP) {
            yaml_put_pair(out, n->pairs[i].key, n->pairs[i].value, indent + STEP);
            continue;
        }
        put_indent(out, indent + STEP);
        buf_put_u8(out, '-');
        put_value(out, n->items[i], indent + STEP);
    }
}

void yaml_put_pair(struct buf *out, const char *key, const struct yaml_node *value, int indent)
{
    size_t start = out->len;
    put_indent(out, indent);
    yaml_put_text(out, str_of(key));
    if (out->len - start > LONGEST_KEY) {
        out->len = start;
        put_indent(out, indent);
        buf_put_text(out, "? ");
        yaml_put_text(out, str_of(key));
        buf_put_u8(out, '\n');
        put_indent(out, indent);
    }
    buf_put_u8(out, ':');
    put_value(out, value, indent);
}
