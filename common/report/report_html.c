#include "report/report_page.h"
#include "report/report_pictures.h"
#include "report/report_svg.h"
#include "report/report_words.h"

#include <math.h>

/* ---- Texts ---- */

static void put_sentence(struct buf *out, const struct report *r,
                         void (*sentence)(struct buf *out, const struct report *r))
{
    struct buf text = {0};
    sentence(&text, r);
    html_put(out, buf_str(&text), true);
    out->failed |= text.failed;
    buf_free(&text);
}

static void put_shortened(struct buf *out, const char *name, size_t most)
{
    struct buf text = {0};
    report_put_name(&text, str_of(name), most);
    html_put(out, buf_str(&text), false);
    out->failed |= text.failed;
    buf_free(&text);
}

static void paragraph(struct buf *out, const char *class, const char *text)
{
    buf_printf(out, "<p class=\"%s\">%s</p>\n", class, text);
}

static void heading(struct buf *out, const char *id, const char *text)
{
    buf_printf(out, "<h2 id=\"%s\">%s</h2>\n", id, text);
}

/* ---- Pictures ---- */

static void figure(struct buf *out, const struct report *r, const char *title, const char *below,
                   void (*picture)(struct buf *out, const struct report *r))
{
    buf_printf(out, "<figure><figcaption>%s<span>%s</span></figcaption>\n", title, below);
    picture(out, r);
    buf_put_text(out, "</figure>\n");
}

static void pair_begin(struct buf *out)
{
    buf_put_text(out, "<div class=\"pair\">\n");
}

static void pair_end(struct buf *out)
{
    buf_put_text(out, "</div>\n");
}

/* ---- The beginning ---- */

static void page_title(struct buf *out, const struct report *r)
{
    buf_put_text(out, "Report on ");
    put_shortened(out, r->data.model, 60);
    if (r->given->version)
        buf_printf(out, ", version %lld", (long long)r->given->version);
}

static void page_begin(struct buf *out, const struct report *r)
{
    buf_put_text(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                      "<link rel=\"icon\" href=\"data:,\">\n<title>");
    page_title(out, r);
    buf_put_text(out, "</title>\n<style>\n");
    buf_put_text(out, report_style);
    buf_put_text(out, "</style></head><body><main>\n<h1>");
    page_title(out, r);
    buf_put_text(out, "</h1>\n<p class=\"soft\">Judged on ");
    report_put_count(out, r->part.labelled_requests);
    buf_put_text(out, " requests with ");
    report_put_count(out, r->part.labelled);
    buf_put_text(out, " labelled rows, all later than those that it was trained on. Made ");
    report_put_time(out, r->data.made_ms);
    buf_put_text(out, " UTC.</p>\n");
}

static void verdict_line(struct buf *out, const struct report *r, const char *class,
                         const char *what,
                         void (*sentence)(struct buf *out, const struct report *r))
{
    buf_printf(out, "<dt>%s</dt><dd class=\"%s\">", what, class);
    put_sentence(out, r, sentence);
    buf_put_text(out, "</dd>\n");
}

static void page_verdict(struct buf *out, const struct report *r)
{
    static const char *const classes[] = {[VERDICT_BETTER] = "better",
                                          [VERDICT_OPEN] = "open",
                                          [VERDICT_WORSE] = "worse",
                                          [VERDICT_ALONE] = "open"};
    buf_printf(out, "<section class=\"verdict %s\" aria-label=\"Verdict\"><p class=\"head\">",
               classes[report_verdict(r)]);
    put_sentence(out, r, report_put_headline);
    buf_put_text(out, "</p><dl>\n");
    verdict_line(out, r, "said", "How sure", report_put_certainty);
    verdict_line(out, r, "said", "For whom", report_put_worst);
    verdict_line(out, r, "said", "What it brings", report_put_effect);
    verdict_line(out, r, "todo", "What to do", report_put_advice);
    buf_put_text(out, "</dl></section>\n");
}

/* ---- Sections ---- */

