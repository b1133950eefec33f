/* Splits and the leak audit on made-up lists: patients kept together, parts of classes met, leaks
 * told from coincidences, near sketches all found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pulmo/memory.h"
#include "pulmo/rng.h"

#include "audit.h"
#include "headers.h"
#include "patients.h"
#include "plan.h"
#include "update.h"

#define MOST 4000

/* A list whose files have names and digests, and no pixels. */
typedef struct made {
    source_list list;
    part_store store;
    source_file files[MOST];
    image_record records[MOST];
    char *reasons[MOST];
    char text[MOST][3][200];
    pulmo_config config;
    pack_plan plan;
    pattern by_pattern; /* none */
    patient_rules *rules;
} made;

static int make(void **state)
{
    made *m = calloc(1, sizeof *m);
    m->list = (source_list){.root = "made", .file = m->files};
    m->store =
        (part_store){.list = &m->list, .records = m->records, .reasons = m->reasons, .size_px = 32};
    pulmo_config_init(&m->config);
    assert_int_equal(patient_rules_create(&m->by_pattern, &m->rules), PULMO_OK);
    *state = m;
    return 0;
}

static int drop(void **state)
{
    made *m = *state;
    pack_plan_free(&m->plan);
    patient_rules_destroy(m->rules);
    free(m);
    return 0;
}

/* Adds a file; `picture` makes its digests. */
static void add(made *m, int split, const char *label, const char *name, uint32_t picture)
{
    size_t i = m->list.count++;
    snprintf(m->text[i][0], sizeof m->text[i][0], "%s/%s/%s", pulmo_split_name(split), label, name);
    snprintf(m->text[i][2], sizeof m->text[i][2], "%s", label);
    size_t below = strlen(pulmo_split_name(split)) + strlen(label) + 2;
    patient_name patient = patient_find(m->rules, m->text[i][0], below);
    snprintf(m->text[i][1], sizeof m->text[i][1], "%.*s", (int)patient.group.bytes,
             patient.group.text);
    m->files[i] = (source_file){.path = m->text[i][0],
                                .group = m->text[i][1],
                                .label = m->text[i][2],
                                .split = split,
                                .rule = patient.rule,
                                .sure = patient.sure.text,
                                .sure_bytes = (int)patient.sure.bytes};
    m->records[i] = (image_record){.usable = 1, .channels = 1};
    memcpy(m->records[i].digest.bytes, &picture, sizeof picture);
    memcpy(m->records[i].pixel_digest.bytes, &picture, sizeof picture);
}

static void plan(made *m, const near_pair *near, size_t count)
{
    assert_int_equal(plan_classes(&m->list, &m->plan), PULMO_OK);
    pulmo_status status = plan_make(&m->store, near, count, &m->config, &m->plan);
    if (status != PULMO_OK)
        fail_msg("%s", pulmo_error());
}

/* Where file i went; -1 for nowhere. */
static int split_of(const made *m, uint32_t i)
{
    for (int s = 0; s < PULMO_SPLITS; s++)
        for (uint32_t k = 0; k < m->plan.count[s]; k++)
            if (m->plan.order[s][k] == i)
                return s;
    return -1;
}

