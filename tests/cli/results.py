"""Recomputes everything in a results.h5 from its per-image scores: with scikit-learn where it can be
imported, else from the definitions in NumPy.   python3 results.py RESULTS.h5"""
import json
import math
import os
import sys

import h5py
import numpy as np

try:
    import sklearn.calibration as calibration
    import sklearn.metrics as metrics
except ImportError:
    metrics = None

Z = 1.959963984540054
checked = 0


def near(have, want, what, bound=1e-9):
    global checked
    have, want = np.asarray(have, float), np.asarray(want, float)
    if have.shape != want.shape or not np.allclose(have, want, rtol=bound, atol=bound, equal_nan=True):
        sys.exit(f"{what}: file {have}, recomputed {want}")
    checked += 1


def wilson(k, n):
    if n == 0:
        return np.nan, np.nan, np.nan
    p = k / n
    centre, half = p + Z * Z / (2 * n), Z * np.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return p, max(0, (centre - half) / (1 + Z * Z / n)), min(1, (centre + half) / (1 + Z * Z / n))


patients = None  # of the split's images as numbers, where intervals are by patient


def t_quantile(q, df):
    """Student's: where the integral of the density from 0 on is q - 1/2."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    low, high = 0.0, 100.0
    for _ in range(100):
        x = (low + high) / 2
        u = x / 2 * (nodes + 1)
        area = scale * x / 2 * weights @ (1 + u * u / df) ** (-(df + 1) / 2)
        low, high = (x, high) if area < q - 0.5 else (low, x)
    return low


def share(among, hit):
    """Wilson's interval, or where patients repeat that of as many images as have the variance between patients."""
    if patients is None:
        return wilson((among & hit).sum(), among.sum())
    if not among.any():
        return np.nan, np.nan, np.nan
    x, m = np.bincount(patients, among & hit), np.bincount(patients, among)
    x, m = x[m > 0], m[m > 0]
    p, n = x.sum() / m.sum(), len(m)
    if n < 2:
        return p, np.nan, np.nan
    variance = n / (n - 1) * ((x - p * m) ** 2).sum() / m.sum() ** 2
    images = min(p * (1 - p) / variance, m.sum()) if 0 < p < 1 and variance > 0 else n
    z = t_quantile(0.975, n - 1)
    centre, half = p + z * z / (2 * images), z * np.sqrt(p * (1 - p) / images + z * z / (4 * images * images))
    return p, max(0, (centre - half) / (1 + z * z / images)), min(1, (centre + half) / (1 + z * z / images))


def newcombe(area, positives, negatives):
    """Newcombe 2006, method 5: where (area - t)^2 is Z^2 times the variance at t, as the roots of a polynomial in t."""
    k, t = (positives + negatives) / 2 - 1, np.polynomial.Polynomial([0, 1])
    at = (area - t) ** 2 * positives * negatives * (2 - t) * (1 + t)
    roots = (at - Z * Z * t * (1 - t) * ((2 - t) * (1 + t) + k * (1 - t) * (1 + t) + k * t * (2 - t))).roots()
    real = [root.real for root in roots if abs(root.imag) < 1e-6 and -1e-6 <= root.real <= 1 + 1e-6]
    return min(real), max(real)


def pairs_auc(y, p):
    """Area and its interval, DeLong's from all pairs or, where that has no width, Newcombe's."""
    a, b = p[y == 1], p[y == 0]
    if len(a) == 0 or len(b) == 0:
        return np.nan, np.nan, np.nan
    win = (a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None])
    area = win.mean()
    if len(a) < 2 or len(b) < 2:
        return area, np.nan, np.nan
    half = Z * np.sqrt(win.mean(1).var(ddof=1) / len(a) + win.mean(0).var(ddof=1) / len(b))
    if patients is not None:
        return obuchowski(y, area, win)
    return (area, max(0, area - half), min(1, area + half)) if half > 0 else (area, *newcombe(area, len(a), len(b)))


def obuchowski(y, area, win):
    """Biometrics 53:567: sums of placements less the area over each patient's images."""
    size = patients.max() + 1
    x = np.bincount(patients[y == 1], win.mean(1) - area, size)
    z = np.bincount(patients[y == 0], win.mean(0) - area, size)
    (m, n), all_ = win.shape, len(np.unique(patients))
    i, j = len(np.unique(patients[y == 1])), len(np.unique(patients[y == 0]))
    if i < 2 or j < 2:
        return area, np.nan, np.nan
    variance = i / (i - 1) * x @ x / m**2 + j / (j - 1) * z @ z / n**2 + 2 * all_ / (all_ - 1) * x @ z / (m * n)
    half = Z * np.sqrt(max(0, variance))
    return (area, max(0, area - half), min(1, area + half)) if half > 0 else (area, *newcombe(area, i, j))


def average_precision(y, p):
    if y.sum() == 0:
        return np.nan
    total, before = 0.0, 0.0
    for t in np.unique(p)[::-1]:
        called = p >= t
        recall = y[called].sum() / y.sum()
        total += (recall - before) * y[called].mean()
        before = recall
    return total


