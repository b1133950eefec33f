/* What benchmarks share: a scratch directory, and the JSON object that each ends with. */
#include "bench_room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/demo.h"
#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "pulmo/pack.h"

static pulmo_status draw_images(int images, const char *scratch)
{
    char *demo = pulmo_format("%s/demo", scratch);
    if (!demo)
        return PULMO_MEMORY;
    const pulmo_demo_options options = {.directory = demo, .images = {images, 0, 0}};
    pulmo_status status = pulmo_demo_write(&options);
    free(demo);
    return status;
}

pulmo_status bench_scratch_make(int images, char *path, size_t bytes)
{
    const char *parent = getenv("TMPDIR");
    if (!parent || !*parent)
        parent = "/tmp";
    snprintf(path, bytes, "%s/pulmo-bench-XXXXXX", parent);
    if (!mkdtemp(path))
        return pulmo_fail(PULMO_IO, "%s: cannot be made: %s", path, strerror(errno));
    pulmo_status status = PULMO_OK;
    if (images > 0)
        status = draw_images(images, path);
    if (status != PULMO_OK)
        bench_scratch_remove(path);
    return status;
}

void bench_scratch_remove(const char *path)
{
    (void)pulmo_directory_remove(path);
}

pulmo_status bench_pack_demo(pulmo_comm *comm, const char *scratch, int size, const char *packed)
{
    char setting[64];
    char *demo = pulmo_format("%s/demo", scratch);
    pulmo_config config;
    pulmo_config_init(&config);
    snprintf(setting, sizeof setting, "pack.size=%d", size);
    pulmo_status status = PULMO_MEMORY;
    if (demo)
        status = pulmo_config_set(&config, setting);
    if (status == PULMO_OK)
        status = pulmo_config_set(&config, "pack.leaks=allow");
    status = pulmo_agree(comm, status);
    const pulmo_pack_options options = {.source = demo, .destination = packed, .config = &config};
    if (status == PULMO_OK)
        status = pulmo_pack(comm, &options);
    free(demo);
    return status;
}

void bench_print_json(const bench_member *members, size_t count)
{
    putchar('{');
    for (size_t i = 0; i < count; i++) {
        const bench_member *m = &members[i];
        const char *comma = i > 0 ? ", " : "";
        if (m->text)
            printf("%s\"%s\": \"%s\"", comma, m->name, m->text);
        else
            printf("%s\"%s\": %.*f", comma, m->name, m->decimals, m->value);
    }
    puts("}");
}
