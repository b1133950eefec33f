/* `pulmo compare`: several models on the same images. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "pulmo/results.h"
#include "pulmo/text.h"
#include "compare.h"

/* ---- text ---- */

static void text_header(FILE *out, const comparison *c)
{
    const pulmo_sample *s = &c->sample;
    const compare_input *first = &c->input[0];
    uint32_t positives = 0;
    for (uint32_t i = 0; i < c->count; i++)
        positives += c->positive[i];
    fprintf(out, "Compared on %u images: %u with ", c->count, positives);
    pulmo_text_show(out, first->class_names[first->finding], SIZE_MAX);
    fprintf(out, ", %u without\n", c->count - positives);
    if (s->by_patient)
        fprintf(out, "Intervals: 95 %%, by patient (%u patients)\n", s->patients);
    else if (c->patients_told)
        fprintf(out, "Intervals: 95 %%, by image (%u patients of one image each)\n", s->patients);
    else
        fputs("Intervals: 95 %, by image (patients are not told: where some have several images "
              "they are too narrow)\n",
              out);
    if (s->few)
        fprintf(out,
                "Few patients: %u with the finding, %u without; below %d of a side intervals may "
                "hold less than 95 %%\n",
                s->positives, s->negatives, PULMO_FEW_PATIENTS);
}

static void text_missing(FILE *out, const comparison *c)
{
    for (int i = 0; i < c->inputs; i++) {
        const compare_missing *m = &c->missing[i];
        if (m->count == 0)
            continue;
        fprintf(out, "Missing in %c: %u image%s:", c->input[i].letter, m->count,
                pulmo_plural(m->count));
        for (uint32_t j = 0; j < m->count && j < COMPARE_NAMED; j++) {
            fputs(j > 0 ? ", " : " ", out);
            pulmo_text_show(out, m->paths[j], SIZE_MAX);
        }
        fputs(m->count > COMPARE_NAMED ? ", ...\n" : "\n", out);
    }
}

static void text_estimate(FILE *out, const pulmo_estimate *e)
{
    pulmo_interval_print(out, e->it);
    if (e->undefined)
        fprintf(out, " (%s)", e->undefined);
}

static void text_models(FILE *out, const comparison *c)
{
    for (int i = 0; i < c->inputs; i++) {
        const compare_input *input = &c->input[i];
        fprintf(out, "\n%c  ", input->letter);
        pulmo_text_show(out, input->name, SIZE_MAX);
        if (!isnan(input->threshold))
            fprintf(out, "  (threshold %.4g)", input->threshold);
        fputc('\n', out);
        for (int m = 0; m < COMPARE_MEASURE_COUNT; m++) {
            fprintf(out, "   %-12s ", compare_words[m]);
            text_estimate(out, &c->measure[i][m]);
            fputc('\n', out);
        }
    }
}

static void text_p(FILE *out, const comparison *c, const compare_pair *p, int m)
{
    const double value = p->difference[m].p;
    if (isnan(value))
        return;
    fprintf(out, "  p %.4g", value);
    if (c->pairs > 1)
        fprintf(out, " (Holm, %d pairs: %.4g)", c->pairs, p->holm[m]);
}

static void text_margin(FILE *out, const comparison *c, const compare_pair *p, int m)
{
    if (isnan(c->margin) || p->difference[m].undefined)
        return;
    fprintf(out, "  %s by %g", p->not_inferior[m] ? "not inferior" : "non-inferiority not shown",
            c->margin);
}

static void text_difference(FILE *out, const comparison *c, const compare_pair *p, int m)
{
    const pulmo_difference *d = &p->difference[m];
    fprintf(out, "   %-12s ", compare_words[m]);
    if (isnan(d->difference.value)) {
        fprintf(out, "undefined (%s)\n", d->undefined ? d->undefined : "no value");
        return;
    }
    pulmo_interval_print(out, d->difference);
    if (d->undefined)
        fprintf(out, " (%s)", d->undefined);
    text_p(out, c, p, m);
    text_margin(out, c, p, m);
    fputc('\n', out);
}

