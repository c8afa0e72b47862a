#include "backfill/labels.h"

#include "base/number.h"

#include <math.h>
#include <stdio.h>

/* A label is a sum of weights, and a float. */
static const double MOST_WEIGHT = 1e30;

/* The weight behind the last =, or 1. *name loses it. */
static int read_weight(double *out, struct str *name, struct err *e)
{
    char number[64];
    const char *equals = memrchr(name->data, '=', name->len);
    *out = 1;
    if (!equals)
        return 0;
    struct str text = {equals + 1, (size_t)(name->data + name->len - equals - 1)};
    snprintf(number, sizeof number, "%.*s", STR_ARG(text));
    if (text.len >= sizeof number || !number_parse(out, number) || *out == 0 ||
        fabs(*out) > MOST_WEIGHT)
        return err_set(e, ERR_INVALID,
                       "the weight \"%.*s\" of the label \"%.*s\" is not a number other than 0 "
                       "(1e30 at most): "
                       "give " LABELS_FORM,
                       STR_ARG(text), (int)(equals - name->data), name->data);
    name->len = (size_t)(equals - name->data);
    return 0;
}

static int add_rule(struct labels *l, struct str part, struct err *e)
{
    double weight;
    if (l->count == LABELS_MOST)
        return err_set(e, ERR_INVALID, "more than %d labels: give " LABELS_FORM, LABELS_MOST);
    int rc = read_weight(&weight, &part, e);
    if (rc)
        return rc;
    if (part.len == 0)
        return err_set(e, ERR_INVALID, "a label without a name: give " LABELS_FORM);
    if (labels_find(l, part) >= 0)
        return err_set(e, ERR_INVALID, "the label \"%.*s\" stands twice: give " LABELS_FORM,
                       STR_ARG(part));
    l->rules[l->count++] = (struct label_rule){part, weight};
    return 0;
}

int labels_parse(struct labels *out, const char *text, struct err *e)
{
    *out = (struct labels){0};
    for (;;) {
        size_t n = strcspn(text, ",");
        int rc = add_rule(out, (struct str){text, n}, e);
        if (rc)
            return rc;
        if (!text[n])
            return 0;
        text += n + 1;
    }
}

int labels_add_impression(struct labels *l, const char *event, struct err *e)
{
    if (!*event || l->impression_count == LABELS_MOST)
        return err_set(
            e, ERR_INVALID, "%s: give the names of the events that say what was shown, %d at most",
            *event ? "too many names of impressions" : "an impression without a name", LABELS_MOST);
    l->impressions[l->impression_count++] = str_of(event);
    return 0;
}

bool labels_is_impression(const struct labels *l, struct str event)
{
    for (size_t i = 0; i < l->impression_count; i++)
        if (str_equal(l->impressions[i], event))
            return true;
    return l->impression_count == 0 && str_is(event, "impression");
}

int labels_check(const struct labels *l, struct err *e)
{
    for (size_t i = 0; i < l->count; i++)
        if (labels_is_impression(l, l->rules[i].event))
            return err_set(e, ERR_INVALID,
                           "%.*s is no label: it says what was shown, and labels are what users "
                           "did with it; give " LABELS_FORM,
                           STR_ARG(l->rules[i].event));
    return 0;
}

int labels_find(const struct labels *l, struct str event)
{
    for (size_t i = 0; i < l->count; i++)
        if (str_equal(l->rules[i].event, event))
            return (int)i;
    return -1;
}

float labels_value(const struct labels *l, uint32_t happened)
{
    double sum = 0;
    for (size_t i = 0; i < l->count; i++)
        if (happened >> i & 1)
            sum += l->rules[i].weight;
    return (float)sum;
}
