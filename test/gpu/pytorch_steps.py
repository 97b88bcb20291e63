"""pytorch_steps.py WORK [--compile]: seconds of a training step of a work of the table of speeds in PyTorch, as one line of JSON. A fixed batch of
views on the GPU (the CPU where there is none): f32 with tf32 allowed, channels_last, eager or torch.compile. Needs torch alone: the networks stand here.
"""
import argparse
import json
import math
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """A basic (expansion 1) or bottleneck (4) block of He et al. 2016."""

    def __init__(self, inputs, width, stride, expansion):
        super().__init__()
        outputs = width * expansion
        if expansion == 1:
            sizes = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        else:
            sizes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        parts = []
        for i, (a, b, kernel, step) in enumerate(sizes):
            parts += [nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(b)]
            parts += [nn.ReLU(inplace=True)] if i + 1 < len(sizes) else []
        self.body = nn.Sequential(*parts)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet(blocks, expansion, cifar):
    parts = [nn.Conv2d(3, 64, 3, 1, 1, bias=False) if cifar else nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64),
             nn.ReLU(inplace=True)] + ([] if cifar else [nn.MaxPool2d(3, 2, 1)])
    inputs = 64
    for stage, count in enumerate(blocks):
        for i in range(count):
            parts.append(Block(inputs, 64 << stage, 2 if stage and i == 0 else 1, expansion))
            inputs = (64 << stage) * expansion
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten()), inputs


class SimClr(nn.Module):
    def __init__(self, blocks, expansion, cifar, hidden, temperature):
        super().__init__()
        self.backbone, features = resnet(blocks, expansion, cifar)
        self.head = nn.Sequential(nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True),
                                  nn.Linear(hidden, 128, bias=False), nn.BatchNorm1d(128))
        self.temperature = temperature

    def forward(self, views):
        """views: [2N, 3, H, W], those of one image N rows apart. NT-Xent."""
        z = F.normalize(self.head(self.backbone(views)))
        n = len(z)
        logits = z @ z.T / self.temperature
        logits = logits.masked_fill(torch.eye(n, dtype=torch.bool, device=z.device), -math.inf)
        return F.cross_entropy(logits, torch.arange(n, device=z.device).roll(n // 2))


class Layer(nn.Module):
    def __init__(self, features, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(features, 1e-6), nn.LayerNorm(features, 1e-6)
        self.qkv, self.out = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.mlp = nn.Sequential(nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, features))

    def forward(self, x):
        n, tokens, features = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, features))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    """ViT-S/16 with position embeddings for 224 pixels, resized for smaller crops."""

    def __init__(self, features=384, depth=12, heads=6, patch=16):
        super().__init__()
        self.patch = nn.Conv2d(3, features, patch, patch)
        self.token, self.position = nn.Parameter(torch.zeros(1, 1, features)), nn.Parameter(torch.randn(1, 197, features) * 0.02)
        self.layers, self.norm = nn.Sequential(*(Layer(features, heads) for _ in range(depth))), nn.LayerNorm(features, 1e-6)

    def forward(self, x):
        x = self.patch(x)
        n, features, side, _ = x.shape
        position = self.position[:, 1:]
        if side != 14:
            grid = position.reshape(1, 14, 14, features).permute(0, 3, 1, 2)
            position = F.interpolate(grid, size=(side, side), mode="bicubic").flatten(2).transpose(1, 2)
        x = torch.cat([(self.token + self.position[:, :1]).expand(n, -1, -1), x.flatten(2).transpose(1, 2) + position], dim=1)
        return self.norm(self.layers(x))[:, 0]


class DinoNet(nn.Module):
    def __init__(self, outputs=65536):
        super().__init__()
        self.backbone = Vit()
        self.head = nn.Sequential(nn.Linear(384, 2048), nn.GELU(), nn.Linear(2048, 2048), nn.GELU(), nn.Linear(2048, 256))
        self.last = nn.Parameter(F.normalize(torch.randn(outputs, 256)))

    def forward(self, *crops):
        features = torch.cat([self.backbone(x) for x in crops])
        return F.normalize(self.head(features)) @ F.normalize(self.last).T


class Dino(nn.Module):
    """Caron et al. 2021: two crops of 224 pixels, eight of 96; the teacher is an average of the student."""

    def __init__(self):
        super().__init__()
        self.student, self.teacher = DinoNet(), DinoNet()
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        self.register_buffer("center", torch.zeros(65536))

    def forward(self, large, small):
        count = len(large) // 2
        with torch.no_grad():
            t = self.teacher(large)
            p = F.softmax((t - self.center) / 0.04, dim=1).chunk(2)
            self.center.mul_(0.9).add_(t.mean(0), alpha=0.1)
        s = F.log_softmax(self.student(large, small) / 0.1, dim=1).split(count)
        terms = [-(a * b).sum(1).mean() for i, a in enumerate(p) for j, b in enumerate(s) if i != j]
        return sum(terms) / len(terms)

    @torch.no_grad()
    def after(self):
        ours, theirs = list(self.teacher.parameters()), list(self.student.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - 0.996)


def works(small):
    """Name -> model, optimizer, shapes of what a step sees. `small`: a size that a CPU does in seconds, to try this file."""
    views = lambda count, size: (4 if small else count, 3, size, size)
    sgd = lambda model: torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-6)
    adamw = lambda model: torch.optim.AdamW(model.student.parameters(), 5e-4, weight_decay=0.04)
    return {
        "simclr_resnet50": (lambda: SimClr([3, 4, 6, 3], 4, False, 2048, 0.1), sgd, [views(256, 224)]),
        "simclr_resnet18_cifar": (lambda: SimClr([2, 2, 2, 2], 1, True, 512, 0.1), sgd, [views(1024, 32)]),
        "dino_vit_small": (Dino, adamw, [views(128, 224), (16 if small else 512, 3, 96, 96)]),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--small", action="store_true", help="to try this file where there is no GPU")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    make, optimizer_of, shapes = works(options.small)[options.work]
    model = make().to(device, memory_format=torch.channels_last)
    optimizer, after = optimizer_of(model), getattr(model, "after", lambda: None)
    views = [torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last) for shape in shapes]
    forward = torch.compile(model) if options.compile else model

    def step():
        loss = forward(*views)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        after()

    def finish():
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        step()
    finish()
    seconds, begin = [], time.perf_counter()
    while time.perf_counter() - begin < options.seconds or len(seconds) < 3:
        start = time.perf_counter()
        step()
        finish()
        seconds.append(time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    print(json.dumps({"median_seconds": statistics.median(seconds), "steps": len(seconds), "device": device,
                      "torch": torch.__version__, "peak_memory_bytes": memory}))


main()
