/* How and when it was made: the line at the top, and the sections on configuration and provenance.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/text.h"
#include "report_room.h"

/* ---- the line at the top ---- */

/* What the time went into. */
static const char *work_of(const report *r)
{
    if (r->epochs > 0)
        return "trained";
    return r->folds > 0 ? "cross-validated" : "evaluated";
}

void html_when(FILE *out, const report *r)
{
    const bool known = *r->started && !isnan(r->wall_s);
    if (!*r->date)
        return;
    fputs(" \u00b7 ", out);
    if (known && *r->ended)
        fprintf(out, "%s ", work_of(r));
    html_text(out, r->date);
    if (!known)
        return;
    fputs(*r->ended ? " in " : ", after ", out);
    pulmo_duration_print(out, r->wall_s);
}

/* ---- sections ---- */

static void fact(FILE *out, const char *name, const char *value)
{
    if (!*value)
        return;
    fputs("<tr><th scope=\"row\">", out);
    html_text(out, name);
    fputs("</th><td><code>", out);
    html_text(out, value);
    fputs("</code></td></tr>\n", out);
}

static const char *model_fact(const report *r)
{
    if (r->folds > 0)
        return "Models of the folds below";
    return r->models > 1 ? "First model" : "Model of";
}

static void provenance_of_scores(FILE *out, const report *r)
{
    fputs("<section><h2>Provenance</h2>\n<div class=\"scroll\"><table><tbody>\n", out);
    if (!r->shared)
        fact(out, "Scores", r->scores.file);
    fact(out, "Their SHA-256", r->scores_digest);
    fact(out, "Report by pulmo", r->version);
    fact(out, "Scores written", r->date);
    fputs("</tbody></table></div>\n<p class=\"soft\">All figures here are computed from that "
          "file.</p></section>\n",
          out);
}

/* The command names places; what is given away does not. */
static void times(FILE *out, const report *r)
{
    char began[64];
    snprintf(began, sizeof began, r->sessions > 1 ? "%.40s, in %lld sessions" : "%.40s", r->started,
             (long long)r->sessions);
    if (!r->shared)
        fact(out, "Command", r->command);
    if (*r->started)
        fact(out, "Started", began);
    fact(out, "Ended", r->ended);
    if (!*r->ended)
        fact(out, "Results written", r->date);
    if (isnan(r->wall_s))
        return;
    fputs("<tr><th scope=\"row\">Wall time</th><td><code>", out);
    pulmo_duration_print(out, r->wall_s);
    fputs("</code></td></tr>\n", out);
}

static void provenance(FILE *out, const report *r)
{
    char where[400];
    snprintf(where, sizeof where, "%.300s, %lld rank%s of %lld thread%s", r->host,
             (long long)r->ranks, pulmo_plural((uint64_t)r->ranks), (long long)r->threads,
             pulmo_plural((uint64_t)r->threads));
    fputs("<section><h2>Provenance</h2>\n<div class=\"scroll\"><table><tbody>\n", out);
    fact(out, "Head SHA-256", r->head_digest);
    fact(out, "Frozen weights SHA-256", r->weights_digest);
    fact(out, "Packed data SHA-256", r->data_digest);
    if (!r->shared) {
        fact(out, "Packed data", r->data_path);
        fact(out, model_fact(r), r->model);
    }
    fact(out, "Program", r->version);
    fact(out, "Commit", r->commit);
    if (*r->features)
        fact(out, "Training features", r->features);
    if (*r->kernels)
        fact(out, "Kernels", r->kernels);
    if (!r->shared)
        fact(out, "Ran on", where);
    times(out, r);
    fputs("</tbody></table></div>\n<p class=\"soft\">One configuration, one data set and one file "
          "of frozen weights give the same head to "
          "the "
          "last bit, on any processor and any number of ranks and threads: equal runs show the "
          "same Head SHA-256. "
          "All figures here are computed from the "
          "per-image scores in <code>results.h5</code>.</p></section>\n",
          out);
}

/* One section of the file: from a line that is not indented to the next. Returns where that is. */
static const char *config_section(FILE *out, const char *from)
{
    const char *end = from;
    char *section = NULL;
    do {
        end += strcspn(end, "\n");
        end += *end == '\n';
    } while (*end == ' ');
    section = strndup(from, (size_t)(end - from));
    if (!section)
        end = from + strlen(from); /* all of it in one piece, rather than without a section */
    html_tagged(out, "pre", section ? section : from);
    free(section);
    return end;
}

static void configuration(FILE *out, const report *r)
{
    if (!*r->config)
        return;
    fputs("<section><h2>Configuration</h2>\n<p class=\"soft\">The settings that make the model; "
          "<code>config.yaml</code> holds "
          "all.</p>\n<div class=\"config\">",
          out);
    for (const char *at = r->config; *at;)
        at = config_section(out, at);
    fputs("</div></section>\n", out);
}

void html_made(FILE *out, const report *r)
{
    configuration(out, r);
    if (r->is_scores)
        provenance_of_scores(out, r);
    else
        provenance(out, r);
}
