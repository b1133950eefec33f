/* Order-independent sums. The rounding trick: adding 1.5 * 2^52 to a double of magnitude below
 * 2^51 rounds it to an integer, ties to even, and leaves that integer in the low bits. It is one
 * correctly rounded IEEE addition, hence the same on every tier; tiers differ in width alone. */
#include "pulmo/exact.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "comm.h"
#include "exact_tier.h"

#define SUM_BITS     50
#define EXPONENT_MAX 1000
#define MAGIC        0x1.8p52
/* Short pieces follow each other through the network, and MPI's copies of them are memory that the
 * allocator has at hand (see keep_freed_memory in comm.c). */
#define PIECE_ELEMENTS ((size_t)1 << 16)
/* Pieces on their way at once: 8 MB. All at once would be a copy of the whole sum a rank. */
#define IN_FLIGHT 16

int pulmo_exact_exponent(double bound, uint32_t microbatches)
{
    int exponent = 0;
    if (!(bound > 0))
        return 0;
    /* n * (B * 2^E + 1/2) <= 2^50, with n <= 2^bits: B * 2^E <= 2^(50 - bits) - 1/2 follows from
     * B < 2^b and E = 49 - bits - b. */
    int bits = 0;
    while (bits < 32 && ((uint64_t)1 << bits) < microbatches)
        bits++;
    (void)frexp(bound, &exponent);          /* bound < 2^exponent */
    int e = SUM_BITS - 1 - bits - exponent; /* at least -1007: 2^e is a normal double */
    return e > EXPONENT_MAX ? EXPONENT_MAX : e;
}

static inline __attribute__((always_inline)) void
add_body(int64_t *restrict sums, const float *restrict values, size_t count, double scale)
{
    int64_t magic_bits;
    const double magic = MAGIC;
    memcpy(&magic_bits, &magic, sizeof magic_bits);
    for (size_t i = 0; i < count; i++) {
        double shifted = (double)values[i] * scale + magic;
        int64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        sums[i] += bits - magic_bits;
    }
}

static inline __attribute__((always_inline)) void finish_body(const int64_t *restrict sums,
                                                              size_t count, double back,
                                                              double scale, float *restrict out)
{
    int64_t magic_bits;
    const double magic = MAGIC;
    memcpy(&magic_bits, &magic, sizeof magic_bits);
    for (size_t i = 0; i < count; i++) {
        int64_t bits =
            sums[i] + magic_bits; /* |sum| <= 2^50: the integer becomes a double, exactly */
        double value;
        memcpy(&value, &bits, sizeof value);
        out[i] = (float)((value - magic) * back * scale);
    }
}

static void add_plain(int64_t *sums, const float *values, size_t count, double scale)
{
    add_body(sums, values, count, scale);
}
static void finish_plain(const int64_t *sums, size_t count, double back, double scale, float *out)
{
    finish_body(sums, count, back, scale, out);
}

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx512f,prefer-vector-width=512")))
__attribute__((target("avx2"))) static void add_avx2(int64_t *sums, const float *values,
                                                     size_t count, double scale)
{
    add_body(sums, values, count, scale);
}
__attribute__((target("avx2"))) static void finish_avx2(const int64_t *sums, size_t count,
                                                        double back, double scale, float *out)
{
    finish_body(sums, count, back, scale, out);
}
WIDE static void add_avx512(int64_t *sums, const float *values, size_t count, double scale)
{
    add_body(sums, values, count, scale);
}
WIDE static void finish_avx512(const int64_t *sums, size_t count, double back, double scale,
                               float *out)
{
    finish_body(sums, count, back, scale, out);
}
#else
#define add_avx2      add_plain
#define finish_avx2   finish_plain
#define add_avx512    add_plain
#define finish_avx512 finish_plain
#endif

/* What the exponent promises: no value leaves the range in which the magic number rounds. */
static inline int in_range(const float *values, size_t count, double scale)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)values[i] * scale) <= (double)((int64_t)1 << SUM_BITS)))
            return 0;
    return 1;
}

