/* What a calibration is in, for those who make one. */
#pragma once

#include "model/calibration.h"

struct calibration_memory {
    size_t knots;     /* that there is room for */
    double numbers[]; /* margins of all, then values of all */
};

/* With room for knots, all 0; the caller fills them. Fails with ERR_NOMEM. */
int calibration_make(struct calibration **out, enum calibration_kind kind, size_t knots,
                     struct err *e);
