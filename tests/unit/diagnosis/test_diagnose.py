"""``diagnose`` itself: what it gives, what it leaves alone, and what it refuses."""

import json
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import smallnets as sn
from smallnets import Diagnosis, Finding, diagnose
from smallnets.errors import DataError, OptionError, ShapeError


def net(*end: nn.Module) -> nn.Sequential:
    layers = (nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.1), nn.Linear(128, 10), *end)


def rules(diagnosis: Diagnosis) -> set[str]:
    return {finding.rule for finding in diagnosis}


SIZE = (3, 8, 8)


def test_it_is_false_where_nothing_is_above_a_note() -> None:
    noted = diagnose(sn.lenet5())
    assert not noted and len(noted) == 1 and noted.findings[0].severity == "note"
    assert str(diagnose(sn.resnet20())) == "resnet20 on 3x32x32: nothing found."
    faulty = diagnose(net(nn.Softmax(1)), SIZE)
    assert faulty and rules(faulty) >= {"output-softmax"}


def test_findings_say_what_where_and_what_to_do() -> None:
    told = diagnose(net(nn.Softmax(1)), SIZE, num_classes=5)
    size = next(finding for finding in told if finding.rule == "output-size")
    assert size == Finding(
        "output-size",
        "error",
        "6",
        {"classes": 5, "logits": 10},
        "Give the last layer one output a class: nn.Linear(128, 5).",
    )
    assert "error: output-size at 6 (classes 5, logits 10). Give the last layer" in str(told)
    assert str(told).startswith("Sequential on 3x8x8: 2 errors")


def test_it_is_plain_data_and_pages(tmp_path: Path) -> None:
    told = diagnose(net(nn.Softmax(1)), SIZE)
    data = json.loads(json.dumps(told.to_dict()))
    assert data["findings"][0]["rule"] == "output-softmax" and data["input_size"] == [3, 8, 8]
    assert told.to_html(tmp_path / "net.html") == (tmp_path / "net.html").read_text(encoding="utf-8")
    page = told.to_html()
    marks = json.loads(page.split('type="application/json">')[1].split("</script>")[0])["marks"]
    assert ["error", "output-softmax: " + told.findings[0].advice] in marks.values()
    assert "<b>output-softmax</b> at <code>7</code>" in page
    assert "output-softmax" in told._repr_html_()
    with pytest.raises(OSError, match="No such file"):
        told.to_html(tmp_path / "nowhere" / "net.html")


def test_a_net_that_cannot_be_summarised_has_a_page_all_the_same() -> None:
    page = diagnose(nn.Sequential(nn.Linear(5, 3)), (4,)).to_html()
    assert "does-not-run" in page


def state(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor | None], list[bool], list[str]]:
    grads = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    flags = [module.training for module in model.modules()]
    return {k: v.clone() for k, v in model.state_dict().items()}, grads, flags, sorted(model.__dict__)


def same(
    one: dict[str, Tensor | None] | dict[str, Tensor], other: dict[str, Tensor | None] | dict[str, Tensor]
) -> bool:
    return one.keys() == other.keys() and all(
        (a is b) or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(one.values(), other.values(), strict=True)
    )


