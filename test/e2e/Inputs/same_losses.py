# same_losses.py RUN RUN TOLERANCE: the losses of two run folders agree, step by step.
import json
import os
import sys


def losses(folder):
    with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as file:
        return {line["step"]: line["loss"] for line in map(json.loads, file) if "loss" in line}


first, second, tolerance = losses(sys.argv[1]), losses(sys.argv[2]), float(sys.argv[3])
assert first and first.keys() == second.keys(), (first, second)
for step, loss in first.items():
    assert abs(loss - second[step]) <= tolerance * max(1, abs(loss)), (step, loss, second[step])
