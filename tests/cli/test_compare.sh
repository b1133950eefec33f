#!/usr/bin/env bash
# pulmo compare: CSVs of scores, a run and an evaluation on the same images, with figures that python3 works out again.
. "$PULMO_SOURCE/tests/cli/common.sh"
command -v python3 >/dev/null || { echo "no python3: skipped"; exit 77; }

# ---- scores of any program ----
python3 - <<'PY'
import math, random
random.seed(3)
rows = []
for i in range(240):
    patient, noise = i // 2, random.gauss(0, 1)
    sick = patient % 2 == 0
    rows.append((f"im{i}.png", f"p{patient}", "SICK" if sick else "WELL",
                 *(round(1 / (1 + math.exp(-(g * sick - 0.8 + noise / 2 + random.gauss(0, 1)))), 3) for g in (1.4, 2.0))))
with open("a.csv", "w") as out:
    out.write("path,patient,label,p_WELL,p_SICK\n")
    out.writelines(f"{n},{p},{t},{1 - a:.3f},{a:.3f}\n" for n, p, t, a, b in rows)
with open("b.csv", "w") as out:
    out.write("image;truth;SICK\n")
    out.writelines(f"{n};{t};{b:.3f}\n" for n, p, t, a, b in rows[3:])
with open("c.csv", "w") as out:
    out.write("path,label,p_SICK\n")
    out.writelines(f"{n},{t},{b:.3f}\n" for n, p, t, a, b in reversed(rows))
PY
expect 2 "--class" "$PULMO" compare a.csv b.csv
expect 65 'has no class "ILL"' "$PULMO" compare a.csv b.csv --class ILL
expect 2 "two models are needed" "$PULMO" compare a.csv
expect 2 "--margin 2: must be above 0 and below 1" "$PULMO" compare a.csv b.csv --class SICK --margin 2
expect 74 "nothing.csv: cannot be opened" "$PULMO" compare a.csv nothing.csv --class SICK
sed 's/im5.png,p2,SICK/im5.png,p2,WELL/' a.csv > other.csv
expect 65 '"im5.png" is WELL here and SICK in a.csv' "$PULMO" compare a.csv other.csv --class SICK
sed 's/^im/x\/im/' a.csv > moved.csv
expect 65 'have no image in common: paths are compared as they are written, as "im0.png" and "x/im0.png"' \
    "$PULMO" compare a.csv moved.csv --class SICK

"$PULMO" compare a.csv b.csv --class SICK --margin 0.05 --out d > text.txt
grep -qF "Compared on 237 images: 118 with SICK, 119 without" text.txt || fail "the images"
grep -qF "by patient (119 patients)" text.txt || fail "the patients"
grep -qF "Missing in B: 3 images: im0.png, im1.png, im2.png" text.txt || fail "what is missing"
"$PULMO" compare a.csv b.csv c.csv --class SICK --format json > three.json
printf 'missing_in,path\nB,im0.png\nB,im1.png\nB,im2.png\n' | cmp - d/missing.csv
python3 - <<'PY'
import csv, json, math
def table(name, delimiter=","):
    return list(csv.DictReader(open(name), delimiter=delimiter))
b = {r["image"]: float(r["SICK"]) for r in table("b.csv", ";")}
rows = [(r["path"], r["patient"], r["label"] == "SICK", float(r["p_SICK"]), b[r["path"]]) for r in table("a.csv") if r["path"] in b]
two, three = json.load(open("d/compare.json")), json.load(open("three.json"))
near = lambda x, y: abs(x - y) <= 1e-9 * max(1, abs(y))
def wins(s, t): return (s > t) + (s == t) / 2
def area(k):
    """The AUC and the placements less it, per patient: Obuchowski 1997."""
    pos, neg = [r for r in rows if r[2]], [r for r in rows if not r[2]]
    auc = sum(wins(p[k], n[k]) for p in pos for n in neg) / len(pos) / len(neg)
    x, y = {}, {}
    for p in pos: x[p[1]] = x.get(p[1], 0) + sum(wins(p[k], n[k]) for n in neg) / len(neg) - auc
    for n in neg: y[n[1]] = y.get(n[1], 0) + sum(wins(p[k], n[k]) for p in pos) / len(pos) - auc
    return auc, x, y, len(pos), len(neg)
