# Makes the golden files of the methods and of the optimizers with PyTorch, in double. README.md describes their content.
#
#   /usr/bin/python3 make.py [--search] [NAME...]      all without a name
#
# Everything that a step reads is rounded to f32 before it starts, so that a run in f32 starts from exactly the same numbers. Each run is
# repeated in f32 with PyTorch: the table that is printed says how far f32 alone is from double, and the tolerances of the tests must
# leave room for that. In networks as thin as these, one ReLU input so near zero that rounding decides its sign changes gradients by a
# per cent; `--search` finds seeds where no input is, SEEDS holds them.
import functools
import json
import math
import os
import sys

import numpy as np
import torch
from torch.nn import functional as F

import contrastive
import networks
import optimizers
import safetensors
import siamese
import stamp
from method import EPOCHS, SIZE, STEPS, STEPS_PER_EPOCH, TOTAL, Group, Method, constant, everything, matrices


def make_views(method, seed):
    """{name: [STEPS, N, size, size, 3]}: the views of a sample share a smooth pattern, so that there is something to learn."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 1.5 * torch.randn(STEPS * method.batch, 3, 2, 2, generator=generator)
    views = {}
    for name in method.views:
        size = method.sizes.get(name, SIZE)
        pattern = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
        noise = torch.randn(STEPS * method.batch, 3, size, size, generator=generator)
        view = pattern + 0.3 * noise
        view = view.sigmoid() if method.colors else view + method.mean
        views[name] = view.reshape(STEPS, method.batch, 3, size, size).permute(0, 1, 3, 4, 2).contiguous()
    return views


def make_draws(method, seed):
    """(samples of each step [STEPS, N], of which each comes once in an epoch; uniform draws [STEPS] by `method.draws`). Draws are odd
    multiples of 2^-13: f32 has them exactly, and times a number of rows below 2^13 they are no whole number, however it is rounded."""
    generator = torch.Generator().manual_seed(seed)
    samples = method.batch * STEPS_PER_EPOCH
    index = torch.cat([torch.randperm(samples, generator=generator) for _ in range(EPOCHS)]).reshape(STEPS, method.batch)

    def draw(shape):
        if shape == "permutation":
            return torch.randperm(method.batch, generator=generator).float()
        return (torch.randint(2**12, shape, generator=generator) + 0.5) / 2**12

    uniform = [[draw(shape) for shape in method.draws] for _ in range(STEPS)]
    return index, uniform


class OptimizerRun(Method):
    """A small network under one optimizer, with rates so large that each term counts, and a rate that changes from step to step: rules that
    put it inside and outside the momentum part at the second step (P20). Loss: mean of (net(view) - 1)^2."""

    spec = "test/golden/optimizers.dpl"
    views = ("a",)

    def __init__(self, generator, name, rule, lr, decayed, adapted):
        net = networks.Tiny()
        networks.randomize(net, generator)
        self.networks = {"online": net}
        self.buffers = {}
        self.settings = dict(rule=name, lr=lr)
        self.groups = [Group("online", rule, lambda step: optimizers.cosine(lr, step, TOTAL), constant(0.05), decayed, adapted)]

    def loss(self, views, step):
        return (self.networks["online"](views[0]) - 1).pow(2).mean()


class NormRun(Method):
    """Batch norms of an input whose mean is `mean` times its deviation. Loss: mean of (tanh(net(view)) - 1/2)^2."""

    spec = "test/golden/norms.dpl"
    views = ("a",)
    settings = dict(lr=0.05)

    def __init__(self, generator, mean):
        net = networks.norms(SIZE)
        networks.randomize(net, generator)
        with torch.no_grad():
            net.offset.value.zero_()
        self.mean = mean
        self.networks = {"online": net}
        self.buffers = {}
        self.groups = [Group("online", optimizers.Sgd(), constant(0.05), constant(0.0))]

    def loss(self, views, step):
        return (self.networks["online"](views[0]).tanh() - 0.5).pow(2).mean()


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
    "simclr": contrastive.SimClr,
    "simclr_nt_logistic": contrastive.SimClrLogistic,
    "simclr_nt_logistic_semi_hard": contrastive.SimClrLogisticSemiHard,
    "simclr_margin": contrastive.SimClrMargin,
    "simclr_margin_semi_hard": contrastive.SimClrMarginSemiHard,
    "simclr_linear_head": contrastive.SimClrLinearHead,
    "moco_v1": contrastive.MoCoV1,
    "moco_v1_end_to_end": contrastive.MoCoV1EndToEnd,
    "moco_v1_bank": contrastive.MoCoV1Bank,
    "moco_v2": contrastive.MoCoV2,
    "moco_v2_symmetric": contrastive.MoCoV2Symmetric,
    "moco_v2_shuffled": contrastive.MoCoV2Shuffled,
    "instdisc": contrastive.InstDisc,
    "instdisc_softmax": contrastive.InstDiscSoftmax,
    "instdisc_proximal": contrastive.InstDiscProximal,
    "cmc": contrastive.Cmc,
    "cmc_softmax": contrastive.CmcSoftmax,
    "cmc_four_views": contrastive.CmcFourViews,
    "cpc": contrastive.Cpc,
    "cpc_cut": contrastive.CpcCut,
    "cpc_gru": contrastive.CpcGru,
    "byol": siamese.Byol,
    "simsiam": siamese.SimSiam,
    "simsiam_one_sided": siamese.SimSiamOneSided,
    "simsiam_refreshed": siamese.SimSiamRefreshed,
    "simsiam_averaged": siamese.SimSiamAveraged,
    "swav": siamese.SwAV,
    "swav_queue": siamese.SwAVQueue,
    "dino": siamese.Dino,
    "dino_resnet": siamese.DinoResNet,
    **{name: functools.partial(OptimizerRun, name=name, rule=rule, lr=lr, decayed=decayed, adapted=adapted)
       for name, (rule, lr, decayed, adapted) in OPTIMIZERS.items()},
    **{f"norms_{mean}": functools.partial(NormRun, mean=mean) for mean in (0, 10, 100)},
}

SEEDS = {"simclr": 2, "simclr_nt_logistic": 1, "simclr_nt_logistic_semi_hard": 1, "simclr_margin": 1, "simclr_margin_semi_hard": 1,
         "moco_v1": 1, "moco_v1_end_to_end": 43, "moco_v1_bank": 1, "moco_v2": 82, "moco_v2_symmetric": 5, "moco_v2_shuffled": 3, "instdisc": 2,
         "instdisc_softmax": 1, "instdisc_proximal": 3, "cmc": 6, "cmc_softmax": 72, "cmc_four_views": 1, "cpc_gru": 2, "byol": 70, "simsiam_refreshed": 2,
         "simsiam_averaged": 3, "dino_resnet": 5}


def states(method):
    """{name: tensor} of parameters, running statistics and buffers; what PyTorch counts beside (num_batches_tracked) is left out."""
    found = {}
    for prefix, net in method.networks.items():
        for name, tensor in net.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                found[f"{prefix}.{name}"] = tensor
    found.update(method.buffers)
    return {name: tensor.clone() for name, tensor in found.items()}


def given(method, views, index, uniform, step, dtype):
    """Sets what a step draws; returns its views, [N, 3, H, W]."""
    method.index = index[step]
    method.uniform = [draws.to(dtype) for draws in uniform[step]]
    return [views[name][step].permute(0, 3, 1, 2).to(dtype) for name in method.views]


def update(method, group, step, moments, counts):
    """One optimizer's step, whose gradients each parameter holds."""
    for name, w in method.networks[group.prefix].named_parameters():
        if not group.chosen(name) or not group.active(step) or w.grad is None:
            continue
        g, key = w.grad, (group.prefix, name)
        if group.clip:
            g = g * min(1.0, group.clip / (g.norm() + 1e-6))
        counts[key] = counts.get(key, 0) + 1
        m = moments.setdefault(key, {k: torch.zeros_like(w) for k in group.rule.moments})
        group.rule.step(w, g, m, group.rate(step), group.decay(step), group.decayed(w), group.adapted(w), counts[key])


