/* The frozen part of the network: weights read, packed once per node, ready to run. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "model_room.h"

#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#define MB (1024.0 * 1024.0)
/* Images that go through together: the packed weights are read once for them, which ranks of one
 * node feel (docs/explanation/scaling.md). They cost 4 MB each at 224 x 224. */
#define TRUNK_BATCH 16

/* ---- how many threads ---- */

typedef struct placement {
    char host[64];
    cpu_set_t cpus;
    int quota;
} placement;

static bool may_use(const placement *rank, const char *host, int cpu)
{
    return strcmp(rank->host, host) == 0 && CPU_ISSET(cpu, &rank->cpus);
}

/* A CPU that several ranks of a node may run on counts as shared among them: bound ranks get
 * the CPUs they are bound to, unbound ones an equal part. */
static int fair_share(const placement *all, int ranks, int me)
{
    double share = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        int users = 0;
        if (!CPU_ISSET(cpu, &all[me].cpus))
            continue;
        for (int r = 0; r < ranks; r++)
            users += may_use(&all[r], all[me].host, cpu);
        share += 1.0 / users;
    }
    int threads = (int)(share + 0.01);
    if (threads > all[me].quota)
        threads = all[me].quota;
    return threads > 0 ? threads : 1;
}

pulmo_status pulmo_backbone_threads(pulmo_comm *comm, int asked, int *out)
{
    placement mine;
    void *all = NULL;
    size_t bytes = 0;
    memset(&mine, 0, sizeof mine);
    strncpy(mine.host, pulmo_comm_host(comm), sizeof mine.host - 1);
    if (sched_getaffinity(0, sizeof mine.cpus, &mine.cpus) != 0)
        CPU_SET(0, &mine.cpus);
    mine.quota = pulmo_cpu_count();
    PULMO_TRY(pulmo_gather_all(comm, &mine, sizeof mine, &all, &bytes, NULL));
    int fair = fair_share(all, pulmo_comm_size(comm), pulmo_comm_rank(comm));
    *out = asked > 0 ? asked : fair;
    pulmo_free(all);
    return PULMO_OK;
}

/* ---- one backbone on all ranks ---- */

static void say_what(const pulmo_weights *weights)
{
    const char *seen = pulmo_preprocessing_name(weights->preprocessing);
    if (weights->norms > 0)
        pulmo_info("frozen weights: %d batch normalisations are folded into their convolutions",
                   weights->norms);
    if (weights->rounding != PULMO_ROUNDING_NONE)
        pulmo_info("frozen weights: %s", pulmo_rounding_words(weights->rounding));
    if (weights->proof == PULMO_PROOF_NOT_VGG16)
        pulmo_info(
            "frozen weights: not a VGG16 (%d convolutions), so nothing is known of them; %s, "
            "%s preprocessing",
            weights->convs, weights->format, seen);
    else
        pulmo_debug("frozen weights: %s; %s, %s preprocessing",
                    *weights->proof_of ? weights->proof_of : "a VGG16, not checked",
                    weights->format, seen);
}

typedef struct opening {
    const pulmo_weights_choice *choice;
    int size_px, threads;
    pulmo_backbone_cut cut;
    const pulmo_model
        *model; /* whose fine-tuned convolutions take the pretrained ones' place, or NULL */
} opening;

/* The blocks that are averaged, as `tuned` has them. */
static pulmo_status check_averaged(const pulmo_backbone_cut *cut, const pulmo_weights *weights,
                                   pulmo_block_set *out)
{
    int blocks = 0;
    int lowest = 1;
    for (int i = 0; i < weights->convs; i++)
        blocks += weights->conv[i].pool_after;
    if (!pulmo_block_set_ends(cut->averaged, blocks))
        return pulmo_fail(PULMO_CONFIG,
                          "model.pool_blocks: the last must be %d, the last block of these weights",
                          blocks);
    bool last_alone = (cut->averaged & (cut->averaged - 1)) == 0;
    *out = last_alone ? 0 : cut->averaged;
    while (*out != 0 && !pulmo_block_set_has(*out, lowest))
        lowest++;
    if (*out != 0 && lowest < cut->frozen_blocks)
        return pulmo_fail(PULMO_CONFIG,
                          "model.pool_blocks: block %d is below the frozen block %d, on which "
                          "training begins; take blocks from %d up, or a lower model.trainable",
                          lowest, cut->frozen_blocks, cut->frozen_blocks);
    return PULMO_OK;
}

