/* Which columns matter, as bars; how, as a dot for each row of the sample. */
#include "report/report_pictures.h"

#include "report/report_svg.h"
#include "report/report_words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COLUMN_HEIGHT = 20,
    COLUMNS_DRAWN = 20,
    COLUMN_CHARACTERS = 19,
    COLUMN_NAMES = 150,
    SWARM_HEIGHT = 26,
    SWARM_COLUMNS = 15,
    SWARM_ROWS = 400, /* of the sample, at even steps */
    SWARM_COLOURS = 7,
    SWARM_MISSING = SWARM_COLOURS, /* a colour of its own */
};

/* Dots are this far apart where several fall together, and no further from the middle. */
static const double SWARM_STEP = 1.7, SWARM_MOST = 10.5, SWARM_BIN = 3;

static void column_name(struct svg *s, const struct report *r, size_t i, double y)
{
    struct buf text = {0};
    report_put_name(&text, report_column_name(r, r->columns[i].column), COLUMN_CHARACTERS);
    svg_text(s, s->left - 8, y + 4, "end", "", buf_str(&text));
    s->out->failed |= text.failed;
    buf_free(&text);
}

void picture_importance(struct buf *out, const struct report *r)
{
    struct svg s;
    size_t count = r->column_count < COLUMNS_DRAWN ? r->column_count : COLUMNS_DRAWN;
    svg_start(&s, out, "importance", "Importance: mean |contribution| of each column",
              "The longer the bar, the more the column moves the score. The numbers are in the "
              "table below.",
              (double)count * COLUMN_HEIGHT + 56);
    s.left = COLUMN_NAMES;
    s.top = 10;
    svg_range(&s, 0, r->columns[0].importance * 1.04, 0, 1);
    svg_x_axis(&s, "mean |contribution| to the margin");
    for (size_t i = 0; i < count; i++) {
        double y = s.top + COLUMN_HEIGHT * ((double)i + 0.5);
        column_name(&s, r, i, y);
        svg_rect(&s, s.left, y - 6, svg_x(&s, r->columns[i].importance) - s.left, 12, "model");
    }
    svg_end(&s);
}

/* ---- Contributions ---- */

struct swarm_dot {
    double value, x, y;
    uint8_t colour;
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct swarm_dot *)a)->value, y = ((const struct swarm_dot *)b)->value;
    if (isnan(x) || isnan(y))
        return (isnan(x) != 0) - (isnan(y) != 0);
    return (x > y) - (x < y);
}

/* The colour says where the value stands among the others of its column: equal ones are of one
 * colour, the middle of their places. */
static void colour_dots(struct swarm_dot *dots, size_t count)
{
    qsort(dots, count, sizeof *dots, by_value);
    size_t known = count;
    while (known && isnan(dots[known - 1].value))
        dots[--known].colour = SWARM_MISSING;
    for (size_t i = 0, end; i < known; i = end) {
        for (end = i; end < known && dots[end].value == dots[i].value; end++)
            continue;
        double middle = (double)(i + end) / 2 / (double)known;
        for (size_t j = i; j < end; j++)
            dots[j].colour = (uint8_t)fmin(middle * SWARM_COLOURS, SWARM_COLOURS - 1);
    }
}

static int by_place(const void *a, const void *b)
{
    double x = ((const struct swarm_dot *)a)->x, y = ((const struct swarm_dot *)b)->x;
    return (x > y) - (x < y);
}

/* Dots at about the same place go up and down in turn. */
static void spread_dots(struct swarm_dot *dots, size_t count, double middle)
{
    qsort(dots, count, sizeof *dots, by_place);
    for (size_t i = 0, end; i < count; i = end) {
        double bin = floor(dots[i].x / SWARM_BIN);
        for (end = i; end < count && floor(dots[end].x / SWARM_BIN) == bin; end++)
            continue;
        double most = SWARM_STEP * (double)((end - i) / 2);
        double step = most > SWARM_MOST ? SWARM_STEP * SWARM_MOST / most : SWARM_STEP;
        for (size_t j = i; j < end; j++) {
            double away = step * (double)((j - i + 1) / 2);
            dots[j].y = middle + ((j - i) % 2 ? away : -away);
        }
    }
}

