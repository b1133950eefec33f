#!/usr/bin/env python3
"""docs/explanation/accuracy.md's table: every recipe of recipes/, trained with several seeds on every validation that shows a shift.

    study.py SOURCE WORK [--recipes head,block4-framed] [--validations family,kind,random] [--seeds 1,2,3] [--every 6] [--print]

SOURCE/{NORMAL,PNEUMONIA} are the training images of the Kermany set. What WORK holds already is not made again; an
interrupted study resumes where it was. --print only prints what there is. Needs pulmo ($PULMO or build/release/bin/pulmo),
h5py, numpy, Pillow. Metrics are computed here, from the scores in results.h5, not by pulmo.

  family  training sees normal chests named IM-... alone; the test split has those named NORMAL2-IM-... and a fifth of the patients
  kind    training sees bacterial pneumonia alone; the test split has the viral one and a fifth of the normal chests
  random  15 % of the patients, as a split without a shift
  re-exposed, reshaped (of family's test images, every N-th): the means over the changes of reexpose.py
  closer normals (of the same): normal chests framed closer, beside those with pneumonia as they are
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

import h5py
import numpy as np

import thresholds

HERE = pathlib.Path(__file__).resolve().parent
PULMO = os.environ.get("PULMO", str(HERE.parents[1] / "build/release/bin/pulmo"))
PACKING = {
    "family": ["--set", "pack.val_fraction=0.1"],
    "kind": ["--set", "pack.val_fraction=0.1", "--set", "pack.test_pattern=_virus_|IM-[0-9]*[05]-"],
    "random": ["--set", "pack.val_fraction=0.15", "--set", "pack.test_fraction=0.15"],
}
RESHAPED = ("wide", "upright")  # the other changes of reexpose.py leave an image's shape
CLOSER = ("wide", "zoomed")     # normal chests framed as closely as those with pneumonia are


def pulmo(*arguments):
    subprocess.run([PULMO, *map(str, arguments)], check=True)


def named(validation, size):
    """A pack's directory; size is in the name where it is not the usual one."""
    return validation if size == 224 else f"{validation}-{size}"


def packed(source, work, validation, size=224):
    to = work / "packed" / named(validation, size)
    if not (to / "manifest.h5").exists():
        if validation == "family":
            family = work / "family"
            subprocess.run([sys.executable, HERE / "splits.py", source, family], check=True)
            source = family
        to.parent.mkdir(parents=True, exist_ok=True)
        pulmo("pack", source, to, f"--size={size}", *PACKING[validation])
    return to


def train(recipe, data, run, seed):
    if (run / "report.html").exists():
        return
    began = time.monotonic()
    pulmo("train", "-c", recipe, "--set", f"data.path={data}", "--set", f"train.run_dir={run}", "--set", f"train.seed={seed}")
    (run / "seconds.txt").write_text(f"{time.monotonic() - began:.0f}\n")


def reexposed(work, run, every, size=224):
    """Scores the run on the changed copies of the family's test images; the directories of the scores."""
    images, done = work / "re-exposed", []
    if not (images / "as-it-is").exists():
        subprocess.run([sys.executable, HERE / "reexpose.py", work / "family/test", images, "--every", str(every)], check=True)
    for change in sorted(p for p in images.iterdir() if p.is_dir()):
        data, scored = work / "packed" / named(f"re-exposed-{change.name}", size), run / "re-exposed" / change.name
        if not (data / "manifest.h5").exists():
            pulmo("pack", change, data, f"--size={size}", "-q")
        if not (scored / "results.h5").exists():
            scored.parent.mkdir(exist_ok=True)
            pulmo("evaluate", run, "--data", data, "--out", scored, "-q")
        done.append(scored)
    return done


def figures(run, scored, rule):
    """(AUC, accuracy, sensitivity, specificity) at the rule's threshold, chosen on the run's val. scored: a directory, or two:
    normal chests of the first beside those with pneumonia of the second."""
    if isinstance(scored, tuple):
        sides = [thresholds.scores(side, "test") for side in scored]
        taken = [labels == i for i, (labels, _) in enumerate(sides)]
        labels, p = (np.concatenate([side[part][chosen] for side, chosen in zip(sides, taken)]) for part in (0, 1))
    else:
        labels, p = thresholds.scores(scored, "test")
    said = p >= thresholds.threshold(rule, *thresholds.scores(run, "val"))
    return [thresholds.area(labels, p), (said == labels).mean(), said[labels == 1].mean(), (~said[labels == 0]).mean()]