/* Rank-local: what each rank finds out for itself. */
static pulmo_status open_local(const opening *how, pulmo_backbone *out, pulmo_weights *weights)
{
    PULMO_TRY(pulmo_isa_choose(&out->isa));
    PULMO_TRY(pulmo_weights_open(how->choice, weights));
    say_what(weights);
    PULMO_TRY(pulmo_pool_create(out->threads, &out->pool));
    memcpy(out->mean, weights->mean, sizeof out->mean);
    memcpy(out->std, weights->std, sizeof out->std);
    out->preprocessing = weights->preprocessing;
    out->weights_digest = weights->digest;
    if (how->model)
        PULMO_TRY(model_apply(how->model, weights));
    pulmo_block_set averaged = 0;
    int frozen_blocks = how->cut.frozen_blocks;
    if (frozen_blocks != PULMO_FROZEN_ALL)
        PULMO_TRY(pulmo_tuned_spec_of(weights, frozen_blocks, how->size_px, out->isa, &out->tuned));
    PULMO_TRY(check_averaged(&how->cut, weights, &averaged));
    out->tuned.averaged = averaged;
    return PULMO_OK;
}

/* Tiers give the same bits, so that ranks may differ. */
static pulmo_status name_kernels(pulmo_comm *comm, pulmo_backbone *out)
{
    int64_t ranks[PULMO_ISA_COUNT] = {0};
    const char *between = "";
    size_t at = 0;
    ranks[out->isa] = 1;
    PULMO_TRY(pulmo_sum_i64(comm, ranks, PULMO_ISA_COUNT));
    snprintf(out->kernels, sizeof out->kernels, "%s", pulmo_isa_name(out->isa));
    if (ranks[out->isa] == pulmo_comm_size(comm))
        return PULMO_OK;
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        char *to = out->kernels + at;
        size_t left = sizeof out->kernels - at;
        if (ranks[isa] == 0)
            continue;
        at += (size_t)snprintf(to, left, "%s%s on %lld rank%s", between,
                               pulmo_isa_name((pulmo_isa)isa), (long long)ranks[isa],
                               pulmo_plural((size_t)ranks[isa]));
        between = ", ";
    }
    return PULMO_OK;
}

static pulmo_status check_same(pulmo_comm *comm, const pulmo_backbone *backbone)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest_hex(&backbone->weights_digest, hex);
    return pulmo_same(comm, "the digest of the frozen weights", hex);
}

/* Refuses what this node cannot hold. */
static pulmo_status check_memory(const pulmo_comm *comm, const pulmo_backbone *backbone)
{
    int ranks = pulmo_comm_node_size(comm);
    uint64_t shared = backbone->packed_bytes;
    uint64_t each = backbone->arena_bytes;
    return pulmo_memory_need(shared + each * (uint64_t)ranks,
                             "use fewer ranks per node or raise the memory limit",
                             "the frozen network (%.0f MB shared, %.0f MB for each of %d ranks)",
                             (double)shared / MB, (double)each / MB, ranks);
}

/* Collective over ranks of one tier. */
static pulmo_status pack_alike(pulmo_comm *alike, const pulmo_trunk_spec *spec,
                               const pulmo_weights *weights, pulmo_backbone *out)
{
    void *packed = NULL;
    int owner = 0;
    PULMO_TRY(pulmo_shared_create(alike, out->packed_bytes, &packed, &owner, &out->shared));
    if (owner)
        pulmo_trunk_pack(spec, weights, out->pool, packed);
    PULMO_TRY(pulmo_shared_publish(alike, out->shared));
    return pulmo_trunk_create(spec, weights, packed, out->pool, &out->trunk);
}

/* A copy per node and tier: panels of weights are as wide as a tier takes them. */
static pulmo_status pack_shared(pulmo_comm *comm, const pulmo_trunk_spec *spec,
                                const pulmo_weights *weights, pulmo_backbone *out)
{
    pulmo_comm *alike = NULL;
    PULMO_TRY(pulmo_comm_split(comm, (int)out->isa, &alike));
    pulmo_status status = pack_alike(alike, spec, weights, out);
    pulmo_comm_join(alike);
    return pulmo_agree(comm, status);
}

