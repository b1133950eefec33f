/* Axes, lines, dots and text of a plot as inline SVG. */
#include "report_plot.h"

#include <math.h>

#include "report_room.h"

#define LEFT   58
#define RIGHT  16
#define TOP    18
#define BOTTOM 50

double plot_x(const plot *p, double x)
{
    double part = (x - p->x0) / (p->x1 - p->x0);
    return p->left + part * p->width;
}

double plot_y(const plot *p, double y)
{
    double part = (y - p->y0) / (p->y1 - p->y0);
    return p->top + p->height - part * p->height;
}

plot plot_begin(FILE *out, int height, const char *says)
{
    fputs("<svg class=\"plot\" role=\"img\" ", out);
    fprintf(out, "viewBox=\"0 0 %d %d\" aria-label=\"", PLOT_WIDTH, height);
    html_text(out, says);
    fputs("\">\n", out);
    return (plot){
        .out = out,
        .left = LEFT,
        .top = TOP,
        .width = PLOT_WIDTH - LEFT - RIGHT,
        .height = height - TOP - BOTTOM,
        .x1 = 1,
        .y1 = 1,
    };
}

void plot_end(const plot *p)
{
    fputs("</svg>\n", p->out);
}

void plot_text(const plot *p, double x, double y, const char *anchor, const char *class,
               const char *text)
{
    fprintf(p->out, "<text class=\"%s\" ", class);
    fprintf(p->out, "x=\"%.1f\" y=\"%.1f\" ", x, y);
    fprintf(p->out, "text-anchor=\"%s\">", anchor);
    html_text(p->out, text);
    fputs("</text>\n", p->out);
}

void plot_stroke(const plot *p, const char *class, double x0, double y0, double x1, double y1)
{
    fprintf(p->out, "<line class=\"%s\" ", class);
    fprintf(p->out, "x1=\"%.1f\" y1=\"%.1f\" ", x0, y0);
    fprintf(p->out, "x2=\"%.1f\" y2=\"%.1f\"/>\n", x1, y1);
}

void plot_segment(const plot *p, const char *class, double x0, double y0, double x1, double y1)
{
    const double left = plot_x(p, x0);
    const double right = plot_x(p, x1);
    plot_stroke(p, class, left, plot_y(p, y0), right, plot_y(p, y1));
}

void plot_level(const plot *p, const char *class, double y)
{
    plot_segment(p, class, 0, y, 1, y);
}

void plot_upright(const plot *p, const char *class, double x)
{
    plot_segment(p, class, x, p->y0, x, p->y1);
}

double plot_tick_step(double range)
{
    static const double factors[] = {0.2, 0.5, 1, 2, 5, 10};
    const double exponent = floor(log10(range));
    const double power = pow(10, exponent);
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        double step = power * factors[i];
        if (range / step <= 5.01)
            return step;
    }
    return power * 10;
}

/* The multiples of `step` that an axis shows. */
static int first_tick(double low, double step)
{
    return (int)ceil(low / step - 1e-9);
}

static int last_tick(double high, double step)
{
    return (int)floor(high / step + 1e-6);
}

static void tick_text(char *out, size_t bytes, double value, double step)
{
    if (fabs(value) < step * 1e-6)
        value = 0.0;
    snprintf(out, bytes, "%.4g", value);
}

void plot_axis_x(const plot *p, double step, const char *label)
{
    const double bottom = p->top + p->height;
    const double right = p->left + p->width;
    const double middle = p->left + p->width / 2;
    const int last = last_tick(p->x1, step);
    for (int tick = first_tick(p->x0, step); tick <= last; tick++) {
        double x = tick * step;
        char text[32];
        tick_text(text, sizeof text, x, step);
        plot_text(p, plot_x(p, x), bottom + 18, "middle", "tick", text);
    }
    plot_stroke(p, "axis", p->left, bottom, right, bottom);
    plot_text(p, middle, bottom + 40, "middle", "label", label);
}

void plot_axis_y(const plot *p, double step, const char *label)
{
    const int last = last_tick(p->y1, step);
    for (int tick = first_tick(p->y0, step); tick <= last; tick++) {
        double y = tick * step;
        char text[32];
        plot_segment(p, "grid", p->x0, y, p->x1, y);
        tick_text(text, sizeof text, fabs(y), step);
        plot_text(p, p->left - 8, plot_y(p, y) + 4, "end", "tick", text);
    }
    const double x = 15;
    const double y = p->top + p->height / 2;
    fprintf(p->out, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" ", x, y);
    fputs("text-anchor=\"middle\" ", p->out);
    fprintf(p->out, "transform=\"rotate(-90 %.1f %.1f)\">", x, y);
    html_text(p->out, label);
    fputs("</text>\n", p->out);
}

/* Two places in px that nobody could tell apart. */
static bool are_one(double x0, double y0, double x1, double y1)
{
    const double across = fabs(x1 - x0);
    const double upwards = fabs(y1 - y0);
    return across < 0.2 && upwards < 0.2;
}

void plot_line(const plot *p, const char *class, uint64_t n, const double *x, const double *y)
{
    double last_x = -1e9;
    double last_y = -1e9;
    bool started = false;
    for (uint64_t i = 0; i < n; i++) {
        bool is_last = i + 1 == n;
        if (isnan(x[i]) || isnan(y[i]))
            continue;
        const double px = plot_x(p, x[i]);
        const double py = plot_y(p, y[i]);
        if (started && !is_last && are_one(px, py, last_x, last_y))
            continue;
        if (started)
            fputc('L', p->out);
        else
            fprintf(p->out, "<path class=\"curve %s\" d=\"M", class);
        fprintf(p->out, "%.1f %.1f", px, py);
        started = true;
        last_x = px;
        last_y = py;
    }
    if (started)
        fputs("\"/>\n", p->out);
}

void plot_dot(const plot *p, const char *class, double x, double y, double radius)
{
    if (isnan(x) || isnan(y))
        return;
    const double px = plot_x(p, x);
    const double py = plot_y(p, y);
    fprintf(p->out, "<circle class=\"%s\" ", class);
    fprintf(p->out, "cx=\"%.1f\" cy=\"%.1f\" ", px, py);
    fprintf(p->out, "r=\"%.1f\"/>\n", radius);
}
