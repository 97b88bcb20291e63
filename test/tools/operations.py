#!/usr/bin/env python3
"""The table of operations in dialects/nn/README.md, from the summaries in NnOps.td and from what `doppel-verify operations` prints
(standard input). With --write it puts the table there, without it fails where the README has another one."""
import pathlib
import re
import sys

folder = pathlib.Path(__file__).resolve().parents[2] / "dialects/nn"
begin, end = "<!-- operations: test/tools/operations.py -->\n", "<!-- end of operations -->\n"


def summaries():
    """Name -> summary, in the order of NnOps.td."""
    text, found = (folder / "NnOps.td").read_text(), {}
    pattern = r'^def \w+ : (Nn_\w+)<"(\w+)"(?:, "((?:[^"\\]|\\.)*)")?|^  let summary = "((?:[^"\\]|\\.)*)"|let summary = "((?:[^"\\]|\\.)*)"'
    name = None
    for kind, mnemonic, formula, *summary in re.findall(pattern, text, re.M):
        if mnemonic:
            name = mnemonic
            found[name] = formula if kind in ("Nn_Unary", "Nn_Binary") else None
        elif name and found[name] is None:
            found[name] = next(filter(None, summary))
    return found


def table(facts):
    texts = summaries()
    assert set(texts) == set(facts), f"NnOps.td and the dialect differ: {set(texts) ^ set(facts)}"
    lines = ["| operation | result | made by | derivative |", "| --- | --- | --- | --- |"]
    for name, text in texts.items():
        cells = [f"`{name}`", text.replace("|", "\\|"), *facts[name]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


facts = {name: rest for name, *rest in (line.split(" | ") for line in sys.stdin.read().splitlines())}
path = folder / "README.md"
readme = path.read_text()
head, rest = readme.split(begin)
old, tail = rest.split(end)
new = table(facts)
if "--write" in sys.argv:
    path.write_text(head + begin + new + end + tail)
elif old != new:
    wrong = [line for line in new.splitlines() if line not in old.splitlines()] or ["a row too many"]
    sys.exit("dialects/nn/README.md: the table of operations is out of date (doppel-verify operations | test/tools/operations.py --write):\n" + "\n".join(wrong))
