/* The table of commands: what each is called, takes and calls. */
#include <limits.h>
#include <stddef.h>

#include "cli.h"

/* ---- kinds of options, and options of several commands; each line adds its .help ---- */

#define INTO(name)             .field = offsetof(arguments, name)
#define FLAG(name_)            .name = (name_), .type = OPTION_FLAG
#define TEXT(name_, arg)       .name = (name_), .argument = (arg), .type = OPTION_TEXT
#define ONE_OF(name_, choices) .name = (name_), .argument = (choices), .type = OPTION_CHOICE
#define NUMBER(name_, arg, least, most)                                                            \
    .name = (name_), .argument = (arg), .type = OPTION_NUMBER, .low = (least), .high = (most)
#define LARGE(name_, arg, least, most)                                                             \
    .name = (name_), .argument = (arg), .type = OPTION_LARGE, .low = (least), .high = (most)
#define KEY(name_, arg, key_) .name = (name_), .argument = (arg), .type = OPTION_KEY, .key = (key_)

#define DATA           TEXT("data", "PACKED"), INTO(data)
#define SPLIT          TEXT("split", "train|val|test"), INTO(split)
#define OUT(arg)       TEXT("out", arg), INTO(out)
#define FORMAT(names)  ONE_OF("format", names), INTO(format)
#define BY             TEXT("by", "COLUMN,..."), INTO(by)
#define OVERWRITE      FLAG("overwrite"), INTO(overwrite)
#define THREADS(least) NUMBER("threads", "N", least, 4096), INTO(threads)
#define WEIGHTS        KEY("weights", "FILE", "model.weights")

/* ---- keys of several commands ---- */

/* Where a model is used to decide, and where it is only looked at. */
#define KEYS_OF_USE  "eval.threshold|eval.tta|eval.crops|augment.*|model.weights|train.threads"
#define KEYS_OF_LOOK "model.weights|train.threads"
/* Where image files are read, which may be too large for the machine at hand. */
#define KEYS_OF_FILES "pack.pixels_max"
/* Where a run is trained again: places, and what machines differ in. */
#define KEYS_OF_PLACES                                                                             \
    "data.path|model.weights|bank.path|train.threads|train.loader_threads|train.exchange|"         \
    "train.checkpoint_batches|train.checkpoint_seconds|train.stall_seconds|"                       \
    "train.time_limit_seconds"
/* Where one is trained: all but packing's. */
#define KEYS_OF_TRAINING "data.*|augment.*|model.*|train.*|bank.*|optim.*|eval.*"

/* ---- options ---- */

static const command_option audit_options[] = {
    {FORMAT("text|json"), .initial_text = "text",
     .help = "of what is printed on stdout (default text: at most 20 lines of each finding)"},
    {FLAG("strict"), INTO(strict), .help = "findings give exit status 65"},
    {KEY("val-fraction", "X", "pack.val_fraction"), .help = "as in pack"},
    {KEY("test-fraction", "X", "pack.test_fraction"), .help = "as in pack"},
    {KEY("drop-leaks", NULL, "pack.leaks"), .key_value = "drop", .help = "as in pack"},
    {KEY("patients-unknown", NULL, "pack.patients_unknown"), .key_value = "true",
     .help = "as in pack"},
    {THREADS(0), .help = "threads (default: the CPUs given)"},
    {0},
};

