"""Serve an exported net with onnxruntime, numpy and Pillow alone: neither PyTorch nor smallnets is imported.

    smallnets export lenet5:digits net.onnx
    python examples/serve_onnx.py net.onnx photo.jpg other.png

The file itself says what it takes and what its classes are called.
"""

import argparse
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(path: str, channels: int, height: int, width: int) -> np.ndarray:
    """A picture of any size as the net takes it: scaled to cover (height, width), cropped at the centre."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR))
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)  # H W C -> C H W


def main(arguments: list[str] | None = None) -> list[tuple[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", help="a file that `smallnets export` wrote")
    parser.add_argument("pictures", nargs="+")
    given = parser.parse_args(arguments)

    session = onnxruntime.InferenceSession(given.net, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    classes, shape = json.loads(about["classes"]), json.loads(about["shape"])
    if json.loads(about["pictures"]) != "uint8" or json.loads(about["output"]) != "probabilities":
        parser.error("expected a net that takes uint8 pictures and gives probabilities, as export writes by default")

    batch = np.stack([read(path, *shape) for path in given.pictures])  # N C H W, any N
    (probabilities,) = session.run(None, {"pictures": batch})
    found = [(classes[row.argmax()], float(row.max())) for row in probabilities]
    for path, (name, share) in zip(given.pictures, found, strict=True):
        print(f"{path}\t{name}\t{share:.4f}")
    return found


if __name__ == "__main__":
    main()
