# Makes the golden files of the four methods and of the optimizers with PyTorch, in double. README.md describes their content.
#
#   /usr/bin/python3 make.py [--search] [NAME...]      all without a name
#
# Everything that a step reads is rounded to f32 before it starts, so that a run in f32 starts from exactly the same numbers. Each run is
# repeated in f32 with PyTorch: the table that is printed says how far f32 alone is from double, and the tolerances of the tests must
# leave room for that. In networks as thin as these, one ReLU input so near zero that rounding decides its sign changes gradients by a
# per cent; `--search` finds seeds where no input is, SEEDS holds them.
import copy
import functools
import json
import math
import os
import sys

import numpy as np
import torch
from torch.nn import functional as F

import networks
import optimizers
import safetensors

STEPS = 10
BATCH = 16
SIZE = 8
STEPS_PER_EPOCH = 5  # samples = 80, epochs = 2: a schedule by epoch changes in the middle of the run
EPOCHS = STEPS // STEPS_PER_EPOCH
TOTAL = STEPS


def make_views(names, seed):
    """{name: [STEPS, BATCH, SIZE, SIZE, 3]}: the views of a sample share a smooth pattern, so that there is something to learn."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 1.5 * torch.randn(STEPS * BATCH, 3, 2, 2, generator=generator)
    pattern = F.interpolate(coarse, size=SIZE, mode="bilinear", align_corners=False)
    views = {}
    for name in names:
        noise = torch.randn(STEPS * BATCH, 3, SIZE, SIZE, generator=generator)
        view = (pattern + 0.3 * noise).reshape(STEPS, BATCH, 3, SIZE, SIZE).permute(0, 1, 3, 4, 2)
        views[name] = view.contiguous()
    return views


def normalize(x):
    return x / (x.pow(2).sum(1, keepdim=True)).sqrt()


def cosine_similarity(a, b):
    return (normalize(a) * normalize(b)).sum(1)


class Method:
    """A step and what it needs. `spec`: the same method in our language; `settings`: what it is compiled with. `networks`: {state prefix:
    module}; `buffers`: {state name: tensor}. `groups`: what each optimizer steps, as (state prefix, rule, lr(step), weight decay,
    decayed(parameter), adapted(parameter))."""

    views = ("a", "b")
    settle = 0

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


def ema(target, source, momentum):
    with torch.no_grad():
        for t, s in zip(target.parameters(), source.parameters()):
            t.mul_(momentum).add_((1 - momentum) * s)


class SimClr(Method):
    """Both views in one forward; NT-Xent, mean over 2N rows (methods.md 1.5, P1, P2, P11). LARS with the rate inside the momentum,
    warm-up by step, then cosine by step."""

    spec = "examples/simclr.dpl"
    settings = dict(backbone="resnet10", stem="cifar", width=4, hidden=32, dim=16, temperature=0.5, lr=0.02, weight_decay=1e-3,
                    warmup_epochs=1)

    def __init__(self, generator):
        s = self.settings
        backbone = networks.resnet10(s["width"])
        head = networks.mlp([backbone.features, s["hidden"], s["dim"]], norm=True, last_bias=False, last_norm=networks.BatchNormScale)
        online = networks.Chain(backbone=backbone, head=head)
        networks.randomize(online, generator)
        self.networks = {"online": online}
        self.buffers = {}
        self.groups = [("online", optimizers.LarsTf(), self.lr, s["weight_decay"], matrices, matrices)]

    def lr(self, step):
        s = self.settings
        warmup = s["warmup_epochs"] * STEPS_PER_EPOCH
        if step < warmup:
            return s["lr"] * step / warmup
        return optimizers.cosine(s["lr"], step - warmup, TOTAL - warmup)

    def loss(self, views, step):
        z = normalize(self.networks["online"](torch.cat(views)))
        n = z.shape[0]
        logits = z @ z.T / self.settings["temperature"]
        logits = logits.masked_fill(torch.eye(n, dtype=torch.bool), -math.inf)
        positives = torch.arange(n).roll(n // 2)
        return F.cross_entropy(logits, positives)


class MoCoV2(Method):
    """Key network moved before the forward, parameters only; its own running statistics; queue written after the loss (methods.md 1.4,
    P12, P13). The key network starts beside the query's, not at it, so that the average is seen in the first step."""

    spec = "examples/moco_v2.dpl"
    settings = dict(backbone="resnet18", stem="cifar", width=4, dim=16, length=64, momentum=0.99, temperature=0.2, groups=1, lr=0.005,
                    weight_decay=1e-4)

    def __init__(self, generator):
        s = self.settings
        backbone = networks.resnet18(s["width"])
        online = networks.Chain(backbone=backbone, head=networks.mlp([backbone.features, backbone.features, s["dim"]]))
        networks.randomize(online, generator)
        key = copy.deepcopy(online)
        with torch.no_grad():
            for p in key.parameters():
                p.add_(0.1 * p.std() * torch.randn(p.shape, generator=generator))
        self.networks = {"online": online, "key": key}
        self.buffers = {"queue": normalize(torch.randn(s["length"], s["dim"], generator=generator))}
        self.groups = [("online", optimizers.Sgd(0.9), self.lr, s["weight_decay"], everything, everything)]

    views = ("q", "k")

    def lr(self, step):
        return optimizers.cosine(self.settings["lr"], step // STEPS_PER_EPOCH, EPOCHS)

    def before_forward(self, step):
        ema(self.networks["key"], self.networks["online"], self.settings["momentum"])

    def loss(self, views, step):
        q = normalize(self.networks["online"](views[0]))
        with torch.no_grad():
            self.keys = normalize(self.networks["key"](views[1]))
        positive = (q * self.keys).sum(1, keepdim=True)
        logits = torch.cat([positive, q @ self.buffers["queue"].T], 1) / self.settings["temperature"]
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))

    def after_loss(self, step):
        at = step * BATCH % self.settings["length"]
        self.buffers["queue"][at : at + BATCH] = self.keys


