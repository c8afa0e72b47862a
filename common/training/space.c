#include "training/space.h"

#include "base/json.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* How a parameter is drawn: evenly, or evenly in its logarithm; or not at all. */
enum draw { DRAW_NOT, DRAW_EVENLY, DRAW_LOG };

struct rule {
    const char *name;
    double standard, least, most; /* most that can be given */
    bool whole;
    enum draw draw;
    double from, to; /* that are drawn; of DRAW_LOG beside min_child_weight's, which are factors */
};

static const struct rule rules[SPACE_PARAMETERS] = {
    [SPACE_ETA] = {"eta", 0.05, 1e-4, 1, false, DRAW_LOG, 0.02, 0.15},
    [SPACE_MAX_DEPTH] = {"max_depth", 5, 1, 12, true, DRAW_EVENLY, 3, 8},
    [SPACE_MIN_CHILD_WEIGHT] = {"min_child_weight", 0, 0, 1e9, false, DRAW_LOG, 0.02, 4},
    [SPACE_SUBSAMPLE] = {"subsample", 0.8, 0.01, 1, false, DRAW_EVENLY, 0.5, 1},
    [SPACE_COLSAMPLE_BYTREE] = {"colsample_bytree", 0, 0.01, 1, false, DRAW_EVENLY, 0.2, 1},
    [SPACE_COLSAMPLE_BYNODE] = {"colsample_bynode", 1, 0.01, 1, false, DRAW_NOT, 0, 0},
    [SPACE_LAMBDA] = {"lambda", 5, 0, 1e9, false, DRAW_LOG, 0.5, 20},
    [SPACE_ALPHA] = {"alpha", 0, 0, 1e9, false, DRAW_NOT, 0, 0},
    [SPACE_GAMMA] = {"gamma", 0, 0, 1e9, false, DRAW_NOT, 0, 0},
    [SPACE_MAX_DELTA_STEP] = {"max_delta_step", 0, 0, 1e9, false, DRAW_NOT, 0, 0},
    [SPACE_MAX_BIN] = {"max_bin", 256, 2, 65536, true, DRAW_NOT, 0, 0},
};

const char *space_name(enum space_parameter parameter)
{
    return rules[parameter].name;
}

/* Two digits, so that it is short as text: they are as good as sixteen. */
static double two_digits(double x)
{
    double unit = x < 10 ? 10 : 1;
    return nearbyint(x * unit) / unit;
}

void space_standard(struct space_point *out, double evidence, size_t columns)
{
    *out = (struct space_point){0};
    for (int i = 0; i < SPACE_PARAMETERS; i++)
        out->values[i] = rules[i].standard;
    double seen = 10 / fmax((double)columns, 1);
    out->values[SPACE_MIN_CHILD_WEIGHT] = two_digits(fmin(fmax(evidence / 600, 1), 50));
    out->values[SPACE_COLSAMPLE_BYTREE] = nearbyint(fmin(fmax(seen, 0.3), 1) * 100) / 100;
}

static int unknown(const char *text, size_t n, struct err *e)
{
    char names[256] = "";
    for (int i = 0; i < SPACE_PARAMETERS; i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", rules[i].name);
    }
    return err_set(e, ERR_INVALID, "there is no parameter \"%.*s\" to be given: there are %s",
                   n > 60 ? 60 : (int)n, text, names);
}

int space_give(struct space_point *p, const char *text, struct err *e)
{
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    int i = 0;
    while (i < SPACE_PARAMETERS && !str_is(str_bytes(text, n), rules[i].name))
        i++;
    if (i == SPACE_PARAMETERS)
        return unknown(text, n, e);
    const struct rule *r = &rules[i];
    double value;
    if (!equals || !number_parse(&value, equals + 1) || value < r->least || value > r->most ||
        (r->whole && value != floor(value)))
        return err_set(e, ERR_INVALID, "%s is \"%.60s\": give %s=%s from %g to %g", r->name,
                       equals ? equals + 1 : "", r->name, r->whole ? "a whole number" : "a number",
                       r->least, r->most);
    p->values[i] = value;
    p->is_given[i] = true;
    return 0;
}

/* Three digits are enough, and read well. */
static double shortened(double x)
{
    double unit = pow(10, floor(log10(x)) - 2);
    double digits = nearbyint(x / unit);
    char text[32];
    snprintf(text, sizeof text, "%.3g", digits * unit);
    number_parse(&x, text);
    return x;
}

static double drawn(const struct rule *r, double standard, bool is_factor, struct prng *g)
{
    double u = prng_unit(g);
    double x = r->draw == DRAW_LOG ? r->from * pow(r->to / r->from, u)
                                   : r->from + (r->to - r->from + (r->whole ? 1 : 0)) * u;
    return r->whole ? fmin(floor(x), r->to) : shortened(is_factor ? standard * x : x);
}

void space_draw(struct space_point *out, const struct space_point *standard, struct prng *r)
{
    *out = *standard;
    for (int i = 0; i < SPACE_PARAMETERS; i++) {
        if (rules[i].draw == DRAW_NOT)
            continue;
        /* Drawn even where it is not used: what was given does not change the others. */
        double x = drawn(&rules[i], standard->values[i], i == SPACE_MIN_CHILD_WEIGHT, r);
        if (!standard->is_given[i])
            out->values[i] = x;
    }
}

void space_value_text(char text[32], const struct space_point *p, enum space_parameter parameter)
{
    number_text(text, p->values[parameter]);
}

void space_put_text(struct buf *out, const struct space_point *p)
{
    const char *between = "";
    for (int i = 0; i < SPACE_PARAMETERS; i++) {
        char text[NUMBER_TEXT_BYTES];
        if (rules[i].draw == DRAW_NOT && !p->is_given[i])
            continue;
        space_value_text(text, p, (enum space_parameter)i);
        buf_printf(out, "%s%s %s", between, rules[i].name, text);
        between = ", ";
    }
}

void space_put_json(struct buf *out, const struct space_point *p)
{
    for (int i = 0; i < SPACE_PARAMETERS; i++) {
        buf_printf(out, "%s\"%s\":", i ? "," : "", rules[i].name);
        json_put_number(out, p->values[i]);
    }
}
