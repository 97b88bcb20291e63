# SimCLR on CIFAR-10 in PyTorch, as a fair opponent: eager, f32, channels_last, augmentation by batched tensor operations.
#
#   pytorch_simclr.py step   --width W --views V --seconds S     training steps without data; prints each step's seconds
#   pytorch_simclr.py train  --data DIR --epochs E               the whole recipe, with kNN; DIR has train/CLASS/*.jpg, test/CLASS/*.jpg
#   pytorch_simclr.py views  --seconds S --processes P           torchvision transforms on PIL images; prints views/s
#
# Results are lines of JSON. The recipe: ResNet-18, CIFAR stem, width 16, head d -> d ReLU -> 128, NT-Xent at temperature 0.2, batch 256,
# SGD 0.12, momentum 0.9, weight decay 5e-4 on all parameters, linear warm-up over 100 steps times cosine to zero by step.
import argparse
import json
import math
import multiprocessing
import os
import resource
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.247, 0.2435, 0.2616]).view(1, 3, 1, 1)
RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return y.relu_()


class SimClr(nn.Module):
    """Backbone and head; x: [N, 3, 32, 32]."""

    def __init__(self, width, dim=128):
        super().__init__()
        parts = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        inputs = width
        for stage in range(4):
            outputs = width << stage
            parts += [Block(inputs, outputs, 1 if stage == 0 else 2), Block(outputs, outputs, 1)]
            inputs = outputs
        self.backbone = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(inputs, inputs), nn.ReLU(inplace=True), nn.Linear(inputs, dim))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        return self.head(self.backbone(x))


