#!/usr/bin/env python3
"""What each rule for the threshold would have given: chosen on val, applied to test, from the scores in results.h5.

    thresholds.py RUN...                   a Markdown table: mean and spread (standard deviation) over the runs
    thresholds.py RUN --scored DIR...      the run's thresholds on what `pulmo evaluate RUN --out DIR` scored

Two classes. Needs h5py and numpy. The rules are computed here, by numpy, not by pulmo."""
import sys

import h5py
import numpy as np

RULES = ["0.5", "youden", "sensitivity>=0.99", "sensitivity>=0.98", "sensitivity>=0.97", "sensitivity>=0.95", "sensitivity>=0.93", "sensitivity>=0.9"]


def scores(run, split):
    with h5py.File(f"{run}/results.h5") as file:
        group = file[split]
        return np.asarray(group["labels"]), np.asarray(group["probabilities"])[:, 1].astype(np.float64)


def threshold(rule, labels, p):
    if rule == "0.5":
        return 0.5
    candidates = np.unique(p)
    sensitivity = np.array([(p[labels == 1] >= t).mean() for t in candidates])
    if rule == "youden":
        return candidates[np.argmax(sensitivity + np.array([(p[labels == 0] < t).mean() for t in candidates]))]
    return candidates[sensitivity >= float(rule.split("=")[1])].max()


def area(labels, p):
    """ROC AUC: the share of pairs in which the positive image scores higher; ties count half."""
    positive, negative = p[labels == 1], np.sort(p[labels == 0])
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return below.sum() / (2 * len(positive) * len(negative))


def table_of_scored(run, directories):
    rules = ["0.5", "sensitivity>=0.95"]
    thresholds = [threshold(rule, *scores(run, "val")) for rule in rules]
    print("| images | AUC | " + " | ".join(f"accuracy (sensitivity / specificity), {rule}" for rule in rules) + " |\n|---|---|---|---|")
    for directory in directories:
        labels, p = scores(directory, "test")
        cells = []
        for t in thresholds:
            said = p >= t
            cells.append(f"{(said == labels).mean():.3f} ({said[labels == 1].mean():.3f} / {(~said[labels == 0]).mean():.3f})")
        print(f"| {directory.rstrip('/').split('/')[-1]} | {area(labels, p):.3f} | " + " | ".join(cells) + " |")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if "--scored" in sys.argv:
        return table_of_scored(sys.argv[1], sys.argv[sys.argv.index("--scored") + 1 :])
    print("| rule | accuracy | sensitivity | specificity |\n|---|---|---|---|")
    for rule in RULES:
        rows = []
        for run in sys.argv[1:]:
            t = threshold(rule, *scores(run, "val"))
            labels, p = scores(run, "test")
            said = p >= t
            rows.append([(said == labels).mean(), said[labels == 1].mean(), (~said[labels == 0]).mean()])
        mean, spread = np.mean(rows, 0), np.std(rows, 0, ddof=1 if len(rows) > 1 else 0)
        print(f"| {rule} | " + " | ".join(f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread)) + " |")


if __name__ == "__main__":
    main()
