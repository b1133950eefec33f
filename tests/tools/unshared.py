"""What stands in include/pulmo and crosses no wall: functions, variables and macros that only their own room uses.

    sed -n "/^rooms='/,/^'/p" tests/cli/test_rooms.sh | python3 tests/tools/unshared.py

Reads the table of rooms. A use counts in any other room, in tests of any other room or of the whole
program, and (for macros) in a public header. Prints "header: name" a line; the exit status is 1
where there are any.
"""
import glob
import os
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
WORD = re.compile(r"\b(?:pulmo|PULMO)_\w+")


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return COMMENT.sub(" ", file.read())


def owners(table):
    """Room of each public header, by the table's lines "room | headers | rooms below"."""
    owner = {}
    for line in table:
        columns = [c.strip() for c in line.split("|")]
        if len(columns) == 3:
            owner.update({header: columns[0] for header in columns[1].split()})
    return owner


def folder_of(path):
    parts = path.split("/")
    if parts[0] == "data-prep":
        return "data-prep"
    return {"prep": "data-prep"}.get(parts[1], parts[1])


def declared(text):
    """Functions, variables and macros that a header declares."""
    code = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))
    code = re.sub(r"\\\n", " ", code)
    flat = re.sub(r"\{[^{}]*\}", "", re.sub(r"\{[^{}]*\}", "", code))
    names = set()
    for declaration in flat.split(";"):
        declaration = re.sub(r"__attribute__\s*\(\(.*?\)\)\)?", "", declaration, flags=re.S)
        if "typedef" in declaration:
            continue
        function = re.search(r"\b(pulmo_\w+)\s*\(", declaration)
        variable = re.search(r"\bextern\b.*\b(pulmo_\w+)\s*(\[|$)", declaration, re.S)
        if function:
            names.add(function.group(1))
        elif variable:
            names.add(variable.group(1))
    macros = set(re.findall(r"^#define (PULMO_\w+)", text, re.M))
    return names, {m for m in macros if not m.endswith("_H")}


def main():
    owner = owners(sys.stdin)
    assert owner, "no table of rooms on stdin"
    used = {}
    sources = [p for top in ("src", "data-prep", "tests") for kind in "ch"
               for p in glob.glob(f"{top}/**/*.{kind}", recursive=True)]
    for path in sources:
        for word in set(WORD.findall(text_of(path))):
            used.setdefault(word, set()).add(folder_of(path))
    headers = {p: text_of(p) for p in sorted(glob.glob("include/pulmo/*.h"))}
    found = 0
    for path, text in headers.items():
        room = owner.get(os.path.basename(path)[:-2])
        names, macros = declared(text)
        in_headers = " ".join(re.sub(r"^#define PULMO_\w+", "", t, flags=re.M) for t in headers.values())
        mentioned = set(WORD.findall(in_headers))
        for name in sorted(names | macros):
            if used.get(name, set()) - {room}:
                continue
            if name in macros and name in mentioned:
                continue
            # What a macro of a header calls is used where the macro is.
            if re.search(rf"#define (?:[^\n]*\\\n)*[^\n]*\b{name}\b\s*\(", text) and name not in macros:
                continue
            print(f"{path}: {name}")
            found += 1
    print(f"{found} public names that only their own room uses")
    sys.exit(found > 0)


main()
