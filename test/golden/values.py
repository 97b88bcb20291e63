# Losses of small inputs that any language can make: recomputes those of values.txt that this folder has a formula for, and fails where
# one differs in the twelfth digit.
#
#   /usr/bin/python3 values.py
import os
import sys

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def mat(rows, columns, seed):
    """s <- (1664525 s + 1013904223) mod 2^32; a value is s / 2^31 - 1; row-major."""
    values = []
    for _ in range(rows * columns):
        seed = (1664525 * seed + 1013904223) % 2**32
        values.append(seed / 2**31 - 1)
    return torch.tensor(values).reshape(rows, columns)


def nt_xent(a, b, temperature):
    z = F.normalize(torch.cat([a, b]))
    n = len(z)
    logits = (z @ z.T / temperature).masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(n).roll(n // 2))


def info_nce(q, k, queue, temperature):
    q, k, queue = F.normalize(q), F.normalize(k), F.normalize(queue)
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


def cosine(a, b):
    return (F.normalize(a) * F.normalize(b)).sum(1).mean()


def computed():
    one, two, three = mat(4, 8, 1), mat(4, 8, 2), mat(16, 8, 3)
    p1, p2, z1, z2 = (mat(4, 8, seed) for seed in (1, 2, 6, 7))
    yield "lcg_1_0", mat(1, 3, 1)[0, 0]
    yield "lcg_1_1", mat(1, 3, 1)[0, 1]
    yield "lcg_1_2", mat(1, 3, 1)[0, 2]
    for temperature in (0.5, 0.1):
        yield f"simclr_T{temperature}", nt_xent(one, two, temperature)
        yield f"simclr_tf_T{temperature}", 2 * nt_xent(one, two, temperature)
    for temperature in (0.2, 0.07):
        yield f"moco_T{temperature}", info_nce(one, two, three, temperature)
    yield "byol", (2 - 2 * cosine(p1, z2)) + (2 - 2 * cosine(p2, z1))
    yield "simsiam", -0.5 * (cosine(p1, z2) + cosine(p2, z1))


def main():
    expected = {}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "values.txt")) as file:
        for line in file:
            fields = line.split("#")[0].split()
            if fields:
                expected[fields[0]] = float(fields[1])
    wrong = 0
    for name, value in computed():
        good = abs(value.item() - expected[name]) < 2e-12
        wrong += not good
        print(f"{name:20} {value.item():18.12f} {'' if good else 'differs from values.txt'}")
    sys.exit(1 if wrong else 0)


main()
