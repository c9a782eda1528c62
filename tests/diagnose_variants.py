"""More spellings of the gallery's mistakes, and sound nets of many styles that no rule may say more than a note of."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diagnose_gallery import SEQ, Case, Net, block, block_of, changed, conv, cut, frozen, head, plain, small


class Inside(nn.Module):
    """The net's end is deep inside a module of its own."""

    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck, self.out = block(3, 16), head(16), SEQ(SEQ(end))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.neck(self.backbone(x)))


class WithoutGradient(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Attends(nn.Module):
    """Attention over places; without ``batch_first`` it takes the batch for them."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.body = block(3, 16)
        self.attn = nn.MultiheadAttention(16, 2, batch_first=batch_first)
        self.norm, self.fc = nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        places = F.max_pool2d(self.body(x), 4).flatten(2).transpose(1, 2)
        return self.fc(self.norm(self.attn(places, places, places)[0]).mean(1))


class Reads(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.body, self.rnn, self.fc = block(3, 16), nn.GRU(256, 32, batch_first=batch_first), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(self.body(x).permute(0, 2, 1, 3).flatten(2))[0][:, -1])


class OwnWeight(nn.Module):
    """A weight that is the module's own parameter."""

    def __init__(self, draw: Callable[[int, int], Tensor]) -> None:
        super().__init__()
        self.weight, self.fc = nn.Parameter(draw(32, 768)), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(F.linear(x.flatten(1), self.weight)))


class PreActivated(nn.Module):
    """A residual block that normalises first (He et al. 2016b)."""

    def __init__(self, i: int, o: int, stride: int = 1, project: bool = False) -> None:
        super().__init__()
        self.n1, self.n2 = nn.BatchNorm2d(i), nn.BatchNorm2d(o)
        self.c1, self.c2 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(i, o, 1, stride, bias=False) if project or i != o else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.n1(x))
        return self.c2(F.relu(self.n2(self.c1(y)))) + (x if self.short is None else self.short(y))


def pre_activated(project: bool) -> SEQ:
    blocks = (PreActivated(16, 16, 1, project), PreActivated(16, 32, 2, project), PreActivated(32, 32, 1, project))
    return SEQ(conv(3, 16), *blocks, nn.BatchNorm2d(32), nn.ReLU(), head(32))


def registered(name: str) -> nn.Module:
    net = Net(lambda s, x: s.body(x), body=small())
    net.register_parameter(name, nn.Parameter(torch.ones(3)))
    return net