/* The names as their publishers give them, in the folders in which they come. */
static void names_tell_patients(void **state)
{
    made *m = *state;
    static const struct {
        const char *path, *group, *sure, *rule;
    } names[] = {
        {"train/A/person123_bacteria_4.jpeg", "person123", "person123_bacteria",
         "names of the Kermany set (Kaggle)"},
        {"A/person1_virus_6.jpeg", "person1", "person1_virus", "names of the Kermany set (Kaggle)"},
        {"A/IM-0115-0001.jpeg", "IM-0115", "IM-0115", "names of the Kermany set (Kaggle)"},
        {"A/NORMAL2-IM-0927-0001.jpeg", "NORMAL2-IM-0927", "NORMAL2-IM-0927",
         "names of the Kermany set (Kaggle)"},
        {"A/BACTERIA-198200-0002.jpeg", "198200", "198200",
         "names of the Kermany set (Mendeley V3)"},
        {"A/CNV-1016042-13.jpeg", "1016042", "1016042", "names of the Kermany set (Mendeley V3)"},
        {"A/00000013_005.png", "00000013", "00000013", "names of NIH ChestX-ray14"},
        {"A/images_001/images/00030805_000.jpg", "00030805", "00030805",
         "names of NIH ChestX-ray14"},
        {"A/patient00001/study1/view1_frontal.jpg", "patient00001", "patient00001",
         "names of CheXpert"},
        {"A/patient7_study2_view1_frontal.jpg", "patient7", "patient7", "names of CheXpert"},
        {"A/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg", "p10000032",
         "p10000032", "names of MIMIC-CXR"},
        {"A/0001.jpeg", "0001", "", "unknown"},
        {"A/x/0001.jpeg", "x/0001", "", "unknown"},
        {"A/personal_7.jpeg", "personal_7", "", "unknown"},
        {"A/COVID-1234.jpg", "COVID-1234", "", "unknown"},
        {"A/0000013_005.png", "0000013_005", "", "unknown"},
        {"patient7/view1_frontal.jpg", "view1_frontal", "", "unknown"},
        {"A/v1.2/readme", "v1.2/readme", "", "unknown"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *path = names[i].path;
        size_t below = (size_t)(strstr(path, "A/") ? strstr(path, "A/") + 2 - path : 9);
        patient_name found = patient_find(m->rules, path, below);
        assert_int_equal(found.group.bytes, strlen(names[i].group));
        assert_memory_equal(found.group.text, names[i].group, found.group.bytes);
        assert_int_equal(found.sure.bytes, strlen(names[i].sure));
        assert_memory_equal(found.sure.text, names[i].sure, found.sure.bytes);
        assert_string_equal(patient_rule_name(found.rule), names[i].rule);
    }
}

/* Whether patients are known, how they were told, and how many there are in each split. */
static void patients_are_counted(void **state)
{
    made *m = *state;
    add(m, PULMO_SPLIT_TRAIN, "NORMAL", "00000001_000.jpg", 1);
    add(m, PULMO_SPLIT_TRAIN, "NORMAL", "00000001_001.jpg", 2);
    add(m, PULMO_SPLIT_TRAIN, "PNEUMONIA", "00000001_002.jpg", 3);
    add(m, PULMO_SPLIT_TRAIN, "PNEUMONIA", "person1_virus_6.jpeg", 4);
    add(m, PULMO_SPLIT_TEST, "NORMAL", "IM-0001-0001.jpeg", 5);
    plan(m, NULL, 0);
    assert_string_equal(plan_patients(&m->plan), "known");
    assert_int_equal(m->plan.patients_all, 3);
    assert_int_equal(m->plan.patients[PULMO_SPLIT_TRAIN], 2);
    assert_int_equal(m->plan.patients[PULMO_SPLIT_TEST], 1);
    assert_string_equal(m->plan.patients_by,
                        "names of the Kermany set (Kaggle): 2 images, names of NIH "
                        "ChestX-ray14: 3 images");
    assert_int_equal(m->plan.mixed_patients.count, 1);
    assert_string_equal(m->plan.mixed_patients.text[0], "00000001: in several classes");
    assert_int_equal(m->plan.shared_patients.count, 0);
    pack_plan_free(&m->plan);

    add(m, PULMO_SPLIT_TEST, "NORMAL", "scan 7.jpeg", 6);
    plan(m, NULL, 0);
    assert_string_equal(plan_patients(&m->plan), "some");
    assert_int_equal(m->plan.unknown, 1);
    assert_int_equal(m->plan.patients[PULMO_SPLIT_TEST], 1);
}

/* Patients of one to five images, two classes of unlike sizes, pictures shared across patients. */
static void fill(made *m)
{
    pulmo_rng rng;
    char name[80];
    pulmo_rng_at(&rng, 8, PULMO_RNG_TEST, 0, 0);
    for (int patient = 0; patient < 900; patient++) {
        int images = 1 + (int)pulmo_rng_below(&rng, 5);
        for (int k = 0; k < images; k++) {
            if (patient % 3)
                snprintf(name, sizeof name, "person%d_bacteria_%zu.jpeg", patient, m->list.count);
            else
                snprintf(name, sizeof name, "IM-%04d-%04d.jpeg", patient, k);
            bool copy = m->list.count > 10 && pulmo_rng_below(&rng, 100) == 0;
            add(m, PULMO_SPLIT_TRAIN, patient % 3 ? "PNEUMONIA" : "NORMAL", name,
                copy ? (uint32_t)m->list.count - 9 : (uint32_t)m->list.count);
        }
    }
}

/* A patient of both classes brings val its images of each: none is said to be missing. */
static void classes_that_came_along_are_not_missed(void **state)
{
    made *m = *state;
    char name[80];
    for (int patient = 0; patient < 10; patient++)
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "person%d_virus_%d.jpeg", patient, k);
            add(m, PULMO_SPLIT_TRAIN, k ? "PNEUMONIA" : "NORMAL", name, (uint32_t)m->list.count);
        }
    add(m, PULMO_SPLIT_TRAIN, "PNEUMONIA", "IM-0077-0001.jpeg", 77);
    m->config.pack.val_fraction = 0.2;
    plan(m, NULL, 0);
    uint32_t images[2] = {0};
    for (uint32_t i = 0; i < m->list.count; i++)
        if (split_of(m, i) == PULMO_SPLIT_VAL)
            images[m->plan.label[i]]++;
    assert_true(images[0] > 0 && images[1] > 0);
    for (size_t i = 0; i < m->plan.split_notes.count; i++)
        assert_null(strstr(m->plan.split_notes.text[i], "no image of class"));
}