static void text_alone(FILE *out, const comparison *c, const compare_pair *p, int which)
{
    const pulmo_difference *d = &p->difference[COMPARE_ACCURACY];
    const uint64_t count = which == 0 ? d->only_first : d->only_second;
    const int right = which == 0 ? p->first : p->second;
    int named = 0;
    fprintf(out, "   right in %c alone: %llu image%s", c->input[right].letter,
            (unsigned long long)count, pulmo_plural(count));
    for (uint32_t i = 0; i < c->count && named < COMPARE_NAMED; i++) {
        if (!compare_alone(c, p, which, i))
            continue;
        fputs(named > 0 ? ", " : ": ", out);
        pulmo_text_show(out, c->input[0].paths[c->row[0][i]], SIZE_MAX);
        named++;
    }
    fputs(count > COMPARE_NAMED ? ", ...\n" : "\n", out);
}

static void text_pair(FILE *out, const comparison *c, const compare_pair *p)
{
    fprintf(out, "\n%c less %c\n", c->input[p->second].letter, c->input[p->first].letter);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++)
        text_difference(out, c, p, m);
    fprintf(out, "   McNemar's exact test of right and wrong, by image: p %.4g%s\n", p->mcnemar,
            c->sample.by_patient ? " (takes images of one patient for independent)" : "");
    text_alone(out, c, p, 0);
    text_alone(out, c, p, 1);
}

void compare_text(FILE *out, const comparison *c)
{
    text_header(out, c);
    text_missing(out, c);
    text_models(out, c);
    for (int i = 0; i < c->pairs; i++)
        text_pair(out, c, &c->pair[i]);
    fprintf(out, "\nAUC: %s; shares: %s\n", compare_method(c, COMPARE_AUC),
            compare_method(c, COMPARE_SENSITIVITY));
}

/* ---- files ---- */

static void csv_differences(FILE *out, const comparison *c)
{
    fputs("path,patient,label", out);
    for (int i = 0; i < c->inputs; i++)
        fprintf(out, ",%c_p,%c_predicted", c->input[i].letter, c->input[i].letter);
    fputc('\n', out);
    const compare_input *first = &c->input[0];
    for (uint32_t image = 0; image < c->count; image++) {
        int right = 0;
        for (int i = 0; i < c->inputs; i++)
            right += c->right[i][image];
        if (right == 0 || right == c->inputs)
            continue;
        const uint32_t row = c->row[0][image];
        pulmo_csv_name(out, first->paths[row]);
        fputc(',', out);
        pulmo_csv_name(out, first->patients[row]);
        fputc(',', out);
        pulmo_csv_name(out, first->class_names[first->labels[row]]);
        for (int i = 0; i < c->inputs; i++) {
            const compare_input *input = &c->input[i];
            const uint32_t at = c->row[i][image];
            fprintf(out, ",%.9g,", input->probability[at]);
            pulmo_csv_name(out, input->class_names[input->predicted[at]]);
        }
        fputc('\n', out);
    }
}

static void csv_missing(FILE *out, const comparison *c)
{
    fputs("missing_in,path\n", out);
    for (int i = 0; i < c->inputs; i++) {
        for (uint32_t j = 0; j < c->missing[i].count; j++) {
            fprintf(out, "%c,", c->input[i].letter);
            pulmo_csv_name(out, c->missing[i].paths[j]);
            fputc('\n', out);
        }
    }
}

static pulmo_status json_file(FILE *out, const comparison *c)
{
    return compare_json(out, c);
}

static pulmo_status page_file(FILE *out, const comparison *c)
{
    compare_page(out, c);
    return PULMO_OK;
}

static pulmo_status differences_file(FILE *out, const comparison *c)
{
    csv_differences(out, c);
    return PULMO_OK;
}