class Byol(Method):
    """Sum of both directions of 2 - 2 cos, mean over the batch; views apart; target moved after the step by the new weights, with its own
    running statistics (methods.md 1.7, P12, P13, P23). LARS with the rate outside the momentum."""

    spec = "examples/byol.dpl"
    settings = dict(backbone="resnet10", stem="cifar", width=4, hidden=32, dim=16, momentum=0.95, lr=0.2, weight_decay=1e-3, warmup_epochs=1)

    def __init__(self, generator):
        s = self.settings
        backbone = networks.resnet10(s["width"])
        online = networks.Chain(backbone=backbone, projector=self.head(backbone.features))
        predictor = self.head(s["dim"])
        target = copy.deepcopy(online)
        for net in (online, predictor, target):
            networks.randomize(net, generator)
        self.networks = {"online": online, "predictor": predictor, "target": target}
        self.buffers = {}
        self.groups = [(name, optimizers.LarsByol(), self.lr, s["weight_decay"], matrices, matrices) for name in ("online", "predictor")]

    def head(self, inputs):
        return networks.mlp([inputs, self.settings["hidden"], self.settings["dim"]], norm=True, last_bias=False)

    def lr(self, step):
        s = self.settings
        warmup = s["warmup_epochs"] * STEPS_PER_EPOCH
        if step < warmup:
            return s["lr"] * step / warmup
        return optimizers.cosine(s["lr"], step - warmup, TOTAL - warmup)

    def loss(self, views, step):
        net = self.networks
        predictions = [net["predictor"](net["online"](v)) for v in views]
        with torch.no_grad():
            targets = [net["target"](v) for v in reversed(views)]  # the order in which running statistics move
        return sum((2 - 2 * cosine_similarity(p, z)).mean() for p, z in zip(predictions, targets))

    def after_step(self, step):
        momentum = optimizers.cosine(self.settings["momentum"], step, TOTAL, to=1.0)
        ema(self.networks["target"], self.networks["online"], momentum)


