# Compiles the method of a golden file and compares its run with PyTorch's.
#
#   check.py NAME FOLDER     NAME: as in NAME.safetensors; artifacts go to FOLDER
#
# Views are given, not drawn: a `view` statement of the spec becomes states, which doppel-golden fills before each step; a list of views
# becomes a state for each and the list of them. What else a step draws, samples and noise, cannot be given: `doppel-verify step` checks
# such methods.
import json
import os
import re
import subprocess
import sys

import safetensors

HERE = os.path.dirname(os.path.abspath(__file__))


def given_views(spec, shapes):
    """`view a, b = EXPRESSION` (over indented lines, too) => states a and b; `view c[2] = EXPRESSION` => states c_0 and c_1, and the list
    c. A view that is not in `shapes`, {name: shape}, stands in a branch that is not taken."""
    def states(match):
        lines = []
        for name in re.findall(r"[A-Za-z_]\w*(?:\[[^\]]*\])?", match["names"]):
            name, is_list, _ = name.partition("[")
            members = [view for view in shapes if re.fullmatch(rf"{name}_\d+", view)] if is_list else [name]
            lines += [f"state {view}: f32{shapes[view]} = zeros()" for view in members if view in shapes]
            lines += [f"let {name} = [{', '.join(members)}]"] if is_list else []
        return "".join(f"{match['indent']}{line}\n" for line in lines)

    return re.sub(r"^(?P<indent> +)view (?P<names>[^=]+) = .*\n(?:(?P=indent) .*\n)*", states, spec, flags=re.MULTILINE)


def run(*words):
    print("$", *(os.path.basename(word) for word in words if "=" not in word and word != "--set"), flush=True)
    subprocess.run(words, check=True)


def main():
    name, folder = sys.argv[1:]
    tensors, metadata = safetensors.load(os.path.join(HERE, f"{name}.safetensors"))
    settings = json.loads(metadata["settings"])
    tensors = {re.sub(r"^(view/\d+/\w+)\.(\d+)$", r"\1_\2", key): tensor for key, tensor in tensors.items()}
    shapes = {key.removeprefix("view/0/"): list(tensor.shape) for key, tensor in tensors.items() if key.startswith("view/0/")}
    spec, golden = (os.path.join(folder, f"{name}.{suffix}") for suffix in ("dpl", "safetensors"))
    os.makedirs(folder, exist_ok=True)
    safetensors.save(golden, tensors, metadata)
    with open(os.path.join(HERE, "..", "..", metadata["spec"])) as file:
        text = given_views(file.read(), shapes)
    with open(spec, "w") as file:
        file.write(text)

    def compile(path, settings):
        sets = (("--set", f"{key}={json.dumps(value)}") for key, value in settings.items())
        run("doppel", "compile", spec, "-o", path, *(word for words in sets for word in words))

    artifact = os.path.join(folder, f"{name}.dpx")
    compile(artifact, settings)
    run("doppel-golden", artifact, golden)
    if "rule" not in settings and "sgd(" in text:  # a method: its gradients too, which the momentum of plain SGD holds after one step
        settings["weight_decay"] = [0, 0] if isinstance(settings.get("weight_decay"), list) else 0
        settings.update({key: 0 for key in ("clip", "freeze") if key in settings})
        if re.search(r"^  param optimizer\b", text, re.MULTILINE):
            settings["optimizer"] = "sgd"
        compile(artifact, settings)
        run("doppel-golden", artifact, golden, "--gradients")
    print(f"{name} agrees with PyTorch")


main()
