"""Oxford-102: 8,189 photographs of flowers of 102 classes, ten human sentences each.

Photographs: Nilsback and Zisserman 2008; sentences: Reed et al. 2016 (CVPR).
"""

import os
import re
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from scipy.io import loadmat
from torch import Tensor

from t2i_utils.data import photographs
from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.data.texts import in_its_place

SPLITS = ("class_disjoint", "oxford")
TEST_SHARE = 20 / 102  # of the classes
PARTS = ("jpg", "imagelabels.mat", "setid.mat")
HOW_TO_GET_IT = """expected there (or in its folder flowers-102/, as torchvision stores it):
  jpg/image_00001.jpg ..., imagelabels.mat, setid.mat
    from https://www.robots.ox.ac.uk/~vgg/data/flowers/102/, or load_flowers(..., download=True)
  text_c10/class_00001/image_06734.txt ...
    from the flowers archive that https://github.com/reedscot/cvpr2016 links to
    (text_c10/ may be in another folder: load_flowers(..., captions_dir=...))"""


def load_flowers(
    data_dir: photographs.Place,
    size: int = 64,
    split: str = "class_disjoint",
    download: bool = False,
    captions_dir: photographs.Place = None,
) -> CaptionedImages:
    """Oxford-102 from its published layout; batches are random crops of side `size`, in pixels.

    `split`: "oxford" gives the published "train" (1,020), "valid" (1,020) and "test" (6,149).
    "class_disjoint" keeps 20 of the 102 classes for "test" and 5 % of the pictures of the other
    82 for "seen_test"; "train" is the rest. It is this project's own, not Reed et al.'s.
    With `download` torchvision fetches and verifies photos and labels (347 MB); the sentences it
    does not have: they may be in a `captions_dir`. Pictures and sentences are cached; a changed
    folder is noticed as `photographs.signature_of` says.

    Raises ValueError for an unknown split or a broken file, FileNotFoundError for missing ones,
    OSError where the download fails.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split: found {split!r}, expected one of {', '.join(SPLITS)}")
    if not isinstance(download, bool):
        raise TypeError(f"flowers: download {download!r}, expected True or False")
    if download and data_dir not in (None, ""):
        from torchvision.datasets import Flowers102  # here, as it takes a second to import

        place = photographs.place(data_dir)
        try:
            Flowers102(place, download=True)
        except (OSError, RuntimeError) as error:
            found = f"cannot download into {place}: {error}"
            raise OSError(f"flowers: {found}; {HOW_TO_GET_IT}") from error
    side = photographs.side_of("flowers", size)
    folder, texts = photographs.find_folder(
        "flowers", data_dir, "flowers-102", PARTS, HOW_TO_GET_IT, captions_dir)
    labels, photos = read_labels(folder), folder / "jpg"
    paths = [photos / f"image_{number:05d}.jpg" for number in range(1, len(labels) + 1)]
    photo_state = photographs.signature_of(photos, code=__name__, few=True)
    text_state = photographs.signature_of(
        folder / "imagelabels.mat", texts, code=__name__, few=True)
    return CaptionedImages(
        name="flowers",
        captions=photographs.cached_captions(  # before the photos: it is the quicker to fail
            "flowers", text_state, lambda: read_captions(texts, labels)),
        images=photographs.cached_photos(
            "flowers", photo_state, photos, paths, side,
            lambda i, path: photographs.read_square("flowers", path, side)),
        classes=labels - 1,
        class_names=[f"class_{label:05d}" for label in range(1, int(labels.max()) + 1)],
        splits=oxford_splits(folder) if split == "oxford" else photographs.class_disjoint_splits(
            "flowers", labels - 1, TEST_SHARE),
        crop=int(size), flip=True, origin=f"split={split}, size={size}")


def read_labels(folder: Path) -> Int64[Tensor, " N"]:
    """The class of each photo, 1 to 102, in the order of the photos' numbers.

    Raises ValueError naming a file that does not hold one for each photo in jpg/.
    """
    path = folder / "imagelabels.mat"
    labels = _numbers(path, "labels", photographs.MOST_CLASSES)
    photos = "\n".join(os.listdir(folder / "jpg"))
    last = max(map(int, re.findall(r"^image_(\d{5})\.jpg$", photos, re.M | re.I)), default=0)
    if len(labels) < last:
        raise ValueError(f"flowers: {path}: found {len(labels)} labels, expected {last} as in jpg/")
    return labels


def _numbers(path: Path, name: str, most: int) -> Int64[Tensor, " _"]:
    """The whole numbers, 1 to `most`, by that name in one of the published .mat files."""
    try:
        held = loadmat(path)
        found = ", ".join(f"{key} ({value.dtype}, {list(value.shape)})"
                          for key, value in held.items() if isinstance(value, np.ndarray))
        numbers = held.get(name, np.empty(0))
        flat = numbers.size == max(numbers.shape)  # a row or a column
        numbers = numbers.ravel()
        if flat and len(numbers) and numbers.dtype.kind in "iuf":
            odd = [x for x in numbers.tolist() if not (1 <= x <= most and x == int(x))]
            if not odd:
                return torch.from_numpy(numbers.astype(np.int64))
            found += f" with {odd[0]}"
    except Exception as error:  # a broken file can provoke nearly any
        found = in_its_place(path) or f"{type(error).__name__} ({error}) while reading"
    raise ValueError(f"flowers: {path}: found {found or 'nothing'}, expected a MATLAB file with "
                     f"{name!r}, whole numbers from 1 to {most:,}")


def oxford_splits(folder: Path) -> dict[str, Int64[Tensor, " _"]]:
    """The published splits, as picture indices from 0."""
    names, count = {"train": "trnid", "valid": "valid", "test": "tstid"}, len(read_labels(folder))
    path = folder / "setid.mat"
    splits = {split: _numbers(path, name, count) for split, name in names.items()}
    if (times := torch.cat([*splits.values()]).bincount()).max() > 1:
        raise ValueError(f"flowers: {path}: found photo {int(times.argmax())} {int(times.max())} "
                         f"times, expected each once in one of {', '.join(names.values())}")
    return {split: own - 1 for split, own in splits.items()}


def read_captions(texts: Path, labels: Int64[Tensor, " N"]) -> list[list[str]]:
    """The ten sentences of each photo; raises as `photographs.read_captions` does."""
    paths = [texts / f"class_{label:05d}" / f"image_{number:05d}.txt"
             for number, label in enumerate(labels.tolist(), start=1)]
    return photographs.read_captions("flowers", texts, paths, by=", as imagelabels.mat says")
