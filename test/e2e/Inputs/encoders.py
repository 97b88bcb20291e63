# Runs docs/encoders.md in a folder with runs/: what its `weights` picks has the names and shapes of torchvision's and timm's encoders
# (encoders.json, as `{name: list(tensor.shape)}` of their state dicts gives them; without num_batches_tracked, which
# PyTorch fills in where a state dict has none). Where torch, torchvision or timm are, they load it.
import importlib.util
import json
import re
import struct
import sys
import types

page, lists = sys.argv[1:3]
blocks = re.findall(r"^```python([^\n]*)\n(.*?)^```", open(page).read(), re.MULTILINE | re.DOTALL)


class Shapes(types.ModuleType):
    """Stands in for safetensors.torch: shapes in place of tensors."""

    @staticmethod
    def load_file(path):
        with open(path, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
        return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


def has(*names):
    return all(importlib.util.find_spec(name) for name in names)


def run(block, scope, shapes):
    # A test needs no torch.
    if shapes:
        sys.modules["safetensors"], sys.modules["safetensors.torch"] = types.ModuleType("safetensors"), Shapes("safetensors.torch")
    exec(block, scope)
    if shapes:
        del sys.modules["safetensors"], sys.modules["safetensors.torch"]


scope = {}
run(blocks[0][1], scope, shapes=True)
expected = json.load(open(lists))
for title, names in expected.items():
    given = scope["weights"]("runs/resnet18") if "resnet18" in title else scope["weights"]("runs/vit_tiny", net="teacher.backbone")
    assert given.keys() == names.keys(), f"{title}: missing {names.keys() - given.keys()}, too many {given.keys() - names.keys()}"
    assert given == names, f"{title}: " + str([(name, given[name], names[name]) for name in names if given[name] != names[name]])
    print(f"{title}: {len(names)} tensors by name and shape")

if has("torch", "safetensors"):
    scope = {}
    run(blocks[0][1], scope, shapes=False)
    for words, block in blocks[1:]:
        if has(words.strip()):
            exec(block, scope)
            print(f"{words.strip()} loads it")