def run(build, dtype, seed):
    """Ten steps. Returns (method, initial states, what the steps drew, losses, gradients of the first step, final states)."""
    torch.set_default_dtype(torch.float32)
    method = build(torch.Generator().manual_seed(seed))
    settle(method, seed + 2)
    for net in method.networks.values():
        net.to(dtype).train()
    method.buffers = {name: tensor.to(dtype) for name, tensor in method.buffers.items()}
    initial = states(method)
    drawn = make_views(method, seed + 1), *make_draws(method, seed + 3)
    moments, counts = {}, {}
    losses, gradients = [], {}
    for step in range(STEPS):
        method.before_forward(step)
        loss = method.loss(given(method, *drawn, step, dtype), step)
        losses.append(loss.item())
        for net in method.networks.values():
            net.zero_grad(set_to_none=True)
        loss.backward()
        if step == 0:
            gradients = {f"{group.prefix}.{name}": torch.zeros_like(w) if w.grad is None else w.grad.clone() for group in method.groups
                         for name, w in method.networks[group.prefix].named_parameters() if group.chosen(name)}
        method.after_loss(step)
        with torch.no_grad():
            for group in method.groups:
                update(method, group, step, moments, counts)
        method.after_step(step)
    return method, initial, drawn, losses, gradients, states(method)