static const command_option pack_options[] = {
    {KEY("val-fraction", "X", "pack.val_fraction"),
     .help = "split this part of train off as val, by patient and class"},
    {KEY("test-fraction", "X", "pack.test_fraction"),
     .help = "split this part of train off as test, by patient and class"},
    {KEY("seed", "N", "pack.seed"), .help = "seed of the splits (default 0)"},
    {KEY("size", "PX", "pack.size"), .help = "height and width of packed images (default 224)"},
    {KEY("decode", "exact|fast", "pack.decode"),
     .help = "fast: scaled DCT for images much larger than packed ones (default exact)"},
    {KEY("fit", "squash|crop|pad", "pack.fit"),
     .help = "crop: keep the aspect and take the central square; pad: keep it, black beside it "
             "(default squash)"},
    {KEY("border", "keep|crop", "pack.border"),
     .help = "crop: cut uniform black or white borders first (default keep)"},
    {KEY("on-bad", "skip|fail", "pack.on_bad"),
     .help = "what a file that cannot be used does (default skip)"},
    {KEY("allow-leaks", NULL, "pack.leaks"), .key_value = "allow",
     .help = "pack although a picture or patient is in more than one given split"},
    {KEY("drop-leaks", NULL, "pack.leaks"), .key_value = "drop",
     .help =
         "leave images of train out whose picture or patient is in val or test too (and of val, "
         "in test)"},
    {KEY("patients-unknown", NULL, "pack.patients_unknown"), .key_value = "true",
     .help = "split although names tell no patient, as if each file were one"},
    {TEXT("like", "RUN"), INTO(like),
     .help = "pack to evaluate RUN: all images are the test split; classes, size, fit and decoding "
             "are the model's, and one class is enough"},
    {FLAG("verify"), INTO(verify),
     .help = "check every digest of DEST again instead of packing; status 65 names what differs"},
    {TEXT("source", "SOURCE"), INTO(source),
     .help = "with --verify: check the source files as well"},
    {FLAG("who"), INTO(who),
     .help = "say who is who in DEST, whose names are pseudonyms, as CSV: takes their key, SOURCE "
             "and the options of the pack"},
    {THREADS(0), .help = "threads per rank (default: the CPUs given)"},
    {FLAG("update"), INTO(update),
     .help = "add files that are new in SOURCE to the pack in DEST; what is packed stays in its "
             "split"},
    {OVERWRITE, .help = "replace a pack of other files or options in DEST"},
    {0},
};

static const command_option preview_options[] = {
    {OUT("FILE"), .initial_text = "preview.png", .help = "the sheet, a PNG (default preview.png)"},
    {SPLIT, .initial_text = "train", .help = "which split (default train)"},
    {NUMBER("rows", "N", 1, 200), INTO(rows), .initial = 8,
     .help = "images, from the classes in turn (default 8)"},
    {NUMBER("views", "N", 0, 50), INTO(views), .initial = 6,
     .help = "augmented views of each: those of the first epochs (default 6)"},
    {0},
};

static const command_option train_options[] = {
    {OVERWRITE, .help = "start anew in a run directory that holds a run"},
    {WEIGHTS, .help = "VGG16 convolutions"},
    {0},
};

static const command_option reproduce_options[] = {
    {NUMBER("epochs", "N", 1, 100000), INTO(epochs),
     .help = "the first N epochs alone (default: all that RUN has)"},
    {KEY("data", "PACKED", "data.path"),
     .help = "its packed data, where they have moved; another data set is refused"},
    {KEY("weights", "FILE", "model.weights"),
     .help = "its VGG16 convolutions, where they have moved; others are refused"},
    {OUT("DIR"),
     .help = "train there and keep it; interrupted, the same command resumes (default: a scratch "
             "directory in the current one, removed at the end)"},
    {0},
};

static const command_option sweep_options[] = {
    {.name = "grid",
     .argument = "KEY=V,V,...",
     .type = OPTION_OTHER,
     .take = take_grid,
     .help = "values of a key to try, as in optim.lr=0.001,0.0001; repeatable: every combination"},
    {OVERWRITE, .help = "train anew what is finished already"},
    {.name = "part",
     .argument = "K/N",
     .type = OPTION_OTHER,
     .take = take_part,
     .help = "only every N-th trial, counted from K (0 to N - 1): for N jobs that share a sweep"},
    {NUMBER("at-once", "N", 1, INT_MAX), INTO(at_once),
     .help = "trials trained side by side, at most, the ranks divided among them (default: as many "
             "as ranks where features come from a bank, else 1)"},
    {WEIGHTS, .help = "VGG16 convolutions"},
    {0},
};

