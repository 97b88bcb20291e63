# The networks of the golden files, with torchvision's module names: a checkpoint of ours names its parameters in the same way.
import torch
from torch import nn
from torch.nn import functional as F

relu_inputs = []


def relu(x):
    """ReLU that remembers what it was given, for make.py's search."""
    relu_inputs.append(x.detach())
    return F.relu(x)


def decided(x):
    """Remembers numbers whose signs decide something else, as a ReLU's input does."""
    relu_inputs.append(x.detach())


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
    """ResNet of basic blocks with the CIFAR stem (3x3, stride 1, padding 1, no max-pool: P25). x: [N, 3, H, W] -> [N, 8 * width]."""

    def __init__(self, blocks, width, inputs=3):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, 1, 1, bias=False)
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


def resnet10(width, inputs=3):
    return ResNet([1, 1, 1, 1], width, inputs)


def resnet18(width):
    return ResNet([2, 2, 2, 2], width)


class PlainBottleneck(nn.Module):
    """Greedy InfoMax's pre-activation bottleneck: no batch norm (P34), a bias in each convolution; the shortcut takes the ReLU's output."""

    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1)
        self.shortcut = nn.Conv2d(inputs, 4 * planes, 1, stride) if stride != 1 or inputs != 4 * planes else None

    def forward(self, x):
        y = relu(x)
        return self.conv3(relu(self.conv2(relu(self.conv1(y))))) + (x if self.shortcut is None else self.shortcut(y))


class PlainResNet(nn.Module):
    """CPC's encoder of patches: a 5x5 convolution, stages of bottlenecks, the mean over places. [N, 3, H, W] -> [N, features]."""

    def __init__(self, blocks, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 5, 1, 2)
        self.layers = nn.ModuleList()
        inputs = width
        for stage, count in enumerate(blocks):
            layer = []
            for block in range(count):
                layer.append(PlainBottleneck(inputs, width << stage, 2 if stage > 0 and block == 0 else 1))
                inputs = 4 * (width << stage)
            self.layers.append(nn.Sequential(*layer))
        self.features = inputs

    def forward(self, x):
        x = self.conv1(x)
        for layer in self.layers:
            x = layer(x)
        return x.mean(dim=(2, 3))


def gate(x):
    a, b = x.chunk(2, 1)
    return a.tanh() * b.sigmoid()


class Pointwise(nn.Linear):
    """A 1x1 convolution, its weight [O, I]."""

    def forward(self, x):
        return F.conv2d(x, self.weight[:, :, None, None], self.bias)


class GatedLayer(nn.Module):
    """A layer of the gated PixelCNN of Greedy InfoMax, mask "only_vert": the vertical stack sees rows down to its own, all columns. The
    first layer has no residual connections, but its 1x1 output; nothing reads the vertical stack of the last. (The code writes zeros into
    the masked weights before each use, here the product is masked: the same outputs, masked weights that stay where they were.)"""

    def __init__(self, features, first, last):
        super().__init__()
        self.vertical = nn.Conv2d(features, 2 * features, 3, padding=1)
        self.horizontal = nn.Conv2d(features, 2 * features, (1, 3), padding=(0, 1))
        self.link = Pointwise(2 * features, 2 * features)
        self.keep = None if first or last else Pointwise(features, 2 * features)
        self.first, self.last = first, last
        self.out = Pointwise(features, features)

    def forward(self, v, h):
        mask = v.new_tensor([1.0, 1.0, 0.0])[:, None]
        vertical = F.conv2d(v, self.vertical.weight * mask, self.vertical.bias, padding=1)
        horizontal = self.horizontal(h) + self.link(vertical)
        output = self.out(gate(horizontal))
        if self.first:
            return gate(vertical), output
        return None if self.last else gate(vertical + self.keep(v)), h + output


class PixelCnn(nn.Module):
    """CPC's context: four gated layers and a 1x1. [N, Y, X, features]."""

    def __init__(self, features):
        super().__init__()
        self.stack = nn.ModuleList(GatedLayer(features, layer == 0, layer == 3) for layer in range(4))
        self.out = Pointwise(features, features)

    def forward(self, x):
        v = h = x.permute(0, 3, 1, 2)
        for layer in self.stack:
            v, h = layer(v, h)
        return self.out(h).permute(0, 2, 3, 1)


class GruRows(nn.Module):
    """A gated recurrent unit down the rows, each column for itself. [N, Y, X, features]."""

    def __init__(self, features):
        super().__init__()
        self.cell = nn.GRUCell(features, features)

    def forward(self, x):
        state, contexts = None, []
        for row in x.unbind(1):
            state = self.cell(row.flatten(0, 1), state)
            contexts.append(state.reshape(row.shape))
        return torch.stack(contexts, 1)


class Branches(nn.Module):
    """An encoder and a head for each view of one picture."""

    def __init__(self, encoders, heads):
        super().__init__()
        self.encoder, self.head = nn.ModuleList(encoders), nn.ModuleList(heads)

    def forward(self, views):
        return [head(encoder(view)) for encoder, head, view in zip(self.encoder, self.head, views)]


class Each(nn.Module):
    """A list of networks."""

    def __init__(self, parts):
        super().__init__()
        self.part = nn.ModuleList(parts)


