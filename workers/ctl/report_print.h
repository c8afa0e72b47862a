/*
 * The report on a model for a terminal.
 */
#pragma once

#include "base/buf.h"
#include "report/report.h"

#include <stdbool.h>

/* For `width` columns; 80 are enough for all but long names. */
void model_report_print(const struct report *r, int width, bool colour, struct buf *out);
