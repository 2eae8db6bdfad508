"""What the readers of photographs share: folder, sentences, splits, and a cache written whole."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from t2i_utils import files
from t2i_utils.lesson import cache_advice, cache_dir, seed_for

SENTENCES = 10


def find_folder(
    name: str,
    data_dir: str | os.PathLike | None,
    inside: str,
    parts: tuple[str, ...],
    how_to_get_it: str,
) -> Path:
    """The folder that has all `parts` of a layout: `data_dir` itself or its folder `inside`.

    Raises FileNotFoundError naming what is missing and saying how to get it.
    """
    if data_dir is None:
        raise FileNotFoundError(f"{name}: data_dir is None, expected a folder; {how_to_get_it}")
    folders = [Path(data_dir).expanduser(), Path(data_dir).expanduser() / inside]
    missing = [[part for part in parts if not (folder / part).exists()] for folder in folders]
    best = min((0, 1), key=lambda i: len(missing[i]))
    if missing[best]:
        found = "no such folder" if not folders[0].is_dir() else (
            f"{', '.join(missing[best])} missing in {folders[best]}")
        raise FileNotFoundError(f"{name}: data_dir {str(data_dir)!r}: {found}; {how_to_get_it}")
    return folders[best]


def class_disjoint_splits(
    name: str, classes: Int64[Tensor, " N"], test_share: float
) -> dict[str, Int64[Tensor, " _"]]:
    """A share of the classes as "test", 5 % of the other classes' pictures as "seen_test".

    Drawn by hashes of a fixed seed, so the same on every machine and with every version.
    """
    def drawn(items: list[int], part: str, share: float) -> list[int]:
        order = sorted(items, key=lambda item: seed_for(0, name, part, item))
        return order[: max(1, round(len(items) * share))]

    test_classes = torch.tensor(drawn(classes.unique().tolist(), "test", test_share))
    in_test = torch.isin(classes, test_classes)
    seen = (~in_test).nonzero().ravel()
    held_out = torch.isin(seen, torch.tensor(drawn(seen.tolist(), "seen_test", 0.05)))
    return {"train": seen[~held_out], "test": in_test.nonzero().ravel(),
            "seen_test": seen[held_out]}


def read_captions(
    name: str, root: Path, paths: list[Path], count: int | None = SENTENCES
) -> list[list[str]]:
    """The sentences of each photo from its file under `root`, a line each, lower-cased, stripped.

    Raises FileNotFoundError naming the photos without sentences, ValueError naming the line that
    is empty, or a file that does not hold `count` lines (None: as many as the first file).
    """
    _all_there(name, "captions", root, paths)
    captions = []
    for path in paths:
        lines = path.read_text(encoding="utf-8", errors="replace").lower().splitlines()
        sentences = [line.strip() for line in lines]
        count = len(sentences) if count is None else count
        if len(sentences) != count or count == 0:
            raise ValueError(f"{name}: {path} has {len(sentences)} lines, expected {count or 1}")
        if "" in sentences:
            raise ValueError(f"{name}: {path}, line {sentences.index('') + 1}: empty sentence")
        captions.append(sentences)
    return captions


def cached_captions(
    name: str, signature: str, read: Callable[[], list[list[str]]]
) -> list[list[str]]:
    """What `read` gives, called once for each signature of the files that it reads.

    Raises OSError that says what would help where the cache cannot be written.
    """
    cached = cache_dir(name) / f"captions-{signature}.json"

    def write():
        text = json.dumps(read()).encode()
        with files.whole(cached, len(text), cache_advice()) as part:
            part.write_bytes(text)

    files.made_once(cached, write, cache_advice())
    return json.loads(cached.read_bytes())


def read_square(name: str, path: Path, side: int) -> UInt8[np.ndarray, "3 {side} {side}"]:
    """A photo, its shorter side resized to `side` pixels, and cut to the square in its centre."""
    with opened_photo(name, path) as image:
        image.draft("RGB", (2 * side, 2 * side))  # decode no more pixels than resizing needs
        square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)
    return np.asarray(square).transpose(2, 0, 1)


@contextmanager
def opened_photo(name: str, path: Path) -> Iterator[Image.Image]:
    """A photo to decode inside the `with`: ValueError naming it where that fails."""
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: cannot read photo {path}: {error}") from error


def cached_photos(
    name: str,
    signature: str,
    root: Path,
    paths: list[Path],
    side: int,
    read: Callable[[int], np.ndarray],
) -> UInt8[np.ndarray, "N 3 {side} {side}"]:
    """All photos as squares of `side` pixels, memory-mapped from a file that is written once.

    `read(i)` gives photo i, that of `paths[i]`, as uint8 [3, side, side]; it is called in threads,
    once for each signature. Raises FileNotFoundError naming photos missing under `root`, OSError
    that says what would help where the cache cannot be written.
    """
    cached = cache_dir(name) / f"photos-{side}-{signature}.npy"

    def write():
        _all_there(name, "photos", root, paths)
        count = len(paths)
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, side, side)}
        with (files.whole(cached, count * 3 * side * side, cache_advice()) as part,
              open(part, "wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool):
            np.lib.format.write_array_header_1_0(file, header)
            starts, few = range(0, count, 256), count <= 256  # these take a second: no bar
            for start in tqdm(starts, "caching the photos, once", leave=False, disable=few):
                # memory for a chunk, not for all
                for photo in pool.map(read, range(start, min(start + 256, count))):
                    file.write(photo.tobytes())

    files.made_once(cached, write, cache_advice())
    return np.load(cached, mmap_mode="r")


def signature_of(*places: Path) -> str:
    """A hash of names, sizes and dates of the files: another one when a folder has changed."""
    digest = hashlib.sha256()
    for place in places:
        files = sorted(os.scandir(place), key=lambda f: f.name) if place.is_dir() else [place]
        for file in files:
            size, date = file.stat().st_size, file.stat().st_mtime_ns
            digest.update(f"{place.name}/{file.name} {size} {date}\n".encode())
    return digest.hexdigest()[:16]


def _all_there(name: str, what: str, root: Path, paths: list[Path]):
    names = {folder: set(os.listdir(folder)) if folder.is_dir() else set()
             for folder in {path.parent for path in paths}}
    missing = [path.name for path in paths if path.name not in names[path.parent]]
    if missing:
        more = ", ..." if len(missing) > 5 else ""
        raise FileNotFoundError(f"{name}: {what} missing for {len(missing)} of {len(paths)} "
                                f"pictures in {root}: {', '.join(missing[:5])}{more}")
