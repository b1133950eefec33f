"""Small drawn images laid out as public sets, with tables as they are published, and a count of what
pulmo must make of them, by pandas (or the csv module where there is none).

    sets.py draw SET DIRECTORY          draws it
    sets.py check SET DIRECTORY PACKED  compares; exit status 1 with a line for each difference
    sets.py list
"""
import csv
import gzip
import os
import random
import sys

import h5py
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import dicoms  # pylint: disable=wrong-import-position

try:
    import pandas
except ImportError:
    pandas = None

UNKNOWN = None


# ---- drawing ----

def draw(path, rng, kind="grey"):
    """Blurred noise: no two alike. JPEG or PNG, as the name ends; PNGs also of 16 bits, or grey stored as RGBA."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    image = Image.new("L", (8, 8))
    image.putdata([rng.randrange(256) for _ in range(64)])
    image = image.resize((48, 40), Image.BICUBIC)
    if not path.endswith(".png"):
        image.save(path, format="JPEG", quality=90)
        return
    if kind == "16 bits":
        deep = Image.new("I", image.size)
        deep.putdata([257 * v + rng.randrange(-128, 129) if 0 < v < 255 else 257 * v for v in image.getdata()])
        image = deep
    image.convert(image.mode if kind != "rgba" else "RGBA").save(path, format="PNG")
    with open(path, "rb") as file:
        bits, colour = file.read(26)[24:]
    assert (bits, colour) == {"grey": (8, 0), "16 bits": (16, 0), "rgba": (8, 6)}[kind]


def write(path, rows, newline="\n", bom=False):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "wt", newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
        csv.writer(file, lineterminator=newline).writerows(rows)


def read(path):
    """A table's rows as dictionaries of text."""
    if pandas:
        return pandas.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def find(directory):
    """Every file below by its name."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            found[name] = os.path.relpath(os.path.join(folder, name), directory)
    return found


# ---- the sets: draw(), and expected() = {path: (class, patient, split, kept)} ----

FINDINGS = ["Atelectasis", "Cardiomegaly", "Effusion", "Mass", "Pneumonia"]


class Nih:
    options = []

    def draw(self, d, rng):
        header = ("Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
                  "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],").split(",")
        rows, train, test = [header], [], []
        for patient in range(1, 41):
            for follow in range(rng.randint(1, 4)):
                name = f"{patient:08d}_{follow:03d}.png"
                labels = "|".join(sorted(rng.sample(FINDINGS, rng.randint(0, 3)))) or "No Finding"
                rows.append([name, labels, follow, patient, rng.randint(1, 95), rng.choice("MF"),
                             rng.choice(["PA", "AP"]), 2682, 2749, 0.143, 0.143, ""])
                (test if patient % 4 == 0 else train).append(name)
                if rng.random() < 0.95:  # some were not downloaded
                    kind = "rgba" if rng.random() < 0.05 else "grey"  # as some are
                    draw(f"{d}/images_{patient // 10 + 1:03d}/images/{name}", rng, kind)
        draw(f"{d}/images_001/images/00009999_000.png", rng)
        write(f"{d}/Data_Entry_2017.csv", rows, "\r\n")
        for name, names in (("train_val_list.txt", train), ("test_list.txt", test)):
            with open(f"{d}/{name}", "w", encoding="utf-8") as file:
                file.write("\n".join(names))

    def expected(self, d):
        files, out = find(d), {}
        test = set(open(f"{d}/test_list.txt", encoding="utf-8").read().split())
        for row in read(f"{d}/Data_Entry_2017.csv"):
            name = row["Image Index"]
            if name in files:
                positive = "Pneumonia" in row["Finding Labels"].split("|")
                out[files[name]] = ("Pneumonia" if positive else "No Pneumonia", row["Patient ID"],
                                    "test" if name in test else "train or val",
                                    (row["Patient Age"], row["Patient Gender"], row["View Position"]))
        return out


class CheXpert:
    options = []
    columns = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding", "Enlarged Cardiomediastinum",
               "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis",
               "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices"]

    def draw(self, d, rng):
        for split, first, patients in (("train", 1, 40), ("valid", 64541, 12)):
            rows = [self.columns]
            for patient in range(first, first + patients):
                for study in range(1, rng.randint(2, 3)):
                    for view, kind in ((1, "Frontal"), (2, "Lateral"))[:rng.randint(1, 2)]:
                        path = f"{split}/patient{patient:05d}/study{study}/view{view}_{kind.lower()}.jpg"
                        values = [rng.choice(["1.0", "0.0"] if split == "valid" else ["1.0", "0.0", "-1.0", "", ""])
                                  for _ in self.columns[5:]]
                        rows.append([f"CheXpert-v1.0-small/{path}", rng.choice(["Male", "Female"]), rng.randint(18, 90),
                                     kind, "AP" if kind == "Frontal" else ""] + values)
                        if rng.random() < 0.95:
                            draw(f"{d}/{path}", rng)
            write(f"{d}/{split}.csv", rows)
        draw(f"{d}/train/patient09999/study1/view1_frontal.jpg", rng)

    def expected(self, d):
        out = {}
        for split in ("train", "valid"):
            for row in read(f"{d}/{split}.csv"):
                path = row["Path"].split("/", 1)[1]
                there = os.path.exists(f"{d}/{path}")
                if there and row["Frontal/Lateral"] == "Frontal" and row["Pneumonia"] != "-1.0":
                    out[path] = ("Pneumonia" if row["Pneumonia"] == "1.0" else "No Pneumonia", path.split("/")[1],
                                 "val" if split == "valid" else "train or test",
                                 (row["Sex"], row["Age"], row["AP/PA"]))
        return out


class Mimic:
    options = []
    version = "mimic-cxr-2.0.0"

    def draw(self, d, rng):
        splits = [["dicom_id", "study_id", "subject_id", "split"]]
        labels = [["subject_id", "study_id", "Atelectasis", "Pneumonia", "Support Devices"]]
        views = [["dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows",
                  "Columns", "StudyDate", "StudyTime", "ProcedureCodeSequence_CodeMeaning"]]
        for subject in range(10000032, 10000082):
            split = rng.choice(["train", "train", "train", "validate", "test"])
            for study in range(50000000 + 100 * (subject % 100), 50000000 + 100 * (subject % 100) + rng.randint(1, 2)):
                if rng.random() < 0.95:  # a few studies have no labels
                    labels.append([subject, study] + [rng.choice(["1.0", "0.0", "-1.0", ""]) for _ in range(3)])
                for _ in range(rng.randint(1, 2)):
                    dicom = "-".join(f"{rng.randrange(1 << 32):08x}" for _ in range(5))
                    view = rng.choice(["PA", "AP", "LATERAL", "LL", ""])
                    splits.append([dicom, study, subject, split])
                    views.append([dicom, subject, study, "CHEST (PA AND LAT)", view, 3056, 2544, 21800506, "213014.531",
                                  "CHEST (PA AND LAT)"])
                    if rng.random() < 0.95:
                        draw(f"{d}/files/p{subject // 1000000}/p{subject}/s{study}/{dicom}.jpg", rng)
        views[1:] = rng.sample(views[1:], len(views) - 1)  # in another order
        write(f"{d}/{self.version}-split.csv.gz", splits)
        write(f"{d}/{self.version}-chexpert.csv", labels)  # unpacked
        write(f"{d}/{self.version}-metadata.csv.gz", views)

    def expected(self, d):
        files, out = find(d), {}
        label = {row["study_id"]: row["Pneumonia"] for row in read(f"{d}/{self.version}-chexpert.csv")}
        view = {row["dicom_id"]: row["ViewPosition"] for row in read(f"{d}/{self.version}-metadata.csv.gz")}
        for row in read(f"{d}/{self.version}-split.csv.gz"):
            path, value = files.get(row["dicom_id"] + ".jpg"), label.get(row["study_id"])
            if path and value not in (None, "-1.0") and view[row["dicom_id"]] in ("PA", "AP"):
                out[path] = ("Pneumonia" if value == "1.0" else "No Pneumonia", row["subject_id"],
                             "val" if row["split"] == "validate" else row["split"],
                             (row["study_id"], view[row["dicom_id"]]))
        return out


class Rsna:
    options = ["--patients-unknown", "--val-fraction", "0.2"]

    def draw(self, d, rng):
        classes = [["patientId", "class"]]
        for _ in range(90):
            name = "-".join(f"{rng.randrange(1 << 4 * n):0{n}x}" for n in (8, 4, 4, 4, 12))
            kind = rng.choice(["Lung Opacity", "Normal", "No Lung Opacity / Not Normal"])
            classes += [[name, kind]] * (2 if kind == "Lung Opacity" else 1)  # a row for each box
            self.draw_film(f"{d}/stage_2_train_images/{name}.dcm", name, rng)
        write(f"{d}/stage_2_detailed_class_info.csv", classes)

    def draw_film(self, path, name, rng):
        """8 bits in JPEG baseline; each image has a PatientID of its own, which is its name."""
        draw(path, rng)
        with open(path, "rb") as file:
            frame = file.read()
        extra = [(0x00101010, "AS", self.age(name)), (0x00100040, "CS", self.sex(name)),
                 (0x00185101, "CS", "AP" if name < "8" else "PA")]
        dicoms.save(path, dicoms.dicom(None, 40, 48, bits=8, allocated=8, modality="CR", patient=name, extra=extra,
                                       transfer=dicoms.BASELINE, frame=frame))

    @staticmethod
    def age(name):
        return f"{int(name[:2], 16) % 90:02d}"

    @staticmethod
    def sex(name):
        return "FM"[int(name[3], 16) % 2]

    def expected(self, d):
        names = {"Lung Opacity": "PNEUMONIA", "Normal": "NORMAL"}
        return {f"stage_2_train_images/{row['patientId']}.dcm":
                (names[row["class"]], UNKNOWN, "train or val", self.kept(row["patientId"]))
                for row in read(f"{d}/stage_2_detailed_class_info.csv") if row["class"] in names}


    def kept(self, name):
        return self.age(name), self.sex(name), "AP" if name < "8" else "PA"


class PadChest:
    options = []
    table = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"

    def draw(self, d, rng):
        rows = [["", "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth",
                 "PatientSex_DICOM", "ViewPosition_DICOM", "Projection", "MethodProjection", "Pediatric", "ReportID",
                 "Report", "MethodLabel", "Labels", "Localizations", "LabelsLocalizationsBySentence", "labelCUIS",
                 "LocalizationsCUIS"]]
        words = ["pneumonia", " pleural effusion", "chronic changes", "nodule", "normal"]
        for patient in range(60):
            for image in range(rng.randint(1, 3)):
                name = f"2168401113669640129899266735120111014{patient:05d}_{image:02d}-163-{rng.randrange(1000):03d}.png"
                labels = rng.choice([rng.sample(words, rng.randint(1, 3)), ["pneumonia"], ["exclude"], ["unchanged"], None])
                folder = patient % 3
                rows.append([len(rows), name, folder, 20140915, 20140915 + image, f"{patient:026d}", 1930 + patient % 60,
                             rng.choice("MF"), "POSTEROANTERIOR", rng.choice(["PA", "L", "AP", "AP_horizontal", "COSTAL"]),
                             "Manual review of DICOM fields", rng.choice(["No", "No", "No", "PED"]), 4765777,
                             'sin hallazgos "patológicos", \nsin cambios .', rng.choice(["Physician", "RNN_model"]),
                             str(labels) if labels else "", "['loc right']", "[['normal']]", "['C0205307']", "[]"])
                if rng.random() < 0.95:
                    draw(f"{d}/{folder}/{name}", rng, "16 bits")
        write(f"{d}/{self.table}", rows)

    def expected(self, d):
        files, out = find(d), {}
        for row in read(f"{d}/{self.table}"):
            labels = [label.strip(" '") for label in row["Labels"].strip("[]").split(",")]
            taken = row["Projection"] in ("PA", "AP", "AP_horizontal") and row["Pediatric"] == "No"
            if row["ImageID"] in files and taken and row["Labels"] and not {"exclude", "unchanged"} & set(labels):
                out[files[row["ImageID"]]] = ("pneumonia" if "pneumonia" in labels else "No pneumonia", row["PatientID"],
                                              "train, val or test",
                                              (row["PatientSex_DICOM"], row["PatientBirth"], row["Projection"],
                                               row["MethodLabel"]))
        return out


class Kermany:
    options = []

    def draw(self, d, rng):
        number = 1000000
        for split, patients in (("train", 30), ("test", 12)):
            for patient in range(patients):
                number += rng.randint(1, 999)
                kind = ("NORMAL", "BACTERIA", "VIRUS")[patient % 3]
                for image in range(1, rng.randint(2, 4)):
                    folder = "NORMAL" if kind == "NORMAL" else "PNEUMONIA"
                    draw(f"{d}/{split}/{folder}/{kind}-{number}-{image:04d}.jpeg", rng)

    def expected(self, d):
        out = {}
        for name, path in find(d).items():
            split, folder, _ = path.split("/")
            out[path] = (folder, name.split("-")[1], "test" if split == "test" else "train or val", ())
        return out


class Covid:
    options = ["--patients-unknown", "--val-fraction", "0.2", "--test-fraction", "0.2"]
    classes = {"COVID": "COVID", "Lung_Opacity": "LUNG_OPACITY", "Normal": "NORMAL",
               "Viral Pneumonia": "VIRAL_PNEUMONIA"}

    def draw(self, d, rng):
        for folder in self.classes:
            for image in range(1, rng.randint(16, 24)):
                draw(f"{d}/{folder}/images/{folder}-{image}.png", rng)
                draw(f"{d}/{folder}/masks/{folder}-{image}.png", rng)
            with open(f"{d}/{folder}.metadata.xlsx", "wb") as file:
                file.write(b"PK\3\4")
        with open(f"{d}/README.md.txt", "w", encoding="utf-8") as file:
            file.write("COVID-19 CHEST X-RAY DATABASE\n")

    def expected(self, d):
        out = {}
        for folder, name in self.classes.items():
            for file in os.listdir(f"{d}/{folder}/images"):
                out[f"{folder}/images/{file}"] = (name, UNKNOWN, "train, val or test", ())
        return out


SETS = {"nih-chestxray14": Nih, "chexpert": CheXpert, "mimic-cxr-jpg": Mimic, "rsna-pneumonia": Rsna,
        "padchest": PadChest, "kermany-v3": Kermany, "covid-19-radiography": Covid}


# ---- what pulmo made of it ----

def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def packed(path):
    """{path: (class, patient, split, kept)} of a manifest."""
    out = {}
    with h5py.File(f"{path}/manifest.h5") as manifest:
        classes = [text(c) for c in manifest.attrs["classes"]]
        for split, group in manifest["splits"].items():
            columns = [[text(v) for v in group[f"kept/{i}"]] for i in range(len(group["kept"]))] if "kept" in group else []
            for i, name in enumerate(group["paths"]):
                out[text(name)] = (classes[group["labels"][i]], text(group["groups"][i]), split,
                                   tuple(column[i] for column in columns))
    return out


def check(expected, found):
    wrong = [f"{path}: is packed and should not be" for path in sorted(found.keys() - expected.keys())]
    wrong += [f"{path}: is not packed" for path in sorted(expected.keys() - found.keys())]
    for path in sorted(found.keys() & expected.keys()):
        label, patient, split, kept = expected[path]
        got_label, got_patient, got_split, got_kept = found[path]
        if got_label != label:
            wrong.append(f"{path}: class {got_label}, not {label}")
        if patient is not UNKNOWN and got_patient != patient:
            wrong.append(f"{path}: patient {got_patient}, not {patient}")
        if got_split not in split.replace(",", " ").split():
            wrong.append(f"{path}: split {got_split}, not {split}")
        if got_kept != kept:
            wrong.append(f"{path}: kept {got_kept}, not {kept}")
    splits = {}
    for path, (_, patient, split, _) in found.items():
        splits.setdefault(patient, set()).add(split)
    torn = [patient for patient, where in splits.items() if len(where) > 1]
    if torn:
        wrong.append(f"{len(torn)} patients in several splits: {torn[:3]}")
    return wrong


def main():
    if sys.argv[1] == "list":
        for name, kind in SETS.items():
            print(name, *kind.options)
        return 0
    kind, directory = SETS[sys.argv[2]](), sys.argv[3]
    if sys.argv[1] == "draw":
        os.makedirs(directory)
        kind.draw(directory, random.Random(sys.argv[2]))
        return 0
    expected, found = kind.expected(directory), packed(sys.argv[4])
    wrong = check(expected, found)
    print("\n".join(wrong[:20]))
    counts = {}
    for label, _, _, _ in expected.values():
        counts[label] = counts.get(label, 0) + 1
    print(f"{len(expected)} images,", ", ".join(f"{k} {v}" for k, v in sorted(counts.items())),
          "by pandas" if pandas else "by the csv module")
    return 1 if wrong or not expected else 0


sys.exit(main())
