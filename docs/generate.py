#!/usr/bin/env python3
"""Writes the parts of the docs that have their source elsewhere: the library's section of language.md from the doc comments of
frontends/spec/std, and errors.md from the catalogue frontends/spec/Errors.def. With --check it changes nothing and fails if
a part is out of date."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
begin, end = "<!-- library: docs/generate.py -->\n", "<!-- end of library -->\n"


def declarations(text):
    """(signatures, kind, documentation) of the declarations at the top of a module; one without words of its own, right below
    another, shares that one's."""
    found = []
    for match in re.finditer(r"((?:^///.*\n)*)^(fn|net|augment) (\w+)\(", text, re.M):
        depth, position = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[position], 0)
            position += 1
        signature = f"{match[3]}({' '.join(text[match.end() : position - 1].split())})"
        if match[1]:
            found.append(([signature], match[2], " ".join(line[3:].strip() for line in match[1].splitlines())))
        elif not text[: match.start()].endswith("\n\n") and found:
            found[-1][0].append(signature)
    return found


def library():
    parts = []
    for name in ["prelude", "schedules", "nets", "losses", "augment", "images"]:
        path = root / "frontends/spec/std" / f"{name}.dpl"
        opened = " (always open)" if name in ("prelude", "schedules") else ""
        parts.append(f"### std.{name}{opened}\n\n")
        for signatures, kind, documentation in declarations(path.read_text()):
            names = ", ".join(f"`{signature}`" for signature in signatures)
            note = "" if kind == "fn" else f" *{kind}*"
            parts.append(f"- {names}{note}: {documentation}\n")
        parts.append("\n")
    return "".join(parts)


def errors():
    text = (root / "frontends/spec/Errors.def").read_text()
    entries = re.findall(r'^DIAGNOSTIC\((\w+), \w+, "((?:[^"\\]|\\.)*)",\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)', text, re.M)
    assert len(entries) == len(re.findall(r"^DIAGNOSTIC\(", text, re.M)), "an entry is not understood"
    parts = ["# Messages\n\nWhat the compiler of specs says, by code; `doppel explain CODE` prints the same. Made by docs/generate.py from "
             "frontends/spec/Errors.def.\n"]
    titles = {"E00": "Text", "E01": "Syntax", "E02": "Names", "E03": "Types and shapes", "E04": "Methods", "W05": "Warnings", "E06": "Targets"}
    group = None
    for code, title, explanation in entries:
        if code[:3] != group:
            group = code[:3]
            parts.append(f"\n## {titles[group]}\n\n")
            if group == "W05":
                parts.append('One that is meant is silenced where it stands: `allow W0504 "why"` on the line before (language.md).\n\n')
        joined = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', explanation))
        plain = re.sub(r"\\(.)", r"\1", joined)
        parts.append(f"- **{code}** {title}. {plain}\n")
    return "".join(parts)


def main():
    language = root / "docs/language.md"
    old = language.read_text()
    head, _, rest = old.partition(begin)
    _, _, tail = rest.partition(end)
    wanted = {language: head + begin + "\n" + library() + end + tail, root / "docs/errors.md": errors()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(root)} is out of date: run docs/generate.py")
        sys.exit(bool(stale))
    for path in stale:
        path.write_text(wanted[path])


main()
