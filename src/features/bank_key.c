/* What a split's features are keyed by: all that makes them, in words, and the digest of that. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bank_room.h"
#include "pulmo/features.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "pulmo/specs.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

/* ---- the answer of this program to a known image ---- */

static void draw_known_image(float *image, size_t floats)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 0, 0);
    for (size_t i = 0; i < floats; i++)
        image[i] = pulmo_rng_uniform(&rng) * 4 - 2;
}

/* The digest of a known image's features: two programs or weights that give others do not share a
 * bank. */
static pulmo_status probe(const pulmo_bank *b, char hex[PULMO_DIGEST_HEX])
{
    const pulmo_backbone *backbone = b->parts.backbone;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(b->parts.dataset[PULMO_BANK_TRAIN]);
    size_t pixels = 3 * (size_t)info->height_px * (size_t)info->width_px;
    size_t floats = pulmo_backbone_floats(backbone);
    pulmo_status status = PULMO_MEMORY;
    float *image = pulmo_alloc(pixels, sizeof *image);
    float *features = pulmo_alloc(floats, sizeof *features);
    if (image && features) {
        draw_known_image(image, pixels);
        pulmo_backbone_features(backbone, 1, image, features);
        pulmo_digest digest = pulmo_digest_of(features, floats * sizeof *features);
        pulmo_digest_hex(&digest, hex);
        status = PULMO_OK;
    }
    pulmo_free(image);
    pulmo_free(features);
    return status;
}

/* ---- in words ---- */

const char *bank_precision_name(const bank_form *form)
{
    int precision = form->half ? PULMO_PRECISION_HALF : PULMO_PRECISION_FLOAT;
    return pulmo_config_choice("bank.precision", precision);
}

static void put_backbone(FILE *out, const pulmo_backbone *backbone)
{
    char weights[PULMO_DIGEST_HEX];
    const float *mean = backbone->mean, *std = backbone->std;
    pulmo_digest_hex(&backbone->weights_digest, weights);
    fprintf(out, "weights: %s\n", weights);
    fprintf(out, "preprocessing: %s", pulmo_preprocessing_name(backbone->preprocessing));
    fprintf(out, ", mean %.9g %.9g %.9g", (double)mean[0], (double)mean[1], (double)mean[2]);
    fprintf(out, ", std %.9g %.9g %.9g\n", (double)std[0], (double)std[1], (double)std[2]);
}

static void put_blocks(FILE *out, pulmo_block_set blocks)
{
    fprintf(out, "averaged blocks:");
    for (int block = 1; block <= PULMO_BLOCKS_MAX; block++) {
        if (pulmo_block_set_has(blocks, block))
            fprintf(out, " %d", block);
    }
    fprintf(out, "\n");
}

static void put_pooling(FILE *out, const pulmo_bank *b)
{
    int frozen = pulmo_frozen_blocks_from(b->parts.config);
    pulmo_pooling pool = b->pooled ? b->parts.head->pool : PULMO_POOL_FLATTEN;
    pulmo_block_set averaged = b->parts.backbone->tuned.averaged;
    if (frozen == PULMO_FROZEN_ALL)
        frozen = 5;
    fprintf(out, "frozen blocks: %d\n", frozen);
    fprintf(out, "pooling: %s\n", pulmo_pooling_name(pool));
    if (b->pooled && averaged != 0) /* else keys stay what they were */
        put_blocks(out, averaged);
}

/* Which views: none of val and test unless several are averaged. */
static pulmo_status put_views(FILE *out, const pulmo_bank *b, pulmo_bank_split split)
{
    bool is_train = split == PULMO_BANK_TRAIN;
    if (!is_train && b->averaged.cropped) {
        fprintf(out, "%d crops to average\n", b->averaged.views);
        return PULMO_OK;
    }
    if (!is_train && b->averaged.views <= 1)
        return PULMO_OK;
    char *augment = pulmo_config_section_lines(b->parts.config, "augment");
    if (!augment)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the bank");
    if (is_train)
        fprintf(out, "seed: %llu\n", (unsigned long long)b->seed);
    else
        fputs("views to average\n", out);
    fputs(augment, out);
    free(augment);
    return PULMO_OK;
}

