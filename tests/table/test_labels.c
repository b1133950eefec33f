/* From tables and paths to the class, patient and split of each file. */
#include "labels_match.h"

#include "pulmo/clock.h"
#include "pulmo/split.h"

/* ---- NIH: several labels in a cell, patients, lists of splits ---- */

static void make_nih(void)
{
    put(directory, "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View "
        "Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "00000001_000.png,Cardiomegaly|Pneumonia,0,1,58,M,PA,2682,2749,0.143,0.143,\n"
        "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,PA,2894,2729,0.143,0.143,\n"
        "00000002_000.png,No Finding,0,2,81,M,AP,2500,2048,0.171,0.171,\n"
        "00000003_000.png,Hernia,0,3,81,F,PA,2582,2991,0.143,0.143,\n");
    put(directory, "train_val_list.txt", "00000001_000.png\n00000001_001.png\n00000003_000.png");
    put(directory, "test_list.txt", "00000002_000.png\n");
    set("pack.table=Data_Entry_2017.csv");
    set("pack.table_path=Image Index");
    set("pack.table_label=Finding Labels");
    set("pack.table_patient=Patient ID");
}

static const char *const nih_files[] = {"images_001/images/00000001_000.png",
                                        "images_001/images/00000001_001.png",
                                        "images_001/images/00000002_000.png",
                                        "images_002/images/00000003_000.png",
                                        "Data_Entry_2017.csv",
                                        "images_002/images/00000009_000.png",
                                        NULL};

static void test_nih(void **state)
{
    (void)state;
    make_nih();
    assert_refused(match(nih_files), PULMO_DATA,
                   "Data_Entry_2017.csv:2: column \"Finding Labels\": \"Cardiomegaly|Pneumonia\": "
                   "holds several labels; pack.finding");
    set("pack.finding=pneumonia");
    assert_refused(match(nih_files), PULMO_DATA,
                   ":2: column \"Finding Labels\": \"Cardiomegaly|Pneumonia\": holds the finding "
                   "\"pneumonia\", but not as a label; pack.finding names the label exactly");
    set("pack.finding=Pneumonia");
    set("pack.train_list=train_val_list.txt");
    set("pack.test_list=test_list.txt");
    set("pack.keep=[Patient Age, View Position]");
    assert_ok(match(nih_files));
    assert_label(0, "Pneumonia");
    assert_label(1, "No Pneumonia");
    assert_label(2, "No Pneumonia");
    assert_string_equal(of[1].patient, "1");
    assert_int_equal(of[0].split, PULMO_SPLIT_TRAIN);
    assert_int_equal(of[2].split, PULMO_SPLIT_TEST);
    assert_string_equal(of[2].kept[0], "81");
    assert_string_equal(of[2].kept[1], "AP");
    assert_string_equal(pulmo_labels_kept(labels).text[1], "View Position");
    pulmo_label_report report = pulmo_labels_report(labels);
    assert_int_equal(report.rows, 4);
    assert_int_equal(report.fate[PULMO_LABEL_TAKEN], 4);
    assert_int_equal(report.fate[PULMO_LABEL_NO_ROW], 1); /* the table is not an image */
    assert_int_equal(report.files_without_row.count, 1);
    assert_string_equal(report.files_without_row.text[0], "images_002/images/00000009_000.png");
}

static void test_label_map(void **state)
{
    (void)state;
    make_nih();
    set("pack.label_map={Pneumonia: PNEUMONIA, No Finding: NORMAL}");
    assert_ok(match(nih_files));
    assert_label(0, "PNEUMONIA");
    assert_label(2, "NORMAL");
    assert_int_equal(of[1].fate, PULMO_LABEL_UNNAMED);
    assert_int_equal(of[3].fate, PULMO_LABEL_UNNAMED);
    assert_true(has_note("left out: 2 images of labels that pack.label_map does not name"));
    assert_true(
        has_note("labels that pack.label_map leaves out: Cardiomegaly|Emphysema 1, Hernia 1"));
    set("pack.label_map={Pneumonia: PNEUMONIA, Cardiomegaly: HEART}");
    assert_refused(match(nih_files), PULMO_DATA, ":2: column");
    assert_refused(match(nih_files), PULMO_DATA, "makes both HEART and PNEUMONIA of it");
    set("pack.finding=Hernia");
    set("pack.label_map={Hernia: HERNIA, No Hernia: NORMAL}");
    assert_ok(match(nih_files));
    assert_label(3, "HERNIA");
    assert_label(0, "NORMAL");
}

