# The networks of the golden files, with torchvision's module names: a checkpoint of ours names its parameters in the same way.
import torch
from torch import nn
from torch.nn import functional as F

relu_inputs = []


def relu(x):
    """ReLU that remembers what it was given, for make.py's search."""
    relu_inputs.append(x.detach())
    return F.relu(x)


class Relu(nn.Module):
    def forward(self, x):
        return relu(x)


class BasicBlock(nn.Module):
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
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """ResNet of basic blocks with the CIFAR stem (3x3, stride 1, no max-pool). x: [N, 3, H, W] -> [N, 8 * width]."""

    def __init__(self, blocks, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage, count in enumerate(blocks):
            outputs = width << stage
            layer = []
            for block in range(count):
                layer.append(BasicBlock(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
                inputs = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.features = inputs

    def forward(self, x):
        x = relu(self.bn1(self.conv1(x)))
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        return x.mean(dim=(2, 3))


def resnet10(width):
    return ResNet([1, 1, 1, 1], width)


def resnet18(width):
    return ResNet([2, 2, 2, 2], width)


class Chain(nn.Module):
    """Named parts, one after the other: `a: x >> b: y` of a spec."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        for part in self.children():
            x = part(x)
        return x


class BatchNormScale(nn.BatchNorm1d):
    """Batch normalisation with a scale and no shift."""

    def __init__(self, features):
        super().__init__(features)
        self.bias = None


def mlp(sizes, norm=False, hidden_bias=True, last_bias=True, last_norm=None):
    """Linear layers with (batch norm and) ReLU between, named by index as in nn.Sequential; `last_norm` makes what follows the last."""
    parts = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
        parts.append(nn.Linear(inputs, outputs, bias=hidden_bias))
        if norm:
            parts.append(nn.BatchNorm1d(outputs))
        parts.append(Relu())
    parts.append(nn.Linear(sizes[-2], sizes[-1], bias=last_bias))
    if last_norm:
        parts.append(last_norm(sizes[-1]))
    return nn.Sequential(*parts)


def plain_norm(features):
    return nn.BatchNorm1d(features, affine=False)


class Tiny(nn.Module):
    """A convolution, a batch norm and a product: one parameter of each kind that an optimizer tells apart. test/golden/optimizers.dpl."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(relu(self.bn(self.conv(x))).mean(dim=(2, 3)))


def randomize(module, generator):
    """Gives every parameter and running statistic a value unlike its usual start, so that nothing is right by chance (a zero bias, a
    scale of one). Convolutions and products keep their scale."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                fan = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (1.6 / fan) ** 0.5)
            elif name.endswith("weight"):
                parameter.copy_(0.7 + 0.6 * torch.rand(parameter.shape, generator=generator))
            else:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