/* The frozen convolutions, if there are any. */
static pulmo_status open_trunk(pulmo_comm *comm, const opening *how, const pulmo_weights *weights,
                               pulmo_backbone *out)
{
    pulmo_trunk_spec spec;
    if (how->cut.frozen_blocks == 0) {
        out->channels = out->tuned.channels;
        out->height = out->tuned.height;
        out->width = out->tuned.width;
        return PULMO_OK;
    }
    pulmo_trunk_spec_init(&spec);
    spec.height_px = spec.width_px = how->size_px;
    spec.isa = out->isa;
    spec.batch = TRUNK_BATCH;
    if (how->model)
        spec.fine_tuned_from = weights->convs - how->model->tuned.layers;
    if (how->cut.frozen_blocks == PULMO_FROZEN_ALL)
        spec.averaged = out->tuned.averaged;
    else
        spec.blocks = how->cut.frozen_blocks;
    out->packed_bytes = pulmo_trunk_packed_bytes(&spec, weights);
    out->arena_bytes = pulmo_trunk_arena_bytes(&spec, weights, out->threads);
    PULMO_TRY(pulmo_agree(comm, check_memory(comm, out)));
    PULMO_TRY(pack_shared(comm, &spec, weights, out));
    pulmo_trunk_shape(out->trunk, &out->channels, &out->height, &out->width);
    return PULMO_OK;
}

static pulmo_status open_backbone(pulmo_comm *comm, const opening *how, pulmo_backbone *out)
{
    pulmo_status status = PULMO_OK;
    pulmo_weights weights;
    memset(out, 0, sizeof *out);
    memset(&weights, 0, sizeof weights);
    PULMO_TRY(pulmo_backbone_threads(comm, how->threads, &out->threads));

    PULMO_GOTO(pulmo_agree(comm, open_local(how, out, &weights)));
    PULMO_GOTO(check_same(comm, out));
    PULMO_GOTO(name_kernels(comm, out));
    PULMO_GOTO(open_trunk(comm, how, &weights, out));
    if (out->tuned.layers > 0) {
        out->weights = weights;
        memset(&weights, 0, sizeof weights);
    }
out:
    pulmo_weights_free(&weights);
    if (status != PULMO_OK)
        pulmo_backbone_close(out);
    return status;
}

pulmo_status pulmo_backbone_open(pulmo_comm *comm, const pulmo_weights_choice *choice, int size_px,
                                 int threads, pulmo_backbone *out)
{
    const opening how = {.choice = choice,
                         .size_px = size_px,
                         .threads = threads,
                         .cut = {.frozen_blocks = PULMO_FROZEN_ALL}};
    return open_backbone(comm, &how, out);
}

pulmo_status pulmo_backbone_open_cut(pulmo_comm *comm, const pulmo_weights_choice *choice,
                                     int size_px, int threads, const pulmo_backbone_cut *cut,
                                     pulmo_backbone *out)
{
    const opening how = {.choice = choice, .size_px = size_px, .threads = threads, .cut = *cut};
    return open_backbone(comm, &how, out);
}

pulmo_status pulmo_backbone_open_trained(pulmo_comm *comm, const pulmo_weights_choice *choice,
                                         const pulmo_model *model, int threads, pulmo_backbone *out)
{
    const opening how = {.choice = choice,
                         .size_px = model->size_px,
                         .threads = threads,
                         .cut = {PULMO_FROZEN_ALL, model->tuned.averaged},
                         .model = model};
    return open_backbone(comm, &how, out);
}

size_t pulmo_backbone_floats(const pulmo_backbone *backbone)
{
    return (size_t)backbone->channels * (size_t)backbone->height * (size_t)backbone->width;
}

void pulmo_backbone_features(const pulmo_backbone *backbone, int n, const float *images,
                             float *features)
{
    size_t floats = (size_t)n * pulmo_backbone_floats(backbone);
    if (backbone->trunk)
        pulmo_trunk_forward(backbone->trunk, n, images, features);
    else
        memcpy(features, images, floats * sizeof *features);
}

void pulmo_backbone_close(pulmo_backbone *backbone)
{
    pulmo_trunk_destroy(backbone->trunk);
    pulmo_shared_destroy(backbone->shared);
    pulmo_pool_destroy(backbone->pool);
    pulmo_weights_free(&backbone->weights);
    memset(backbone, 0, sizeof *backbone);
}
