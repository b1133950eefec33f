/* What this CPU can do, and how many of them we were given. Not collective. */
#ifndef PULMO_ISA_H
#define PULMO_ISA_H

#include "pulmo/status.h"

/* The version of the arithmetic that makes features, gradients, parameters and scores: the same
 * version, the same bits, on any tier, BLAS, number of ranks and threads. Raised with every change
 * of bits, which CHANGELOG.md names. Files of version 1 (0.1.0) do not say it; there, bits were
 * those of a tier and of OpenBLAS's kernels. */
#define PULMO_ARITHMETIC 3
/* Of a run that one version began and another resumed. */
#define PULMO_ARITHMETIC_MIXED 0

/* Kernel tiers, slowest first; a processor has NEON's or AVX's. A tier's results are the same bits
 * on every machine that has it. */
typedef enum pulmo_isa {
    PULMO_ISA_REF,
    PULMO_ISA_NEON,
    PULMO_ISA_AVX2,
    PULMO_ISA_AVX512,
    PULMO_ISA_COUNT
} pulmo_isa;

/* "ref", "neon", "avx2", "avx512". */
const char *pulmo_isa_name(pulmo_isa isa);

/* True if the machine can run the tier (neon: AArch64; avx2: AVX2+FMA; avx512: F+DQ+BW+VL). */
int pulmo_isa_available(pulmo_isa isa);

/* The last tier that this CPU has, whatever $PULMO_ISA says: for what gives the same bits in all
 * tiers. Cheap to ask often. */
pulmo_isa pulmo_isa_widest(void);

/* The best tier, or the one forced by $PULMO_ISA. Fails with PULMO_USAGE when that names no
 * tier or one that this CPU lacks. */
pulmo_status pulmo_isa_choose(pulmo_isa *out);

/* CPUs this process may run on, at least 1: the affinity mask, and the quota of the control group
 * (v2) that it sees as its root, as in a container. */
int pulmo_cpu_count(void);
/* "AMD EPYC ..." from /proc/cpuinfo; static storage. */
const char *pulmo_cpu_model(void);

#endif
