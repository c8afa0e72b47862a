/* A calibration as JSON and back. */
#include "model/calibration_memory.h"

#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>

/* More than CALIBRATION_MOST_KNOTS take. */
enum { MOST_BYTES = 256 << 10 };

/* ---- Writing ---- */

static void put_list(struct buf *out, const char *name, const double *numbers, size_t count)
{
    buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_put_u8(out, ',');
        json_put_number(out, numbers[i]);
    }
    buf_put_u8(out, ']');
}

void calibration_write(const struct calibration *c, struct buf *out)
{
    if (c->kind == CALIBRATION_NONE)
        return;
    buf_printf(out, "{\"kind\":\"%s\"", calibration_name(c->kind));
    if (c->kind == CALIBRATION_PLATT) {
        buf_put_text(out, ",\"slope\":");
        json_put_number(out, c->slope);
        buf_put_text(out, ",\"intercept\":");
        json_put_number(out, c->intercept);
    } else {
        put_list(out, "margins", c->margins, c->count);
        put_list(out, "values", c->values, c->count);
    }
    buf_put_u8(out, '}');
}

/* ---- Reading ---- */

static int take_number(double *out, const json_t *j, const char *name, struct err *e)
{
    *out = json_number_value(j);
    if (!json_is_number(j) || !isfinite(*out))
        return err_set(e, ERR_CORRUPT, "the calibration's %s is no number", name);
    return 0;
}

static int read_platt(struct calibration **out, const json_t *j, struct err *e)
{
    double slope, intercept;
    int rc = take_number(&slope, json_object_get(j, "slope"), "slope", e);
    if (!rc)
        rc = take_number(&intercept, json_object_get(j, "intercept"), "intercept", e);
    if (!rc && !(slope > 0))
        rc = err_set(e, ERR_CORRUPT, "the calibration's slope is not above 0");
    if (!rc)
        rc = calibration_make(out, CALIBRATION_PLATT, 0, e);
    if (rc)
        return rc;
    (*out)->slope = slope;
    (*out)->intercept = intercept;
    return 0;
}

static int check_knots(const struct calibration *c, struct err *e)
{
    for (size_t i = 0; i < c->count; i++) {
        if (!(c->values[i] >= 0 && c->values[i] <= 1))
            return err_set(e, ERR_CORRUPT, "value %zu of the calibration is outside 0 to 1", i);
        if (i && (c->margins[i] <= c->margins[i - 1] || c->values[i] < c->values[i - 1]))
            return err_set(e, ERR_CORRUPT, "the calibration falls at knot %zu", i);
    }
    return 0;
}

static int read_isotonic(struct calibration **out, const json_t *j, struct err *e)
{
    const json_t *margins = json_object_get(j, "margins"), *values = json_object_get(j, "values");
    size_t n = json_array_size(margins);
    struct calibration *c = NULL;
    if (n < 1 || n > CALIBRATION_MOST_KNOTS || json_array_size(values) != n)
        return err_set(e, ERR_CORRUPT,
                       "the calibration has %zu margins and %zu values, not 1 to %d of both", n,
                       json_array_size(values), CALIBRATION_MOST_KNOTS);
    int rc = calibration_make(&c, CALIBRATION_ISOTONIC, n, e);
    for (size_t i = 0; i < n && !rc; i++) {
        double *at = c->memory->numbers + i;
        rc = take_number(at, json_array_get(margins, i), "margin", e);
        if (!rc)
            rc = take_number(at + n, json_array_get(values, i), "value", e);
    }
    if (!rc)
        rc = check_knots(c, e);
    if (rc)
        calibration_free(c);
    else
        *out = c;
    return rc;
}

int calibration_read(struct calibration **out, struct str bytes, struct err *e)
{
    json_error_t where;
    if (!bytes.len)
        return calibration_make(out, CALIBRATION_NONE, 0, e);
    if (bytes.len > MOST_BYTES)
        return err_set(e, ERR_CORRUPT, "a calibration of %zu bytes is none: at most %d", bytes.len,
                       MOST_BYTES);
    /* Whole numbers are read as reals: some have more digits than an integer. */
    json_t *j = json_loadb(bytes.data, bytes.len, JSON_DECODE_INT_AS_REAL, &where);
    const char *kind = json_string_value(json_object_get(j, "kind"));
    int rc;
    if (!j)
        rc = err_set(e, ERR_CORRUPT, "the calibration is no JSON: %s", where.text);
    else if (kind && strcmp(kind, calibration_name(CALIBRATION_PLATT)) == 0)
        rc = read_platt(out, j, e);
    else if (kind && strcmp(kind, calibration_name(CALIBRATION_ISOTONIC)) == 0)
        rc = read_isotonic(out, j, e);
    else
        rc = err_set(e, ERR_CORRUPT, "the calibration's kind is neither platt nor isotonic");
    json_decref(j);
    return rc;
}
