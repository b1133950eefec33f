/* Logits without dropout. */
#include "head_room.h"

static void score(const pulmo_head *head, workspace *space, float *logits)
{
    head_forward(head, space, false);
    for (int i = 0; i < space->count * head->spec.classes; i++)
        logits[i] = (float)space->output[head->layers - 1][i];
}

void pulmo_head_logits(pulmo_head *head, int n, const float *features, float *logits)
{
    workspace *space = &head->spaces[head->microbatches];
    size_t floats =
        (size_t)head->spec.channels * (size_t)head->spec.height * (size_t)head->spec.width;
    for (int at = 0; at < n; at += head->microbatch) {
        head_fill_input(head, space, n - at < head->microbatch ? n - at : head->microbatch,
                        features + (size_t)at * floats);
        const head_group group = {.x = space->first, .y = space->output[0]};
        head_products(head, 0, &group, 1, 0, head->width[1]);
        score(head, space, logits + (size_t)at * (size_t)head->spec.classes);
    }
}

static void fill_task(void *context, int task, int thread)
{
    const head_work *work = context;
    pulmo_head *head = work->head;
    workspace *space = &head->spaces[task];
    size_t floats =
        (size_t)head->spec.channels * (size_t)head->spec.height * (size_t)head->spec.width;
    int at = task * head->microbatch, left = work->images - at;
    (void)thread;
    head_fill_input(head, space, left < head->microbatch ? left : head->microbatch,
                    work->features + (size_t)at * floats);
    head->groups[task] = (head_group){.x = space->first, .y = space->output[0]};
}

static void score_task(void *context, int task, int thread)
{
    const head_work *work = context;
    (void)thread;
    score(work->head, &work->head->spaces[task],
          work->logits +
              (size_t)(task * work->head->microbatch) * (size_t)work->head->spec.classes);
}

void pulmo_head_logits_on(pulmo_head *head, pulmo_pool *pool, int n, const float *features,
                          float *logits)
{
    size_t floats =
        (size_t)head->spec.channels * (size_t)head->spec.height * (size_t)head->spec.width;
    int room = (head->microbatches + 1) * head->microbatch;
    for (int at = 0; at < n; at += room) {
        head_work work = {.head = head,
                          .images = n - at < room ? n - at : room,
                          .features = features + (size_t)at * floats,
                          .logits = logits + (size_t)at * (size_t)head->spec.classes};
        work.microbatches = (work.images + head->microbatch - 1) / head->microbatch;
        pulmo_pool_run(pool, work.microbatches, fill_task, &work);
        head_run_products(&work, pool);
        pulmo_pool_run(pool, work.microbatches, score_task, &work);
    }
}