def interval(split, name, want, bound=1e-9):
    for suffix, value in zip(("", "_low95", "_high95"), want):
        near(split.attrs[name + suffix], value, f"{split.name}: {name}{suffix}", bound)


def log_odds(z, k):
    """By which images are ordered: a float's probability is 1 from a margin of 17 on."""
    others = np.delete(z, k, 1)
    most = others.max(1)
    return z[:, k] - most - np.log(np.exp(others - most[:, None]).sum(1))


def check_class(split, k, suffix, y, p, margin, called, per_class):
    for name, want, bound in (("auc", pairs_auc(y, margin), 1e-6), ("specificity", share(y == 0, ~called), 1e-9),
                              ("recall", share(y == 1, called), 1e-9)):
        for end, value in zip(("", "_low95", "_high95"), want):
            near(per_class[name + end][k], value, f"{name}{end} of class {k}", bound)
    near(per_class["average_precision"][k], average_precision(y, margin), f"average precision of class {k}")
    roc, pr, curve = (split[name + suffix] for name in ("roc", "pr", "calibration"))
    bins = np.searchsorted(np.linspace(0, 1, 11)[1:-1], p)
    near(curve["count"], np.bincount(bins, minlength=10), "calibration counts")
    if metrics and 0 < y.sum() < len(y):
        near(per_class["auc"][k], metrics.roc_auc_score(y, margin), "roc_auc_score")
        near(per_class["average_precision"][k], metrics.average_precision_score(y, margin), "average_precision_score")
        fpr, tpr, threshold = metrics.roc_curve(y, margin, drop_intermediate=False)
        near(roc["fpr"], fpr, "fpr"), near(roc["tpr"], tpr, "tpr")
        near(roc["threshold"], np.append(np.inf, 1 / (1 + np.exp(-threshold[1:]))), "ROC thresholds", 2e-6)
        precision, recall, _ = metrics.precision_recall_curve(y, margin)
        near(pr["precision"], precision[::-1], "precision"), near(pr["recall"], recall[::-1], "recall")
        observed, predicted = calibration.calibration_curve(y, p.astype(float), n_bins=10)
        full = np.asarray(curve["count"]) > 0
        near(np.asarray(curve["observed"])[full], observed, "calibration: observed")
        near(np.asarray(curve["predicted"])[full], predicted, "calibration: predicted")


def check_two(split, called, y, p, margin):
    """All are of the finding."""
    interval(split, "sensitivity", share(y == 1, called))
    interval(split, "specificity", share(y == 0, ~called))
    interval(split, "positive_predictive_value", share(called, y == 1))
    interval(split, "negative_predictive_value", share(~called, y == 0))
    interval(split, "auc", pairs_auc(y, margin), 1e-6)
    near(split.attrs["brier"], ((p.astype(float) - y) ** 2).mean(), "Brier")
    if metrics:
        near(split.attrs["brier"], metrics.brier_score_loss(y, p.astype(float)), "brier_score_loss")


def check_report(split, y, predicted, per_class, k):
    """scikit-learn's classification_report, or the same by counting."""
    if metrics:
        told = metrics.classification_report(y, predicted, labels=range(k), output_dict=True, zero_division=0)
        for c in range(k):
            for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"), ("support", "support")):
                near(per_class[ours][c], told[str(c)][theirs], f"class {c}: {ours}")
        for mean, row in (("macro", "macro avg"), ("weighted", "weighted avg")):
            for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                near(split.attrs[f"{mean}_{ours}"], told[row][theirs], f"{mean} {ours}")
        near(split.attrs["balanced_accuracy"], metrics.balanced_accuracy_score(y, predicted), "balanced accuracy")
    for c in range(k):
        hits, called, there = ((y == c) & (predicted == c)).sum(), (predicted == c).sum(), (y == c).sum()
        near(per_class["precision"][c], hits / called if called else 0, "precision")
        near(per_class["recall"][c], hits / there if there else 0, "recall")
        near(per_class["f1"][c], 2 * hits / (called + there) if called + there else 0, "F1")


