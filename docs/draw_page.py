"""Makes the page on which LeNet-5 reads what one draws: python docs/draw_page.py [FOLDER].

The net is the trained one of the package, exported as any other; onnxruntime-web comes from the npm registry, at one
version, checked by its digest, once (``docs/.cache`` keeps it). Without it, the page shows a recorded picture.
"""

import base64
import gzip
import hashlib
import importlib
import io
import json
import shutil
import sys
import tarfile
import tempfile
import urllib.request
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

from PIL import Image

import smallnets as sn
from smallnets.errors import first_line
from smallnets.files import whole_file
from smallnets.summary.html import style

HERE = Path(__file__).parent
SOURCE = HERE / "draw"
CACHE = HERE / ".cache"

VERSION = "1.30.0"
PACKAGE = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
# The smallest build: CPU only. It has threads, and does without them.
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")

NET, ANSWER, BY = "lenet5:digits", "classifier.4", "\u00d7"
# By the layer whose values are shown: the paper's name, what it does here, its colour, maps side by side.
SHOWN = {
    "features.1": ("C1", f"5{BY}5 convolution", "conv", 2),
    "features.2": ("S2", f"2{BY}2 max pool", "pool", 2),
    "features.4": ("C3", f"5{BY}5 convolution", "conv", 4),
    "features.5": ("S4", f"2{BY}2 max pool", "pool", 4),
    "classifier.1": ("C5", "linear", "linear", 10),
    "classifier.3": ("F6", "linear", "linear", 7),
    ANSWER: ("Answer", "linear", "linear", 1),
}


def build(out: Path) -> Path:
    """Write the whole page into a folder, which is emptied first.

    Where a part is missing (no network and nothing kept, no packages to export with), one warning says so, and the page
    shows the recorded picture.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(SOURCE, out)
    try:
        (out / "runtime.js").write_text(runtime(), encoding="utf-8")
    except (OSError, ImportError) as error:
        warnings.warn(f"draw_page: the page will show a recorded picture: {first_line(error)}", stacklevel=2)
    (out / "draw.css").write_text(style() + (SOURCE / "draw.css").read_text(encoding="utf-8"), encoding="utf-8")
    (out / "index.html").write_text(index(works=(out / "runtime.js").exists()), encoding="utf-8")
    return out


def index(works: bool) -> str:
    """The page, with what is known of the net."""
    (trained,) = (one for one in sn.pretrained() if one.name == NET)
    about = {"classes": trained.classes, "layers": [asdict(layer) for layer in layers()], "runtime": works}
    with Image.open(SOURCE / "recorded-light.webp") as picture:
        width, height = picture.size
    return Template((SOURCE / "index.html").read_text(encoding="utf-8")).substitute(
        weights=f"{trained.parameters:,}",
        accuracy=f"{trained.accuracy:.1%}",
        test_pictures=trained.test_pictures,
        train_pictures=f"{sn.load(trained.path).metadata['train_pictures']:,}",
        width=width,
        height=height,
        about=json.dumps(about, ensure_ascii=False).replace("<", "\\u003c"),
    )


@dataclass
class Layer:
    """A sheet of maps on the page.

    Attributes:
        name, words: What stands beside it.
        shape: Maps, height, width.
        columns: Maps side by side.
        kind: Its colour in the style sheet.
        field, jump, offset: What a place sees, in pixels of the picture.
        output: Of the exported net; empty for the picture itself.
        most: The value that is bright; 0 for the largest of all.
    """

    name: str
    words: list[str]
    shape: tuple[int, ...]
    columns: int
    kind: str
    field: int = 1
    jump: int = 1
    offset: int = 0
    output: str = ""
    most: int = 0


def layers() -> list[Layer]:
    """In the order of the net: the picture, the layers, the answer."""
    found = [Layer("Picture", [f"32{BY}32"], (1, 32, 32), 1, "input", most=255)]
    weights = 0
    for row in sn.summarize(sn.lenet5(weights="digits"), (1, 32, 32)).rows:
        weights += row.params
        if row.path not in SHOWN:
            continue
        name, does, kind, columns = SHOWN[row.path]
        count, *sides = row.shape[1:]
        words = [f"{count} maps, {BY.join(map(str, sides))}" if sides else f"{count} numbers", does]
        words.append(f"{weights:,} weights" if weights else "no weights")
        assert row.receptive_field and row.jump and row.offset
        sees = int(row.receptive_field[0]), int(row.jump[0]), int(row.offset[0])
        output, most = ("probabilities", 1) if row.path == ANSWER else (row.path, 0)
        found.append(Layer(name, words, (count, *(sides or (1, 1))), columns, kind, *sees, output, most))
        weights = 0
    return found


def runtime() -> str:
    """One script: onnxruntime-web, and as text what it loads. So the page needs no server, only a place to lie."""
    api, glue, wasm = packed()
    texts = {"mjs": glue, "wasm": gzip.compress(wasm, 9, mtime=0), "net": net_file()}
    values = json.dumps({name: base64.b64encode(value).decode() for name, value in texts.items()})
    return f"{api.decode()}\nglobalThis.RUNTIME = {values};\n"


def net_file() -> bytes:
    """The exported net, with the layers' values as further outputs, each by its layer's name."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.onnx"
        sn.export(sn.lenet5(weights="digits"), file)
        proto = importlib.import_module("onnx").load(str(file))
    values = [node.output[0] for node in proto.graph.node if node.op_type in ("Relu", "MaxPool")]
    for path, value in zip([path for path in SHOWN if path != ANSWER], values, strict=True):
        node = proto.graph.node.add(op_type="Identity", input=[value], output=[path])
        output = proto.graph.output.add(name=node.output[0])
        output.type.tensor_type.elem_type = 1  # float
    return bytes(proto.SerializeToString())


def packed() -> list[bytes]:
    """The files of onnxruntime-web, from the cache or the registry.

    Raises:
        OSError: When they cannot be fetched, or are others than those that were tried.
    """
    content = kept().read_bytes() if kept().exists() else b""
    if not is_right(content):
        with urllib.request.urlopen(PACKAGE, timeout=60) as answer:
            content = answer.read()
        if not is_right(content):
            raise OSError(f"{PACKAGE} is not the file that was tried")
        CACHE.mkdir(exist_ok=True)
        with whole_file(kept()) as file:
            file.write(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [archive.extractfile(f"package/dist/{name}") for name in FILES]
        return [member.read() for member in members if member is not None]


def kept() -> Path:
    """Where the package lies once it was fetched."""
    return CACHE / PACKAGE.rpartition("/")[2]


def is_right(content: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(content).digest()).decode() == SHA512


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "_build" / "draw"))