def settle(method, seed):
    """A few steps of SGD on other views, for a method whose first losses are about zero: a relative error says nothing there. In double, so
    that any machine comes to the same f32."""
    if method.settle == 0:
        return
    drawn = make_views(method, seed), *make_draws(method, seed)
    for net in method.networks.values():
        net.double().train()
    method.buffers = {name: tensor.double() for name, tensor in method.buffers.items()}
    parameters = [p for net in method.networks.values() for p in net.parameters()]
    sgd = torch.optim.SGD(parameters, 0.02, 0.9)
    for step in range(method.settle):
        sgd.zero_grad()
        method.loss(given(method, *drawn, step % STEPS, torch.float64), step).backward()
        sgd.step()
    for net in method.networks.values():
        net.float()
    method.buffers = {name: tensor.float() for name, tensor in method.buffers.items()}
    networks.relu_inputs.clear()


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
    margins = [(x.abs().min() / (x - y).pow(2).mean().sqrt()).item() if x.shape == y.shape else 0.0
               for x, y in zip(inputs, networks.relu_inputs)]
    return double, single, min(margins[: len(margins) // STEPS], default=math.inf), min(margins, default=math.inf)


def make(name, search):
    folder = os.path.dirname(os.path.abspath(__file__))
    seed = SEEDS.get(name, 0)
    double, single, first, margin = compare(name, seed)
    while search and (first < 40 or margin < 2 or min(map(abs, double[3])) < 0.05):  # a relative error of nothing says nothing
        seed += 1
        double, single, first, margin = compare(name, seed)
    method, initial, (views, index, uniform), losses, gradients, final = double
    _, _, _, losses32, gradients32, final32 = single
    tensors = {"loss": np.array(losses, np.float64)}
    for prefix, group in (("state", initial), ("grad", gradients), ("final", final)):
        for key, tensor in group.items():
            tensors[f"{prefix}/{key}"] = tensor.float().numpy()
    total = sum(g.pow(2).sum() for g in gradients.values()).sqrt()
    for key, gradient in gradients.items():
        if gradient.norm() > 1e-6 * total:
            tensors[f"rounding/{key}"] = np.float64(relative(gradients32[key], gradient))
    for key, view in views.items():
        for step in range(STEPS):
            tensors[f"view/{step}/{key}"] = view[step].numpy()
    for step in range(STEPS):
        if method.reads_index:
            tensors[f"index/{step}/samples"] = index[step].float().numpy()
        for number, draws in enumerate(uniform[step]):
            tensors[f"draw/{step}/{number}"] = draws.numpy()
    settings = dict(method.settings, batch=method.batch, epochs=EPOCHS, size=method.settings.get("size", SIZE))
    path = os.path.join(folder, f"{name}.safetensors")
    safetensors.save(path, tensors, dict(spec=method.spec, samples=method.batch * STEPS_PER_EPOCH, settings=json.dumps(settings),
                                         sources=stamp.of(__file__)))
    loss_error = max(abs(a - b) / abs(b) for a, b in zip(losses32, losses))
    grad_error = max(relative(gradients32[k], g) for k, g in gradients.items() if g.norm() > 1e-9 * total)
    final_error = max(relative(final32[k], final[k]) for k in final)
    zero = sum(g.norm() <= 1e-9 * total for g in gradients.values())
    print(f"{name:28} {seed:4} {first:6.1f} {margin:6.1f} {losses[0]:10.6f} {losses[-1]:10.6f}"
          f"   {loss_error:.1e}   {grad_error:.1e}   {final_error:.1e}   {zero:4} {os.path.getsize(path) // 1024:5} KiB", flush=True)


def main():
    torch.set_num_threads(1)
    torch.backends.mkldnn.set_flags(_enabled=False)  # whose f32 convolutions, as Debian builds them, overwrite memory on some processors
    search = "--search" in sys.argv
    print("run                          seed margins       first loss  last loss   of f32 against double: loss, gradient, final state;"
          " zero gradients; size")
    for name in [a for a in sys.argv[1:] if a != "--search"] or RUNS:
        make(name, search)


if __name__ == "__main__":
    main()
