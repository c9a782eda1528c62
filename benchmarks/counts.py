"""Costs, training memory and receptive fields of 60 nets beside six other counters, each held against an oracle.

    python benchmarks/counts.py [net ...]

Needs timm, segmentation_models_pytorch, torchinfo, fvcore, ptflops, thop and calflops. No weights are loaded.

- MACs, of one picture: what ``torch.utils.flop_counter.FlopCounterMode`` sees in a real run, halved, with attention taken
  apart into its products. The column of that name is the same tool as one calls it: fused kernels as they come.
- Parameters: the elements of ``model.parameters()``.
- Training memory, of two pictures: what ``saved_tensors_hooks`` sees in a real run, without parameters and buffers.
- Receptive field: the window of pixels with a gradient from the middle of a map, in float64, with weights above zero and
  every max pool as an average. The map is the one with the largest field that lies within a picture of 224 pixels.

Each net runs in a process of its own; those named are measured again, the others kept. A figure that a tool refuses is null, with its words beside it. The table is in
docs/explanation/counts.md, written by this script.
"""

import contextlib
import copy
import io
import json
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

TORCHVISION = [
    "alexnet",
    "vgg11_bn",
    "vgg16",
    "squeezenet1_1",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "mnasnet0_5",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "regnet_y_400mf",
    "regnet_x_400mf",
    "convnext_tiny",
    "swin_t",
    "swin_v2_t",
    "vit_b_32",
    "maxvit_t",
]
TIMM = [
    "resnet26d",
    "resnetv2_50",
    "seresnet50",
    "skresnet18",
    "res2net50_26w_4s",
    "hrnet_w18_small",
    "dla34",
    "dpn68",
    "vovnet39a",
    "cspresnet50",
    "darknet53",
    "rexnet_100",
    "mixnet_s",
    "ghostnet_100",
    "mobileone_s0",
    "repvgg_a0",
    "tresnet_m",
    "nfnet_l0",
    "xception41",
    "mobilevit_s",
    "edgenext_small",
    "poolformer_s12",
    "convmixer_768_32",
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
]
SMP = ["Unet", "UnetPlusPlus", "FPN", "PSPNet", "DeepLabV3", "DeepLabV3Plus", "Linknet", "MAnet", "PAN", "UPerNet"]
TOOLS = ("smallnets", "FlopCounterMode", "torchinfo", "fvcore", "ptflops", "thop", "calflops")
NAMES = {"macs": "MACs", "params": "parameters"}
SECONDS = 150  # that a net may take


def build(name: str) -> Any:
    """A net by library and name, in eval mode, drawn alike each time."""
    import segmentation_models_pytorch as smp
    import timm
    import torch
    import torchvision

    torch.manual_seed(0)
    library, _, net = name.partition("/")
    if library == "timm":
        return timm.create_model(net).eval()
    if library == "smp":
        return getattr(smp, net)("resnet18", encoder_weights=None).eval()
    more = {"aux_logits": False, "init_weights": False} if net in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(net, **more).eval()


def side_of(model: Any) -> int:
    """The side of a small picture that the net takes, in training mode too."""
    import torch

    for side in (64, 96, 224, 256, 299):
        with contextlib.suppress(Exception), torch.no_grad():
            copy.deepcopy(model).train()(torch.zeros(2, 3, side, side))
            return side
    raise ValueError("no picture")


