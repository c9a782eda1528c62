"""False alarms: ``diagnose`` over every classification net of torchvision, and sixty nets of timm's families.

    python benchmarks/diagnose_zoo.py --jobs 14 --out benchmarks/diagnose_zoo.json [--only 'resnet*']

Each net is built with random weights (nothing is downloaded), gets pictures of its own size as noise, and runs in a
process of its own with one thread, so that its memory can be read. Published nets are sound: what is above a note is a
false alarm. CoaT, which shares whole layers on purpose, is left out: `shared-module` says so of it. Writes the JSON anew after each net; the table goes to stdout. timm's nets are left out where timm is not.
"""

import argparse
import fnmatch
import json
import platform
import resource
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_TIMM = """
    beit_base_patch16_224 botnet26t_256 cait_xxs24_224 coatnet_nano_rw_224 convit_tiny convmixer_768_32
    convnextv2_atto crossvit_9_240 cspresnet50 davit_tiny deit3_small_patch16_224 densenet121 dla34 dm_nfnet_f0 dpn68
    edgenext_xx_small efficientformer_l1 efficientnetv2_rw_t eva02_tiny_patch14_224 fastvit_t8 focalnet_tiny_srf
    gcvit_xxtiny ghostnet_100 hardcorenas_a hgnet_tiny hrnet_w18_small inception_next_tiny lcnet_050 levit_128
    maxvit_rmlp_pico_rw_256 mixer_s16_224 mobilenetv4_conv_small mobileone_s0 mobilevit_xxs mvitv2_tiny nest_tiny
    nf_resnet50 pit_ti_224 poolformer_s12 pvt_v2_b0 regnetz_b16 repvgg_a0 res2net50_26w_4s resmlp_12_224 resnest14d
    resnetv2_50 rexnet_100 selecsls42b seresnet50 skresnet18 swinv2_cr_tiny_224 tinynet_a tiny_vit_5m_224
    tnt_s_patch16_224 twins_svt_small vgg11_bn visformer_tiny vit_tiny_patch16_224 volo_d1_224 vovnet39a xception41
    xcit_nano_12_p16_224
"""
TIMM = tuple(_TIMM.split())


def torchvision_nets() -> list[tuple[str, str, int]]:
    """(library, name, side), the dearest first, so that none is left alone at the end."""
    import torchvision

    models = torchvision.models
    found: list[tuple[float, str, int]] = []
    for name in models.list_models(module=models):
        weights = models.get_model_weights(name)
        own: Any = min(weights, key=lambda one: one.meta["_ops"])  # others were tuned on larger pictures
        found.append((own.meta["_ops"], name, own.transforms().crop_size[0]))
    return [("torchvision", name, side) for _, name, side in sorted(found, reverse=True)]


def timm_nets() -> list[tuple[str, str, int]]:
    try:
        import timm
    except ImportError:
        return []
    known = [name for name in TIMM if timm.is_model(name)]
    return [("timm", name, timm.get_pretrained_cfg(name).input_size[-1]) for name in known]


def diagnosed(library: str, name: str, side: int) -> dict[str, Any]:
    """What one net is said to have; runs in a process of its own."""
    import torch

    from smallnets.diagnosis import diagnose

    torch.set_num_threads(1)
    torch.manual_seed(0)
    found: dict[str, Any] = {"library": library, "net": name, "side": side}
    try:
        net = built(library, name)
        found["parameters"] = sum(parameter.numel() for parameter in net.parameters())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall, processor = time.perf_counter(), time.process_time()
        diagnosis = diagnose(net, (3, side, side), num_classes=getattr(net, "num_classes", 1000))
        found["seconds"] = round(time.perf_counter() - wall, 2)
        found["processor_seconds"] = round(time.process_time() - processor, 2)
        found["memory_mb"] = round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
        found["findings"] = diagnosis.to_dict()["findings"]
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
        found["traceback"] = traceback.format_exc()
    return found


def built(library: str, name: str) -> Any:
    if library == "torchvision":
        import torchvision

        options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        return torchvision.models.get_model(name, weights=None, **options)
    import timm

    return timm.create_model(name, pretrained=False)


def above_note(found: dict[str, Any]) -> list[str]:
    return [f"{one['rule']} at {one['path']}" for one in found.get("findings", ()) if one["severity"] != "note"]


def line(found: dict[str, Any]) -> str:
    told = found.get("error") or "; ".join(above_note(found)) or "nothing"
    return f"{found['library']:<12}{found['net']:<30}{found['side']:>5}{found.get('seconds', 0):>9.1f} s   {told}"


def versions() -> dict[str, str]:
    told = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("torch", "torchvision", "timm"):
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            continue
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="nets at a time")
    parser.add_argument("--only", default="*", help="a shell pattern of names")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    nets = [net for net in (*torchvision_nets(), *timm_nets()) if fnmatch.fnmatch(net[1], options.only)]
    results: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        for task in as_completed([pool.submit(diagnosed, *net) for net in nets]):
            results.append(task.result())
            print(line(results[-1]), flush=True)
            results.sort(key=lambda one: (one["library"], one["net"]))
            options.out.write_text(json.dumps({"versions": versions(), "nets": results}, indent=1) + "\n")
    failed = [one["net"] for one in results if "error" in one]
    loud = [one["net"] for one in results if above_note(one)]
    print(f"{len(results)} nets, {len(loud)} with an error or a warning: {loud}; {len(failed)} failed: {failed}")


if __name__ == "__main__":
    main()
