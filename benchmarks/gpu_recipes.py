"""The runs of ``gpu.py`` as data: which net on which pictures with which settings, and what was reported of it.

``reported`` and ``reported seconds`` are those of public student reports on CIFAR-10's own files; ours are measured on a
copy of them as JPEGs. A run with ``"judge": "validation"`` is a candidate: it holds out a tenth of the training pictures
and never sees the test split, which each of the others looks at once, at its end.
"""

from typing import Any

THREE = ("airplane", "automobile", "bird")
REPORTS = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))  # mean and std that the reports normalise by
VGG_LAB: dict[str, Any] = {"batch_norm": True, "head": "wide", "num_classes": 3}
RESNET_LAB: dict[str, Any] = {"stem": "cifar", "num_classes": 3, "stride_in": "1x1", "shortcut_bias": True}
LAB: dict[str, Any] = {"batch_size": 128, "optimizer": "sgd", "lr": 1e-2, "momentum": 0.9, "weight_decay": 5e-4}
LAB |= {"schedule": "constant", "augment": "crop-flip"}
REPORT: dict[str, Any] = {"batch_size": 100, "optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0}
REPORT |= {"schedule": "step(20, 1/3)", "augment": "crop-flip"}
SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "schedule": "onecycle", "augment": "crop-flip"}
SGD |= {"batch_size": 128, "weight_decay": 5e-4}


def run(net: str, build: dict[str, Any], fit: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"net": net, "build": build, "fit": fit, **more}


def resnet18(epochs: int, **fit: Any) -> dict[str, Any]:
    chosen = {**SGD, "batch_size": 512, "lr": 0.4, "label_smoothing": 0.1, "epochs": epochs, **fit}
    return run("resnet18", {"stem": "cifar", "num_classes": 10}, chosen)


def convnet3(seed: int) -> dict[str, Any]:
    return run("convnet3", {"dropout": 0.0}, {**SGD, "lr": 0.05, "epochs": 30}, seed=seed, wanted=0.86, seconds=20)


# Seconds from the call of fit to its end, to an accuracy on the test split.
TIMED: dict[str, dict[str, Any]] = {
    "r4 vgg16, three classes, as reported": run(
        "vgg16", VGG_LAB, {**LAB, "epochs": 20}, classes=THREE, stats=REPORTS, reported=0.93, **{"reported seconds": 111}
    ),
    "r6 resnet50, three classes, as reported": run(
        "resnet50", RESNET_LAB, {**LAB, "epochs": 15}, classes=THREE, stats=REPORTS, reported=0.891,
        **{"reported seconds": 166},
    ),
    "resnet18, 8 epochs": resnet18(8),
    "resnet18, 16 epochs": resnet18(16),
    "resnet18, 36 epochs": resnet18(36),
}  # fmt: skip

# By worth; ``seconds`` is about what a run takes on an H200, so that none is begun that cannot end.
RUNS: dict[str, dict[str, Any]] = {
    "resnet20, long": run(
        "resnet20", {}, {**SGD, "batch_size": 512, "lr": 0.4, "epochs": 150}, wanted=0.905, seconds=80
    ),
    "convnet3, tuned, seed 0": convnet3(0),
    "vgg16, three classes, tuned": run(
        "vgg16", {"batch_norm": True, "head": "linear", "num_classes": 3},
        {**SGD, "batch_size": 64, "lr": 0.05, "label_smoothing": 0.1, "epochs": 20}, classes=THREE, wanted=0.965, seconds=20,
    ),
    "r7 convnet3, as reported": run(
        "convnet3", {}, {"batch_size": 30, "optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0, "schedule": "constant",
                         "augment": "none", "epochs": 30}, reported=0.7834, wanted=0.77, seconds=35,
    ),
    "resnet56, long": run("resnet56", {}, {**SGD, "batch_size": 512, "lr": 0.4, "epochs": 60}, seconds=90),
    "r1 vgg16 compact, as reported": run(
        "vgg16", {"head": "compact", "num_classes": 10}, {**REPORT, "epochs": 62}, stats=REPORTS,
        reported=0.8684, wanted=0.8684, seconds=60,
    ),
    "resnet20, 30 epochs": run("resnet20", {}, {**SGD, "lr": 0.1, "epochs": 30}, wanted=0.885, seconds=40),
    "convnet3, tuned, seed 1": convnet3(1),
    "convnet3, tuned, seed 2": convnet3(2),
    "r2 resnet50_layer4, as reported": run(
        "resnet50_layer4", {}, {**REPORT, "epochs": 62}, stats=REPORTS, reported=0.8156, wanted=0.8156, seconds=80
    ),
    "resnet18, mixup, 100 epochs": {**resnet18(100, mix="mixup(0.2)"), "seconds": 150},
}  # fmt: skip

# To choose by, on the validation split, when asked for by name (``--only choose``).
CANDIDATES: dict[str, dict[str, Any]] = {
    **{f"choose resnet20 lr {lr} decay {decay}": run(
        "resnet20", {}, {**SGD, "batch_size": 512, "lr": lr, "weight_decay": decay, "epochs": 30}, judge="validation",
        seconds=25)
       for lr, decay in ((0.4, 5e-4), (0.8, 5e-4), (0.4, 1e-3), (0.4, 2e-4))},
    **{f"choose convnet3 lr {lr} smoothing {smooth}": run(
        "convnet3", {"dropout": 0.0}, {**SGD, "lr": lr, "label_smoothing": smooth, "epochs": 30}, judge="validation",
        seconds=20)
       for lr, smooth in ((0.05, 0.0), (0.1, 0.0), (0.05, 0.1))},
    **{f"choose resnet18 lr {lr}": {**resnet18(16, lr=lr), "judge": "validation", "seconds": 30} for lr in (0.2, 0.4, 0.8)},
}  # fmt: skip