/* The lines of a key; owned by the caller (free). Stored in every shard: they stay as they are. */
static pulmo_status write_key(const pulmo_bank *b, pulmo_bank_split split, const char *probed,
                              char **lines)
{
    const pulmo_backbone *backbone = b->parts.backbone;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(b->parts.dataset[split]);
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    FILE *out = text.stream;
    fprintf(out, "data: %s\n", info->digest_hex);
    put_backbone(out, backbone);
    put_pooling(out, b);
    fprintf(out, "features of a known image: %s\n", probed);
    fprintf(out, "precision: %s\n", bank_precision_name(&b->set[split].form));
    pulmo_status status = put_views(out, b, split);
    if (status == PULMO_OK)
        return pulmo_text_take(&text, lines);
    pulmo_text_discard(&text);
    return status;
}

/* ---- what a split's shards look like ---- */

/* Files of a view: small enough to be resumed when interrupted, few enough to be open all at once.
 */
static uint32_t shards_for(uint32_t count)
{
    uint32_t shards = count / 256;
    uint32_t most = (count + 7) / 8;
    if (shards < 32)
        shards = 32;
    if (shards > 128)
        shards = 128;
    return shards < most ? shards : most;
}

static uint32_t views_of(const pulmo_bank *b, pulmo_bank_split split)
{
    const pulmo_config *config = b->parts.config;
    if (split != PULMO_BANK_TRAIN)
        return (uint32_t)b->averaged.views;
    if (config->bank.views < config->train.epochs)
        return (uint32_t)config->bank.views;
    return (uint32_t)config->train.epochs;
}

static void describe_features(const pulmo_bank *b, bank_form *form)
{
    const pulmo_backbone *backbone = b->parts.backbone;
    if (b->pooled) {
        form->channels = pulmo_head_inputs(b->parts.head);
        form->height = 1;
        form->width = 1;
        return;
    }
    form->channels = backbone->channels;
    form->height = backbone->height;
    form->width = backbone->width;
}

static pulmo_status take_key(pulmo_bank *b, pulmo_bank_split split, const char *root,
                             const char *probed)
{
    bank_form *form = &b->set[split].form;
    free(form->text);
    free(form->directory);
    form->text = NULL;
    form->directory = NULL;
    PULMO_TRY(write_key(b, split, probed, &form->text));
    pulmo_digest digest = pulmo_digest_of(form->text, strlen(form->text));
    pulmo_digest_hex(&digest, form->key);
    form->directory = pulmo_format("%s/%s-%.16s", root, form->split, form->key);
    return form->directory ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status describe_split(pulmo_bank *b, pulmo_bank_split split, const char *root,
                                   const char *probed)
{
    struct bank_set *set = &b->set[split];
    const pulmo_dataset_info *info = pulmo_dataset_info_of(b->parts.dataset[split]);
    bank_form *form = &set->form;
    form->split = pulmo_split_name((int)split);
    form->half = b->parts.config->bank.precision == PULMO_PRECISION_HALF;
    form->count = info->count;
    form->labels = info->labels;
    form->shards = shards_for(info->count);
    describe_features(b, form);
    set->views = views_of(b, split);
    return take_key(b, split, root, probed);
}

pulmo_status bank_describe(pulmo_bank *b)
{
    const pulmo_config *config = b->parts.config;
    char probed[PULMO_DIGEST_HEX];
    char *root = NULL;
    PULMO_TRY(probe(b, probed));
    if (*config->bank.path)
        root = pulmo_strdup(config->bank.path);
    else
        root = pulmo_format("%s/bank", config->data.path);
    pulmo_status status = root ? PULMO_OK : PULMO_MEMORY;
    for (int s = 0; s < PULMO_BANK_SPLITS && status == PULMO_OK; s++)
        status = describe_split(b, (pulmo_bank_split)s, root, probed);
    free(root);
    return status;
}
