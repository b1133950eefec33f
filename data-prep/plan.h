/* Inside the preparation room: which file stands in which split, and where. */
#ifndef PULMO_PREP_PLAN_H
#define PULMO_PREP_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "lines.h"
#include "parts.h"
#include "source.h"

/* Two files whose packed pixels are nearly the same. */
typedef struct near_pair {
    uint32_t a, b;
} near_pair;

typedef struct pack_plan {
    int classes;
    char **class_names;
    int channels;
    uint32_t *order[PULMO_SPLITS]; /* indices into the list, in packed order */
    uint32_t count[PULMO_SPLITS];
    int32_t *label; /* (list count), -1 for a refused file */
    size_t bad; /* of the refused files, which stand first: those that cannot be used. What is left
                   out on request comes after them */
    text_lines refused_paths, refused_reasons, identical, similar, leaks;
    text_lines shared_patients, mixed_patients;    /* of several splits, of several classes */
    uint32_t patients[PULMO_SPLITS], patients_all; /* known ones */
    uint32_t unknown;                              /* usable files whose patient is not known */
    uint32_t profiled;      /* newly decoded ones whose colour profile or gamma was ignored */
    int folds;              /* 0 for none */
    int32_t *fold;          /* (list count): of files in train, else -1; NULL without folds */
    char *patients_by;      /* which rules told the patients of how many images, in words */
    text_lines split_notes; /* how splits were made */
    text_lines warnings;    /* the same, where it is not what one would expect */
} pack_plan;

/* "known", "some" or "unknown": whether patients are. Static storage. */
const char *plan_patients(const pack_plan *plan);
/* Class names alone; to be called before anything is decoded. */
pulmo_status plan_classes(const source_list *list, pack_plan *plan);
/* PULMO_DATA unless there are two classes or more, and not too many. */
pulmo_status plan_judge_classes(const source_list *list, const pack_plan *plan);
/* Decides splits and order from the list, its records and the near duplicates among them, and
 * audits for leaks. Whether leaks are allowed is for the caller to decide, by plan->leaks. */
pulmo_status plan_make(const part_store *store, const near_pair *near, size_t near_count,
                       const pulmo_config *config, pack_plan *plan);
void pack_plan_free(pack_plan *plan);

#endif
