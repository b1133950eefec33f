/* CPU tiers and counts. */
#include "pulmo/isa.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[PULMO_ISA_COUNT] = {"ref", "neon", "avx2", "avx512"};

const char *pulmo_isa_name(pulmo_isa isa)
{
    return names[isa];
}

int pulmo_isa_available(pulmo_isa isa)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    int neon = 0;
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#elif defined(__aarch64__)
    int neon = 1, avx2 = 0, avx512 = 0;
#else
    int neon = 0, avx2 = 0, avx512 = 0;
#endif
    const int available[PULMO_ISA_COUNT] = {1, neon, avx2, avx512};
    return available[isa];
}

pulmo_isa pulmo_isa_widest(void)
{
    static _Atomic int known = -1;
    int isa = atomic_load_explicit(&known, memory_order_relaxed);
    if (isa < 0) {
        isa = PULMO_ISA_COUNT - 1;
        while (!pulmo_isa_available((pulmo_isa)isa))
            isa--;
        atomic_store_explicit(&known, isa, memory_order_relaxed);
    }
    return (pulmo_isa)isa;
}

pulmo_status pulmo_isa_choose(pulmo_isa *out)
{
    const char *forced = getenv("PULMO_ISA");
    if (!forced || !*forced) {
        *out = pulmo_isa_widest();
        return PULMO_OK;
    }
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        if (strcmp(forced, names[isa]) != 0)
            continue;
        if (!pulmo_isa_available((pulmo_isa)isa))
            return pulmo_fail(PULMO_USAGE,
                              "PULMO_ISA=%s: this CPU (%s) does not have it; unset PULMO_ISA",
                              forced, pulmo_cpu_model());
        *out = (pulmo_isa)isa;
        return PULMO_OK;
    }
    return pulmo_fail(PULMO_USAGE, "PULMO_ISA=%s: no such tier; one of ref, neon, avx2, avx512",
                      forced);
}

/* CPUs that a control group's quota allows, rounded down, or 0 if it sets none. */
static int quota_cpus(void)
{
    long quota = 0, period = 0;
    int found = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (file) {
        found = fscanf(file, "%ld %ld", &quota, &period) == 2;
        fclose(file);
    }
    if (!found || quota <= 0 || period <= 0)
        return 0;
    return quota >= period ? (int)(quota / period) : 1;
}

int pulmo_cpu_count(void)
{
    cpu_set_t set;
    int count = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    int quota = quota_cpus();
    if (quota > 0 && quota < count)
        count = quota;
    return count > 0 ? count : 1;
}

const char *pulmo_cpu_model(void)
{
    static char model[128];
    if (model[0])
        return model;
    char line[256], found[128] = "unknown CPU";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "model name : %127[^\n]", found) == 1)
            break;
    }
    if (file)
        fclose(file);
    memcpy(model, found, sizeof model);
    return model;
}
