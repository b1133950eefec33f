/* What a run says of itself at its beginning. */
#include "pulmo/log.h"
#include "pulmo/text.h"
#include "run.h"

static void announce_data(const run *r)
{
    const pulmo_dataset_info *train = train_info(r);
    uint32_t val = val_info(r)->count;
    uint32_t test = test_info(r)->count;
    const char *demo = train->is_demo ? "DEMO data (drawn, not medical): " : "";
    pulmo_info("pulmo %s: %s%u train, %u val, %u test images of %d classes, %d x %d x %d",
               PULMO_VERSION, demo, train->count, val, test, train->classes, train->height_px,
               train->width_px, train->channels);
}

static void announce_machine(const run *r)
{
    const pulmo_backbone *backbone = &r->network.backbone;
    int ranks = pulmo_comm_size(r->comm);
    int nodes = pulmo_comm_nodes(r->comm);
    pulmo_info("%d rank%s on %d node%s, %d thread%s each; %s kernels; %s", ranks,
               pulmo_plural((uint64_t)ranks), nodes, pulmo_plural((uint64_t)nodes),
               backbone->threads, pulmo_plural((uint64_t)backbone->threads), backbone->kernels,
               pulmo_cpu_model());
}

/* Which of two classes is the finding. */
static void announce_positive(const run *r)
{
    const pulmo_positive *positive = &r->model.positive;
    const pulmo_dataset_info *train = train_info(r);
    if (train->classes != 2)
        return;
    const char *name = train->class_names[positive->index];
    if (positive->by != PULMO_POSITIVE_ORDER)
        pulmo_info("positive class: %s", name);
    else
        pulmo_warn_once(is_root(r),
                        "no name tells which class is the finding: %s, the last, is taken as "
                        "positive; model.positive_class: NAME tells it",
                        name);
}

/* A batch takes as long as the rank with the most microbatches of it. */
static void announce_idle_ranks(const run *r)
{
    long long batch = (long long)r->config->train.batch;
    long long microbatch = (long long)r->config->train.microbatch;
    long long microbatches = (batch + microbatch - 1) / microbatch;
    long long ranks = pulmo_comm_size(r->comm);
    long long most = (microbatches + ranks - 1) / ranks;
    if (ranks > microbatches)
        pulmo_warn_once(
            is_root(r),
            "a batch of %lld images has %lld microbatches of %lld: %lld of the %lld ranks have "
            "no part in it; use fewer ranks with more threads each, or a larger train.batch or "
            "smaller train.microbatch, which change the model",
            batch, microbatches, microbatch, ranks - microbatches, ranks);
    else if (most * ranks > microbatches)
        pulmo_info("a batch has %lld microbatches: of %lld ranks the busiest has %lld, and "
                   "%.0f %% of the ranks' time is idle",
                   microbatches, ranks, most,
                   100.0 * (1.0 - (double)microbatches / (double)(most * ranks)));
}

static void announce_memory(run *r)
{
    const pulmo_backbone *backbone = &r->network.backbone;
    const pulmo_layout *layout = &r->network.layout;
    const pulmo_stepper_parts parts = run_stepper_parts(r);
    double vectors = (run_writes(r) ? 2.0 : 1.0) * (double)run_vectors_bytes(r);
    double step = (double)pulmo_stepper_bytes(&parts);
    double rank = vectors + step + (double)backbone->arena_bytes;
    double node = (double)backbone->packed_bytes;
    size_t below = pulmo_tuned_parameters(&backbone->tuned);
    pulmo_info("memory: %.0f MB shared per node, and %.0f MB per rank; head of %zu parameters",
               node / RUN_MB, rank / RUN_MB, layout->parameters - below);
    if (below > 0)
        pulmo_info("fine-tuned with it: %d convolution%s from features.%d up, %zu parameters",
                   backbone->tuned.layers, pulmo_plural((uint64_t)backbone->tuned.layers),
                   backbone->tuned.layer[0].feature_index, below);
}

/* So that nobody learns it from a run that was lost. */
static void announce_stopping(void)
{
    pulmo_killer killer = pulmo_launcher_killer();
    if (killer == PULMO_KILLER_PRTERUN)
        pulmo_info("to stop with a checkpoint send SIGUSR1 (pkill -USR1 prterun): on Ctrl-C and "
                   "SIGTERM Open MPI 5's mpirun kills ranks at once");
    if (killer == PULMO_KILLER_MPIRUN)
        pulmo_info(
            "to stop with a checkpoint send mpirun SIGUSR1 (pkill -USR1 mpirun): on Ctrl-C and "
            "SIGTERM it kills ranks within two seconds, unless "
            "OMPI_MCA_odls_base_sigkill_timeout=10 is exported before it starts");
}

void run_announce(run *r)
{
    announce_data(r);
    announce_machine(r);
    announce_positive(r);
    announce_idle_ranks(r);
    announce_memory(r);
    announce_stopping();
}