def check_split(f, name):
    split, k = f[name], len(f["classes"])
    y, logits, p = (split[x][:] for x in ("labels", "logits", "probabilities"))
    n = len(y)
    global patients
    named = lambda text: text.decode() if isinstance(text, bytes) else str(text)
    numbers = np.unique(split["groups"][:], return_inverse=True)[1]
    repeats = len(np.unique(numbers)) < n
    assert named(split.attrs["intervals_by"]) == ("patient" if repeats else "image"), name
    patients = numbers if repeats else None
    z = logits.astype(float) / f.attrs["temperature"]
    soft = np.exp(z - z.max(1, keepdims=True))
    near(p, soft / soft.sum(1, keepdims=True), "probabilities are the softmax of logits / temperature", 2e-6)
    at = [named(c) for c in f["classes"][:]].index(named(f.attrs["positive_class"])) if k == 2 else None
    predicted = np.where(p[:, at].astype(float) >= f.attrs["threshold"], at, 1 - at) if k == 2 else p.argmax(1)
    near(split["predictions"], predicted, "predictions")
    cm = np.zeros((k, k), int)
    np.add.at(cm, (y, predicted), 1)
    near(split["confusion"], cm, "confusion")
    near([split.attrs["count"], split.attrs["correct"]], [n, np.trace(cm)], "counts")
    interval(split, "accuracy", share(np.ones(n, bool), predicted == y))
    check_report(split, y, predicted, split["per_class"], k)
    for c in range(k) if k > 2 else [at]:
        check_class(split, c, f"_{c}" if k > 2 else "", (y == c).astype(int), p[:, c], log_odds(z, c), predicted == c,
                    split["per_class"])
    near(split.attrs["log_loss"], -np.log(np.maximum(p[np.arange(n), y].astype(float), 2.0**-149)).mean(), "log loss")
    sure, right = p[np.arange(n), predicted].astype(float), predicted == y
    bins = np.minimum((sure * 10).astype(int), 9)
    near(split.attrs["calibration_error"], sum(abs(sure[bins == b].sum() - right[bins == b].sum()) for b in range(10)) / n, "ECE")
    support = np.bincount(y, minlength=k)
    ap, auc = split["per_class/average_precision"][:], split["per_class/auc"][:]
    if k == 2:
        check_two(split, predicted == at, (y == at).astype(int), p[:, at], log_odds(z, at))
        near(split.attrs["average_precision"], ap[at], "average precision")
    else:
        near(split.attrs["auc"], np.nanmean(auc), "macro AUC"), near(split.attrs["average_precision"], np.nanmean(ap), "macro AP")
        near(split.attrs["brier"], ((p.astype(float) - np.eye(k)[y]) ** 2).sum(1).mean(), "Brier")
    there = ~np.isnan(auc)
    near(split.attrs["weighted_auc"], (auc[there] * support[there]).sum() / support[there].sum(), "weighted AUC")


def check_form(f):
    """What makes it readable elsewhere: scales, units, names, the NeXus chain."""
    text = []

    def look(name, thing):
        if not isinstance(thing, h5py.Dataset) or name in ("README", "config"):
            return
        assert "long_name" in thing.attrs, name
        if thing.dtype.kind == "S":
            assert h5py.check_string_dtype(thing.dtype).length, f"{name} is of variable length"
            text.append(name)
        else:
            assert "units" in thing.attrs, name
    def look_at_texts(name, thing):
        for key, value in thing.attrs.items():
            plumbing = key in ("CLASS", "NAME")  # the dimension scale library's own
            assert plumbing or not isinstance(value, (bytes, np.bytes_)), f"{name}: {key} is bytes, not text"
            assert plumbing or not (isinstance(value, np.ndarray) and value.dtype.kind == "S"), f"{name}: {key}"
    f.visititems(look)
    f.visititems(look_at_texts)
    look_at_texts("/", f)
    assert isinstance(f.attrs["state"], str) and all(isinstance(c, str) for c in f.attrs["classes"])
    assert len(text) >= 3
    at = f
    while "default" in at.attrs:
        at = at[at.attrs["default"].decode() if isinstance(at.attrs["default"], bytes) else at.attrs["default"]]
    decode = lambda a: a.decode() if isinstance(a, bytes) else a
    assert decode(at.attrs["NX_class"]) == "NXdata", at.name
    signal, axis = at[decode(at.attrs["signal"])], at[decode(at.attrs["axes"][0])]
    assert signal.shape == axis.shape and signal.ndim == 1
    for name in ("test/probabilities", "test/confusion", "history/val_loss", "test/roc/tpr", "test/pr/precision", "test/calibration/observed"):
        if name in f:
            assert len(f[name].dims[0]) == 1, f"{name} has no dimension scale"


def check_json(f, path):
    """metrics.json says what the attributes say."""
    if not os.path.exists(path):
        return
    told = json.load(open(path))
    assert told["classes"] == list(f.attrs["classes"]) and told["state"] == f.attrs["state"]
    for split in ("val", "test"):
        assert (split in told) == (split in f), split
        for key, value in told.get(split, {}).items():
            have = f[split].attrs[key]
            assert value == have or (value is None and np.isnan(have)), f"{split}: {key}"
    assert "test" not in told or {"auc", "auc_low95", "accuracy_high95", "brier"} <= set(told["test"])


with h5py.File(sys.argv[1]) as f:
    check_form(f)
    check_json(f, os.path.join(os.path.dirname(sys.argv[1]), "metrics.json"))
    splits = [name for name in ("train", "val", "test") if name in f]
    for name in splits:
        check_split(f, name)
print(f"{sys.argv[1]}: {checked} values of {', '.join(splits)} recomputed{' with scikit-learn too' if metrics else ''}")