class Around(nn.Module):
    """Its forward is a closure over the caller's own layers, which no copy reaches."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.run: Callable[[Tensor], Tensor] = lambda x: F.relu(inner(x)) + random.random() + float(np.random.rand())  # noqa: NPY002

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


@pytest.mark.parametrize("wrap", [nn.Sequential, Around])
@pytest.mark.parametrize("gradients", [False, True])
def test_the_callers_module_and_generators_are_untouched(
    wrap: Callable[[nn.Module], nn.Module], gradients: bool
) -> None:
    model = wrap(net())
    model.train()
    dict(model.named_modules())["0.1" if wrap is nn.Sequential else "inner.1"].eval()
    if gradients:
        model(torch.randn(4, *SIZE)).sum().backward()
    data = torch.randn(8, *SIZE), torch.arange(8)
    before, seeds = state(model), (torch.get_rng_state(), random.getstate(), np.random.get_state()[1:3])  # noqa: NPY002
    diagnose(model, SIZE, data=data)
    after = state(model)
    assert same(before[0], after[0]) and same(before[1], after[1]) and before[2:] == after[2:]
    assert torch.equal(seeds[0], torch.get_rng_state()) and seeds[1] == random.getstate()
    assert seeds[2][1] == np.random.get_state()[2] and np.array_equal(seeds[2][0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_a_closure_over_the_callers_layers_is_no_stranger() -> None:
    model = Around(net())
    inner = model.inner
    model.run = lambda x: inner(x) + 0
    assert not diagnose(model, SIZE), str(diagnose(model, SIZE))


def test_the_callers_hooks_are_not_called() -> None:
    model = net()
    calls: list[int] = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    model[0].register_full_backward_hook(lambda *_: calls.append(2))
    diagnose(model, SIZE)
    assert not calls


def test_it_runs_where_gradients_are_switched_off() -> None:
    with torch.no_grad():
        assert not diagnose(net(), SIZE)
    model = net()
    with torch.inference_mode():
        assert not diagnose(model, SIZE)


def test_eval_mode_alone() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.Dropout(0.5))
    assert rules(diagnose(model, SIZE)) >= {"dropout-at-output"}
    assert not diagnose(model, SIZE, training=False)


@dataclass
class Answer:
    features: Tensor
    logits: Tensor


@pytest.mark.parametrize(
    "answer",
    [
        lambda y: {"features": y[:, :3], "logits": y},
        lambda y: Answer(y[:, :3], y),
        lambda y: (y, y[:, :3]),
        lambda y: [y],
        lambda y: (y[:, :, None], y),
    ],
)
def test_logits_among_what_is_returned(answer: Callable[[Tensor], object]) -> None:
    class Several(nn.Module):
        def __init__(self, *end: nn.Module) -> None:
            super().__init__()
            self.body = net(*end)

        def forward(self, x: Tensor) -> object:
            return answer(self.body(x))

    assert not diagnose(Several(), SIZE, num_classes=10)
    assert "output-softmax" in rules(diagnose(Several(nn.Softmax(1)), SIZE))


def test_half_precision_and_lazy_layers() -> None:
    assert not diagnose(net().to(torch.bfloat16), SIZE)
    lazy = nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    assert not diagnose(lazy, SIZE)
    assert nn.parameter.is_lazy(lazy[0].weight), "the caller's own layer was made"


def test_a_loss_that_cannot_be_tried_is_said() -> None:
    noted = diagnose(net(), SIZE, loss=nn.BCEWithLogitsLoss())
    assert not noted
    assert "without it no gradient was looked at" in str(noted)


def test_tensors_without_a_storage() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net()

        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse.mm(torch.eye(10).to_sparse(), self.body(x).t()).t()

    assert not diagnose(Sparse(), SIZE), str(diagnose(Sparse(), SIZE))


def test_a_compiled_net_is_looked_at_as_python() -> None:
    assert diagnose(torch.compile(net(nn.Softmax(1))), SIZE).findings[0].path == "7"


def scripted() -> nn.Module:
    return torch.jit.script(nn.Linear(8, 3))


class Uncopyable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.kept = self.layer.weight * 2


@pytest.mark.parametrize(
    ("model", "size", "options", "error", "text"),
    [
        ("net", SIZE, {}, OptionError, "expected a torch.nn.Module; got str"),
        (nn.Linear(3, 3, device="meta"), SIZE, {}, OptionError, "expected a net with weights; got one on the meta"),
        (Uncopyable(), SIZE, {}, OptionError, r"expected a net that copy.deepcopy can copy; got .* before its first"),
        (
            nn.Sequential(nn.Linear(5, 3), nn.LazyLinear(10)),
            SIZE,
            {},
            OptionError,
            "expected lazy layers that one forward pass makes; got mat1 and mat2",
        ),
        (scripted, SIZE, {}, OptionError, "expected a net in Python; got a RecursiveScriptModule"),
        (net(), None, {}, ShapeError, r"expected input_size as positive integers \(C, H, W\); got None"),
        (net(), (3, 0, 8), {}, ShapeError, r"got \(3, 0, 8\)"),
        (net(), SIZE, {"num_classes": 0}, OptionError, "num_classes to be an integer of at least 1"),
        (net(), SIZE, {"loss": "mse"}, OptionError, "loss to be one of 'cross-entropy'; got 'mse'"),
        (net(), SIZE, {"loss": 3}, OptionError, "loss to be a name, a module or a function; got 3"),
        (net(), SIZE, {"data": "digits"}, DataError, "an ImageSet, a pair of tensors or arrays"),
        (net(), SIZE, {"data": (torch.zeros(3, 3, 8, 8), torch.zeros(3))}, DataError, "N whole-numbered labels"),
    ],
)
def test_bad_input_is_one_sentence(
    model: object, size: object, options: dict[str, object], error: type[Exception], text: str
) -> None:
    if model is scripted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch deprecates them
            model = scripted()
    with pytest.raises(error, match=text):
        diagnose(model, size, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        sn.lenet5,
        lambda: sn.lenet5(variant="1998"),
        lambda: sn.lenet5(variant="wide", in_channels=3, input_size=48, num_classes=2),
        sn.convnet3,
        lambda: sn.alexnet(stem="cifar"),
        lambda: sn.vgg11(head="linear", batch_norm=True, num_classes=10),
        lambda: sn.vgg16(head="compact", num_classes=10),
        lambda: sn.resnet18(stem="cifar", num_classes=10),
        lambda: sn.resnet50(stem="cifar", num_classes=3, stride_in="1x1", shortcut_bias=True),
        lambda: sn.resnet20(shortcut="B"),
        lambda: sn.resnet20(norm="group"),
        sn.resnet56,
        sn.resnet50_layer4,
    ],
)
def test_no_false_alarm_on_the_zoo(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = make()
    size = (3, 32, 32) if getattr(model, "config", {}).get("head") or "stem" in getattr(model, "config", {}) else None
    assert not diagnose(model, size), str(diagnose(model, size))