class SimSiam(Method):
    """Minus half the sum of both cosines; views apart; projection without gradient on the target side; the predictor's rate stays (methods.md
    1.8, P22)."""

    settle = 30
    spec = "examples/simsiam.dpl"
    settings = dict(backbone="resnet10", stem="cifar", width=4, hidden=16, dim=32, lr=0.02, weight_decay=1e-4)

    def __init__(self, generator):
        s = self.settings
        backbone = networks.resnet10(s["width"])
        d = s["dim"]
        projector = networks.mlp([backbone.features, d, d, d], norm=True, hidden_bias=False, last_bias=False, last_norm=networks.plain_norm)
        online = networks.Chain(backbone=backbone, projector=projector)
        predictor = networks.mlp([d, s["hidden"], d], norm=True, hidden_bias=False)
        for net in (online, predictor):
            networks.randomize(net, generator)
        self.networks = {"online": online, "predictor": predictor}
        self.buffers = {}
        sgd = optimizers.Sgd(0.9)
        self.groups = [("online", sgd, self.lr, s["weight_decay"], everything, everything),
                       ("predictor", sgd, lambda step: s["lr"], s["weight_decay"], everything, everything)]

    def lr(self, step):
        return optimizers.cosine(self.settings["lr"], step // STEPS_PER_EPOCH, EPOCHS)

    def loss(self, views, step):
        net = self.networks
        z = [net["online"](v) for v in views]
        p = [net["predictor"](x) for x in z]
        return -0.5 * (cosine_similarity(p[0], z[1].detach()).mean() + cosine_similarity(p[1], z[0].detach()).mean())


class OptimizerRun(Method):
    """A small network under one optimizer, with rates so large that each term counts, and a rate that changes from step to step: rules that
    put it inside and outside the momentum part at the second step. Loss: mean of (net(view) - 1)^2."""

    spec = "test/golden/optimizers.dpl"
    views = ("a",)

    def __init__(self, generator, name, rule, lr, decayed, adapted):
        net = networks.Tiny()
        networks.randomize(net, generator)
        self.networks = {"online": net}
        self.buffers = {}
        self.settings = dict(rule=name, lr=lr)
        self.groups = [("online", rule, lambda step: optimizers.cosine(lr, step, TOTAL), 0.05, decayed, adapted)]

    def loss(self, views, step):
        return (self.networks["online"](views[0]) - 1).pow(2).mean()


OPTIMIZERS = {
    "sgd": (optimizers.Sgd(), 0.1, everything, everything),
    "sgd_momentum": (optimizers.Sgd(0.9), 0.05, everything, everything),
    "sgd_nesterov": (optimizers.Sgd(0.9, nesterov=True), 0.05, everything, everything),
    "lars_simclr": (optimizers.LarsTf(coefficient=0.02), 0.5, matrices, matrices),
    "lars_byol": (optimizers.LarsByol(coefficient=0.02), 0.5, matrices, matrices),
    "lars_larc": (optimizers.Larc(coefficient=0.02), 0.5, everything, everything),
    "adamw": (optimizers.AdamW(), 0.02, matrices, everything),
}

RUNS = {
    "simclr": SimClr,
    "moco_v2": MoCoV2,
    "byol": Byol,
    "simsiam": SimSiam,
    **{name: functools.partial(OptimizerRun, name=name, rule=rule, lr=lr, decayed=decayed, adapted=adapted)
       for name, (rule, lr, decayed, adapted) in OPTIMIZERS.items()},
}

SEEDS = {"simclr": 2, "moco_v2": 82, "byol": 70, "simsiam": 0}


def states(method):
    """{name: tensor} of parameters, running statistics and buffers; what PyTorch counts beside (num_batches_tracked) is left out."""
    found = {}
    for prefix, net in method.networks.items():
        for name, tensor in net.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                found[f"{prefix}.{name}"] = tensor
    found.update(method.buffers)
    return {name: tensor.clone() for name, tensor in found.items()}


def run(build, dtype, seed):
    """Ten steps. Returns (initial states, views, losses, gradients of the first step, final states)."""
    torch.set_default_dtype(torch.float32)
    method = build(torch.Generator().manual_seed(seed))
    settle(method, seed + 2)
    for net in method.networks.values():
        net.to(dtype).train()
    method.buffers = {name: tensor.to(dtype) for name, tensor in method.buffers.items()}
    initial = states(method)
    views = make_views(method.views, seed + 1)
    moments = {}
    losses, gradients = [], {}
    for step in range(STEPS):
        method.before_forward(step)
        inputs = [views[name][step].permute(0, 3, 1, 2).to(dtype) for name in method.views]
        loss = method.loss(inputs, step)
        losses.append(loss.item())
        for net in method.networks.values():
            net.zero_grad(set_to_none=True)
        loss.backward()
        method.after_loss(step)
        with torch.no_grad():
            for prefix, rule, lr, wd, decayed, adapted in method.groups:
                for name, w in method.networks[prefix].named_parameters():
                    if step == 0:
                        gradients[f"{prefix}.{name}"] = w.grad.clone()
                    m = moments.setdefault((prefix, name), {k: torch.zeros_like(w) for k in rule.moments})
                    rule.step(w, w.grad, m, lr(step), wd, decayed(w), adapted(w), step + 1)
        method.after_step(step)
    return method, initial, views, losses, gradients, states(method)


def settle(method, seed):
    """A few steps of SGD on other views, for a method whose first losses are about zero: a relative error says nothing there."""
    views = make_views(method.views, seed)
    for net in method.networks.values():
        net.train()
    parameters = [p for net in method.networks.values() for p in net.parameters()]
    sgd = torch.optim.SGD(parameters, 0.02, 0.9)
    for step in range(method.settle):
        sgd.zero_grad()
        method.loss([views[name][step % STEPS].permute(0, 3, 1, 2) for name in method.views], step).backward()
        sgd.step()


def relative(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30)).item()