a1, x1, y1, m, n = area(3)
a2, x2, y2, m, n = area(4)
dx, dy = [x2[p] - x1[p] for p in x1], [y2[p] - y1[p] for p in y1]
def part(v, size): return len(v) / (len(v) - 1) * sum(e * e for e in v) / size**2
se = math.sqrt(part(dx, m) + part(dy, n))  # no patient is on both sides
pair = two["pairs"][0]
assert near(pair["auc"]["value"], a2 - a1) and near(pair["auc"]["standard_error"], se), (pair["auc"], a2 - a1, se)
assert near(pair["auc"]["p"], math.erfc(abs(a2 - a1) / se / math.sqrt(2)))
assert near(pair["auc"]["low"], a2 - a1 - 1.959963984540054 * se)
assert pair["auc"]["not_inferior"] == (pair["auc"]["low"] > -0.05)
right = [[(r[k] >= 0.5) == r[2] for r in rows] for k in (3, 4)]
only = [sum(p and not q for p, q in zip(*right)), sum(q and not p for p, q in zip(*right))]
assert only == [pair["only_first_right"]["count"], pair["only_second_right"]["count"]]
tail = sum(math.comb(sum(only), k) for k in range(min(only) + 1)) / 2**sum(only)
assert near(pair["mcnemar_p_by_image"], min(1, 2 * tail))
found = [sum(r[k] >= 0.5 for r in rows if r[2]) / m for k in (3, 4)]
assert near(pair["sensitivity"]["value"], found[1] - found[0])
assert pair["sensitivity"]["low"] < found[1] - found[0] < pair["sensitivity"]["high"]
differ = table("d/differences.csv")
assert len(differ) == sum(only) and {r["path"] for r in differ} == {r[0] for r, p, q in zip(rows, *right) if p != q}
# B and C are one model: nothing sets them apart, and Holm takes three tests for three.
same = three["pairs"][2]
assert same["auc"]["value"] == 0 and same["auc"]["p"] == 1 and same["accuracy"]["p"] == 1
p = [q["auc"]["p"] for q in three["pairs"]]
assert near(three["pairs"][0]["auc"]["p_holm"], min(1, 3 * min(p[0], p[1]))), p
PY
grep -q "Right in A alone" d/compare.html || fail "the page"

# Names of patients may differ, who is who may not.
python3 - <<'PY'
import csv
rows = list(csv.DictReader(open("a.csv")))
for name, patient in (("named.csv", lambda old, i: "Q" + old), ("others.csv", lambda old, i: f"x{i // 3}")):
    with open(name, "w", newline="") as file:
        out = csv.DictWriter(file, rows[0])
        out.writeheader()
        out.writerows({**row, "patient": patient(row["patient"], i)} for i, row in enumerate(rows))
PY
"$PULMO" compare a.csv named.csv --class SICK > named.txt 2>&1 || fail "other names of patients"
! grep -q "tell patients apart" named.txt || fail "other names are called other patients"
expect 0 "tell patients apart in other ways" "$PULMO" compare a.csv others.csv --class SICK

# Of one class nothing can be said about an area, and that is said.
grep -E 'path|SICK' a.csv > sick.csv
"$PULMO" compare sick.csv a.csv --class SICK > one.txt
grep -qF "undefined (every image has the finding)" one.txt || { cat one.txt; fail "one class"; }

# ---- runs ----
make_small
small_train run > /dev/null
"$PULMO" evaluate run --data packed --set eval.threshold=0.9 --out ev > /dev/null
"$PULMO" compare run ev run/predictions.csv --format json > runs.json
python3 - <<'PY'
import json
runs = json.load(open("runs.json"))
assert runs["models"][1]["threshold"] == 0.9, runs["models"]
for pair in runs["pairs"]:
    assert abs(pair["auc"]["value"]) < 1e-12 and pair["auc"]["p"] == 1
assert runs["models"][0]["sensitivity"] == runs["models"][2]["sensitivity"]
assert runs["sample"]["images"] == 9 and runs["sample"]["few_patients"], runs["sample"]
PY
expect 2 "--out run: holds results of a run" "$PULMO" compare run ev --out run
[ ! -e run/compare.html ] || fail "a comparison is written into a run"
expect 65 'holds no scores of the split "train"' "$PULMO" compare run ev --split train
