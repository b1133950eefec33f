/* Plots against coordinates worked out by hand. The area inside the axes of a square plot is 346 x
 * 332 px from (58, 18): x stands at 58 + 346 x, y at 350 - 332 y. */
#include "support.h"

#include "pulmo/text.h"
#include "report_room.h"

/* scikit-learn's example for roc_curve. */
static int32_t labels[] = {0, 0, 1, 1};
static int32_t predictions[] = {0, 0, 0, 1};
static float probabilities[] = {0.9f, 0.1f, 0.6f, 0.4f, 0.65f, 0.35f, 0.2f, 0.8f};
static char *class_names[] = {"NORMAL", "A<B"};

static report_split four_images(void)
{
    report_split split = {.name = "test",
                          .count = 4,
                          .labels = labels,
                          .predictions = predictions,
                          .probabilities = probabilities};
    const pulmo_scored scored = {
        .count = 4, .classes = 2, .labels = labels, .probabilities = probabilities};
    const pulmo_decision by = {1, 0.5};
    assert_ok(pulmo_metrics_compute(&scored, &by, &split.metrics));
    return split;
}

typedef void plotter(FILE *, const report *, const report_split *);

/* The plot of four images; owned by the caller. */
static char *plotted(plotter *plot)
{
    report r = {.classes = 2, .class_names = class_names, .positive.index = 1, .threshold = 0.5};
    report_split split = four_images();
    pulmo_text text;
    char *out = NULL;
    assert_ok(pulmo_text_open(&text));
    plot(text.stream, &r, &split);
    assert_ok(pulmo_text_take(&text, &out));
    pulmo_metrics_free(&split.metrics);
    return out;
}

static void assert_holds(const char *text, const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("no %s in:\n%s", wanted, text);
}

/* (0, 0), (0, 1/2), (1/2, 1/2), (1/2, 1), (1, 1); at the threshold sensitivity is 1/2, specificity
 * 1. */
static void roc(void **state)
{
    char *svg = plotted(svg_roc);
    (void)state;
    assert_holds(svg, "ROC curve of the test split; area 0.7500");
    assert_holds(svg, "<path class=\"curve k0\" d=\"M58.0 350.0L58.0 184.0L231.0 184.0L231.0 "
                      "18.0L404.0 18.0\"/>");
    assert_holds(svg, "<line class=\"chance\" x1=\"58.0\" y1=\"350.0\" x2=\"404.0\" y2=\"18.0\"/>");
    assert_holds(svg, "<circle class=\"mark\" cx=\"58.0\" cy=\"184.0\" r=\"5.0\"/>");
    assert_holds(svg, "x=\"67.0\" y=\"205.0\" text-anchor=\"start\">threshold 0.500</text>");
    free(svg);
}

/* Recall and precision: (0, 1), (1/2, 1), (1/2, 1/2), (1, 2/3), (1, 1/2); half the images are
 * positive. */
static void precision_and_recall(void **state)
{
    char *svg = plotted(svg_pr);
    (void)state;
    assert_holds(svg, "average precision 0.8333");
    assert_holds(svg, "<path class=\"curve k0\" d=\"M58.0 18.0L231.0 18.0L231.0 184.0L404.0 "
                      "128.7L404.0 184.0\"/>");
    assert_holds(svg,
                 "<line class=\"chance\" x1=\"58.0\" y1=\"184.0\" x2=\"404.0\" y2=\"184.0\"/>");
    assert_holds(svg, "<circle class=\"mark\" cx=\"231.0\" cy=\"18.0\" r=\"5.0\"/>");
    free(svg);
}

/* 20 bins of 17.3 px, a pixel free on both sides; one image is 332 / (2 * 1.16) px high and 0
 * stands at 184. The image of class 1 with 0.8 is in bin 16, that of class 0 with 0.4 in bin 8. */
static void histogram(void **state)
{
    char *svg = plotted(svg_histogram);
    (void)state;
    assert_holds(svg,
                 "<rect class=\"f0\" x=\"335.8\" y=\"40.9\" width=\"15.3\" height=\"143.1\"/>");
    assert_holds(svg,
                 "<rect class=\"f1\" x=\"197.4\" y=\"184.0\" width=\"15.3\" height=\"143.1\"/>");
    assert_holds(svg, "A&lt;B");
    assert_null(strstr(svg, "A<B"));
    free(svg);
}

/* Losses 1, 1/2, 1/4 of three epochs; the axis runs from 0.19 to 1.06 (0.08 of the range free) over
 * 202 px above 220. A value that is NaN is left out. */
static void losses(void **state)
{
    double train[] = {1, 0.5, 0.25}, val[] = {NAN, 0.5, NAN};
    report r = {.classes = 2, .epochs = 3, .best_epoch = 2};
    pulmo_text text;
    char *svg = NULL;
    (void)state;
    r.history[PULMO_HISTORY_TRAIN_LOSS] = train;
    r.history[PULMO_HISTORY_VAL_LOSS] = val;
    assert_ok(pulmo_text_open(&text));
    svg_loss(text.stream, &r);
    assert_ok(pulmo_text_take(&text, &svg));
    assert_holds(svg, "<path class=\"curve k0\" d=\"M58.0 31.9L231.0 148.0L404.0 206.1\"/>");
    assert_holds(svg, "<circle class=\"f1\" cx=\"231.0\" cy=\"148.0\" r=\"3.0\"/>");
    assert_holds(svg, "<line class=\"cut\" x1=\"231.0\" y1=\"220.0\" x2=\"231.0\" y2=\"18.0\"/>");
    assert_null(strstr(svg, "nan"));
    free(svg);
}

static char *interval(pulmo_interval it)
{
    pulmo_text text;
    char *svg = NULL;
    assert_ok(pulmo_text_open(&text));
    svg_interval(text.stream, "AUC", it);
    assert_ok(pulmo_text_take(&text, &svg));
    return svg;
}

static void intervals(void **state)
{
    char *svg = interval((pulmo_interval){0.5, 0.25, 0.75});
    (void)state;
    assert_holds(svg, "aria-label=\"AUC 0.500, between 0.250 and 0.750\"");
    assert_holds(svg, "<line class=\"span\" x1=\"58.0\" y1=\"12.0\" x2=\"162.0\" y2=\"12.0\"/>");
    assert_holds(svg, "<circle class=\"f0\" cx=\"110.0\" cy=\"12.0\" r=\"4.5\"/>");
    free(svg);
    svg = interval((pulmo_interval){0.5, NAN, NAN});
    assert_null(strstr(svg, "span"));
    free(svg);
    svg = interval((pulmo_interval){NAN, NAN, NAN});
    assert_string_equal(svg, "");
    free(svg);
}

/* UTF-8 goes through; what is not UTF-8 (a lone lead byte, an overlong slash, half a surrogate
 * pair) and control characters become U+FFFD. */
static void text_is_escaped(void **state)
{
    pulmo_text text;
    char *html = NULL;
    (void)state;
    assert_ok(pulmo_text_open(&text));
    html_text(text.stream, "<a href=\"x\">'&' \xc3\xa9 \xc3| \xc0\xaf \xed\xa0\x80 \x01\n");
    assert_ok(pulmo_text_take(&text, &html));
    assert_string_equal(html, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39; \xc3\xa9 \ufffd| "
                              "\ufffd\ufffd \ufffd\ufffd\ufffd \ufffd\n");
    free(html);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roc),       cmocka_unit_test(precision_and_recall),
        cmocka_unit_test(histogram), cmocka_unit_test(losses),
        cmocka_unit_test(intervals), cmocka_unit_test(text_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
