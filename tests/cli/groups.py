"""Figures of groups, worked out again from predictions.csv by their definitions: groups.py DIR."""
import csv, math, sys

Z = 1.959963984540054


def wilson(k, n):
    if n == 0:
        return (math.nan,) * 3
    p, s = k / n, 1 + Z * Z / n
    middle = (p + Z * Z / (2 * n)) / s
    half = Z / s * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return p, middle - half, middle + half


def area(sick, well):
    """DeLong 1988 by its definition: a pair counts 1, a tie one half."""
    place = lambda a, b: (a > b) + (a == b) / 2
    over = [sum(place(s, w) for w in well) / len(well) for s in sick]
    under = [sum(place(s, w) for s in sick) / len(sick) for w in well]
    auc = sum(over) / len(over)
    spread = lambda v: sum((x - auc) ** 2 for x in v) / (len(v) - 1) / len(v)
    half = Z * math.sqrt(spread(over) + spread(under))
    return auc, max(0, auc - half), min(1, auc + half)


def intercept(odds, truth):
    """Of a logistic regression whose slope is 1, by Newton."""
    a = 0.0
    for _ in range(50):
        p = [1 / (1 + math.exp(-a - x)) for x in odds]
        information = sum(q * (1 - q) for q in p)
        a += sum(y - q for y, q in zip(truth, p)) / information
    return a, a - Z / math.sqrt(information), a + Z / math.sqrt(information)


def age_group(age):
    if age == "":
        return "not recorded"
    age = age.rstrip("Y")
    return "below 40" if int(age) < 40 else "40 to below 60" if int(age) < 60 else "60 and above"


def figures(rows):
    sick = [r for r in rows if r["label"] == "PNEUMONIA"]
    well = [r for r in rows if r["label"] != "PNEUMONIA"]
    p = lambda r: float(r["p_PNEUMONIA"])
    out = {"prevalence": wilson(len(sick), len(rows)),
           "sensitivity": wilson(sum(r["predicted"] == "PNEUMONIA" for r in sick), len(sick)),
           "specificity": wilson(sum(r["predicted"] != "PNEUMONIA" for r in well), len(well))}
    if len(sick) > 1 and len(well) > 1:
        out["auc"] = area([p(r) for r in sick], [p(r) for r in well])
        odds = [math.log(float(r["p_PNEUMONIA"]) / float(r["p_NORMAL"])) for r in rows]
        out["calibration_intercept"] = intercept(odds, [r["label"] == "PNEUMONIA" for r in rows])
    return out


def check(directory, scores):
    rows = [r for r in csv.DictReader(open(scores, newline="")) if r.get("split", "test") == "test"]
    for r in rows:
        r.setdefault("p_NORMAL", 1 - float(r["p_PNEUMONIA"]))
        r.setdefault("predicted", "PNEUMONIA" if float(r["p_PNEUMONIA"]) >= 0.5 else "NORMAL")
    wanted, alone = {}, 0
    for r in rows:
        wanted.setdefault(("Sex", r["Sex"] or "not recorded"), []).append(r)
        wanted.setdefault(("Age", age_group(r["Age"])), []).append(r)
        wanted.setdefault(("format", "PNG" if r["path"].endswith(".png") else "JPEG"), []).append(r)
    have = {(r["column"], r["group"]): r for r in csv.DictReader(open(directory + "/groups.csv", newline=""))}
    assert set(have) == set(wanted), (set(have), set(wanted))
    for key, of in wanted.items():
        got = have[key]
        assert int(got["images"]) == len(of), key
        sick = sum(r["label"] == "PNEUMONIA" for r in of)
        assert int(got["positives"]) == sick and got["class"] == "PNEUMONIA", key
        sides = [{r["patient"] for r in of if (r["label"] == "PNEUMONIA") == side} for side in (True, False)]
        assert got["small"] == str(int(min(map(len, sides)) < 30)), key
        patients = {r["patient"] for r in of}
        assert int(got["patients"]) == len(patients), key
        for name, (value, low, high) in figures(of).items():
            # Where patients repeat, intervals are by patient: tests/stats has those.
            bounds = ((name + "_low95", low), (name + "_high95", high)) if len(patients) == len(of) else ()
            for column, want in ((name, value), *bounds):
                assert abs(float(got[column]) - want) < 1e-6, (key, column, got[column], want)
        alone += len(patients) == len(of)
    assert alone > 1, "no group of patients with one image each"
    print(len(have), "groups,", alone, "with their intervals")


if __name__ == "__main__":
    check(*sys.argv[1:])