/* An unknown patient's older group is kept, and tells none; what a header told is told. */
static void updates_keep_groups(void **state)
{
    (void)state;
    char *groups[] = {"N10", "N11", "file:A/N12.dcm"};
    int8_t split_of[3] = {0};
    uint32_t place[] = {0, 1, 2};
    old_pack old = {.split_of = split_of, .place = place};
    source_file file[3] = {0};
    const char *const names[] = {"A/N10.dcm", "A/x.dcm", "A/N12.dcm"};
    old.split[0].groups = groups;
    for (int i = 0; i < 3; i++) {
        file[i].path = strdup(names[i]);
        file[i].older = strdup(i ? "x" : "N10");
        file[i].group = pulmo_format("file:%s", names[i]);
    }
    source_list list = {.root = "made", .file = file, .count = 3, .by_header = true};
    assert_int_equal(headers_adopt(&old, &list), PULMO_OK);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(file[i].group, groups[i]);
        assert_int_equal(file[i].rule, i == 1 ? PATIENT_HEADER : PATIENT_UNKNOWN);
        assert_int_equal(file[i].sure_bytes, i == 1 ? 3 : 0);
    }
    old.all_known = true;
    file[0].older = file[0].group;
    file[0].group = strdup("file:A/N10.dcm");
    assert_int_equal(headers_adopt(&old, &list), PULMO_OK);
    assert_int_equal(file[0].rule, PATIENT_HEADER);
    for (int i = 0; i < 3; i++)
        source_file_free(&file[i]);
}

/* Two patients a class cannot fill three splits: train keeps one of each. */
static void train_is_never_split_empty(void **state)
{
    made *m = *state;
    const char *names[] = {"IM-0001-0001.jpeg", "IM-0002-0001.jpeg", "person1_virus_1.jpeg",
                           "person2_virus_2.jpeg"};
    m->config.pack.val_fraction = m->config.pack.test_fraction = 0.45;
    for (uint32_t i = 0; i < 4; i++)
        add(m, PULMO_SPLIT_TRAIN, i < 2 ? "NORMAL" : "PNEUMONIA", names[i], i + 1);
    plan(m, NULL, 0);
    assert_int_equal(m->plan.count[PULMO_SPLIT_TRAIN], 2);
    assert_int_not_equal(m->plan.label[m->plan.order[PULMO_SPLIT_TRAIN][0]],
                         m->plan.label[m->plan.order[PULMO_SPLIT_TRAIN][1]]);
    assert_int_equal(m->plan.count[PULMO_SPLIT_TEST], 2);
    assert_int_equal(m->plan.split_notes.count,
                     4); /* what was split off, and that val has nothing of either class */
    assert_int_equal(m->plan.warnings.count, 1);
    assert_non_null(
        strstr(m->plan.warnings.text[0], "val IS EMPTY: 0.45 of train was to be split"));
}

