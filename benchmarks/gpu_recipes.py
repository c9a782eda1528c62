"""The runs of ``gpu.py`` as data: recipes of the library by name, and runs that only a GPU has the time for.

``reported`` figures are those of public student reports on CIFAR-10's own files; ours are measured on a copy of them as
JPEGs. A run with ``"judge": "validation"`` is a candidate: it holds out a tenth of the training pictures and never sees
the test split, which each of the others looks at once, at its end. ``seconds`` is about what a run takes on an H200.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "schedule": "onecycle", "augment": "crop-flip"}
SGD |= {"batch_size": 512, "lr": 0.4, "weight_decay": 5e-4}  # four times the recipes' batch and rate


def run(net: str, build: dict[str, Any], fit: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"net": net, "build": build, "fit": fit, **more}


def named(recipe: str, **more: Any) -> dict[str, Any]:
    """A recipe of the library as a run; the epochs that came before a report's are run with them."""
    import smallnets as sn

    found = sn.recipe(recipe)
    build = {**found.options} | ({"num_classes": len(found.data.classes)} if found.data.classes else {})
    row = run(found.net, build, {**found.fit, "epochs": found.after + found.fit["epochs"]}, recipe=recipe, **more)
    if found.data.classes is not None:
        row["classes"] = found.data.classes
    if found.data.mean is not None:
        row["stats"] = (found.data.mean, found.data.std)
    if found.reported is not None:
        row["reported"] = found.reported.test_accuracy
        row["reported seconds"] = found.reported.seconds
    return row


def resnet18(epochs: int, **fit: Any) -> dict[str, Any]:
    return run(
        "resnet18", {"stem": "cifar", "num_classes": 10}, {**SGD, "label_smoothing": 0.1, "epochs": epochs, **fit}
    )


# Seconds from the call of fit to its end, to an accuracy on the test split.
TIMED: dict[str, dict[str, Any]] = {
    "r4 vgg16, three classes, as reported": named("r4-vgg16-three"),
    "r6 resnet50, three classes, as reported": named("r6-resnet50-three"),
    "resnet18, 8 epochs": resnet18(8),
    "resnet18, 16 epochs": resnet18(16),
    "resnet18, 36 epochs": resnet18(36),
}

# By worth; none is begun that cannot end.
RUNS: dict[str, dict[str, Any]] = {
    "resnet20, long": run("resnet20", {}, {**SGD, "epochs": 150}, wanted=0.905, seconds=80),
    "tuned-convnet3, seed 0": named("tuned-convnet3", wanted=0.86, seconds=20),
    "tuned-vgg16-three": named("tuned-vgg16-three", wanted=0.965, seconds=20),
    "r7-convnet3": named("r7-convnet3", wanted=0.77, seconds=35),
    "resnet56, long": run("resnet56", {}, {**SGD, "epochs": 60}, seconds=90),
    "r1-vgg16": named("r1-vgg16", wanted=0.8684, seconds=60),
    "tuned-resnet20": named("tuned-resnet20", wanted=0.885, seconds=40),
    "tuned-convnet3, seed 1": named("tuned-convnet3", seed=1, wanted=0.86, seconds=20),
    "tuned-convnet3, seed 2": named("tuned-convnet3", seed=2, wanted=0.86, seconds=20),
    "r2-resnet50-layer4": named("r2-resnet50-layer4", wanted=0.8156, seconds=80),
    "resnet18, mixup, 100 epochs": {**resnet18(100, mix="mixup(0.2)"), "seconds": 150},
}

# To choose by, on the validation split, when asked for by name (``--only choose``).
CANDIDATES: dict[str, dict[str, Any]] = {
    **{
        f"choose resnet20 lr {lr} decay {decay}": run(
            "resnet20", {}, {**SGD, "lr": lr, "weight_decay": decay, "epochs": 30}, judge="validation", seconds=25
        )
        for lr, decay in ((0.4, 5e-4), (0.8, 5e-4), (0.4, 1e-3), (0.4, 2e-4))
    },
    **{
        f"choose convnet3 lr {lr} smoothing {smooth}": run(
            "convnet3",
            {"dropout": 0.0},
            {**SGD, "batch_size": 128, "lr": lr, "label_smoothing": smooth, "epochs": 30},
            judge="validation",
            seconds=20,
        )
        for lr, smooth in ((0.05, 0.0), (0.1, 0.0), (0.05, 0.1))
    },
    **{
        f"choose resnet18 lr {lr}": {**resnet18(16, lr=lr), "judge": "validation", "seconds": 30}
        for lr in (0.2, 0.4, 0.8)
    },
}
