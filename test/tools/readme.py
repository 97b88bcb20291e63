# Does what a page of documentation shows, so that it stays true.
#
#   readme.py PAGE FOLDER             in FOLDER, which has a link to examples/: specs and commands
#   readme.py --specs PAGE FOLDER     the specs alone
#   readme.py --whole PAGE FOLDER     the commands of console-long on built-in data as they stand, which takes minutes
#
# Kinds of code blocks, by the words behind their fence; other kinds (text, ebnf, ...) are only read:
#
#   dpl [FILE]              a spec. It is written as FILE and checked; one without a method waits for a spec that uses it. A FILE in a
#                           folder (examples/x.dpl) exists already and must be the same, byte for byte.
#   dpl-fragment            declarations and items of a method, without the rest. `frame` adds what they name and what every
#                           method has, and the whole is checked.
#   dpl-error CODE... [FILE]    a spec or a fragment with exactly these errors, which the text of the page names
#   dpl-warning CODE...     the same with these among its warnings, and no errors
#   console                 commands, one a line; each succeeds
#   console-long            the same, made short unless --whole: few steps on few images; where the data are the reader's, only compiled
#   console-error           `$ command`, which fails, and all that it prints
import os
import re
import shlex
import subprocess
import sys

# What a fragment may name without declaring it, in an order in which it can stand in a method.
FRAME = {
    "batch": "param batch = 8",
    "epochs": "param epochs = 4",
    "samples": "param samples = 64",
    "size": "param size = 16",
    "dim": "param dim = 16",
    "a": "view a = augment.center(image, size)",
    "b": "view b = augment.center(image, size)",
    "index": "let index = sample_index(image)",
    "encoder": 'let encoder = nets.resnet10(width: 4, stem: "cifar")',
    "online": "net online = backbone: encoder >> head: nets.mlp([encoder.features, 2 * dim, dim], norm: true)",
    "predictor": "net predictor = nets.mlp([dim, dim])",
    "key": "net key = ema(online, 0.99)",
    "queue": "state queue: f32[4 * batch, dim] = normalize(random.normal())",
    "bank": "state bank: f32[samples, dim] = normalize(random.normal())",
    "za": "let za = normalize(online(a))",
    "zb": "let zb = normalize(online(b))",
}
ALWAYS = {
    "loss": "loss mean(kept(augmented))",
    "optimize": "optimize kept with sgd(lr: 0.1)",
    "represent": "represent kept(augment.center(image, 16))",
}
KEPT = """  view augmented = augment.center(image, 16)
  net kept = pool >> nets.linear(3, 4)
"""


def without_comments(text):
    return re.sub(r"//.*", "", text)


def chunks(text):
    """The statements at the top of a fragment, comments with what follows them. A line that is not indented begins one."""
    parts, depth = [""], 0
    for line in text.splitlines():
        if depth == 0 and line[:1] not in ("", " ", "}", ")", "]") and without_comments(parts[-1]).strip():
            parts.append("")
        parts[-1] += line + "\n"
        code = without_comments(re.sub(r'"(?:[^"\\]|\\.)*"', "", line))
        depth += sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")
    return parts


def frame(fragment):
    """The fragment as a whole spec."""
    declarations, items = [], []
    for chunk in chunks(fragment):
        is_declaration = re.match(r"(fn|use|augment \w+\(|net \w+\()", without_comments(chunk).strip())
        (declarations if is_declaration else items).append(chunk)
    code = without_comments("\n".join(items))
    own = set()
    for kind, names in re.findall(r"\b(let|view|param|net|state|metric)\s+((?:\w+(?:\[[^]]*\])?\s*,\s*)*\w+)", code):
        own.update(re.findall(r"[A-Za-z_]\w*", re.sub(r"\[[^]]*\]", "", names)))
    names = set(re.findall(r"[A-Za-z_]\w*", re.sub(r'"(?:[^"\\]|\\.)*"', "", code))) | {"batch", "epochs"}
    wanted = []
    for name, text in reversed(FRAME.items()):
        if name in names and name not in own:
            wanted.insert(0, text)
            names.update(re.findall(r"[A-Za-z_]\w*", text))
    words = {line.split()[0] for line in code.splitlines() if line.strip()} | set(re.findall(r"\{\s*(\w+)", code))
    wanted_end = [text for word, text in ALWAYS.items() if word not in words]
    opened = set(re.findall(r"^use std\.(\w+)", "\n".join(declarations), re.MULTILINE))
    modules = [name for name in ("nets", "losses", "augment", "images") if name not in opened]
    return (
        f"use std.{{{', '.join(modules)}}}\nfn pool(x) = mean(x, axis: [1, 2])\n"
        + "\n".join(declarations)
        + "\nmethod Frame {\n"
        + "\n".join(wanted)
        + "\n"
        + KEPT
        + "\n".join(items + wanted_end)
        + "\n}\n"
    )


