#!/usr/bin/env python3
"""The charts of docs/explanation/accuracy.md, drawn from the page's own tables, so that neither can say what the other does not.

    dots.py PAGE.md            writes every chart that a line "<!-- dots: FILE.svg LOW HIGH | COLUMN | ... -->" of the page asks for
    dots.py --check PAGE.md    status 1 and their names where charts are not what the page's tables say

The table is the first one below that line. FILE is relative to the page. A row of the table is a row of the chart, a disc a column's
first number in it, a bar its interval: "(a–b)" or "± s". A cell that has no number has no disc.
"""
import html
import pathlib
import re
import sys
import textwrap

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito's, told apart by the colour-blind
LEFT, WIDTH, RIGHT, LINE, ROW = 320, 460, 40, 15, 44
LABEL = 42  # characters a line
ASKED = re.compile(r"<!-- dots: (\S+) (\S+) (\S+) \|(.+?)-->")


def cells(line):
    return [re.sub(r"[*`¹²]", "", cell).strip() for cell in line.strip().strip("|").split("|")]


def table_below(lines):
    """(head, rows)"""
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append(cells(line))
    return rows[0], rows[2:]


def reading(cell):
    """(value, low, high), or None where the cell has no number"""
    cell = cell.replace("−", "-")
    number = re.match(r"-?\d+(\.\d+)?", cell)
    if not number:
        return None
    value = float(number[0])
    interval = re.match(r"\((-?[\d.]+)–(-?[\d.]+)\)", cell[number.end():].strip())
    spread = re.match(r"± ([\d.]+)", cell[number.end():].strip())
    if interval:
        return value, float(interval[1]), float(interval[2])
    by = float(spread[1]) if spread else 0.0
    return value, value - by, value + by


def text(x, y, what, anchor="start", fill="#222"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{fill}">{html.escape(what)}</text>'


def ticks(low, high):
    step = next(s for s in (0.01, 0.02, 0.05, 0.1) if (high - low) / s <= 10)
    count = round((high - low) / step)
    return [low + step * i for i in range(count + 1)]


def dots(y, readings, place):
    out, middle = [], (len(readings) - 1) / 2
    for i, (read, colour) in enumerate(zip(readings, COLOURS)):
        if read is None:
            continue
        value, low, high = (place(part) for part in read)
        at = y + 9 * (i - middle)
        out.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{at:.1f}" y2="{at:.1f}" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<circle cx="{value:.1f}" cy="{at:.1f}" r="4.5" fill="{colour}"/>')
    return out


def drawn(head, rows, columns, low, high):
    def place(value):
        return LEFT + WIDTH * (min(max(value, low), high) - low) / (high - low)

    body, top = [], 20 + 18 * len(columns)
    height = max(ROW, 9 * len(columns) + 16)
    for number, row in enumerate(rows):
        y = top + height * number + height / 2
        label = textwrap.wrap(row[0], LABEL, max_lines=2, placeholder=" …")
        body += [text(LEFT - 12, y + 4 + LINE * (i - (len(label) - 1) / 2), part, "end") for i, part in enumerate(label)]
        body += dots(y, [reading(row[head.index(column)]) for column in columns], place)
    bottom = top + height * len(rows)
    grid = []
    for tick in ticks(low, high):
        x = place(tick)
        grid += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#ddd"/>', text(x, bottom + 18, f"{tick:.2f}", "middle")]
    named = [text(LEFT, 20 + 18 * i, "● " + column, fill=colour) for i, (column, colour) in enumerate(zip(columns, COLOURS))]
    size = (LEFT + WIDTH + RIGHT, bottom + 32)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" font-family="sans-serif" font-size="13">\n'
            f'<rect width="{size[0]}" height="{size[1]}" fill="#fff"/>\n' + "\n".join(grid + named + body) + "\n</svg>\n")


def charts(page):
    """(file, SVG) of every chart that the page asks for"""
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines):
        asked = ASKED.match(line)
        if not asked:
            continue
        head, rows = table_below(lines[number:])
        columns = cells(asked[4])
        if len(columns) > len(COLOURS):
            sys.exit(f"{page}:{number + 1}: at most {len(COLOURS)} columns")
        yield page.parent / asked[1], drawn(head, rows, columns, float(asked[2]), float(asked[3]))


def main():
    check = "--check" in sys.argv
    pages = [name for name in sys.argv[1:] if name != "--check"]
    if len(pages) != 1:
        sys.exit(__doc__)
    old = []
    for path, svg in charts(pathlib.Path(pages[0])):
        if not check:
            path.write_text(svg)
        elif not path.exists() or path.read_text() != svg:
            old.append(str(path))
    if old:
        sys.exit(f"{' '.join(old)}: not what the tables say; python3 bench/accuracy/dots.py {pages[0]} draws them anew")


if __name__ == "__main__":
    main()
