# Methods with negatives: SimCLR, MoCo, instance discrimination, CMC, CPC. Sections and pitfalls (P..) are those of methods.md.
import copy
import math

import torch
from torch.nn import functional as F

import networks
import optimizers
from method import (EPOCHS, STEPS_PER_EPOCH, Group, Method, apart, constant, ema, integers, matrices, normalize, step_decay,
                    warmup_cosine)

SAMPLES = Method.batch * STEPS_PER_EPOCH


class SimClr(Method):
    """Both views in one forward; NT-Xent, mean over 2N rows (methods.md 1.5, P1, P2, P11). LARS with the rate inside the momentum,
    warm-up by step, then cosine by step (P19, P20), biases and batch norms left out of decay and adaptation (P21)."""

    spec = "examples/simclr.dpl"
    settings = dict(backbone="resnet10", stem="cifar", width=4, hidden=32, dim=16, temperature=0.5, lr=0.02, weight_decay=1e-3,
                    warmup_epochs=1)

    def __init__(self, generator):
        s = self.settings
        backbone = networks.resnet10(s["width"])
        online = networks.Chain(backbone=backbone, head=self.head(backbone.features))
        networks.randomize(online, generator)
        self.networks = {"online": online}
        self.buffers = {}
        rate = warmup_cosine(s["lr"], s["warmup_epochs"])
        self.groups = [Group("online", optimizers.LarsTf(), rate, constant(s["weight_decay"]), matrices, matrices)]

    def head(self, features):
        s = self.settings
        return networks.mlp([features, s["hidden"], s["dim"]], norm=True, last_bias=False, last_norm=networks.BatchNormScale)

    def loss(self, views, step):
        return self.objective(normalize(self.networks["online"](torch.cat(views))))

    def objective(self, z):
        n = z.shape[0]
        logits = z @ z.T / self.settings["temperature"]
        logits = logits.masked_fill(torch.eye(n, dtype=torch.bool), -math.inf)
        positives = torch.arange(n).roll(n // 2)
        return F.cross_entropy(logits, positives)


class SimClrTable2(SimClr):
    """The other objectives of the paper's table 2, row by row: `term` of the cosine with the other view, [], and of those with the 2N - 2
    views of other samples, or of the greatest of these that is below the positive's (semi-hard; none: no term)."""

    batch = 8
    settings = dict(SimClr.settings, width=2, hidden=16, dim=8, lr=0.05)

    def objective(self, z):
        n = len(z)
        cosines = z @ z.T
        total, choices = 0.0, []
        for i in range(n):
            j = (i + n // 2) % n
            positive = cosines[i, j]
            negatives = torch.stack([cosines[i, k] for k in range(n) if k not in (i, j)])
            if self.settings["semi_hard"]:
                choices.append(negatives - positive)
                negatives = negatives[negatives < positive]
                if len(negatives):
                    nearest, at = negatives.max(0)
                    choices.append((negatives - nearest)[torch.arange(len(negatives)) != at])
                    negatives = nearest[None]
            total = total + self.term(positive, negatives)
        if choices:
            networks.decided(torch.cat(choices))
        return total / n


class SimClrLogistic(SimClrTable2):
    """NT-Logistic: -log sigmoid(positive / T) - log sigmoid(-negative / T)."""

    settings = dict(SimClrTable2.settings, objective="nt_logistic", semi_hard=False)

    def term(self, positive, negatives):
        t = self.settings["temperature"]
        push = -F.logsigmoid(-negatives / t).mean() if len(negatives) else 0.0
        return push - F.logsigmoid(positive / t)


class SimClrLogisticSemiHard(SimClrLogistic):
    """NT-Logistic with one negative a row."""

    settings = dict(SimClrLogistic.settings, semi_hard=True)


class SimClrMargin(SimClrTable2):
    """Margin triplet: max(0, negative - positive + margin)."""

    settings = dict(SimClrTable2.settings, objective="margin_triplet", semi_hard=False, margin=0.8)

    def term(self, positive, negatives):
        return networks.relu(negatives - positive + self.settings["margin"]).mean() if len(negatives) else 0.0


class SimClrMarginSemiHard(SimClrMargin):
    """Margin triplet with one negative a row. The margin is such that some rows are within it and some are not."""

    settings = dict(SimClrMargin.settings, semi_hard=True, margin=0.2)


class SimClrLinearHead(SimClr):
    """The head is one product, with the batch norm on its output, which has no shift (methods.md 1.5)."""

    batch = 8
    settings = dict(SimClr.settings, width=2, dim=8, lr=0.05, head="linear")

    def head(self, features):
        return networks.mlp([features, self.settings["dim"]], last_bias=False, last_norm=networks.BatchNormScale)


def contrast(q, positives, negatives, temperature):
    """(1 + K)-way cross-entropy, the positive first (P5: log-softmax). negatives: [K, D]."""
    logits = torch.cat([(q * positives).sum(1, keepdim=True), q @ negatives.T], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


class MoCoV2(Method):
    """Key network moved before the forward, parameters only; its own running statistics; queue written after the loss (methods.md 1.4,
    P12, P13). All parameters decay (P21), the cosine goes by epoch (P19). The key network starts beside the query's, not at it, so that
    the average is seen in the first step."""

    spec = "examples/moco_v2.dpl"
    settings = dict(backbone="resnet18", stem="cifar", width=4, dim=16, length=64, momentum=0.99, temperature=0.2, groups=1, lr=0.005,
                    weight_decay=1e-4)
    views = ("q", "k")

    def __init__(self, generator):
        s = self.settings
        backbone = getattr(networks, s["backbone"])(s["width"])
        online = networks.Chain(backbone=backbone, head=self.head(backbone.features))
        networks.randomize(online, generator)
        self.networks = {"online": online, "key": apart(copy.deepcopy(online), generator)}
        self.buffers = {"queue": normalize(torch.randn(s["length"], s["dim"], generator=generator))}
        self.groups = [Group("online", optimizers.Sgd(0.9), self.lr, constant(s["weight_decay"]))]

    def head(self, features):
        return networks.mlp([features, features, self.settings["dim"]])

    def lr(self, step):
        return optimizers.cosine(self.settings["lr"], step // STEPS_PER_EPOCH, EPOCHS)

    def before_forward(self, step):
        ema(self.networks["key"], self.networks["online"], self.settings["momentum"])

    def loss(self, views, step):
        return self.direction(*views)

    def direction(self, query, key):
        """One loss; leaves its keys in `self.keys`."""
        q = normalize(self.networks["online"](query))
        with torch.no_grad():
            self.keys = normalize(self.keys_of(key))
        return contrast(q, self.keys, self.buffers["queue"], self.settings["temperature"])

    def keys_of(self, views):
        return self.networks["key"](views)

    def after_loss(self, step):
        at = step * len(self.keys) % self.settings["length"]
        self.buffers["queue"][at : at + len(self.keys)] = self.keys


class MoCoV2Shuffled(MoCoV2):
    """Batch norms over halves of the batch, and for the key network over halves of it in another order, which is undone after (P30)."""

    settings = dict(MoCoV2.settings, backbone="resnet10", width=2, dim=8, groups=2)
    draws = ("permutation",)

    def __init__(self, generator):
        super().__init__(generator)
        for net in self.networks.values():
            networks.split_batch_norm(net, self.settings["groups"])

    def keys_of(self, views):
        order = self.uniform[0].long()
        return self.networks["key"](views[order])[order.argsort()]


class MoCoV2Symmetric(MoCoV2):
    """The sum of both directions against the same queue, which gets the keys of both once, after both losses (methods.md 1.4, P32): first
    those of the first view, as in the official notebook's cat([k1, k2]). P31: the queue holds a whole number of what a step adds."""

    batch = 8
    settings = dict(MoCoV2.settings, backbone="resnet10", width=2, dim=8, weight_decay=1e-3, symmetric=True)

    def loss(self, views, step):
        forth = self.direction(views[0], views[1])
        keys = self.keys
        back = self.direction(views[1], views[0])
        self.keys = torch.cat([self.keys, keys])
        return forth + back


class MoCoV1(MoCoV2):
    """A linear head, T .07, the rate by steps (methods.md 1.4); otherwise as v2 (P12, P13)."""

    spec = "examples/moco_v1.dpl"
    batch = 8
    settings = dict(MoCoV2.settings, backbone="resnet10", width=2, dim=8, temperature=0.07, lr=0.004, weight_decay=1e-3, decay_at=[1])

    def head(self, features):
        return torch.nn.Linear(features, self.settings["dim"])

    def lr(self, step):
        return step_decay(self.settings["lr"], self.settings["decay_at"])(step)


class MoCoV1EndToEnd(MoCoV1):
    """Keys by the same network, with gradient; a row's negatives are the keys of the other samples. Two forwards (P11)."""

    settings = dict(MoCoV1.settings, mechanism="end_to_end")

    def __init__(self, generator):
        super().__init__(generator)
        del self.networks["key"], self.buffers["queue"]

    def before_forward(self, step):
        pass

    def loss(self, views, step):
        q, k = (normalize(self.networks["online"](v)) for v in views)
        return F.cross_entropy(q @ k.T / self.settings["temperature"], torch.arange(len(q)))

    def after_loss(self, step):
        pass


def remember(bank, index, z, momentum):
    """A row keeps `momentum` of itself (P29), and has length 1 then."""
    with torch.no_grad():
        bank.index_copy_(0, index, normalize(momentum * bank[index] + (1 - momentum) * z))


class MoCoV1Bank(MoCoV1):
    """The memory bank of figure 2b: the sample's row is the positive, rows drawn with replacement are the negatives of all queries (P28);
    rows move after the loss as in InstDisc (P29)."""

    batch = 16
    settings = dict(MoCoV1.settings, mechanism="bank", length=24, samples=SAMPLES)
    views = ("q",)
    reads_index = True
    draws = ((24,),)

    def __init__(self, generator):
        super().__init__(generator)
        s = self.settings
        del self.networks["key"], self.buffers["queue"]
        self.buffers["bank"] = normalize(torch.randn(s["samples"], s["dim"], generator=generator))

    def before_forward(self, step):
        pass

    def loss(self, views, step):
        bank = self.buffers["bank"]
        self.z = normalize(self.networks["online"](views[0]))
        negatives = bank[integers(self.uniform[0], len(bank))]
        return contrast(self.z, bank[self.index], negatives, self.settings["temperature"])

    def after_loss(self, step):
        remember(self.buffers["bank"], self.index, self.z, 0.5)


def bank_of(rows, dim, generator):
    """Uniform in -s .. s, s = 1 / sqrt(D / 3): rows have length 1 on average only."""
    return (2 * torch.rand(rows, dim, generator=generator) - 1) / math.sqrt(dim / 3)


def nce(p, samples):
    """p: [N, 1 + K], the model's probability of the sample and of the noise, which is uniform. epsilon 1e-7 (P27). Mean over N."""
    noise = (p.shape[1] - 1) / samples
    data = p[:, 0] / (p[:, 0] + noise + 1e-7)
    others = noise / (p[:, 1:] + noise + 1e-7)
    return -(data.log().sum() + others.log().sum()) / len(p)


class InstDisc(Method):
    """One view. Scores with the old bank; Z from the first batch, its positives included, then a constant, without gradient (methods.md
    1.1, P26, P27); noise drawn with replacement, the sample itself among it (P28); rows move after the gradient (P29). All parameters
    decay (P21), the rate falls by epoch (P19)."""

    spec = "examples/instdisc.dpl"
    settings = dict(samples=SAMPLES, backbone="resnet10", stem="cifar", width=2, dim=8, temperature=0.07, noise=6, momentum=0.6, lr=0.003,
                    weight_decay=1e-3, decay_at=[1])
    views = ("x",)
    reads_index = True
    draws = ((Method.batch * 6,),)

    def __init__(self, generator):
        s = self.settings
        backbone = networks.resnet10(s["width"])
        online = networks.Chain(backbone=backbone, head=torch.nn.Linear(backbone.features, s["dim"]))
        networks.randomize(online, generator)
        self.networks = {"online": online}
        self.buffers = {"bank": bank_of(s["samples"], s["dim"], generator), "partition": torch.zeros(())}
        self.groups = [Group("online", optimizers.Sgd(0.9), step_decay(s["lr"], s["decay_at"]), constant(s["weight_decay"]))]

    def loss(self, views, step):
        s = self.settings
        self.z = normalize(self.networks["online"](views[0]))
        drawn = integers(self.uniform[0], s["samples"]).reshape(self.batch, s["noise"])
        rows = self.buffers["bank"][torch.cat([self.index[:, None], drawn], 1)]
        scores = (torch.bmm(rows, self.z[:, :, None])[:, :, 0] / s["temperature"]).exp()
        if step == 0:
            self.buffers["partition"] = scores.detach().mean() * s["samples"]
        return nce(scores / self.buffers["partition"], s["samples"])

    def after_loss(self, step):
        remember(self.buffers["bank"], self.index, self.z, self.settings["momentum"])


class InstDiscSoftmax(InstDisc):
    """--nce-k 0: the softmax over the whole bank (methods.md 1.1, LinearAverage); the bank moves in the same way."""

    settings = dict(InstDisc.settings, noise=0, temperature=0.1)
    draws = ()

    def __init__(self, generator):
        super().__init__(generator)
        del self.buffers["partition"]

    def loss(self, views, step):
        self.z = normalize(self.networks["online"](views[0]))
        return F.cross_entropy(self.z @ self.buffers["bank"].T / self.settings["temperature"], self.index)


class InstDiscProximal(InstDisc):
    """The paper's eq. 9: lambda |v - bank row|^2 beside the NCE; not in the released code."""

    settings = dict(InstDisc.settings, proximal=5.0)

    def loss(self, views, step):
        noise_contrastive = super().loss(views, step)
        distance = (self.z - self.buffers["bank"][self.index]).pow(2).sum(1)
        return noise_contrastive + self.settings["proximal"] * distance.mean()


def number(values, like):
    """Constants as f32 has them: in a and b, differences times 200 and 500, their last digits show."""
    return torch.tensor(values, dtype=torch.float32).to(like.dtype)


def lab(x):
    """sRGB in 0 .. 1, [N, 3, H, W], to CIE Lab, D65, with CMC's middle and half range of each channel taken out."""
    light = torch.where(x > 0.04045, ((x + number(0.055, x)) / number(1.055, x)) ** number(2.4, x), x / number(12.92, x))
    rows = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    xyz = torch.einsum("ij,njhw->nihw", number(rows, x), light) / number([0.95047, 1.0, 1.08883], x)[:, None, None]
    f = torch.where(xyz > 0.008856, xyz ** number(1 / 3, x), number(7.787, x) * xyz + number(16 / 116, x))
    channels = torch.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)
    middle, half = number([50.0, 6.025, -6.6895], x), number([50.0, 92.208, 101.1675], x)
    return (channels - middle[:, None, None]) / half[:, None, None]


class Cmc(Method):
    """L and ab of one crop, an encoder each; each is compared with the memory of the other, with noise drawn once for both; Z of each
    direction from the first batch; the sum of both NCEs; both memories move after the scores (methods.md 1.3, P26 to P29)."""

    spec = "examples/cmc.dpl"
    settings = dict(samples=SAMPLES, views=2, backbone="resnet10", stem="cifar", width=2, dim=8, temperature=0.07, noise=6, momentum=0.6,
                    lr=0.003, weight_decay=1e-3, decay_at=[1])
    views = ("x",)
    reads_index = True
    colors = True
    draws = ((Method.batch * 6,),)
    channels = (1, 2)

    def __init__(self, generator):
        s = self.settings
        encoders = [networks.resnet10(s["width"], inputs=n) for n in self.channels]
        online = networks.Branches(encoders, [torch.nn.Linear(e.features, s["dim"]) for e in encoders])
        networks.randomize(online, generator)
        self.networks = {"online": online}
        memories = [bank_of(s["samples"], s["dim"], generator) for _ in encoders]
        self.buffers = {"bank": torch.cat(memories, 1), "partition": torch.zeros(len(encoders) * (len(encoders) - 1))}
        self.groups = [Group("online", optimizers.Sgd(0.9), step_decay(s["lr"], s["decay_at"]), constant(s["weight_decay"]))]

    def parts(self, x):
        return torch.split(lab(x), [1, 2], 1)

    def loss(self, views, step):
        s = self.settings
        self.z = [normalize(z) for z in self.networks["online"](self.parts(views[0]))]
        memories = self.buffers["bank"].split(s["dim"], 1)
        drawn = integers(self.uniform[0], s["samples"]).reshape(self.batch, s["noise"])
        rows = torch.cat([self.index[:, None], drawn], 1)
        total, pair = 0.0, 0
        for i, z in enumerate(self.z):
            for j, memory in enumerate(memories):
                if i == j:
                    continue
                total = total + self.compare(torch.bmm(memory[rows], z[:, :, None])[:, :, 0] / s["temperature"], pair, step)
                pair += 1
        return total

    def compare(self, logits, pair, step):
        """logits: [N, 1 + K], the sample's own memory first."""
        scores = logits.exp()
        if step == 0:
            self.buffers["partition"][pair] = scores.detach().mean() * self.settings["samples"]
        return nce(scores / self.buffers["partition"][pair].item(), self.settings["samples"])

    def after_loss(self, step):
        for memory, z in zip(self.buffers["bank"].split(self.settings["dim"], 1), self.z):
            remember(memory, self.index, z, self.settings["momentum"])


class CmcSoftmax(Cmc):
    """The code's --softmax: no Z, the sample's own memory among its noise by cross-entropy."""

    settings = dict(Cmc.settings, objective="softmax", lr=0.01)

    def __init__(self, generator):
        super().__init__(generator)
        del self.buffers["partition"]

    def compare(self, logits, pair, step):
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))


class CmcFourViews(Cmc):
    """L, a, b and the edges of L, every ordered pair contrasted (the paper's full graph)."""

    batch = 8
    settings = dict(Cmc.settings, samples=8 * STEPS_PER_EPOCH, views=4, lr=0.001)
    draws = ((8 * 6,),)
    channels = (1, 1, 1, 2)

    def parts(self, x):
        channels = lab(x)
        padded = F.pad(channels[:, :1], (0, 1, 0, 1), mode="replicate")
        edges = torch.cat([padded[:, :, 1:, :-1], padded[:, :, :-1, 1:]], 1) - channels[:, :1]
        return *channels.split(1, 1), edges


class Cpc(Method):
    """A network without batch norm over half-overlapping patches, their mean; a context that sees the rows down to its own; W_k of the
    patches; row t against row t + k + 1; negatives drawn with replacement among the mapped patches of the rows that k reaches, with
    gradient; ln(p + 1e-11); mean over places, mean over k; Adam (methods.md 1.2, P28, P34)."""

    spec = "examples/cpc.dpl"
    settings = dict(size=10, patch=4, blocks=[1, 1], width=1, steps=2, negatives=3, lr=0.01)
    views = ("x",)
    sizes = {"x": 10}
    ahead = settings["steps"]  # offsets for which one of the four rows of patches is left
    draws = tuple((Method.batch * (4 - k - 1) * 4 * 3,) for k in (1, 2))

    def __init__(self, generator):
        s = self.settings
        backbone = networks.PlainResNet(s["blocks"], s["width"])
        dim = s.get("dim", backbone.features)
        head = {"head": torch.nn.Linear(backbone.features, dim)} if "dim" in s else {}
        encoder = networks.Chain(backbone=backbone, **head)
        predict = networks.Each([torch.nn.Linear(dim, dim, bias=False) for _ in range(self.ahead)])
        self.networks = {"encoder": encoder, "context_net": self.context(dim), "predict": predict}
        for net in self.networks.values():
            networks.randomize(net, generator)
        self.buffers = {}
        self.groups = [Group(name, optimizers.AdamW(), constant(s["lr"]), constant(0.0)) for name in self.networks]

    def context(self, dim):
        return networks.PixelCnn(dim)

    def cut(self, patches):
        return patches

    def loss(self, views, step):
        net, s = self.networks, self.settings
        patches = views[0].unfold(2, s["patch"], s["patch"] // 2).unfold(3, s["patch"], s["patch"] // 2)  # [N, C, Y, X, size, size]
        n, _, rows, columns = patches.shape[:4]
        z = net["encoder"](self.cut(patches.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))).reshape(n, rows, columns, -1)
        c = net["context_net"](z)
        total = 0.0
        for k in range(1, self.ahead + 1):
            targets = net["predict"].part[k - 1](z[:, k + 1 :])
            pool = targets.flatten(0, 2)
            drawn = pool[integers(self.uniform[k - 1 - self.ahead], len(pool))].reshape(len(pool), s["negatives"], -1)
            candidates = torch.cat([pool[:, None], drawn], 1)
            scores = torch.einsum("pd,pkd->pk", c[:, : rows - k - 1].flatten(0, 2), candidates)
            total = total - (scores.softmax(1)[:, 0] + 1e-11).log().mean()
        return total / self.ahead


class CpcCut(Cpc):
    """Of each patch [P, C, size, size] a random square is seen, mirrored or not. Drawn for each patch: that, and the place down and right.
    Fewer features than the encoder's are predicted."""

    settings = dict(Cpc.settings, cut=3, flip=0.5, width=2, dim=6)
    draws = ((Method.batch * 16, 1, 1),) * 3 + Cpc.draws

    def cut(self, patches):
        side, most = self.settings["cut"], self.settings["patch"] - self.settings["cut"]
        mirrored, down, right = [draws.flatten() for draws in self.uniform[:3]]
        squares = []
        for patch, turn, y, x in zip(patches, mirrored, integers(down, most + 1), integers(right, most + 1)):
            square = patch[:, y : y + side, x : x + side]
            squares.append(square.flip(2) if turn < self.settings["flip"] else square)
        return torch.stack(squares)


class CpcGru(Cpc):
    """The context is a gated recurrent unit that goes down each column for itself."""

    settings = dict(Cpc.settings, width=2, context="gru")

    def context(self, dim):
        return networks.GruRows(dim)
