/* Optimisers and schedules. Scalars in double, elements in float, one fixed order per line. */
#include "pulmo/optim.h"

#include <math.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "pulmo/isa.h"

void pulmo_optim_spec_init(pulmo_optim_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->lr = 1e-3;
    spec->beta1 = 0.9;
    spec->beta2 = 0.999;
    spec->eps = 1e-8;
    spec->momentum = 0.9;
    spec->step_epochs = 10;
    spec->step_gamma = 0.1;
}

int pulmo_optim_states(const pulmo_optim_spec *spec)
{
    if (spec->kind == PULMO_OPTIM_SGD)
        return spec->momentum > 0 ? 1 : 0;
    return 2;
}

static double cosine_rate(const pulmo_optim_spec *spec, double done, double total)
{
    const double pi = 3.14159265358979323846;
    double span = total - spec->warmup_epochs;
    double part = 1.0;
    if (span > 0)
        part = (done - spec->warmup_epochs) / span;
    if (part > 1.0)
        part = 1.0;
    double height = spec->lr - spec->min_lr;
    return spec->min_lr + 0.5 * height * (1.0 + pulmo_cos(pi * part));
}

static double step_rate(const pulmo_optim_spec *spec, double done)
{
    double steps = floor(done / spec->step_epochs);
    return spec->lr * pulmo_pow(spec->step_gamma, steps);
}

double pulmo_optim_rate(const pulmo_optim_spec *spec, double done, double batch, double total)
{
    if (done < spec->warmup_epochs)
        return spec->lr * fmin(1, (done + batch) / spec->warmup_epochs);
    switch (spec->schedule) {
    case PULMO_SCHEDULE_COSINE:
        return cosine_rate(spec, done, total);
    case PULMO_SCHEDULE_STEP:
        return step_rate(spec, done);
    case PULMO_SCHEDULE_CONSTANT:
        break;
    }
    return spec->lr;
}

/* Elementwise, every operation rounded as written: the same bits at any vector width. */
static inline __attribute__((always_inline)) void adam_body(const pulmo_optim_update *a, size_t n,
                                                            float *restrict p,
                                                            const float *restrict gradient,
                                                            float *restrict m, float *restrict v)
{
    for (size_t i = 0; i < n; i++) {
        float x = p[i] * a->shrink;
        float g = gradient[i] + a->l2 * x;
        m[i] = a->beta1 * m[i] + a->one_beta1 * g;
        v[i] = a->beta2 * v[i] + a->one_beta2 * (g * g);
        float denominator = sqrtf(v[i]) * a->inverse_root + a->eps;
        p[i] = x - a->step_size * (m[i] / denominator);
    }
}

static void adam_plain(const pulmo_optim_update *a, size_t n, float *p, const float *gradient,
                       float *m, float *v)
{
    adam_body(a, n, p, gradient, m, v);
}
#if defined(__x86_64__)
__attribute__((target("avx2"))) static void adam_avx2(const pulmo_optim_update *a, size_t n,
                                                      float *p, const float *gradient, float *m,
                                                      float *v)
{
    adam_body(a, n, p, gradient, m, v);
}
__attribute__((target("avx512f,prefer-vector-width=512"))) static void
adam_avx512(const pulmo_optim_update *a, size_t n, float *p, const float *gradient, float *m,
            float *v)
{
    adam_body(a, n, p, gradient, m, v);
}
#else
#define adam_avx2   adam_plain
#define adam_avx512 adam_plain
#endif

static void adam_step(const pulmo_optim_update *a, size_t n, float *p, const float *gradient,
                      float *m, float *v)
{
    switch (pulmo_isa_widest()) {
    case PULMO_ISA_AVX512:
        adam_avx512(a, n, p, gradient, m, v);
        return;
    case PULMO_ISA_AVX2:
        adam_avx2(a, n, p, gradient, m, v);
        return;
    default:
        adam_plain(a, n, p, gradient, m, v);
    }
}

static void adam_scalars(const pulmo_optim_spec *spec, double rate, uint64_t step,
                         pulmo_optim_update *update)
{
    double correction1 = 1.0 - pulmo_pow(spec->beta1, (double)step);
    double correction2 = 1.0 - pulmo_pow(spec->beta2, (double)step);
    update->beta1 = (float)spec->beta1;
    update->one_beta1 = (float)(1.0 - spec->beta1);
    update->beta2 = (float)spec->beta2;
    update->one_beta2 = (float)(1.0 - spec->beta2);
    update->step_size = (float)(rate / correction1);
    update->inverse_root = (float)(1.0 / sqrt(correction2));
    update->eps = (float)spec->eps;
}

pulmo_optim_update pulmo_optim_update_of(const pulmo_optim_spec *spec, double rate, uint64_t step)
{
    double decay = spec->weight_decay;
    pulmo_optim_update update = {
        .kind = spec->kind,
        .rate = (float)rate,
        .momentum = (float)spec->momentum,
        .l2 = (float)decay,
        .shrink = 1.0f,
    };
    if (spec->kind != PULMO_OPTIM_SGD)
        adam_scalars(spec, rate, step, &update);
    if (spec->kind == PULMO_OPTIM_ADAMW) {
        update.l2 = 0.0f;
        update.shrink = (float)(1.0 - rate * decay);
    }
    return update;
}

static void sgd_step(const pulmo_optim_update *u, size_t n, float *restrict p,
                     const float *restrict gradient, float *restrict velocity)
{
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] + u->l2 * p[i];
        velocity[i] = u->momentum * velocity[i] + g;
        p[i] -= u->rate * velocity[i];
    }
}

static void plain_step(const pulmo_optim_update *u, size_t n, float *restrict p,
                       const float *restrict gradient)
{
    for (size_t i = 0; i < n; i++)
        p[i] -= u->rate * (gradient[i] + u->l2 * p[i]);
}

void pulmo_optim_step(const pulmo_optim_update *update, size_t n, float *parameters,
                      const float *gradient, float *const state[2])
{
    if (update->kind != PULMO_OPTIM_SGD)
        adam_step(update, n, parameters, gradient, state[0], state[1]);
    else if (update->momentum > 0)
        sgd_step(update, n, parameters, gradient, state[0]);
    else
        plain_step(update, n, parameters, gradient);
}
