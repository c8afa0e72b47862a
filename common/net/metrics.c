#include "net/metrics.h"

#include "base/number.h"
#include "base/str.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct metric {
    struct metric *next;
    _Atomic double value;
    atomic_bool hidden; /* removed; stays in memory, since its callers may still hold it */
    char *label_value;  /* owned; NULL without a label */
};

struct histogram {
    size_t count;
    double *bounds;              /* ascending; owned */
    atomic_uint_least64_t *hits; /* one for each bound and one for +Inf; owned */
    _Atomic double sum;
};

/* All series of one name. */
struct family {
    struct family *next;
    const char *name;
    const char *help;
    const char *type;
    const char *label;
    struct metric *first, *last;
    struct histogram histogram; /* bounds are NULL where it is none */
};

struct metrics {
    pthread_mutex_t lock; /* guards the lists, not the values */
    struct family *first, *last;
    struct metric spare; /* what is handed out when memory is short; never printed */
};

int metrics_new(struct metrics **out, struct err *e)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (!m)
        return err_nomem(e);
    pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return 0;
}

static void family_free(struct family *f)
{
    for (struct metric *s = f->first, *next; s; s = next) {
        next = s->next;
        free(s->label_value);
        free(s);
    }
    free(f->histogram.bounds);
    free(f->histogram.hits);
    free(f);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    for (struct family *f = m->first, *next; f; f = next) {
        next = f->next;
        family_free(f);
    }
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static struct family *family_find(struct metrics *m, const char *name)
{
    struct family *f = m->first;
    while (f && strcmp(f->name, name) != 0)
        f = f->next;
    return f;
}

static void family_append(struct metrics *m, struct family *f)
{
    if (m->last)
        m->last->next = f;
    else
        m->first = f;
    m->last = f;
}

static struct metric *series_find(struct family *f, const char *value)
{
    struct metric *s = f->first;
    while (s && value && strcmp(s->label_value, value) != 0)
        s = s->next;
    return s;
}

static struct metric *series_new(struct family *f, const char *value)
{
    struct metric *s = calloc(1, sizeof *s);
    if (!s || (value && !(s->label_value = strdup(value)))) {
        free(s);
        return NULL;
    }
    if (f->last)
        f->last->next = s;
    else
        f->first = s;
    f->last = s;
    return s;
}

static struct metric *series_of(struct metrics *m, struct family *wanted, const char *value)
{
    struct family *f = family_find(m, wanted->name);
    if (!f) {
        f = malloc(sizeof *f);
        if (!f)
            return &m->spare;
        *f = *wanted;
        family_append(m, f);
    }
    struct metric *s = series_find(f, value);
    if (s && atomic_exchange(&s->hidden, false))
        atomic_store(&s->value, 0);
    if (!s)
        s = series_new(f, value);
    return s ? s : &m->spare;
}

struct metric *metric_get(struct metrics *m, enum metric_type type, const char *name,
                          const char *help, const char *label, const char *value)
{
    struct family wanted = {.name = name,
                            .help = help,
                            .type = type == METRIC_COUNTER ? "counter" : "gauge",
                            .label = label};
    pthread_mutex_lock(&m->lock);
    struct metric *s = series_of(m, &wanted, label ? value : NULL);
    pthread_mutex_unlock(&m->lock);
    return s;
}

void metric_remove(struct metrics *m, const char *name, const char *value)
{
    pthread_mutex_lock(&m->lock);
    struct family *f = family_find(m, name);
    struct metric *s = f ? series_find(f, f->label ? value : NULL) : NULL;
    if (s)
        atomic_store(&s->hidden, true);
    pthread_mutex_unlock(&m->lock);
}

static void add(_Atomic double *to, double n)
{
    double before = atomic_load_explicit(to, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(to, &before, before + n, memory_order_relaxed,
                                                  memory_order_relaxed))
        continue;
}

void metric_add(struct metric *s, double n)
{
    add(&s->value, n);
}

void metric_set(struct metric *s, double value)
{
    atomic_store_explicit(&s->value, value, memory_order_relaxed);
}

double metric_value(const struct metric *s)
{
    return atomic_load_explicit(&s->value, memory_order_relaxed);
}

struct histogram *metric_histogram(struct metrics *m, const char *name, const char *help,
                                   const double *bounds, size_t count)
{
    pthread_mutex_lock(&m->lock);
    struct family *f = family_find(m, name);
    if (!f && (f = calloc(1, sizeof *f))) {
        *f = (struct family){
            .name = name, .help = help, .type = "histogram", .histogram.count = count};
        f->histogram.bounds = malloc((count ? count : 1) * sizeof *bounds);
        f->histogram.hits = calloc(count + 1, sizeof *f->histogram.hits);
        if (f->histogram.bounds && f->histogram.hits) {
            memcpy(f->histogram.bounds, bounds, count * sizeof *bounds);
            family_append(m, f);
        } else {
            family_free(f);
            f = NULL;
        }
    }
    pthread_mutex_unlock(&m->lock);
    return f ? &f->histogram : NULL;
}

void histogram_observe(struct histogram *h, double value)
{
    if (!h)
        return;
    size_t i = 0;
    while (i < h->count && !(value <= h->bounds[i]))
        i++;
    atomic_fetch_add_explicit(&h->hits[i], 1, memory_order_relaxed);
    add(&h->sum, value);
}

static void put_number(struct buf *out, double number)
{
    char text[NUMBER_TEXT_BYTES];
    if (isnan(number))
        buf_put_text(out, "NaN");
    else if (isinf(number))
        buf_put_text(out, number > 0 ? "+Inf" : "-Inf");
    else
        buf_put(out, text, number_text(text, number));
}

/* Backslash and line feed are escaped in help texts, quotes as well in label values. */
static void put_escaped(struct buf *out, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\n')
            buf_put_text(out, "\\n");
        else if (*text == '\\' || (quotes && *text == '"'))
            buf_printf(out, "\\%c", *text);
        else
            buf_put_u8(out, (uint8_t)*text);
    }
}

