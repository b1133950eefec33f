/* `pulmo report`: report.html and MODEL_CARD.md from results.h5. */
#include "report_room.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"

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

static pulmo_status write_page(const report *r, const pulmo_report_options *o, const char *path)
{
    char *images = NULL, *page = NULL;
    size_t images_length = 0, page_length = 0;
    FILE *stream = open_memstream(&images, &images_length);
    if (!stream)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the report");
    pulmo_status status = report_images(stream, r, o);
    bool whole = fclose(stream) == 0;
    stream = status == PULMO_OK && whole ? open_memstream(&page, &page_length) : NULL;
    if (stream) {
        report_html(stream, r, images);
        whole = fclose(stream) == 0;
    }
    if (status == PULMO_OK && (!stream || !whole))
        status = pulmo_fail(PULMO_MEMORY, "out of memory for the report");
    if (status == PULMO_OK)
        status = pulmo_file_write(path, page, page_length);
    free(images);
    free(page);
    return status;
}

static pulmo_status write_card(const report *r, const char *path)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (!stream)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the model card");
    model_card(stream, r);
    bool whole = fclose(stream) == 0;
    pulmo_status status = whole ? pulmo_file_write(path, text, length)
                                : pulmo_fail(PULMO_MEMORY, "out of memory for the model card");
    free(text);
    return status;
}

pulmo_status pulmo_report(const pulmo_report_options *options)
{
    report r;
    pulmo_report_options o = *options;
    char *directory = NULL, *page = NULL, *card = NULL;
    PULMO_TRY(report_read(o.run, &r));
    pulmo_status status = PULMO_MEMORY;
    directory = directory_of(r.results_path);
    page = o.out       ? pulmo_strdup(o.out)
           : directory ? pulmo_format("%s/report.html", directory)
                       : NULL;
    card = directory ? pulmo_format("%s/MODEL_CARD.md", directory) : NULL;
    if (!directory || !page || !card)
        goto out;
    o.run = directory;
    PULMO_GOTO(write_page(&r, &o, page));
    PULMO_GOTO(write_card(&r, card));
    printf("Report: %s\n", page);
out:
    free(directory);
    free(page);
    free(card);
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
