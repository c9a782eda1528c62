"""Nets that have a fault, and the same nets without it: modules, functional code and Sequentials.

Each case names the rule that must find the faulty net and where; no rule may say more than a note of the sound twin.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import smallnets as sn

Make = Callable[[], nn.Module]
SEQ = nn.Sequential


class Net(nn.Module):
    """A net whose forward is given as a function of the net and the pictures."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: torch.Tensor) -> Any:
        return self.run(self, x)


@dataclass(frozen=True)
class Case:
    rule: str
    path: str | None  # None where it is the net's own forward or any place is right
    faulty: Make
    sound: Make
    size: tuple[int, ...] = (3, 16, 16)
    options: dict[str, Any] = field(default_factory=dict)
    severity: str = "error"


def conv(i: int, o: int, k: int = 3, **options: Any) -> nn.Conv2d:
    layer = nn.Conv2d(i, o, k, padding=k // 2, **options)
    nn.init.kaiming_normal_(layer.weight)
    return layer


def block(i: int, o: int, **options: Any) -> SEQ:
    return SEQ(conv(i, o, bias=False, **options), nn.BatchNorm2d(o), nn.ReLU())


def head(i: int, o: int = 10) -> SEQ:
    return SEQ(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, o))


def small(*end: nn.Module) -> SEQ:
    """A sound little net, and what is put behind it."""
    return SEQ(block(3, 16), nn.MaxPool2d(2), block(16, 32), nn.MaxPool2d(2), block(32, 32), head(32), *end)


def plain(depth: int, act: Callable[[], nn.Module] = nn.ReLU, width: int = 16, draw: bool = True) -> SEQ:
    layers: list[nn.Module] = []
    for i in range(depth):
        layer = conv(3 if i == 0 else width, width) if draw else nn.Conv2d(3 if i == 0 else width, width, 3, padding=1)
        layers += [layer, act()]
    return SEQ(*layers, head(width))


class Residual(nn.Module):
    """A residual block with the mistakes that can be asked for."""

    def __init__(self, i: int, o: int, stride: int = 1, *, project: bool = False, rectify: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.rectify = rectify
        self.down = SEQ(nn.Conv2d(i, o, 1, stride=stride, bias=False), nn.BatchNorm2d(o)) if project or i != o else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        short = x if self.down is None else self.down(x)
        if self.rectify and self.down is not None:
            short = F.relu(short)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + short)


def residuals(**options: bool) -> SEQ:
    return SEQ(
        block(3, 16), Residual(16, 16, **options), Residual(16, 32, 2, **options), Residual(32, 32, **options), head(32)
    )


class Bottle(nn.Module):
    def __init__(self, i: int, mid: int, o: int, groups: int = 1) -> None:
        super().__init__()
        self.a, self.b, self.c = block_of(i, mid, 1), block_of(mid, mid, 3, groups), block_of(mid, o, 1)
        self.down = None if i == o else nn.Conv2d(i, o, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.c(F.relu(self.b(F.relu(self.a(x))))) + (x if self.down is None else self.down(x)))


