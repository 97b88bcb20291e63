# What the golden runs share: what a method is (contrastive.py, siamese.py: written from methods.md and from what the official code does,
# not from our specs), and the formulas that several use.
import dataclasses
import typing

import numpy as np
import torch

import optimizers

STEPS = 10
BATCH = 16
SIZE = 8
STEPS_PER_EPOCH = 5  # two epochs: a schedule by epoch changes in the middle of the run
EPOCHS = STEPS // STEPS_PER_EPOCH
TOTAL = STEPS


class Method:
    """A step and what it needs. `spec`: the same method in our language; `settings`: what it is compiled with. `networks`: {state prefix:
    module}; `buffers`: {state name: tensor}; `groups`: what each optimizer steps. `sizes`: of views that are not SIZE; `colors`: views are
    pictures, in 0 .. 1. Before each loss make.py sets `index`, the samples' places in the data set (in the file if the method
    `reads_index`), and `uniform`, draws of the shapes `draws`, where "permutation" is an order of the samples. `mean` is
    added to the views."""

    views = ("a", "b")
    sizes = {}
    batch = BATCH
    colors = False
    reads_index = False
    draws = ()
    settle = 0
    mean = 0.0

    def before_forward(self, step):
        pass

    def after_loss(self, step):
        pass

    def after_step(self, step):
        pass


def matrices(parameter):
    return parameter.dim() > 1


def everything(parameter):
    return True


@dataclasses.dataclass
class Group:
    """The parameters of the network `prefix` whose names `chosen` takes, and their optimizer. `rate` and `decay`: by step. `clip`: the
    greatest norm of a gradient, of each tensor by itself. While a group is not `active`, its gradients are None to torch: neither decay nor
    moments move, and its count of steps stands."""

    prefix: str
    rule: typing.Any
    rate: typing.Callable
    decay: typing.Callable
    decayed: typing.Callable = everything
    adapted: typing.Callable = everything
    chosen: typing.Callable = lambda name: True
    clip: float = 0.0
    active: typing.Callable = lambda step: True


def constant(value):
    return lambda step: value


def normalize(x):
    return x / (x.pow(2).sum(1, keepdim=True)).sqrt()


def cosine_similarity(a, b):
    return (normalize(a) * normalize(b)).sum(1)


def integers(uniform, count):
    """Draws of 0 .. count - 1."""
    return (uniform.double() * count).floor().long()


def ema(target, source, momentum):
    """Parameters only (P13)."""
    with torch.no_grad():
        for t, s in zip(target.parameters(), source.parameters()):
            t.mul_(momentum).add_((1 - momentum) * s)


def apart(network, generator):
    """Moves a copy of a network away from its origin, so that an average of both shows."""
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * p.std() * torch.randn(p.shape, generator=generator))
    return network


def step_decay(rate, at):
    """A tenth from each epoch of `at` on."""
    return lambda step: rate * 0.1 ** sum(step // STEPS_PER_EPOCH >= epoch for epoch in at)


def warmup_cosine(rate, warmup_epochs):
    """SimCLR and BYOL: a line from 0, by step, that reaches `rate` at the first step of the cosine, which ends at 0 (P19)."""
    warmup = warmup_epochs * STEPS_PER_EPOCH
    return lambda step: rate * step / warmup if step < warmup else optimizers.cosine(rate, step - warmup, TOTAL - warmup)


def linspace_cosine(start, rate, end, warmup_epochs):
    """SwAV (main_swav.py) and DINO (utils.cosine_scheduler): numpy.linspace from `start` to `rate`, which is its last step, then a cosine by
    step that never quite reaches `end` (P19)."""
    warmup = warmup_epochs * STEPS_PER_EPOCH
    line = np.linspace(start, rate, warmup)
    return lambda step: float(line[step]) if step < warmup else optimizers.cosine(rate, step - warmup, TOTAL - warmup, to=end)
