/* Which images all inputs have, in one order, and which are missing where. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"
#include "compare.h"

#define NOWHERE UINT32_MAX

/* Every name of every input once. */
typedef struct names {
    uint32_t rows;      /* of all inputs */
    const char **text;  /* (rows) */
    uint32_t *number;   /* (rows) */
    uint32_t different; /* numbers */
    uint32_t *row;      /* (inputs, different): where the input has it, or NOWHERE */
} names;

static void names_free(names *n)
{
    free(n->text);
    free(n->number);
    free(n->row);
}

static pulmo_status out_of_memory(uint64_t rows)
{
    return pulmo_fail(PULMO_MEMORY, "out of memory for %llu rows of scores",
                      (unsigned long long)rows);
}

static pulmo_status gather(const comparison *c, names *n)
{
    uint64_t rows = 0;
    for (int i = 0; i < c->inputs; i++)
        rows += c->input[i].count;
    if (rows >= NOWHERE)
        return pulmo_fail(PULMO_DATA,
                          "there are %llu rows of scores; at most 2^32 - 2 are compared",
                          (unsigned long long)rows);
    n->text = malloc((rows + 1) * sizeof *n->text);
    n->number = malloc((rows + 1) * sizeof *n->number);
    if (!n->text || !n->number)
        return out_of_memory(rows);
    for (int i = 0; i < c->inputs; i++)
        for (uint32_t j = 0; j < c->input[i].count; j++)
            n->text[n->rows++] = c->input[i].paths[j];
    return pulmo_names_number(n->text, n->rows, n->number, &n->different);
}

static uint32_t *row_of(const names *n, int input, uint32_t number)
{
    return &n->row[(size_t)input * n->different + number];
}

static pulmo_status place(const comparison *c, names *n)
{
    const size_t cells = (size_t)c->inputs * n->different;
    uint32_t at = 0;
    n->row = malloc((cells + 1) * sizeof *n->row);
    if (!n->row)
        return out_of_memory(cells);
    for (size_t i = 0; i < cells; i++)
        n->row[i] = NOWHERE;
    for (int i = 0; i < c->inputs; i++) {
        for (uint32_t j = 0; j < c->input[i].count; j++, at++) {
            uint32_t *row = row_of(n, i, n->number[at]);
            if (*row != NOWHERE)
                return pulmo_fail(PULMO_DATA, "%s: holds \"%s\" twice; each image has one row",
                                  c->input[i].name, n->text[at]);
            *row = j;
        }
    }
    return PULMO_OK;
}

static bool is_common(const comparison *c, const names *n, uint32_t number)
{
    for (int i = 0; i < c->inputs; i++)
        if (*row_of(n, i, number) == NOWHERE)
            return false;
    return true;
}

/* ---- what is missing ---- */

static pulmo_status list_missing(const names *n, int input, compare_missing *out)
{
    uint8_t *listed = calloc((size_t)n->different + 1, 1);
    out->paths = malloc(((size_t)n->different + 1) * sizeof *out->paths);
    if (!listed || !out->paths) {
        free(listed);
        return out_of_memory(n->different);
    }
    for (uint32_t at = 0; at < n->rows; at++) {
        const uint32_t number = n->number[at];
        if (*row_of(n, input, number) == NOWHERE && !listed[number])
            out->paths[out->count++] = n->text[at];
        listed[number] = 1;
    }
    free(listed);
    return PULMO_OK;
}

/* ---- what is common ---- */

static pulmo_status allocate(comparison *c)
{
    const size_t room = (size_t)c->input[0].count + 1;
    bool whole = true;
    c->positive = malloc(room * sizeof *c->positive);
    c->negative = malloc(room * sizeof *c->negative);
    c->patient = malloc(room * sizeof *c->patient);
    for (int i = 0; i < c->inputs; i++) {
        c->row[i] = malloc(room * sizeof *c->row[i]);
        c->score[i] = malloc(room * sizeof *c->score[i]);
        c->called[i] = malloc(room * sizeof *c->called[i]);
        c->spared[i] = malloc(room * sizeof *c->spared[i]);
        c->right[i] = malloc(room * sizeof *c->right[i]);
        whole = whole && c->row[i] && c->score[i] && c->called[i] && c->spared[i] && c->right[i];
    }
    if (whole && c->positive && c->negative && c->patient)
        return PULMO_OK;
    return out_of_memory(room);
}

static const char *label_of(const compare_input *input, uint32_t row)
{
    return input->class_names[input->labels[row]];
}

/* The same image must be of the same class, and with the finding or without in all. */
static pulmo_status check_labels(const comparison *c, uint32_t image)
{
    const compare_input *first = &c->input[0];
    const uint32_t at = c->row[0][image];
    for (int i = 1; i < c->inputs; i++) {
        const compare_input *other = &c->input[i];
        const uint32_t row = c->row[i][image];
        const bool positive = other->labels[row] == other->finding;
        const bool named = first->classes == 2 || other->classes == 2 ||
                           strcmp(label_of(first, at), label_of(other, row)) == 0;
        if (positive == c->positive[image] && named)
            continue;
        return pulmo_fail(PULMO_DATA,
                          "%s: \"%s\" is %s here and %s in %s; the truth of an image must be the "
                          "same in all",
                          other->name, other->paths[row], label_of(other, row), label_of(first, at),
                          first->name);
    }
    return PULMO_OK;
}

