/* The schema: every key of the configuration, in the order in which it is echoed. */
#include <float.h>

#include "pulmo/config.h"
#include "pulmo/framing.h"
#include "schema.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): names of fields take no parentheses */
#define FIELD(section, name)                                                                       \
    offsetof(pulmo_config, section.name), sizeof(((pulmo_config *)0)->section.name)
/* NOLINTEND(bugprone-macro-parentheses) */
#define ANY -DBL_MAX, DBL_MAX

#define TEXT(section, name, initial, binds, help)                                                  \
    {                                                                                              \
#section, #name, KEY_TEXT, FIELD(section, name), initial, ANY, NULL, binds, help           \
    }
#define MAP(section, name, initial, binds, help)                                                   \
    {                                                                                              \
#section, #name, KEY_MAP, FIELD(section, name), initial, ANY, NULL, binds, help            \
    }
#define WEIGHTS(section, name, initial, binds, help)                                               \
    {                                                                                              \
#section, #name, KEY_WEIGHTS, FIELD(section, name), initial, ANY, NULL, binds, help        \
    }
#define INT(section, name, initial, low, high, binds, help)                                        \
    {                                                                                              \
#section, #name, KEY_INT, FIELD(section, name), initial, low, high, NULL, binds, help      \
    }
#define REAL(section, name, initial, low, high, binds, help)                                       \
    {                                                                                              \
#section, #name, KEY_REAL, FIELD(section, name), initial, low, high, NULL, binds, help     \
    }
#define TWO(type, section, name, initial, low, high, binds, help)                                  \
    {                                                                                              \
#section, #name, KEY_##type, FIELD(section, name), initial, low, high, NULL, binds, help   \
    }
#define CHOICE(section, name, initial, choices, binds, help)                                       \
    {                                                                                              \
#section, #name, KEY_CHOICE, FIELD(section, name), initial, ANY, choices, binds, help      \
    }
#define INTS(section, name, initial, low, high, binds, help)                                       \
    {                                                                                              \
#section, #name, KEY_INTS, FIELD(section, name), initial, low, high, NULL, binds, help     \
    }