def products(model: Any, x: Any, spelled_out: bool) -> int:
    """MACs as FlopCounterMode sees them."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with contextlib.ExitStack() as stack:
        if spelled_out:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            torch.backends.mha.set_fastpath_enabled(False)
        else:
            stack.enter_context(torch.no_grad())
        stack.enter_context(counter)
        model(x)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops() // 2


def counted(tool: str, model: Any, side: int) -> tuple[float, float | None]:
    """MACs of one picture and parameters, by a tool as its documentation calls it."""
    import torch

    size, x = (3, side, side), torch.zeros(1, 3, side, side)
    if tool == "smallnets":
        from smallnets import summarize

        totals = summarize(model, size).totals
        return totals.macs, totals.params
    if tool == "FlopCounterMode":
        return products(model, x, spelled_out=False), None
    if tool == "torchinfo":
        import torchinfo

        info = torchinfo.summary(model, (1, *size), verbose=0, device="cpu")
        return info.total_mult_adds, info.total_params
    if tool == "fvcore":
        from fvcore.nn import FlopCountAnalysis, parameter_count

        count = FlopCountAnalysis(model, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return count.total(), parameter_count(model)[""]
    if tool == "ptflops":
        from ptflops import get_model_complexity_info

        return get_model_complexity_info(model, size, as_strings=False, print_per_layer_stat=False, verbose=False)
    if tool == "thop":
        from thop import profile

        return profile(model, (x,), verbose=False)[:2]
    from calflops import calculate_flops

    options = {"print_results": False, "print_detailed": False, "output_as_string": False}
    _, macs, params = calculate_flops(model, input_shape=(1, *size), **options)
    return macs, params


def saved(model: Any, x: Any) -> int:
    """Bytes that autograd keeps in a real run in training mode."""
    import torch

    owned = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        return kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train()(x)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in owned)


class Enough(Exception):
    """The map is there."""


def field(model: Any, side: int = 224) -> dict[str, Any] | None:
    """The receptive field of one map: ours, and the window that has a gradient."""
    import torch
    from torch.nn import functional

    from smallnets import summarize

    summary = summarize(model, (3, side, side))
    layers = dict(model.named_modules())
    calls = [row.path for row in summary.rows]
    fitting = [
        row
        for row in summary.rows
        if row.kind == "module" and calls.count(row.path) == 1 and row.path in layers
        if row.receptive_field and len(row.receptive_field) == 2 and len(row.shape) == 4
        if max(row.receptive_field) < 0.6 * side and row.shape[1] == getattr(layers[row.path], "out_channels", 0)
    ]
    if not fitting:
        return None
    row = max(fitting, key=lambda row: max(row.receptive_field))
    net = copy.deepcopy(model).double()
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            # Small biases: a ReLU6 that has had enough lets no gradient pass.
            fan = 100 if name.endswith("bias") else tensor[0].numel() if tensor.dim() > 1 else 1
            tensor.copy_((0.5 + torch.rand_like(tensor)) / fan)

    def take(module: Any, args: Any, out: Any) -> None:
        found.append(out)
        raise Enough

    def average(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, **how: Any) -> Any:
        return functional.avg_pool2d(x, kernel_size, stride, padding, how.get("ceil_mode", False))

    found: list[Any] = []
    net.get_submodule(row.path).register_forward_hook(take)
    x = (1 + torch.rand(1, 3, side, side, dtype=torch.float64)).requires_grad_()
    greatest, functional.max_pool2d = functional.max_pool2d, average
    try:
        net(x)
    except Enough:
        pass
    finally:
        functional.max_pool2d = greatest
    out = found[0]
    (gradient,) = torch.autograd.grad(out[0, :, out.shape[2] // 2, out.shape[3] // 2].sum(), x)
    touched = gradient[0].abs().sum(0) > 0
    window = [int(places.max() - places.min() + 1) for places in touched.nonzero(as_tuple=True)]
    return {"layer": row.path, "smallnets": list(row.receptive_field), "oracle": window}


def attempt(call: Callable[[], Any]) -> Any:
    """What a call returns, or its words."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0][:160]


def measure(name: str) -> dict[str, Any]:
    """Every figure of one net."""
    import torch

    warnings.simplefilter("ignore")
    signal.alarm(SECONDS)
    model = build(name)
    side = side_of(model)
    x = torch.zeros(1, 3, side, side)
    fresh = copies_of(model)
    found: dict[str, Any] = {"side": side, "macs": {}, "params": {}, "refusals": {}}
    found["macs"]["oracle"] = products(fresh(), x, spelled_out=True)
    found["params"]["oracle"] = sum(parameter.numel() for parameter in model.parameters())
    for tool in TOOLS:
        answer = attempt(lambda tool=tool: counted(tool, fresh(), side))
        if isinstance(answer, str) or answer[0] is None:
            found["refusals"][tool] = str(answer)
            answer = (None, None)
        found["macs"][tool], found["params"][tool] = (None if one is None else int(one) for one in answer)
    from smallnets import summarize

    found["training_memory"] = {
        "oracle": attempt(lambda: saved(fresh(), torch.randn(2, 3, side, side))),
        "smallnets": attempt(lambda: summarize(model, (3, side, side)).training_memory(2)),
    }
    found["receptive_field"] = attempt(lambda: field(fresh()))
    return found


def copies_of(model: Any) -> Callable[[], Any]:
    """A maker of copies, as most counters leave something on the model that they count."""
    return lambda: copy.deepcopy(model)