class Holds(nn.Module):
    """A block that was handed its layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.layer(x))


def handed(layer: nn.Module) -> SEQ:
    return SEQ(block(3, 16), Holds(layer), Holds(layer), head(16))


def down(count: int) -> SEQ:
    return SEQ(*[SEQ(block(3 if i == 0 else 8, 8), nn.MaxPool2d(2)) for i in range(count)])


def between(how: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: SEQ(block(3, 16), Net(lambda s, x: how(x)), head(16))


def whole() -> nn.Module:
    return cut(lambda x: x)


def mlp(act: Callable[[], nn.Module], depth: int) -> SEQ:
    layers = [SEQ(nn.Linear(768 if i == 0 else 64, 64), act()) for i in range(depth)]
    return SEQ(nn.Flatten(), *layers, nn.Linear(64, 10))


def biased(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.constant_(module.bias, -30.0)


VARIANTS = [
    Case("output-softmax", "out.0.0", lambda: Inside(nn.Softmax(-1)), lambda: Inside(nn.Identity())),
    Case("output-softmax", "", lambda: Net(lambda s, x: (s.b(x) / 2).softmax(-1).log(), b=small()), small, severity="warning"),
    Case("output-softmax", "1", lambda: SEQ(small(), nn.Softmax(1)), lambda: SEQ(small(), nn.LogSoftmax(1)), options={"loss": nn.NLLLoss()}),
    Case("output-softmax", "", lambda: Net(lambda s, x: {"logits": s.b(x).softmax(1), "x": x}, b=small()), lambda: Net(lambda s, x: {"x": x, "logits": s.b(x)}, b=small())),
    Case("output-activation", "", lambda: Net(lambda s, x: s.b(x).clamp(0, 1), b=small()), small),
    Case("output-activation", "", lambda: Net(lambda s, x: 3 * torch.tanh(s.b(x)), b=small()), small),
    Case("output-activation", "", lambda: Net(lambda s, x: s.b(x).maximum(torch.zeros(())), b=small()), small),
    Case("output-activation", "1", lambda: SEQ(small(), nn.LeakyReLU()), small, severity="warning"),
    Case("output-size", "", lambda: Net(lambda s, x: print(end=str(s.b(x))[:0]), b=small()), small),
    Case("output-size", "5.2", lambda: SEQ(*small()[:5], head(32, 1)), lambda: SEQ(*small()[:5], head(32, 2))),
    Case("unused-module", "scale", lambda: registered("scale"), small, severity="warning"),
    Case("shared-module", "1.layer.1", lambda: handed(block_of(16, 16, 3)), small, severity="warning"),
    Case("shared-module", "1.layer", lambda: handed(conv(16, 16)), small, severity="note"),
    Case("no-gradient", "0", lambda: SEQ(WithoutGradient(block(3, 16)), head(16)), lambda: SEQ(block(3, 16), head(16))),
    Case("no-gradient", "", lambda: cut(lambda x: torch.from_numpy(x.detach().numpy())), whole),
    Case("no-gradient", "", lambda: cut(lambda x: x.clone().detach().requires_grad_()), whole),
    Case("no-gradient", "", lambda: cut(lambda x: (x > 0).float()), lambda: cut(lambda x: x * (x > 0))),
    Case("no-gradient", "1", between(torch.sign), between(torch.tanh)),
    Case("zero-gradient", "body.1", lambda: cut(lambda x: torch.where(x > 1e9, x, torch.ones_like(x))), whole),
    Case("frozen", "0.0.1", lambda: frozen(SEQ(SEQ(block(3, 16), block(16, 16)), head(16)), "0"), lambda: frozen(SEQ(SEQ(conv(3, 16), nn.GroupNorm(4, 16), nn.ReLU()), head(16)), "0"), severity="warning"),
    Case("symmetric-initialisation", "", lambda: OwnWeight(torch.zeros), lambda: OwnWeight(lambda o, i: torch.randn(o, i) / 30)),
    Case("mixes-samples", "attn", lambda: Attends(False), lambda: Attends(True)),
    Case("mixes-samples", "rnn", lambda: Reads(False), lambda: Reads(True)),
    Case("mixes-samples", "1", between(lambda x: F.normalize(x, dim=0)), between(lambda x: F.normalize(x, dim=1))),
    Case("mixes-samples", "1", between(lambda x: x / x.max()), between(lambda x: x / x.amax((1, 2, 3), keepdim=True))),
    Case("mixes-samples", "1", between(lambda x: x.roll(1, 0)), between(lambda x: x.roll(1, 1))),
    Case("random-in-eval", "1", between(lambda x: x * (1 + random.random())), between(lambda x: x * 1.5)),
    Case("random-in-eval", "1", between(lambda x: x[:, torch.randperm(16)]), between(lambda x: x[:, torch.arange(15, -1, -1)])),
    Case("random-in-eval", "1", between(lambda x: F.dropout2d(x, 0.2)), between(lambda x: F.dropout2d(x, 0.2, training=False))),
    Case("broadcast-shortcut", "1", between(lambda x: x + F.avg_pool2d(x, (1, 16))), between(lambda x: x + F.adaptive_avg_pool2d(x, 1))),
    Case("shortcut-always-projects", "1.short", lambda: pre_activated(True), lambda: pre_activated(False), severity="warning"),
    Case("missing-nonlinearity", "1.5", lambda: SEQ(block(3, 16), SEQ(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Dropout(0.2), nn.Linear(32, 10))), lambda: SEQ(nn.Conv2d(3, 16, (1, 3), padding=(0, 1)), nn.Conv2d(16, 16, (3, 1), padding=(1, 0)), nn.ReLU(), head(16)), severity="warning"),
    Case("missing-nonlinearity", "2", lambda: SEQ(conv(3, 16), nn.AvgPool2d(2), conv(16, 16), nn.ReLU(), head(16)), lambda: SEQ(nn.Flatten(), nn.Linear(768, 64), nn.GLU(), nn.Linear(32, 10)), severity="warning"),
    Case("dropout-at-output", "1", lambda: SEQ(small(), nn.AlphaDropout(0.3)), lambda: SEQ(small(), nn.Dropout(0.0))),
    Case("dropout-before-norm", "3", lambda: SEQ(conv(3, 16), nn.Dropout(0.3), nn.LeakyReLU(), nn.BatchNorm2d(16), head(16)), lambda: SEQ(conv(3, 16), nn.Dropout(0.2), nn.GroupNorm(4, 16), nn.ReLU(), head(16)), severity="warning"),
    Case("map-too-small", "1", lambda: SEQ(down(3), nn.Conv2d(8, 8, 5, padding=2), nn.ReLU(), head(8)), lambda: SEQ(down(2), nn.Conv2d(8, 8, 5, padding=2), nn.ReLU(), head(8)), severity="warning"),
    Case("skips-pixels", "1", lambda: SEQ(block(3, 8), nn.AvgPool2d(2, 4), head(8)), lambda: SEQ(block(3, 8), nn.AvgPool2d(4, 4), head(8)), severity="warning"),
    Case("vanishing", None, lambda: mlp(nn.Sigmoid, 10), lambda: mlp(nn.ReLU, 4)),
    Case("vanishing", None, lambda: changed(plain(8), lambda m: nn.init.normal_(m.weight, 0, 0.01) if isinstance(m, nn.Conv2d) else None), lambda: plain(8)),
    Case("exploding", None, lambda: Net(lambda s, x: s.h(torch.log(s.a(x))), a=block(3, 16), h=head(16)), lambda: Net(lambda s, x: s.h(torch.log1p(s.a(x))), a=block(3, 16), h=head(16))),
    Case("dead-units", "0.1", lambda: SEQ(changed(SEQ(nn.Conv2d(3, 16, 3), nn.ReLU()), biased), head(16)), lambda: SEQ(SEQ(nn.Conv2d(3, 16, 3), nn.ReLU()), head(16)), severity="warning"),
    Case("norm-of-one-value", "1", lambda: SEQ(nn.Flatten(), Net(lambda s, x: F.group_norm(x[:, :16], 16)), nn.Linear(16, 10)), lambda: SEQ(nn.Flatten(), Net(lambda s, x: F.group_norm(x[:, :16], 2)), nn.Linear(16, 10))),
]  # fmt: skip


class Vision(nn.Module):
    """A small vision transformer."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.1, batch_first=True, norm_first=norm_first)
        self.patches, self.encoder = nn.Conv2d(3, 32, 4, 4), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, 32)), nn.Parameter(torch.randn(1, 17, 32) / 50)
        self.norm, self.fc = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], 1) + self.pos
        return self.fc(self.norm(self.encoder(tokens))[:, 0])


