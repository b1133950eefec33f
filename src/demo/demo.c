/* pulmo demo-data: who is drawn, under which names, and the files. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "phantom.h"

#include "pulmo/demo.h"
#include "pulmo/file.h"
#include "pulmo/isa.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/pool.h"
#include "pulmo/rng.h"
#include "pulmo/split.h"

#define QUALITY 90

/* One image to draw. */
typedef struct portrait {
    int kind; /* 0 normal, 1 bacterial, 2 viral */
    uint32_t patient, image;
    char name[64]; /* below the destination */
} portrait;

typedef struct gallery {
    const pulmo_demo_options *options;
    portrait *portrait;
    int count;
} gallery;

void pulmo_demo_options_init(pulmo_demo_options *options)
{
    memset(options, 0, sizeof *options);
    options->images[0] = 320;
    options->images[1] = 80;
    options->images[2] = 120;
}

/* ---- who ---- */

static void name_portrait(portrait *p, const char *split, uint32_t number)
{
    static const char *const kinds[] = {"", "bacteria", "virus"};
    if (p->kind == 0)
        snprintf(p->name, sizeof p->name, "%s/NORMAL/%sIM-%04u-%04u.jpeg", split,
                 p->patient % 3 == 0 ? "NORMAL2-" : "", p->patient, p->image + 1);
    else
        snprintf(p->name, sizeof p->name, "%s/PNEUMONIA/person%u_%s_%u.jpeg", split, p->patient,
                 kinds[p->kind], number);
}

/* About a third of patients have two images. Patients are numbered through all splits. */
static void plan_gallery(gallery *g)
{
    uint32_t patient = 1, number = 1;
    pulmo_rng rng;
    pulmo_rng_at(&rng, g->options->seed, PULMO_RNG_DEMO, 0, 0);
    for (int s = 0; s < 3; s++)
        for (int sick = 0; sick < 2; sick++) {
            int wanted = sick ? g->options->images[s] / 2
                              : g->options->images[s] - g->options->images[s] / 2;
            while (wanted > 0) {
                int kind = sick ? 1 + (int)pulmo_rng_below(&rng, 2) : 0;
                uint32_t images = pulmo_rng_below(&rng, 3) == 0 && wanted > 1 ? 2 : 1;
                for (uint32_t i = 0; i < images; i++, wanted--) {
                    portrait *p = &g->portrait[g->count++];
                    *p = (portrait){.kind = kind, .patient = patient, .image = i};
                    name_portrait(p, pulmo_split_name(s), number++);
                }
                patient++;
            }
        }
}

/* ---- files ---- */

static pulmo_status draw_one(const gallery *g, const portrait *p)
{
    pulmo_image image = {0};
    PULMO_TRY(phantom_draw(g->options->seed, p->kind, p->patient, p->image, &image));
    char *path = pulmo_format("%s/%s", g->options->directory, p->name);
    pulmo_status status = path ? pulmo_jpeg_write(path, &image, QUALITY) : PULMO_MEMORY;
    pulmo_image_free(&image);
    free(path);
    return status;
}

static pulmo_status draw_task(void *context, int task, int thread)
{
    const gallery *g = context;
    (void)thread;
    return draw_one(g, &g->portrait[task]);
}

static pulmo_status draw_all(gallery *g)
{
    pulmo_pool *pool = NULL;
    PULMO_TRY(pulmo_pool_create(g->options->threads > 0 ? g->options->threads : pulmo_cpu_count(),
                                &pool));
    pulmo_status status = pulmo_pool_try(pool, g->count, draw_task, g);
    pulmo_pool_destroy(pool);
    return status;
}

