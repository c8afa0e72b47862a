/*
 * Pictures as SVG, made of lines, areas, dots and words. Any thread.
 *
 * Coordinates are of a drawing SVG_WIDTH wide, small enough that its text can be read on a phone
 * and large enough to be shown two beside each other elsewhere. Colours are classes of the page's
 * style. Text is escaped here. Memory that could not be had shows in the buffer.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { SVG_WIDTH = 440 };

struct svg {
    struct buf *out;
    double width, height;
    double left, right, top, bottom;     /* of the plot, in the drawing */
    double x_low, x_high, y_low, y_high; /* what lies at its edges */
};

/* Begins; id is unique on the page, title and description are for those who cannot see it. The plot
 * has room for axes around it. */
void svg_start(struct svg *s, struct buf *out, const char *id, const char *title,
               const char *description, double height);
void svg_end(struct svg *s);

/* Edges of the plot in units of the data; widened where they are one. */
void svg_range(struct svg *s, double x_low, double x_high, double y_low, double y_high);
double svg_x(const struct svg *s, double x);
double svg_y(const struct svg *s, double y);

/* Grid lines and numbers at round values, and what they are of. */
void svg_x_axis(struct svg *s, const char *label);
void svg_y_axis(struct svg *s, const char *label);

/* In the drawing's coordinates. anchor: start, middle, end. */
void svg_text(struct svg *s, double x, double y, const char *anchor, const char *class,
              struct str text);
void svg_line(struct svg *s, double x1, double y1, double x2, double y2, const char *class);
void svg_rect(struct svg *s, double x, double y, double width, double height, const char *class);
void svg_dot(struct svg *s, double x, double y, double radius, const char *class);

/* A path: the points one after the other, then its end. */
void svg_path_start(struct svg *s);
void svg_path_to(struct svg *s, double x, double y, bool first);
void svg_path_end(struct svg *s, const char *class, bool closed);

/* An interval in units of the data, with a dot at its middle. */
void svg_interval_y(struct svg *s, double x, double low, double y, double high, const char *class);
void svg_interval_x(struct svg *s, double y_drawing, double low, double x, double high,
                    const char *class);

/* Words beside marks of their colours, in a line above the plot. NULL ends them. */
void svg_legend(struct svg *s, const char *const *classes, const char *const *words);

/* A text of a page: what HTML would take for its own is written as it says. Backquotes begin and
 * end code if `code` is true. */
void html_put(struct buf *out, struct str text, bool code);
