/* Which columns matter, and how: from contributions on a sample of rows. */
#include "report/report_words.h"

#include <math.h>
#include <stdlib.h>

static int most_important_first(const void *a, const void *b)
{
    const struct report_column *x = a, *y = b;
    if (x->importance != y->importance)
        return x->importance < y->importance ? 1 : -1;
    return (x->column > y->column) - (x->column < y->column);
}

/* Pearson's correlation over rows where the value is there. */
static double correlation(const struct report_sample *s, size_t column)
{
    double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int round = 0; round < 2; round++) {
        double mean_x = n > 0 ? x / n : 0, mean_y = n > 0 ? y / n : 0;
        for (size_t row = 0; row < s->rows; row++) {
            double value = (double)s->values[row * s->columns + column];
            double contribution = (double)s->contributions[row * (s->columns + 1) + column];
            if (!isfinite(value))
                continue;
            if (round == 0) {
                n++;
                x += value;
                y += contribution;
                continue;
            }
            xx += (value - mean_x) * (value - mean_x);
            yy += (contribution - mean_y) * (contribution - mean_y);
            xy += (value - mean_x) * (contribution - mean_y);
        }
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

static void measure_column(struct report_column *c, const struct report_sample *s)
{
    double sum = 0;
    uint64_t missing = 0;
    for (size_t row = 0; row < s->rows; row++) {
        sum += fabs((double)s->contributions[row * (s->columns + 1) + c->column]);
        missing += isnan(s->values[row * s->columns + c->column]) ? 1 : 0;
    }
    c->importance = sum / (double)s->rows;
    c->missing = (double)missing / (double)s->rows;
    c->direction = correlation(s, c->column);
}

struct str report_column_name(const struct report *r, uint32_t column)
{
    const struct str_list *all = &r->data.info->columns;
    if (r->data.sample.names)
        return r->data.sample.names[column];
    return column < all->count ? all->items[column] : str_of("?");
}

int report_columns_make(struct report *r, struct err *e)
{
    const struct report_sample *s = &r->data.sample;
    double all = 0;
    if (!s->rows || !s->columns || !s->values || !s->contributions)
        return 0;
    r->columns = report_alloc(r, s->columns, sizeof *r->columns);
    if (!r->columns)
        return err_nomem(e);
    r->column_count = s->columns;
    for (size_t i = 0; i < s->columns; i++) {
        r->columns[i].column = (uint32_t)i;
        measure_column(&r->columns[i], s);
        all += r->columns[i].importance;
    }
    for (size_t i = 0; i < s->columns; i++)
        r->columns[i].share = all > 0 ? r->columns[i].importance / all : 0;
    qsort(r->columns, r->column_count, sizeof *r->columns, most_important_first);
    return 0;
}