def percent(value: float | None, right: float) -> str:
    """How far a figure is from the right one."""
    if value is None:
        return "refused"
    return "exact" if value == right else f"{100 * (value / right - 1):+.2f} %"


def table(report: dict[str, Any]) -> str:
    """The page's tables: the sums, then what every net gave, folded."""
    nets = report["nets"]
    lines = [f"| exact, within 1 %, of {len(nets)} | {' | '.join(TOOLS)} |", f"|---|{'---|' * len(TOOLS)}"]
    for what in ("macs", "params"):
        cells = []
        for tool in TOOLS:
            pairs = [(net[what][tool], net[what]["oracle"]) for net in nets.values()]
            exact = sum(value == right for value, right in pairs)
            near = sum(value is not None and abs(value / right - 1) <= 0.01 for value, right in pairs)
            cells.append("-" if tool == "FlopCounterMode" and what == "params" else f"{exact}, {near}")
        lines.append(f"| {NAMES[what]} | {' | '.join(cells)} |")
    lines += ["", "<details>", f"<summary>MACs of each of the {len(nets)} nets</summary>", ""]
    lines += [f"| net | side | MACs | {' | '.join(TOOLS)} |", f"|---|---|---|{'---|' * len(TOOLS)}"]
    for name, net in nets.items():
        cells = [percent(net["macs"][tool], net["macs"]["oracle"]) for tool in TOOLS]
        lines.append(f"| {name} | {net['side']} | {net['macs']['oracle']:,} | {' | '.join(cells)} |")
    lines += ["", "</details>", "<details>"]
    lines += ["<summary>Parameters, training memory and receptive field of each</summary>", ""]
    lines += ["| net | parameters | training memory, bytes | smallnets | map | field, measured | smallnets |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, net in nets.items():
        memory, seen = net["training_memory"], net["receptive_field"]
        cells = [f"{net['params']['oracle']:,}"]
        real = isinstance(memory["oracle"], int)
        cells.append(f"{memory['oracle']:,}" if real else "-")
        ours = memory["smallnets"] if isinstance(memory["smallnets"], int) else None
        cells.append(percent(ours, memory["oracle"]) if real else "-")
        if isinstance(seen, dict):
            cells += [seen["layer"], *("x".join(map(str, seen[who])) for who in ("oracle", "smallnets"))]
        else:
            cells += ["-", "-", "-"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "</details>"])


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    import calflops  # noqa: F401  # before the processes part, once
    import fvcore.nn  # noqa: F401
    import ptflops  # noqa: F401
    import segmentation_models_pytorch  # noqa: F401
    import thop  # noqa: F401
    import timm  # noqa: F401
    import torch
    import torchinfo  # noqa: F401
    from train import hardware, versions

    torch.set_num_threads(1)
    tools = ("timm", "segmentation_models_pytorch", "torchinfo", "fvcore", "ptflops", "thop", "calflops")
    own = {name: found for name, found in versions().items() if name in ("smallnets", "torch", "torchvision")}
    report: dict[str, Any] = {
        "hardware": hardware(),
        "versions": {**own, **{name: version(name) for name in tools}},
        "n": 1,
        "nets": {},
        "not_measured": {},
    }
    names = [
        f"{library}/{net}"
        for library, nets in (("torchvision", TORCHVISION), ("timm", TIMM), ("smp", SMP))
        for net in nets
    ]
    path = Path(__file__).with_suffix(".json")
    if sys.argv[1:]:
        report["nets"] = json.loads(path.read_text())["nets"]
    chosen = sys.argv[1:] or names
    context = multiprocessing.get_context("fork")
    for name in chosen:
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(context.Pool(1))
            try:
                report["nets"][name] = pool.apply_async(measure, (name,)).get(SECONDS + 10)
            except Exception as error:
                report["not_measured"][name] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        net = report["nets"].get(name)
        print(
            name,
            report["not_measured"].get(name) or [percent(net["macs"][tool], net["macs"]["oracle"]) for tool in TOOLS],
            flush=True,
        )
        if net:
            print("   ", net["training_memory"], net["receptive_field"], net["refusals"], flush=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
    page = Path(__file__).parents[1] / "docs/explanation/counts.md"
    head = page.read_text().split("<!-- table -->")[0]
    page.write_text(f"{head}<!-- table -->\n\n{table(report)}\n")


if __name__ == "__main__":
    main()
