# Losses of small inputs that any language can make (methods.md, section 6), by formulas of its own in PyTorch: writes values.safetensors.
# check_values.py holds values.txt to it, values.dpl the library.
import json
import math
import os

import numpy as np
import torch
from torch.nn import functional as F

import safetensors
import stamp

torch.set_default_dtype(torch.float64)


def mat(rows, columns, seed):
    """s <- (1664525 s + 1013904223) mod 2^32; a value is s / 2^31 - 1; row-major."""
    values = []
    for _ in range(rows * columns):
        seed = (1664525 * seed + 1013904223) % 2**32
        values.append(seed / 2**31 - 1)
    return torch.tensor(values).reshape(rows, columns)


def unit(rows, columns, seed):
    return F.normalize(mat(rows, columns, seed))


def nt_xent(a, b, temperature):
    """P1: a row excludes itself only."""
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


def sinkhorn(scores, by_prototypes=True, epsilon=0.05):
    """P7: dividing by the number of prototypes changes nothing."""
    q = (scores / epsilon).exp().T
    q = q / q.sum()
    for _ in range(3):
        q = q / q.sum(1, keepdim=True)
        q = q / q.shape[0] if by_prototypes else q
        q = q / q.sum(0, keepdim=True) / q.shape[1]
    return (q * q.shape[1]).T


def sinkhorn_of_logarithms(scores, epsilon):
    """The same for any epsilon."""
    q = scores / epsilon
    for _ in range(3):
        q = q - q.logsumexp(0, keepdim=True)
        q = q - q.logsumexp(1, keepdim=True)
    return q.exp()


UNLIKE = torch.tensor([[0.9, -0.2, 0.1, 0.0], [0.3, 0.1, -0.1, 0.2], [-0.3, -0.2, -0.25, -0.4], [0.1, 0.15, 0.05, -0.1]])


def swav(by_prototypes=True):
    """Crops 0 and 1 have codes."""
    scores = [unit(4, 8, seed) @ unit(6, 8, 5).T for seed in (1, 2, 4)]
    codes = [sinkhorn(s, by_prototypes) for s in scores[:2]]
    terms = [-(codes[i] * (scores[v] / 0.1).log_softmax(1)).sum(1).mean() for i in (0, 1) for v in range(3) if v != i]
    return codes[0], sum(terms) / 4


def dino(center):
    """Two large crops, a small one; returns the loss and the centre that it leaves (P16)."""
    students = [(mat(4, 10, seed) / 0.1).log_softmax(1) for seed in (1, 2, 3)]
    teachers = [mat(4, 10, seed) for seed in (8, 9)]
    terms = [-(((t - center) / 0.04).softmax(1) * students[v]).sum(1).mean() for i, t in enumerate(teachers) for v in range(3) if v != i]
    return sum(terms) / 4, 0.9 * center + 0.1 * torch.cat(teachers).mean(0)


OWN = torch.tensor([3, 7, 0, 19])  # samples of the batch; their noise: rows 5 i + 3 j modulo 20
DRAWN = torch.cat([OWN[:, None], (5 * torch.arange(4)[:, None] + 3 * torch.arange(6)) % 20], 1)


def scores(x, bank):
    """exp(cosine / T) with the sample's own row and with its noise (P28: rows may come twice, or be the sample's)."""
    return (torch.einsum("nkd,nd->nk", bank[DRAWN], x) / 0.07).exp()


def nce(p):
    """P27: epsilon is 1e-7."""
    noise = 6 / 20
    data = (p[:, 0] / (p[:, 0] + noise + 1e-7)).log()
    others = (noise / (p[:, 1:] + noise + 1e-7)).log()
    return -(data.sum() + others.sum()) / len(p)


def instance_discrimination():
    """Loss, Z, a row of the bank that the step leaves, and the loss with that bank and the same Z (P26, P29)."""
    x, bank = unit(4, 8, 1), unit(20, 8, 10)
    first = scores(x, bank)
    z = 20 * first.mean()
    bank[OWN] = F.normalize(0.5 * bank[OWN] + 0.5 * x)
    return nce(first / z), z, bank[3], nce(scores(x, bank) / z)


def cmc():
    ab, l = scores(unit(4, 8, 2), unit(20, 8, 10)), scores(unit(4, 8, 1), unit(20, 8, 11))
    z_ab, z_l = 20 * ab.mean(), 20 * l.mean()
    return nce(ab / z_ab) + nce(l / z_l), z_ab, z_l


def cpc():
    """Contexts against three of the four places each, the positive among them (P34)."""
    c, z = mat(4, 8, 1), mat(4, 8, 2)
    drawn = z[(torch.arange(4)[:, None] + torch.arange(3)) % 4]
    logits = torch.einsum("nd,nkd->nk", c, torch.cat([z[:, None], drawn], 1))
    return -(logits.softmax(1)[:, 0] + 1e-11).log().mean()


def lab_of_red():
    """sRGB (1, 0, 0) in CIE Lab."""
    x, y, z = (v / white for v, white in zip((0.412453, 0.212671, 0.019334), (0.95047, 1.0, 1.08883)))
    return 116 * y ** (1 / 3) - 16, 500 * (x ** (1 / 3) - y ** (1 / 3)), 200 * (y ** (1 / 3) - z ** (1 / 3))


