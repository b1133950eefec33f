#!/usr/bin/env python3
"""External validation on real films, with leaks put in: what evaluate finds, and whether figures stay.

external.py PULMO SOURCE [--size 64] [--leaked 20] [--form png|jpeg] [--epochs 2]

Trains on the odd patients of SOURCE (class folders of the Kermany set) and takes the even ones for another hospital's:
saved again as PNG, or JPEG of quality 100, in folders of other names, together with the images of --leaked patients of
train. `pulmo pack --like` and `pulmo evaluate` must name every leaked image and nothing else, and refuse. Without the
images that they name, scores and figures must be those of the run's own test split, which has the same even patients:
with PNG to the last bit. Exit status 1 where they are not. Needs Pillow; weights by PULMO_WEIGHTS.
"""
import argparse
import csv
import pathlib
import re
import subprocess
import sys
import tempfile

from PIL import Image

EVEN = r"(person[0-9]*[02468]_|IM-[0-9]*[02468]-)"
NAMES = {"NORMAL": "Healthy", "PNEUMONIA": "Opacity"}


def run(*words, status=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != status:
        sys.exit(f"{' '.join(map(str, words))}: status {done.returncode}, not {status}\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def patient_of(name):
    return re.search(r"person[0-9]+_[a-z]+|[^/]*IM-[0-9]+", name).group()


def save_again(source, name, folder, form):
    image = Image.open(source / name)
    kind = pathlib.PurePath(name).parent.name
    to = folder / NAMES[kind] / pathlib.PurePath(name).name
    to.parent.mkdir(parents=True, exist_ok=True)
    if form == "png":
        image.save(to.with_suffix(".png"))
    else:
        image.save(to.with_suffix(".jpg"), quality=100, subsampling=0)


def figures(text):
    """From the line of the accuracy to the confusion matrix; shortcuts are not compared."""
    return text[text.index("Total correct"):].split("Shortcut audit")[0]


def compare(direct, other):
    """The largest difference of a probability, by the file's name without its ending."""
    stem = lambda row: pathlib.PurePath(row["path"]).stem
    there = {stem(row): row for row in other}
    ours = {stem(row): row for row in direct}
    if set(there) != set(ours):
        sys.exit(f"{len(set(there) ^ set(ours))} images are in one of the two evaluations alone")
    return max(abs(float(ours[name]["p_PNEUMONIA"]) - float(there[name]["p_PNEUMONIA"])) for name in ours)


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("pulmo")
    words.add_argument("source", type=pathlib.Path)
    words.add_argument("--size", default=64)
    words.add_argument("--leaked", type=int, default=20)
    words.add_argument("--form", choices=("png", "jpeg"), default="png")
    words.add_argument("--epochs", default=2)
    asked = words.parse_args()
    pulmo = asked.pulmo
    with tempfile.TemporaryDirectory() as scratch:
        at = pathlib.Path(scratch)
        packed, trained, there, like = at / "packed", at / "run", at / "hospital", at / "like"
        run(pulmo, "pack", asked.source, packed, "--size", asked.size, "--val-fraction", "0.15", "--drop-leaks",
            "--set", f"pack.test_pattern={EVEN}", "-q")
        run(pulmo, "train", "--set", f"data.path={packed}", "--set", f"train.run_dir={trained}", "--set",
            f"train.epochs={asked.epochs}", "--set", "eval.audit=false", "-q")
        direct, _ = run(pulmo, "evaluate", trained, "--data", packed, "--out", at / "direct", "--set", "eval.audit=false", "-q")
        seen = [row["path"] for row in rows(trained / "predictions.csv") if row["split"] == "val"]
        judged = [row["path"] for row in rows(at / "direct" / "predictions.csv")]
        every = [str(path.relative_to(asked.source)) for path in asked.source.rglob("*.jpeg")]
        train = sorted(set(every) - set(judged) - set(seen))
        patients = sorted({patient_of(name) for name in train})[:: max(1, len({patient_of(name) for name in train}) // asked.leaked)]
        leaked = [name for name in train if patient_of(name) in patients[: asked.leaked]]
        for name in judged + leaked:
            save_again(asked.source, name, there, asked.form)
        # the packed data of the run is not needed
        packed.rename(at / "elsewhere")
        labels = "pack.label_map=Healthy: NORMAL, Opacity: PNEUMONIA"
        run(pulmo, "pack", there, like, "--like", trained, "--set", labels, "-q")
        _, said = run(pulmo, "evaluate", trained, "--data", like, "--out", at / "refused", "--set", "eval.audit=false", status=65)
        named = {pathlib.PurePath(row["path"]).stem for row in rows(at / "refused" / "overlap.csv")}
        wanted = {pathlib.PurePath(name).stem for name in leaked}
        ways = {}
        for row in rows(at / "refused" / "overlap.csv"):
            ways[row["how"]] = ways.get(row["how"], 0) + 1
        print(f"{len(train)} images trained on, {len(judged)} of other patients judged; {len(leaked)} images of {asked.leaked} patients leaked")
        print(f"named: {len(named & wanted)} of {len(wanted)} leaked images, {len(named - wanted)} others; by {ways}")
        print(next(line for line in said.splitlines() if "is refused" in line))
        for path in list(there.rglob("*.*")):
            if path.stem in named:
                path.unlink()
        run(pulmo, "pack", there, at / "clean", "--like", trained, "--set", labels, "-q")
        clean, _ = run(pulmo, "evaluate", trained, "--data", at / "clean", "--out", at / "judged", "--set", "eval.audit=false", "-q")
        judged_there = rows(at / "judged" / "predictions.csv")
        worst = compare([row for row in rows(at / "direct" / "predictions.csv") if pathlib.PurePath(row["path"]).stem not in named], judged_there)
        same = figures(direct).split("Results")[0] == figures(clean).split("Results")[0]
        print(f"without them: figures {'equal' if same else 'DIFFER'}, largest difference of a probability {worst:.3g}")
        print(figures(clean).splitlines()[1])
        exact = same and worst == 0
        if named != wanted or (asked.form == "png" and not exact):
            sys.exit(1)


if __name__ == "__main__":
    main()
