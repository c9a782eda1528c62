"""Nets that are nearly a published one."""

import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ...models.build import build, list_models
from ..copying import tensors_of
from ..facts import Facts
from ..finding import Evidence, Finding
from ..registry import rule

NEAR = 0.4  # share of weights of one shape, of all weights of both
SHOWN = 3  # differences


@rule(
    "near-published",
    "note",
    looks_for="A net most of whose layers are those of a published one.",
    faulty="size = (1, 32, 32)\n"
    "maps = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), "
    "nn.MaxPool2d(2), nn.Flatten()]\n"
    "net = nn.Sequential(*maps, nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 100), nn.ReLU(), "
    "nn.Linear(100, 10))",
    sound="size = (1, 32, 32)\n"
    "maps = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), "
    "nn.MaxPool2d(2), nn.Flatten()]\n"
    "net = nn.Sequential(*maps, nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), "
    "nn.Linear(84, 10))",
    why="What differs may be meant, or a slip: compare.",
    source="the papers of the zoo",
    on_purpose="Variants.",
)
def near_published(facts: Facts) -> Iterator[Finding]:
    """The shapes of all weights are compared with those of every net of the zoo."""
    mine = shapes_of(facts.model)
    if sum(mine.values()) < 4:
        return
    best, name = 0.0, ""
    for candidate, theirs in published().items():
        if not 0.5 < sum(mine.values()) / sum(theirs.values()) < 2:
            continue
        alike = sum((mine & theirs).values()) / sum((mine | theirs).values())
        if alike > best:
            best, name = alike, candidate
    if not NEAR <= best < 1:
        return
    theirs = published()[name]
    more, less = list((mine - theirs).elements()), list((theirs - mine).elements())
    if len(more) == len(less) == 1 and len(more[0]) == 2:
        return  # the last layer, for other classes
    evidence: Evidence = {
        "like": name,
        "alike": round(best, 3),
        "here": ["x".join(map(str, shape)) for shape in more[:SHOWN]],
        "there": ["x".join(map(str, shape)) for shape in less[:SHOWN]],
        "parameters": sum(parameter.numel() for parameter in facts.model.parameters()),
    }
    yield Finding("near-published", "note", "", evidence, f"Compare with smallnets.{name}.")


def shapes_of(model: nn.Module) -> Counter[tuple[int, ...]]:
    return Counter(tuple(p.shape) for p in tensors_of(model) if p.dim() > 1)


@functools.cache
def published() -> dict[str, Counter[tuple[int, ...]]]:
    """The weights' shapes of every net of the zoo, also with the stem for small pictures."""
    found: dict[str, Counter[tuple[int, ...]]] = {}
    with torch.device("meta"):
        for name in list_models():
            if name == "resnet1202":
                continue
            found[f"{name}()"] = shapes_of(build(name))
            small: dict[str, Any] = {}
            if name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "alexnet"):
                small = {"stem": "cifar"}
            elif name.startswith("vgg") and name != "vgg":
                small = {"head": "linear"}
            if small:
                (key, value), *_ = small.items()
                found[f"{name}({key}={value!r})"] = shapes_of(build(name, **small))
    return found
