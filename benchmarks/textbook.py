"""The reports' own loop on a recipe's net, data and epochs: PIL, transforms, a DataLoader, plain fp32.

    python benchmarks/textbook.py r4-vgg16-three --data PATH [--epochs 20] [--device auto] [--seed 0]

Everything else is the recipe's: classes, batch size, optimiser, rate, weight decay, steps of the rate. The test split is
looked at every epoch, as such loops do, and the last epoch counts. The figures go to ``results/textbook/NAME.json``, to
be read beside ``results/NAME.json``, which ``recipes.py`` writes of ``fit``.
"""

import argparse
import io
import json
import platform
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import smallnets as sn
from smallnets.experiments.recipe import Recipe

RESULTS = Path(__file__).parent / "results"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """``split/class/image`` in a folder or a zip, decoded each time."""

    def __init__(self, root: Path, split: str, classes: tuple[str, ...] | None, transform: Any) -> None:
        self.root, self.transform, self.zip = root, transform, None
        names = (
            zipfile.ZipFile(root).namelist()
            if root.is_file()
            else [str(p.relative_to(root)) for p in root.rglob("*.*")]
        )
        mine = sorted(name for name in names if Path(name).parts[0] == split)
        self.classes = classes or tuple(sorted({Path(name).parts[1] for name in mine}))
        self.files = [
            (name, self.classes.index(Path(name).parts[1])) for name in mine if Path(name).parts[1] in self.classes
        ]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        name, label = self.files[index]
        if self.root.is_file():
            self.zip = self.zip or zipfile.ZipFile(self.root)
            picture = Image.open(io.BytesIO(self.zip.read(name)))
        else:
            picture = Image.open(self.root / name)
        return self.transform(picture.convert("RGB")), label


def transform_of(recipe: Recipe, train: bool) -> Any:
    steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    last = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return transforms.Compose([*(steps if train and recipe.fit["augment"] == "crop-flip" else []), *last])


def one_epoch(net: nn.Module, loader: Any, device: str, optimizer: torch.optim.Optimizer | None) -> tuple[float, float]:
    """Loss and accuracy over a loader; trains when there is an optimiser."""
    net.train(optimizer is not None)
    total, right, seen = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            logits = net(images)
            loss = nn.functional.cross_entropy(logits, labels)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(labels)
            right += int((logits.argmax(1) == labels).sum())
            seen += len(labels)
    return total / seen, right / seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    recipe = sn.recipe(asked.name)
    options = recipe.fit_options() if asked.epochs is None else recipe.fit_options(epochs=asked.epochs)
    torch.manual_seed(asked.seed)
    sets = [
        Pictures(asked.data, split, recipe.data.classes, transform_of(recipe, split == "train"))
        for split in ("train", "test")
    ]
    loaders = [
        DataLoader(each, options.batch_size, shuffle=train, num_workers=asked.workers, persistent_workers=asked.workers > 0)
        for each, train in zip(sets, (True, False), strict=True)
    ]  # fmt: skip
    net = recipe.build(num_classes=len(sets[0].classes)).to(asked.device)
    extra = {"momentum": options.momentum} if options.optimizer == "sgd" else {}
    kind = OPTIMIZERS[str(options.optimizer)]
    optimizer = kind(net.parameters(), lr=options.lr, weight_decay=options.weight_decay, **extra)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 20, 1 / 3) if "step" in str(options.schedule) else None
    rows, started = [], time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        train = one_epoch(net, loaders[0], asked.device, optimizer)
        test = one_epoch(net, loaders[1], asked.device, None)
        if scheduler is not None:
            scheduler.step()
        seconds = time.perf_counter() - started
        rows.append(
            {"epoch": epoch, "loss": train[0], "accuracy": train[1], "test_accuracy": test[1], "seconds": seconds}
        )
        print(
            f"epoch {epoch}/{options.epochs}  accuracy {train[1]:.4f}  test {test[1]:.4f}  {seconds:.0f} s", flush=True
        )
        write(asked, rows)


def write(asked: argparse.Namespace, rows: list[dict[str, float]]) -> None:
    """What there is so far: a loop that is stopped has its epochs."""
    gpu = torch.cuda.get_device_name() if asked.device.startswith("cuda") else None
    found = {
        "recipe": asked.name,
        "data": asked.data.name,
        "seed": asked.seed,
        "test_accuracy": rows[-1]["test_accuracy"],
        "seconds": rows[-1]["seconds"],
        "hardware": {"gpu": gpu, "threads": torch.get_num_threads(), "machine": platform.machine()},
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "epochs": rows,
    }
    folder = asked.results / "textbook"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{asked.name}.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
