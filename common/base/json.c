#include "base/json.h"

#include "base/number.h"
#include "base/utf8.h"

void json_put_number(struct buf *b, double number)
{
    char text[NUMBER_TEXT_BYTES];
    buf_put(b, text, number_text(text, number));
}

static void put_escaped(struct buf *b, uint8_t c)
{
    static const char short_forms[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    for (const char *s = short_forms; *s; s += 2) {
        if ((uint8_t)*s == c) {
            buf_put_u8(b, '\\');
            buf_put_u8(b, (uint8_t)s[1]);
            return;
        }
    }
    buf_printf(b, "\\u%04x", c);
}

static bool is_plain(char c)
{
    return (uint8_t)c >= 0x20 && (uint8_t)c < 0x80 && c != '"' && c != '\\';
}

void json_put_text(struct buf *b, struct str text)
{
    buf_put_u8(b, '"');
    for (size_t i = 0; i < text.len;) {
        size_t start = i;
        while (i < text.len && is_plain(text.data[i]))
            i++;
        if (i > start) {
            buf_put(b, text.data + start, i - start);
            continue;
        }
        uint8_t c = (uint8_t)text.data[i];
        size_t n = utf8_length(text.data + i, text.len - i);
        if (n == 0) {
            buf_put_text(b, "\xef\xbf\xbd");
            n = 1;
        } else if (c < 0x20 || c == '"' || c == '\\') {
            put_escaped(b, c);
        } else {
            buf_put(b, text.data + i, n);
        }
        i += n;
    }
    buf_put_u8(b, '"');
}

void json_put_bytes(struct buf *b, struct str bytes)
{
    buf_put_u8(b, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = (uint8_t)bytes.data[i];
        if (c == '"' || c == '\\')
            buf_put_u8(b, '\\');
        if (c < 0x20 || c >= 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_put_u8(b, c);
    }
    buf_put_u8(b, '"');
}
