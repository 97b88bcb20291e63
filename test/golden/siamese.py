# Methods without negatives: BYOL, SimSiam, SwAV, DINO. Sections and pitfalls (P..) are those of methods.md.
import copy

import numpy as np
import torch
from torch.nn import functional as F

import networks
import optimizers
from method import (EPOCHS, STEPS_PER_EPOCH, TOTAL, Group, Method, apart, constant, cosine_similarity, ema, linspace_cosine, matrices,
                    normalize, warmup_cosine)


class Byol(Method):
    """Sum of both directions of 2 - 2 cos, mean over the batch; views apart; target moved after the step by the new weights, with its own
    running statistics (methods.md 1.7, P11, P12, P13, P14, P23). LARS with the rate outside the momentum (P20)."""

    spec = "examples/byol.dpl"
    settings = dict(backbone="resnet10", stem="cifar", width=4, hidden=32, dim=16, momentum=0.95, lr=0.2, weight_decay=1e-3,
                    warmup_epochs=1)

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
        rate = warmup_cosine(s["lr"], s["warmup_epochs"])
        self.groups = [Group(name, optimizers.LarsByol(), rate, constant(s["weight_decay"]), matrices, matrices)
                       for name in ("online", "predictor")]

    def head(self, inputs):
        return networks.mlp([inputs, self.settings["hidden"], self.settings["dim"]], norm=True, last_bias=False)

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
    """Minus half the sum of both cosines; views apart; projection without gradient on the target side; the predictor's rate stays; the last
    product of the projector has no bias, its batch norm nothing that is trained (methods.md 1.8, P11, P19, P21, P22)."""

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
        self.groups = [Group("online", sgd, self.lr, constant(s["weight_decay"])),
                       Group("predictor", sgd, constant(s["lr"]), constant(s["weight_decay"]))]

    def lr(self, step):
        return optimizers.cosine(self.settings["lr"], step // STEPS_PER_EPOCH, EPOCHS)

    def loss(self, views, step):
        net = self.networks
        z = [net["online"](v) for v in views]
        p = [net["predictor"](x) for x in z]
        return -0.5 * (cosine_similarity(p[0], z[1].detach()).mean() + cosine_similarity(p[1], z[0].detach()).mean())


class SimSiamOneSided(SimSiam):
    """One direction, the target the mean of two views (the paper's sections 4.6 and 5.1)."""

    batch = 8
    settings = dict(SimSiam.settings, width=2, hidden=8, dim=16, weight_decay=1e-3, symmetric=False, draws=2)
    views = ("a", "b", "more.0")

    def loss(self, views, step):
        net = self.networks
        prediction = net["predictor"](net["online"](views[0]))
        with torch.no_grad():
            targets = [net["online"](v) for v in views[1:]]
        return -cosine_similarity(prediction, (targets[0] + targets[1]) / 2).mean()


class SimSiamRefreshed(SimSiam):
    """Targets by a copy of the weights that every third step renews, before the forward (section 5.2, multi-step alternation). The copy has
    running statistics of its own (P13)."""

    batch = 8
    settings = dict(SimSiam.settings, width=2, hidden=8, dim=16, weight_decay=1e-3, targets="refreshed", refresh=3)
    settle = 20

    def __init__(self, generator):
        super().__init__(generator)
        self.networks["target"] = apart(copy.deepcopy(self.networks["online"]), generator)

    def before_forward(self, step):
        if step % self.settings["refresh"] == 0:
            ema(self.networks["target"], self.networks["online"], 0.0)

    def loss(self, views, step):
        net = self.networks
        p = [net["predictor"](net["online"](v)) for v in views]
        with torch.no_grad():
            t = [net["target"](v) for v in views]
        return -0.5 * (cosine_similarity(p[0], t[1]).mean() + cosine_similarity(p[1], t[0]).mean())


class SimSiamAveraged(SimSiam):
    """No predictor: a moving average of each image's targets in its place (section 5.3), which the loss sees with this step's part."""

    batch = 8
    settings = dict(SimSiam.settings, width=2, dim=16, lr=0.005, weight_decay=1e-3, targets="averaged", samples=8 * STEPS_PER_EPOCH,
                    momentum=0.8)
    settle = 5
    reads_index = True

    def __init__(self, generator):
        super().__init__(generator)
        del self.networks["predictor"], self.groups[1]
        self.buffers = {"eta": 0.1 * torch.randn(self.settings["samples"], self.settings["dim"], generator=generator)}

    def loss(self, views, step):
        z = [self.networks["online"](v) for v in views]
        m = self.settings["momentum"]
        self.average = m * self.buffers["eta"][self.index] + (1 - m) * z[1].detach()
        return -cosine_similarity(z[0], self.average).mean()

    def after_loss(self, step):
        self.buffers["eta"][self.index] = self.average


class SwAV(Method):
    """Prototypes without bias, rows set to length 1 before the forward, at rest in the first steps: no decay, no momentum (methods.md 1.6,
    P8); crops of one size through the backbone together, all through the head (P10); codes by Sinkhorn and Knopp in full precision (P6,
    P7); a crop's code against the scores of all others. LARC on every parameter (P20, P21)."""

    spec = "examples/swav.dpl"
    batch = 8
    settings = dict(backbone="resnet10", stem="cifar", width=2, hidden=16, dim=8, prototypes=6, small_size=4, small_crops=2,
                    temperature=0.1, epsilon=0.05, rounds=3, length=0, freeze=3, lr=4.0, start_lr=1.0, warmup_epochs=1, weight_decay=1e-2,
                    blur=0.0)
    views = ("large.0", "large.1", "small.0", "small.1")
    sizes = {"small.0": 4, "small.1": 4}

    def __init__(self, generator):
        s = self.settings
        trunk = networks.resnet10(s["width"])
        projector = networks.mlp([trunk.features, s["hidden"], s["dim"]], norm=True)
        prototype = torch.nn.Linear(s["dim"], s["prototypes"], bias=False)
        self.networks = {"trunk": trunk, "projector": projector, "prototype": prototype}
        for net in self.networks.values():
            networks.randomize(net, generator)
        self.buffers = {}
        larc, decay = optimizers.Larc(), constant(s["weight_decay"])
        rate = linspace_cosine(s["start_lr"], s["lr"], s["lr"] / 1000, s["warmup_epochs"])
        self.groups = [Group("trunk", larc, rate, decay), Group("projector", larc, rate, decay),
                       Group("prototype", larc, rate, decay, active=lambda step: step >= s["freeze"])]

    def before_forward(self, step):
        with torch.no_grad():
            weight = self.networks["prototype"].weight
            weight.copy_(normalize(weight))

    def loss(self, views, step):
        net, n = self.networks, self.batch
        features = torch.cat([net["trunk"](torch.cat(views[:2])), net["trunk"](torch.cat(views[2:]))])
        embedding = normalize(net["projector"](features))
        scores = net["prototype"](embedding)
        crops = range(len(views))
        total = 0.0
        for i in (0, 1):
            with torch.no_grad():
                out = self.with_queue(i, scores[i * n : (i + 1) * n], embedding[i * n : (i + 1) * n], step)
                code = self.sinkhorn(out)[-n:]
            others = [scores[v * n : (v + 1) * n] for v in crops if v != i]
            total = total - sum((code * (x / self.settings["temperature"]).log_softmax(1)).sum(1).mean() for x in others) / len(others)
        return total / 2

    def with_queue(self, i, scores, embedding, step):
        return scores

    def sinkhorn(self, scores):
        q = (scores / self.settings["epsilon"]).exp().T
        q = q / q.sum()
        for _ in range(self.settings["rounds"]):
            q = q / q.sum(1, keepdim=True) / q.shape[0]
            q = q / q.sum(0, keepdim=True) / q.shape[1]
        return (q * q.shape[1]).T


class SwAVQueue(SwAV):
    """A queue of embeddings for each of the two crops, made in epoch 1; used once its last row is not zero, after three steps, with the
    prototypes of now; pushed at the front after the scores are taken (methods.md 1.6, P9). A state of ours holds the rows in a ring."""

    batch = 16
    settings = dict(SwAV.settings, length=48, queue_from=1)

    def __init__(self, generator):
        super().__init__(generator)
        s = self.settings
        self.buffers = {"queue": torch.zeros(s["length"], 2 * s["dim"]), "queue.turn": torch.zeros(()), "pushed": torch.zeros(())}
        self.queue = None

    def with_queue(self, i, scores, embedding, step):
        s, n = self.settings, self.batch
        if step // STEPS_PER_EPOCH < s["queue_from"]:
            return scores
        if self.queue is None:
            self.queue = scores.new_zeros(2, s["length"], s["dim"])
        if not (self.queue[i, -1] == 0).all():
            scores = torch.cat([self.queue[i] @ self.networks["prototype"].weight.T, scores])
        self.queue[i] = torch.cat([embedding, self.queue[i, :-n]])
        return scores

    def after_loss(self, step):
        if self.queue is not None:
            turn = int(self.buffers["queue.turn"])
            at = turn * self.batch
            self.buffers["queue"][at : at + self.batch] = self.queue[:, : self.batch].transpose(0, 1).flatten(1)
            self.buffers["queue.turn"].fill_((turn + 1) % (self.settings["length"] // self.batch))
            self.buffers["pushed"] += 1


class Dino(Method):
    """A student of all crops, a teacher of the large ones, without drop path; raw logits of the teacher are centred with the old centre,
    sharpened by a temperature that goes by epoch; the centre moves after the loss (methods.md 1.9, P16). Each gradient is clipped by itself
    (P15); the last layer rests in epoch 0, its decay and its count of steps too (P17); matrices decay, the class token and the positions
    among them (P18, P21), by a schedule; the teacher moves after the step (P12). Positions are interpolated for small crops."""

    spec = "examples/dino.dpl"
    batch = 8
    settings = dict(backbone="vit", small_size=4, small_crops=2, patch=2, features=12, depth=2, heads=2, drop_path=0.25, outputs=16,
                    hidden=16, bottleneck=8, teacher_temperature=[0.04, 0.07], teacher_warmup=2, momentum=0.9, center_momentum=0.9, lr=1e-3,
                    warmup_epochs=1,
                    weight_decay=[0.04, 0.4], clip=0.02, freeze=1, blur=[0.0, 0.0, 0.0])
    views = ("first", "second", "small.0", "small.1")
    sizes = {"small.0": 4, "small.1": 4}
    rule = optimizers.AdamW()
    draws = ((2 * batch, 1, 1),) * 4  # attention and perceptron of the second block, for large and for small crops

    def __init__(self, generator):
        s = self.settings
        backbone = self.backbone()
        student = networks.Chain(backbone=backbone, head=networks.DinoHead(
            backbone.features, s["hidden"], s["bottleneck"], s["outputs"], norm=s.get("head_norm", False)))
        networks.randomize(student, generator)
        self.networks = {"student": student, "teacher": apart(copy.deepcopy(student), generator)}
        self.buffers = {"center": 0.1 * torch.randn(s["outputs"], generator=generator)}
        rule = dict(rule=self.rule, rate=linspace_cosine(0, s["lr"], 1e-6, s["warmup_epochs"]),
                    decay=linspace_cosine(0, *s["weight_decay"], warmup_epochs=0), decayed=matrices, clip=s["clip"])
        last = lambda name: "last_layer" in name
        self.groups = [Group("student", **rule, chosen=lambda name: not last(name)),
                       Group("student", **rule, chosen=last, active=lambda step: step // STEPS_PER_EPOCH >= s["freeze"])]

    def backbone(self):
        s = self.settings
        return networks.VisionTransformer(8, s["patch"], s["features"], s["depth"], s["heads"], s["drop_path"])

    def loss(self, views, step):
        s, (student, teacher) = self.settings, self.networks.values()
        with torch.no_grad():
            logits = teacher(torch.cat(views[:2]))
        draws = iter(self.uniform)
        features = torch.cat([self.features(student.backbone, torch.cat(crops), draws) for crops in (views[:2], views[2:])])
        outputs = (student.head(features) / 0.1).chunk(len(views))
        epoch = step // STEPS_PER_EPOCH
        temperatures = np.concatenate([np.linspace(*s["teacher_temperature"], s["teacher_warmup"]),
                                       np.full(EPOCHS - s["teacher_warmup"], s["teacher_temperature"][1])])
        targets = ((logits - self.buffers["center"]) / temperatures[epoch]).softmax(1).chunk(2)
        self.logits = logits
        terms = [-(target * output.log_softmax(1)).sum(1).mean()
                 for i, target in enumerate(targets) for j, output in enumerate(outputs) if i != j]
        return sum(terms) / len(terms)

    def features(self, backbone, crops, draws):
        return backbone(crops, draws)

    def after_loss(self, step):
        m = self.settings["center_momentum"]
        self.buffers["center"] = m * self.buffers["center"] + (1 - m) * self.logits.mean(0)

    def after_step(self, step):
        momentum = optimizers.cosine(self.settings["momentum"], step, TOTAL, to=1.0)
        ema(self.networks["teacher"], self.networks["student"], momentum)


class DinoResNet(Dino):
    """The same with a residual network: batch statistics over the crops of one size (P10), the teacher has its own statistics (P13). The
    recipe that the official code has for these: SGD and a constant decay of matrices; and its batch norms in the head, over all crops."""

    settings = dict({k: v for k, v in Dino.settings.items() if k not in ("patch", "features", "depth", "heads", "drop_path")},
                    backbone="resnet10", stem="cifar", width=2, clip=1.0, head_norm=True, optimizer="sgd", lr=0.03,
                    weight_decay=[1e-4, 1e-4])
    rule = optimizers.Sgd(momentum=0.9)
    draws = ()

    def backbone(self):
        return networks.resnet10(self.settings["width"])

    def features(self, backbone, crops, draws):
        return backbone(crops)