static void test_lists(void **state)
{
    (void)state;
    make_nih();
    set("pack.finding=Pneumonia");
    set("pack.test_list=test_list.txt");
    assert_ok(match(nih_files));
    assert_int_equal(of[0].split, -1);
    assert_int_equal(of[2].split, PULMO_SPLIT_TEST);
    put(directory, "train_val_list.txt", "00000001_000.png\n00000003_000.png\nnowhere.png\n");
    set("pack.train_list=train_val_list.txt");
    assert_ok(match(nih_files));
    assert_int_equal(of[1].fate, PULMO_LABEL_NO_LIST);
    assert_true(has_note("without a file: 1 of 3"));
    put(directory, "train_val_list.txt", "00000001_000.png\n00000002_000.png\n");
    assert_refused(match(nih_files), PULMO_DATA, "train_val_list.txt:2 and ");
    /* Lists alone: folders say classes. */
    set("pack.table=");
    set("pack.table_path=");
    set("pack.table_label=");
    set("pack.table_patient=");
    set("pack.finding=");
    set("pack.train_list=");
    assert_false(pulmo_labels_give_classes(&config));
    assert_true(pulmo_labels_wanted(&config));
    assert_ok(match(nih_files));
    assert_int_equal(of[2].split, PULMO_SPLIT_TEST);
    assert_null(of[2].label);
}

/* What the configuration alone shows to be wrong. */
static void test_check(void **state)
{
    (void)state;
    set("pack.table=nowhere.csv");
    set("pack.where= [a=b, c=d] ");
    assert_ok(pulmo_labels_check(&config));
    set("pack.where=[a=b, c=d");
    assert_refused(pulmo_labels_check(&config), PULMO_CONFIG, "does not end with ]");
    set("pack.where=a");
    assert_refused(pulmo_labels_check(&config), PULMO_CONFIG, "must be COLUMN=VALUE");
}

/* ---- CheXpert: a column per finding, two tables below each other ---- */

#define CHEXPERT_HEADER "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Pneumonia\n"

static void make_chexpert(void)
{
    put(directory, "train.csv",
        CHEXPERT_HEADER
        "CheXpert-v1.0-small/train/patient00001/study1/"
        "view1_frontal.jpg,Female,68,Frontal,AP,1.0,\n"
        "CheXpert-v1.0-small/train/patient00002/study1/view1_frontal.jpg,Male,87,Frontal,AP,,-1.0\n"
        "CheXpert-v1.0-small/train/patient00002/study1/view2_lateral.jpg,Male,87,Lateral,,,-1.0\n"
        "CheXpert-v1.0-small/train/patient00003/study1/"
        "view1_frontal.jpg,Male,41,Frontal,AP,,1.0\n");
    put(directory, "valid.csv",
        CHEXPERT_HEADER "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,"
                        "Frontal,AP,0.0,0.0\n");
    set("pack.table=[train.csv, valid.csv]");
    set("pack.table_path=Path");
    set("pack.finding=Pneumonia");
}

static void test_chexpert(void **state)
{
    const char *const *files = FILES("valid/patient64541/study1/view1_frontal.jpg",
                                     "train/patient00001/study1/view1_frontal.jpg",
                                     "train/patient00002/study1/view1_frontal.jpg",
                                     "train/patient00002/study1/view2_lateral.jpg",
                                     "train/patient00099/study1/view1_frontal.jpg");
    (void)state;
    make_chexpert();
    assert_refused(match(files), PULMO_DATA,
                   "train.csv:2: column \"Pneumonia\": is blank; "
                   "pack.blank says");
    set("pack.blank=negative");
    assert_refused(match(files), PULMO_DATA,
                   "train.csv:3: column \"Pneumonia\": is -1 (uncertain); "
                   "pack.uncertain says");
    set("pack.uncertain=leave_out");
    set("pack.where=Frontal/Lateral=Frontal");
    assert_ok(match(files));
    assert_label(0, "No Pneumonia");
    assert_label(1, "No Pneumonia");
    assert_int_equal(of[2].fate, PULMO_LABEL_UNCERTAIN);
    assert_int_equal(of[3].fate, PULMO_LABEL_NOT_WHERE);
    assert_int_equal(of[4].fate, PULMO_LABEL_NO_ROW);
    assert_null(of[1].patient);
    pulmo_label_report report = pulmo_labels_report(labels);
    assert_int_equal(report.rows_without_file.count, 1);
    assert_non_null(strstr(report.rows_without_file.text[0], "train.csv:5: CheXpert-v1.0-small"));
    set("pack.uncertain=positive");
    set("pack.blank=leave_out");
    assert_ok(match(files));
    assert_label(2, "Pneumonia");
    assert_int_equal(of[1].fate, PULMO_LABEL_BLANK);
    set("pack.finding=Pneumothorax");
    assert_refused(match(files), PULMO_CONFIG,
                   "train.csv has no such column; its columns are: Path, Sex, Age");
    set("pack.finding=");
    assert_refused(match(files), PULMO_CONFIG, "pack.uncertain");
    set("pack.uncertain=refuse");
    set("pack.table_label=Pneumonia");
    assert_refused(match(files), PULMO_DATA, "\"-1.0\": is what columns of findings hold");
    set("pack.table_label=Age");
    assert_ok(match(files));
    assert_label(1, "68");
}