def run(words, **options):
    print("$", shlex.join(words), flush=True)
    return subprocess.run(words, check="stdout" not in options, **options)


def codes(words):
    """The codes of a compiler's messages, and all that it prints."""
    done = run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.findall(r"^\S+: (?:error|warning): ([EW]\d{4}):", done.stdout, re.MULTILINE)
    failed = any(code.startswith("E") for code in found)
    assert done.returncode == int(failed), f"exit code {done.returncode}:\n{done.stdout}"
    return sorted(set(found)), done.stdout


def run_spec(kind, words, body, page):
    names = [word for word in words if word.endswith(".dpl")]
    expected = sorted(word for word in words if re.fullmatch(r"[EW]\d{4}", word))
    whole = kind == "dpl" or re.search(r"^method ", body, re.MULTILINE) is not None or bool(names)
    name = names[0] if names else "block.dpl"
    if os.path.dirname(name):
        with open(name) as file:
            assert file.read() == body, f"the page shows another {name}"
        return
    with open(name, "w") as file:
        file.write(body if whole else frame(body))
    for code in expected:
        assert code in page, f"the text does not name {code}"
    if kind == "dpl":
        if re.search(r"^method ", body, re.MULTILINE):
            run(["doppel", "check", name])
        return
    found, output = codes(["doppel", "check", name])
    if kind == "dpl-fragment":
        expected = [code for code in found if code.startswith("W")]  # the frame may raise some
    if kind == "dpl-warning":
        found = [code for code in found if code in expected or code.startswith("E")]
    assert found == expected, f"{name} gives {found}, not {expected}:\n{body}\n{output}"


def shorten(words):
    """A training of few steps on few images."""
    short = []
    for word in words:
        if words[words.index(word) - 1] == "--data":
            word = "shapes:640,test=100"
        short.append(word)
    return short + (["--steps", "2"] if words[1] in ("train", "run") else [])


def run_console(kind, body, whole=False):
    if kind == "console-error":
        command, _, output = body.partition("\n")
        assert command.startswith("$ "), "a command that fails begins with $"
        done = run(shlex.split(command[2:]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 1, f"exit code {done.returncode}"
        assert done.stdout == output, f"the page shows\n{output}\nbut it is\n{done.stdout}"
        return
    for line in body.splitlines():
        words = shlex.split(line)
        if kind == "console":
            run(words)
        elif "--data" in words and not words[words.index("--data") + 1].startswith("shapes"):
            if words[1] == "train":
                sets = [word for i, word in enumerate(words) if word == "--set" or words[i - 1] == "--set"]
                run(["doppel", "compile", words[2], "-o", "long.dpx", *sets])
        else:
            run(words if whole else shorten(words))


def main():
    specs_only, whole = sys.argv[1] == "--specs", sys.argv[1] == "--whole"
    path, folder = sys.argv[-2:]
    with open(path) as file:
        text = file.read()
    os.chdir(folder)
    page = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    done = 0
    for fence, body in re.findall(r"^```([^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        kind, *words = fence.split() or ["text"]
        if kind in ("dpl", "dpl-fragment", "dpl-error", "dpl-warning"):
            run_spec(kind, words, body, page)
        elif kind in ("console", "console-long", "console-error"):
            if specs_only:
                continue
            run_console(kind, body, whole)
        else:
            assert not kind.startswith(("dpl", "console")), f"no such kind of block: {kind}"
            continue
        done += 1
    print(f"all {done} blocks of {os.path.basename(path)} hold")


main()