void pulmo_exact_add_tier(pulmo_isa isa, int64_t *sums, const float *values, size_t count,
                          int exponent)
{
    static void (*const kernels[PULMO_ISA_COUNT])(int64_t *, const float *, size_t, double) = {
        [PULMO_ISA_REF] = add_plain,
        [PULMO_ISA_NEON] = add_plain,
        [PULMO_ISA_AVX2] = add_avx2,
        [PULMO_ISA_AVX512] = add_avx512,
    };
    double scale = ldexp(1.0, exponent);
    assert(in_range(values, count, scale));
    kernels[isa](sums, values, count, scale);
}

void pulmo_exact_finish_tier(pulmo_isa isa, const int64_t *sums, size_t count, int exponent,
                             double scale, float *out)
{
    static void (*const kernels[PULMO_ISA_COUNT])(const int64_t *, size_t, double, double,
                                                  float *) = {
        [PULMO_ISA_REF] = finish_plain,
        [PULMO_ISA_NEON] = finish_plain,
        [PULMO_ISA_AVX2] = finish_avx2,
        [PULMO_ISA_AVX512] = finish_avx512,
    };
    kernels[isa](sums, count, ldexp(1.0, -exponent), scale, out);
}

void pulmo_exact_add(int64_t *sums, const float *values, size_t count, int exponent)
{
    pulmo_exact_add_tier(pulmo_isa_widest(), sums, values, count, exponent);
}

void pulmo_exact_finish(const int64_t *sums, size_t count, int exponent, double scale, float *out)
{
    pulmo_exact_finish_tier(pulmo_isa_widest(), sums, count, exponent, scale, out);
}

/* ---- in flight ---- */

/* What takes off together: values to be summed, cut into pieces, or ranks' parts to be joined,
 * which are one piece. */
typedef struct bucket {
    char *values;
    size_t count, size; /* elements, bytes of one */
    MPI_Datatype type;
    int *counts; /* of parts: (ranks) elements of each, then (ranks) where they begin; NULL for sums
                  */
} bucket;

struct pulmo_exact_sum {
    pulmo_comm *comm;
    int code;                         /* MPI's, of the first call that failed */
    size_t pieces, started, finished; /* of the buckets pushed; started and finished in order */
    MPI_Request requests[IN_FLIGHT];  /* of piece i at i % IN_FLIGHT */
    size_t at;                        /* the next piece: in bucket `current`, from element `at` */
    int current, buckets, most;
    bucket bucket[];
};

static void keep_code(pulmo_exact_sum *sum, int code)
{
    if (sum->code == MPI_SUCCESS)
        sum->code = code;
}

static size_t pieces_of(const bucket *b)
{
    return b->counts ? 1 : (b->count + PIECE_ELEMENTS - 1) / PIECE_ELEMENTS;
}

/* The next piece of bucket `b`; returns its elements. */
static size_t start_piece(pulmo_exact_sum *sum, const bucket *b, MPI_Request *request)
{
    pulmo_comm *comm = sum->comm;
    size_t left = b->count - sum->at, piece = left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS;
    if (b->counts) {
        keep_code(sum, MPI_Iallgatherv(MPI_IN_PLACE, 0, b->type, b->values, b->counts,
                                       b->counts + comm->size, b->type, comm->sums, request));
        return b->count;
    }
    keep_code(sum, MPI_Iallreduce(MPI_IN_PLACE, b->values + sum->at * b->size, (int)piece, b->type,
                                  MPI_SUM, comm->sums, request));
    return piece;
}

/* As many as there is room for. */
static void start_pieces(pulmo_exact_sum *sum)
{
    while (sum->code == MPI_SUCCESS && sum->started < sum->pieces &&
           sum->started < sum->finished + IN_FLIGHT) {
        const bucket *b = &sum->bucket[sum->current];
        size_t piece = start_piece(sum, b, &sum->requests[sum->started % IN_FLIGHT]);
        if (sum->code != MPI_SUCCESS)
            return;
        sum->started++;
        sum->at += piece;
        if (sum->at < b->count)
            continue;
        sum->at = 0;
        sum->current++;
    }
}

