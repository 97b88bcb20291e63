"""Writes a spec that goes beyond one limit."""
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
    "double": "fn f0(x) = x + 1\n"
              + "".join(f"fn f{i}(x) = f{i - 1}(x) + f{i - 1}(x)\n" for i in range(1, 60))
              + "method M {\n  param batch = 4\n  param epochs = 2\n  let a = f59(1)\n  loss a\n}\n",
    "many": "method M {\n" + "  let x = 1 2\n" * 500 + "}\n",
}
sys.stdout.buffer.write(texts[sys.argv[1]].encode("latin-1"))
