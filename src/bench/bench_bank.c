/* The rate at which a feature bank is made, of demo images that are packed first. */
#include <stdlib.h>
#include <string.h>

#include "bench_room.h"
#include "pulmo/bank.h"
#include "pulmo/clock.h"
#include "pulmo/dataset.h"
#include "pulmo/memory.h"
#include "pulmo/specs.h"
#include "pulmo/split.h"

enum { CLASSES = 2 };

static pulmo_status open_splits(const char *packed, pulmo_bank_parts *parts)
{
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        PULMO_TRY(pulmo_dataset_open(packed, pulmo_split_name(s), 1, &parts->dataset[s]));
    return PULMO_OK;
}

/* One view of each image, from packed data to a bank that is on the disk. */
static pulmo_status time_bank(pulmo_bank_parts *parts, const char *packed, double *rate)
{
    pulmo_bank *bank = NULL;
    double images = 0;
    PULMO_TRY(open_splits(packed, parts));
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        images += pulmo_dataset_info_of(parts->dataset[s])->count;
    const double began_s = pulmo_now_s();
    pulmo_status status = pulmo_bank_open(parts, &bank);
    *rate = images / (pulmo_now_s() - began_s);
    pulmo_bank_close(bank);
    return status;
}

pulmo_status bench_bank(pulmo_comm *comm, const pulmo_backbone *backbone, int size_px,
                        const char *scratch, double *rate)
{
    pulmo_config config;
    pulmo_head_spec head;
    pulmo_bank_parts parts = {.comm = comm, .config = &config, .backbone = backbone, .head = &head};
    pulmo_config_init(&config);
    config.bank.views = 1;
    PULMO_TRY(pulmo_head_from(&config, backbone, CLASSES, &head));
    char *packed = pulmo_format("%s/packed", scratch);
    pulmo_status status = packed ? PULMO_OK : PULMO_MEMORY;
    if (status == PULMO_OK)
        status = bench_pack_demo(comm, scratch, size_px, packed);
    if (status == PULMO_OK) {
        snprintf(config.bank.path, sizeof config.bank.path, "%s/bank", scratch);
        status = time_bank(&parts, packed, rate);
    }
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        pulmo_dataset_close(parts.dataset[s]);
    free(packed);
    return status;
}
