"""Writes specs for the formatter.

    format.py odd NAME            a spec of an odd form
    format.py mangle FILE SEED    FILE with other blanks inside of its lines, which mean nothing there
"""
import random
import re
import sys

size = 4 << 20
odd = {
    "empty": "",
    "blank": " \n\t\n\n   ",
    "comments": "\n\n//one\n\n\n  // two  \n///three",
    "crlf": "fn f(x) {\r\n\r\n  return x // c\r\n}\r\n\r\n\r\n",
    "bom": "\ufefffn f(x) = x",
    "cr": "fn f(x) =\r x // a\rb",
    "unicode": "fn f(x) = \"\u00e4\u00f6\u00fc\"   // \u4e2d\nfn g(x) = \"aou\"   // b\n",
    "members": "fn f(x) = x . 0 . 1 + 1 . 5 . 2 + 1 .. 2.5",
    "semicolons": ";;fn f(x) { ; let a = x ;; return a ; } ; fn g() = 1",
    "parens": "fn f(x) = " + "(\n" * 190 + "x" + "\n)" * 190,
    "lists": "fn f(x) = " + "[0, " * 190 + "x" + "\n]" * 190,
    "blocks": "fn f(x) {" + "if x {\n" * 95 + "return x" + "\n}" * 95 + "}",
    "else": "fn f(x) = (x" + "\nif x\nelse x" * 190 + ")",
    "chain": "fn f(x) = x" + "\n+ x" * 1900,
    "line": "fn f() = [" + "1," * (size // 4) + "]",
    "string": 'fn f() = "' + "a" * (size - 20) + '"',
    "comment": "//" + "a" * (size - 20),
    "lines": "fn f() = [" + "1,\n" * (size // 20) + "]",
    "far": 'fn f() = ["' + "a" * (size // 2) + '", g(' + "1,\n" * (size // 20) + ")]",
    "behind": "fn f() { let x = [" + "1,//\n" * (size // 40) + "] }",
    # Its layout is larger than a file may be.
    "grows": "fn f(x) {" + "if x {\n" * 95 + "g();\n" * (size // 8) + "}" * 96,
}

# Numbers: of `x.0.1` the parts, of `0..1` the ends.
token = re.compile(r'"(?:\\.|[^"\\])*"|\.\.\.|\.\.|==|!=|<=|>=|>>|\|>|->|\*\*|[A-Za-z_]\w*'
                   r"|(?<![^.]\.)\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?|\d+|\S")


def mangle(line, draw):
    if "//" in line:
        return line
    out, before = "", ""
    for match in token.finditer(line):
        words = re.match(r"\w", match[0]) and re.search(r"\w$", before)
        out += draw.choice([" ", "  ", "\t"] if words else ["", "", " ", " \t "])
        out += match[0]
        before = match[0]
    return out + draw.choice(["", " ", "\t"])


def main():
    if sys.argv[1] == "odd":
        text = odd[sys.argv[2]]
    else:
        draw = random.Random(sys.argv[3])
        with open(sys.argv[2], encoding="utf-8") as file:
            text = "\n".join(mangle(line, draw) for line in file.read().split("\n"))
    sys.stdout.buffer.write(text.encode())


main()
