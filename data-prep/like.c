/* A pack for a trained model: one test split with the model's classes. */
#include "like.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

/* ---- splits ---- */

pulmo_status like_take_all(source_list *list)
{
    const bool had_splits = list->has_splits;
    for (size_t i = 0; i < list->count; i++)
        list->file[i].split = PULMO_SPLIT_TEST;
    list->has_splits = false;
    if (!had_splits)
        return PULMO_OK;
    return lines_add(&list->notes,
                     "%s: with --like, its train, val and test together are the test split; to "
                     "pack one of them, give that folder as the source",
                     list->root);
}

/* ---- classes ---- */

static int index_of(const pulmo_pack_like *like, const char *label)
{
    for (int k = 0; k < like->classes; k++)
        if (strcmp(like->class_names[k], label) == 0)
            return k;
    return -1;
}

static bool is_among(const text_lines *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->text[i], name) == 0)
            return true;
    return false;
}

/* Each class of the list that the model does not have, once. */
static pulmo_status find_foreign(const pulmo_pack_like *like, const source_list *list,
                                 text_lines *foreign)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *label = list->file[i].label;
        if (index_of(like, label) >= 0 || is_among(foreign, label))
            continue;
        PULMO_TRY(lines_add(foreign, "%s", label));
    }
    return PULMO_OK;
}

static pulmo_status join_names(const pulmo_pack_like *like, char **out)
{
    text_lines names = {0};
    pulmo_status status = PULMO_OK;
    for (int k = 0; k < like->classes && status == PULMO_OK; k++)
        status = lines_add(&names, "%s", like->class_names[k]);
    if (status == PULMO_OK)
        status = lines_join(&names, ", ", out);
    lines_free(&names);
    return status;
}

/* The model's class that is probably meant, as an example of a map; else a word that stands for
 * one. */
static const char *example_of(const pulmo_pack_like *like, const char *label)
{
    for (int k = 0; k < like->classes; k++)
        if (strcasecmp(like->class_names[k], label) == 0)
            return like->class_names[k];
    return "CLASS";
}

/* "Normal: NORMAL, Sick: CLASS". Owned by the caller. */
static pulmo_status make_example(const pulmo_pack_like *like, const text_lines *foreign, char **out)
{
    text_lines pairs = {0};
    pulmo_status status = PULMO_OK;
    for (size_t i = 0; i < foreign->count && status == PULMO_OK; i++) {
        const char *name = foreign->text[i];
        status = lines_add(&pairs, "%s: %s", name, example_of(like, name));
    }
    if (status == PULMO_OK)
        status = lines_join(&pairs, ", ", out);
    lines_free(&pairs);
    return status;
}

static pulmo_status fail_foreign(const pulmo_pack_like *like, const source_list *list,
                                 const text_lines *foreign)
{
    char *theirs = NULL;
    char *models = NULL;
    char *example = NULL;
    pulmo_status status = lines_join(foreign, ", ", &theirs);
    if (status == PULMO_OK)
        status = join_names(like, &models);
    if (status == PULMO_OK)
        status = make_example(like, foreign, &example);
    if (status == PULMO_OK)
        status =
            pulmo_fail(PULMO_DATA,
                       "%s: %s %s not among the classes of %s, which are %s (names are "
                       "compared exactly). pack.label_map gives folders the model's names and "
                       "leaves out those that it does not name, as in --set "
                       "'pack.label_map=%s'",
                       list->root, theirs, pulmo_are(foreign->count), like->run, models, example);
    free(theirs);
    free(example);
    free(models);
    return status;
}

pulmo_status like_classes(const pulmo_pack_like *like, const source_list *list, pack_plan *plan)
{
    text_lines foreign = {0};
    pulmo_status status = find_foreign(like, list, &foreign);
    if (status == PULMO_OK && foreign.count > 0)
        status = fail_foreign(like, list, &foreign);
    lines_free(&foreign);
    PULMO_TRY(status);
    plan->class_names = malloc((size_t)like->classes * sizeof *plan->class_names);
    if (!plan->class_names)
        return pulmo_fail(PULMO_MEMORY, "out of memory for class names");
    for (int k = 0; k < like->classes; k++)
        plan->class_names[k] = (char *)(uintptr_t)like->class_names[k];
    plan->classes = like->classes;
    return PULMO_OK;
}

/* ---- what is missing ---- */

pulmo_status like_judge(pack_plan *plan)
{
    const uint32_t *order = plan->order[PULMO_SPLIT_TEST];
    const uint32_t count = plan->count[PULMO_SPLIT_TEST];
    for (uint32_t i = 1; i < count; i++)
        if (plan->label[order[i]] != plan->label[order[0]])
            return PULMO_OK;
    if (count == 0)
        return PULMO_OK;
    return lines_add(&plan->warnings,
                     "test: all %u image%s of class %s: evaluate gives how many of them are called "
                     "so, with its interval. What needs both classes cannot be computed of them: "
                     "AUC, the other one of sensitivity and specificity, predictive values, "
                     "calibration slope",
                     count, count == 1 ? " is" : "s are", plan->class_names[plan->label[order[0]]]);
}

/* ---- options ---- */

pulmo_status like_describe(const pulmo_pack_like *like, char **options)
{
    char *names = NULL;
    PULMO_TRY(join_names(like, &names));
    char *whole = pulmo_format("%s, like %s", *options, names);
    free(names);
    if (!whole)
        return PULMO_MEMORY;
    free(*options);
    *options = whole;
    return PULMO_OK;
}
