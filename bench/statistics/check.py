#!/usr/bin/env python3
"""Draws sets of scores (ties, few positives, one class, repeated patients) and compares every statistic of pulmo with
other programs: pROC, R's glm and lowess, dcurves, statsmodels, and for patients a second reckoning from the formulas and
a bootstrap. Ends with status 1 where any differs by more than 1e-9 of its value.

    python3 bench/statistics/check.py build/release/tests/statistics [FOLDER]

needs R with pROC, and a Python with numpy, pandas, statsmodels and dcurves."""
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
import dcurves  # noqa: E402
from statsmodels.stats.contingency_tables import mcnemar  # noqa: E402
from statsmodels.stats.proportion import proportion_confint  # noqa: E402

HERE = pathlib.Path(__file__).parent
TOLERANCE = 1e-9
SETS = 50


def draw(number):
    """positive, patient, two models' probabilities."""
    rng = np.random.default_rng(number)
    n = int(rng.integers(20, 1500))
    patients = int(rng.integers(max(8, n // 4), n + 1))
    patient = rng.integers(0, patients, n)
    sick = rng.random(patients) < (0.03 if number % 5 == 1 else rng.uniform(0.2, 0.7))
    positive = sick[patient] ^ (rng.random(n) < (0.1 if number % 3 == 0 else 0))
    if number % 10 == 7:
        positive[:] = number % 20 == 7
    elif number % 5 == 1:
        positive[:] = False
        positive[rng.choice(n, 3, replace=False)] = True
    shift = rng.normal(size=patients)[patient]
    odds = [rng.uniform(0.5, 2.5) * positive + shift + rng.normal(size=n) - 1 for _ in range(2)]
    scores = [1 / (1 + np.exp(-o)) for o in odds]
    if number % 4 == 2:
        scores = [np.clip(np.round(s, 1), 0.05, 0.95) for s in scores]
    if number % 10 == 9:  # separated
        scores[0] = np.where(positive, 0.6 + scores[0] * 0.3, 0.1 + scores[0] * 0.3)
    return positive.astype(int), patient, scores[0], scores[1]


def read(text):
    values = {}
    for line in text.splitlines():
        name, value = line.split()[:2]
        values[name] = np.nan if value in ("undefined", "NA") else float(value)
    return values


def ours(program, how, text):
    return read(subprocess.run([program, how], input=text, capture_output=True, text=True, check=True).stdout)


class Judge:
    def __init__(self):
        self.worst, self.count, self.bad = {}, {}, 0

    def __call__(self, kind, where, mine, theirs, scale=None):
        """Relative to the value, or to `scale` where a difference may cancel."""
        off = abs(mine - theirs) / max(abs(theirs), abs(scale or 0), 1e-300) if mine != theirs else 0.0
        if np.isnan(mine) != np.isnan(theirs) or (not np.isnan(mine) and off > TOLERANCE):
            print(f"{where}: {kind}: {mine!r} here, {theirs!r} there")
            self.bad += 1
        self.worst[kind] = max(self.worst.get(kind, 0), off if off == off else 0)
        self.count[kind] = self.count.get(kind, 0) + 1


def placements(y, s):
    with_, rest = s[y == 1], s[y == 0]
    order = np.sort(rest)
    below = np.searchsorted(order, with_, "left") + np.searchsorted(order, with_, "right")
    up = np.sort(with_)
    above = 2 * len(up) - np.searchsorted(up, rest, "left") - np.searchsorted(up, rest, "right")
    return below / 2 / len(rest), above / 2 / len(with_)


def obuchowski(y, patient, columns):
    """The covariance of the areas of several models, from the formulas of Biometrics 53:567."""
    places = [placements(y, s) for s in columns]
    areas = np.array([p[0].mean() for p in places])
    m, n = (y == 1).sum(), (y == 0).sum()
    ids = np.unique(patient)
    x = np.array([[(v - a)[patient[y == 1] == i].sum() for i in ids] for (v, _), a in zip(places, areas)])
    z = np.array([[(v - a)[patient[y == 0] == i].sum() for i in ids] for (_, v), a in zip(places, areas)])
    i10, i01, i = len(np.unique(patient[y == 1])), len(np.unique(patient[y == 0])), len(ids)
    s10 = i10 / ((i10 - 1) * m) * x @ x.T
    s01 = i01 / ((i01 - 1) * n) * z @ z.T
    s11 = i / (i - 1) * x @ z.T
    return areas, s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def bootstrap_error(y, patient, s, draws=2000):
    rng = np.random.default_rng(1)
    ids, which = np.unique(patient, return_inverse=True)
    order = np.argsort(s, kind="stable")
    # Ties in groups: weighted pairs in order.
    group = np.unique(s[order], return_inverse=True)[1]
    values = []
    for _ in range(draws):
        times = np.bincount(rng.integers(0, len(ids), len(ids)), minlength=len(ids))[which][order]
        pos = np.bincount(group, times * y[order])
        neg = np.bincount(group, times * (1 - y[order]))
        if pos.sum() and neg.sum():
            values.append((pos * (np.cumsum(neg) - neg / 2)).sum() / (pos.sum() * neg.sum()))
    return np.std(values)


def sandwich(y, patient, x):
    import statsmodels.api as sm
    model = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial())
    start = model.fit(tol=1e-14, maxiter=100).params
    fit = model.fit(start_params=start, tol=1e-14, maxiter=100, cov_type="cluster",
                    cov_kwds={"groups": patient, "use_correction": False})
    groups = len(np.unique(patient))
    return fit.params, fit.bse * np.sqrt(groups / (groups - 1))


def check_patients(judge, where, program, text, data, ratios):
    y, patient, a, b = data
    mine = ours(program, "patients", text)
    if min(len(np.unique(patient[y == k])) for k in (0, 1)) < 2:
        return
    areas, covariance = obuchowski(y, patient, [a, b])
    judge("Obuchowski: AUC", where, mine["auc"], areas[0])
    if covariance[0, 0] > 1e-20:
        judge("Obuchowski: variance", where, mine["auc.variance"], covariance[0, 0])
        if len(np.unique(patient[y == 1])) >= 20:
            ratios.append(np.sqrt(mine["auc.variance"]) / bootstrap_error(y, patient, a))
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    judge("Obuchowski: error of the difference", where, mine["auc.difference.error"], error)
    if not np.isnan(mine["slope"]):
        from scipy.stats import t
        params, errors = sandwich(y, patient, np.log(a) - np.log1p(-a))
        quantile = t.ppf(0.975, len(np.unique(patient)) - 1)
        judge("clustered slope: interval (statsmodels)", where, mine["slope.low"], params[1] - quantile * errors[1],
              params[1])


def check_set(judge, where, program, path, ratios):
    text = path.read_text()
    table = np.loadtxt(path)
    y, patient = table[:, 0].astype(int), table[:, 1].astype(int)
    a, b = table[:, 2], table[:, 3]
    mine = ours(program, "images", text)
    theirs = read(path.with_suffix(".R").read_text())
    for name, value in theirs.items():
        kind = name.split(".")[0] if name.startswith("smooth") else name
        scale = 1 if name in ("auc.difference",) else None
        if name.endswith((".low", ".high")):
            scale = theirs[name.rsplit(".", 1)[0]]
        if name.startswith(("in_the_large", "intercept")):
            scale = max(abs(theirs["in_the_large.low"]), abs(theirs["in_the_large.high"]))
        if name in ("auc.variance", "auc.difference.error") and value < 1e-12:
            assert mine.get(name, 0) < 1e-12 or np.isnan(mine.get(name, np.nan))
            continue
        if name == "auc.difference.p" and np.isnan(value):
            continue
        judge(kind, where, mine.get(name, np.nan), value, scale)
    if len(set(y)) == 1:
        assert np.isnan(mine["auc"]) and np.isnan(mine["slope"]) and np.isnan(mine["in_the_large"])
        return
    if "slope" not in theirs:
        assert np.isnan(mine["slope"]), where
    frame = pd.DataFrame({"y": y, "a": a})
    curve = dcurves.dca(data=frame, outcome="y", modelnames=["a"], thresholds=[t / 20 for t in range(1, 20)])
    for model, prefix in (("a", "benefit"), ("all", "benefit_all")):
        rows = curve[curve.model == model].sort_values("threshold")
        for t, value in zip(range(1, 20), rows.net_benefit):
            judge("net benefit (dcurves)", where, mine[f"{prefix}.{t}"], value, 1)
    called = [a >= 0.5, b >= 0.5]
    only = [(called[0] & ~called[1] & (y == 1)).sum(), (~called[0] & called[1] & (y == 1)).sum()]
    both = [(called[0] & called[1] & (y == 1)).sum(), (~called[0] & ~called[1] & (y == 1)).sum()]
    test = mcnemar([[both[0], only[0]], [only[1], both[1]]], exact=True)
    judge("McNemar (statsmodels)", where, mine["sensitivity.difference.p"], test.pvalue)
    low, high = proportion_confint(called[0][y == 1].sum(), (y == 1).sum(), method="wilson")
    judge("Wilson (statsmodels)", where, mine["sensitivity.low"], low, 1)
    judge("Wilson (statsmodels)", where, mine["sensitivity.high"], high)
    check_patients(judge, where, program, text, (y, patient, a, b), ratios)


def check_binomial(judge, program):
    pairs = [(0, 1), (1, 1), (0, 20), (20, 20), (3, 17), (85, 100), (1, 1000), (999, 1000), (123, 456), (0, 1000000),
             (7, 1000000), (654321, 1000000)]
    flat = [str(v) for pair in pairs for v in pair]
    mine = read(subprocess.run([program, "binomial", *flat], capture_output=True, text=True, check=True).stdout)
    for i, (k, n) in enumerate(pairs):
        for name, method in (("wilson", "wilson"), ("exact", "beta")):
            low, high = proportion_confint(k, n, method=method)
            low, high = (0 if k == 0 else low), (1 if k == n else high)
            judge(f"{name} interval (statsmodels)", f"{k} of {n}", mine[f"{name}.{i}.low"], low)
            judge(f"{name} interval (statsmodels)", f"{k} of {n}", mine[f"{name}.{i}.high"], high)
        test = mcnemar([[0, k], [n, 0]], exact=True)
        if test.pvalue > 1e-300:
            judge("McNemar (statsmodels)", f"{k} and {n}", mine[f"mcnemar.{i}"], test.pvalue)


def main():
    program = os.path.abspath(sys.argv[1])
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="pulmo-statistics-"))
    folder.mkdir(exist_ok=True)
    for number in range(SETS):
        with open(folder / f"{number:02d}.txt", "w") as out:
            for row in zip(*draw(number)):
                out.write("%d %d %.17g %.17g\n" % row)
    subprocess.run(["Rscript", str(HERE / "reference.R"), str(folder)], check=True)
    judge, ratios = Judge(), []
    for number in range(SETS):
        path = folder / f"{number:02d}.txt"
        check_set(judge, path.name, program, path, ratios)
    check_binomial(judge, program)
    for kind in sorted(judge.worst):
        print(f"{kind:45} {judge.count[kind]:7d} values, at most {judge.worst[kind]:.1e} apart")
    print(f"standard error of the AUC by patient over that of a bootstrap: {len(ratios)} sets, "
          f"mean {np.mean(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
    print("all equal" if judge.bad == 0 else f"{judge.bad} differ")
    return judge.bad != 0


sys.exit(main())