static void parts_are_met_and_sets_kept(void **state)
{
    made *m = *state;
    uint32_t images[2] = {0}, part[PULMO_SPLITS][2] = {{0}};
    fill(m);
    m->config.pack.val_fraction = 0.15;
    m->config.pack.test_fraction = 0.2;
    const near_pair near[] = {{3, 700}, {700, 1500}, {40, 41}};
    plan(m, near, 3);
    for (uint32_t i = 0; i < m->list.count; i++) {
        int s = split_of(m, i), class = m->plan.label[i];
        assert_in_range(s, 0, 2);
        images[class]++;
        part[s][class]++;
        for (uint32_t j = i + 1; j < m->list.count && j < i + 12; j++) {
            bool same =
                strcmp(m->files[i].group, m->files[j].group) == 0 ||
                memcmp(&m->records[i].digest, &m->records[j].digest, sizeof(pulmo_digest)) == 0;
            if (same)
                assert_int_equal(s, split_of(m, j));
        }
    }
    assert_int_equal(split_of(m, 3), split_of(m, 1500));
    for (int class = 0; class < 2;
         class ++) { /* a set is at most some dozen images: parts are met to within one */
        assert_in_range(part[PULMO_SPLIT_VAL][class] * 100, images[class] * 15 - 600,
                        images[class] * 15 + 600);
        assert_in_range(part[PULMO_SPLIT_TEST][class] * 100, images[class] * 20 - 600,
                        images[class] * 20 + 600);
    }
    assert_int_equal(m->plan.leaks.count, 0);
    assert_true(m->plan.identical.count > 5);
}

/* `count` patients of one image in a split, half of each class. */
static void add_patients(made *m, int split, int count)
{
    char name[80];
    for (int i = 0; i < count; i++) {
        uint32_t number = (uint32_t)m->list.count + 1;
        snprintf(name, sizeof name, "IM-%04u-0001.jpeg", number);
        add(m, split, i % 2 ? "PNEUMONIA" : "NORMAL", name, number);
    }
}

/* Patients are whole in one fold, folds have equal parts of each class, a given test has none, and
 * the same list and seed give the same folds. */
static void folds_are_by_patient_and_class(void **state)
{
    made *m = *state;
    uint32_t images[5][2] = {{0}}, all[2] = {0};
    static int32_t first[MOST];
    fill(m);
    add(m, PULMO_SPLIT_TEST, "NORMAL", "IM-9999-0001.jpeg", 999999);
    m->config.pack.folds = 5;
    plan(m, NULL, 0);
    assert_int_equal(m->plan.folds, 5);
    for (uint32_t i = 0; i + 1 < m->list.count; i++) {
        int fold = m->plan.fold[i], class = m->plan.label[i];
        assert_int_equal(split_of(m, i), PULMO_SPLIT_TRAIN);
        assert_in_range(fold, 0, 4);
        first[i] = fold;
        images[fold][class]++;
        all[class]++;
        for (uint32_t j = i + 1; j < m->list.count && j < i + 12; j++)
            if (strcmp(m->files[i].group, m->files[j].group) == 0)
                assert_int_equal(fold, m->plan.fold[j]);
    }
    assert_int_equal(m->plan.fold[m->list.count - 1], -1);
    for (int k = 0; k < 5; k++)
        for (int class = 0; class < 2; class ++) /* but for pictures of both classes */
            assert_in_range(images[k][class] * 5, all[class] - 60, all[class] + 60);
    pack_plan_free(&m->plan);
    plan(m, NULL, 0);
    for (uint32_t i = 0; i + 1 < m->list.count; i++)
        assert_int_equal(m->plan.fold[i], first[i]);
    pack_plan_free(&m->plan);
    m->config.pack.seed = 1;
    size_t moved = 0;
    plan(m, NULL, 0);
    for (uint32_t i = 0; i + 1 < m->list.count; i++)
        moved += m->plan.fold[i] != first[i];
    assert_true(moved > m->list.count / 2);
}

