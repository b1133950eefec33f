/* Inside the report room: what plots are drawn with (report_plot.c). Not collective. */
#ifndef PULMO_REPORT_PLOT_H
#define PULMO_REPORT_PLOT_H

#include <stdint.h>
#include <stdio.h>

#define PLOT_WIDTH  420
#define PLOT_SQUARE 400 /* height of figures whose axes both run from 0 to 1 */
#define PLOT_LOW    270 /* of the others */

typedef struct plot {
    FILE *out;
    double left, top, width, height; /* px, of the area inside the axes */
    double x0, x1, y0, y1;           /* values at its edges */
} plot;

/* A figure of PLOT_WIDTH x `height` px whose axes run from 0 to 1; `says` is for screen readers.
 * Ended by plot_end. */
plot plot_begin(FILE *out, int height, const char *says);
void plot_end(const plot *p);

/* Where values stand, in px. */
double plot_x(const plot *p, double x);
double plot_y(const plot *p, double y);

/* `class` is one of report_style.c; `anchor` is start, middle or end. */
void plot_text(const plot *p, double x, double y, const char *anchor, const char *class,
               const char *text);
/* From (x0, y0) to (x1, y1) px. */
void plot_stroke(const plot *p, const char *class, double x0, double y0, double x1, double y1);
/* The same in the axes' values. */
void plot_segment(const plot *p, const char *class, double x0, double y0, double x1, double y1);
/* From (0, y) to (1, y), and over the whole height at x. */
void plot_level(const plot *p, const char *class, double y);
void plot_upright(const plot *p, const char *class, double x);
/* A line through the points; those nobody could tell apart and those without a value are left out.
 */
void plot_line(const plot *p, const char *class, uint64_t n, const double *x, const double *y);
/* Nothing where a value is NaN. */
void plot_dot(const plot *p, const char *class, double x, double y, double radius);

/* 1, 2 or 5 times a power of ten, with at most five steps in the range. */
double plot_tick_step(double range);
void plot_axis_x(const plot *p, double step, const char *label);
/* Values below zero are shown without their sign. */
void plot_axis_y(const plot *p, double step, const char *label);

#endif
