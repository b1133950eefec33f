#!/usr/bin/env bash
# `pulmo evaluate --recalibrate`: the logistic refit by cross-fitting, worked out again from the images' table, by
# Newton's method in a few lines.
. "$(dirname "$0")/common.sh"
make_small
small_train run env > run.txt 2>&1 || { cat run.txt; fail train; }
"$PULMO" demo-data other --train 2 --val 2 --test 60 --seed 8 -q
"$PULMO" pack other/test like --like run -q
expect 0 "Recalibration, cross-fitted:" "$PULMO" evaluate run --data like --recalibrate --out first --set eval.audit=false --overlap allow
cp out.txt first.txt
# The same parts and figures on two ranks.
expect 0 "Recalibration" ranks 2 "$PULMO" evaluate run --data like --recalibrate --out second --set eval.audit=false --overlap allow
cmp first/recalibrated.csv second/recalibrated.csv || fail "two ranks give other parts"

/usr/bin/python3 - first.txt first/recalibrated.csv <<'END' || fail "the refit is another one"
import csv, math, re, sys

rows = list(csv.DictReader(open(sys.argv[2])))
text = open(sys.argv[1]).read()
positive = [float(row["label"] == "PNEUMONIA") for row in rows]
odds = lambda p: math.log(p / (1 - p))
before = [odds(float(row["p"])) for row in rows]
parts = [int(row["part"]) for row in rows]
part_of = {}
for row in rows:  # a patient stands in one part
    assert part_of.setdefault(row["patient"], row["part"]) == row["part"], row
assert set(parts) == {1, 2, 3, 4, 5}, set(parts)

def fit(x, y, slope):
    """Maximum likelihood of P(y) = 1 / (1 + exp(-(a + b x))), b fixed at 1 where it is not asked for."""
    a, b = 0.0, 1.0
    for _ in range(200):
        p = [1 / (1 + math.exp(-(a + b * v))) for v in x]
        g0, h00 = sum(t - q for t, q in zip(y, p)), sum(q * (1 - q) for q in p)
        g1, h01 = sum((t - q) * v for t, q, v in zip(y, p, x)), sum(q * (1 - q) * v for q, v in zip(p, x))
        h11 = sum(q * (1 - q) * v * v for q, v in zip(p, x))
        if not slope:
            a += g0 / h00
            continue
        det = h00 * h11 - h01 * h01
        da, db = (h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det
        size = max(1.0, abs(da), abs(db))
        a, b = a + da / size, b + db / size
    return a, b

fitted = {False: [], True: []}
for slope, column in ((False, "p_intercept"), (True, "p_intercept_and_slope")):
    for part in range(1, 6):
        mine = [i for i in range(len(rows)) if parts[i] != part]
        a, b = fit([before[i] for i in mine], [positive[i] for i in mine], slope)
        fitted[slope].append((a, b))
        for i in range(len(rows)):
            if parts[i] == part:
                p = 1 / (1 + math.exp(-(a + b * before[i])))
                assert abs(p - float(rows[i][column])) < 2e-5, (column, p, rows[i])

def row_of(title):
    line = next(line for line in text.splitlines() if line.startswith(title))
    return [float(v) for v in re.findall(r"-?[0-9]+\.[0-9]{4}(?![0-9])(?= *\(|  | *$)", re.sub(r"\([^)]*\)", "", line.removeprefix(title)))]

after = [[float(row[c]) for row in rows] for c in ("p", "p_intercept", "p_intercept_and_slope")]
for shown, p in zip(row_of("Brier score"), after):
    assert abs(shown - sum((q - t) ** 2 for q, t in zip(p, positive)) / len(p)) < 6e-5, (shown, p)
for shown, p in zip(row_of("log loss"), after):
    assert abs(shown + sum(math.log(q if t else 1 - q) for q, t in zip(p, positive)) / len(p)) < 6e-5, shown
for shown, p in zip(row_of("calibration intercept"), after):
    assert abs(shown - fit([odds(q) for q in p], positive, False)[0]) < 2e-4, shown
for shown, p in zip(row_of("calibration slope"), after):
    assert abs(shown - fit([odds(q) for q in p], positive, True)[1]) < 2e-3 * max(1, abs(shown)), shown
for shown, p in zip(row_of("specificity"), after):
    assert abs(shown - sum(q < 0.5 and not t for q, t in zip(p, positive)) / positive.count(0)) < 6e-5, shown
added, times = row_of("added, mean of the parts"), row_of("times, mean of the parts")
for at, slope in ((1, False), (2, True)):
    assert abs(added[at] - sum(a for a, _ in fitted[slope]) / 5) < 2e-3 * max(1, abs(added[at])), (added, fitted)
    assert abs(times[at] - sum(b for _, b in fitted[slope]) / 5) < 2e-3 * max(1, abs(times[at])), (times, fitted)
END

# ---- what cannot be computed is said ----
mkdir -p alone && cp -r other/test/NORMAL alone/
"$PULMO" pack alone single --like run -q 2> /dev/null
expect 0 "Recalibration cannot be computed: it needs two patients with PNEUMONIA and two without" \
    "$PULMO" evaluate run --data single --recalibrate --set eval.audit=false --overlap allow