/* Fewer patients of a class than folds: said, and no fold is refused. */
static void folds_without_a_class_are_told(void **state)
{
    made *m = *state;
    add_patients(m, PULMO_SPLIT_TRAIN, 12);
    for (int i = 0; i < 8; i += 2)
        m->files[i].label = m->files[1].label;
    m->config.pack.folds = 3;
    plan(m, NULL, 0);
    assert_int_equal(m->plan.warnings.count, 1);
    assert_string_equal(m->plan.warnings.text[0],
                        "fold 2: no image of class NORMAL: it has 2 patients in train");
}

/* A test set that was given is not trained on, however small; a small val gives way only where
 * another was asked for, with a warning. */
static void given_splits_are_kept(void **state)
{
    made *m = *state;
    add_patients(m, PULMO_SPLIT_TRAIN, 200);
    add_patients(m, PULMO_SPLIT_VAL, 8);
    add_patients(m, PULMO_SPLIT_TEST, 10);
    plan(m, NULL, 0);
    assert_int_equal(m->plan.count[PULMO_SPLIT_VAL], 8);
    assert_int_equal(m->plan.warnings.count, 0);
    pack_plan_free(&m->plan);

    m->config.pack.val_fraction = 0.25;
    m->config.pack.test_fraction = 0.25;
    plan(m, NULL, 0);
    assert_int_equal(m->plan.count[PULMO_SPLIT_TEST], 10);
    for (uint32_t i = 208; i < 218; i++)
        assert_int_equal(split_of(m, i), PULMO_SPLIT_TEST);
    assert_int_equal(m->plan.count[PULMO_SPLIT_VAL], 52); /* a quarter of 208 */
    assert_int_equal(m->plan.warnings.count, 1);
    assert_non_null(strstr(m->plan.warnings.text[0], "val: the 8 images given"));
    pack_plan_free(&m->plan);

    add_patients(m, PULMO_SPLIT_VAL, 42);
    plan(m, NULL, 0); /* 50 are enough */
    assert_int_equal(m->plan.count[PULMO_SPLIT_VAL], 50);
    assert_int_equal(m->plan.count[PULMO_SPLIT_TRAIN], 200);
    assert_int_equal(m->plan.warnings.count, 0);
}

/* The same list, the same plan; another seed, another. */
static void a_plan_is_a_function(void **state)
{
    made *m = *state;
    static int first[MOST];
    fill(m);
    m->config.pack.test_fraction = 0.3;
    for (int round = 0; round < 3; round++) {
        size_t moved = 0;
        m->config.pack.seed = round / 2;
        plan(m, NULL, 0);
        for (uint32_t i = 0; i < m->list.count; i++) {
            moved += round > 0 && split_of(m, i) != first[i];
            if (round == 0)
                first[i] = split_of(m, i);
        }
        if (round == 1)
            assert_int_equal(moved, 0);
        if (round == 2)
            assert_true(moved > m->list.count / 10);
        pack_plan_free(&m->plan);
    }
}

/* The Kermany set's own splits: patients numbered apart by kind are no leak, one kind and number
 * is. */
