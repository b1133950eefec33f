"""Checks a report.html by itself: tags close, nothing but data: is loaded, no script, every image and plot
has words for those who do not see it.   python3 page.py report.html [TEXT-THAT-MUST-BE-SHOWN ...]"""
import re
import sys
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input"}
LOADS = {"src", "href", "data", "action", "poster", "srcset", "xlink:href", "background", "formaction"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.ids, self.images, self.plots, self.headings = [], [], [], 0, 0, []

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        assert tag not in ("script", "iframe", "object", "embed", "form", "base"), f"<{tag}>"
        for name, value in attributes:
            assert not name.startswith("on"), f"{name} in <{tag}>"
            if name in LOADS:
                assert value.startswith("data:"), f"<{tag} {name}={value[:60]}>"
        assert "url(" not in a.get("style", "") and len(a) == len(attributes), a
        if tag == "img":
            self.images += 1
            assert a["alt"].strip() and a["width"] and a["height"]
        if tag == "svg":
            self.plots += 1
            assert a["role"] == "img" and a["aria-label"].strip()
        if tag == "html":
            assert a["lang"] == "en"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if "style" in self.open:
            assert "url(" not in data and "@import" not in data
        else:
            self.text.append(data)
            if self.open and self.open[-1] in ("h1", "h2", "h3"):
                self.headings.append(self.open[-1])


raw = open(sys.argv[1], "rb").read()
source = raw.decode("utf-8")  # strictly
page = Page()
page.feed(source)
page.close()
assert not page.open, page.open
text = " ".join("".join(page.text).split())
levels = [int(h[1]) for h in page.headings]
assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:])), levels
assert "prefers-color-scheme:dark" in source and "@media print" in source and "<meta name=\"viewport\"" in source
assert not re.search(r"nan|inf\b", re.sub(r"base64,[^\"]*", "", " ".join(re.findall(r"<(?:path|circle|line|rect|text) [^>]*>", source)))), "a plot with NaN"
# Values along an upright axis are round: their step is 1, 2 or 5 of some power of ten.
for plot in re.findall(r"<svg class=\"plot\".*?</svg>", source, re.S):
    ticks = re.findall(r'<text class="tick"[^>]*text-anchor="end"[^>]*>([^<]*)</text>', plot)
    if len(ticks) > 2 and all(re.fullmatch(r"[-−]?\d+(\.\d+)?", t) for t in ticks):
        values = sorted({float(t.replace("−", "-")) for t in ticks})
        steps = {f"{b - a:.6g}" for a, b in zip(values, values[1:])}
        assert len(steps) == 1 and re.fullmatch(r"0*\.?0*[125]0*", steps.pop()), f"ticks {ticks}"
for wanted in ["Research software, not a medical device"] + sys.argv[2:]:
    assert " ".join(wanted.split()) in text, f"not shown: {wanted}"
print(f"{len(raw)} bytes, {page.images} images, {page.plots} plots: whole, quiet and described")
