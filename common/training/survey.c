#include "training/survey.h"

#include <math.h>
#include <stdlib.h>

static void look_at(struct survey_column *c, float x)
{
    if (isnan(x)) {
        c->missing++;
        return;
    }
    c->infinite += isinf(x) != 0;
    c->least = x < c->least ? x : c->least;
    c->most = x > c->most ? x : c->most;
}

static int read_all(struct survey *s, struct labelled *l, struct err *e)
{
    float *values;
    size_t count;
    int rc;
    while (!(rc = labelled_next(l, &values, &count, e)) && count) {
        for (size_t i = 0; i < count * s->count; i++)
            look_at(&s->columns[i % s->count], values[i]);
        s->rows += count;
    }
    return rc;
}

static void judge(struct survey *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct survey_column *c = &s->columns[i];
        /* One value beside missing ones tells rows apart. */
        c->use = c->missing == s->rows                  ? SURVEY_MISSING
                 : !c->missing && !(c->least < c->most) ? SURVEY_CONSTANT
                                                        : SURVEY_USED;
        if (c->use == SURVEY_USED)
            s->used[s->used_count++] = i;
    }
}

int survey_make(struct survey *out, struct set *set, size_t first, size_t count, struct err *e)
{
    size_t n = set_info(set)->columns.count;
    struct labelled *l = NULL;
    *out = (struct survey){.count = n};
    out->columns = calloc(n + 1, sizeof *out->columns);
    out->used = calloc(n + 1, sizeof *out->used);
    if (!out->columns || !out->used)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++) {
        out->used[i] = i; /* until it is known, all */
        out->columns[i].least = INFINITY;
        out->columns[i].most = -INFINITY;
    }
    struct labelled_opts opts = {
        .set = set, .first = first, .count = count, .columns = out->used, .column_count = n};
    int rc = labelled_new(&l, &opts, e);
    if (!rc)
        rc = read_all(out, l, e);
    labelled_free(l);
    if (rc)
        return rc;
    judge(out);
    if (!out->used_count)
        return err_set(e, ERR_INVALID,
                       "none of %zu columns tells rows apart (%llu rows; all are constant or "
                       "without a value): see that the definitions fit the events",
                       n, (unsigned long long)out->rows);
    return 0;
}

void survey_free(struct survey *s)
{
    free(s->columns);
    free(s->used);
    *s = (struct survey){0};
}