def nt_xent(z, temperature):
    """z: [2N, D], views of one image N rows apart."""
    z = F.normalize(z)
    n = len(z)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(-math.inf)
    return F.cross_entropy(logits, torch.arange(n).roll(n // 2))


def augment(images, generator):
    """images: uint8 [N, 3, H, W] -> f32 [N, 3, 32, 32], standardised. Each sample draws its own parameters."""
    n, _, height, width = images.shape

    def uniform(lo, hi, *shape):
        return lo + (hi - lo) * torch.rand(shape or (n,), generator=generator)

    area = uniform(0.2, 1.0)
    ratio = torch.exp(uniform(math.log(3 / 4), math.log(4 / 3)))
    w = (area * ratio).sqrt().clamp(max=1.0)
    h = (area / ratio).sqrt().clamp(max=1.0)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = w * flip
    theta[:, 1, 1] = h
    theta[:, 0, 2] = uniform(-1, 1) * (1 - w)
    theta[:, 1, 2] = uniform(-1, 1) * (1 - h)
    grid = F.affine_grid(theta, (n, 3, 32, 32), align_corners=False)
    x = images.float().div_(255).contiguous(memory_format=torch.channels_last)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    jitter = (uniform(0, 1) < 0.8).float().view(n, 1, 1, 1)

    def factor(strength):
        return 1 + jitter * uniform(-strength, strength).view(n, 1, 1, 1)

    def grey(x):
        return (x * RGB_TO_YIQ[0].view(1, 3, 1, 1)).sum(1, keepdim=True)

    x = (x * factor(0.4)).clamp_(0, 1)
    mean = grey(x).mean(dim=(2, 3), keepdim=True)
    x = (mean + (x - mean) * factor(0.4)).clamp_(0, 1)
    luma = grey(x)
    x = (luma + (x - luma) * factor(0.4)).clamp_(0, 1)
    angle = 2 * math.pi * uniform(-0.1, 0.1) * jitter.view(n)
    turn = torch.zeros(n, 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = torch.cos(angle)
    turn[:, 1, 2] = -torch.sin(angle)
    turn[:, 2, 1] = torch.sin(angle)
    matrix = torch.linalg.inv(RGB_TO_YIQ) @ turn @ RGB_TO_YIQ
    x = torch.einsum("nij,njhw->nihw", matrix, x).clamp_(0, 1)
    colourless = (uniform(0, 1) < 0.2).view(n, 1, 1, 1)
    x = torch.where(colourless, grey(x).expand_as(x), x)
    return ((x - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def read_folder(folder):
    """Returns (uint8 [N, 3, 32, 32], labels [N]) of folder/CLASS/*.jpg."""
    from PIL import Image

    images, labels = [], []
    for label, name in enumerate(sorted(os.listdir(folder))):
        for file in sorted(os.listdir(os.path.join(folder, name))):
            images.append(np.asarray(Image.open(os.path.join(folder, name, file)).convert("RGB")))
            labels.append(label)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def knn(train, train_labels, test, test_labels, k=200, temperature=0.07):
    """Weighted kNN accuracy of L2-normalised features; weights exp(s / T)."""
    train, test = F.normalize(train), F.normalize(test)
    right = 0
    for begin in range(0, len(test), 500):
        similarity, index = (test[begin : begin + 500] @ train.T).topk(k, dim=1)
        votes = torch.zeros(len(similarity), int(train_labels.max()) + 1)
        votes.scatter_add_(1, train_labels[index], (similarity / temperature).exp())
        right += (votes.argmax(1) == test_labels[begin : begin + 500]).sum().item()
    return right / len(test)


@torch.no_grad()
def features(model, images):
    model.eval()
    out = [model.backbone(((part.float() / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)) for part in images.split(500)]
    model.train()
    return torch.cat(out)


def report(**fields):
    fields["max_rss_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps(fields), flush=True)


def make(width):
    model = SimClr(width).to(memory_format=torch.channels_last)
    return model, torch.optim.SGD(model.parameters(), 0.12, 0.9, weight_decay=5e-4)


def step(model, optimizer, views):
    loss = nt_xent(model(views), 0.2)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()


def run_step(options):
    model, optimizer = make(options.width)
    views = torch.randn(options.views, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    step(model, optimizer, views)
    seconds, begin = [], time.perf_counter()
    while time.perf_counter() - begin < options.seconds or len(seconds) < 3:
        start = time.perf_counter()
        step(model, optimizer, views)
        seconds.append(time.perf_counter() - start)
    report(seconds=seconds)


def run_train(options):
    train, train_labels = read_folder(os.path.join(options.data, "train"))
    test, test_labels = read_folder(os.path.join(options.data, "test"))
    generator = torch.Generator().manual_seed(options.seed)

    def flat(images):
        return ((images.float() / 255 - MEAN) / STD).flatten(1)

    model, optimizer = make(16)
    if not options.quick:
        report(epoch=0, knn_pixels=knn(flat(train), train_labels, flat(test), test_labels),
               knn=knn(features(model, train), train_labels, features(model, test), test_labels))
    batch = 256
    steps = len(train) // batch
    total, done = steps * options.epochs, 0
    for epoch in range(options.epochs):
        begin, losses = time.perf_counter(), []
        order = torch.randperm(len(train), generator=generator)
        for i in range(steps if options.steps == 0 else min(steps, options.steps)):
            images = train[order[i * batch : (i + 1) * batch]]
            views = torch.cat([augment(images, generator), augment(images, generator)])
            rate = 0.12 * min(1.0, done / 100) * 0.5 * (1 + math.cos(math.pi * done / total))
            for group in optimizer.param_groups:
                group["lr"] = rate
            losses.append(step(model, optimizer, views.contiguous(memory_format=torch.channels_last)))
            done += 1
        seconds = time.perf_counter() - begin
        fields = dict(epoch=epoch + 1, loss=float(np.mean(losses)), seconds=seconds, steps=len(losses))
        if not options.quick and (epoch % 2 == 0 or epoch + 1 == options.epochs):
            fields["knn"] = knn(features(model, train), train_labels, features(model, test), test_labels)
        report(**fields)


def count_views(seconds, results):
    import torchvision.transforms as T
    from PIL import Image

    torch.set_num_threads(1)
    rng = np.random.default_rng(os.getpid())
    images = [Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(500)]
    transform = T.Compose([T.RandomResizedCrop(32, (0.2, 1.0)), T.RandomHorizontalFlip(),
                           T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8), T.RandomGrayscale(0.2), T.ToTensor(),
                           T.Normalize(MEAN.flatten().tolist(), STD.flatten().tolist())])
    transform(images[0])
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        transform(images[count % len(images)])
        count += 1
    results.put(count / (time.perf_counter() - begin))


def run_views(options):
    results = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=count_views, args=(options.seconds, results)) for _ in range(options.processes)]
    for worker in workers:
        worker.start()
    rates = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    report(views_per_second=sum(rates))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["step", "train", "views"])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--views", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=0, help="of an epoch; 0: all")
    parser.add_argument("--quick", action="store_true", help="no kNN")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    {"step": run_step, "train": run_train, "views": run_views}[options.what](options)


main()