static pulmo_status missing_file(FILE *out, const comparison *c)
{
    csv_missing(out, c);
    return PULMO_OK;
}

/* The page comes last: where it stands all is there. */
static const struct {
    const char *name;
    pulmo_status (*print)(FILE *out, const comparison *c);
} files[] = {{"differences.csv", differences_file},
             {"missing.csv", missing_file},
             {"compare.json", json_file},
             {"compare.html", page_file}};

static pulmo_status write_file(const comparison *c, const char *directory, size_t which)
{
    pulmo_text text;
    char *path = pulmo_format("%s/%s", directory, files[which].name);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_text_open(&text);
    if (status == PULMO_OK) {
        status = files[which].print(text.stream, c);
        if (status == PULMO_OK)
            status = pulmo_text_write(&text, path);
        else
            pulmo_text_discard(&text);
    }
    free(path);
    return status;
}

static pulmo_status write_files(const comparison *c, const char *directory)
{
    PULMO_TRY(pulmo_directory_make(directory));
    for (size_t i = 0; i < PULMO_COUNT_OF(files); i++)
        PULMO_TRY(write_file(c, directory, i));
    return PULMO_OK;
}

/* ---- all of it ---- */

static pulmo_status open_inputs(comparison *c, const pulmo_compare_options *o)
{
    for (int i = 0; i < o->input_count; i++) {
        compare_input *input = &c->input[i];
        c->inputs++;
        input->letter = (char)('A' + i);
        PULMO_TRY(compare_input_open(o->inputs[i], o->split, input));
    }
    PULMO_TRY(compare_choose_finding(c, o->class_name));
    for (int i = 0; i < c->inputs; i++)
        PULMO_TRY(compare_input_call(&c->input[i], o->threshold));
    return PULMO_OK;
}

static void comparison_free(comparison *c)
{
    for (int i = 0; i < c->inputs; i++) {
        compare_input_close(&c->input[i]);
        free(c->missing[i].paths);
        free(c->row[i]);
        free(c->score[i]);
        free(c->called[i]);
        free(c->spared[i]);
        free(c->right[i]);
    }
    free(c->positive);
    free(c->negative);
    free(c->patient);
    free(c);
}

static pulmo_status compare(comparison *c, const pulmo_compare_options *o)
{
    PULMO_TRY(open_inputs(c, o));
    PULMO_TRY(compare_align(c));
    PULMO_TRY(compare_measure_all(c));
    if (o->out)
        PULMO_TRY(write_files(c, o->out));
    if (o->json)
        return compare_json(stdout, c);
    compare_text(stdout, c);
    if (o->out)
        printf("Page: %s/compare.html\n", o->out);
    return PULMO_OK;
}

static pulmo_status check(const pulmo_compare_options *o)
{
    if (o->input_count < 2 || o->input_count > COMPARE_INPUTS_MAX)
        return pulmo_fail(PULMO_USAGE, "%d models were given; 2 to %d are compared", o->input_count,
                          COMPARE_INPUTS_MAX);
    if (!isnan(o->margin) && !(o->margin > 0 && o->margin < 1))
        return pulmo_fail(PULMO_USAGE, "--margin %g: must be above 0 and below 1, as in 0.05",
                          o->margin);
    if (!isnan(o->threshold) && !(o->threshold >= 0 && o->threshold <= 1))
        return pulmo_fail(PULMO_USAGE, "--threshold %g: must be a probability, from 0 to 1",
                          o->threshold);
    if (o->out)
        return pulmo_results_check_out(o->out, false);
    return PULMO_OK;
}

pulmo_status pulmo_compare(const pulmo_compare_options *options)
{
    PULMO_TRY(check(options));
    comparison *c = calloc(1, sizeof *c);
    if (!c)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a comparison");
    c->margin = options->margin;
    pulmo_status status = compare(c, options);
    comparison_free(c);
    return status;
}
