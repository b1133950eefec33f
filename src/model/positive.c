/* Which of two classes is the finding: told by the configuration, by the classes' names, or by
 * nothing; and as attributes of a file's root.
 *
 *   positive_class      its name; absent where there are not two classes
 *   positive_class_by   "given", "name" or "order" */
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/metrics.h"
#include "pulmo/model.h"
#include "pulmo/specs.h"

static const char *const by_names[] = {[PULMO_POSITIVE_GIVEN] = "given",
                                       [PULMO_POSITIVE_NAME] = "name",
                                       [PULMO_POSITIVE_ORDER] = "order"};

static int class_named(int classes, const char *const *names, const char *wanted)
{
    for (int k = 0; k < classes; k++)
        if (strcmp(names[k], wanted) == 0)
            return k;
    return -1;
}

/* Without a word from a person: by the names, or the last one. */
static pulmo_positive positive_of_names(const char *const *names)
{
    int found = pulmo_metrics_finding(2, names);
    if (found < 0)
        return (pulmo_positive){.index = 1, .by = PULMO_POSITIVE_ORDER};
    return (pulmo_positive){.index = found, .by = PULMO_POSITIVE_NAME};
}

/* ---- from the configuration ---- */

static pulmo_status positive_given(const char *wanted, const pulmo_dataset_info *info,
                                   pulmo_positive *out)
{
    if (info->classes != 2)
        return pulmo_fail(PULMO_CONFIG,
                          "model.positive_class: \"%s\": needs two classes, there are %d; of more, "
                          "each is measured against the rest: leave the key out",
                          wanted, info->classes);
    out->index = class_named(info->classes, info->class_names, wanted);
    out->by = PULMO_POSITIVE_GIVEN;
    if (out->index >= 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "model.positive_class: \"%s\" is not a class of the data; must be \"%s\" or "
                      "\"%s\"",
                      wanted, info->class_names[0], info->class_names[1]);
}

pulmo_status pulmo_positive_from(const pulmo_config *config, const pulmo_dataset_info *info,
                                 pulmo_positive *out)
{
    const char *const *names = info->class_names;
    const char *rule = config->eval.threshold;
    if (*config->model.positive_class)
        return positive_given(config->model.positive_class, info, out);
    *out = (pulmo_positive){.index = -1, .by = PULMO_POSITIVE_ORDER};
    if (info->classes != 2)
        return PULMO_OK;
    *out = positive_of_names(names);
    if (out->by == PULMO_POSITIVE_NAME || pulmo_metrics_rule_given(rule, NULL))
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "eval.threshold: \"%s\": needs to know which class is the finding, and "
                      "neither \"%s\" nor \"%s\" is called normal, negative, healthy or no "
                      "finding; set model.positive_class to one of them, or eval.threshold: 0.5",
                      rule, names[0], names[1]);
}

/* ---- in a file ---- */

pulmo_status pulmo_positive_write(pulmo_h5 *file, const pulmo_model *model)
{
    if (model->positive.index < 0)
        return PULMO_OK;
    const char *name = model->class_names[model->positive.index];
    PULMO_TRY(pulmo_h5_set_text(file, "/", "positive_class", name));
    return pulmo_h5_set_text(file, "/", "positive_class_by", by_names[model->positive.by]);
}

static pulmo_positive_by by_named(const char *text)
{
    for (int by = PULMO_POSITIVE_GIVEN; by < PULMO_POSITIVE_ORDER; by++)
        if (strcmp(text, by_names[by]) == 0)
            return (pulmo_positive_by)by;
    return PULMO_POSITIVE_ORDER;
}

/* Version 0.1 took the last class, whatever the names said. */
static pulmo_positive positive_of_old(const pulmo_h5 *file, const char *const *names)
{
    pulmo_positive named = positive_of_names(names);
    if (named.index == 1)
        return named;
    pulmo_info("%s: written by an earlier version, which took the last class, \"%s\", for the "
               "finding, and so it is read; a new run takes \"%s\" (model.positive_class)",
               pulmo_h5_path(file), names[1], names[0]);
    return (pulmo_positive){.index = 1, .by = PULMO_POSITIVE_ORDER};
}

pulmo_status pulmo_positive_read(pulmo_h5 *file, int classes, const char *const *names,
                                 pulmo_positive *out)
{
    char *name = NULL, *by = NULL;
    *out = (pulmo_positive){.index = -1, .by = PULMO_POSITIVE_ORDER};
    if (classes != 2)
        return PULMO_OK;
    if (!pulmo_h5_has_attribute(file, "/", "positive_class")) {
        *out = positive_of_old(file, names);
        return PULMO_OK;
    }
    pulmo_status status;
    PULMO_GOTO(pulmo_h5_get_text(file, "/", "positive_class", &name));
    PULMO_GOTO(pulmo_h5_get_text(file, "/", "positive_class_by", &by));
    out->index = class_named(classes, names, name);
    out->by = by_named(by);
    if (out->index < 0)
        status = pulmo_fail(PULMO_DATA,
                            "%s: attribute positive_class is \"%s\"; must be \"%s\" or \"%s\": the "
                            "file is damaged",
                            pulmo_h5_path(file), name, names[0], names[1]);
out:
    free(name);
    free(by);
    return status;
}
