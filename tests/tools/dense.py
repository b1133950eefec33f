"""Three things that this code does not do, since a reader has to hold too much at once:

    python3 dense.py FILE...

a conditional operator inside another, a comma operator in a return, an assignment through a
conditional operator (`*(c ? &a : &b) = x`). Exit status 1 where one is found.
"""
import re
import sys

TEXTS = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.S)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def without_texts(source):
    """The code alone, each character where it was."""
    source = TEXTS.sub(blank, source)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, source, flags=re.M)


def statements(code):
    """(offset, text) between semicolons and braces."""
    begin = 0
    for match in re.finditer(r"[;{}]", code):
        yield begin, code[begin:match.start()]
        begin = match.end()


def top_level_comma(text):
    depth = 0
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            return True
    return False


def nested_conditional(text):
    """Whether two conditional operators stand within one another. Arguments of a call that each
    have one are separate: a comma or a closing bracket ends a conditional operator."""
    open_at = [0]
    for c in text:
        if c in "([":
            open_at.append(open_at[-1])
        elif c in ")]":
            if len(open_at) > 1:
                open_at.pop()
        elif c == ",":
            open_at[-1] = open_at[-2] if len(open_at) > 1 else 0
        elif c == "?":
            open_at[-1] += 1
            if open_at[-1] > 1:
                return True
    return False


def findings(path):
    with open(path, encoding="utf-8") as file:
        code = without_texts(file.read())
    for offset, text in statements(code):
        line = code.count("\n", 0, offset + len(text) - len(text.lstrip())) + 1
        if nested_conditional(text):
            yield line, "a conditional operator inside another"
        returned = re.search(r"\breturn\b(.*)$", text, re.S)
        if returned and top_level_comma(returned.group(1)):
            yield line, "a comma operator in a return"
        if re.match(r"\s*\*\s*\([^=]*\?[^=]*:[^=]*\)\s*[-+*/|&]?=[^=]", text):
            yield line, "an assignment through a conditional operator"


def main():
    found = 0
    for path in sys.argv[1:]:
        for line, what in findings(path):
            print(f"{path}:{line}: {what}")
            found += 1
    sys.exit(1 if found else 0)


main()
