#include "report/report_svg.h"

#include "report/report_words.h"

#include <math.h>

enum { TICKS = 5, LABEL_HEIGHT = 12, EDGE = 18 };

void html_put(struct buf *out, struct str text, bool code)
{
    bool in_code = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '<')
            buf_put_text(out, "&lt;");
        else if (c == '>')
            buf_put_text(out, "&gt;");
        else if (c == '&')
            buf_put_text(out, "&amp;");
        else if (c == '"')
            buf_put_text(out, "&quot;");
        else if (c == '`' && code)
            buf_put_text(out, (in_code = !in_code) ? "<code>" : "</code>");
        else
            buf_put_u8(out, (uint8_t)c);
    }
    if (in_code)
        buf_put_text(out, "</code>");
}

/* A coordinate: a tenth of a unit is finer than anybody sees. */
static void put_place(struct buf *out, double v)
{
    double tenths = isfinite(v) ? nearbyint(fmin(fmax(v, -9999), 9999) * 10) : 0;
    if (fmod(tenths, 10) == 0)
        buf_printf(out, "%.0f", tenths / 10 + 0.0);
    else
        buf_printf(out, "%.1f", tenths / 10);
}

static void put_attribute(struct buf *out, const char *name, double v)
{
    buf_printf(out, " %s=\"", name);
    put_place(out, v);
    buf_put_u8(out, '"');
}

void svg_start(struct svg *s, struct buf *out, const char *id, const char *title,
               const char *description, double height)
{
    *s = (struct svg){.out = out,
                      .width = SVG_WIDTH,
                      .height = height,
                      .left = 52,
                      .right = SVG_WIDTH - 12,
                      .top = 34,
                      .bottom = height - 40};
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" role=\"img\" "
               "aria-labelledby=\"%s-t %s-d\"><title id=\"%s-t\">",
               SVG_WIDTH, height, id, id, id);
    html_put(out, str_of(title), false);
    buf_printf(out, "</title><desc id=\"%s-d\">", id);
    html_put(out, str_of(description), false);
    buf_put_text(out, "</desc>\n");
}

void svg_end(struct svg *s)
{
    buf_put_text(s->out, "</svg>\n");
}

static void widen(double *low, double *high)
{
    if (!isfinite(*low) || !isfinite(*high)) {
        *low = 0;
        *high = 1;
    } else if (!(*high > *low)) {
        double by = fmax(fabs(*low) * 0.1, 1e-6);
        *low -= by;
        *high += by;
    }
}

void svg_range(struct svg *s, double x_low, double x_high, double y_low, double y_high)
{
    widen(&x_low, &x_high);
    widen(&y_low, &y_high);
    s->x_low = x_low;
    s->x_high = x_high;
    s->y_low = y_low;
    s->y_high = y_high;
}

double svg_x(const struct svg *s, double x)
{
    return s->left + (x - s->x_low) / (s->x_high - s->x_low) * (s->right - s->left);
}

double svg_y(const struct svg *s, double y)
{
    return s->bottom - (y - s->y_low) / (s->y_high - s->y_low) * (s->bottom - s->top);
}

/* ---- Axes ---- */

