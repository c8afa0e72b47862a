/*
 * Counters, gauges and histograms in Prometheus' text format.
 *
 * Made at start by one thread; then a metric may be changed and the registry printed from any
 * thread (values are atomic). Names follow Prometheus: `flotilla_<worker>_<what>_<unit>[_total]`.
 * The registry owns all metrics; names, help and label names must outlive it, label values are
 * copied.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct metrics;
struct metric; /* one time series: a name with its label values */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

int metrics_new(struct metrics **out, struct err *e);
void metrics_free(struct metrics *m);

/*
 * The series of a name and label, made at its first use (any thread; takes a lock: keep the
 * pointer). label NULL: no label. Never NULL: when memory is short, a series that is never printed.
 * The same name must always come with the same type, help and label.
 */
struct metric *metric_get(struct metrics *m, enum metric_type type, const char *name,
                          const char *help, const char *label, const char *value);

/* Takes a series out of the output (a partition that moved away). */
void metric_remove(struct metrics *m, const char *name, const char *value);

void metric_add(struct metric *s, double n);
void metric_set(struct metric *s, double value);
double metric_value(const struct metric *s);

/* A histogram with upper bounds in ascending order (copied; +Inf is added). NULL only if memory is
 * short; then observe does nothing. */
struct histogram;
struct histogram *metric_histogram(struct metrics *m, const char *name, const char *help,
                                   const double *bounds, size_t count);
void histogram_observe(struct histogram *h, double value);

/* Appends everything with HELP and TYPE lines, names in the order they were made. */
void metrics_print(struct metrics *m, struct buf *out);
