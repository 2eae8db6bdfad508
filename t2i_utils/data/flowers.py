"""Oxford-102: 8,189 photographs of flowers of 102 classes, ten human sentences each.

Photographs: Nilsback and Zisserman 2008; sentences: Reed et al. 2016 (CVPR).
"""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image, ImageOps
from scipy.io import loadmat
from torch import Tensor
from tqdm.auto import tqdm

from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.lesson import cache_dir, seed_for

SENTENCES = 10
SPLITS = ("class_disjoint", "oxford")
HOW_TO_GET_IT = """expected there (or in its folder flowers-102/, as torchvision stores it):
  jpg/image_00001.jpg ..., imagelabels.mat, setid.mat
    from https://www.robots.ox.ac.uk/~vgg/data/flowers/102/, or load_flowers(..., download=True)
  text_c10/class_00001/image_06734.txt ...
    from the flowers archive that https://github.com/reedscot/cvpr2016 links to"""


def load_flowers(
    data_dir: str | os.PathLike | None,
    size: int = 64,
    split: str = "class_disjoint",
    download: bool = False,
) -> CaptionedImages:
    """Oxford-102 from its published layout; batches are random crops of side `size`, in pixels.

    `split`: "oxford" gives the published "train" (1,020), "valid" (1,020) and "test" (6,149).
    "class_disjoint" keeps 20 of the 102 classes for "test" and 5 % of the pictures of the other
    82 for "seen_test"; "train" is the rest. It is this project's own, not Reed et al.'s.
    With `download` torchvision fetches and verifies photos and labels (347 MB); the sentences it
    does not have. Pictures and sentences are cached; a changed folder is noticed by its files'
    names, sizes and dates.

    Raises ValueError for an unknown split or a broken file, FileNotFoundError for missing ones.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split: found {split!r}, expected one of {', '.join(SPLITS)}")
    if download:
        from torchvision.datasets import Flowers102  # here, as it takes a second to import

        Flowers102(data_dir, download=True)
    folder = find_folder(data_dir)
    labels = read_labels(folder)
    side = round(size * 76 / 64)  # the papers cut 64 out of 76, and 256 out of 304
    return CaptionedImages(
        name="flowers",
        captions=cached_captions(folder, labels),  # before the photos: it is the quicker to fail
        images=cached_photos(folder, len(labels), side),
        classes=labels - 1,
        class_names=[class_name(label) for label in range(1, int(labels.max()) + 1)],
        splits=oxford_splits(folder) if split == "oxford" else class_disjoint_splits(labels - 1),
        crop=size,
        flip=True,
    )


def find_folder(data_dir: str | os.PathLike | None) -> Path:
    """The folder that holds the published layout: `data_dir` itself or its flowers-102/."""
    if data_dir is None:
        raise FileNotFoundError(f"flowers: data_dir is None, expected a folder; {HOW_TO_GET_IT}")
    parts = ("jpg", "imagelabels.mat", "setid.mat", "text_c10")
    folders = [Path(data_dir).expanduser(), Path(data_dir).expanduser() / "flowers-102"]
    missing = [[part for part in parts if not (folder / part).exists()] for folder in folders]
    best = min((0, 1), key=lambda i: len(missing[i]))
    if missing[best]:
        found = "no such folder" if not folders[0].is_dir() else (
            f"{', '.join(missing[best])} missing in {folders[best]}")
        raise FileNotFoundError(f"flowers: data_dir {str(data_dir)!r}: {found}; {HOW_TO_GET_IT}")
    return folders[best]


def read_labels(folder: Path) -> Int64[Tensor, " N"]:
    """The class of each photo, 1 to 102, in the order of the photos' numbers."""
    return torch.from_numpy(loadmat(folder / "imagelabels.mat")["labels"].ravel().astype(np.int64))


def class_name(label: int) -> str:
    """The name of a class: that of its folder in text_c10/."""
    return f"class_{label:05d}"


def oxford_splits(folder: Path) -> dict[str, Int64[Tensor, " _"]]:
    """The published splits, as picture indices from 0."""
    ids = loadmat(folder / "setid.mat")
    names = {"train": "trnid", "valid": "valid", "test": "tstid"}
    return {split: torch.from_numpy(ids[name].ravel().astype(np.int64)) - 1
            for split, name in names.items()}