def validations_of(run):
    """Of family's test images changed: what is scored, by validation."""
    scored = {p.name: p for p in sorted((run / "re-exposed").glob("*")) if (p / "results.h5").exists()}
    plain = scored.pop("as-it-is", None)
    return {
        "re-exposed": [p for name, p in scored.items() if name not in RESHAPED],
        "reshaped": [p for name, p in scored.items() if name in RESHAPED],
        "closer normals": [(scored[name], plain) for name in CLOSER if plain and name in scored],
    }


def size_of(recipe):
    size = re.search(r"^pack: *{.*size: *(\d+)", (HERE / "recipes" / f"{recipe}.yaml").read_text(), re.MULTILINE)
    return int(size[1]) if size else 224


def rule_of(recipe):
    return re.search(r"threshold: ([^}\s]+)", (HERE / "recipes" / f"{recipe}.yaml").read_text())[1]


def cell(rows):
    mean, spread = np.mean(rows, 0), np.std(rows, 0, ddof=1) if len(rows) > 1 else None
    tell = lambda i: f"{mean[i]:.3f}" + (f" ± {spread[i]:.3f}" if spread is not None else "")
    return f"{tell(0)} | {tell(1)} ({mean[2]:.3f} / {mean[3]:.3f})"


def rows_of(work, recipe, validation, seeds):
    rule = rule_of(recipe)
    runs = [work / "runs" / f"{recipe}-{validation}-{seed}" for seed in seeds]
    runs = [run for run in runs if (run / "report.html").exists()]
    if not runs:
        return
    seconds = [int((run / "seconds.txt").read_text()) for run in runs if (run / "seconds.txt").exists()]
    wall = f"{np.median(seconds) / 60:.0f} min" if seconds else ""
    print(f"| {recipe} | {validation} | {len(runs)} | {cell([figures(r, r, '0.5') for r in runs])} | "
          f"{cell([figures(r, r, rule) for r in runs]).split(' | ')[1]} | {wall} |")
    if validation != "family":
        return
    for name in ("re-exposed", "worst of them", "reshaped", "closer normals"):
        at = {which: [] for which in ("0.5", rule)}
        for run in runs:
            scored = validations_of(run)["re-exposed" if name == "worst of them" else name]
            for which in at:
                every = [figures(run, change, which) for change in scored]
                if every:
                    at[which].append(min(every, key=lambda f: f[0]) if name == "worst of them" else np.mean(every, 0))
        if at[rule]:
            print(f"| {recipe} | {name} | {len(at[rule])} | {cell(at['0.5'])} | {cell(at[rule]).split(' | ')[1]} | |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--recipes", default=",".join(sorted(p.stem for p in (HERE / "recipes").glob("*.yaml"))))
    parser.add_argument("--validations", default="family,random")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--every", type=int, default=6)
    parser.add_argument("--print", action="store_true")
    o = parser.parse_args()
    recipes, validations, seeds = o.recipes.split(","), o.validations.split(","), o.seeds.split(",")
    for seed in [] if o.print else seeds:
        for recipe in recipes:
            size = size_of(recipe)
            for validation in validations:
                run = o.work / "runs" / f"{recipe}-{validation}-{seed}"
                run.parent.mkdir(parents=True, exist_ok=True)
                train(HERE / "recipes" / f"{recipe}.yaml", packed(o.source.resolve(), o.work, validation, size), run, seed)
                if validation == "family":
                    reexposed(o.work, run, o.every, size)
    print(f"| recipe | validation | seeds | AUC | accuracy (sensitivity / specificity), 0.5 | the same, the recipe's rule | a run |\n|---|---|---|---|---|---|---|")
    for recipe in recipes:
        for validation in validations:
            rows_of(o.work, recipe, validation, seeds)


if __name__ == "__main__":
    main()