def chance():
    for k in (65536, 4096):
        yield f"moco_K{k}", math.log(k + 1)
    for n in (256, 4096):
        yield f"simclr_N{n}", math.log(2 * n - 1)
    yield "swav_K3000", math.log(3000)
    yield "dino_K65536", math.log(65536)
    yield "cpc_K16", math.log(17)
    for temperature in (0.07, 0.1):
        yield f"Z_by_N_T{temperature}", math.exp(1 / (2 * 128 * temperature**2))
    # The positive at its mean logarithm, the noise to first order, epsilon's part beside them.
    of_epsilon = 4096 * 1e-7 / (4096 / 1281167)
    yield "instdisc_epsilon", of_epsilon
    yield "instdisc_start", math.log(4096 * math.exp(1 / (2 * 128 * 0.07**2))) + 1 + of_epsilon
    for temperature in (0.07, 0.1, 0.2):
        yield f"exp_T{temperature}", math.exp(1 / temperature)
    half, single = 65504.0, 3.4028235e38  # the largest numbers
    yield "half_T", 1 / math.log(half)
    for epsilon in (0.05, 0.03):
        yield f"half_sinkhorn_{epsilon}", epsilon * math.log(half)
    yield "single_sinkhorn", 1 / math.log(single)


def computed():
    one, two, three = mat(4, 8, 1), mat(4, 8, 2), mat(16, 8, 3)
    p1, p2, z1, z2 = (mat(4, 8, seed) for seed in (1, 2, 6, 7))
    for i in range(3):
        yield f"lcg_1_{i}", mat(1, 3, 1)[0, i]
    for temperature in (0.5, 0.1):
        yield f"simclr_T{temperature}", nt_xent(one, two, temperature)
        yield f"simclr_tf_T{temperature}", 2 * nt_xent(one, two, temperature)
    for temperature in (0.2, 0.07):
        yield f"moco_T{temperature}", info_nce(one, two, three, temperature)
    yield "byol", (2 - 2 * cosine(p1, z2)) + (2 - 2 * cosine(p2, z1))
    yield "simsiam", -0.5 * (cosine(p1, z2) + cosine(p2, z1))
    codes, loss = swav()
    yield "swav", loss
    yield "swav_no_K", swav(by_prototypes=False)[1]
    for i in range(6):
        yield f"swav_code_{i}", codes[0, i]
    for i in range(4):
        yield f"swav_code_sum_{i}", codes[i].sum()
    loss, center = dino(torch.zeros(10))
    yield "dino_step1", loss
    for i in range(3):
        yield f"dino_center_{i}", center[i]
    yield "dino_step2", dino(center)[0]
    loss, z, row, again = instance_discrimination()
    yield "instdisc_nce", loss
    yield "instdisc_Z", z
    for i in range(3):
        yield f"instdisc_row_{i}", row[i]
    yield "instdisc_nce_again", again
    loss, z_ab, z_l = cmc()
    yield "cmc", loss
    yield "cmc_Z_ab", z_ab
    yield "cmc_Z_l", z_l
    yield "cpc", cpc()
    close = 0.6 + 0.4 * unit(4, 8, 1) @ unit(6, 8, 5).T
    yield "sinkhorn_small_epsilon", sinkhorn(close, epsilon=0.01)[0, 0]
    for epsilon in (0.05, 0.01, 0.005, 0.001):  # the third row's scores are far below the first's: exp underflows f32
        codes = sinkhorn_of_logarithms(UNLIKE, epsilon)
        yield f"sinkhorn_{epsilon}", -(codes * (UNLIKE / 0.1).log_softmax(1)).sum(1).mean()
        yield f"sinkhorn_{epsilon}_least_row", codes.sum(1).min()
    for name, value in zip("Lab", lab_of_red()):
        yield f"red_{name}", value
    yield from chance()


def main():
    """A step of values.dpl for each name in `steps`, whose value is the loss, and a state that stays as it is; and every value by its name,
    for check_values.py."""
    steps = ("simclr_T0.5 simclr_T0.1 moco_T0.2 moco_T0.07 byol simsiam swav swav_code_0 swav_code_2 swav_code_4 dino_step1 "
             "dino_center_0 dino_step2 instdisc_nce instdisc_Z instdisc_row_0 instdisc_nce_again cmc cmc_Z_ab cmc_Z_l cpc "
             "sinkhorn_small_epsilon sinkhorn_0.05 sinkhorn_0.05_least_row sinkhorn_0.01 sinkhorn_0.01_least_row sinkhorn_0.005 "
             "sinkhorn_0.005_least_row sinkhorn_0.001 sinkhorn_0.001_least_row red_L red_a red_b").split()
    values = {name: float(value) for name, value in computed()}
    one = np.ones((), np.float32)
    tensors = {"loss": np.array([values[name] for name in steps]), "state/online.factor": one, "final/online.factor": one}
    tensors.update({f"value/{name}": np.float64(value) for name, value in values.items()})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "values.safetensors")
    safetensors.save(path, tensors, dict(spec="test/golden/values.dpl", samples=4, settings=json.dumps(dict(batch=4, epochs=len(steps))),
                                         sources=stamp.of(__file__)))


main()