/* ---- MIMIC: images joined with labels by study and views by image ---- */

static void test_mimic(void **state)
{
    (void)state;
    put(directory, "split.csv",
        "dicom_id,study_id,subject_id,split\n02aa804e-bde0afdd,50414267,10000032,train\n"
        "174413ec-4ec4c1f7,50414267,10000032,train\n2a2277a9-b0ded155,53189527,10000033,validate\n"
        "e084de3b-be89b11e,53911762,10000034,test\n");
    char *command = pulmo_format("gzip -f '%s/split.csv'", directory);
    assert_int_equal(system(command), 0); /* found all the same */
    free(command);
    put(directory, "chexpert.csv",
        "subject_id,study_id,Pneumonia\n10000032,50414267,1.0\n10000033,53189527,0.0\n");
    put(directory, "metadata.csv",
        "dicom_id,subject_id,study_id,ViewPosition\n02aa804e-bde0afdd,10000032,50414267,PA\n"
        "174413ec-4ec4c1f7,10000032,50414267,LATERAL\n2a2277a9-b0ded155,10000033,53189527,AP\n"
        "e084de3b-be89b11e,10000034,53911762,PA\n");
    const char *const *files = FILES("files/p10/p10000032/s50414267/02aa804e-bde0afdd.jpg",
                                     "files/p10/p10000032/s50414267/174413ec-4ec4c1f7.jpg",
                                     "files/p10/p10000033/s53189527/2a2277a9-b0ded155.jpg",
                                     "files/p10/p10000034/s53911762/e084de3b-be89b11e.jpg");
    set("pack.table=[split.csv, chexpert.csv, metadata.csv]");
    set("pack.join=[study_id, dicom_id]");
    set("pack.table_path=dicom_id");
    set("pack.table_patient=subject_id");
    set("pack.table_split=split");
    set("pack.finding=Pneumonia");
    set("pack.where=ViewPosition=PA|AP");
    assert_ok(match(files));
    assert_label(0, "Pneumonia");
    assert_string_equal(of[0].patient, "10000032");
    assert_int_equal(of[0].split, PULMO_SPLIT_TRAIN);
    assert_int_equal(of[1].fate, PULMO_LABEL_NOT_WHERE);
    assert_label(2, "No Pneumonia");
    assert_int_equal(of[2].split, PULMO_SPLIT_VAL);
    assert_int_equal(of[3].fate, PULMO_LABEL_UNJOINED);
    assert_true(has_note("chexpert.csv: 1 of 4"));
    set("pack.join=study_id");
    assert_refused(match(files), PULMO_CONFIG, "1 column for 3 tables");
    set("pack.join=");
    assert_refused(match(files), PULMO_CONFIG, "has no such column");
}

/* ---- several rows of a file, and what does not fit ---- */

static void test_rows_of_one_file(void **state)
{
    (void)state;
    put(directory, "t.csv", "id,class,x\na,Normal,\nb,Lung Opacity,1\nb,Lung Opacity,2\n");
    set("pack.table=t.csv");
    set("pack.table_path=id");
    set("pack.table_label=class");
    assert_ok(match(FILES("a.dcm", "b.dcm")));
    assert_label(1, "Lung Opacity");
    set("pack.keep=x");
    assert_refused(match(FILES("a.dcm", "b.dcm")), PULMO_DATA, "t.csv:3 and ");
    assert_refused(match(FILES("a.dcm", "b.dcm")), PULMO_DATA,
                   "t.csv:4: are both of b.dcm and disagree: x \"1\" and \"2\"");
    put(directory, "t.csv", "id,class,x\nb,Normal,1\nb,Lung Opacity,1\n");
    assert_refused(match(FILES("b.dcm")), PULMO_DATA,
                   "disagree: class \"Normal\" and \"Lung Opacity\"");
    assert_refused(match(FILES("p/b.jpg", "q/b.jpg")), PULMO_DATA,
                   "t.csv:2: \"b\": may be p/b.jpg or q/b.jpg");
    assert_refused(match(FILES("z.jpg")), PULMO_DATA, "none of its 2 rows");
}