static void print_series(struct buf *out, const struct family *f, const struct metric *s)
{
    buf_put_text(out, f->name);
    if (s->label_value) {
        buf_printf(out, "{%s=\"", f->label);
        put_escaped(out, s->label_value, true);
        buf_put_text(out, "\"}");
    }
    buf_put_u8(out, ' ');
    put_number(out, metric_value(s));
    buf_put_u8(out, '\n');
}

/* Buckets are cumulative; the count is the last of them, so that both agree while others observe.
 */
static void print_histogram(struct buf *out, const struct family *f)
{
    const struct histogram *h = &f->histogram;
    uint64_t total = 0;
    for (size_t i = 0; i <= h->count; i++) {
        total += atomic_load_explicit(&h->hits[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{le=\"", f->name);
        put_number(out, i < h->count ? h->bounds[i] : INFINITY);
        buf_printf(out, "\"} %llu\n", (unsigned long long)total);
    }
    buf_printf(out, "%s_sum ", f->name);
    put_number(out, atomic_load_explicit(&h->sum, memory_order_relaxed));
    buf_printf(out, "\n%s_count %llu\n", f->name, (unsigned long long)total);
}

void metrics_print(struct metrics *m, struct buf *out)
{
    pthread_mutex_lock(&m->lock);
    for (const struct family *f = m->first; f; f = f->next) {
        buf_printf(out, "# HELP %s ", f->name);
        put_escaped(out, f->help, false);
        buf_printf(out, "\n# TYPE %s %s\n", f->name, f->type);
        if (f->histogram.bounds)
            print_histogram(out, f);
        for (const struct metric *s = f->first; s; s = s->next)
            if (!atomic_load(&s->hidden))
                print_series(out, f, s);
    }
    pthread_mutex_unlock(&m->lock);
}
