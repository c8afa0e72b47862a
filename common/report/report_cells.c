/* Tables of the page, and what stands in their cells. */
#include "report/report_page.h"
#include "report/report_svg.h"
#include "report/report_words.h"

#include <math.h>

enum { CELL_MOST = 80, TEXT_MOST = 400 };

void page_table_begin(struct buf *out, const char *what, const char *headings)
{
    bool any = *headings;
    buf_put_text(out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"");
    html_put(out, str_of(what), false);
    buf_put_text(out, *headings ? "\"><table><thead><tr>" : "\"><table>");
    while (*headings) {
        size_t n = strcspn(headings, ",");
        bool number = *headings == '>';
        buf_put_text(out, number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
        html_put(out, (struct str){headings + number, n - number}, false);
        buf_put_text(out, "</th>");
        headings += n + (headings[n] == ',');
    }
    buf_put_text(out, any ? "</tr></thead><tbody>\n" : "<tbody>\n");
}

void page_table_end(struct buf *out)
{
    buf_put_text(out, "</tbody></table></div>\n");
}

static void put_safe(struct buf *out, struct str text, size_t most)
{
    struct buf name = {0};
    report_put_name(&name, text, most);
    html_put(out, buf_str(&name), false);
    out->failed |= name.failed;
    buf_free(&name);
}

void page_cell_name(struct buf *out, struct str name)
{
    buf_put_text(out, "<th scope=\"row\">");
    put_safe(out, name, CELL_MOST);
    buf_put_text(out, "</th>");
}

void page_cell_text(struct buf *out, struct str text)
{
    buf_put_text(out, "<td class=\"long\">");
    put_safe(out, text, TEXT_MOST);
    buf_put_text(out, "</td>");
}

void page_cell_number(struct buf *out, double v)
{
    buf_put_text(out, "<td class=\"n\">");
    report_put_number(out, v);
    buf_put_text(out, "</td>");
}

void page_cell_count(struct buf *out, uint64_t n)
{
    buf_put_text(out, "<td class=\"n\">");
    report_put_count(out, n);
    buf_put_text(out, "</td>");
}

static void put_below(struct buf *out, struct metric_value v, bool with_sign)
{
    if (isnan(v.value) || isnan(v.low) || isnan(v.high) || v.low == v.high)
        return;
    buf_put_text(out, "<small>");
    report_put_interval(out, v, with_sign);
    buf_put_text(out, "</small>");
}

void page_cell_value(struct buf *out, struct metric_value v)
{
    buf_put_text(out, "<td class=\"n\">");
    report_put_number(out, v.value);
    put_below(out, v, false);
    buf_put_text(out, "</td>");
}

void page_cell_difference(struct buf *out, struct metric_value v, int sign)
{
    const char *class = sign * v.low > 0 && sign * v.high > 0   ? " good"
                        : sign * v.low < 0 && sign * v.high < 0 ? " bad"
                                                                : "";
    struct metric_value alone = {v.value, NAN, NAN};
    buf_printf(out, "<td class=\"n%s\">", class);
    report_put_difference(out, alone);
    put_below(out, v, true);
    buf_put_text(out, "</td>");
}