static void leaks_and_coincidences(void **state)
{
    made *m = *state;
    add(m, PULMO_SPLIT_TRAIN, "NORMAL", "IM-0115-0001.jpeg", 1);
    add(m, PULMO_SPLIT_TRAIN, "PNEUMONIA", "person1_bacteria_1.jpeg", 2);
    add(m, PULMO_SPLIT_TRAIN, "PNEUMONIA", "person3_bacteria_10.jpeg", 3);
    add(m, PULMO_SPLIT_TEST, "NORMAL", "IM-0001-0001.jpeg", 4);
    add(m, PULMO_SPLIT_TEST, "PNEUMONIA", "person1_virus_6.jpeg", 5);
    add(m, PULMO_SPLIT_TRAIN, "NORMAL", "0001.jpeg", 6);
    add(m, PULMO_SPLIT_TEST, "NORMAL", "0001.jpeg", 7);
    plan(m, NULL, 0);
    assert_int_equal(m->plan.leaks.count, 0);
    assert_int_equal(m->plan.shared_patients.count, 1);
    assert_non_null(strstr(m->plan.shared_patients.text[0], "person1"));
    pack_plan_free(&m->plan);

    add(m, PULMO_SPLIT_VAL, "PNEUMONIA", "person3_bacteria_11.jpeg", 8);
    add(m, PULMO_SPLIT_TEST, "NORMAL", "IM-0002-0001.jpeg", 1);
    add(m, PULMO_SPLIT_TEST, "PNEUMONIA", "person7_virus_9.jpeg", 9);
    const near_pair near[] = {{1, 9}};
    plan(m, near, 1);
    assert_int_equal(m->plan.leaks.count, 3);
    assert_string_equal(
        m->plan.leaks.text[0],
        "identical files: train/NORMAL/IM-0115-0001.jpeg and test/NORMAL/IM-0002-0001.jpeg");
    assert_string_equal(m->plan.leaks.text[1],
                        "one picture: train/PNEUMONIA/person1_bacteria_1.jpeg and "
                        "test/PNEUMONIA/person7_virus_9.jpeg");
    assert_string_equal(m->plan.leaks.text[2],
                        "patient person3_bacteria: train/PNEUMONIA/person3_bacteria_10.jpeg and "
                        "val/PNEUMONIA/person3_bacteria_11.jpeg");
    pack_plan_free(&m->plan);

    add(m, PULMO_SPLIT_TRAIN, "PNEUMONIA", "person8_virus_20.jpeg",
        20); /* so that the class keeps one */
    m->config.pack.leaks = PULMO_LEAKS_DROP;
    plan(m, near, 1);
    static const int wanted[] = {-1, -1, -1, 2, 2, 0, 2, 1, 2, 2, 0};
    for (uint32_t i = 0; i < m->list.count; i++)
        assert_int_equal(split_of(m, i), wanted[i]);
    assert_int_equal(m->plan.refused_paths.count, 3);
}

/* Near duplicates of files that are packed already are not looked for again; what was found of them
 * stays. */
static void an_update_keeps_findings(void **state)
{
    made *m = *state;
    enum { OLD = 4 };
    int8_t split_of_file[OLD + 1] = {PULMO_SPLIT_TRAIN, PULMO_SPLIT_TEST, PULMO_SPLIT_TRAIN,
                                     PULMO_SPLIT_TEST, UPDATE_NEW};
    uint32_t place[OLD + 1] = {0, 0, 1, 1, 0};
    char identical[] =
        "identical files: train/NORMAL/IM-0002-0001.jpeg and test/NORMAL/IM-0004-0001.jpeg";
    char near[] = "one picture: train/NORMAL/IM-0002-0001.jpeg and test/PNEUMONIA/person9_virus_9";
    char *leaks[] = {identical, near};
    old_pack old = {.leak_count = 2, .leaks = leaks, .split_of = split_of_file, .place = place};
    old.split[PULMO_SPLIT_TRAIN].cut.count = 2;
    old.split[PULMO_SPLIT_TEST].cut.count = 2;
    add(m, PULMO_SPLIT_TRAIN, "NORMAL", "IM-0002-0001.jpeg", 1);
    add(m, PULMO_SPLIT_TEST, "NORMAL", "IM-0004-0001.jpeg", 1);
    add(m, PULMO_SPLIT_TRAIN, "PNEUMONIA", "person1_virus_1.jpeg", 2);
    add(m, PULMO_SPLIT_TEST, "PNEUMONIA", "person9_virus_9.jpeg", 3);
    add(m, PULMO_SPLIT_TRAIN, "NORMAL", "IM-0005-0001.jpeg", 4);
    m->config.pack.leaks = PULMO_LEAKS_ALLOW;
    m->store.old = &old;
    plan(m, NULL, 0);
    assert_int_equal(m->plan.leaks.count, 2);
    assert_string_equal(m->plan.leaks.text[0], identical);
    assert_string_equal(m->plan.leaks.text[1], near);
}

/* ---- sketches ---- */

typedef struct found {
    uint32_t count;
    uint8_t *pair; /* (count, count) */
} found;

static bool note(void *context, uint32_t a, uint32_t b)
{
    found *f = context;
    assert_true(a < b);
    assert_int_equal(f->pair[a * f->count + b]++, 0);
    return true;
}