static void test_refused(void **state)
{
    const char *const *files = FILES("a.png");
    (void)state;
    put(directory, "t.csv", "id,class,split\na,x,holdout\n");
    set("pack.table=nowhere.csv");
    assert_refused(match(files), PULMO_CONFIG, "pack.table: \"nowhere.csv\": is neither a file");
    set("pack.table=t.csv");
    assert_refused(match(files), PULMO_CONFIG, "pack.table_path: names the column of image names");
    set("pack.table_path=name");
    assert_refused(match(files), PULMO_CONFIG, "its columns are: id, class, split");
    set("pack.table_path=id");
    set("pack.table_label=class");
    set("pack.table_split=split");
    assert_refused(match(files), PULMO_DATA, "t.csv:2: column \"split\": \"holdout\"");
    set("pack.test_list=t.csv");
    assert_refused(match(files), PULMO_CONFIG, "each says what test is");
    set("pack.test_list=");
    put(directory, "t.csv", "id,class,split\na,caf\xE9,train\n");
    assert_refused(match(files), PULMO_DATA, "t.csv:2: column \"class\": is not UTF-8");
    put(directory, "t.csv", "id,class,split\n,x,train\n");
    assert_refused(match(files), PULMO_DATA, "t.csv:2: column \"id\": is blank; pack.table_path");
    put(directory, "t.csv", "id,class,split\na,,train\n");
    assert_refused(match(files), PULMO_DATA, "column \"class\": is blank; pack.blank");
    set("pack.blank=leave_out");
    assert_ok(match(files));
    assert_int_equal(of[0].fate, PULMO_LABEL_BLANK);
    set("pack.table_label=#2");
    assert_refused(match(files), PULMO_CONFIG, "not both");
}

static void test_keys_without_table(void **state)
{
    static const char *const keys[] = {
        "join=a",    "table_path=a",        "table_label=a",   "table_patient=a", "table_split=a",
        "finding=a", "uncertain=leave_out", "blank=leave_out", "keep=a",          "where=a=b"};
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *assignment = pulmo_format("pack.%s", keys[i]);
        char *expected = pulmo_format("pack.%.*s: needs pack.table: give the table, or leave the "
                                      "key out",
                                      (int)strcspn(keys[i], "="), keys[i]);
        pulmo_config_init(&config);
        set(assignment);
        assert_true(pulmo_labels_wanted(&config));
        assert_refused(match(FILES("a.png")), PULMO_CONFIG, expected);
        free(assignment);
        free(expected);
    }
    pulmo_config_init(&config);
    assert_false(pulmo_labels_wanted(&config));
}

static void make_plain(const char *text)
{
    put(directory, "t.csv", text);
    set("pack.table=t.csv");
    set("pack.table_path=id");
    set("pack.table_label=class");
}

static void test_kept_names(void **state)
{
    const char *const *files = FILES("a.png");
    (void)state;
    make_plain("id,class,split,p_x,Age\na,x,train,1,40\n");
    set("pack.keep=[split, class, p_x, Age]");
    assert_ok(match(files));
    pulmo_label_lines kept = pulmo_labels_kept(labels);
    assert_string_equal(kept.text[0], "table_split");
    assert_string_equal(kept.text[1], "class");
    assert_string_equal(kept.text[2], "table_p_x");
    assert_string_equal(kept.text[3], "Age");
    assert_string_equal(of[0].kept[0], "train");
    set("pack.keep=[Age, split, Age]");
    assert_refused(match(files), PULMO_CONFIG, "pack.keep: two columns would be named \"Age\"");
    set("pack.keep=[split, table_split]");
    assert_refused(match(files), PULMO_CONFIG,
                   "pack.keep: two columns would be named \"table_split\"");
}