pulmo_status pulmo_exact_create(pulmo_comm *comm, int buckets, pulmo_exact_sum **out)
{
    pulmo_exact_sum *sum = calloc(1, sizeof *sum + (size_t)buckets * sizeof(bucket));
    if (!sum)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate a sum over ranks: out of memory");
    sum->comm = comm;
    sum->code = MPI_SUCCESS;
    sum->most = buckets;
    *out = sum;
    return PULMO_OK;
}

void pulmo_exact_destroy(pulmo_exact_sum *sum)
{
    assert(!sum || sum->buckets == 0);
    free(sum);
}

/* Ready for the next flight. */
static void land(pulmo_exact_sum *sum)
{
    sum->code = MPI_SUCCESS;
    sum->pieces = sum->started = sum->finished = 0;
    sum->at = 0;
    sum->current = sum->buckets = 0;
}

/* Lets MPI get on with a sum; true once it is complete. The MPI lock is held. */
static bool move_sum_on(void *context)
{
    pulmo_exact_sum *sum = context;
    int done = 1;
    while (done && sum->finished < sum->started && sum->code == MPI_SUCCESS) {
        keep_code(sum,
                  MPI_Test(&sum->requests[sum->finished % IN_FLIGHT], &done, MPI_STATUS_IGNORE));
        if (!done || sum->code != MPI_SUCCESS)
            break;
        sum->finished++;
        start_pieces(sum);
    }
    return sum->finished == sum->pieces || sum->code != MPI_SUCCESS;
}

/* A piece that could not be started is reported by wait, when the others are in: until then they
 * write into the values. */
static void push(pulmo_exact_sum *sum, bucket b)
{
    pulmo_comm *comm = sum->comm;
    assert(sum->buckets < sum->most);
    pthread_mutex_lock(&comm->mpi);
    sum->bucket[sum->buckets++] = b;
    sum->pieces += pieces_of(&b);
    start_pieces(sum);
    helper_watch(comm, move_sum_on, sum);
    pthread_mutex_unlock(&comm->mpi);
}

void pulmo_exact_push(pulmo_exact_sum *sum, int64_t *sums, size_t count)
{
    if (sum->comm->size == 1 || count == 0)
        return;
    push(sum,
         (bucket){
             .values = (char *)sums, .count = count, .size = sizeof *sums, .type = MPI_INT64_T});
}

void pulmo_exact_push_parts(pulmo_exact_sum *sum, float *all, int *counts)
{
    int ranks = sum->comm->size;
    size_t total = 0;
    for (int r = 0; r < ranks; r++) {
        counts[ranks + r] = (int)total;
        total += (size_t)counts[r];
    }
    assert(total <= INT_MAX);
    if (ranks == 1 || total == 0)
        return;
    push(sum, (bucket){.values = (char *)all,
                       .count = total,
                       .size = sizeof *all,
                       .type = MPI_FLOAT,
                       .counts = counts});
}

void pulmo_exact_poll(pulmo_exact_sum *sum)
{
    /* Where the helper is at it already, there is nothing to add. */
    if (sum->pieces == 0 || pthread_mutex_trylock(&sum->comm->mpi) != 0)
        return;
    (void)move_sum_on(sum);
    pthread_mutex_unlock(&sum->comm->mpi);
}

pulmo_status pulmo_exact_wait(pulmo_exact_sum *sum)
{
    pulmo_comm *comm = sum->comm;
    wait_begin(comm, "the gradients of all ranks");
    helper_watch(comm, NULL, NULL);
    while (sum->finished < sum->started) {
        keep_code(sum, MPI_Wait(&sum->requests[sum->finished % IN_FLIGHT], MPI_STATUS_IGNORE));
        sum->finished++;
        start_pieces(sum);
    }
    pulmo_status status = wait_end(comm, sum->code);
    land(sum);
    return status;
}
