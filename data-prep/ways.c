/* Ways out of errors: a rule that plays no part is none of them. */
#include "ways.h"

#include "patients.h"

table_part ways_table_part(const source_list *list)
{
    size_t of_table = 0;
    size_t others = 0;
    for (size_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        if (file->refusal)
            continue;
        if (file->rule == PATIENT_TABLE)
            of_table++;
        else
            others++;
    }
    if (of_table == 0)
        return TABLE_OF_NONE;
    return others == 0 ? TABLE_OF_ALL : TABLE_OF_SOME;
}

const char *ways_to_patients(const source_list *list)
{
    static const char *const ways[] = {
        [TABLE_OF_NONE] = "pack.group_pattern finds patients by another rule",
        [TABLE_OF_SOME] = "pack.table_patient names another column, or its cells are mended (it "
                          "comes before pack.group_pattern, which finds the patients of the other "
                          "files)",
        [TABLE_OF_ALL] = "pack.table_patient names another column, or its cells are mended (it "
                         "tells all patients here: pack.group_pattern would play no part)",
    };
    return ways[ways_table_part(list)];
}

const char *ways_to_split(const source_list *list, const pulmo_config *config)
{
    const bool lists =
        *config->pack.train_list || *config->pack.val_list || *config->pack.test_list;
    if (*config->pack.table_split)
        return "without pack.table_split, --val-fraction and --test-fraction give splits that do "
               "not leak";
    if (lists)
        return "without the lists of splits, --val-fraction and --test-fraction give splits that "
               "do not leak";
    if (!list->has_splits)
        return "without pack.val_pattern and pack.test_pattern, --val-fraction and "
               "--test-fraction give splits that do not leak";
    return "class folders without train/ val/ test/ and --val-fraction, --test-fraction give "
           "splits that do not leak";
}

const char *ways_to_unknown(const pulmo_config *config)
{
    if (*config->pack.table_patient)
        return "Ways out: a patient in each cell of pack.table_patient; pack.group_pattern finds "
               "the patient in such paths";
    if (*config->pack.table)
        return "Ways out: pack.table_patient names a column of patients; pack.group_pattern finds "
               "the patient in such paths";
    return "Two ways out: pack.group_pattern finds the patient in such paths";
}