static const command_option evaluate_options[] = {
    {DATA, .required = true, .help = "packed directory"},
    {SPLIT, .initial_text = "test", .help = "which split (default test)"},
    {ONE_OF("overlap", "refuse|allow"), INTO(overlap), .initial_text = "refuse",
     .help =
         "what more than 1 % of images or patients do that the run was made of (default refuse)"},
    {FLAG("recalibrate"), INTO(recalibrate),
     .help = "show what the probabilities would be worth with intercept and slope fitted to these "
             "images, cross-fitted by patient"},
    {WEIGHTS, .help = "VGG16 convolutions"},
    {OUT("DIR"), .help = "write results.h5, predictions.csv and report.html there"},
    {BY, .help = "figures of groups: by columns that pack.keep kept, format, numbers cut as in "
                 "Sex,Age:18:65"},
    {THREADS(0), .help = "compute threads per rank (default: the CPUs given)"},
    {0},
};

static const command_option compare_options[] = {
    {FORMAT("text|json"), .initial_text = "text",
     .help = "of what stands on stdout (default text)"},
    {TEXT("margin", "M"), INTO(margin),
     .help = "also say whether a model is worse than another by less than M, as in 0.05"},
    {TEXT("class", "NAME"), INTO(class_name),
     .help = "the finding (default: the one that the inputs name)"},
    {TEXT("threshold", "P"), INTO(threshold),
     .help = "call the finding from probability P on, in all (default: each one's own, else 0.5)"},
    {SPLIT, .help = "which split (default: test, else the one there is)"},
    {OUT("DIR"), .help = "write compare.html, compare.json, differences.csv, missing.csv there"},
    {0},
};

static const command_option predict_options[] = {
    {FORMAT("csv|json"), .initial_text = "csv", .help = "of the lines on stdout (default csv)"},
    {WEIGHTS, .help = "VGG16 convolutions"},
    {THREADS(0), .help = "compute threads (default: the CPUs given)"},
    {0},
};

static const command_option explain_options[] = {
    {OUT("DIR"), .required = true, .help = "where the overlays NAME.png and maps.h5 go"},
    {TEXT("class", "NAME"), INTO(class_name),
     .help = "class to explain (default: of each image the predicted one)"},
    {WEIGHTS, .help = "VGG16 convolutions"},
    {THREADS(0), .help = "compute threads (default: the CPUs given)"},
    {0},
};

static const command_option export_options[] = {
    {FORMAT("onnx|safetensors"), .required = true,
     .help = "onnx: convolutions, head and softmax, any batch; safetensors: torchvision's names"},
    {OUT("FILE"), .required = true, .help = "the file; it appears whole or not at all"},
    {FLAG("with-normalization"), INTO(with_normalization),
     .help = "onnx: the input is RGB in 0..1, normalised inside"},
    {WEIGHTS, .help = "VGG16 convolutions"},
    {0},
};

static const command_option report_options[] = {
    {DATA, .help = "packed directory, for thumbnails (default: the one that the results name)"},
    {WEIGHTS, .help = "VGG16 convolutions, for Grad-CAM"},
    {FLAG("no-overlays"), INTO(no_overlays), .help = "thumbnails without Grad-CAM"},
    {FLAG("share"), INTO(share),
     .help = "a page without paths and pictures, to give away: share.html"},
    {BY, .help = "figures of groups, as in evaluate (default: as it was evaluated)"},
    {OUT("FILE"), .help = "the page (default RUN/report.html); with --scores a directory"},
    {TEXT("scores", "FILE"), INTO(scores),
     .help = "a CSV of any program's scores in place of RUN: path, label, p_CLASS, patient, more"},
    {SPLIT, .help = "with --scores: which split (default: test, where the file tells splits)"},
    {TEXT("class", "NAME"), INTO(class_name),
     .help = "with --scores: the finding (default: as the file or the names tell)"},
    {TEXT("threshold", "P"), INTO(called_from),
     .help = "with --scores: from which probability on (default: the file's, else 0.5)"},
    {THREADS(0), .help = "compute threads (default: the CPUs given)"},
    {0},
};

