#include "grid.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* Characters, not bytes; a terminal shows most of them in one place. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((uint8_t)*text & 0xc0) != 0x80;
    return n;
}

static void end_cell(struct grid *g, size_t start)
{
    for (size_t i = start; i < g->cells.len; i++)
        if (g->cells.data[i] < 0x20 || g->cells.data[i] == 0x7f)
            g->cells.data[i] = ' ';
    buf_put_u8(&g->cells, 0);
    if (!buf_ok(&g->cells))
        return;
    size_t *width = &g->widths[g->count++ % g->columns];
    size_t n = width_of((const char *)g->cells.data + start);
    *width = n > *width ? n : *width;
}

void grid_start(struct grid *g, const char *headings)
{
    *g = (struct grid){.columns = 1};
    for (const char *c = headings; *c; c++)
        g->columns += *c == ',';
    assert(g->columns <= GRID_COLUMNS);
    for (size_t i = 0; i < g->columns; i++) {
        size_t n = strcspn(headings, ","), start = g->cells.len;
        g->right[i] = *headings == '>';
        buf_put(&g->cells, headings + g->right[i], n - g->right[i]);
        end_cell(g, start);
        headings += n + 1;
    }
}

void grid_put(struct grid *g, const char *format, ...)
{
    char text[512];
    size_t start = g->cells.len;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_put_text(&g->cells, text);
    end_cell(g, start);
}

void grid_end(struct grid *g, struct buf *out)
{
    const char *text = (const char *)g->cells.data;
    for (size_t i = 0; buf_ok(&g->cells) && i < g->count; i++, text += strlen(text) + 1) {
        size_t column = i % g->columns;
        bool last = column + 1 == g->columns;
        int pad = (int)(g->widths[column] - width_of(text));
        buf_printf(out, "%*s%s", g->right[column] ? pad : 0, "", text);
        while (last && out->len && out->data[out->len - 1] == ' ')
            out->len--;
        if (last)
            buf_put_u8(out, '\n');
        else
            buf_printf(out, "%*s", (g->right[column] ? 0 : pad) + 2, "");
    }
    out->failed |= g->cells.failed;
    buf_free(&g->cells);
}

const char *human_count(char text[HUMAN_BYTES], int64_t n)
{
    char digits[HUMAN_BYTES];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < length; i++) {
        text[at++] = digits[i];
        int left = length - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-')
            text[at++] = ',';
    }
    text[at] = 0;
    return text;
}

const char *human_ms(char text[HUMAN_BYTES], int64_t ms)
{
    static const struct {
        int64_t below_ms, unit_ms;
        const char *name;
    } units[] = {{1000, 1, "ms"},
                 {7200000, 60000, "min"},
                 {172800000, 3600000, "h"},
                 {INT64_MAX, 86400000, "d"}};
    int i = 0;
    if (ms >= 1000 && ms < 120000) {
        snprintf(text, HUMAN_BYTES, "%.1f s", (double)ms / 1000);
        return text;
    }
    while (ms >= units[i].below_ms && units[i].below_ms != INT64_MAX)
        i++;
    snprintf(text, HUMAN_BYTES, "%lld %s", (long long)(ms / units[i].unit_ms), units[i].name);
    return text;
}
