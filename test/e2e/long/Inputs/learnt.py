# Reads the accuracies that `doppel eval` printed into a log: the trained encoder's must lie a tenth above raw pixels and the untrained one.
import re
import sys

log = open(sys.argv[1]).read()


def accuracy(name):
    return float(re.search(rf"^{name}\b.*?([\d.]+) %$", log, re.MULTILINE).group(1))


raw, untrained, trained = accuracy("raw pixels"), accuracy("untrained encoder"), accuracy("encoder of step")
assert trained > max(raw, untrained) + 10, (raw, untrained, trained)
print(f"learnt: raw pixels {raw} %, untrained {untrained} %, trained {trained} %")