def drop_path(x, p, draws):
    """Stochastic depth: a sample's branch is left out with probability p, else scaled up; one draw for each use. Without draws: x."""
    if p == 0 or draws is None:
        return x
    keep = (1 - p + next(draws)).floor()
    assert keep.shape[0] == len(x)
    return x / (1 - p) * keep


class Attention(nn.Module):
    def __init__(self, features, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)

    def forward(self, x):
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, 2))  # [N, heads, T, size]
        weights = (q @ k.transpose(2, 3) * q.shape[3] ** -0.5).softmax(3)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class VitBlock(nn.Module):
    def __init__(self, features, heads, drop):
        super().__init__()
        self.drop = drop
        self.norm1 = nn.LayerNorm(features, eps=1e-6)
        self.attn = Attention(features, heads)
        self.norm2 = nn.LayerNorm(features, eps=1e-6)
        self.mlp = nn.Sequential()
        self.mlp.fc1, self.mlp.act, self.mlp.fc2 = nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, features)

    def forward(self, x, draws):
        x = x + drop_path(self.attn(self.norm1(x)), self.drop, draws)
        return x + drop_path(self.mlp(self.norm2(x)), self.drop, draws)


class VisionTransformer(nn.Module):
    """DINO's (vision_transformer.py): the class token's features. Drop path grows with depth; positions of views of another size are
    interpolated, bicubic, with a tenth of a place added to the factor. x: [N, 3, H, W]; `draws`: those of drop path, none for a teacher."""

    def __init__(self, size, patch, features, depth, heads, drop):
        super().__init__()
        self.grid, self.patch, self.features = size // patch, patch, features
        self.cls_token = nn.Parameter(torch.zeros(1, 1, features))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid**2 + 1, features))
        self.patch_embed = nn.Sequential()
        self.patch_embed.proj = nn.Conv2d(3, features, patch, patch)
        self.blocks = nn.ModuleList(VitBlock(features, heads, p.item()) for p in torch.linspace(0, drop, depth, dtype=torch.float64))
        self.norm = nn.LayerNorm(features, eps=1e-6)

    def positions(self, rows, columns):
        if rows == columns == self.grid:
            return self.pos_embed
        table = self.pos_embed[:, 1:].unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 2)
        factors = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
        table = F.interpolate(table, scale_factor=factors, mode="bicubic")
        assert table.shape[2:] == (rows, columns)
        return torch.cat([self.pos_embed[:, :1], table.flatten(2).transpose(1, 2)], 1)

    def forward(self, x, draws=None):
        tokens = self.patch_embed(x)
        positions = self.positions(*tokens.shape[2:])
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens.flatten(2).transpose(1, 2)], 1) + positions
        for block in self.blocks:
            x = block(x, draws)
        return self.norm(x)[:, 0]


class Directions(nn.Module):
    """weight_norm(Linear(.., bias=False)) with weight_g one and frozen (P17): rows have a direction only."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight_v = nn.Parameter(torch.zeros(outputs, inputs))

    def forward(self, x):
        return x @ (self.weight_v / self.weight_v.norm(dim=1, keepdim=True)).T


class DinoHead(nn.Module):
    """Three products with GELU between (`norm`: and a batch norm before it), rows of length 1, the last layer."""

    def __init__(self, inputs, hidden, bottleneck, outputs, norm=False):
        super().__init__()
        between = lambda: [nn.BatchNorm1d(hidden), nn.GELU()] if norm else [nn.GELU()]
        self.mlp = nn.Sequential(nn.Linear(inputs, hidden), *between(), nn.Linear(hidden, hidden), *between(), nn.Linear(hidden, bottleneck))
        self.last_layer = Directions(bottleneck, outputs)

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=1))


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


class SplitBatchNorm(nn.BatchNorm2d):
    """Statistics over each of `groups` equal runs of the batch, as on as many GPUs; the running ones are the mean of theirs."""

    def forward(self, x):
        running = [(self.running_mean.clone(), self.running_var.clone()) for _ in range(self.groups)]
        parts = [F.batch_norm(part, mean, variance, self.weight, self.bias, True, self.momentum, self.eps)
                 for part, (mean, variance) in zip(x.chunk(self.groups), running)]
        for mine, each in zip((self.running_mean, self.running_var), zip(*running)):
            mine.copy_(torch.stack(each).mean(0))
        return torch.cat(parts)


def split_batch_norm(net, groups):
    """Gives the batch norms of `net` groups."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = SplitBatchNorm
            module.groups = groups
    return net


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


class Offset(nn.Module):
    """Adds a parameter [H, W, C], zero at first, whose gradient is the sum of its input's over the batch."""

    def __init__(self, size):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(size, size, 3))

    def forward(self, x):
        return x + self.value.permute(2, 0, 1)


def norms(size):
    """test/golden/norms.dpl."""
    return Chain(offset=Offset(size), first=nn.BatchNorm2d(3), conv=nn.Conv2d(3, 8, 3, 1, 1, bias=False), second=nn.BatchNorm2d(8),
                 last=nn.Conv2d(8, 4, 3, bias=False))


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
