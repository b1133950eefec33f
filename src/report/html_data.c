/* The report's section on data: splits, the leak audit, what was refused. */
#include "report_room.h"

#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

#define LINES_SHOWN 8

static void split_table(FILE *out, const report *r)
{
    int shown = r->classes > CLASSES_WIDE ? 0 : r->classes;
    static const char *const names[PULMO_SPLITS] = {"Training", "Validation", "Test"};
    fputs("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Split</th><th class=\"n\" "
          "scope=\"col\">Images</th><th class=\"n\" "
          "scope=\"col\">Patients</th>",
          out);
    for (int k = 0; k < shown; k++) {
        fputs("<th class=\"n\" scope=\"col\">", out);
        html_text(out, r->class_names[k]);
        fputs("</th>", out);
    }
    fputs("</tr></thead><tbody>\n", out);
    for (int p = 0; p < PULMO_SPLITS; p++) {
        if (!r->part[p].present)
            continue;
        fprintf(out, "<tr><th scope=\"row\">%s</th><td class=\"n\">%lld</td><td class=\"n\">",
                names[p], (long long)r->part[p].count);
        if (r->patients_unknown)
            fputs("unknown</td>", out);
        else
            fprintf(out, "%lld</td>", (long long)r->part[p].patients);
        for (int k = 0; k < shown; k++)
            fprintf(out, "<td class=\"n\">%lld</td>", (long long)r->part[p].images[k]);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

/* Lines of an audit name files and patients. */
typedef struct audit_part {
    const report_lines *lines;
    const char *noun, *what; /* in words: "patient", " in several splits" */
    const char *list;        /* in results.h5 */
    bool is_bad;
} audit_part;

static void finding(FILE *out, const report *r, audit_part part)
{
    const report_lines *lines = part.lines;
    fprintf(out, "<h3 class=\"%s\">%llu %s%s%s</h3>\n",
            lines->count && part.is_bad ? "bad" : "good", (unsigned long long)lines->count,
            part.noun, pulmo_plural(lines->count), part.what);
    if (r->shared)
        return;
    fputs("<ul class=\"lines\">", out);
    for (uint64_t i = 0; i < lines->count && i < LINES_SHOWN; i++)
        html_tagged(out, "li", lines->text[i]);
    fputs("</ul>\n", out);
    if (lines->count > LINES_SHOWN)
        fprintf(out,
                "<p class=\"soft\">\u2026 and %llu more, in <code>results.h5</code>: "
                "<code>/data/audit/%s</code></p>\n",
                (unsigned long long)lines->count - LINES_SHOWN, part.list);
}

static void refused(FILE *out, const report *r)
{
    if (r->refused.count == 0)
        return;
    fprintf(out, "<h3>%llu file%s not packed</h3>\n", (unsigned long long)r->refused.count,
            r->refused.count == 1 ? " was" : "s were");
    if (r->shared)
        return;
    fputs("<ul class=\"lines\">", out);
    for (uint64_t i = 0; i < r->refused.count && i < LINES_SHOWN; i++) {
        fputs("<li>", out);
        html_say(out, "%s: %s", r->refused.text[i], r->refused_reasons.text[i]);
        fputs("</li>", out);
    }
    fputs("</ul>\n", out);
    if (r->refused.count > LINES_SHOWN)
        fprintf(out,
                "<p class=\"soft\">\u2026 and %llu more, in <code>results.h5</code>: "
                "<code>/data/refused</code></p>\n",
                (unsigned long long)r->refused.count - LINES_SHOWN);
}

/* What was looked for and is there, each with its list; the rest in one line. */
static void findings(FILE *out, const report *r)
{
    const bool known = !r->patients_unknown;
    const struct {
        audit_part part;
        bool looked_for;
    } all[] = {
        {{&r->shared_patients, "patient", " in several splits", "shared_patients", true}, known},
        {{&r->leaks, "picture", " in several splits", "leaks", true}, true},
        {{&r->mixed_patients, "patient", " with images in several classes", "mixed_patients",
          false},
         known},
        {{&r->identical, "identical picture", "", "identical", false}, true},
        {{&r->similar, "nearly identical picture", "", "similar", false}, true},
    };
    const char *before = "<p class=\"none\"><strong>None:</strong> ";
    for (size_t i = 0; i < PULMO_COUNT_OF(all); i++)
        if (all[i].looked_for && all[i].part.lines->count > 0)
            finding(out, r, all[i].part);
    for (size_t i = 0; i < PULMO_COUNT_OF(all); i++) {
        const audit_part *part = &all[i].part;
        if (!all[i].looked_for || part->lines->count > 0)
            continue;
        fprintf(out, "%s%ss%s", before, part->noun, part->what);
        before = ", ";
    }
    if (*before == ',')
        fputs(".</p>\n", out);
}

void html_data(FILE *out, const report *r)
{
    if (!r->has_data)
        return;
    fputs("<section><h2>Data and splits</h2>\n", out);
    split_table(out, r);
    fputs("<p class=\"soft\">", out);
    html_say(out, "Images are %lld \u00d7 %lld pixels: %s; %s.", (long long)r->size_px,
             (long long)r->size_px, r->decode, r->resize);
    if (*r->carve)
        html_say(out, " Splits: %s.", r->carve);
    if (r->fold >= 0)
        html_say(out,
                 " Cross-validation: of the images packed as training, fold %lld is the test here, "
                 "the next fold validation.",
                 (long long)r->fold);
    if (*r->patients_by)
        html_say(out, " Patients by: %s.", r->patients_by);
    fputs("</p>\n<h3>Leak audit</h3>\n<p>A picture or a patient that stands in two splits makes a "
          "model look better than it is.</p>\n",
          out);
    if (r->patients_partly)
        fputs("<h3 class=\"bad\">Patients unknown for some images</h3>\n<p>Some file names tell no "
              "patient: one may stand in several splits, and the figures may be too good.</p>\n",
              out);
    if (r->patients_unknown)
        fputs("<h3 class=\"bad\">Patients unknown</h3>\n<p>No file name tells a patient: one may "
              "stand in several splits, and the figures may be too good.</p>\n",
              out);
    findings(out, r);
    refused(out, r);
    fputs("</section>\n", out);
}