static pulmo_status make_folders(const char *directory)
{
    static const char *const classes[] = {"NORMAL", "PNEUMONIA"};
    for (int i = 0; i < 6; i++) {
        char *path = pulmo_format("%s/%s/%s", directory, pulmo_split_name(i / 2), classes[i % 2]);
        if (!path)
            return PULMO_MEMORY;
        pulmo_status status = pulmo_directory_make(path);
        if (status == PULMO_OK)
            pulmo_file_remove_abandoned(
                path, -1); /* what a killed run left: pack would take it for an image */
        free(path);
        PULMO_TRY(status);
    }
    return PULMO_OK;
}

/* The marker's text: the same text, the same demo. */
static char *marker_text(const pulmo_demo_options *o)
{
    return pulmo_format(
        "pulmo demo data, version 2, seed %llu, %d + %d + %d images\n"
        "Procedurally drawn phantoms. Not medical images; of no clinical meaning.\n",
        (unsigned long long)o->seed, o->images[0], o->images[1], o->images[2]);
}

/* Stands in the directory while it is being filled: the marker's text. */
#define UNFINISHED "UNFINISHED"

static bool holds(const char *directory, const char *name, const char *wanted)
{
    char text[512] = "";
    char *path = pulmo_format("%s/%s", directory, name);
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    free(path);
    return strcmp(text, wanted) == 0;
}

static bool is_empty(const char *directory)
{
    bool empty = true;
    DIR *dir = opendir(directory);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    if (dir)
        closedir(dir);
    return empty;
}

static pulmo_status write_named(const char *directory, const char *name, const char *text)
{
    char *path = pulmo_format("%s/%s", directory, name);
    pulmo_status status = path ? pulmo_file_write(path, text, strlen(text)) : PULMO_MEMORY;
    free(path);
    return status;
}

static pulmo_status write_all(gallery *g, const char *marker)
{
    const char *directory = g->options->directory;
    PULMO_TRY(pulmo_directory_make(directory));
    PULMO_TRY(write_named(directory, UNFINISHED, marker));
    PULMO_TRY(make_folders(directory));
    PULMO_TRY(draw_all(g));
    PULMO_TRY(write_named(
        directory, "README.txt",
        "These images were drawn by a program (pulmo demo-data). They look a little like chest "
        "X-rays\n"
        "and serve to try the software. They are not medical images, show no person, and nothing\n"
        "learned from them has any clinical meaning.\n"));
    PULMO_TRY(write_named(directory, "DEMO", marker));
    char *path = pulmo_format("%s/%s", directory, UNFINISHED);
    if (!path)
        return PULMO_MEMORY;
    remove(path);
    free(path);
    return PULMO_OK;
}

static pulmo_status write_gallery(gallery *g, const char *marker)
{
    const pulmo_demo_options *o = g->options;
    size_t total = (size_t)o->images[0] + (size_t)o->images[1] + (size_t)o->images[2];
    g->portrait = calloc(total + 1, sizeof *g->portrait);
    if (!g->portrait)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu portraits", total);
    plan_gallery(g);
    PULMO_TRY(write_all(g, marker));
    pulmo_info("drew %d phantoms (a demo, not medical images) into %s", g->count, o->directory);
    return PULMO_OK;
}

pulmo_status pulmo_demo_write(const pulmo_demo_options *options)
{
    gallery g = {.options = options};
    const char *directory = options->directory;
    pulmo_status status = PULMO_OK;
    for (int s = 0; s < 3; s++)
        if (options->images[s] < 0)
            return pulmo_fail(PULMO_USAGE, "%d images of %s; must be 0 or more", options->images[s],
                              pulmo_split_name(s));
    char *marker = marker_text(options);
    if (!marker)
        return PULMO_MEMORY;
    if (holds(directory, "DEMO", marker))
        pulmo_info("%s: this demo is there already; nothing to do", directory);
    else if (is_empty(directory) || holds(directory, UNFINISHED, marker))
        status = write_gallery(&g, marker);
    else
        status = pulmo_fail(
            PULMO_USAGE,
            "%s: is not empty and holds no demo with these options; choose another directory",
            directory);
    free(g.portrait);
    free(marker);
    return status;
}
