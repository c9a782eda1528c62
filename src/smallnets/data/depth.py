"""8 bits a channel out of whatever a picture has: more bits, floats, a palette, transparency.

C channels, H W pixels.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

Pixels = npt.NDArray[np.uint8]

WHITES = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits


def shallow(picture: Image.Image, channels: int, white: int | None) -> Image.Image:
    """8 bits a channel, grey or colour, transparent pixels over white."""
    mode = "L" if channels == 1 else "RGB"
    if picture.mode[0] in "IF":
        picture = Image.fromarray(eight_bits(np.asarray(picture), white))
    if "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info:
        colours = picture.convert("RGBA")
        picture = Image.new("RGBA", picture.size, "white")
        picture.alpha_composite(colours)
    return picture.convert(mode)


def is_wide(picture: ImageFile.ImageFile) -> bool:
    """Whether a file that is not decoded yet has 16 bits a channel of which Pillow will keep the upper 8."""
    return picture.mode[0] not in "IF" and any(";16" in str(tile[3]) for tile in picture.tile)


def check_shades(picture: Image.Image) -> None:
    """Refuse what was 16 bits a channel, of which 14 or fewer were used: its upper 8 are hardly a picture."""
    colours = picture.convert("RGB" if picture.mode.startswith("RGB") else "L")
    if np.asarray(colours).max(initial=0) < 64:
        raise OSError("colours of 16 bits that are all below 16,384, of which few shades would be left; make it 8 bits")


def eight_bits(values: npt.NDArray[Any], white: int | None) -> Pixels:
    """Whole numbers to the 8 bits that ``white`` leaves; numbers in [0, 1] times 255.

    Raises:
        OSError: When a value is negative, not a number, or brighter than white.
    """
    if values.size == 0 or not np.isfinite(values).all():
        raise OSError("pixels that are not numbers")
    low, high = values.min(), values.max()
    if low < 0 or high > WHITES[-1]:
        raise OSError(f"pixels from {low:,} to {high:,}, of which 0 to 65,535 can be read; bring it to 8 or 16 bits")
    if values.dtype.kind == "f" and high <= 1:
        return np.round(values * 255).astype(np.uint8)
    if white is None:
        white = white_for(float(high))
    if high > white:
        raise OSError(f"a pixel of {high:,}, brighter than the {white:,} that is white in this set")
    if values.dtype.kind == "f":
        return np.round(values * (255 / white)).astype(np.uint8)
    return (values.astype(np.int64) >> (white.bit_length() - 8)).astype(np.uint8)


def white_for(brightest: float) -> int:
    """The least of the whites of 8, 10, 12, 14 and 16 bits that is not below a value.

    >>> white_for(200), white_for(3000)
    (255, 4095)
    """
    return next((white for white in WHITES if brightest <= white), WHITES[-1])
