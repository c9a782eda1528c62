"""Pictures to pixels: every kind of file, turned, flattened and scaled as Pillow, numpy and torchvision do it."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from smallnets import DataError
from smallnets.data import ImageSet, ImageStream, load
from smallnets.data.augment import augment
from smallnets.data.depth import eight_bits
from smallnets.data.pixels import Rules, TooLarge, Window, cover, decode
from smallnets.data.stateless import uniforms
from smallnets.data.stream import Epoch
from smallnets.data.windows import ResizedCropFlip, ScaleJitterFlip

Save = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Save:
    """Saves pictures as train/CLASS/NAME; the set's root."""

    def save(**pictures: Image.Image | np.ndarray | bytes) -> Path:
        for name, picture in pictures.items():
            kind, _, rest = name.partition("_")
            stem, _, suffix = rest.rpartition("_")
            path = tmp_path / "set" / "train" / kind / f"{stem}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(picture, bytes):
                path.write_bytes(picture)
            else:
                (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path)
        return tmp_path / "set"

    return save


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return pixels if channels > 1 else pixels[..., 0]


def smooth(height: int, width: int) -> Image.Image:
    return Image.fromarray(noise(8, 8)).resize((width, height), Image.Resampling.BICUBIC)


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file


def png16(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow cannot write."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colours = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 16, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


FOUR = np.array([[0, 64], [128, 255]])
DEPTHS = [
    (FOUR.astype(np.int32), "tif", FOUR),
    (FOUR.astype(np.uint16), "png", FOUR),
    (FOUR.astype(np.uint16), "tif", FOUR),
    ((FOUR * 16).astype(np.uint16), "png", FOUR),  # 12 bits in 16
    ((FOUR * 4).astype(np.uint16), "tif", FOUR),
    ((FOUR * 257).astype(np.uint16), "png", FOUR),
    ((FOUR * 257).astype(np.int32), "tif", FOUR),
    ((FOUR / 255).astype(np.float32), "tif", FOUR),
    (FOUR.astype(np.float32), "tif", FOUR),
    ((FOUR * 257).astype(np.float32), "tif", FOUR),
    (FOUR > 100, "png", (FOUR > 100) * 255),
]


@pytest.mark.parametrize(("values", "suffix", "expected"), DEPTHS)
def test_more_than_eight_bits_keep_their_contrast(
    folder: Save, values: np.ndarray, suffix: str, expected: np.ndarray
) -> None:
    found = load(folder(**{f"a_0_{suffix}": values, f"b_0_{suffix}": values}))
    assert found.shape == (1, 2, 2)
    assert found[0][0][0].tolist() == expected.tolist()


def test_what_is_white_is_one_for_the_whole_set(folder: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    dark, light = np.full((2, 2), 200, np.uint16), np.full((2, 2), 4000, np.uint16)
    root = folder(a_0_png=dark, b_0_png=light)
    found = load(root)
    assert found.white == 4095 and found[0][0].unique().tolist() == [200 >> 4] and found[1][0].unique() == 4000 >> 4
    (root / "test" / "a").mkdir(parents=True)
    Image.fromarray(dark).save(root / "test" / "a" / "0.png")
    test = load(root, "test")
    assert test.white == 4095 and test[0][0].unique().tolist() == [12]
    stream = load(root, "test", memory_limit=1)
    assert isinstance(stream, ImageStream) and stream[0][0].unique().tolist() == [12]
    Image.fromarray(light * 2).save(root / "test" / "a" / "0.png")
    with pytest.raises(DataError, match=r"0\.png: a pixel of 8,000, brighter than the 4,095 that is white in this set"):
        load(root, "test")
    assert load(root, "test", white=65535)[0][0].unique().tolist() == [8000 >> 8]


def test_values_that_nobody_can_place_are_refused(folder: Save) -> None:
    for values in (
        np.array([[-1, 5]], np.int32),
        np.array([[0, 70000]], np.int32),
        np.array([[0, np.nan]], np.float32),
    ):
        with pytest.raises(DataError, match=r"0\.tif: pixels (from|that are not numbers)"):
            load(folder(a_0_tif=values, b_0_tif=np.zeros((1, 2), np.uint8)))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bits_a_colour(folder: Save, channels: int) -> None:
    values = np.arange(16 * channels).reshape(4, 4, channels) * 1000
    values[..., -1] = 65535 if channels in (2, 4) else values[..., -1]
    picture = load(folder(a_0_png=png16(values)))[0][0]
    colours = values[..., :1].repeat(3, axis=2) if channels == 2 else values[..., :3]
    assert np.array_equal(picture.permute(1, 2, 0).numpy(), (colours >> 8)[..., : picture.shape[0]])
    with pytest.raises(DataError, match="colours of 16 bits that are all below 16,384"):
        load(
            folder(a_0_png=png16(values // 16 % 256 + np.array([0] * (channels - 1) + [65000 * (channels in (2, 4))])))
        )


def test_floats_are_rounded() -> None:
    values = np.random.default_rng(0).random((20, 20), dtype=np.float32)
    assert np.array_equal(eight_bits(values, None), np.round(values * 255))


def test_colour_among_grey_is_colour_wherever_it_stands(folder: Save) -> None:
    grey = {f"{kind}_{number}_png": np.full((4, 4), 90, np.uint8) for kind in "yz" for number in range(100)}
    red = np.full((4, 4, 3), (200, 9, 9), np.uint8)
    root = folder(**{**grey, "z_33_png": red})
    for options in ({}, {"memory_limit": 1}, {"size": 4}):
        found = load(root, **options)
        place = found.ids.index("train/z/33.png")
        assert found.shape == (3, 4, 4) and found[place][0][:, 0, 0].tolist() == [200, 9, 9]
        assert found[0][0].unique().tolist() == [90]
    assert load(root, channels=1).shape == (1, 4, 4)


def test_deep_pictures_are_found_wherever_they_stand(folder: Save) -> None:
    grey = {f"y_{number}_png": np.full((4, 4), 90, np.uint8) for number in range(200)}
    deep = np.full((4, 4), 4094, np.uint16)
    found = load(folder(**{**grey, "y_33_png": deep // 2, "z_0_png": deep}))
    assert found.white == 4095 and found[found.ids.index("train/y/33.png")][0].unique().tolist() == [2047 >> 4]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_stand_upright_unless_asked_otherwise(kind: str, turn: int) -> None:
    stored = Image.fromarray(noise(8, 16))
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    file = saved(stored, kind, exif=exif, **options)
    with Image.open(file) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    file.seek(0)
    assert np.array_equal(decode(file, Rules()).transpose(1, 2, 0), expected)
    file.seek(0)
    as_stored = decode(file, Rules(exif=False)).transpose(1, 2, 0)
    assert as_stored.shape == (8, 16, 3)
    if kind != "JPEG":
        assert np.array_equal(as_stored, np.asarray(stored))


def test_turned_pictures_are_of_one_size_with_upright_ones(folder: Save, tmp_path: Path) -> None:
    root = folder(a_0_jpg=smooth(16, 8), b_0_jpg=smooth(16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth(8, 16).save(root / "train" / "b" / "turned.jpg", exif=exif)
    assert load(root).shape == (3, 16, 8)
    assert load(root, exif=False).shape is None


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_broken_exif_block_costs_no_picture() -> None:
    for block in (b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        file = saved(smooth(8, 8), "JPEG", exif=block)
        assert decode(file, Rules()).shape == (3, 8, 8)


def over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return colours * share + 255 * (1 - share)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_lie_over_white(mode: str) -> None:
    colours, alpha = noise(9, 7, 3 if mode == "RGBA" else 1), noise(9, 7, 1, seed=1)
    alpha[0, :2] = 0, 255
    bands = [*np.moveaxis(colours, -1, 0)] if mode == "RGBA" else [colours]
    picture = Image.merge(mode, [Image.fromarray(band) for band in (*bands, alpha)])
    expected = over_white(colours.reshape(9, 7, -1).astype(float), alpha.astype(float))
    channels = expected.shape[2]
    found = decode(saved(picture), Rules(channels)).transpose(1, 2, 0)
    assert np.abs(found - expected).max() <= 1 and (found[0, 0] == 255).all()
    assert np.array_equal(found[0, 1], colours.reshape(9, 7, -1)[0, 1])


def test_a_transparent_palette_and_a_transparent_colour() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 0, 0, 0, 0, 200])
    palette.putdata([0, 1])
    assert decode(saved(palette, transparency=0), Rules())[:, 0].T.tolist() == [[255] * 3, [0, 0, 200]]
    colours = Image.fromarray(np.array([[[9, 9, 9], [1, 2, 3]]], np.uint8))
    assert decode(saved(colours, transparency=(9, 9, 9)), Rules())[:, 0].T.tolist() == [[255] * 3, [1, 2, 3]]


@pytest.mark.parametrize("crop", [1.0, 0.875, 0.7])
@pytest.mark.parametrize("side", [7, 20, 32])
def test_scaling_and_cropping_are_torchvisions(crop: float, side: int) -> None:
    random = np.random.default_rng(side)
    for height, width in [*random.integers(4, 90, (25, 2)).tolist(), (side, side), (round(side / crop), 50)]:
        picture = Image.fromarray(noise(height, width))
        expected = v2.Compose([v2.Resize(round(side / crop)), v2.CenterCrop(side)])(picture)
        found = cover(picture, (side, side), crop)
        # of thin pictures only the part that is kept is scaled, which rounds otherwise
        allowed = 0 if max(height, width) <= 5 * min(height, width) else 1
        assert np.abs(np.asarray(found).astype(int) - np.asarray(expected)).max() <= allowed


def test_load_scales_as_torchvisions_references(folder: Save) -> None:
    picture = smooth(300, 400)
    found = load(folder(a_0_png=picture), size=224, crop=0.875)
    expected = tv.pil_to_tensor(v2.CenterCrop(224)(v2.Resize(256)(picture)))
    assert torch.equal(found[0][0], expected)


def test_oblong_sizes_are_covered() -> None:
    for height, width in ((30, 50), (50, 30), (7, 70), (90, 11)):
        assert cover(Image.fromarray(noise(40, 20)), (height, width)).size == (width, height)
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 10:30] = 255
    assert (np.asarray(cover(Image.fromarray(wide), (10, 20))) == 255).all()


def test_thin_pictures_cost_no_memory() -> None:
    for height, width in ((1, 1_000_000), (1_000_000, 1)):
        file = saved(Image.new("L", (width, height), 7))
        for side in (32, 224):
            file.seek(0)
            assert (decode(file, Rules(1, (side, side))) == 7).all()
            file.seek(0)
            way = ResizedCropFlip()
            window = way.of_stored(uniforms(0, 0, torch.tensor([1]), way.draws), (side, side))
            assert decode(file, Rules(1, (side, side)), window).shape == (1, side, side)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("size", [(24, 24), (20, 32)])
def test_windows_of_a_stream_are_torchvisions_resized_crop(folder: Save, suffix: str, size: tuple[int, int]) -> None:
    """Of the pictures as stored; below twice the size JPEG is decoded whole."""
    pictures = {f"a_{number}_{suffix}": smooth(40 + number, 50) for number in range(12)}
    root = folder(**pictures)
    stream = load(root, size=size, memory_limit=1)
    assert isinstance(stream, ImageStream)
    way = ResizedCropFlip()
    epoch = Epoch(stream, way, seed=3, epoch=2)
    for row, name in enumerate(stream.ids):
        with Image.open(root / name) as stored:
            picture = stored.convert("RGB")
        random = uniforms(3, 2, torch.tensor([row]), way.draws)
        left, top, right, bottom = (int(side) for side in way.boxes(random, picture.height, picture.width, size)[:, 0])
        expected = tv.resized_crop(picture, top, left, bottom - top, right - left, list(size))
        expected = tv.horizontal_flip(expected) if random[-1, 0] < 0.5 else expected
        assert torch.equal(epoch[row][0], tv.pil_to_tensor(expected))
    assert torch.equal(stream.batch(torch.arange(12), way, 3, 2), torch.stack([epoch[row][0] for row in range(12)]))
    assert not torch.equal(Epoch(stream, way, 3, 1)[0][0], epoch[0][0])


def test_scale_jitter_of_a_stream_is_torchvisions(folder: Save) -> None:
    picture = smooth(70, 100)
    stream = load(folder(a_0_png=picture), size=28, memory_limit=1)
    way = ScaleJitterFlip()
    for epoch in range(8):
        draws = uniforms(0, epoch, torch.tensor([0]), way.draws)[:, 0]
        side = 32 + int(draws[0] * (64 - 32 + 1))  # S in [256, 512] for 224 is [32, 64] for 28
        scaled = v2.Resize(side)(picture)
        left, top = int(draws[1] * (scaled.width - 27)), int(draws[2] * (scaled.height - 27))
        expected = tv.crop(scaled, top, left, 28, 28)
        expected = tv.horizontal_flip(expected) if draws[3] < 0.5 else expected
        found = Epoch(stream, way, 0, epoch)[0][0].int()  # type: ignore[arg-type]
        assert (found - tv.pil_to_tensor(expected).int()).abs().max() <= 1


def test_jpegs_reduced_decoding_shows_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    file, asked = saved(smooth(800, 1200), "JPEG", quality=95), []
    draft = Image.Image.draft
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(smooth(800, 1200), "JPEG", quality=95, exif=exif)
    from PIL import JpegImagePlugin

    def noted(self: Image.Image, mode: str | None, size: tuple[int, int]) -> object:
        asked.append(size)
        return real(self, mode, size)

    real = JpegImagePlugin.JpegImageFile.draft
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", noted)
    window = Window(100, 40, 740, 680, mirrored=True)
    for source, whole in ((file, decode(file, Rules())), (turned, decode(turned, Rules()))):
        source.seek(0)
        found = decode(source, Rules(3, (64, 64)), lambda height, width: window)
        picture = Image.fromarray(whole.transpose(1, 2, 0))
        expected = tv.horizontal_flip(tv.resized_crop(picture, 40, 100, 640, 640, [64, 64]))
        assert np.abs(found.astype(int) - np.asarray(expected).transpose(2, 0, 1)).max() < 12
    assert len(asked) == 2 and draft is Image.Image.draft
    file.seek(0)
    decode(file, Rules(3, (300, 300)), lambda height, width: window)
    assert len(asked) == 2  # too small to be reduced


def test_other_augmentations_of_a_stream_are_as_in_memory(folder: Save) -> None:
    from smallnets.data.augment import Crop

    root = folder(**{f"a_{number}_png": noise(16, 16, seed=number) for number in range(5)})
    held, stream = load(root), load(root, memory_limit=1)
    assert isinstance(held, ImageSet)
    index = torch.tensor([4, 0, 2])
    for way in (None, Crop(2, flip=True)):
        expected = augment(held.images[index], way, 1, 2, index)
        assert torch.equal(held.batch(index, way, 1, 2), expected) and torch.equal(
            stream.batch(index, way, 1, 2), expected
        )


def test_large_pictures_are_read_with_a_warning_and_bombs_refused(
    folder: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(a_0_png=Image.new("1", (30, 10), 1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # a bomb is what has twice as many
    with pytest.warns(Image.DecompressionBombWarning):
        assert load(root).shape == (1, 10, 30)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    advice = r"0\.png: it has more than 200 pixels\. Give load\(\) a larger max_pixels= if you trust the file\."
    with pytest.raises(DataError, match=advice):
        load(root)
    assert load(root, max_pixels=300).shape == (1, 10, 30) and Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(DataError, match="it has 300 pixels, and max_pixels is 299"):
        load(root, max_pixels=299)
    with pytest.raises(TooLarge):
        decode(saved(Image.new("1", (30, 10))), Rules())


@pytest.mark.parametrize("name", ["0.png", "0.jpg", "0.tif"])
@pytest.mark.parametrize(
    "start", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"8BPS\0\1", b"\0\0\1\0\1\0", b"P4\n"]
)
def test_no_decoder_but_the_documented_ones_is_reached(
    folder: Save, name: str, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    def started(*_: object, **__: object) -> None:
        raise AssertionError("another program was started")

    monkeypatch.setattr(subprocess, "check_call", started)
    monkeypatch.setattr(subprocess, "Popen", started)
    root = folder(a_9_png=noise(9, 9))
    (root / "train" / "a" / name).write_bytes(start + b"0" * 200)
    with pytest.raises(DataError, match=rf"{name}: \S"):
        load(root)
    with pytest.warns(UserWarning, match="left out 1 of 2 pictures"):
        assert len(load(root, on_error="skip")) == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), IndexError("x"), zlib.error("y"), struct.error("z"), AssertionError(), RecursionError("r")]
)
def test_whatever_a_decoder_raises_names_the_file(
    folder: Save, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    root = folder(a_0_png=noise(9, 9))

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("smallnets.data.decoding.decode", fail)
    with pytest.raises(DataError, match=r"^load: expected a whole picture; got .*0\.png: ") as caught:
        load(root)
    assert len(str(caught.value)) < 300 + len(str(root))