static void section_metrics(struct buf *out, const struct report *r)
{
    heading(out, "metrics", "Beside what was there before");
    pair_begin(out);
    if (!isnan(r->results[0].values[r->metric].value))
        figure(out, r, "The same requests, ordered by each",
               metric_sign(r->metric) < 0 ? "Farther left is better." : "Farther right is better.",
               picture_scorers);
    if (r->periods_known > 1)
        figure(out, r, "Over time", "Whether it lasts: does the distance shrink to the right?",
               picture_time);
    pair_end(out);
    if (r->periods_known > 1)
        page_periods(out, r);
    page_metrics(out, r);
    buf_put_text(out, "<p class=\"soft\">");
    put_sentence(out, r, report_put_method);
    if (!r->data.regression) {
        buf_put_text(out, " A row is positive if its label is above 0. The threshold of accuracy, "
                          "precision, recall and F1 is ");
        report_put_number(out, r->results[0].threshold);
        buf_put_text(out,
                     r->data.threshold > 0
                         ? ", chosen on the validation part."
                         : ", the one with the best F1 of these rows, which flatters a little.");
    }
    buf_put_text(out, " Random: what orders by chance give on average.</p>\n");
}

static void section_segments(struct buf *out, const struct report *r)
{
    bool requests = picture_segment_count(r, SEGMENT_OF_REQUESTS) > 0;
    bool rows = picture_segment_count(r, SEGMENT_OF_ROWS) > 0;
    heading(out, "segments", "For whom");
    pair_begin(out);
    if (requests)
        figure(out, r, "By user, context and placement", "Worst first; the dashed line is all.",
               picture_requests);
    if (rows)
        figure(out, r, "By kind of proposition", "Worst first; the dashed line is all.",
               picture_rows);
    pair_end(out);
    page_segments(out, r);
}

static void section_effect(struct buf *out, const struct report *r)
{
    heading(out, "effect", "What it would bring");
    buf_put_text(out, "<p>");
    put_sentence(out, r, report_put_effect);
    buf_put_text(out, "</p>\n");
    if (r->effect.known)
        page_effect(out, r);
}

static void section_scores(struct buf *out, const struct report *r)
{
    bool regression = r->data.regression;
    heading(out, "scores", regression ? "Its predictions" : "Its scores");
    pair_begin(out);
    if (r->curves.bin_count)
        figure(out, r, regression ? "Predicted and actual" : "Calibration",
               regression ? "On the diagonal, predictions are right on average."
                          : "On the diagonal, a score of 0.1 means that one in ten is positive.",
               picture_calibration);
    figure(out, r, regression ? "Errors" : "Distribution",
           regression ? "Centred on 0 and narrow is good."
                      : "The farther apart the two hills, the better scores tell.",
           picture_distribution);
    if (!regression) {
        figure(out, r, "Cumulative gain", "The higher above the diagonal, the better.",
               picture_gain);
        figure(out, r, "Lift", "How the same positives lie by tenths.", picture_lift);
    }
    pair_end(out);
    if (r->curves.bin_count)
        page_calibration(out, r);
    if (!regression)
        page_gain(out, r);
}

static void section_columns(struct buf *out, const struct report *r)
{
    if (!r->column_count)
        return;
    heading(out, "columns", "What it looks at");
    pair_begin(out);
    figure(out, r, "Importance", "How far each column moves the score, on average.",
           picture_importance);
    figure(out, r, "Contributions", "Right of the line: the column raised the score.",
           picture_contributions);
    pair_end(out);
    page_columns(out, r);
}

static void section_search(struct buf *out, const struct report *r)
{
    if (!r->data.trial_count)
        return;
    heading(out, "search", "How it was found");
    if (r->data.trial_count > 1) {
        pair_begin(out);
        figure(out, r, "Trials", "Higher is better; measured on the validation part.",
               picture_trials);
        pair_end(out);
    }
    page_trials(out, r);
}

void model_report_html(const struct report *r, struct buf *out)
{
    page_begin(out, r);
    page_verdict(out, r);
    section_metrics(out, r);
    section_segments(out, r);
    section_effect(out, r);
    section_scores(out, r);
    section_columns(out, r);
    section_search(out, r);
    heading(out, "origin", "What it was made of");
    page_origin(out, r);
    paragraph(out, "soft",
              "This page is whole: it needs nothing from elsewhere and can be sent and kept.");
    buf_put_text(out, "</main></body></html>\n");
}
