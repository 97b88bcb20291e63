# Compiles the method of a golden file and compares its run with PyTorch's.
#
#   check.py NAME FOLDER     NAME: as in NAME.safetensors; artifacts go to FOLDER
#
# Views are given, not drawn: the `view` statement of the spec becomes states of the same names, which doppel-golden fills before each step.
import json
import os
import re
import subprocess
import sys

import safetensors

HERE = os.path.dirname(os.path.abspath(__file__))


def given_views(spec):
    """`view a, b = EXPRESSION` (over indented lines, too) => states a and b."""
    def states(match):
        return "".join(f"  state {name.strip()}: f32[batch, size, size, 3] = zeros()\n" for name in match.group(1).split(","))

    return re.sub(r"^  view ([\w, ]+) = .*\n(?:    .*\n)*", states, spec, flags=re.MULTILINE)


def run(*words):
    print("$", *(os.path.basename(word) for word in words if "=" not in word and word != "--set"), flush=True)
    subprocess.run(words, check=True)


def main():
    name, folder = sys.argv[1:]
    golden = os.path.join(HERE, f"{name}.safetensors")
    _, metadata = safetensors.load(golden)
    settings = json.loads(metadata["settings"])
    spec = os.path.join(folder, f"{name}.dpl")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(HERE, "..", "..", metadata["spec"])) as file:
        text = given_views(file.read())
    with open(spec, "w") as file:
        file.write(text)

    def compile(path, settings):
        run("doppel", "compile", spec, "-o", path, *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")))

    artifact = os.path.join(folder, f"{name}.dpx")
    compile(artifact, settings)
    run("doppel-golden", artifact, golden)
    if "rule" not in settings:  # a method: its gradients too, which the momentum of plain SGD holds after one step
        settings["weight_decay"] = 0
        if re.search(r"^  param optimizer\b", text, re.MULTILINE):
            settings["optimizer"] = "sgd"
        compile(artifact, settings)
        run("doppel-golden", artifact, golden, "--gradients")
    print(f"{name} agrees with PyTorch")


main()
