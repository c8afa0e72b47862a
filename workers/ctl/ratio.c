#include "ctl/ratio.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int ratio_init(struct ratio *r, uint32_t users, struct err *e)
{
    *r = (struct ratio){
        .x = calloc(users, sizeof *r->x), .y = calloc(users, sizeof *r->y), .count = users};
    if (r->x && r->y)
        return 0;
    ratio_free(r);
    return err_nomem(e);
}

void ratio_free(struct ratio *r)
{
    free(r->x);
    free(r->y);
    *r = (struct ratio){0};
}

void ratio_clear(struct ratio *r)
{
    double *x = r->x, *y = r->y;
    uint32_t count = r->count;
    memset(x, 0, count * sizeof *x);
    memset(y, 0, count * sizeof *y);
    *r = (struct ratio){.x = x, .y = y, .count = count};
}

void ratio_add(struct ratio *r, uint32_t user, double x, double y)
{
    double *at_x = &r->x[user], *at_y = &r->y[user];
    r->seen += *at_y == 0;
    r->xx -= *at_x * *at_x;
    r->xy -= *at_x * *at_y;
    r->yy -= *at_y * *at_y;
    *at_x += x;
    *at_y += y;
    r->xx += *at_x * *at_x;
    r->xy += *at_x * *at_y;
    r->yy += *at_y * *at_y;
    r->sum_x += x;
    r->sum_y += y;
}

struct ratio_value ratio_value(const struct ratio *r)
{
    struct ratio_value v = {NAN, NAN};
    if (r->seen == 0)
        return v;
    v.value = r->sum_x / r->sum_y;
    if (r->seen < 2)
        return v;
    double squares = r->xx - 2 * v.value * r->xy + v.value * v.value * r->yy, n = r->seen;
    v.error = sqrt(fmax(squares, 0) * n / (n - 1)) / r->sum_y;
    return v;
}