class Inverted(nn.Module):
    """An inverted residual: its wide convolution is depthwise."""

    def __init__(self, i: int, o: int, stride: int = 1) -> None:
        super().__init__()
        wide = nn.Conv2d(4 * i, 4 * i, 3, stride, 1, groups=4 * i, bias=False)
        self.branch = SEQ(
            block_of(i, 4 * i, 1), nn.ReLU6(), wide, nn.BatchNorm2d(4 * i), nn.ReLU6(), block_of(4 * i, o, 1)
        )
        self.joined = stride == 1 and i == o

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x) if self.joined else self.branch(x)


class Scaled(nn.Module):
    """A ConvNeXt block, whose branch starts at a millionth."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.deep, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


class Stochastic(nn.Module):
    """Stochastic depth, in training only."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        keep = (torch.rand(len(x), 1, 1, 1) < 0.8).float() / 0.8 if self.training else 1.0
        return x + keep * self.branch(x)


class Auxiliary(nn.Module):
    """A second head in training."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.more, self.head, self.other = block(3, 16), block(16, 16), head(16), head(16)

    def forward(self, x: Tensor) -> Any:
        y = self.stem(x)
        return (self.head(self.more(y)), self.other(y)) if self.training else self.head(self.more(y))


class Windows(nn.Module):
    """Windows of a picture are rows for a while, and come back together."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.inner, self.fc = block(3, 16), nn.Linear(256, 32), nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.body(x).unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 256)
        return self.fc(F.relu(self.inner(rows)).view(len(x), -1))


class Opening(nn.Module):
    """A branch behind a trained scale that starts at 0 (ReZero)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.branch = nn.Parameter(torch.zeros(1)), SEQ(conv(16, 16), nn.ReLU(), conv(16, 16))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


class Thawed(nn.Module):
    """A frozen part whose norms are kept in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = block(3, 16).requires_grad_(False), head(16)

    def train(self, mode: bool = True) -> "Thawed":
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def zero_head() -> nn.Module:
    net = small()
    last = net.get_submodule("5.2")
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    return net


def normed_weights() -> nn.Module:
    from torch.nn.utils.parametrizations import spectral_norm, weight_norm

    return SEQ(weight_norm(nn.Conv2d(3, 16, 3)), nn.ReLU(), spectral_norm(nn.Conv2d(16, 16, 3)), nn.ReLU(), head(16))


SOUND: dict[str, Callable[[], nn.Module]] = {
    "vision transformer": lambda: Vision(True),
    "vision transformer, norm last": lambda: Vision(False),
    "inverted residuals": lambda: SEQ(block(3, 16), Inverted(16, 16), Inverted(16, 24, 2), Inverted(24, 24), head(24)),
    "layer scale": lambda: SEQ(nn.Conv2d(3, 16, 2, 2), Scaled(16), Scaled(16), head(16)),
    "stochastic depth": lambda: SEQ(block(3, 16), Stochastic(block_of(16, 16, 3)), nn.ReLU(), head(16)),
    "auxiliary head": Auxiliary,
    "windows": Windows,
    "rezero": lambda: SEQ(block(3, 16), Opening(), Opening(), head(16)),
    "frozen with norms in eval": Thawed,
    "last layer at zero": zero_head,
    "parametrised weights": normed_weights,
    "recurrent": lambda: Reads(True),
    "straight through": lambda: cut(lambda x: x + (x.round() - x).detach()),
    "part of the gradient stopped": lambda: cut(lambda x: x - x.detach().mean((2, 3), keepdim=True)),
    "convolutional head": lambda: SEQ(block(3, 16), nn.Conv2d(16, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "depthwise separable": lambda: SEQ(
        block(3, 16), nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 32, 1), nn.ReLU(), head(32)
    ),
    "low rank": lambda: SEQ(nn.Flatten(), nn.Linear(768, 8), nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 10)),
}