def class_disjoint_splits(classes: Int64[Tensor, " N"]) -> dict[str, Int64[Tensor, " _"]]:
    """20 of each 102 classes as "test", 5 % of the other classes' pictures as "seen_test".

    Drawn by hashes of a fixed seed, so the same on every machine and with every version.
    """
    def drawn(items: list[int], name: str, share: float) -> list[int]:
        order = sorted(items, key=lambda item: seed_for(0, "flowers", name, item))
        return order[: max(1, round(len(items) * share))]

    test_classes = torch.tensor(drawn(classes.unique().tolist(), "test", 20 / 102))
    in_test = torch.isin(classes, test_classes)
    seen = (~in_test).nonzero().ravel()
    held_out = torch.isin(seen, torch.tensor(drawn(seen.tolist(), "seen_test", 0.05)))
    return {"train": seen[~held_out], "test": in_test.nonzero().ravel(),
            "seen_test": seen[held_out]}


def cached_captions(folder: Path, labels: Int64[Tensor, " N"]) -> list[list[str]]:
    """`read_captions`, parsed once for each state of text_c10/ and imagelabels.mat."""
    signature = _signature(folder / "imagelabels.mat", *sorted((folder / "text_c10").iterdir()))
    cached = cache_dir("flowers") / f"captions-{signature}.json"
    if not cached.exists():
        captions = read_captions(folder, labels)
        with _written_whole(cached) as file:
            file.write(json.dumps(captions).encode())
    return json.loads(cached.read_bytes())


def read_captions(folder: Path, labels: Int64[Tensor, " N"]) -> list[list[str]]:
    """The ten sentences of each photo, lower-cased and stripped.

    Raises FileNotFoundError naming the photos without sentences, ValueError naming a file that
    does not hold ten lines, or the line that is empty.
    """
    paths = [folder / "text_c10" / class_name(label) / f"image_{number:05d}.txt"
             for number, label in enumerate(labels.tolist(), start=1)]
    _all_there(paths, "captions")
    captions = []
    for path in paths:
        lines = path.read_text(encoding="utf-8", errors="replace").lower().splitlines()
        sentences = [line.strip() for line in lines]
        if len(sentences) != SENTENCES:
            raise ValueError(f"flowers: {path} has {len(sentences)} lines, expected {SENTENCES}")
        if "" in sentences:
            raise ValueError(f"flowers: {path}, line {sentences.index('') + 1}: empty sentence")
        captions.append(sentences)
    return captions


def cached_photos(folder: Path, count: int, side: int) -> UInt8[np.ndarray, "N 3 {side} {side}"]:
    """All photos as squares of `side` pixels, memory-mapped from a file that is written once.

    Raises FileNotFoundError naming missing photos, ValueError naming one that cannot be read.
    """
    cached = cache_dir("flowers") / f"photos-{side}-{_signature(folder / 'jpg')}.npy"
    if not cached.exists():
        paths = [folder / "jpg" / f"image_{number:05d}.jpg" for number in range(1, count + 1)]
        _all_there(paths, "photos")
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, side, side)}
        with _written_whole(cached) as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            np.lib.format.write_array_header_1_0(file, header)
            for start in tqdm(range(0, count, 256), "caching the photos, once", leave=False):
                chunk = paths[start : start + 256]  # memory for a chunk, not for all
                for photo in pool.map(read_photo, chunk, [side] * len(chunk)):
                    file.write(photo.tobytes())
    return np.load(cached, mmap_mode="r")


def read_photo(path: Path, side: int) -> UInt8[np.ndarray, "3 {side} {side}"]:
    """A photo, its shorter side resized to `side` pixels, and cut to the square in its centre."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * side, 2 * side))  # decode no more pixels than resizing needs
            square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)
    except OSError as error:
        raise ValueError(f"flowers: cannot read photo {path}: {error}") from error
    return np.asarray(square).transpose(2, 0, 1)


def _all_there(paths: list[Path], what: str):
    names = {folder: set(os.listdir(folder)) if folder.is_dir() else set()
             for folder in {path.parent for path in paths}}
    missing = [path.name for path in paths if path.name not in names[path.parent]]
    if missing:
        more = ", ..." if len(missing) > 5 else ""
        raise FileNotFoundError(
            f"flowers: {what} missing for {len(missing)} of {len(paths)} pictures in "
            f"{paths[0].parents[0 if what == 'photos' else 1]}: {', '.join(missing[:5])}{more}")


def _signature(*places: Path) -> str:
    """A hash of names, sizes and dates of the files: another one when a folder has changed."""
    digest = hashlib.sha256()
    for place in places:
        files = sorted(os.scandir(place), key=lambda f: f.name) if place.is_dir() else [place]
        for file in files:
            size, date = file.stat().st_size, file.stat().st_mtime_ns
            digest.update(f"{place.name}/{file.name} {size} {date}\n".encode())
    return digest.hexdigest()[:16]


@contextmanager
def _written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is complete."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
