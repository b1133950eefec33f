/* `pulmo report`: report.html and MODEL_CARD.md from results.h5. */
#include "report_room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "pulmo/results.h"
#include "pulmo/text.h"

void pulmo_report_options_init(pulmo_report_options *options)
{
    *options = (pulmo_report_options){.weights = "", .overlays = 1};
}

/* The directory that results.h5 stands in. */
static char *directory_of(const char *results_path)
{
    const char *slash = strrchr(results_path, '/');
    if (!slash)
        return pulmo_strdup(".");
    return pulmo_format("%.*s", slash == results_path ? 1 : (int)(slash - results_path),
                        results_path);
}

/* The images as they stand in the page. Owned by the caller (free). */
static pulmo_status images_text(const report *r, const pulmo_report_options *o, char **out)
{
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    if (r->shared || r->is_scores)
        return pulmo_text_take(&text, out);
    pulmo_status status = report_images(text.stream, r, o);
    if (status == PULMO_OK)
        return pulmo_text_take(&text, out);
    pulmo_text_discard(&text);
    return status;
}

static pulmo_status write_page(const report *r, const pulmo_report_options *o, const char *path)
{
    pulmo_text page;
    char *images = NULL;
    PULMO_TRY(images_text(r, o, &images));
    pulmo_status status = pulmo_text_open(&page);
    if (status == PULMO_OK) {
        status = report_html(page.stream, r, images);
        if (status == PULMO_OK)
            status = pulmo_text_write(&page, path);
        pulmo_text_discard(&page);
    }
    free(images);
    return status;
}

static pulmo_status write_card(const report *r, const char *path)
{
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    model_card(text.stream, r);
    return pulmo_text_write(&text, path);
}

pulmo_status pulmo_report(const pulmo_report_options *options)
{
    report r;
    pulmo_report_options o = *options;
    char *directory = NULL, *page = NULL, *card = NULL;
    PULMO_TRY(report_read(o.run, &r));
    r.shared = o.share != 0;
    pulmo_status status = PULMO_OK;
    PULMO_GOTO(report_group(&r, o.by));
    status = PULMO_MEMORY;
    directory = directory_of(r.results_path);
    if (o.out)
        page = pulmo_strdup(o.out);
    else if (directory)
        page = pulmo_format("%s/%s.html", directory, r.shared ? "share" : "report");
    card = directory ? pulmo_format("%s/MODEL_CARD.md", directory) : NULL;
    if (!directory || !page || !card)
        goto out;
    o.run = directory;
    PULMO_GOTO(write_page(&r, &o, page));
    if (!r.shared)
        PULMO_GOTO(write_card(&r, card));
    printf("Report: %s\n", page);
out:
    free(directory);
    free(page);
    free(card);
    report_free(&r);
    return status;
}

static pulmo_status write_scores(const report *r, const pulmo_report_options *o)
{
    char *page = pulmo_format("%s/%s.html", o->out, r->shared ? "share" : "report");
    char *groups = pulmo_format("%s/groups.csv", o->out);
    const char *const *class_names = (const char *const *)r->class_names;
    pulmo_status status = page && groups ? PULMO_OK : PULMO_MEMORY;
    if (status == PULMO_OK && r->groups.count > 0)
        status = pulmo_groups_csv(groups, &r->groups, class_names);
    else if (status == PULMO_OK && unlink(groups) != 0 && errno != ENOENT)
        status = pulmo_fail(PULMO_IO, "%s: of earlier scores, cannot be removed: %s", groups,
                            strerror(errno));
    if (status == PULMO_OK)
        status = write_page(r, o, page);
    if (status == PULMO_OK)
        printf("Report: %s\n", page);
    free(page);
    free(groups);
    return status;
}

pulmo_status pulmo_report_scores(const pulmo_report_options *options)
{
    report r;
    PULMO_TRY(pulmo_results_check_out(options->out, false));
    PULMO_TRY(report_of_scores(options, &r));
    pulmo_status status = report_group(&r, options->by);
    if (status == PULMO_OK)
        status = pulmo_directory_make(options->out);
    if (status == PULMO_OK)
        status = write_scores(&r, options);
    report_free(&r);
    return status;
}

pulmo_status pulmo_report_of_run(const pulmo_config *config)
{
    pulmo_report_options options;
    pulmo_report_options_init(&options);
    options.run = config->train.run_dir;
    options.weights = config->model.weights;
    options.threads = (int)config->train.threads;
    return pulmo_report(&options);
}