#define NAMES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const config_key keys[] = {
    TEXT(data, path, "", 0, "packed directory (required for train)"),
    INT(data, fold, "-1", -1, 19, 0,
        "of a pack with pack.folds: this fold is test, the next one val, the others train; -1 for "
        "the splits as packed"),

    INT(pack, size, "224", 32, 4096, 0, "height and width of the packed images, px"),
    REAL(pack, val_fraction, "0", 0, 0.9, 0,
         "part of train split off as val, by patient and class"),
    REAL(pack, test_fraction, "0", 0, 0.9, 0,
         "part of train split off as test, by patient and class"),
    INT(pack, folds, "0", 0, 20, 0,
        "parts of train for cross-validation by data.fold, by patient and class; 0 for none, else "
        "3 or more"),
    INT(pack, seed, "0", 0, 4294967295.0, 0, "seed of that splitting"),
    TEXT(pack, group_pattern, "", 0,
         "extended regular expression whose first group is the patient, matched on the path below "
         "SOURCE, or else on the file name, as in /(p[0-9]{8})/ or ^([0-9]+)_ (default: the names "
         "of the Kermany sets, NIH ChestX-ray14, CheXpert, MIMIC-CXR)"),
    CHOICE(pack, patients_unknown, "false", NAMES("false", "true"), 0,
           "true: split also where names tell no patient, as if each file were one"),
    TEXT(pack, label_pattern, "", 0,
         "extended regular expression whose first group is the class, matched on the file name, as "
         "in _(bacteria|virus)_ (default: the folder is the class)"),
    TEXT(pack, val_pattern, "", 0,
         "extended regular expression, matched on the path below the class folder: the files it "
         "matches are val"),
    TEXT(pack, test_pattern, "", 0,
         "the same for test; a site, a scanner or a kind of case that training never sees"),
    TEXT(pack, exclude_pattern, "", 0, "the same for files that are left out"),
    TEXT(pack, table, "", 0,
         "CSV table of labels, below SOURCE or a path; several in brackets are read as one, or "
         "joined by pack.join"),
    TEXT(pack, join, "", 0,
         "a column for each further table, by which its rows join those before it; LEFT=RIGHT "
         "where the names differ"),
    TEXT(pack, table_path, "", 0,
         "the table's column of image names or paths; #N is the Nth column of a table without a "
         "header line"),
    TEXT(pack, table_label, "", 0, "its column of classes"),
    TEXT(pack, table_patient, "", 0, "its column of patients"),
    TEXT(pack, table_split, "", 0, "its column of splits: train, val or validate, test"),
    TEXT(pack, train_list, "", 0,
         "file of names, one per line, that are train; with it, what no list names is left out"),
    TEXT(pack, val_list, "", 0, "the same for val"),
    TEXT(pack, test_list, "", 0, "the same for test"),
    MAP(pack, label_map, "", 0,
        "new names of labels, as in Pneumonia: PNEUMONIA, No Finding: NORMAL; what it does not "
        "name is left out. For class folders, too"),
    TEXT(pack, finding, "", 0,
         "makes this finding against the rest: a column of its own (1, 0, -1, blank), or one of "
         "several labels in a cell of pack.table_label"),
    CHOICE(pack, uncertain, "refuse", NAMES("refuse", "leave_out", "positive", "negative"), 0,
           "what -1 in the finding's column is"),
    CHOICE(pack, blank, "refuse", NAMES("refuse", "leave_out", "positive", "negative"), 0,
           "what a blank cell of labels is"),
    TEXT(pack, keep, "", 0,
         "columns of the table, and elements of DICOM headers, kept in the manifest, as in "
         "[Age, PatientSex]"),
    CHOICE(pack, pseudonyms, "auto", NAMES("auto", "off", "on"), 0,
           "on: patients and paths are pseudonyms in every file that is written; auto: where the "
           "source has DICOM files"),
    TEXT(pack, key_file, "", 0,
         "the key of pseudonyms, outside SOURCE and DEST, made where it is not there (default: "
         "pulmo/pseudonyms.key in $XDG_CONFIG_HOME or ~/.config)"),
    TEXT(pack, where, "", 0,
         "rows that are taken, as in ViewPosition=PA|AP; several conditions in brackets hold "
         "together; != for the others"),
    CHOICE(pack, fit, "squash", NAMES(PULMO_FIT_NAMES), 0,
           "what becomes of the aspect; squash: each side is resized by itself; crop: the central "
           "square is taken; pad: the whole image with black beside it"),
    CHOICE(pack, border, "keep", NAMES(PULMO_BORDER_NAMES), 0,
           "crop: cut uniform black or white borders first, at most a fifth from each side"),
    CHOICE(pack, aspect, "auto", NAMES("auto", "kept"), 0,
           "auto: where all images are square, they were squashed before, and that is recorded in "
           "place of pack.fit; kept: they are square by themselves"),
    CHOICE(
        pack, decode, "exact", NAMES(PULMO_DECODING_NAMES), 0,
        "exact: full decode, antialiased resize; fast: scaled DCT where the image is much larger"),
    TEXT(pack, window, "", 0,
         "CENTER,WIDTH of every DICOM file, in place of the tables and windows in it"),
    TEXT(pack, modalities, "[CR, DX]", 0, "of DICOM files, those that are taken; any takes all"),
    CHOICE(pack, header_patient, "true", NAMES("false", "true"), 0,
           "a DICOM file's PatientID is its patient, unless a table or pack.group_pattern says it"),
    CHOICE(pack, on_bad, "skip", NAMES("skip", "fail"), 0, "what a file that cannot be used does"),
    CHOICE(pack, leaks, "fail", NAMES("fail", "allow", "drop"), 0,
           "one picture or patient in several given splits: an error; packed as it is; or left out "
           "of train (and of val where test has it)"),
    INT(pack, pixels_max, "178956970", 1, 4e9, 0, "images of more pixels are refused"),
    INT(pack, shard_images, "1024", 1, 1e6, 0, "images per shard, at most"),

    TWO(PAIR, augment, crop_scale, "[0.8, 1]", 0, 1, 1,
        "RandomResizedCrop: part of the area; [1, 1] is off"),
    TWO(PAIR, augment, crop_ratio, "[0.9, 1.1]", 0, 10, 1, "RandomResizedCrop: width / height"),
    REAL(augment, hflip, "0.5", 0, 1, 1, "probability of a horizontal flip"),
    REAL(augment, rotate_deg, "10", 0, 180, 1, "rotation between -x and +x degrees"),
    TWO(SHIFT, augment, translate, "[0.05, 0.05]", 0, 1, 1,
        "shift up to this part of width, height"),
    TWO(PAIR, augment, scale, "[1, 1]", 0.1, 10, 1,
        "RandomAffine: factor range; below 1 the image is smaller, with black around it"),
    TWO(JITTER, augment, brightness, "[0.8, 1.2]", 0, 10, 1, "factor range, or b for [1-b, 1+b]"),
    TWO(JITTER, augment, contrast, "[0.8, 1.2]", 0, 10, 1, "factor range, or c for [1-c, 1+c]"),
    TWO(JITTER, augment, gamma, "[1, 1]", 0, 10, 1, "exponent range, or g for [1-g, 1+g]"),
    REAL(augment, equalize, "0", 0, 1, 1, "probability of histogram equalisation"),
    REAL(augment, autocontrast, "0", 0, 1, 1, "probability of stretching to full contrast"),
    TWO(JITTER, augment, sharpness, "[1, 1]", 0, 10, 1,
        "factor range, or s for [1-s, 1+s]; below 1 smoother"),
    TWO(RANGE, augment, blur, "[0, 0]", 0, 10, 1,
        "GaussianBlur: range of sigma, px, or one sigma for all; 0 is off"),
    REAL(augment, noise, "0", 0, 1, 1, "GaussianNoise: sigma, part of the full scale"),
    REAL(augment, erasing, "0", 0, 1, 1, "probability of RandomErasing"),
    TWO(RANGE, augment, strength, "[1, 1]", 0, 1, 1,
        "each image's own strength is drawn from this range, or one number for all: 1 is all of "
        "the above, 0 none of it but the flip; [0, 1] mixes"),
    CHOICE(augment, strength_of, "all", NAMES("all", "light"), 1,
           "light: strength leaves crops, rotation, translation and scale alone, so that every "
           "image is seen in all sizes and shapes"),

    TEXT(model, weights, "", 0,
         "VGG16 convolutions (safetensors, .pth, Keras' .h5, ONNX); default $PULMO_WEIGHTS, then "
         "the user's cache"),
    CHOICE(model, preprocessing, "auto", NAMES("auto", "torchvision", "caffe", "caffe-rgb"), 1,
           "what the convolutions were trained to see; auto: Caffe's for Keras, else "
           "torchvision's; caffe-rgb: first layer already takes RGB"),
    CHOICE(model, weights_check, "true", NAMES("false", "true"), 0,
           "refuse a file with VGG16's shapes that is not a VGG16 known here; false for a VGG16 of "
           "your own"),
    CHOICE(model, trainable, "head", NAMES("head", "block5", "block4", "block3", "block2", "all"),
           1, "the lowest part that is trained, with all above it; what is below stays frozen"),
    CHOICE(model, pool, "flatten", NAMES("flatten", "avg", "max", "avgmax"), 1,
           "how 512 x 7 x 7 features become the head's input"),
    INTS(model, pool_blocks, "[]", 1, 16, 1,
         "blocks whose outputs are averaged and side by side the head's input, as in [4, 5], with "
         "model.pool: avg; [] for the last block alone"),
    INTS(model, hidden, "[256]", 1, 65536, 1, "widths of the hidden layers; [] for none"),
    REAL(model, dropout, "0.5", 0, 0.99, 1, "dropout after each hidden layer"),
    TEXT(model, positive_class, "", 1,
         "of two classes the finding, which sensitivity, the threshold and the curves go by "
         "(default: the one that is not called normal, negative, healthy or no finding)"),

    TEXT(train, run_dir, "", 0, "where results go (required)"),
    TEXT(train, init, "", 0,
         "a run whose head and trained convolutions are where training starts (default: pretrained "
         "convolutions and a new head)"),
    INT(train, epochs, "30", 1, 100000, 1, "epochs, at most"),
    INT(train, batch, "64", 1, 65536, 1, "images per batch, over all ranks"),
    INT(train, microbatch, "8", 1, 1024, 1, "images per microbatch, which one rank computes whole"),
    INT(train, seed, "0", 0, 9007199254740992.0, 1, "one seed, one model"),
    INT(train, patience, "10", 0, 100000, 1,
        "epochs without improvement before stopping early; 0: never stop"),
    INTS(train, unfreeze_epochs, "[]", 0, 100000, 1,
         "epochs before each trained block joins in, block5 first, the last for all below it; [] "
         "for none: from the start"),
    CHOICE(train, monitor, "accuracy", NAMES("accuracy", "auc", "loss"), 1,
           "what is compared on val to keep the best model"),
    CHOICE(train, features, "fresh", NAMES("fresh", "bank"), 1,
           "fresh: new augmentations every epoch; bank: features of bank.views augmented views, "
           "computed once and kept for later runs"),
    CHOICE(train, exchange, "auto", NAMES("auto", "sums", "factors"), 0,
           "what ranks send each other of a layer's gradient: integer sums, or its factors, which "
           "are less for batches smaller than the layer; the same bits"),
    INT(train, threads, "0", 0, 4096, 0,
        "compute threads per rank; 0: the CPUs given, shared by the node's ranks"),
    INT(train, loader_threads, "1", 1, 256, 0, "threads per rank that read and augment"),
    INT(train, checkpoint_batches, "0", 0, 1e12, 0,
        "checkpoint every so many batches; 0: by time and epoch only"),
    REAL(train, checkpoint_seconds, "45", 0, 1e9, 0,
         "checkpoint when so many seconds have passed, unless writing one takes more than a "
         "twentieth of them; 0: by batch and epoch only"),
    REAL(train, stall_seconds, "120", 0, 1e9, 0,
         "end the job when a rank makes no progress for so long; 0: never"),
    REAL(train, time_limit_seconds, "0", 0, 1e9, 0,
         "stop with a checkpoint and status 75 before so many seconds are over; 0: only before "
         "Slurm's limit, where SLURM_JOB_END_TIME tells it"),

    TEXT(bank, path, "", 0,
         "where the feature bank is kept (default: bank/ in the packed directory)"),
    INT(bank, views, "8", 1, 100000, 1,
        "augmented views of each training image; epoch e takes view e mod views"),
    INT(bank, seed, "-1", -1, 9007199254740992.0, 1,
        "of the augmentations; -1: train.seed, as in fresh training. Runs of several seeds share a "
        "bank of one"),
    CHOICE(bank, precision, "float", NAMES("float", "half"), 1,
           "of the features; half takes half the space and rounds them to 11 bits"),

    CHOICE(optim, name, "adam", NAMES("adam", "adamw", "sgd"), 1, "the optimiser"),
    REAL(optim, lr, "0.001", 0, 1000, 1, "learning rate"),
    REAL(optim, trunk_lr_scale, "0.1", 0, 1000, 1,
         "trained convolutions learn at this part of optim.lr"),
    REAL(optim, trunk_lr_decay, "1", 0, 1, 1,
         "of trained blocks each learns at this part of the rate of the block above it"),
    REAL(optim, clip_norm, "0", 0, 1e30, 1,
         "gradients are scaled down to this norm over all parameters; 0: never"),
    REAL(optim, ema, "0", 0, 0.9999999, 1,
         "validation and the model use this exponential moving average of the weights (0.999, "
         "say); 0: the weights themselves"),
    REAL(optim, weight_decay, "0", 0, 1000, 1, "adam, sgd: L2 in the gradient; adamw: decoupled"),
    REAL(optim, beta1, "0.9", 0, 0.999999999, 1, "adam"),
    REAL(optim, beta2, "0.999", 0, 0.999999999, 1, "adam"),
    REAL(optim, eps, "1e-8", 1e-300, 1, 1, "adam"),
    REAL(optim, momentum, "0.9", 0, 0.999999999, 1, "sgd"),
    CHOICE(optim, schedule, "constant", NAMES("constant", "cosine", "step"), 1,
           "of the learning rate"),
    REAL(optim, warmup_epochs, "0", 0, 100000, 1,
         "linear warm-up over these epochs, from the first batch's part of optim.lr"),
    REAL(optim, step_epochs, "10", 0.001, 100000, 1, "step: every so many epochs ..."),
    REAL(optim, step_gamma, "0.1", 0, 1, 1, "step: ... the rate is multiplied by this"),
    REAL(optim, min_lr, "0", 0, 1000, 1, "cosine: the rate at the end"),
    REAL(optim, label_smoothing, "0", 0, 0.99, 1, "part of the target spread over all classes"),
    WEIGHTS(optim, class_weights, "none", 1,
            "none, balanced (n / (classes * n_class)), or one weight per class: [w0, w1, ...]"),

    TEXT(eval, threshold, "0.5", 1,
         "two classes: 0.5, youden, accuracy, sensitivity>=X or specificity>=X, chosen on val"),
    INT(eval, tta, "1", 1, 1000, 1,
        "views whose logits are averaged for an image: itself, then draws of augment, every other "
        "one flipped where augment.hflip allows"),
    CHOICE(
        eval, crops, "none", NAMES("none", "five", "ten"), 1,
        "five: the logits of four corners and the centre are averaged, crops of 7/8 of height and "
        "width; ten: and their mirror images; in place of eval.tta"),
    CHOICE(eval, calibration, "none", NAMES("none", "temperature"), 1,
           "temperature: divide logits by a number fitted on val, so that probabilities mean what "
           "they say"),
    CHOICE(eval, audit, "true", NAMES("false", "true"), 0,
           "the shortcut audit: how far the way images were made (sharpness, tones, borders) tells "
           "classes without a lung, and the model's scores beside it; false: none"),
};

const config_key *schema_keys(int *count)
{
    *count = (int)(sizeof keys / sizeof keys[0]);
    return keys;
}

/* What released versions called by another name. */
static const former_key former[] = {
    {"train", "slot", "train", "microbatch"},
};

const former_key *schema_former_keys(int *count)
{
    *count = (int)(sizeof former / sizeof former[0]);
    return former;
}
