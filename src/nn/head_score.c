/* Logits without dropout. */
#include "head_room.h"

static void score(const pulmo_head *head, workspace *space, float *logits)
{
    int count = space->count * head->spec.classes;
    int last = head->layers - 1;
    const real *output = space->output[last];
    head_forward(head, space, false);
    for (int i = 0; i < count; i++)
        logits[i] = (float)output[i];
}

/* All products of layer 0 of one workspace. */
static void multiply_first(pulmo_head *head, const workspace *space)
{
    const head_group group = head_first_group(space);
    int width = head->width[1];
    head_products(head, 0, &group, 1, 0, width);
}

void pulmo_head_logits(pulmo_head *head, int n, const float *features, float *logits)
{
    workspace *space = &head->spaces[head->microbatches];
    size_t floats = pulmo_head_floats(&head->spec);
    for (int at = 0; at < n; at += head->microbatch) {
        int left = n - at;
        int count = smaller(left, head->microbatch);
        head_fill_input(head, space, count, features);
        multiply_first(head, space);
        score(head, space, logits);
        features += (size_t)count * floats;
        logits += count * head->spec.classes;
    }
}

static void fill_task(void *context, int task, int thread)
{
    const head_work *work = context;
    pulmo_head *head = work->head;
    workspace *space = &head->spaces[task];
    int at = task * head->microbatch;
    int left = work->images - at;
    int count = smaller(left, head->microbatch);
    size_t floats = pulmo_head_floats(&head->spec);
    size_t place = (size_t)at * floats;
    const float *features = work->features + place;
    (void)thread;
    head_fill_input(head, space, count, features);
    head->groups[task] = head_first_group(space);
}

static void score_task(void *context, int task, int thread)
{
    const head_work *work = context;
    const pulmo_head *head = work->head;
    workspace *space = &head->spaces[task];
    size_t classes = (size_t)head->spec.classes;
    size_t each = (size_t)head->microbatch * classes;
    size_t place = (size_t)task * each;
    float *logits = work->logits + place;
    (void)thread;
    score(head, space, logits);
}

void pulmo_head_logits_on(pulmo_head *head, pulmo_pool *pool, int n, const float *features,
                          float *logits)
{
    size_t floats = pulmo_head_floats(&head->spec);
    int spaces = head->microbatches + 1;
    int room = spaces * head->microbatch;
    for (int at = 0; at < n; at += room) {
        int left = n - at;
        int images = smaller(left, room);
        int microbatches = divide_up(images, head->microbatch);
        head_work work = {.head = head, .images = images, .features = features, .logits = logits};
        work.microbatches = microbatches;
        pulmo_pool_run(pool, microbatches, fill_task, &work);
        head_run_products(&work, pool);
        pulmo_pool_run(pool, microbatches, score_task, &work);
        features += (size_t)images * floats;
        logits += images * head->spec.classes;
    }
}
