"""Photographs decoded as people see them: upright, on white, eight bits a channel; or refused."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from t2i_utils.data.texts import in_its_place

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# decoded whatever the file's name: what the web and phones save under another's; of all that
# Pillow knows, PostScript is a program that it would start
Image.init()
FORMATS = tuple({"JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"} & set(Image.OPEN))  # "JPEG": MPO too
GREYS = {"L;2": 85, "L;4": 17}  # of a PNG with 2 or 4 bits: from one grey to the next


def read_square(name: str, path: Path, side: int) -> UInt8[np.ndarray, "3 {side} {side}"]:
    """A photo, its shorter side resized to `side` pixels, and cut to the square in its centre."""
    with opened_photo(name, path) as image:
        image.draft("RGB", (2 * side, 2 * side))  # decode no more pixels than resizing needs
        square = ImageOps.fit(rgb(image, upright=True), (side, side), Image.Resampling.BICUBIC)
    return np.asarray(square).transpose(2, 0, 1)


@contextmanager
def opened_photo(name: str, path: Path) -> Iterator[Image.Image]:
    """A photo to decode inside the `with`: ValueError naming it where that fails."""
    try:
        file = io.BytesIO(path.read_bytes())  # a path might be mapped
        with Image.open(file, formats=FORMATS) as image:
            behind, data = file.tell(), file.getvalue()  # behind the header
            jpeg, webp = image.format in ("JPEG", "MPO"), image.format == "WEBP"
            if jpeg and b"\xff\xd9" not in data[behind:] or webp and data.endswith(bytes(64)):
                raise ValueError("truncated: found no end of the picture, expected a whole one")
            yield image
    except Exception as error:  # a broken file can provoke nearly any
        unknown = isinstance(error, UnidentifiedImageError) and f"{file.getvalue()[:16]} at first"
        found = in_its_place(path) or unknown
        found = f"found {found}, expected a picture: JPEG, PNG or WebP" if found else str(error)
        raise ValueError(f"{name}: cannot read photo {path}: {found}") from error


def rgb(image: Image.Image, upright: bool = False) -> Image.Image:
    """A picture with three channels of eight bits: what is transparent lies on white.

    With `upright` it is turned as its EXIF data tell viewers to show it.

    Raises ValueError for more pixels than Pillow warns of.
    """
    most = Image.MAX_IMAGE_PIXELS
    if most and image.width * image.height > most:
        raise ValueError(f"found {image.width} by {image.height} pixels, expected at most {most:,} "
                         "where they cannot be decoded smaller")
    depth = image.tile[0][3] if image.tile else ""
    image.load()  # here: what is damaged raises once only
    with suppress(Exception):  # EXIF data that cannot be read turn nothing
        if upright:
            ImageOps.exif_transpose(image, in_place=True)
    clear, profile = map(image.info.get, ("transparency", "icc_profile"))
    if image.mode == "L" and isinstance(clear, int) and depth in GREYS:  # scaled as pixels are
        image.info["transparency"] = clear * GREYS[depth]
    if isinstance(clear, tuple) and max(clear) > 255:  # of 16 bits, of which Pillow keeps the upper
        image.info["transparency"] = tuple(level >> 8 for level in clear)
    if image.mode[0] == "I":  # of a PNG: of 16 bits
        numbers = np.asarray(image).astype(np.int64)
        grey = np.where(numbers == image.info.get("transparency"), 255, (numbers + 128) // 257)
        image = Image.fromarray(grey.astype(np.uint8))
    return _on_white(image, profile)


def _on_white(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Its colours as `profile` means them (phones' are wider than sRGB), what is clear on white."""
    clear = image.has_transparency_data
    solid = image.convert("RGBA") if clear else image
    kind = {"L": "L", "LA": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")  # as the profile counts
    picture = solid.convert(kind)
    with suppress(Exception):  # none, one that cannot be read, or one for other channels
        picture = ImageCms.profileToProfile(
            picture, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
    picture = picture.convert("RGB")
    if clear:
        white = Image.new("RGB", image.size, "white")
        picture = Image.composite(picture, white, solid.getchannel("A"))
    return picture
