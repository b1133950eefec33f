"""Recomputes the shortcut audit in a results.h5 from the cues in it: the regressions with scikit-learn where it can be
imported, else by Newton's method in NumPy; areas pair by pair.   python3 shortcuts.py RESULTS.h5"""
import sys

import h5py
import numpy as np

try:
    from sklearn.linear_model import LogisticRegression
except ImportError:
    LogisticRegression = None

worst = {}


def near(have, want, what, bound):
    have, want = np.asarray(have, float), np.asarray(want, float)
    if have.shape != want.shape or not np.allclose(have, want, rtol=bound, atol=bound, equal_nan=True):
        sys.exit(f"{what}: file {have}, recomputed {want}")
    if not np.isnan(have).all():
        worst[what] = max(worst.get(what, 0), float(np.nanmax(np.abs(have - want))))


def regression(z, y, ridge):
    """Weights and intercept of L2-penalised logistic regression, the intercept free."""
    if y.min() == y.max():
        return np.zeros(z.shape[1]), 0.0
    if LogisticRegression:
        fit = LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(z, y)
        return fit.coef_[0], fit.intercept_[0]
    x = np.column_stack([z, np.ones(len(z))])
    penalty = np.append(np.full(z.shape[1], ridge), 0)
    at = np.zeros(x.shape[1])
    for _ in range(200):
        p = 1 / (1 + np.exp(-x @ at))
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty), x.T @ (y - p) - penalty * at)
        at += step
        if np.abs(step).max() < 1e-12:
            break
    return at[:-1], at[-1]


def standardised(cues, mean, deviation):
    return np.divide(cues - mean, deviation, out=np.zeros_like(cues), where=deviation > 0)


def area(y, s):
    a, b = s[y], s[~y]
    if len(a) == 0 or len(b) == 0:
        return np.nan
    return ((a[:, None] > b[None]).mean() + (a[:, None] == b[None]).mean() / 2)


def area_alike(y, s, cue, caliper, most=100):
    """Janes and Pepe 2009, by pairs within a caliper (Austin 2011): the mean over positives of the part of the rest that
    is like them which they stand above. How many positives there are, and how many have one like them."""
    if y.all() or not y.any():
        return np.nan, y.sum(), 0
    reach = caliper * np.sqrt((cue[y].var() + cue[~y].var()) / 2)
    rest, places = s[~y], []
    for at, score in zip(cue[y], s[y]):
        apart = cue[~y] - at
        like = np.lexsort((apart, np.abs(apart)))[:most]  # of two as near the lower
        like = like[np.abs(apart[like]) <= reach]
        if len(like):
            places.append(((score > rest[like]) + (score == rest[like]) / 2).mean())
    return np.mean(places) if places else np.nan, y.sum(), len(places)


def ranks(values):
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def spearman(a, b):
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():
        return np.nan
    return np.corrcoef(ranks(a), ranks(b))[0, 1]


def margins(logits, k):
    others = np.delete(logits, k, axis=1)
    most = others.max(axis=1)
    return logits[:, k] - most - np.log(np.exp(others - most[:, None]).sum(axis=1))


def main(path):
    file = h5py.File(path)
    audit, fit = file["audit"], file["audit/fit"]
    cues, labels, folds = fit["cues"][:].astype(float), fit["labels"][:], fit["folds"][:]
    ridge, classes = audit.attrs["ridge"], audit["classes"][:]
    near(audit["mean"][:], cues.mean(axis=0), "means", 1e-9)
    near(audit["deviation"][:], cues.std(axis=0), "deviations", 1e-9)
    for row, k in enumerate(classes):
        y = labels == k
        weights, intercept = regression(standardised(cues, cues.mean(axis=0), cues.std(axis=0)), y, ridge)
        near(audit["weights"][row], weights, "weights", 1e-6)
        near(audit["intercepts"][row], intercept, "intercepts", 1e-6)
        scores = np.zeros(len(y))
        for fold in range(audit.attrs["folds"]):
            out = folds == fold
            mean, deviation = cues[~out].mean(axis=0), cues[~out].std(axis=0)
            weights, intercept = regression(standardised(cues[~out], mean, deviation), y[~out], ridge)
            scores[out] = standardised(cues[out], mean, deviation) @ weights + intercept
        near(fit["scores"][:, row], scores, "scores of folds", 1e-5)
        patients = fit["patients"][:]
        fewer = min(len(np.unique(patients[y])), len(np.unique(patients[~y])))
        wanted = area(y, fit["scores"][:, row]) if fewer >= audit.attrs["folds"] else np.nan
        near(audit["auc"][row][0], wanted, "AUC of cues", 1e-9)
        if any(len(np.unique(folds[patients == p])) > 1 for p in np.unique(patients)):
            sys.exit("a patient stands in several folds")
        near(audit["single_auc"][row], [area(y, cues[:, c]) for c in range(cues.shape[1])], "AUC of single cues", 1e-9)
        for split in ("train", "val", "test"):
            if split in audit:
                check_split(file, split, row, k)
    print(f"{path}: the audit of {len(labels)} images recomputed", "with scikit-learn" if LogisticRegression else "with NumPy")
    for what, difference in worst.items():
        print(f"  {what}: at most {difference:.1e} apart")


def check_split(file, split, row, k):
    audit, part = file["audit"], file["audit"][split]
    y, caliper = file[split]["labels"][:] == k, part.attrs["caliper"]
    z = standardised(part["cues"][:].astype(float), audit["mean"][:], audit["deviation"][:])
    cue = part["scores"][:, row].astype(float)
    near(cue, z @ audit["weights"][row] + audit["intercepts"][row], "cue scores", 1e-5)
    model = margins(file[split]["logits"][:].astype(float) / file.attrs["temperature"], k)
    of_model, positives, compared = area_alike(y, model, cue, caliper)
    wanted = {"auc": area(y, cue), "model_auc": area(y, model), "model_auc_alike": of_model,
              "auc_alike": area_alike(y, cue, cue, caliper)[0]}
    near([part["positives"][row], part["compared"][row]], [positives, compared], "images with one alike", 0)
    for name, value in wanted.items():
        near(part[name][row][0], value, name, 1e-9)
        value, low, high = part[name][row]
        if not np.isnan(low) and not low <= value <= high:
            sys.exit(f"{split}: {name} {value} is outside its interval {low} to {high}")
    near(part["rank_correlation"][row], spearman(model, cue), "rank correlation", 1e-9)
    near(part["rank_correlation_of_rest"][row], spearman(model[~y], cue[~y]), "rank correlation of the rest", 1e-9)


if __name__ == "__main__":
    main(sys.argv[1])
