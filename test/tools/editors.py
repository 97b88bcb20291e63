# Checks the highlighting of specs in docs/editors against the compiler's own tables. Prints what is missing; fails if anything is.
#
#   editors.py ROOT                 the JSON files can be read, and every word of the language is known to both editors
#   editors.py ROOT --scopes SPEC   what the grammar of VS Code makes of a spec: a line, then its tokens with their scopes
#
# The words: reserved ones from Tokens.def, words of the grammar from the parser (Parse*.cpp asks for them by name), types from
# EvaluateTypes.cpp, functions from the tables of Builtins*.cpp.
import json
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
spec = root / "frontends" / "spec"
code = root / "docs" / "editors" / "vscode"
vim = root / "docs" / "editors" / "vim"


def found(pattern, *names):
    words = [word for name in names for path in sorted(spec.glob(name)) for word in re.findall(pattern, path.read_text(), re.M)]
    assert words, f"{names} have nothing like {pattern}; this script no longer understands them"
    return list(dict.fromkeys(words))


def words_of_the_language():
    """(what it is, word, lines in which it is highlighted)"""
    for word in found(r'^KEYWORD\(\w+, "(\w+)"\)', "Tokens.def"):
        yield "reserved word", word, [f"{word} (x)", f"  let y = x {word} z"]
    for word in found(r'\.Case\("(\w+)", StmtKind::', "ParseItems.cpp"):
        yield "item", word, [f"  {word} name = x", f"if c {{ {word} name = x }}", f"  {word}(x) {{"]
    for word in found(r'(?:atWord|acceptWord)\("(\w+)"\)', "Parse*.cpp"):
        yield "word", word, [f"{word} name(x) {{", f"{word} name {{", f"  x {word} loss", f"  x {word} forward", f'use "x" {word} y',
                             f"use {word}.x", f"  x after {word}", f"  x before {word}", f"  x {word} y"]
    [table] = found(r"known\[\] = \{([^}]*)\}", "EvaluateTypes.cpp")
    for word in re.findall(r'"(\w+)"', table):
        yield "type", word, [f"fn f(x: {word}, y)", f"  state x: {word}[n] = y"]
    for word in found(r'^\s+\{"([\w.]+)",', "Builtins*.cpp"):
        yield "function", word, [f"  let x = {word}(y)", f"  let x = [0..{word}(y)]"]


# The grammar of VS Code: as much of a TextMate grammar as ours uses, by Python's regular expressions.


class Grammar:
    def __init__(self, grammar):
        self.repository = grammar["repository"]
        self.top = list(self.flatten(grammar["patterns"]))

    def flatten(self, patterns):
        for pattern in patterns:
            if "include" in pattern:
                yield from self.flatten(self.repository[pattern["include"][1:]]["patterns"])
            elif "begin" in pattern:
                inner = list(self.flatten(pattern.get("patterns", [])))
                yield re.compile(pattern["begin"]), re.compile(pattern["end"]), pattern["name"], inner
            else:
                captures = {int(group): capture["name"] for group, capture in pattern.get("captures", {}).items()}
                yield re.compile(pattern["match"]), None, pattern.get("name"), captures

    def tokens(self, line):
        """(begin, end, scope) of what is highlighted in a line."""
        yield from self.scan(line, 0, self.top, None, None)

    def scan(self, line, position, rules, end, scope):
        while position < len(line):
            matches = [(match.start(), n) for n, rule in enumerate(rules) if (match := rule[0].search(line, position))]
            closing = end.search(line, position) if end else None
            if not matches or (closing and closing.start() <= min(matches)[0]):
                break
            start, n = min(matches)
            pattern, rule_end, name, inner = rules[n]
            match = pattern.match(line, start)
            if rule_end:
                position = yield from self.scan(line, match.end(), inner, rule_end, name)
                yield start, position, name
                continue
            if name:
                yield *match.span(), name
            for group, capture in inner.items() if name is None else ():
                if match.span(group)[0] < match.span(group)[1]:
                    yield *match.span(group), capture
            position = max(match.end(), position + (match.end() == position))
        if end:
            closing = end.search(line, position)
            return closing.end() if closing else len(line)


# The syntax file of Vim: which words its items name.


def vim_words(text):
    text = re.sub(r'^\s*".*$', "", text, flags=re.M)
    words = set()
    for line in text.splitlines():
        if match := re.match(r"syn keyword \w+ (.*)", line):
            words.update(match[1].split())
        elif match := re.match(r"syn match \w+ /(.*)/", line):
            words.update(re.findall(r"[a-z_]\w*", re.sub(r"\\z[se]|\\[a-zA-Z<>]|\\[@%]\d*", " ", match[1])))
    return words


def highlighted(grammar, word, line):
    """Whether each part of `word` has a scope of its own in `line`, other than that of any name."""
    general = ("variable.", "entity.")
    scopes = {line[begin:end]: scope for begin, end, scope in grammar.tokens(line)}
    return all(not scopes.get(part, "variable.").startswith(general) for part in word.split("."))


def main():
    package = json.loads((code / "package.json").read_text())
    contributed = package["contributes"]["languages"] + package["contributes"]["grammars"]
    for path in [entry[key] for entry in contributed for key in ("configuration", "path") if key in entry]:
        json.loads((code / path).read_text())
    [entry] = package["contributes"]["grammars"]
    tree = json.loads((code / entry["path"]).read_text())
    assert tree["scopeName"] == entry["scopeName"]
    grammar = Grammar(tree)
    if "--scopes" in sys.argv:
        for line in pathlib.Path(sys.argv[-1]).read_text().splitlines():
            print("|" + line)
            for begin, end, scope in sorted(grammar.tokens(line)):
                print(f"  {line[begin:end]}: {scope.removesuffix('.dpl')}")
        return 0
    known = vim_words((vim / "syntax" / "dpl.vim").read_text())
    missing = count = 0
    for kind, word, lines in words_of_the_language():
        count += 1
        if not any(highlighted(grammar, word, line) for line in lines):
            print(f"docs/editors/vscode/{entry['path'].removeprefix('./')}: the {kind} '{word}' is not highlighted")
            missing += 1
        if not known.issuperset(word.split(".")):
            print(f"docs/editors/vim/syntax/dpl.vim: the {kind} '{word}' is not highlighted")
            missing += 1
    print(f"{count} words, {missing} missing")
    return 1 if missing else 0


sys.exit(main())