def block_of(i: int, o: int, k: int, groups: int = 1) -> SEQ:
    return SEQ(nn.Conv2d(i, o, k, padding=k // 2, groups=groups, bias=False), nn.BatchNorm2d(o))


class InList(nn.Module):
    """Layers in a list, which a module does not look into; ``kind`` is what keeps them."""

    def __init__(self, kind: Callable[[list[nn.Module]], Any] = list) -> None:
        super().__init__()
        self.layers = kind([block(3, 16), block(16, 16)])
        self.head = head(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class MadeInForward(nn.Module):
    def __init__(self, right: bool) -> None:
        super().__init__()
        self.body, self.right = block(3, 16), right
        self.fc = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x).mean((2, 3))
        return self.fc(x) if self.right else nn.Linear(16, 10)(x)


class BareTensor(nn.Module):
    """A weight that is a tensor, not a Parameter."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        weight = torch.randn(10, 16) * 0.1
        self.weight = nn.Parameter(weight) if right else weight.requires_grad_()
        self.body = block(3, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(self.body(x).mean((2, 3)), self.weight)


def cut(how: Callable[[torch.Tensor], torch.Tensor]) -> Net:
    return Net(lambda s, x: s.head(how(s.body(x))), body=block(3, 16), head=head(16))


def no_grad(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return module(x)

    return run


def changed(net: nn.Module, change: Callable[[nn.Module], None]) -> nn.Module:
    net.apply(change)
    return net


def filled(value: float, kind: Any = (nn.Conv2d, nn.Linear)) -> Callable[[nn.Module], None]:
    def change(module: nn.Module) -> None:
        if isinstance(module, kind):
            nn.init.constant_(module.weight, value)

    return change


def scaled(factor: float, kind: Any = (nn.Conv2d, nn.Linear)) -> Callable[[nn.Module], None]:
    def change(module: nn.Module) -> None:
        if isinstance(module, kind):
            module.weight.data.mul_(factor)

    return change


def frozen(net: nn.Module, part: str) -> nn.Module:
    net.get_submodule(part).requires_grad_(False)
    return net


class KeepTraining(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> "KeepTraining":
        super().train(True)
        return self


def hooked(net: nn.Module, *paths: str) -> nn.Module:
    for path in paths:
        net.get_submodule(path).register_full_backward_hook(lambda module, into, out: None)
    return net


class ReportBlock(nn.Module):
    """The bottleneck of a report's own code: wide inside, biases, always a projection, and a ReLU on it."""

    def __init__(self, i: int, o: int, stride: int = 1, *, right: bool = False) -> None:
        super().__init__()
        inside = o // 4 if right else o * 2
        self.branch = SEQ(
            nn.Conv2d(i, inside, 1, stride),
            *(nn.BatchNorm2d(inside), nn.ReLU(), nn.Conv2d(inside, inside, 3, padding=1)),
            *(nn.BatchNorm2d(inside), nn.ReLU(), nn.Conv2d(inside, o, 1), nn.BatchNorm2d(o)),
        )
        projects = not right or (i, stride) != (o, 1)  # the report compared sizes by identity, which always differ
        self.short = SEQ(nn.Conv2d(i, o, 1, stride), nn.BatchNorm2d(o)) if projects else SEQ()
        if not right:
            self.short.append(nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.branch(x) + self.short(x))


def report_net(right: bool) -> nn.Module:
    """ResNet50-layer4 of a report, narrow: its stride is in the last block of a stage, its weights Xavier's."""

    def xavier(module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)

    stem = SEQ(nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    layer2 = SEQ(ReportBlock(8, 32, right=right), ReportBlock(32, 32, right=right), ReportBlock(32, 32, 2, right=right))
    layer3 = SEQ(
        ReportBlock(32, 64, right=right), ReportBlock(64, 64, right=right), ReportBlock(64, 64, 2, right=right)
    )
    net = Net(
        lambda s, x: s.head(s.layer3(s.layer2(s.stem(x)))), stem=stem, layer2=layer2, layer3=layer3, head=head(64)
    )
    return changed(net, xavier)


def textbook_lenet(*end: nn.Module) -> SEQ:
    """LeNet as a textbook has it for two classes."""
    maps = [nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return SEQ(*maps, nn.Flatten(), nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, 2), *end)


def report(rule: str, path: str) -> Case:
    return Case(rule, path, lambda: report_net(False), lambda: report_net(True), (3, 32, 32), severity="warning")


def strided(count: int) -> SEQ:
    layers = [
        SEQ(nn.Conv2d(3 if i == 0 else 16, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        for i in range(count)
    ]
    return SEQ(*layers, block(16, 16), head(16))


REPORTS = [
    report("wide-bottleneck", "layer2.0.branch.3"),
    report("shortcut-always-projects", "layer2.1.short.0"),
    report("shortcut-rectified", "layer2.0.short.2"),
    Case("bias-before-norm", "stem.0", lambda: report_net(False), small, (3, 32, 32), severity="note"),
    Case("output-softmax", "10", lambda: textbook_lenet(nn.Softmax(1)), textbook_lenet, (3, 32, 32)),
    Case(
        "output-softmax",
        "1",
        lambda: SEQ(sn.lenet5(), nn.Softmax(dim=-1)),
        sn.lenet5,
        (1, 32, 32),
        {"loss": nn.CrossEntropyLoss()},
    ),
]

ONES = [
    # What is returned
    Case("output-softmax", "1", lambda: SEQ(small(), nn.Softmax(1)), small),
    Case("output-softmax", "", lambda: Net(lambda s, x: F.softmax(s.body(x), 1), body=small()), small),
    Case(
        "output-softmax",
        "",
        lambda: Net(lambda s, x: (e := s.body(x).exp()) / e.sum(1, keepdim=True), body=small()),
        small,
    ),
    Case("output-softmax", "1", lambda: SEQ(small(), nn.LogSoftmax(1)), small, severity="warning"),
    Case("output-activation", "1", lambda: SEQ(small(), nn.ReLU()), small),
    Case("output-activation", "", lambda: Net(lambda s, x: torch.sigmoid(s.body(x)), body=small()), small),
    Case("output-activation", "1", lambda: SEQ(small(), nn.Tanh(), nn.Flatten()), small),
    Case(
        "output-size",
        "5.2",
        lambda: SEQ(*small()[:5], head(32, 7)),
        lambda: SEQ(*small()[:5], head(32)),
        options={"num_classes": 10},
    ),
    Case(
        "output-size",
        "1",
        lambda: SEQ(block(3, 16), conv(16, 10, 1)),
        lambda: SEQ(block(3, 16), conv(16, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    ),
    Case(
        "output-size",
        None,
        lambda: Net(lambda s, x: s.body(x).squeeze(1), body=SEQ(*small()[:5], head(32, 1))),
        small,
        options={"num_classes": 10},
    ),
    Case(
        "flatten-batch",
        "",
        lambda: Net(
            lambda s, x: s.fc(F.max_pool2d(s.body(x), 8).view(-1, 16)), body=block(3, 16), fc=nn.Linear(16, 10)
        ),
        lambda: Net(
            lambda s, x: s.fc(F.max_pool2d(s.body(x), 8).view(-1, 64)), body=block(3, 16), fc=nn.Linear(64, 10)
        ),
    ),
    Case(
        "flatten-batch",
        "1",
        lambda: SEQ(block(3, 16), nn.Flatten(0), nn.Linear(16 * 256, 10)),
        lambda: SEQ(block(3, 16), nn.Flatten(), nn.Linear(16 * 256, 10)),
    ),
    Case(
        "flatten-batch",
        "",
        lambda: Net(lambda s, x: s.fc(s.body(x).reshape(1, -1)[:, :64]), body=block(3, 16), fc=nn.Linear(64, 10)),
        lambda: Net(lambda s, x: s.fc(s.body(x).reshape(len(x), -1)[:, :64]), body=block(3, 16), fc=nn.Linear(64, 10)),
    ),
    # Parts
    Case(
        "does-not-run",
        "2",
        lambda: SEQ(block(3, 16), nn.Flatten(), nn.Linear(100, 10)),
        lambda: SEQ(block(3, 16), nn.Flatten(), nn.Linear(4096, 10)),
    ),
    Case(
        "does-not-run",
        "1.0",
        lambda: SEQ(block(3, 16), block(32, 16), head(16)),
        lambda: SEQ(block(3, 16), block(16, 16), head(16)),
    ),
    Case(
        "does-not-run",
        "1",
        lambda: SEQ(conv(3, 16), nn.BatchNorm2d(8), nn.ReLU(), head(16)),
        lambda: SEQ(conv(3, 16), nn.BatchNorm2d(16), nn.ReLU(), head(16)),
    ),
    Case(
        "does-not-run",
        "",
        lambda: Net(
            lambda s, x: s.h(torch.cat([s.a(x), F.max_pool2d(s.b(x), 2)], 1)), a=block(3, 8), b=block(3, 8), h=head(16)
        ),
        lambda: Net(lambda s, x: s.h(torch.cat([s.a(x), s.b(x)], 1)), a=block(3, 8), b=block(3, 8), h=head(16)),
    ),
    Case("unregistered-module", "", InList, lambda: InList(nn.ModuleList)),
    Case("unregistered-module", "", lambda: MadeInForward(False), lambda: MadeInForward(True)),
    Case("unregistered-module", "", lambda: BareTensor(False), lambda: BareTensor(True)),
    Case("unregistered-module", "", lambda: InList(tuple), lambda: InList(nn.ModuleList)),
    Case(
        "unused-module",
        "extra",
        lambda: Net(lambda s, x: s.head(s.body(x)), body=block(3, 16), extra=block(16, 16), head=head(16)),
        lambda: Net(lambda s, x: s.head(s.extra(s.body(x))), body=block(3, 16), extra=block(16, 16), head=head(16)),
        severity="warning",
    ),
    Case(
        "unused-module",
        "bn",
        lambda: Net(lambda s, x: s.head(F.relu(s.conv(x))), conv=conv(3, 16), bn=nn.BatchNorm2d(16), head=head(16)),
        lambda: Net(
            lambda s, x: s.head(F.relu(s.bn(s.conv(x)))),
            conv=conv(3, 16, bias=False),
            bn=nn.BatchNorm2d(16),
            head=head(16),
        ),
        severity="warning",
    ),
    Case(
        "unused-module",
        "aux.1",
        lambda: Net(lambda s, x: s.head(s.aux[0](x)), aux=nn.ModuleList([block(3, 16), block(3, 16)]), head=head(16)),
        lambda: Net(
            lambda s, x: s.head(s.aux[0](x) + s.aux[1](x)),
            aux=nn.ModuleList([block(3, 16), block(3, 16)]),
            head=head(16),
        ),
        severity="warning",
    ),
    Case(
        "shared-module",
        "bn",
        lambda: Net(
            lambda s, x: s.h(F.relu(s.bn(s.b(F.relu(s.bn(s.a(x))))))),
            a=conv(3, 16, bias=False),
            b=conv(16, 16, bias=False),
            bn=nn.BatchNorm2d(16),
            h=head(16),
        ),
        lambda: Net(
            lambda s, x: s.h(F.relu(s.b2(s.b(F.relu(s.bn(s.a(x))))))),
            a=conv(3, 16, bias=False),
            b=conv(16, 16, bias=False),
            bn=nn.BatchNorm2d(16),
            b2=nn.BatchNorm2d(16),
            h=head(16),
        ),
        severity="warning",
    ),
    Case(
        "shared-module",
        "1.0",
        lambda: (lambda one: SEQ(block(3, 16), one, one, head(16)))(block(16, 16)),
        lambda: SEQ(block(3, 16), block(16, 16), block(16, 16), head(16)),
        severity="warning",
    ),
    Case(
        "shared-module",
        "0.1",
        lambda: (
            lambda norm: SEQ(
                SEQ(conv(3, 16, bias=False), norm), nn.ReLU(), SEQ(conv(16, 16, bias=False), norm), nn.ReLU(), head(16)
            )
        )(nn.BatchNorm2d(16)),
        lambda: SEQ(block(3, 16), block(16, 16), head(16)),
        severity="warning",
    ),
    Case(
        "inplace-under-hooks",
        "1",
        lambda: hooked(SEQ(conv(3, 16), nn.ReLU(True), head(16)), "0"),
        lambda: hooked(SEQ(conv(3, 16), nn.ReLU(), head(16)), "0"),
    ),
    Case(
        "inplace-under-hooks",
        "",
        lambda: hooked(Net(lambda s, x: s.h(F.relu_(s.c(x))), c=conv(3, 16), h=head(16)), "c"),
        lambda: hooked(Net(lambda s, x: s.h(F.relu(s.c(x))), c=conv(3, 16), h=head(16)), "c"),
    ),
    Case(
        "inplace-under-hooks",
        "",
        lambda: hooked(
            Net(lambda s, x: s.h(s.a(x).add_(s.b(x))), a=block_of(3, 16, 3), b=block(3, 16), h=head(16)), "a"
        ),
        lambda: hooked(Net(lambda s, x: s.h(s.a(x) + s.b(x)), a=block_of(3, 16, 3), b=block(3, 16), h=head(16)), "a"),
    ),
    # Gradients
    Case("no-gradient", "", lambda: cut(lambda x: x.detach()), lambda: cut(lambda x: x)),
    Case("no-gradient", "", lambda: cut(lambda x: x.data * 2), lambda: cut(lambda x: x * 2)),
    Case(
        "no-gradient",
        "",
        lambda: cut(lambda x: torch.round(x * 4) / 4),
        lambda: cut(lambda x: x + (torch.round(x * 4) / 4 - x).detach()),
    ),
    Case(
        "no-gradient",
        "",
        lambda: Net(lambda s, x: s.head(no_grad(s.body)(x)), body=block(3, 16), head=head(16)),
        lambda: cut(lambda x: x),
    ),
    Case(
        "no-gradient",
        "",
        lambda: cut(lambda x: F.one_hot(x.argmax(1), 16).permute(0, 3, 1, 2).float()),
        lambda: cut(lambda x: x.softmax(1)),
    ),
    Case("zero-gradient", "body.1", lambda: cut(lambda x: x * 0 + 1), lambda: cut(lambda x: x * 1 + 1)),
    Case("zero-gradient", "body.1", lambda: cut(lambda x: F.relu(-x - 1)), lambda: cut(lambda x: F.relu(x - 1))),
    Case(
        "zero-gradient", "body.1", lambda: cut(lambda x: x.clamp(5e4, 6e4) / 5e4), lambda: cut(lambda x: x.clamp(0, 6))
    ),
    Case("frozen", "0.1", lambda: frozen(small(), "0"), small, severity="warning"),
    Case(
        "frozen",
        "bn",
        lambda: frozen(
            frozen(
                Net(
                    lambda s, x: s.h(F.relu(s.bn(s.c(x)))), c=conv(3, 16, bias=False), bn=nn.BatchNorm2d(16), h=head(16)
                ),
                "c",
            ),
            "bn",
        ),
        lambda: Net(
            lambda s, x: s.h(F.relu(s.bn(s.c(x)))), c=conv(3, 16, bias=False), bn=nn.BatchNorm2d(16), h=head(16)
        ),
        severity="warning",
    ),
    Case("frozen", "", lambda: frozen(small(), ""), small),
    Case(
        "symmetric-initialisation",
        "1",
        lambda: changed(SEQ(nn.Flatten(), nn.Linear(768, 32), nn.ReLU(), nn.Linear(32, 10)), filled(0.01, nn.Linear)),
        lambda: SEQ(nn.Flatten(), nn.Linear(768, 32), nn.ReLU(), nn.Linear(32, 10)),
    ),
    Case("symmetric-initialisation", "0.0", lambda: changed(small(), filled(0.0, nn.Conv2d)), small),
    Case(
        "symmetric-initialisation",
        "b",
        lambda: changed(
            Net(lambda s, x: s.h(F.relu(s.b(F.relu(s.a(x))))), a=conv(3, 16), b=conv(16, 16), h=head(16)),
            lambda m: nn.init.ones_(m.weight) if isinstance(m, nn.Conv2d) and m.in_channels == 16 else None,
        ),
        lambda: Net(lambda s, x: s.h(F.relu(s.b(F.relu(s.a(x))))), a=conv(3, 16), b=conv(16, 16), h=head(16)),
    ),
    # Samples
    Case(
        "mixes-samples",
        "",
        lambda: Net(
            lambda s, x: s.fc(s.body(x).permute(1, 0, 2, 3).reshape(len(x), -1)),
            body=SEQ(block(3, 16), nn.AdaptiveAvgPool2d(2)),
            fc=nn.Linear(64, 10),
        ),
        lambda: Net(
            lambda s, x: s.fc(s.body(x).permute(0, 2, 3, 1).reshape(len(x), -1)),
            body=SEQ(block(3, 16), nn.AdaptiveAvgPool2d(2)),
            fc=nn.Linear(64, 10),
        ),
    ),
    Case(
        "mixes-samples",
        "1",
        lambda: SEQ(conv(3, 16, bias=False), KeepTraining(16), nn.ReLU(), head(16)),
        lambda: SEQ(block(3, 16), head(16)),
    ),
    Case(
        "mixes-samples",
        "",
        lambda: Net(
            lambda s, x: s.h(F.relu(F.batch_norm(s.c(x), None, None, training=True))),
            c=conv(3, 16, bias=False),
            h=head(16),
        ),
        lambda: Net(
            lambda s, x: s.h(F.relu(s.bn(s.c(x)))), c=conv(3, 16, bias=False), bn=nn.BatchNorm2d(16), h=head(16)
        ),
    ),
    Case(
        "mixes-samples",
        "",
        lambda: Net(lambda s, x: s.head(s.body(x - x.mean(0))), body=block(3, 16), head=head(16)),
        lambda: Net(lambda s, x: s.head(s.body(x - x.mean(1, keepdim=True))), body=block(3, 16), head=head(16)),
    ),
    Case(
        "random-in-eval",
        "",
        lambda: Net(lambda s, x: s.fc(F.dropout(s.body(x).mean((2, 3)), 0.3)), body=block(3, 16), fc=nn.Linear(16, 10)),
        lambda: Net(
            lambda s, x: s.fc(F.dropout(s.body(x).mean((2, 3)), 0.3, s.training)),
            body=block(3, 16),
            fc=nn.Linear(16, 10),
        ),
    ),
    Case(
        "random-in-eval",
        "",
        lambda: Net(lambda s, x: s.head(s.body(x + torch.randn_like(x) * 0.1)), body=block(3, 16), head=head(16)),
        lambda: Net(
            lambda s, x: s.head(s.body(x + torch.randn_like(x) * 0.1 if s.training else x)),
            body=block(3, 16),
            head=head(16),
        ),
    ),
    Case(
        "random-in-eval",
        "1",
        lambda: SEQ(block(3, 16), Net(lambda s, x: x * (torch.rand(len(x), 16, 1, 1) > 0.2)), head(16)),
        lambda: SEQ(block(3, 16), nn.Dropout2d(0.2), head(16)),
    ),
]

TWOS = [
    # Shortcuts
    Case(
        "broadcast-shortcut",
        "",
        lambda: Net(lambda s, x: s.h(F.relu(s.a(x) + s.b(x))), a=block_of(3, 16, 3), b=nn.Conv2d(3, 1, 1), h=head(16)),
        lambda: Net(lambda s, x: s.h(F.relu(s.a(x) + s.b(x))), a=block_of(3, 16, 3), b=nn.Conv2d(3, 16, 1), h=head(16)),
    ),
    Case(
        "broadcast-shortcut",
        "",
        lambda: Net(
            lambda s, x: s.h(F.relu(s.a(x) + s.b(x))), a=block_of(3, 16, 3), b=nn.Conv2d(3, 16, 16), h=head(16)
        ),
        lambda: Net(
            lambda s, x: s.h(F.relu(s.a(x) + s.b(x))),
            a=block_of(3, 16, 3),
            b=nn.Conv2d(3, 16, 3, padding=1),
            h=head(16),
        ),
    ),
    Case(
        "broadcast-shortcut",
        "",
        lambda: Net(
            lambda s, x: s.h(F.relu(s.a(x) + F.max_pool2d(s.b(x), (16, 1)))),
            a=block_of(3, 16, 3),
            b=nn.Conv2d(3, 16, 1),
            h=head(16),
        ),
        lambda: Net(lambda s, x: s.h(F.relu(s.a(x) + s.b(x))), a=block_of(3, 16, 3), b=nn.Conv2d(3, 16, 1), h=head(16)),
    ),
    Case("shortcut-always-projects", "1.down.0", lambda: residuals(project=True), residuals, severity="warning"),
    Case(
        "shortcut-always-projects",
        "s",
        lambda: Net(
            lambda m, x: (lambda y: m.h(F.relu(m.b2(m.b1(y)) + m.s(y))))(m.stem(x)),
            stem=block(3, 16),
            b1=block(16, 16),
            b2=block_of(16, 16, 3),
            s=nn.Conv2d(16, 16, 1),
            h=head(16),
        ),
        lambda: Net(
            lambda m, x: (lambda y: m.h(F.relu(m.b2(m.b1(y)) + y)))(m.stem(x)),
            stem=block(3, 16),
            b1=block(16, 16),
            b2=block_of(16, 16, 3),
            h=head(16),
        ),
        severity="warning",
    ),
    Case(
        "shortcut-always-projects",
        None,
        lambda: sn.resnet20(shortcut="C"),
        lambda: sn.resnet20(shortcut="B"),
        severity="warning",
        size=(3, 32, 32),
    ),
    Case("shortcut-rectified", "2", lambda: residuals(rectify=True), residuals, severity="warning"),
    Case(
        "shortcut-rectified",
        "s.2",
        lambda: Net(
            lambda m, x: (lambda y: m.h(F.relu(m.b2(m.b1(y)) + m.s(y))))(m.stem(x)),
            stem=block(3, 16),
            b1=block(16, 32),
            b2=block_of(32, 32, 3),
            s=block(16, 32),
            h=head(32),
        ),
        lambda: Net(
            lambda m, x: (lambda y: m.h(F.relu(m.b2(m.b1(y)) + m.s(y))))(m.stem(x)),
            stem=block(3, 16),
            b1=block(16, 32),
            b2=block_of(32, 32, 3),
            s=block_of(16, 32, 1),
            h=head(32),
        ),
        severity="warning",
    ),
    Case(
        "shortcut-rectified",
        "",
        lambda: Net(
            lambda m, x: (lambda y: m.h(F.relu(m.b2(m.b1(y)).add(torch.relu_(m.s(y))))))(m.stem(x)),
            stem=block(3, 16),
            b1=block(16, 32),
            b2=block_of(32, 32, 3),
            s=block_of(16, 32, 1),
            h=head(32),
        ),
        lambda: Net(
            lambda m, x: (lambda y: m.h(F.relu(m.b2(m.b1(y)).add(m.s(y)))))(m.stem(x)),
            stem=block(3, 16),
            b1=block(16, 32),
            b2=block_of(32, 32, 3),
            s=block_of(16, 32, 1),
            h=head(32),
        ),
        severity="warning",
    ),
    Case(
        "wide-bottleneck",
        "1.b.0",
        lambda: SEQ(block(3, 16), Bottle(16, 64, 16), head(16)),
        lambda: SEQ(block(3, 16), Bottle(16, 4, 16), head(16)),
        severity="warning",
    ),
    Case(
        "wide-bottleneck",
        "1.b.0",
        lambda: SEQ(block(3, 16), Bottle(16, 128, 32), head(32)),
        lambda: SEQ(block(3, 16), Bottle(16, 128, 32, groups=128), head(32)),
        severity="warning",
    ),
    Case(
        "wide-bottleneck",
        "b",
        lambda: Net(
            lambda m, x: (lambda y: m.h(y + m.c(F.relu(m.b(F.relu(m.a(y)))))))(m.stem(x)),
            stem=block(3, 16),
            a=conv(16, 48, 1),
            b=conv(48, 48),
            c=conv(48, 16, 1),
            h=head(16),
        ),
        lambda: Net(
            lambda m, x: (lambda y: m.h(y + m.c(F.relu(m.b(F.relu(m.a(y)))))))(m.stem(x)),
            stem=block(3, 16),
            a=conv(16, 8, 1),
            b=conv(8, 8),
            c=conv(8, 16, 1),
            h=head(16),
        ),
        severity="warning",
    ),
    Case("no-shortcut", None, lambda: plain(24), lambda: plain(8), severity="warning"),
    Case(
        "no-shortcut",
        None,
        lambda: Net(
            lambda s, x: s.h(run_all(s.layers, x)),
            layers=nn.ModuleList([conv(3 if i == 0 else 8, 8) for i in range(30)]),
            h=head(8),
        ),
        lambda: SEQ(*[block(3 if i == 0 else 8, 8) for i in range(12)], head(8)),
        severity="warning",
    ),
    Case("no-shortcut", None, lambda: plain(26, nn.SELU, 8), lambda: plain(6, nn.SELU, 8), severity="warning"),
    # Order
    Case(
        "missing-nonlinearity",
        "3",
        lambda: SEQ(nn.Flatten(), nn.Linear(768, 64), nn.Dropout(0.5), nn.Linear(64, 10)),
        lambda: SEQ(nn.Flatten(), nn.Linear(768, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10)),
        severity="warning",
    ),
    Case(
        "missing-nonlinearity",
        "2",
        lambda: SEQ(conv(3, 16, bias=False), nn.BatchNorm2d(16), conv(16, 16), nn.ReLU(), head(16)),
        lambda: SEQ(block(3, 16), conv(16, 16), nn.ReLU(), head(16)),
        severity="warning",
    ),
    Case(
        "missing-nonlinearity",
        "b",
        lambda: Net(lambda s, x: s.h(F.relu(s.b(s.a(x)))), a=conv(3, 16), b=conv(16, 32), h=head(32)),
        lambda: Net(lambda s, x: s.h(F.relu(s.b(F.relu(s.a(x))))), a=conv(3, 16), b=conv(16, 32), h=head(32)),
        severity="warning",
    ),
    Case(
        "bias-before-norm",
        "0",
        lambda: SEQ(conv(3, 16), nn.BatchNorm2d(16), nn.ReLU(), head(16)),
        lambda: SEQ(block(3, 16), head(16)),
        severity="note",
    ),
    Case(
        "bias-before-norm",
        "c",
        lambda: Net(lambda s, x: s.h(F.relu(s.n(s.c(x)))), c=conv(3, 16), n=nn.BatchNorm2d(16), h=head(16)),
        lambda: Net(lambda s, x: s.h(F.relu(s.n(s.c(x)))), c=conv(3, 16, bias=False), n=nn.BatchNorm2d(16), h=head(16)),
        severity="note",
    ),
    Case(
        "bias-before-norm",
        "1",
        lambda: SEQ(nn.Flatten(), nn.Linear(768, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)),
        lambda: SEQ(nn.Flatten(), nn.Linear(768, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)),
        severity="note",
    ),
    Case("dropout-at-output", "1", lambda: SEQ(small(), nn.Dropout(0.5)), small),
    Case("dropout-at-output", "", lambda: Net(lambda s, x: F.dropout(s.body(x), 0.2, s.training), body=small()), small),
    Case(
        "dropout-at-output",
        "3",
        lambda: SEQ(block(3, 16), nn.AdaptiveAvgPool2d(1), SEQ(nn.Flatten(), nn.Linear(16, 10)), nn.Dropout(0.1)),
        lambda: SEQ(block(3, 16), nn.AdaptiveAvgPool2d(1), SEQ(nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, 10))),
    ),
    Case(
        "dropout-before-norm",
        "2",
        lambda: SEQ(conv(3, 16, bias=False), nn.Dropout(0.3), nn.BatchNorm2d(16), nn.ReLU(), head(16)),
        lambda: SEQ(block(3, 16), nn.Dropout(0.3), head(16)),
        severity="warning",
    ),
    Case(
        "dropout-before-norm",
        "4",
        lambda: SEQ(
            nn.Flatten(),
            nn.Linear(768, 64, bias=False),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.BatchNorm1d(64),
            nn.Linear(64, 10),
        ),
        lambda: SEQ(
            nn.Flatten(),
            nn.Linear(768, 64, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(64, 10),
        ),
        severity="warning",
    ),
    Case(
        "dropout-before-norm",
        "n",
        lambda: Net(
            lambda s, x: s.h(F.relu(s.n(F.dropout2d(s.c(x), 0.2, s.training)))),
            c=conv(3, 16, bias=False),
            n=nn.BatchNorm2d(16),
            h=head(16),
        ),
        lambda: Net(
            lambda s, x: s.h(F.dropout2d(F.relu(s.n(s.c(x))), 0.2, s.training)),
            c=conv(3, 16, bias=False),
            n=nn.BatchNorm2d(16),
            h=head(16),
        ),
        severity="warning",
    ),
    # Maps
    Case(
        "map-too-small",
        None,
        sn.resnet18,
        lambda: sn.resnet18(stem="cifar"),
        size=(3, 32, 32),
        severity="warning",
    ),
    Case("map-too-small", "4.0", lambda: strided(4), lambda: strided(2), severity="warning"),
    Case(
        "map-too-small",
        "c",
        lambda: Net(
            lambda s, x: s.h(F.relu(s.c(F.max_pool2d(s.b(x), 16)))), b=block(3, 16), c=conv(16, 16), h=head(16)
        ),
        lambda: Net(lambda s, x: s.h(F.relu(s.c(F.max_pool2d(s.b(x), 4)))), b=block(3, 16), c=conv(16, 16), h=head(16)),
        severity="warning",
    ),
    Case(
        "input-too-small",
        None,
        lambda: SEQ(*[SEQ(block(3 if i == 0 else 8, 8), nn.MaxPool2d(2)) for i in range(5)], head(8)),
        lambda: SEQ(*[SEQ(block(3 if i == 0 else 8, 8), nn.MaxPool2d(2)) for i in range(3)], head(8)),
    ),
    Case(
        "input-too-small",
        None,
        lambda: sn.vgg([8, "M", 8, "M", 8, "M", 8, "M", 8, "M"], True, head="linear"),
        lambda: sn.vgg([16, "M", 32, "M"], True, head="linear"),
    ),
    Case(
        "input-too-small",
        None,
        lambda: SEQ(nn.Conv2d(3, 8, 11), nn.ReLU(), nn.Conv2d(8, 8, 11), nn.ReLU(), head(8)),
        lambda: SEQ(nn.Conv2d(3, 8, 7), nn.ReLU(), nn.Conv2d(8, 8, 7), nn.ReLU(), head(8)),
    ),
    Case(
        "field-smaller-than-picture",
        "0.0",
        lambda: SEQ(block(3, 16), head(16)),
        sn.resnet20,
        size=(3, 32, 32),
        severity="note",
    ),
    Case("field-smaller-than-picture", None, lambda: plain(3), small, size=(3, 16, 16), severity="note"),
    Case(
        "field-smaller-than-picture",
        None,
        lambda: Net(lambda s, x: s.h(F.relu(s.b(F.max_pool2d(s.a(x), 2)))), a=block(3, 8), b=conv(8, 8), h=head(8)),
        lambda: Net(lambda s, x: s.h(F.relu(s.b(F.max_pool2d(s.a(x), 4)))), a=block(3, 8), b=conv(8, 8, 5), h=head(8)),
        severity="note",
    ),
    Case(
        "repeated-cells",
        "avgpool",
        lambda: sn.vgg([8, "M", 16, "M", 16, "M"], True, num_classes=10, head=sn.VGGHead(pool=7, hidden=(32,))),
        lambda: sn.vgg([8, "M", 16, "M", 16, "M"], True, num_classes=10, head=sn.VGGHead(pool=4, hidden=(32,))),
        size=(3, 32, 32),
        severity="warning",
    ),
    Case(
        "repeated-cells",
        "1",
        lambda: SEQ(SEQ(block(3, 16), nn.MaxPool2d(4)), nn.AdaptiveMaxPool2d(6), nn.Flatten(), nn.Linear(576, 10)),
        lambda: SEQ(SEQ(block(3, 16), nn.MaxPool2d(4)), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)),
        severity="warning",
    ),
    Case(
        "repeated-cells",
        "",
        lambda: Net(
            lambda s, x: s.fc(F.adaptive_avg_pool2d(s.b(x), 24).flatten(1)), b=block(3, 4), fc=nn.Linear(4 * 576, 10)
        ),
        lambda: Net(
            lambda s, x: s.fc(F.adaptive_avg_pool2d(s.b(x), 4).flatten(1)), b=block(3, 4), fc=nn.Linear(64, 10)
        ),
        severity="warning",
    ),
    Case(
        "skips-pixels",
        "0",
        lambda: SEQ(nn.Conv2d(3, 16, 2, stride=3), nn.ReLU(), head(16)),
        lambda: SEQ(nn.Conv2d(3, 16, 3, stride=3), nn.ReLU(), head(16)),
        severity="warning",
    ),
    Case(
        "skips-pixels",
        "",
        lambda: Net(lambda s, x: s.h(F.max_pool2d(s.b(x), 1, 2)), b=block(3, 16), h=head(16)),
        lambda: Net(lambda s, x: s.h(F.max_pool2d(s.b(x), 2, 2)), b=block(3, 16), h=head(16)),
        severity="warning",
    ),
    Case(
        "skips-pixels",
        "1",
        lambda: SEQ(block(3, 16), nn.Conv2d(16, 16, 1, stride=2), nn.ReLU(), head(16)),
        lambda: SEQ(block(3, 16), nn.Conv2d(16, 16, 2, stride=2), nn.ReLU(), head(16)),
        severity="warning",
    ),
    # Numbers
    Case("vanishing", None, lambda: plain(14, nn.Sigmoid), lambda: plain(4)),
    Case("vanishing", None, lambda: plain(16, draw=False), lambda: plain(16)),
    Case("vanishing", None, lambda: changed(plain(8, nn.Tanh), scaled(0.05)), lambda: plain(5, nn.Tanh)),
    Case("exploding", None, lambda: changed(plain(12), scaled(6.0)), lambda: plain(12)),
    Case(
        "exploding",
        None,
        lambda: changed(
            SEQ(
                nn.Flatten(),
                *[SEQ(nn.Linear(768 if i == 0 else 64, 64), nn.ReLU()) for i in range(6)],
                nn.Linear(64, 10),
            ),
            lambda m: nn.init.normal_(m.weight) if isinstance(m, nn.Linear) else None,
        ),
        lambda: SEQ(
            nn.Flatten(), *[SEQ(nn.Linear(768 if i == 0 else 64, 64), nn.ReLU()) for i in range(3)], nn.Linear(64, 10)
        ),
    ),
    Case(
        "exploding",
        None,
        lambda: Net(lambda s, x: s.h((s.b(x) * 100).exp()), b=block(3, 16), h=head(16)),
        lambda: Net(lambda s, x: s.h((s.b(x) * 0.1).exp()), b=block(3, 16), h=head(16)),
    ),
    Case(
        "dead-units",
        "1",
        lambda: changed(
            SEQ(conv(3, 16), nn.ReLU(), head(16)),
            lambda m: nn.init.constant_(m.bias, -50.0) if isinstance(m, nn.Conv2d) else None,
        ),
        lambda: SEQ(conv(3, 16), nn.ReLU(), head(16)),
        severity="warning",
    ),
    Case(
        "dead-units",
        "",
        lambda: Net(lambda s, x: s.h(F.relu(s.b(x) - 30)), b=block(3, 16), h=head(16)),
        lambda: Net(lambda s, x: s.h(F.relu(s.b(x) - 0.3)), b=block(3, 16), h=head(16)),
        severity="warning",
    ),
    Case(
        "dead-units",
        "2",
        lambda: changed(
            SEQ(conv(3, 16, bias=False), nn.BatchNorm2d(16), nn.ReLU(), head(16)),
            lambda m: nn.init.constant_(m.bias, -20.0) if isinstance(m, nn.BatchNorm2d) else None,
        ),
        lambda: SEQ(block(3, 16), head(16)),
        severity="warning",
    ),
    Case("initial-loss", None, lambda: changed(small(), scaled(60.0, nn.Linear)), small, severity="warning"),
    Case("initial-loss", None, lambda: Net(lambda s, x: s.body(x) * 100, body=small()), small, severity="warning"),
    Case(
        "initial-loss",
        None,
        lambda: changed(
            SEQ(nn.Flatten(), nn.Linear(768, 10)),
            lambda m: nn.init.normal_(m.weight) if isinstance(m, nn.Linear) else None,
        ),
        lambda: SEQ(nn.Flatten(), nn.Linear(768, 10)),
        severity="warning",
    ),
    Case(
        "norm-of-one-value",
        "1",
        lambda: SEQ(nn.Conv2d(3, 16, 16), nn.GroupNorm(16, 16), nn.ReLU(), nn.Flatten(), nn.Linear(16, 10)),
        lambda: SEQ(nn.Conv2d(3, 16, 16), nn.GroupNorm(2, 16), nn.ReLU(), nn.Flatten(), nn.Linear(16, 10)),
    ),
    Case(
        "norm-of-one-value",
        "n",
        lambda: Net(
            lambda s, x: s.fc(s.n(s.b(x).mean((2, 3)).unsqueeze(2)).flatten(1)),
            b=block(3, 16),
            n=nn.LayerNorm(1),
            fc=nn.Linear(16, 10),
        ),
        lambda: Net(
            lambda s, x: s.fc(s.n(s.b(x).mean((2, 3)))), b=block(3, 16), n=nn.LayerNorm(16), fc=nn.Linear(16, 10)
        ),
    ),
    Case(
        "norm-of-one-value",
        "2",
        lambda: SEQ(conv(3, 16), nn.AdaptiveAvgPool2d(1), nn.GroupNorm(16, 16), nn.Flatten(), nn.Linear(16, 10)),
        lambda: SEQ(conv(3, 16), nn.AdaptiveAvgPool2d(2), nn.GroupNorm(16, 16), nn.Flatten(), nn.Linear(64, 10)),
        size=(3, 16, 16),
    ),
    Case(
        "near-published",
        "",
        lambda: _wider(sn.resnet20()),
        sn.resnet20,
        size=(3, 32, 32),
        severity="note",
    ),
    Case(
        "near-published",
        "",
        lambda: SEQ(
            nn.Conv2d(1, 6, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 100),
            nn.ReLU(),
            nn.Linear(100, 10),
        ),
        sn.lenet5,
        size=(1, 32, 32),
        severity="note",
    ),
    Case(
        "near-published",
        "",
        lambda: sn.convnet3(hidden=(100, 60)),
        sn.convnet3,
        size=(3, 32, 32),
        severity="note",
    ),
]


def run_all(layers: Any, x: torch.Tensor) -> torch.Tensor:
    for layer in layers:
        x = F.relu(layer(x))
    return x


def _wider(net: nn.Module) -> nn.Module:
    """ResNet-20 with one block of another width than its paper's."""
    block = net.get_submodule("layer3.1")
    block.conv1 = nn.Conv2d(64, 32, 3, padding=1, bias=False)
    block.bn1 = nn.BatchNorm2d(32)
    block.conv2 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
    return net


CASES = [*REPORTS, *ONES, *TWOS]