static void test_list_of_nothing(void **state)
{
    (void)state;
    put(directory, "test.txt", "nowhere.png\nneither.png\n");
    set("pack.test_list=test.txt");
    assert_refused(match(FILES("a.png")), PULMO_DATA, "pack.test_list: ");
    assert_refused(match(FILES("a.png")), PULMO_DATA,
                   "test.txt: none of its 2 names is of any of the 1 file; the first name: "
                   "nowhere.png; the first file: a.png");
}

static void test_where_takes_nothing(void **state)
{
    (void)state;
    make_plain("id,class,view\na,x,PA\nb,y,AP\n");
    set("pack.where=view=pa");
    assert_refused(match(FILES("a.png")), PULMO_CONFIG, "pack.where: selects none of the 2 rows");
    assert_refused(match(FILES("a.png")), PULMO_CONFIG, "the column \"view\", which holds \"PA\"");
    set("pack.where=view=AP");
    assert_refused(match(FILES("a.png")), PULMO_DATA,
                   "pack.where: none of the 1 row that it selects of 2");
}

static void test_names_without_images(void **state)
{
    const char *const *files = FILES("a.png", "b.png");
    (void)state;
    make_plain("id,class\na,1|2|3|4|5|6\nb,5|6|7|8|9|10|11\n");
    set("pack.finding=Mass");
    assert_refused(match(files), PULMO_CONFIG,
                   "their labels are: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...");
    set("pack.label_map=Mass: ILL, No Mass: WELL");
    assert_refused(match(files), PULMO_CONFIG, "\"Mass\": no image has a label of this name");
    set("pack.finding=");
    set("pack.label_map=1: A, 7: B, Mas: C");
    assert_ok(match(files));
    assert_true(has_note("warning: pack.label_map names labels that no image has: Mas"));
    set("pack.label_map=1: A, 7: B");
    assert_ok(match(files));
    assert_false(has_note("warning"));
}

static void test_spelled_otherwise(void **state)
{
    const char *const *files = FILES("a.png", "b.png", "c.png", "d.png");
    (void)state;
    make_plain("id,class\na,\"Mass, Edema\"\nb,Edema viral\nc,No edema\nd,mild Edema\n");
    set("pack.finding=Edema");
    assert_ok(match(files));
    assert_label(0, "Edema");
    assert_label(1, "No Edema");
    assert_label(2, "No Edema");
    assert_true(has_note("warning: \"Edema\" is within other labels of 2 images, which count as No "
                         "Edema: Edema viral, mild Edema"));
    make_plain("id,class\na,Edema\nb,Mass/Edema\n");
    assert_refused(match(files), PULMO_DATA,
                   "t.csv:3: column \"class\": \"Mass/Edema\": holds the finding \"Edema\"");
    set("pack.where=class!=Mass/Edema");
    assert_ok(match(files));
    assert_false(has_note("warning"));
}

/* Labels that commas separate are several to pack.where and to classes, as to pack.finding. */
static void test_commas(void **state)
{
    const char *const *files = FILES("a.png", "b.png", "c.png");
    (void)state;
    make_plain("id,class,note\na,\"Mass, Edema\",\"old, exclude\"\nb,Edema,old\nc,Mass,\n");
    assert_refused(
        match(files), PULMO_DATA,
        "t.csv:2: column \"class\": \"Mass, Edema\": holds several labels, or one with a "
        "comma; pack.finding");
    set("pack.where=note!=exclude");
    assert_ok(match(files));
    assert_int_equal(of[0].fate, PULMO_LABEL_NOT_WHERE);
    assert_label(1, "Edema");
    assert_label(2, "Mass");
    set("pack.finding=Edema");
    set("pack.where=note=exclude|nothing");
    assert_ok(match(files));
    assert_label(0, "Edema");
    assert_int_equal(of[1].fate, PULMO_LABEL_NOT_WHERE);
    set("pack.where=class=Mass, Edema"); /* the whole cell */
    assert_ok(match(files));
    assert_label(0, "Edema");
    assert_int_equal(of[2].fate, PULMO_LABEL_NOT_WHERE);
    set("pack.finding=");
    set("pack.where=");
    set("pack.label_map={\"Mass, Edema\": BOTH, Mass: MASS}");
    assert_ok(match(files));
    assert_label(0, "BOTH");
    assert_int_equal(of[1].fate, PULMO_LABEL_UNNAMED);
    assert_label(2, "MASS");
}

