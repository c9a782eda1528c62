"""A picture file to pixels: upright, over white, 8 bits, grey or colour, brought to size.

C channels, H W pixels.
"""

import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from .depth import Pixels, check_shades, is_wide, shallow

# What Pillow may open: PostScript, say, would be handed to another program, whatever the file's name is.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
ORIENTATION = 0x0112  # EXIF's and TIFF's tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BACK = {**TURNS, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
# JPEG's reduced decoding stops at twice the size asked for: what is scaled down after it is then as good as exact.
GAP = 2
WHOLE = 16  # times the pixels that are kept: up to so many a picture is scaled whole, as torchvision does


class Unexpected(Exception):
    """A picture of another kind than the headers looked at made expect: colour among grey, or more than 8 bits."""


class TooLarge(OSError):
    """A picture of more pixels than are allowed."""


class Window(NamedTuple):
    """The part of a picture that is kept, in pixels of the picture as stored, upright; mirrored or not.

    With ``alone`` nothing beyond its edges is mixed in when it is scaled, as where a picture is cropped first.
    """

    left: float
    top: float
    right: float
    bottom: float
    mirrored: bool = False
    alone: bool = True


@dataclass(frozen=True)
class Rules:
    """How the pictures of a set become pixels.

    Attributes:
        channels: 1 for grey, 3 for colour.
        size: (h, w) in pixels; None leaves each as it is.
        crop: The share of the scaled picture's shorter side that is kept, at the centre.
        exif: Turn pictures upright, as their EXIF orientation says.
        white: The value that is white in pictures of more than 8 bits; None goes by each picture's brightest.
        max_pixels: A picture's most pixels; None is Pillow's own limit.
        grey_only: Refuse colour as unexpected.
        shallow_only: Refuse more than 8 bits as unexpected.
    """

    channels: int = 3
    size: tuple[int, int] | None = None
    crop: float = 1.0
    exif: bool = True
    white: int | None = None
    max_pixels: int | None = None
    grey_only: bool = False
    shallow_only: bool = False


class Header(NamedTuple):
    """What a picture's header tells."""

    size: tuple[int, int]  # (h, w), upright
    grey: bool
    deep: bool  # more than 8 bits a channel


_limit = threading.Lock()


