#include "fuzz.h"
#include "model/calibration.h"

#include <math.h>
#include <stdlib.h>

/* Published scores never fall with the margin, and are chances. */
static void check_scores(const struct calibration *c)
{
    static const float margins[] = {-INFINITY, -3e38f, -100, -2.5f, -1, -1e-30f,
                                    0,         1e-30f, 0.5f, 1,     88, INFINITY};
    float before = 0;
    for (size_t i = 0; i < sizeof margins / sizeof *margins; i++) {
        float score = calibration_apply(c, margins[i], 0.25f);
        if (c->kind == CALIBRATION_NONE) {
            assert(score == 0.25f);
            continue;
        }
        assert(score >= before && score <= 1);
        before = score;
    }
}

/* What is written reads as the same. */
static void check_written(const struct calibration *c)
{
    struct calibration *again = NULL;
    struct buf once = {0}, twice = {0};
    struct err e = {0};
    calibration_write(c, &once);
    assert(buf_ok(&once));
    assert(calibration_read(&again, buf_str(&once), &e) == 0);
    calibration_write(again, &twice);
    assert(str_equal(buf_str(&once), buf_str(&twice)));
    calibration_free(again);
    buf_free(&once);
    buf_free(&twice);
}

void fuzz_calibration(struct str input)
{
    struct calibration *c = NULL;
    struct err e = {0};
    char *exact = fuzz_exact(input);
    int rc = calibration_read(&c, str_bytes(exact, input.len), &e);
    free(exact);
    if (fuzz_succeeded(rc, &e)) {
        check_scores(c);
        check_written(c);
    } else {
        assert(rc == ERR_CORRUPT);
    }
    calibration_free(c);
}