static void test_blank_splits(void **state)
{
    const char *const *files = FILES("c.png", "b.png", "a.png");
    (void)state;
    make_plain("id,class,split\na,x,train\nb,x,\nc,y,NaN\n");
    set("pack.table_split=split");
    assert_refused(
        match(files), PULMO_DATA,
        "t.csv:3: column \"split\": is blank, as it is for 2 files in all; name the split");
    set("pack.where=split!=");
    assert_ok(match(files));
    assert_int_equal(of[0].fate, PULMO_LABEL_NOT_WHERE);
    assert_int_equal(of[1].fate, PULMO_LABEL_NOT_WHERE);
    assert_int_equal(of[2].split, PULMO_SPLIT_TRAIN);
}

static void test_blank_words(void **state)
{
    const char *const *files = FILES("a.png", "b.png", "c.png");
    (void)state;
    make_plain("id,class,who,Mass\na,nan,N/A,1\nb,None,null,0\nc,x,NA1,NaN\n");
    set("pack.table_patient=who");
    assert_refused(match(files), PULMO_DATA, "t.csv:2: column \"class\": is blank");
    set("pack.blank=leave_out");
    assert_ok(match(files));
    assert_int_equal(of[0].fate, PULMO_LABEL_BLANK);
    assert_int_equal(of[1].fate, PULMO_LABEL_BLANK);
    assert_null(of[0].patient);
    assert_null(of[1].patient);
    assert_label(2, "x");
    assert_string_equal(of[2].patient, "NA1");
    set("pack.label_map=None: NORMAL, x: ILL");
    assert_ok(match(files));
    assert_label(1, "NORMAL");
    set("pack.label_map=");
    set("pack.finding=Mass");
    assert_ok(match(files));
    assert_label(0, "Mass");
    assert_int_equal(of[2].fate, PULMO_LABEL_BLANK);
}

/* COVIDx: no header, separated by spaces. */
static void test_without_header(void **state)
{
    (void)state;
    put(directory, "train.txt", "3 a.jpg COVID-19 bmc\n4 b.png normal rsna\n");
    set("pack.table=train.txt");
    set("pack.table_path=#2");
    set("pack.table_label=#3");
    set("pack.table_patient=#1");
    assert_ok(match(FILES("b.png", "a.jpg")));
    assert_label(0, "normal");
    assert_label(1, "COVID-19");
    assert_string_equal(of[1].patient, "3");
}

/* 100,000 rows against 100,000 paths. */
static void test_speed(void **state)
{
    enum { ROWS = 100000 };
    char **paths = malloc(ROWS * sizeof *paths);
    pulmo_file_label *found = malloc(ROWS * sizeof *found);
    char *name = pulmo_format("%s/big.csv", directory);
    FILE *file = fopen(name, "w");
    (void)state;
    assert_true(paths && found && file);
    fputs("Path,Patient,Label\n", file);
    for (int i = 0; i < ROWS; i++) {
        int other = ROWS - 1 - i;
        fprintf(file, "set/train/patient%05d/study1/view%d.jpg,%d,%s\n", i / 3, i % 3, i / 3,
                i % 2 ? "odd" : "even");
        paths[i] = pulmo_format("train/patient%05d/study1/view%d.jpg", other / 3, other % 3);
    }
    fclose(file);
    set("pack.table=big.csv");
    set("pack.table_path=Path");
    set("pack.table_label=Label");
    set("pack.table_patient=Patient");
    double began_s = pulmo_now_s();
    assert_ok(pulmo_labels_read(&config, directory, &labels));
    assert_ok(pulmo_labels_match(labels, (const char *const *)paths, ROWS, found));
    double took_s = pulmo_now_s() - began_s;
    for (int i = 0; i < ROWS; i++)
        assert_string_equal(found[i].label, i % 2 ? "even" : "odd");
    printf("%.3f s\n", took_s);
    assert_true(took_s < 10); /* under a second, but for sanitizers and busy machines */
    for (int i = 0; i < ROWS; i++)
        free(paths[i]);
    free(name);
    free(paths);
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nih),
        TEST(test_label_map),
        TEST(test_lists),
        TEST(test_check),
        TEST(test_chexpert),
        TEST(test_mimic),
        TEST(test_rows_of_one_file),
        TEST(test_refused),
        TEST(test_keys_without_table),
        TEST(test_kept_names),
        TEST(test_list_of_nothing),
        TEST(test_where_takes_nothing),
        TEST(test_names_without_images),
        TEST(test_spelled_otherwise),
        TEST(test_commas),
        TEST(test_blank_splits),
        TEST(test_blank_words),
        TEST(test_without_header),
        TEST(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