/* 1, 2 or 5 times a power of ten. */
static double step_of(double span, int ticks)
{
    double rough = span / ticks, power = pow(10, floor(log10(rough))), part = rough / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static void put_tick(struct buf *out, double v, double step)
{
    int places = (int)fmax(0, -floor(log10(step) + 1e-9));
    if (fabs(v) < step / 1000)
        v = 0;
    if (fabs(v) >= 1e6)
        buf_printf(out, "%.3g", v);
    else
        buf_printf(out, "%.*f", places, v);
}

static void text_start(struct svg *s, double x, double y, const char *anchor, const char *class)
{
    buf_put_text(s->out, "<text");
    put_attribute(s->out, "x", x);
    put_attribute(s->out, "y", y);
    if (*anchor != 's')
        buf_printf(s->out, " text-anchor=\"%s\"", anchor);
    if (*class)
        buf_printf(s->out, " class=\"%s\"", class);
    buf_put_u8(s->out, '>');
}

void svg_x_axis(struct svg *s, const char *label)
{
    double step = step_of(s->x_high - s->x_low, TICKS);
    double first = ceil(s->x_low / step - 1e-9);
    for (double i = first; i * step <= s->x_high + step * 1e-9; i++) {
        double x = svg_x(s, i * step);
        svg_line(s, x, s->top, x, s->bottom, "grid");
        /* The middle of a number at the edge moves inwards. */
        text_start(s, fmin(x, s->width - EDGE), s->bottom + 14, "middle", "");
        put_tick(s->out, i * step, step);
        buf_put_text(s->out, "</text>\n");
    }
    svg_line(s, s->left, s->bottom, s->right, s->bottom, "axis");
    svg_text(s, (s->left + s->right) / 2, s->bottom + 31, "middle", "label", str_of(label));
}

void svg_y_axis(struct svg *s, const char *label)
{
    double step = step_of(s->y_high - s->y_low, TICKS);
    double first = ceil(s->y_low / step - 1e-9);
    for (double i = first; i * step <= s->y_high + step * 1e-9; i++) {
        double y = svg_y(s, i * step);
        svg_line(s, s->left, y, s->right, y, "grid");
        text_start(s, s->left - 5, y + 4, "end", "");
        put_tick(s->out, i * step, step);
        buf_put_text(s->out, "</text>\n");
    }
    svg_text(s, 4, LABEL_HEIGHT, "start", "label", str_of(label));
}

/* ---- Marks ---- */

void svg_text(struct svg *s, double x, double y, const char *anchor, const char *class,
              struct str text)
{
    text_start(s, x, y, anchor, class);
    html_put(s->out, text, false);
    buf_put_text(s->out, "</text>\n");
}

void svg_line(struct svg *s, double x1, double y1, double x2, double y2, const char *class)
{
    buf_put_text(s->out, "<line");
    put_attribute(s->out, "x1", x1);
    put_attribute(s->out, "y1", y1);
    put_attribute(s->out, "x2", x2);
    put_attribute(s->out, "y2", y2);
    buf_printf(s->out, " class=\"%s\"/>\n", class);
}

void svg_rect(struct svg *s, double x, double y, double width, double height, const char *class)
{
    buf_put_text(s->out, "<rect");
    put_attribute(s->out, "x", x);
    put_attribute(s->out, "y", y);
    put_attribute(s->out, "width", fmax(width, 0));
    put_attribute(s->out, "height", fmax(height, 0));
    buf_printf(s->out, " class=\"%s\"/>\n", class);
}

void svg_dot(struct svg *s, double x, double y, double radius, const char *class)
{
    buf_put_text(s->out, "<circle");
    put_attribute(s->out, "cx", x);
    put_attribute(s->out, "cy", y);
    put_attribute(s->out, "r", radius);
    buf_printf(s->out, " class=\"%s\"/>\n", class);
}

void svg_path_start(struct svg *s)
{
    buf_put_text(s->out, "<path d=\"");
}

void svg_path_to(struct svg *s, double x, double y, bool first)
{
    buf_put_text(s->out, first ? "M" : "L");
    put_place(s->out, x);
    buf_put_u8(s->out, ' ');
    put_place(s->out, y);
}

void svg_path_end(struct svg *s, const char *class, bool closed)
{
    buf_printf(s->out, "%s\" class=\"%s\"/>\n", closed ? "Z" : "", class);
}

void svg_interval_y(struct svg *s, double x, double low, double y, double high, const char *class)
{
    if (!isnan(low) && !isnan(high))
        svg_line(s, svg_x(s, x), svg_y(s, low), svg_x(s, x), svg_y(s, high), class);
    if (!isnan(y))
        svg_dot(s, svg_x(s, x), svg_y(s, y), 3, class);
}

void svg_interval_x(struct svg *s, double y_drawing, double low, double x, double high,
                    const char *class)
{
    if (!isnan(low) && !isnan(high))
        svg_line(s, svg_x(s, low), y_drawing, svg_x(s, high), y_drawing, class);
    if (!isnan(x))
        svg_dot(s, svg_x(s, x), y_drawing, 3.5, class);
}

/* Characters are about this wide on average, at 12 units high. */
static const double CHARACTER_WIDTH = 6.2;

void svg_legend(struct svg *s, const char *const *classes, const char *const *words)
{
    double x = s->left;
    for (; *words; words++, classes++) {
        struct buf name = {0};
        report_put_name(&name, str_of(*words), 24);
        svg_rect(s, x, 20, 10, 4, *classes);
        svg_text(s, x + 14, 26, "start", "", buf_str(&name));
        x += 26 + CHARACTER_WIDTH * (double)name.len;
        s->out->failed |= name.failed;
        buf_free(&name);
    }
}
