/* Whether images that a model is judged by are images that it was made of: what is said of it. */
#include "overlap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

/* Of the judged images, what may be chance: names of patients that two hospitals both give. */
#define PER_CENT_MOST 1
#define LISTED        20 /* images that are listed on stderr */

typedef struct overlap {
    const overlap_case *of;
    uint32_t count; /* judged images */
    pulmo_identities judged;
    overlap_seen seen;
    overlap_means means;
    overlap_how *how[PULMO_SPLITS]; /* (count) each: in train and in val */
} overlap;

static void free_overlap(overlap *o)
{
    for (int s = 0; s < PULMO_SPLITS; s++)
        free(o->how[s]);
    pulmo_identities_free(&o->judged);
    overlap_seen_free(&o->seen);
}

/* ---- what can be compared ---- */

static bool is_alike(const pulmo_framing *a, const pulmo_framing *b, int part)
{
    return pulmo_framing_get(a, part) == pulmo_framing_get(b, part);
}

/* Pixels can tell only where both were packed to the same form. */
static bool can_tell_pixels(const pulmo_model *model, const pulmo_dataset_info *info)
{
    if (info->height_px != model->size_px || info->width_px != model->size_px)
        return false;
    for (int part = 0; part < PULMO_FRAMING_PARTS; part++)
        if (!is_alike(&model->framing, &info->framing, part))
            return false;
    return true;
}

/* Sketches are of the picture without what pads it, at any size: squashed and padded images have
 * the same. */
static bool can_tell_looks(const pulmo_model *model, const pulmo_dataset_info *info)
{
    const bool cut = model->framing.fit == PULMO_FIT_CROP;
    const bool other_cut = info->framing.fit == PULMO_FIT_CROP;
    return cut == other_cut && is_alike(&model->framing, &info->framing, PULMO_FRAMING_BORDER);
}

static bool have_sketches(const pulmo_identities *a, const pulmo_identities *b)
{
    const bool one = a->sketches || a->count == 0;
    const bool other = b->sketches || b->count == 0;
    return one && other;
}

/* Pseudonyms by two keys have nothing in common. */
static bool have_patients(const pulmo_identities *a, const pulmo_identities *b)
{
    const bool one = a->patients || a->count == 0;
    const bool other = b->patients || b->count == 0;
    return one && other && strcmp(a->key_name, b->key_name) == 0;
}

static void find_means(overlap *o)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(o->of->judged);
    const pulmo_model *model = o->of->model;
    o->means.pixels = can_tell_pixels(model, info);
    o->means.looks = can_tell_looks(model, info);
    o->means.patients = true;
    for (int s = PULMO_SPLIT_TRAIN; s <= PULMO_SPLIT_VAL; s++) {
        const pulmo_identities *theirs = &o->seen.split[s];
        o->means.looks = o->means.looks && have_sketches(&o->judged, theirs);
        o->means.patients = o->means.patients && have_patients(&o->judged, theirs);
    }
}

/* ---- comparing ---- */

static pulmo_status compare(overlap *o)
{
    PULMO_TRY(overlap_seen_of(o->of->run, o->of->head_digest, &o->seen));
    PULMO_TRY(pulmo_identities_of(o->of->judged, &o->judged));
    o->count = o->judged.count;
    find_means(o);
    for (int s = PULMO_SPLIT_TRAIN; s <= PULMO_SPLIT_VAL; s++) {
        o->how[s] = malloc(((size_t)o->count + 1) * sizeof *o->how[s]);
        if (!o->how[s])
            return pulmo_fail(PULMO_MEMORY, "out of memory for %u images", o->count);
        PULMO_TRY(overlap_match(&o->judged, &o->seen.split[s], o->means, o->how[s]));
    }
    return PULMO_OK;
}

/* ---- what was found ---- */

static uint32_t count_how(const overlap *o, int split, overlap_how how)
{
    uint32_t images = 0;
    for (uint32_t i = 0; i < o->count; i++)
        images += o->how[split][i] == how;
    return images;
}

/* Images that are known in any way, in train or val. */
static uint32_t count_shared(const overlap *o)
{
    uint32_t images = 0;
    for (uint32_t i = 0; i < o->count; i++) {
        const bool trained = o->how[PULMO_SPLIT_TRAIN][i] != OVERLAP_NONE;
        const bool chosen = o->how[PULMO_SPLIT_VAL][i] != OVERLAP_NONE;
        images += trained || chosen;
    }
    return images;
}

/* What the run did with a split: "was trained on". */
static const char *did_with(int split)
{
    return split == PULMO_SPLIT_TRAIN ? "was trained on" : "had its epoch and threshold chosen on";
}

/* " (2 by the same pixels in another file, 1 as nearly the same picture)"; "" for files alone. */
static void name_hows(uint32_t pixels, uint32_t looks, char *out, size_t bytes)
{
    char first[64] = "";
    char second[64] = "";
    const char *between = pixels > 0 && looks > 0 ? ", " : "";
    *out = '\0';
    if (pixels > 0)
        snprintf(first, sizeof first, "%u by the same pixels in another file", pixels);
    if (looks > 0)
        snprintf(second, sizeof second, "%u as nearly the same picture", looks);
    if (pixels + looks > 0)
        snprintf(out, bytes, " (%s%s%s)", first, between, second);
}

static void warn_of_pictures(const overlap *o, int split)
{
    char hows[160];
    const uint32_t files = count_how(o, split, OVERLAP_FILE);
    const uint32_t pixels = count_how(o, split, OVERLAP_PIXELS);
    const uint32_t looks = count_how(o, split, OVERLAP_LOOKS);
    name_hows(pixels, looks, hows, sizeof hows);
    if (files + pixels + looks > 0)
        pulmo_warn("%s %s %u of the %u image%s of %s%s: the figures flatter it", o->of->run,
                   did_with(split), files + pixels + looks, o->count, pulmo_plural(o->count),
                   o->of->name, hows);
}