/* Dots of a colour are one path: lines of no length with round ends. */
static void draw_dots(struct svg *s, const struct swarm_dot *dots, size_t count)
{
    for (int colour = SWARM_MISSING; colour >= 0; colour--) {
        bool any = false;
        for (size_t i = 0; i < count; i++) {
            if (dots[i].colour != colour)
                continue;
            if (!any)
                svg_path_start(s);
            svg_path_to(s, dots[i].x, dots[i].y, true);
            buf_put_text(s->out, "h0");
            any = true;
        }
        if (any) {
            char class[32];
            snprintf(class, sizeof class, "swarm s%d", colour);
            svg_path_end(s, class, false);
        }
    }
}

static void swarm_row(struct svg *s, const struct report *r, size_t i, struct swarm_dot *dots)
{
    const struct report_sample *x = &r->data.sample;
    size_t count = x->rows < SWARM_ROWS ? x->rows : SWARM_ROWS, column = r->columns[i].column;
    double y = s->top + SWARM_HEIGHT * ((double)i + 0.5);
    for (size_t j = 0; j < count; j++) {
        size_t row = j * x->rows / count;
        double c = (double)x->contributions[row * (x->columns + 1) + column];
        c = fmin(fmax(c, s->x_low), s->x_high);
        dots[j] = (struct swarm_dot){.value = (double)x->values[row * x->columns + column],
                                     .x = nearbyint(svg_x(s, c) * 2) / 2};
    }
    colour_dots(dots, count);
    spread_dots(dots, count, y);
    column_name(s, r, i, y);
    draw_dots(s, dots, count);
}

static int number_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle 99.8 % of the contributions that are drawn: single ones far out would press all others
 * together; they lie at the edge. False if memory could not be had. */
static bool swarm_range(struct svg *s, const struct report *r, size_t columns)
{
    const struct report_sample *x = &r->data.sample;
    size_t count = x->rows < SWARM_ROWS ? x->rows : SWARM_ROWS, n = 0;
    double *all = malloc((columns * count + 1) * sizeof *all);
    if (!all)
        return false;
    for (size_t i = 0; i < columns; i++)
        for (size_t j = 0; j < count; j++)
            all[n++] =
                (double)
                    x->contributions[j * x->rows / count * (x->columns + 1) + r->columns[i].column];
    qsort(all, n, sizeof *all, number_order);
    double low = fmin(all[n / 1000], 0), high = fmax(all[n - 1 - n / 1000], 0);
    double margin = (high - low) * 0.03;
    svg_range(s, low - margin, high + margin, 0, 1);
    free(all);
    return true;
}

/* Colours from low to high, with words at both ends. */
static void swarm_key(struct svg *s)
{
    char class[32];
    double x = s->right - 150;
    svg_text(s, x - 6, 16, "end", "", str_of("value: low"));
    for (int i = 0; i < SWARM_COLOURS; i++, x += 10) {
        snprintf(class, sizeof class, "k s%d", i);
        svg_rect(s, x, 9, 10, 8, class);
    }
    svg_text(s, x + 6, 16, "start", "", str_of("high"));
    svg_rect(s, x + 40, 9, 8, 8, "k s7");
    svg_text(s, x + 51, 16, "start", "", str_of("none"));
}

void picture_contributions(struct buf *out, const struct report *r)
{
    struct svg s;
    size_t columns = r->column_count < SWARM_COLUMNS ? r->column_count : SWARM_COLUMNS;
    struct swarm_dot *dots = malloc(SWARM_ROWS * sizeof *dots);
    svg_start(&s, out, "contributions", "Contributions: what each column did to single scores",
              "A dot for each row of a sample: to the right, the column raised the score; the "
              "colour says whether its value was low or high.",
              (double)columns * SWARM_HEIGHT + 68);
    s.left = COLUMN_NAMES;
    s.top = 24;
    if (!dots || !swarm_range(&s, r, columns)) {
        out->failed = true;
    } else {
        swarm_key(&s);
        svg_x_axis(&s, "contribution to the margin");
        svg_line(&s, svg_x(&s, 0), s.top, svg_x(&s, 0), s.bottom, "all");
        for (size_t i = 0; i < columns; i++)
            swarm_row(&s, r, i, dots);
    }
    svg_end(&s);
    free(dots);
}
