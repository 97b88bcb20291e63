# Prints the mean of a run's `spread` over its last ten steps: spread.py RUN...
import json
import os
import sys

for run in sys.argv[1:]:
    with open(os.path.join(run, "metrics.jsonl")) as file:
        last = [json.loads(line)["spread"] for line in file][-10:]
    print(os.path.basename(run), f"{sum(last) / len(last):.3f}")