def compare(name, seed):
    """Runs in double and in f32. Returns the run in double, that in f32, and two margins, of the first step and of all: the least, over
    ReLUs, of the smallest input in double over the error of the inputs in f32 (root mean square)."""
    networks.relu_inputs.clear()
    double = run(RUNS[name], torch.float64, seed)
    inputs = list(networks.relu_inputs)
    networks.relu_inputs.clear()
    single = run(RUNS[name], torch.float32, seed)
    margins = [(x.abs().min() / (x - y).pow(2).mean().sqrt()).item() for x, y in zip(inputs, networks.relu_inputs)
               if x.dtype == torch.float64]
    return double, single, min(margins[: len(margins) // STEPS]), min(margins)


def make(name, search):
    folder = os.path.dirname(os.path.abspath(__file__))
    seed = SEEDS.get(name, 0)
    double, single, first, margin = compare(name, seed)
    while search and (first < 40 or margin < 2):
        seed += 1
        double, single, first, margin = compare(name, seed)
    method, initial, views, losses, gradients, final = double
    _, _, _, losses32, gradients32, final32 = single
    tensors = {"loss": np.array(losses, np.float64)}
    for prefix, group in (("state", initial), ("grad", gradients), ("final", final)):
        for key, tensor in group.items():
            tensors[f"{prefix}/{key}"] = tensor.float().numpy()
    for key, view in views.items():
        for step in range(STEPS):
            tensors[f"view/{step}/{key}"] = view[step].numpy()
    settings = dict(method.settings, batch=BATCH, epochs=EPOCHS, size=SIZE)
    path = os.path.join(folder, f"{name}.safetensors")
    safetensors.save(path, tensors, dict(spec=method.spec, samples=BATCH * STEPS_PER_EPOCH, settings=json.dumps(settings)))
    total = sum(g.pow(2).sum() for g in gradients.values()).sqrt()
    loss_error = max(abs(a - b) / abs(b) for a, b in zip(losses32, losses))
    grad_error = max(relative(gradients32[k], g) for k, g in gradients.items() if g.norm() > 1e-9 * total)
    final_error = max(relative(final32[k], final[k]) for k in final)
    zero = sum(g.norm() <= 1e-9 * total for g in gradients.values())
    print(f"{name:14} {seed:4} {first:6.1f} {margin:6.1f} {losses[0]:10.6f} {losses[-1]:10.6f}   {loss_error:.1e}   {grad_error:.1e}   {final_error:.1e}"
          f"   {zero:4} {os.path.getsize(path) // 1024:5} KiB", flush=True)


def main():
    torch.set_num_threads(1)
    search = "--search" in sys.argv
    print("run            seed margins       first loss  last loss   of f32 against double: loss, gradient, final state; zero gradients; size")
    for name in [a for a in sys.argv[1:] if a != "--search"] or RUNS:
        make(name, search)


main()