static pulmo_status take_image(comparison *c, uint32_t image)
{
    const compare_input *first = &c->input[0];
    c->positive[image] = first->labels[c->row[0][image]] == first->finding;
    c->negative[image] = !c->positive[image];
    for (int i = 0; i < c->inputs; i++) {
        const compare_input *input = &c->input[i];
        const uint32_t row = c->row[i][image];
        c->score[i][image] = input->score[row];
        c->called[i][image] = input->called[row];
        c->spared[i][image] = !input->called[row];
        c->right[i][image] = input->predicted[row] == input->labels[row];
    }
    return check_labels(c, image);
}

static pulmo_status take_common(comparison *c, const names *n)
{
    const compare_input *first = &c->input[0];
    for (uint32_t j = 0; j < first->count; j++) {
        const uint32_t number = n->number[j];
        if (!is_common(c, n, number))
            continue;
        for (int i = 0; i < c->inputs; i++)
            c->row[i][c->count] = *row_of(n, i, number);
        PULMO_TRY(take_image(c, c->count));
        c->count++;
    }
    if (c->count > 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s and %s have no image in common: paths are compared as they are written, "
                      "as \"%s\" and \"%s\"; write them alike",
                      first->name, c->input[1].name, first->paths[0], c->input[1].paths[0]);
}

/* By the first input that tells them. */
/* Whether images of one number in `one` are of one in `other`. `first` of room (numbers) is for its
 * use. The image where that breaks, or `count`. */
static uint32_t broken_at(const uint32_t *one, const uint32_t *other, uint32_t count,
                          uint32_t *first)
{
    for (uint32_t i = 0; i < count; i++)
        first[one[i]] = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *known = &first[one[i]];
        if (*known != UINT32_MAX && *known != other[i])
            return i;
        *known = other[i];
    }
    return count;
}

/* Names of patients may differ, as pseudonyms do; who is who may not. `numbers` is of room for the
 * numbers of one more input, and as much again. */
static pulmo_status compare_patients(const comparison *c, int from, int other, const char **text,
                                     uint32_t *numbers)
{
    uint32_t different = 0;
    uint32_t *first = numbers + c->count;
    for (uint32_t i = 0; i < c->count; i++)
        text[i] = c->input[other].patients[c->row[other][i]];
    PULMO_TRY(pulmo_names_number(text, c->count, numbers, &different));
    uint32_t at = broken_at(c->patient, numbers, c->count, first);
    if (at == c->count)
        at = broken_at(numbers, c->patient, c->count, first);
    if (at < c->count)
        pulmo_warn(
            "%s and %s tell patients apart in other ways, first at image %s: intervals go by "
            "%s's patients",
            c->input[from].name, c->input[other].name, c->input[from].paths[c->row[from][at]],
            c->input[from].name);
    return PULMO_OK;
}

static pulmo_status compare_all_patients(const comparison *c, int from, const char **text)
{
    uint32_t *numbers = calloc(2 * (size_t)c->count + 1, sizeof *numbers);
    pulmo_status status = PULMO_OK;
    if (!numbers)
        return pulmo_fail(PULMO_MEMORY, "out of memory for patients");
    for (int k = from + 1; k < c->inputs && status == PULMO_OK; k++)
        if (c->input[k].patients_told)
            status = compare_patients(c, from, k, text, numbers);
    free(numbers);
    return status;
}

static pulmo_status take_patients(comparison *c)
{
    int from = 0;
    uint32_t different = 0;
    while (from < c->inputs && !c->input[from].patients_told)
        from++;
    c->truth = (pulmo_truth){.count = c->count, .positive = c->positive};
    if (from == c->inputs)
        return PULMO_OK;
    const char **text = malloc(((size_t)c->count + 1) * sizeof *text);
    if (!text)
        return out_of_memory(c->count);
    for (uint32_t i = 0; i < c->count; i++)
        text[i] = c->input[from].patients[c->row[from][i]];
    pulmo_status status = pulmo_names_number(text, c->count, c->patient, &different);
    if (status == PULMO_OK)
        status = compare_all_patients(c, from, text);
    free(text);
    c->truth.patients = different;
    c->truth.patient = c->patient;
    c->patients_told = true;
    return status;
}

pulmo_status compare_align(comparison *c)
{
    names n = {0};
    pulmo_status status = gather(c, &n);
    if (status == PULMO_OK)
        status = place(c, &n);
    if (status == PULMO_OK)
        status = allocate(c);
    for (int i = 0; status == PULMO_OK && i < c->inputs; i++)
        status = list_missing(&n, i, &c->missing[i]);
    if (status == PULMO_OK)
        status = take_common(c, &n);
    names_free(&n);
    PULMO_TRY(status);
    PULMO_TRY(take_patients(c));
    return pulmo_sample_of(&c->truth, &c->sample);
}
