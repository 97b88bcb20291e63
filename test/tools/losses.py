"""losses.py RUN RUN: whether two run folders logged the same losses, to the last digit, once for each step."""
import json
import sys


def losses(run):
    with open(run + "/metrics.jsonl") as file:
        rows = [json.loads(line) for line in file]
    steps = [row["step"] for row in rows]
    if steps != list(range(len(rows))):
        sys.exit(f"{run}: steps {steps}")
    return [row["loss"] for row in rows]


first, second = losses(sys.argv[1]), losses(sys.argv[2])
differ = [step for step, (a, b) in enumerate(zip(first, second)) if a != b]
if differ or len(first) != len(second):
    sys.exit(f"{len(first)} and {len(second)} steps; losses differ at steps {differ}")
print(f"{len(first)} steps, losses equal")