static const command_option bench_options[] = {
    {THREADS(1), .only = "conv|pack|train|step|report",
     .help = "conv, pack, train, step, report: threads per rank (default: the CPUs given, divided "
             "among the ranks)"},
    {NUMBER("batch", "N", 1, 4096), INTO(batch), .only = "conv|train|step",
     .help = "conv: images per batch (default 16); step, train: over all ranks (default 16; train: "
             "as configured)"},
    {NUMBER("size", "PX", 32, 4096), INTO(size_px), .initial = 224,
     .only = "conv|pack|train|step|report",
     .help = "conv, pack, step, report: height and width; train: of demo images (default 224)"},
    {NUMBER("seconds", "N", 1, 3600), INTO(seconds), .initial = 5,
     .only = "conv|pack|train|step|report",
     .help = "conv, pack, train, step: how long; report: each of its parts (default 5)"},
    {FLAG("layers"), INTO(layers), .only = "conv",
     .help = "conv: a table with each layer's time, rate and part of the peak"},
    {WEIGHTS, .only = "conv|train|step|report",
     .help = "conv, report: convolutions (default: random ones of the same shape); train, step: "
             "default as in training"},
    {TEXT("input", "FILE"), INTO(input), .only = "conv",
     .help = "conv: a batch of normalised images, raw float32 (batch, 3, size, size)"},
    {TEXT("dump", "FILE"), INTO(dump), .only = "conv",
     .help = "conv: write the batch's features, raw float32, to compare with another program"},
    {TEXT("source", "DIR"), INTO(source), .only = "pack",
     .help = "pack: class folders of images (default: demo images, drawn first)"},
    {ONE_OF("decode", "exact|fast"), INTO(decode), .initial_text = "exact", .only = "pack",
     .help = "pack: how (default exact)"},
    {KEY("data", "PACKED", "data.path"), .only = "train",
     .help = "train: packed directory (default: demo images, drawn and packed first); settings by "
             "-c and --set"},
    {LARGE("elements", "N", 1, 1L << 40), INTO(elements), .initial = 6423298, .only = "allreduce",
     .help = "allreduce: parameters summed (default 6423298, the default head's)"},
    {TEXT("against", "FILE"), INTO(against), .only = "report",
     .help = "report: what an earlier report printed; the table gets ratios to it"},
    {0},
};

static const command_option demo_options[] = {
    {LARGE("seed", "N", 0, 4294967295), INTO(seed), .help = "one seed, one data set (default 0)"},
    {NUMBER("train", "N", 2, 1000000), INTO(images[0]), .initial = -1,
     .help = "images of train, both classes together"},
    {NUMBER("val", "N", 0, 1000000), INTO(images[1]), .initial = -1, .help = "images of val"},
    {NUMBER("test", "N", 0, 1000000), INTO(images[2]), .initial = -1, .help = "images of test"},
    {THREADS(0), .help = "threads (default: the CPUs given)"},
    {0},
};

/* ---- commands ---- */

static const command_option watch_options[] = {
    {FLAG("once"), INTO(once), .help = "say it once on a terminal, too"},
    {0},
};

static const command_option inspect_options[] = {
    {.name = "all",
     .type = OPTION_FLAG,
     .field = offsetof(arguments, all),
     .help = "of a directory: everything that its results.h5 or manifest.h5 holds"},
    {0},
};