static const char *first_patient(const overlap *o, int split)
{
    uint32_t i = 0;
    while (o->how[split][i] != OVERLAP_PATIENT)
        i++;
    return o->judged.patients[i];
}

static void warn_of_patients(const overlap *o, int split)
{
    const uint32_t images = count_how(o, split, OVERLAP_PATIENT);
    if (images > 0)
        pulmo_warn("%s %s other images of the patients of %u image%s of %s, such as %s: the "
                   "figures flatter it",
                   o->of->run, did_with(split), images, pulmo_plural(images), o->of->name,
                   first_patient(o, split));
}

/* ---- each image ---- */

static const char *how_words(overlap_how how)
{
    static const char *const words[OVERLAP_HOWS] = {
        "", "another image of the same patient", "nearly the same picture",
        "the same pixels in another file", "the same file"};
    return words[how];
}

/* One finding: an image, and how it stands in a split. */
typedef void (*finding)(void *context, const overlap *o, uint32_t image, int split);

static void each_finding(const overlap *o, finding visit, void *context)
{
    for (uint32_t i = 0; i < o->count; i++)
        for (int s = PULMO_SPLIT_TRAIN; s <= PULMO_SPLIT_VAL; s++)
            if (o->how[s][i] != OVERLAP_NONE)
                visit(context, o, i, s);
}

static void list_finding(void *context, const overlap *o, uint32_t image, int split)
{
    uint32_t *listed = context;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(o->of->judged);
    (*listed)++;
    if (*listed <= LISTED)
        pulmo_info("  %s: %s, in %s", info->paths[image], how_words(o->how[split][image]),
                   pulmo_split_name(split));
}

static void list_findings(const overlap *o)
{
    uint32_t listed = 0;
    each_finding(o, list_finding, &listed);
    if (listed > LISTED)
        pulmo_info("  ... %u more%s", listed - LISTED,
                   o->of->table ? " in overlap.csv" : "; --out DIR writes all to DIR/overlap.csv");
}

static void write_finding(void *context, const overlap *o, uint32_t image, int split)
{
    FILE *out = context;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(o->of->judged);
    pulmo_csv_name(out, info->paths[image]);
    fputc(',', out);
    pulmo_csv_name(out, info->groups[image]);
    fprintf(out, ",%s,%s,", pulmo_split_name(split), how_words(o->how[split][image]));
    pulmo_csv_field(out, o->of->run);
    fputc('\n', out);
}

/* ---- what is said ---- */

/* What could not be compared, as the end of a sentence. */
static void name_lacks(const overlap *o, char *out, size_t bytes)
{
    const overlap_means *m = &o->means;
    const char *pictures = "";
    const char *patients = "";
    if (!m->pixels && !m->looks)
        pictures = ", as far as files tell: pixels were packed otherwise";
    else if (!m->looks)
        pictures = "; nearly equal pictures were not looked for: a pack does not keep how its "
                   "images look";
    if (!m->patients && strcmp(o->judged.key_name, o->seen.split[0].key_name) != 0)
        patients = "; patients were not compared: their pseudonyms are of two keys";
    else if (!m->patients)
        patients = "; patients were not compared: a pack of an earlier pulmo does not keep which "
                   "are certain";
    snprintf(out, bytes, "%s%s", pictures, patients);
}

static void say_found(const overlap *o, uint32_t shared)
{
    char lacks[320];
    name_lacks(o, lacks, sizeof lacks);
    if (shared == 0) {
        pulmo_info("%s was trained on none of the %u image%s of %s%s", o->of->run, o->count,
                   pulmo_plural(o->count), o->of->name, lacks);
        return;
    }
    for (int s = PULMO_SPLIT_TRAIN; s <= PULMO_SPLIT_VAL; s++) {
        warn_of_pictures(o, s);
        warn_of_patients(o, s);
    }
}

static pulmo_status refuse(const overlap *o, uint32_t shared)
{
    return pulmo_fail(PULMO_DATA,
                      "%s: %u of the %u image%s (%.1f %%) are images or patients that %s was made "
                      "of; more than %d %% is refused, since the figures would flatter it. Leave "
                      "them out (pack.exclude_pattern), or give --overlap allow",
                      o->of->name, shared, o->count, pulmo_plural(o->count),
                      100.0 * shared / o->count, o->of->run, PER_CENT_MOST);
}

static pulmo_status judge(const overlap *o)
{
    const uint32_t shared = count_shared(o);
    say_found(o, shared);
    if (shared > *o->of->shared)
        *o->of->shared = shared;
    if (shared == 0 || overlap_is_own(&o->seen, o->of->data))
        return PULMO_OK;
    list_findings(o);
    if (o->of->table)
        each_finding(o, write_finding, o->of->table);
    const bool many = (uint64_t)shared * 100 > (uint64_t)o->count * PER_CENT_MOST;
    return many && !o->of->allow ? refuse(o, shared) : PULMO_OK;
}

pulmo_status overlap_judge(const overlap_case *c)
{
    overlap o = {.of = c};
    pulmo_status status = compare(&o);
    if (status == PULMO_OK) {
        status = judge(&o);
    } else if (status != PULMO_MEMORY) {
        pulmo_warn("%s: whether it was trained on images of %s was not checked: %s", c->run,
                   c->name, pulmo_error());
        pulmo_error_clear();
        status = PULMO_OK;
    }
    free_overlap(&o);
    return status;
}
