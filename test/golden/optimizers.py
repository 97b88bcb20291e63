# The optimizers of the methods, each a plain transcription of its rule for one parameter at a time. `decay` and `adapt` tell for a
# parameter whether weight decay and the layer-wise rate apply to it.
import math

import torch


def norm(x):
    return x.pow(2).sum().sqrt()


class Sgd:
    """g' = g + wd w; v = mu v + g'; w -= lr (v), or lr (g' + mu v) for nesterov. Source: torch.optim.SGD."""

    moments = ("momentum",)

    def __init__(self, momentum=0.0, nesterov=False):
        self.momentum, self.nesterov = momentum, nesterov

    def step(self, w, g, m, lr, wd, decay, adapt, count):
        g = g + wd * w if decay else g
        m["momentum"].mul_(self.momentum).add_(g)
        w -= lr * (g + self.momentum * m["momentum"] if self.nesterov else m["momentum"])


def trust(w, g, coefficient):
    """coefficient |w| / |g|; 1 where either is zero."""
    return coefficient * norm(w) / norm(g) if norm(w) > 0 and norm(g) > 0 else torch.ones((), dtype=w.dtype)


class LarsTf:
    """The learning rate inside the momentum: v = mu v + lr trust g'; w -= v, with g' = g + wd w. Source: SimCLR, lars_optimizer.py:83-143."""

    moments = ("momentum",)

    def __init__(self, momentum=0.9, coefficient=1e-3):
        self.momentum, self.coefficient = momentum, coefficient

    def step(self, w, g, m, lr, wd, decay, adapt, count):
        g = g + wd * w if decay else g
        rate = trust(w, g, self.coefficient) if adapt else 1.0
        m["momentum"].mul_(self.momentum).add_(lr * rate * g)
        w -= m["momentum"]


class LarsByol:
    """The learning rate outside: v = mu v + trust g'; w -= lr v. Source: BYOL, utils/optimizers.py:84-105,182-188."""

    moments = ("momentum",)

    def __init__(self, momentum=0.9, coefficient=1e-3):
        self.momentum, self.coefficient = momentum, coefficient

    def step(self, w, g, m, lr, wd, decay, adapt, count):
        g = g + wd * w if decay else g
        rate = trust(w, g, self.coefficient) if adapt else 1.0
        m["momentum"].mul_(self.momentum).add_(rate * g)
        w -= lr * m["momentum"]


class Larc:
    """a = c |w| / (|g| + wd |w| + 1e-8), g' = a (g + wd w), then SGD without decay: v = mu v + g'; w -= lr v. Where |w| or |g| is zero the
    gradient stays as it is. Applies to every parameter. Source: SwAV (apex LARC, clip off)."""

    moments = ("momentum",)

    def __init__(self, momentum=0.9, coefficient=1e-3):
        self.momentum, self.coefficient = momentum, coefficient

    def step(self, w, g, m, lr, wd, decay, adapt, count):
        wd = wd if decay else 0.0
        if adapt and norm(w) > 0 and norm(g) > 0:
            g = (g + wd * w) * (self.coefficient * norm(w) / (norm(g) + wd * norm(w) + 1e-8))
        m["momentum"].mul_(self.momentum).add_(g)
        w -= lr * m["momentum"]


class AdamW:
    """w *= 1 - lr wd; m, v: moving means of g and g^2; w -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps). Source: torch.optim.AdamW."""

    moments = ("first", "second")

    def __init__(self, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def step(self, w, g, m, lr, wd, decay, adapt, count):
        if decay:
            w *= 1 - lr * wd
        m["first"].mul_(self.beta1).add_((1 - self.beta1) * g)
        m["second"].mul_(self.beta2).add_((1 - self.beta2) * g * g)
        first = m["first"] / (1 - self.beta1**count)
        second = m["second"] / (1 - self.beta2**count)
        w -= lr * first / (second.sqrt() + self.epsilon)


def cosine(value, at, length, to=0.0):
    """From `value` to `to` over `length`."""
    return to + (value - to) * 0.5 * (1 + math.cos(math.pi * at / length))
