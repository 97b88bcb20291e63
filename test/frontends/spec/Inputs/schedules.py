"""schedules.py METRICS: the schedules of schedules.dpl, three epochs of four steps, against the formulas of their papers' codes."""
import json
import sys
from math import cos, pi

STEPS, EPOCH = 12, 4
by_step = list(range(STEPS))
by_epoch = [step // EPOCH for step in by_step]
climbs = [step < EPOCH for step in by_step]
half_cosine = [(1 + cos(pi * max(step - EPOCH, 0) / (STEPS - EPOCH))) / 2 for step in by_step]  # behind the first epoch

expected = {
    "cosine": [1 + (1 + cos(pi * step / 12)) / 2 for step in by_step],
    "cosine_after": half_cosine,
    "cosine_by_epoch": [(1 + cos(pi * epoch / 3)) / 2 for epoch in by_epoch],
    "linear": [1 + 3 * step / 12 for step in by_step],
    "linear_by_epoch": [1, 1, 1, 1, 1, 1, 1, 1, 2.5, 2.5, 2.5, 2.5],
    "warmup_cosine": [8 * step / 4 if climb else 4 + 4 * part for step, climb, part in zip(by_step, climbs, half_cosine)],
    "warmup_from": [4 + 4 * step / 4 if climb else 8 * part for step, climb, part in zip(by_step, climbs, half_cosine)],
    "warmup_inclusive": [6 * step / 3 if climb else 6 * part for step, climb, part in zip(by_step, climbs, half_cosine)],
    "no_warmup": [(1 + cos(pi * step / 12)) / 2 for step in by_step],
    "ramp": [1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8, 1, 1, 1, 1, 1],
    "warmup": [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1],
    "warmup_of_two": [2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1],
    "step_decay": [8, 8, 8, 8, 4, 4, 4, 4, 2, 2, 2, 2],
}

with open(sys.argv[1]) as file:
    rows = [json.loads(line) for line in file]
assert len(rows) == STEPS, len(rows)
for name, values in expected.items():
    for step, (row, value) in enumerate(zip(rows, values)):
        if abs(row[name] - value) > 1e-6 * max(1, abs(value)):
            sys.exit(f"{name} at step {step} is {row[name]}, not {value}")
print(f"{len(expected)} schedules are right")
