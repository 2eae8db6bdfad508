"""CUB-200-2011: 11,788 photographs of birds of 200 species, ten human sentences each.

Photographs and boxes: Wah et al. 2011; sentences: Reed et al. 2016 (CVPR).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from t2i_utils.data import photographs, pictures
from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.data.texts import read_lines

Box = tuple[float, float, float, float]
SPLITS = ("class_disjoint", "published")
PARTS = ("images", "images.txt", "image_class_labels.txt", "bounding_boxes.txt",
         "train_test_split.txt")
HOW_TO_GET_IT = """expected there (or in its folder CUB_200_2011/, as the archive unpacks):
  images/001.Black_footed_Albatross/*.jpg ..., images.txt, image_class_labels.txt,
  bounding_boxes.txt, train_test_split.txt (and classes.txt, which may be absent)
    from https://www.vision.caltech.edu/datasets/cub_200_2011/
  text_c10/001.Black_footed_Albatross/*.txt ...
    from the birds archive that https://github.com/reedscot/cvpr2016 links to
    (text_c10/ may be in another folder: load_birds(..., captions_dir=...))"""


def load_birds(
    data_dir: photographs.Place = None, size: int = 64, split: str = "class_disjoint",
    captions_dir: photographs.Place = None,
) -> CaptionedImages:
    """CUB-200-2011 from its published layout; batches are random crops of side `size`, in pixels.

    `split`: "published" gives "train" (5,994) and "test" (5,794), which share all classes.
    "class_disjoint" keeps 50 of the 200 classes for "test" and 5 % of the pictures of the other
    150 for "seen_test"; "train" is the rest. It is this project's own, not Reed et al.'s.
    Pictures stand in the order of images.txt, each cut about its bird as `bird_square` says.
    Mirrored birds keep their sentences, which may be in a `captions_dir`. Pictures and sentences
    are cached; a changed folder is noticed as `photographs.signature_of` says.

    Raises ValueError for an unknown split or a broken file, FileNotFoundError for missing ones.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split: found {split!r}, expected one of {', '.join(SPLITS)}")
    side = photographs.side_of("birds", size)  # the same margin as the flowers'
    folder, texts = photographs.find_folder(
        "birds", data_dir, "CUB_200_2011", PARTS, HOW_TO_GET_IT, captions_dir)
    photos = folder / "images"
    kinds, known = {at.name for at in photos.iterdir()}, set()

    def path_of(text: str) -> str:
        kind, name = text.replace("\\", "/").split("/", 1)
        cut_off = not name.lower().endswith(pictures.SUFFIXES)
        if cut_off or kind not in kinds or (kind, name) in known:
            raise ValueError
        known.add((kind, name))
        return f"{kind}/{name}"

    names = read_table(folder / "images.txt", path_of, f"an id and a path in {photos} of its own")

    def column(file: str, parse: Callable[[str], Any], expected: str) -> list:
        return list(read_table(folder / file, parse, expected, list(names)).values())

    may_be = range(photographs.MOST_CLASSES + 1)  # class 0 is told with its folder
    labels = column("image_class_labels.txt", lambda text: may_be.index(int(text)),
                    f"an id and a class, 1 to {photographs.MOST_CLASSES:,}")
    trained = column("train_test_split.txt", ("0", "1").index, "an id, and 1 (train) or 0 (test)")
    boxes = column("bounding_boxes.txt", _box, "an id, x, y, and a width and a height above 0")
    photo_paths = [photos / name for name in names.values()]
    photo_state = photographs.signature_of(
        folder / "images.txt", folder / "bounding_boxes.txt", photos, code=__name__, few=True)
    text_state = photographs.signature_of(folder / "images.txt", texts, code=__name__, few=True)
    classes, train = torch.tensor(labels) - 1, torch.tensor(trained) == 1
    splits = {"train": train.nonzero().ravel(), "test": (~train).nonzero().ravel()}
    if split == "class_disjoint":
        splits = photographs.class_disjoint_splits("birds", classes, test_share=50 / 200)
    elif min(map(len, splits.values())) == 0:
        raise ValueError(f"birds: {folder / PARTS[-1]}: found {int(train.sum())} of {len(train)} "
                         "to train on, expected both 0 and 1")
    return CaptionedImages(
        name="birds",
        class_names=read_class_names(folder, photo_paths, labels),
        captions=photographs.cached_captions(  # before the photos: it is the quicker to fail
            "birds", text_state, lambda: photographs.read_captions("birds", texts, [
                (texts / name).with_suffix(".txt") for name in names.values()])),
        images=photographs.cached_photos(
            "birds", photo_state, photos, photo_paths, side,
            lambda i, path: read_photo(path, boxes[i], side)),
        classes=classes,
        splits=splits,
        crop=int(size), flip=True, origin=f"split={split}, size={size}")


def read_table(
    path: Path, parse: Callable[[str], Any], expected: str, ids: list[str] | None = None
) -> dict[str, Any]:
    """What follows the id in each line of one of the text files, by id, in the order of `ids`.

    Raises ValueError naming the line that `parse` does not take, or ids that are not `ids`.
    """
    rows: dict[str, Any] = {}
    for number, line in enumerate(read_lines("birds", path), start=1):
        try:
            key, rest = line.split(maxsplit=1)
            if key in rows or ids is not None and "_" in rest:  # a number to Python: 1_0
                raise ValueError
            rows[key] = parse(rest.strip())
        except ValueError:
            raise ValueError(f"birds: {path}, line {number}: found {line[:99]!r}, expected "
                             f"{expected}, every id once") from None
    ids = list(rows) if ids is None else ids
    missing, unknown = [i for i in ids if i not in rows], sorted(set(rows) - set(ids))
    if missing or unknown or not ids:
        raise ValueError(f"birds: {path} has {len(rows)} ids, expected those of images.txt, at "
                         f"least one: missing {missing[:5]}, unknown {unknown[:5]}")
    return {i: rows[i] for i in ids}


def read_class_names(folder: Path, paths: list[Path], labels: list[int]) -> list[str]:
    """The names of the classes from 1, by classes.txt or, where that is absent, by the folders.

    Raises ValueError naming a picture whose class has another name than its folder.
    """
    listed, places = folder / "classes.txt", [path.parent.name for path in paths]
    known = (read_table(listed, str, "a class and its name") if listed.exists()
             else dict(zip(map(str, labels), places, strict=True)))
    for path, label, place in zip(paths, labels, places, strict=True):
        if label < 1 or known.get(str(label)) != place:
            raise ValueError(f"birds: {folder / PARTS[2]}: found {path} of class {label}, "
                             f"{known.get(str(label))!r}, expected one from 1 with the name of its "
                             f"folder, in {listed} if that is there")
    return [known.get(str(label), f"class {label}") for label in range(1, max(labels) + 1)]


def read_photo(path: Path, box: Box, side: int) -> UInt8[np.ndarray, "3 {side} {side}"]:
    """The square about the bird in a photo, resized to `side` pixels."""
    with pictures.opened_photo("birds", path) as image:
        width, cut = image.width, bird_square(box, *image.size)
        if any(box[i] + box[i + 2] > 1.05 * image.size[i] + 1 for i in (0, 1)):
            raise ValueError(f"its box {box} (x, y, width, height) in {PARTS[3]} reaches beyond "
                             f"{image.width} by {image.height} pixels, expected the original's")
        enough = 2 * side / (cut[2] - cut[0])  # of the photo's size: decode no more pixels
        drawn = image.draft("RGB", tuple(math.ceil(enough * length) for length in image.size))
        scale = drawn[1][2] / width if drawn else 1
        # as stored, for so the boxes count, whatever EXIF says of it
        square = pictures.rgb(image).resize(
            (side, side), Image.Resampling.BICUBIC, tuple(scale * place for place in cut))
    return np.asarray(square).transpose(2, 0, 1)


def bird_square(box: Box, width: int, height: int) -> Box:
    """The square (left, top, right, bottom) to cut from a picture of that size, in pixels.

    It reaches 0.75 of the longer side of `box` (x, y, width, height) from the box's centre each
    way (StackGAN: Zhang et al. 2017), clipped to the picture. What is no square then is cut to
    one about the bird: nothing is stretched. Raises ValueError for a box outside the picture.
    """
    x, y, w, h = box
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise ValueError(f"its box in {PARTS[3]} {box} (x, y, width, height) lies wholly outside, "
                         f"expected it within {width} by {height} pixels")
    center_x, center_y, reach = x + w / 2, y + h / 2, 0.75 * max(w, h)
    left, right = max(center_x - reach, 0), min(center_x + reach, width)
    top, bottom = max(center_y - reach, 0), min(center_y + reach, height)
    side = min(right - left, bottom - top)
    left = min(max(center_x - side / 2, left), right - side)
    top = min(max(center_y - side / 2, top), bottom - side)
    right, bottom = min(left + side, width), min(top + side, height)  # rounding may add a hair
    return float(left), float(top), float(right), float(bottom)


def _box(text: str) -> Box:
    x, y, width, height = map(float, text.split())
    if not (math.isfinite(x + y + width + height) and width >= 1 and height >= 1):
        raise ValueError
    return x, y, width, height