/* Every pair that comparing all with all finds, once, and no other: clustered points, with ties. */
static void the_tree_finds_all(void **state)
{
    enum { COUNT = 900, NEAR = 1500 };
    static int8_t sketches[COUNT][PULMO_SKETCH_BYTES];
    (void)state;
    pulmo_rng rng;
    pulmo_rng_at(&rng, 4, PULMO_RNG_TEST, 0, 0);
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < PULMO_SKETCH_BYTES; k++)
            sketches[i][k] =
                i % 3 == 0 || i < 10
                    ? (int8_t)((int)pulmo_rng_below(&rng, 40) - 20)
                    : (int8_t)(sketches[i - i % 3][k] + (int)pulmo_rng_below(&rng, 13) - 6);
    found f = {.count = COUNT, .pair = calloc(COUNT, COUNT)};
    assert_int_equal(pulmo_near_pairs((const int8_t(*)[PULMO_SKETCH_BYTES])sketches, COUNT, COUNT,
                                      NEAR, note, &f),
                     PULMO_OK);
    int pairs = 0;
    for (int a = 0; a < COUNT; a++)
        for (int b = a + 1; b < COUNT; b++) {
            int sum = 0;
            for (int k = 0; k < PULMO_SKETCH_BYTES; k++)
                sum += (sketches[a][k] - sketches[b][k]) * (sketches[a][k] - sketches[b][k]);
            assert_int_equal(f.pair[a * COUNT + b], sum <= NEAR);
            pairs += sum <= NEAR;
        }
    assert_true(pairs > 100);
    free(f.pair);
}

static int distance2(const int8_t *x, const int8_t *y)
{
    int sum = 0;
    for (int k = 0; k < PULMO_SKETCH_BYTES; k++)
        sum += (x[k] - y[k]) * (x[k] - y[k]);
    return sum;
}

/* Brighter, of more contrast, larger: the same sketch. Another picture: a far one. Nothing to see:
 * none. */
static void sketches_are_of_the_picture(void **state)
{
    enum { SIDE = 64 };
    static uint8_t one[SIDE * SIDE], brighter[SIDE * SIDE], other[SIDE * SIDE],
        twice[4 * SIDE * SIDE];
    int8_t a[PULMO_SKETCH_BYTES], b[PULMO_SKETCH_BYTES];
    (void)state;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            int i = y * SIDE + x;
            one[i] = (uint8_t)(40 + x + (y - 30) * (y - 30) / 20 + (x / 16 + y / 16) % 2 * 20);
            brighter[i] = (uint8_t)(20 + one[i] * 5 / 4);
            other[i] = (uint8_t)(40 + y + (x - 30) * (x - 30) / 20);
        }
    for (int i = 0; i < 4 * SIDE * SIDE; i++)
        twice[i] = one[i / (2 * SIDE) / 2 * SIDE + i % (2 * SIDE) / 2];
    pulmo_sketch_make(one, SIDE, SIDE, 1, a);
    pulmo_sketch_make(brighter, SIDE, SIDE, 1, b);
    assert_true(distance2(a, b) < 200);
    pulmo_sketch_make(twice, 2 * SIDE, 2 * SIDE, 1, b);
    assert_true(distance2(a, b) < 100);
    pulmo_sketch_make(other, SIDE, SIDE, 1, b);
    assert_true(distance2(a, b) > 5000);
    memset(other, 90, sizeof other);
    pulmo_sketch_make(other, SIDE, SIDE, 1, b);
    assert_int_equal(b[0], 0);
    assert_int_not_equal(a[0], 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(names_tell_patients),
        TEST(patients_are_counted),
        TEST(classes_that_came_along_are_not_missed),
        TEST(updates_keep_groups),
        TEST(train_is_never_split_empty),
        TEST(parts_are_met_and_sets_kept),
        TEST(given_splits_are_kept),
        TEST(folds_are_by_patient_and_class),
        TEST(folds_without_a_class_are_told),
        TEST(a_plan_is_a_function),
        TEST(leaks_and_coincidences),
        TEST(an_update_keeps_findings),
        cmocka_unit_test(the_tree_finds_all),
        cmocka_unit_test(sketches_are_of_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
