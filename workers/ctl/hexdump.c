#include "hexdump.h"

#include <ctype.h>
#include <stdlib.h>

enum { LINE_BYTES = 16, BEGINNING_BYTES = 1024, NEAR_BYTES = 256 };

void hexdump_mark(struct hexdump *h, const char *text)
{
    while (h->mark_count < HEXDUMP_MARKS && (text = strstr(text, "byte "))) {
        text += 5;
        if (isdigit((unsigned char)*text))
            h->marks[h->mark_count++] = strtoul(text, NULL, 10);
    }
}

static bool is_marked(const struct hexdump *h, size_t at)
{
    for (int i = 0; i < h->mark_count; i++)
        if (h->marks[i] == at)
            return true;
    return false;
}

static bool is_shown(const struct hexdump *h, size_t line)
{
    bool shown = h->all || line < BEGINNING_BYTES;
    for (int i = 0; i < h->mark_count; i++)
        shown |= line + NEAR_BYTES >= h->marks[i] && line <= h->marks[i] + NEAR_BYTES;
    return shown;
}

static void print_line(struct buf *out, const struct hexdump *h, struct str bytes, size_t line)
{
    buf_printf(out, "%08zx ", line);
    for (size_t i = line; i < line + LINE_BYTES; i++) {
        bool before = i > line && is_marked(h, i - 1) && i - 1 < bytes.len;
        bool marked = i < bytes.len && is_marked(h, i);
        buf_put_u8(out, marked ? '>' : before ? '<' : ' ');
        if (i < bytes.len)
            buf_printf(out, "%02x", (uint8_t)bytes.data[i]);
        else
            buf_put_text(out, "  ");
    }
    bool last = is_marked(h, line + LINE_BYTES - 1) && line + LINE_BYTES - 1 < bytes.len;
    buf_printf(out, "%s |", last ? "<" : " ");
    for (size_t i = line; i < line + LINE_BYTES && i < bytes.len; i++) {
        uint8_t c = (uint8_t)bytes.data[i];
        buf_put_u8(out, c >= 0x20 && c < 0x7f ? c : '.');
    }
    buf_put_text(out, "|\n");
}

void hexdump_print(struct buf *out, const struct hexdump *h, struct str bytes)
{
    size_t left_out = 0;
    for (size_t line = 0; line < bytes.len; line += LINE_BYTES) {
        size_t n = bytes.len - line < LINE_BYTES ? bytes.len - line : LINE_BYTES;
        bool shown = is_shown(h, line);
        if (!shown)
            left_out += n;
        if (left_out && (shown || line + LINE_BYTES >= bytes.len)) {
            buf_printf(out, "... %zu bytes\n", left_out);
            left_out = 0;
        }
        if (shown)
            print_line(out, h, bytes, line);
    }
    for (int i = 0; i < h->mark_count; i++)
        if (h->marks[i] >= bytes.len)
            buf_printf(out, "byte %zu is behind the last of these %zu bytes\n", h->marks[i],
                       bytes.len);
}
