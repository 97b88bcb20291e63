"""Writes a spec that goes beyond one limit of the parser."""
import sys

n = 50000
texts = {
    "paren": "fn f(x) = " + "(" * n + "x" + ")" * n,
    "minus": "fn f(x) = " + "-" * n + "x",
    "blocks": "fn f(x) { " + "if x { " * n,
    "else": "fn f(x) { " + "if x { } else " * n + "{ } }",
    "types": "fn f(x: " + "[" * n,
    "sum": "fn f(x) = " + "x + " * n + "x",
    "members": "fn f(x) = x" + ".a" * n,
    "large": "// " + "a" * 5000000,
    "latin": "fn f(x) = x\n// caf\u00e9\n",
    "zero": "fn f(x) = x \0 y",
    "many": "method M {\n" + "  let x = 1 2\n" * 500 + "}\n",
}
sys.stdout.buffer.write(texts[sys.argv[1]].encode("latin-1"))
