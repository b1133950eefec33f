#!/usr/bin/env python3
"""docs/images/accuracy.svg: what study.py measured, to look at.

    chart.py WORK OUT.svg RECIPE...      runs of WORK/runs/RECIPE-family-SEED

A row a recipe and validation: accuracy at 0.5 (ring) and at the recipe's own rule (disc), means over seeds; thin marks are single
seeds at the rule; the mean AUC stands at the right. Needs h5py and numpy.
"""
import pathlib
import sys

import numpy as np

import study

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")  # Okabe and Ito's, told apart by the colour-blind
LEFT, WIDTH, RIGHT, LINE, GAP, TOP = 250, 460, 90, 20, 34, 56
LOW, HIGH = 0.6, 1.0


def figures_of(run, name, rule):
    scored = [run] if name == "family" else study.validations_of(run)[name]
    return np.mean([study.figures(run, s, rule) for s in scored], 0)[:2]


def place(accuracy):
    return LEFT + WIDTH * (max(accuracy, LOW) - LOW) / (HIGH - LOW)


def text(x, y, what, anchor="start", weight="normal", fill="#222"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}" fill="{fill}">{what}</text>'


def row(y, recipe, colour, plain, ruled):
    """plain, ruled: (AUC, accuracy) a seed."""
    x0, x1 = place(np.mean(plain, 0)[1]), place(np.mean(ruled, 0)[1])
    out = [text(LEFT - 12, y + 4, recipe, "end", fill=colour), f'<line x1="{x0:.1f}" x2="{x1:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>']
    out += [f'<line x1="{place(a):.1f}" x2="{place(a):.1f}" y1="{y - 7}" y2="{y + 7}" stroke="{colour}"/>' for _, a in ruled]
    out += [f'<circle cx="{x0:.1f}" cy="{y}" r="4.5" fill="#fff" stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{x1:.1f}" cy="{y}" r="5" fill="{colour}"/>',
            text(LEFT + WIDTH + RIGHT - 12, y + 4, f"{np.mean(ruled, 0)[0]:.3f}", "end")]
    return out


def main():
    work, to, recipes = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    if not 0 < len(recipes) <= len(COLOURS):
        sys.exit(__doc__ + f"\n1 to {len(COLOURS)} recipes, not {len(recipes)}")
    body, y = [], TOP
    for name in ("family", "re-exposed", "reshaped", "closer normals"):
        body.append(text(16, y + 4, name, weight="bold"))
        for recipe, colour in zip(recipes, COLOURS):
            runs = sorted((work / "runs").glob(f"{recipe}-family-*"))
            at = [[figures_of(run, name, rule) for run in runs] for rule in ("0.5", study.rule_of(recipe))]
            body += row(y, recipe, colour, *at)
            y += LINE
        y += GAP - LINE
    bottom = y - GAP + LINE
    grid = []
    for tick in np.arange(LOW, HIGH + 1e-9, 0.05):
        x = place(tick)
        grid += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 16}" y2="{bottom}" stroke="#ddd"/>', text(x, bottom + 18, f"{tick:.2f}", "middle")]
    head = [text(LEFT, 24, "accuracy: ring at 0.5, disc at the recipe's rule, mark a seed"), text(LEFT + WIDTH + RIGHT - 12, 24, "AUC", "end")]
    size = (LEFT + WIDTH + RIGHT, bottom + 34)
    to.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" font-family="sans-serif" font-size="13">\n'
                  f'<rect width="{size[0]}" height="{size[1]}" fill="#fff"/>\n' + "\n".join(grid + head + body) + "\n</svg>\n")


if __name__ == "__main__":
    main()
