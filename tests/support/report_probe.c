/*
 * Reports on test parts that are made of a seed, for tests that look at them in a browser.
 *
 *   report_probe CASE html|rows|80    the page, a JSON line for each row, a terminal of 80 columns
 *   report_probe                      the names of the cases, a line each
 */
#include "support/report_rows.h"

#include "base/json.h"
#include "ctl/report_print.h"

static const struct {
    const char *name;
    struct report_case of;
} cases[] = {
    {"normal",
     {.seed = 1,
      .requests = 4000,
      .candidates = 20,
      .columns = 28,
      .values = 12,
      .knows_model = 0.6,
      .knows_rules = 0.42,
      .base_rate = 0.08,
      .scorers = 4,
      .trials = 40,
      .calibrated = true,
      .sampled = true}},
    {"explored",
     {.seed = 2,
      .requests = 6000,
      .candidates = 8,
      .columns = 12,
      .values = 6,
      .knows_model = 0.6,
      .knows_rules = 0.42,
      .base_rate = 0.1,
      .scorers = 4,
      .trials = 12,
      .explored = true,
      .value_labels = true,
      .calibrated = true,
      .sampled = true}},
    {"no-rules",
     {.seed = 3,
      .requests = 500,
      .candidates = 10,
      .columns = 5,
      .values = 3,
      .knows_model = 0.5,
      .base_rate = 0.2,
      .scorers = 1,
      .trials = 1,
      .sampled = true}},
    {"worse",
     {.seed = 4,
      .requests = 1500,
      .candidates = 10,
      .columns = 5,
      .values = 3,
      .knows_model = 0.2,
      .knows_rules = 0.5,
      .base_rate = 0.2,
      .scorers = 4,
      .trials = 3,
      .sampled = true}},
    {"one-class",
     {.seed = 5,
      .requests = 60,
      .candidates = 5,
      .columns = 5,
      .values = 3,
      .knows_model = 0.5,
      .knows_rules = 0.5,
      .base_rate = 1 - 1e-12,
      .scorers = 4}},
    {"one-request",
     {.seed = 7,
      .requests = 1,
      .candidates = 10,
      .columns = 5,
      .values = 3,
      .knows_model = 0.5,
      .knows_rules = 0.5,
      .base_rate = 0.5,
      .scorers = 4,
      .sampled = true}},
    {"hostile",
     {.seed = 7,
      .requests = 3000,
      .candidates = 10,
      .columns = 30,
      .values = 8,
      .knows_model = 0.5,
      .knows_rules = 0.4,
      .base_rate = 0.1,
      .scorers = 4,
      .trials = 5,
      .hostile = true,
      .sampled = true}},
    {"regression",
     {.seed = 8,
      .requests = 2000,
      .candidates = 10,
      .columns = 12,
      .values = 8,
      .knows_model = 0.8,
      .knows_rules = 0.5,
      .base_rate = 0.5,
      .scorers = 4,
      .trials = 10,
      .regression = true,
      .sampled = true}},
    {"large",
     {.seed = 9,
      .requests = 20000,
      .candidates = 10,
      .columns = 300,
      .values = 50,
      .knows_model = 0.6,
      .knows_rules = 0.5,
      .base_rate = 0.1,
      .scorers = 4,
      .trials = 2000,
      .hostile = true,
      .explored = true,
      .value_labels = true,
      .calibrated = true,
      .sampled = true}},
};

static void put_rows(struct buf *out, const struct report *r)
{
    for (size_t i = 0; i < model_report_row_count(r); i++) {
        const struct report_row *row = &model_report_rows(r)[i];
        const char *const names[] = {"scorer", "segment", "metric"};
        const char *const texts[] = {row->scorer, row->segment, row->metric};
        for (size_t j = 0; j < 3; j++) {
            buf_printf(out, "%s\"%s\":", j ? "," : "{", names[j]);
            json_put_text(out, str_of(texts[j]));
        }
        const char *const numbers[] = {"value", "low", "high"};
        const double values[] = {row->value, row->low, row->high};
        for (size_t j = 0; j < 3; j++) {
            buf_printf(out, ",\"%s\":", numbers[j]);
            json_put_number(out, values[j]);
        }
        buf_printf(out, ",\"rows\":%llu}\n", (unsigned long long)row->rows);
    }
}

static int show(const struct report_case *c, const char *form)
{
    struct report_made made;
    struct report *r = NULL;
    struct err e = {0};
    struct buf out = {0};
    report_make(&made, c);
    int rc = model_report_new(&r, &made.data, &e);
    if (rc)
        fprintf(stderr, "%s\n", e.msg);
    else if (strcmp(form, "html") == 0)
        model_report_html(r, &out);
    else if (strcmp(form, "rows") == 0)
        put_rows(&out, r);
    else
        model_report_print(r, atoi(form), false, &out);
    bool ok = !rc && buf_ok(&out) && fwrite(out.data, 1, out.len, stdout) == out.len;
    buf_free(&out);
    model_report_free(r);
    report_made_free(&made);
    return ok && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc == 1)
            puts(cases[i].name);
        else if (argc == 3 && strcmp(cases[i].name, argv[1]) == 0)
            return show(&cases[i].of, argv[2]);
    }
    return argc == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
