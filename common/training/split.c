#include "training/split.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

const char *split_part_name(enum split_part part)
{
    static const char *const names[SPLIT_PARTS] = {"train", "validation", "test"};
    return names[part];
}

/* Rows with a label, and those above 0, of a request. */
static void look_at(const struct set_rows *rows, size_t request, uint64_t *labelled,
                    uint64_t *positives)
{
    *labelled = *positives = 0;
    for (uint64_t i = rows->first[request]; i < rows->first[request + 1]; i++) {
        *labelled += isnan(rows->labels[i]) ? 0 : 1;
        *positives += rows->labels[i] > 0 ? 1 : 0;
    }
}

static bool tells(const struct set_rows *rows, size_t request, bool regression)
{
    uint64_t labelled, positives;
    look_at(rows, request, &labelled, &positives);
    return regression ? labelled > 0 : positives > 0;
}

static int check(const struct set_rows *rows, const struct split_opts *o, struct err *e)
{
    if (o->test_from_ms == SPLIT_BY_SHARE && !(o->test_share > 0 && o->test_share < 1))
        return err_set(e, ERR_INVALID, "the share of the test part must be above 0 and below 1");
    if (!(o->validation_share > 0 && o->validation_share < 1))
        return err_set(e, ERR_INVALID,
                       "the share of the validation part must be above 0 and below 1");
    for (size_t i = 1; i < rows->request_count; i++)
        if (rows->timestamps_ms[i] < rows->timestamps_ms[i - 1])
            return err_set(e, ERR_INVALID,
                           "request %zu of the set is older than the one before it: a set is in "
                           "the order of time; make it again",
                           i);
    return 0;
}

/*
 * Where, among requests before `end`, the last `share` of those that tell something begins: between
 * two times, on the side that is nearer to the share.
 */
static size_t cut(const struct set_rows *rows, const uint8_t *telling, size_t end, double share)
{
    size_t count = 0, before = 0, best = 0;
    double distance = INFINITY;
    for (size_t i = 0; i < end; i++)
        count += telling[i];
    double wanted = nearbyint((1 - share) * (double)count);
    for (size_t i = 0; i < end; i++) {
        bool is_edge = i > 0 && rows->timestamps_ms[i] != rows->timestamps_ms[i - 1];
        if (is_edge && fabs((double)before - wanted) < distance) {
            distance = fabs((double)before - wanted);
            best = i;
        }
        before += telling[i];
    }
    return best;
}

static void describe(struct split_range *r, const struct set_rows *rows, const uint8_t *telling)
{
    for (size_t i = r->first; i < r->first + r->count; i++) {
        uint64_t labelled, positives;
        look_at(rows, i, &labelled, &positives);
        r->labelled += labelled;
        r->positives += positives;
        r->telling += telling[i];
    }
    if (r->count) {
        r->from_ms = rows->timestamps_ms[r->first];
        r->to_ms = rows->timestamps_ms[r->first + r->count - 1];
    }
}

static int check_parts(const struct split *s, const struct set_rows *rows, bool regression,
                       struct err *e)
{
    const char *what = regression ? "a label" : "a label above 0";
    size_t telling = 0;
    for (int p = 0; p < SPLIT_PARTS; p++)
        telling += s->parts[p].telling;
    for (int p = 0; p < SPLIT_PARTS; p++) {
        const char *name = split_part_name((enum split_part)p);
        if (s->parts[p].telling)
            continue;
        if (!telling)
            return err_set(e, ERR_INVALID,
                           "of %zu requests none has a row with %s: there is nothing to learn "
                           "from; see that the label rules name the events that count",
                           rows->request_count, what);
        return err_set(e, ERR_INVALID,
                       "cut by time, the %s part has %zu requests and none with %s (of %zu such "
                       "in the set): take events over a longer time, or other shares",
                       name, s->parts[p].count, what, telling);
    }
    return 0;
}

int split_make(struct split *out, const struct set_rows *rows, const struct split_opts *opts,
               struct err *e)
{
    size_t n = rows->request_count, test = 0, valid;
    *out = (struct split){0};
    int rc = check(rows, opts, e);
    if (rc)
        return rc;
    if (!n)
        return err_set(e, ERR_INVALID, "the set has no request: there is nothing to learn from");
    uint8_t *telling = malloc(n);
    if (!telling)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        telling[i] = tells(rows, i, opts->regression);
    if (opts->test_from_ms == SPLIT_BY_SHARE)
        test = cut(rows, telling, n, opts->test_share);
    else
        while (test < n && rows->timestamps_ms[test] < opts->test_from_ms)
            test++;
    valid = cut(rows, telling, test, opts->validation_share);
    out->parts[SPLIT_TRAIN] = (struct split_range){.first = 0, .count = valid};
    out->parts[SPLIT_VALIDATION] = (struct split_range){.first = valid, .count = test - valid};
    out->parts[SPLIT_TEST] = (struct split_range){.first = test, .count = n - test};
    for (int p = 0; p < SPLIT_PARTS; p++)
        describe(&out->parts[p], rows, telling);
    free(telling);
    return check_parts(out, rows, opts->regression, e);
}