const command commands[] = {
    {.name = "pack",
     .summary = "class folders of images into sharded HDF5",
     .usage = "SOURCE DEST\n--verify DEST\n--who SOURCE DEST",
     .description =
         "Class folders of images (JPEG, PNG; known by their first bytes) into sharded HDF5, split "
         "by patient. SOURCE is train/ val/ test/ with class folders, or class folders alone. One "
         "picture or one patient in several given splits is an error that names the ways out. With "
         "--like RUN all of SOURCE becomes a test split for RUN. Also under mpirun. Interrupted, "
         "the same command resumes.",
     .options = pack_options,
     .keys = "pack.*",
     .operands_most = 2,
     .starts_mpi = true,
     .check = check_pack,
     .load = load_pack,
     .run = run_pack},
    {.name = "audit",
     .summary = "patients, duplicates and leaks of a source of images, without packing it",
     .usage = "SOURCE",
     .description =
         "What pack would find in SOURCE, on stdout: images of each class and split, patients, "
         "files that cannot be used, equal and nearly equal pictures, patients and pictures in "
         "several splits, and what pack would refuse. It reads what pack reads (class folders, "
         "tables), by the same keys, and writes nothing; decoded pixels lie in TMPDIR meanwhile, "
         "50 KB an image. Exit status 0 also where there are findings, unless --strict is given.",
     .options = audit_options,
     .keys = "pack.*",
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "SOURCE is needed",
     .operands_hint = "one source at a time",
     .starts_mpi = true,
     .load = load_pack,
     .run = run_source_audit},
    {.name = "preview",
     .summary = "a contact sheet of packed images and what training sees of them",
     .usage = "PACKED",
     .description = "A contact sheet of packed images and what training sees of them.",
     .options = preview_options,
     .keys = "augment.*|train.seed",
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "a packed directory is needed",
     .operands_hint = "one packed directory at a time",
     .run = run_preview},
    {.name = "train",
     .summary = "train the head, and as many blocks as you say, also under mpirun or srun",
     .usage = "-c FILE",
     .description =
         "Trains on packed data: the head alone, or with it the convolutions down to "
         "model.trainable. Under mpirun or srun, on all ranks; the trained model is the same to "
         "the last bit for any number of them. A run directory with a checkpoint is resumed.",
     .options = train_options,
     .keys = KEYS_OF_TRAINING,
     .operands_hint = "settings are given with --set KEY=VALUE",
     .starts_mpi = true,
     .load = load_train,
     .run = run_train},
    {.name = "reproduce",
     .summary = "train a run again, and compare every tensor after every epoch",
     .usage = "RUN",
     .description =
         "Trains RUN again from what its results.h5 says of it: settings, seed, digests of data "
         "and weights. After every epoch the digest of each trained tensor and the history are "
         "compared, at the end the head's digest and the scores. The last line of stdout says what "
         "was reproduced; else the error names the first epoch and tensor that differ, and the "
         "status is 65. Other data or weights, and a run of another arithmetic, are refused before "
         "anything is trained, status 2. Nothing is written to RUN. Under mpirun or srun, on any "
         "number of ranks.",
     .options = reproduce_options,
     .keys = KEYS_OF_PLACES,
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "RUN is needed",
     .operands_hint = "one run at a time",
     .starts_mpi = true,
     .load = load_train,
     .run = run_reproduce},
    {.name = "sweep",
     .summary = "train every combination of some settings, and one table of the results",
     .usage = "-c FILE",
     .description =
         "Trains every combination of some keys' values, each in a run directory of its own below "
         "train.run_dir, and writes one table, best on val first: sweep.csv and stdout. With "
         "train.seed as a key also means and spreads over seeds; with data.fold, on a pack "
         "with pack.folds, cross-validation: all folds' test images as one set, in folds/ and "
         "cross_validation.csv. A value that the data refuse is an error before the first trial. "
         "What is finished is kept when the command is given again; a "
         "trial that fails is reported and the others are trained all the same. With "
         "train.features=bank the trials share one feature bank, built by all ranks "
         "in the first of them. Under mpirun or srun.",
     .options = sweep_options,
     .keys = KEYS_OF_TRAINING,
     .ending = "In the file the grid is a section:\n"
               "  sweep:\n"
               "    optim.lr: [0.001, 0.0001]\n"
               "    model.hidden: [[256], []]\n"
               "    train.seed: [0, 1, 2]\n\n"
               "Where trials failed, the exit status is the first one's.\n",
     .operands_hint = "values are given with --grid KEY=VALUE,VALUE",
     .starts_mpi = true,
     .load = load_sweep,
     .run = run_sweep},
    {.name = "evaluate",
     .summary = "metrics of a trained model on a packed split",
     .usage = "RUN... --data PACKED",
     .description =
         "Metrics of a trained model on a packed split, on stdout. RUN is a run directory or a "
         "model.h5; of several, the probabilities (and thresholds) are averaged. --set "
         "eval.threshold=NUMBER decides by another threshold than the model's, --set eval.tta=K "
         "averages K views of each image, drawn from the augmentation that the model was trained "
         "with, --set eval.crops=ten ten fixed ones.",
     .options = evaluate_options,
     .keys = KEYS_OF_USE "|eval.audit",
     .operands_least = 1,
     .operands_most = OPERANDS_ANY,
     .operands_needed = "RUN and --data PACKED are needed",
     .starts_mpi = true,
     .run = run_evaluate},
    {.name = "compare",
     .summary = "two or more models on the same images: differences with intervals",
     .usage = "A B...",
     .description =
         "Compares models on the images that all have scores of: AUC, sensitivity, specificity and "
         "accuracy, the difference of each pair with its 95 % interval and p value (by patient "
         "where patients have several images), McNemar's exact test, and the images that one alone "
         "gets right. A, B, ... are run directories, what evaluate wrote with --out, or CSV files "
         "of any program's scores: columns path, label, p_CLASS for each class, and patient where "
         "it is known. Images are matched by path; those that not all have are named.",
     .options = compare_options,
     .keys = "",
     .operands_least = 2,
     .operands_most = OPERANDS_ANY,
     .operands_needed = "two models are needed: runs, evaluations or CSV files of scores",
     .run = run_compare},
    {.name = "predict",
     .summary = "class and probability of single images",
     .usage = "RUN IMAGE-or-DIR...",
     .description =
         "Class and probabilities of each image, one line each on stdout. Directories are searched "
         "for images; - reads a list of files from stdin, one per line or NUL-ended (find "
         "-print0). "
         "Of two classes an image is called the finding (positive_class) from the probability "
         "`threshold` on, which `rule` chose; each line names them. --set eval.threshold=NUMBER "
         "and --set eval.tta=K as in evaluate. Exit status 65 if a file could not be used.",
     .options = predict_options,
     .keys = KEYS_OF_USE "|" KEYS_OF_FILES,
     .operands_least = 2,
     .operands_most = OPERANDS_ANY,
     .operands_needed = "RUN and at least one image, directory or - are needed",
     .starts_mpi = true,
     .run = run_predict},
    {.name = "explain",
     .summary = "where the model looks: Grad-CAM over single images",
     .usage = "RUN IMAGE-or-DIR... --out DIR",
     .description =
         "Where the model looks: Grad-CAM (Selvaraju et al. 2017) at the last convolution, in "
         "colour over each image, and the maps themselves in maps.h5. One CSV line per image on "
         "stdout. Directories are searched for images; - reads a list of files from stdin, one per "
         "line or NUL-ended (find -print0). Exit status 65 if a file could not be used.",
     .options = explain_options,
     .keys = KEYS_OF_LOOK "|" KEYS_OF_FILES,
     .operands_least = 2,
     .operands_most = OPERANDS_ANY,
     .operands_needed = "RUN and at least one image, directory or - are needed",
     .run = run_explain},
    {.name = "export",
     .summary = "the whole model as ONNX or safetensors",
     .usage = "RUN --format onnx|safetensors --out FILE",
     .description =
         "Writes the whole model, convolutions and head, for other programs. What they need to "
         "know besides (classes, threshold, preprocessing, where it comes from) is in the file's "
         "metadata.",
     .options = export_options,
     .keys = "model.weights",
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "RUN, --format and --out FILE are needed",
     .operands_hint = "one run at a time",
     .check = check_export,
     .run = run_export},
    {.name = "weights",
     .summary = "fetch: gets VGG16's weights; check: which VGG16 a file of weights is",
     .usage = "fetch [FILE]|check [FILE]",
     .description =
         "fetch: gets the convolutions that torchvision publishes, once, into the user's cache or "
         "FILE; it needs network and Python's pip. check: says what a file of VGG16 weights is: "
         "format, names, preprocessing, layers, digests, and "
         "the result of a known-answer pass. Without FILE: the one that train would take. Formats: "
         "safetensors (torchvision's and timm's names), PyTorch's .pth, Keras' .h5, ONNX. Exit "
         "status 65 if train would refuse it.",
     .keys = "model.*",
     .actions = "fetch|check",
     .operands_least = 1,
     .operands_most = 2,
     .operands_needed = "an action is needed: fetch or check",
     .operands_hint = "one file at a time",
     .run = run_weights},
    {.name = "report",
     .summary = "one page about a run, and its model card",
     .usage = "RUN\n--scores FILE --out DIR",
     .description =
         "One page about a run, report.html, and MODEL_CARD.md, from its results.h5. RUN is a run "
         "directory or what evaluate wrote with --out. With --scores, the page is about the scores "
         "of any network and program: a CSV with the columns path, label, p_CLASS for each class, "
         "and patient and columns to group by where they are known. The page needs no network and "
         "nothing beside it.",
     .options = report_options,
     .keys = KEYS_OF_LOOK,
     .operands_most = 1,
     .operands_hint = "one run at a time",
     .check = check_report,
     .run = run_report},
    {.name = "inspect",
     .summary = "a run or a packed data set in a few lines; all that a file of pulmo's holds",
     .usage = "RUN|PACKED|FILE",
     .description =
         "A run or a packed data set: what it is, of which images, and the result, in a few lines; "
         "with --all everything that results.h5 or the manifest holds. Any other file of pulmo's: "
         "everything that it holds.",
     .options = inspect_options,
     .keys = "",
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "a run, a packed data set or a file is needed",
     .operands_hint = "one at a time",
     .run = run_inspect},
    {.name = "watch",
     .summary = "how a run stands: epoch, rate, time left, val after each epoch",
     .usage = "RUN",
     .description =
         "Reads events.jsonl of a run directory, from any machine that sees it, and says how the "
         "run stands. On a terminal it is drawn again each second until the run ends or Ctrl-C.",
     .options = watch_options,
     .keys = "",
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "a run directory is needed",
     .operands_hint = "one at a time",
     .run = run_watch},
    {.name = "verify",
     .summary = "whether a file, a run or a packed data set is what was written",
     .usage = "FILE|RUN|PACKED",
     .description =
         "Compares a file of pulmo's, or every .h5 of a directory, with the digests in it: every "
         "dataset, attribute and image; of a packed data set also the pixels with the manifest's "
         "digests. Standard output names what differs, and the status is 65 then. Files of "
         "releases "
         "before there were digests are named too.",
     .keys = "",
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "a file, a run or a packed data set is needed",
     .operands_hint = "one at a time",
     .run = run_verify},
    {.name = "bench",
     .summary = "throughput of the parts: conv, pack, train, step, allreduce; report: all of it",
     .usage = "conv|pack|train|step|allreduce|report",
     .description =
         "Throughput, also under mpirun; the last line of stdout is one JSON object. conv: the "
         "frozen convolutions on batches in memory. pack: all of packing, again and again. train: "
         "training as -c and --set say, without validation. step: whole training steps on random "
         "images, by turns with gradients as training sends them and with integer sums always. "
         "allreduce: the sum of a gradient over the ranks, as integers and as floats, in bytes and "
         "seconds. report: a table of this machine, by one process, without data or weights, in "
         "about two minutes. Configuration keys are for train alone.",
     .options = bench_options,
     .keys = KEYS_OF_TRAINING,
     .actions = "conv|pack|train|step|allreduce|report",
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "which benchmark: conv, pack, train, step, allreduce or report",
     .operands_hint = "one benchmark at a time",
     .starts_mpi = true,
     .load = load_bench,
     .run = run_bench},
    {.name = "configs",
     .summary = "the configurations that came with the program",
     .usage = "[NAME]",
     .description =
         "Without NAME: the configurations that came with the program, a line each. "
         "With NAME: that one, as YAML, to be read or changed. -c NAME takes it as it is.",
     .keys = "",
     .operands_most = 1,
     .operands_hint = "one configuration at a time",
     .run = run_configs},
    {.name = "quickstart",
     .summary = "from images to a trained model and its report, with one command",
     .usage = "[SOURCE] [-- OPTIONS]",
     .description =
         "Fetches the weights, packs SOURCE (class folders of images, or what pack wrote; without "
         "it: demo images, drawn first), trains on all cores with mpirun, and ends with the test "
         "result. Writes below runs/ or $PULMO_RUNS. What is there already is kept; "
         "interrupted, it resumes. OPTIONS are pack's and train's.",
     .keys = "",
     .operands_most = OPERANDS_ANY,
     .run = run_quickstart},
    {.name = "demo-data",
     .summary = "draw a chest-X-ray-like data set",
     .usage = "DEST",
     .description =
         "Draws chest-X-ray-like phantoms as JPEGs: train/ val/ test/ with NORMAL/ and PNEUMONIA/. "
         "They are drawings, not medical images.",
     .options = demo_options,
     .keys = "",
     .operands_least = 1,
     .operands_most = 1,
     .operands_needed = "a destination directory is needed",
     .operands_hint = "one destination at a time",
     .run = run_demo},
    {0},
};