def open_picture(file: BinaryIO, max_pixels: int | None = None) -> ImageFile.ImageFile:
    """Open a picture of a documented format; nothing but its header is read.

    Raises:
        TooLarge: When it has more pixels than allowed.
        Exception: Whatever Pillow raises of a broken file.
    """
    if max_pixels is None:
        try:
            return Image.open(file, formats=FORMATS)  # warns of half its limit
        except Image.DecompressionBombError as error:
            limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
            raise TooLarge(f"it has more than {limit:,} pixels") from error
    with _limit:  # Pillow's limit is one for all
        kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            picture = Image.open(file, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = kept
    if picture.width * picture.height > max_pixels:
        raise TooLarge(f"it has {picture.width * picture.height:,} pixels, and max_pixels is {max_pixels:,}")
    return picture


def orientation(picture: Image.Image, header: bool = False) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none, or none that can be read."""
    if header and picture.format == "PNG" and "exif" not in picture.info:
        return 1  # it may stand at the end, and all would be read for it
    try:
        found = picture.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1
    return found if found in TURNS else 1


def header(picture: Image.Image, exif: bool = True) -> Header:
    """What is known of a picture before it is decoded."""
    width, height = picture.size
    turned = picture.format == "TIFF"  # of which Pillow gives the size upright
    if orientation(picture, header=True) >= 5 and turned != exif:
        width, height = height, width
    return Header((height, width), picture.mode in GREY, picture.mode[0] in "IF")


def upright(picture: Image.Image, exif: bool) -> Image.Image:
    """The picture as people see it, or as stored; decoded."""
    before = orientation(picture, header=True)
    picture.load()
    after = orientation(picture)
    done = before if before != after and after == 1 else 1  # Pillow turns a TIFF when it decodes it
    turn = TURNS.get(after) if exif else BACK.get(done)
    return picture if turn is None else picture.transpose(turn)


def decode(file: BinaryIO, rules: Rules, window: Callable[[int, int], Window] | None = None) -> Pixels:
    """Pixels of a picture, (C, H, W).

    Args:
        file: The picture's bytes.
        rules: What is made of them.
        window: The part to keep of a picture of (height, width); ``rules.size`` without one is covered and cropped
            at the centre.

    Raises:
        Exception: Whatever a broken file makes Pillow raise; ``Unexpected`` where the rules say so.
    """
    with open_picture(file, rules.max_pixels) as opened:
        found = header(opened, rules.exif)
        if (rules.grey_only and not found.grey) or (rules.shallow_only and found.deep):
            raise Unexpected
        deep_colours = is_wide(opened)
        kept = None
        if window is not None and rules.size is not None and opened.format == "JPEG":
            kept = window(*found.size)
            reduce(opened, kept, found.size, rules)
        picture = upright(opened, rules.exif)
        if deep_colours:
            check_shades(picture)
        if rules.size is None:
            picture = shallow(picture, rules.channels, rules.white)
        elif window is None:
            picture = cover(shallow(picture, rules.channels, rules.white), rules.size, rules.crop)
        else:
            # Reduced by JPEG or not: the window is in pixels of the picture as stored.
            height, width = found.size if kept is not None else (picture.height, picture.width)
            kept = kept or window(height, width)
            picture = cut(picture, scaled(kept, picture.width / width, picture.height / height), rules)
        return array_of(picture, rules)


def of_picture(picture: Image.Image, rules: Rules) -> Pixels:
    """Pixels (C, H, W) of a picture that Pillow holds, as of one in a file."""
    deep_colours = isinstance(picture, ImageFile.ImageFile) and is_wide(picture)
    picture = upright(picture, rules.exif)
    if deep_colours:
        check_shades(picture)
    picture = shallow(picture, rules.channels, rules.white)
    return array_of(picture if rules.size is None else cover(picture, rules.size, rules.crop), rules)


def array_of(picture: Image.Image, rules: Rules) -> Pixels:
    """(C, H, W), in memory of its own: Pillow's is not to be written to, which torch minds."""
    pixels = np.asarray(picture)
    return pixels[None].copy() if rules.channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def reduce(picture: Image.Image, window: Window, size: tuple[int, int], rules: Rules) -> None:
    """Let JPEG decode a picture of (h, w) at a half, a quarter or an eighth, where the window stays large enough."""
    assert rules.size is not None
    down = GAP * rules.size[0] / (window.bottom - window.top)
    across = GAP * rules.size[1] / (window.right - window.left)
    share = max(down, across)
    if share <= 0.5:
        picture.draft(None, (int(picture.width * share), int(picture.height * share)))


def scaled(window: Window, across: float, down: float) -> Window:
    return window._replace(
        left=window.left * across,
        top=window.top * down,
        right=window.right * across,
        bottom=window.bottom * down,
    )


def cut(picture: Image.Image, window: Window, rules: Rules) -> Image.Image:
    """A window of a picture, 8 bits a channel, brought to size."""
    assert rules.size is not None
    height, width = rules.size
    box = window[:4]
    if window.alone and all(side == int(side) for side in box):
        picture = picture.crop((int(box[0]), int(box[1]), int(box[2]), int(box[3])))
        box = (0.0, 0.0, float(picture.width), float(picture.height))
    part = shallow(picture, rules.channels, rules.white).resize((width, height), Image.Resampling.BILINEAR, box=box)
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if window.mirrored else part


def cover(picture: Image.Image, size: tuple[int, int], crop: float = 1.0) -> Image.Image:
    """Scale the shorter side to the size over ``crop``, keeping proportions, and keep the size at the centre.

    The same pixels as torchvision's ``Resize(round(size / crop))`` and ``CenterCrop(size)`` of a PIL image.
    """
    height, width = size
    down, across = max(height, round(height / crop)), max(width, round(width / crop))
    # The side that decides takes its length, the other follows, as torchvision rounds it.
    if down * picture.width >= across * picture.height:
        across = max(across, int(down * picture.width / picture.height))
    else:
        down = max(down, int(across * picture.height / picture.width))
    left, top = round((across - width) / 2), round((down - height) / 2)
    if (across, down) == picture.size:
        return picture.crop((left, top, left + width, top + height))
    if across * down <= WHOLE * height * width:
        resized = picture.resize((across, down), Image.Resampling.BILINEAR)
        return resized.crop((left, top, left + width, top + height))
    # A thin picture would be scaled to millions of pixels to keep a few; only rounding differs.
    x, y = picture.width / across, picture.height / down
    box = (left * x, top * y, min((left + width) * x, picture.width), min((top + height) * y, picture.height))
    return picture.resize((width, height), Image.Resampling.BILINEAR, box=box)
