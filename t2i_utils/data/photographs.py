"""What the readers of photographs share: folder, sentences, splits, and a cache written whole."""

import hashlib
import json
import operator
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from t2i_utils import files
from t2i_utils.data import pictures, texts
from t2i_utils.data.pictures import read_square  # noqa: F401
from t2i_utils.lesson import cache_advice, cache_dir, seed_for

SENTENCES = 10
TEXTS = ("text_c10", "text")  # the folder of the sentences, in whose place some have the second
LOOKED_AT = 300  # files of a published folder: of more, so many are looked at
MOST_CLASSES = 10_000
ELSEWHERE = {".icloud", ".nextcloud", ".owncloud"}  # notes that a file is not here, but there
Place = str | int | os.PathLike | None  # a folder: `-p data_dir 2024` is a number
ODD_END = re.compile(r"[^\w~]+$")  # of a name: what shells and browsers put behind it
LEFT_BY_TOOLS = re.compile(r"\.(?!.*\.icloud$)|~\$|~syncthing~|@(eaDir|tmp|__thumb|Recycle)"
                           r"|__MACOSX$|lost\+found$|System Volume Information$"
                           r"|#(recycle|snapshot)$|\$?RECYCLE(R|\.BIN)$|Thumbs\.db$")


def place(data_dir: Place, called: str = "data_dir") -> Path:
    """The absolute path of a reader's folder; of none, a place where nothing is."""
    nothing = data_dir is None or data_dir == ""  # which would be the current folder
    number = isinstance(data_dir, int) and not isinstance(data_dir, bool)
    data_dir = f"{os.devnull}/none given" if nothing else str(data_dir) if number else data_dir
    path = files.expanded(data_dir, called)
    try:
        return path.absolute()
    except FileNotFoundError:
        raise FileNotFoundError(f"{data_dir!r}: found no current folder, it is gone; expected an "
                                "absolute path") from None


def no_folder(path: Path) -> str:
    """What is in a folder's place; "" where it is one."""
    return "" if os.path.isdir(path) else "a file" if os.path.exists(path) else "no such folder"


def find_folder(
    name: str, data_dir: Place, inside: str, parts: tuple[str, ...], how_to_get_it: str,
    captions_dir: Place = None,
) -> tuple[Path, Path]:
    """The folder that has all `parts` of a layout, `data_dir` itself or its folder `inside`.

    And the folder of the sentences: text_c10/ or text/ there, in `data_dir`, or in `captions_dir`,
    which may also be that folder itself. Raises FileNotFoundError naming what is missing and saying
    how to get it.
    """
    if data_dir is None:
        raise FileNotFoundError(f"{name}: data_dir is None, expected a folder; {how_to_get_it}")
    given = place(data_dir)
    folders = [given, given / inside]
    missing = [[part for part in parts if not os.path.exists(at / part)
                or not (at / part).suffix and not os.path.isdir(at / part)] for at in folders]
    best = min((0, 1), key=lambda i: len(missing[i]))
    near = [folders[best], given] if captions_dir is None else [place(captions_dir, "captions_dir")]
    choice = [folder / text for folder in near for text in TEXTS]
    choice += [] if captions_dir is None else near
    captions = next(filter(os.path.isdir, choice), None)
    lacks = missing[best] + [TEXTS[0]] * (captions is None and captions_dir is None)
    if lacks or captions is None:
        called, wrong = ("data_dir", given) if lacks else ("captions_dir", near[0])
        found = no_folder(wrong) or f"{', '.join(lacks)} missing in {folders[best]}"
        raise FileNotFoundError(f"{name}: {called} {str(wrong)!r}: {found}; {how_to_get_it}")
    return folders[best], captions


def listed(name: str, folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The pictures in a folder's folders, in order, without what systems and tools leave there.

    Raises ValueError naming a link that leads nowhere, a name that cannot be printed, what has
    sentences beside it, but none of these `suffixes`, and such a pair where no class's folder is.
    """
    def sound(folder: str | os.PathLike) -> Iterator[os.DirEntry]:
        for entry in _scanned(folder):
            if (shown := entry.path.encode(errors="backslashreplace").decode()) != entry.path:
                raise ValueError(f"{name}: {shown}: found a name not in UTF-8, expected one in it")
            if entry.is_symlink() and not os.path.exists(entry.path):
                found = texts.in_its_place(Path(entry.path))
                raise ValueError(f"{name}: {entry.path}: found {found}, expected what it leads to")
            yield entry

    if found := no_folder(folder):
        raise FileNotFoundError(f"{name}: data_dir {str(folder)!r}: found {found}, expected a "
                                "folder with one for each class")
    paths, pictures, classes = [], set(suffixes), [own for own in sound(folder) if own.is_dir()]
    deeper = [inside for own in classes if not own.is_symlink()
              for inside in _scanned(own.path) if inside.is_dir(follow_symlinks=False)]
    places = [(own, True) for own in classes] + [(at, False) for at in (folder, *deeper)]
    for at, its_place in places:
        kinds: dict[str, set[str]] = {}
        for file in sound(at) if its_place else _scanned(at):
            stem, suffix = os.path.splitext(file.name)
            suffix, plain = suffix.lower(), file.is_file()
            if plain or suffix in suffixes:
                kinds.setdefault(stem, set()).add(suffix if plain else f"no file {suffix}")
            paths += [Path(file.path)] if plain and its_place and suffix in suffixes else []
        for stem, found in kinds.items():
            picture, described = not found.isdisjoint(pictures), ".txt" in found and len(found) > 1
            elsewhere = described and picture and not its_place and paths
            odd = [x for x in found if x not in pictures and ODD_END.sub("", x) in pictures]
            if elsewhere or its_place and (described and not picture or found & ELSEWHERE or odd):
                shown = " and ".join(sorted(found)).encode("unicode_escape").decode()
                raise ValueError(f"{name}: {os.fspath(at)}/{stem}: found {shown}, expected a "
                                 f"picture, one of {', '.join(suffixes)}, in its class's folder")
    known: dict[str, Path] = {}
    for at in sorted({path.parent for path in paths}):
        called = unicodedata.normalize("NFC", at.name).lower().strip()
        other = known.setdefault("".join(c for c in called if unicodedata.category(c) != "Cf"), at)
        if other != at:  # each would have the other's sentences for wrong ones
            raise ValueError(f"{name}: {at}: found {other.name!r} beside {at.name!r}, expected "
                             "names that do not look alike")
    return sorted(paths)


def _scanned(folder: str | os.PathLike) -> list[os.DirEntry]:
    entries = os.scandir(folder) if os.path.isdir(folder) else ()
    return [entry for entry in entries if not LEFT_BY_TOOLS.match(entry.name)]


def side_of(name: str, size: SupportsIndex) -> int:
    """The side of stored pictures: crops of `size` and room for chance (76 for 64 in the papers).

    Raises ValueError for a size that is none.
    """
    return round(whole_number(name, "size", size, 1) * 76 / 64)


def whole_number(name: str, what: str, value: Any, least: int) -> int:
    """The value as an int; ValueError where it is no whole number, or less than `least`."""
    number = None
    with suppress(TypeError):
        number = None if isinstance(value, bool) else operator.index(value)
    if number is None or number < least:
        raise ValueError(f"{name}: {what} {value!r}, expected a whole number, {least} or more")
    return number


def class_disjoint_splits(
    name: str, classes: Int64[Tensor, " N"], test_share: Real, least: int = 1
) -> dict[str, Int64[Tensor, " _"]]:
    """A share of the classes as "test", 5 % of the other classes' pictures as "seen_test".

    Drawn by hashes of a fixed seed, so the same on every machine. At `least` so many classes are
    for "test". Raises ValueError where fewer than two are left to train on, or, where two are for
    "test", fewer than 4 pictures, and 6 to test on.
    """
    if not isinstance(test_share, Real) or not 0 < test_share < 1:
        raise ValueError(f"{name}: test_share {test_share!r}, expected more than 0, less than 1")

    def drawn(items: list[int], part: str, share: Real, least: int = 1) -> list[int]:
        order = sorted(items, key=lambda item: seed_for(0, name, part, item))
        return order[: max(least, round(len(items) * share))]

    test_classes = torch.tensor(drawn(classes.unique().tolist(), "test", test_share, least))
    in_test = torch.isin(classes, test_classes)
    seen = (~in_test).nonzero().ravel()
    _, place, many = classes.unique(return_inverse=True, return_counts=True)
    several = seen[many[place[seen]] > 1]  # a class keeps its only picture
    held_out = torch.isin(seen, torch.tensor(
        drawn((several if len(several) else seen).tolist(), "seen_test", 0.05)))
    train = seen[~held_out]
    if (left := len(classes[train].unique())) < 2:
        raise ValueError(f"{name}: found {len(classes.unique())} classes, {len(test_classes)} of "
                         f"them for \"test\" (test_share {test_share}) and {left} with pictures to "
                         "train on, expected two or more to train on: wrong sentences are others'")
    if least > 1 and (len(train) < 2 * least or in_test.sum() < 3 * least):
        raise ValueError(f"{name}: found {len(train)} pictures to train on and {in_test.sum()} for "
                         f"\"test\", expected {2 * least} and {3 * least} or more")
    return {"train": train, "test": in_test.nonzero().ravel(), "seen_test": seen[held_out]}


def read_captions(
    name: str, root: Path, paths: list[Path], count: int | None = SENTENCES, by: str = ""
) -> list[list[str]]:
    """The sentences of each photo from its file under `root`, a line each, lower-cased, stripped.

    Raises FileNotFoundError naming the photos that have none (and `by` what), ValueError naming
    a line that is empty or no text, or a file of other than `count` lines (None: most files').
    """
    captions, paths = [], _all_there(name, "captions", root, paths, by)
    for path in paths:
        lines = [x.strip(texts.AROUND) for x in texts.read_lines(name, path)]
        shown = [any(unicodedata.category(c)[0] not in "ZCM" and c not in texts.BLANK for c in x)
                 for x in lines]  # something that is seen
        if not all(shown):
            raise ValueError(f"{name}: {path}, line {shown.index(False) + 1}: empty sentence")
        captions.append([line.lower() for line in lines])
    counts = Counter(map(len, captions))
    most = count or counts.most_common(1)[0][0] or 1
    others = f", as {counts[most]} others have" if count is None and counts[most] else ""
    for path, own in zip(paths, captions, strict=True):
        if len(own) != most:
            raise ValueError(f"{name}: {path} has {len(own)} lines, expected {most}{others}")
    if count is None and len({line for own in captions for line in own}) < 2:
        raise ValueError(f"{name}: {root}: found one sentence for all pictures, expected several")
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

    return files.made_once(cached, write, cache_advice(), lambda: json.loads(cached.read_bytes()))


def cached_photos(
    name: str, signature: str, root: Path, paths: list[Path], side: int,
    read: Callable[[int, Path], np.ndarray],
) -> UInt8[np.ndarray, "N 3 {side} {side}"]:
    """All photos as squares of `side` pixels, memory-mapped from a file that is written once.

    `read(i, path)` gives photo i, `paths[i]` as the disk has it, as uint8 [3, side, side]; it is
    called in threads, once for each signature. Raises FileNotFoundError naming photos missing under
    `root`, OSError that says what would help where the cache cannot be written.
    """
    cached = cache_dir(name) / f"photos-{side}-{signature}.npy"
    count = len(paths)

    def write():
        there = _all_there(name, "photos", root, paths)
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, side, side)}
        with (files.whole(cached, count * 3 * side * side, cache_advice()) as part,
              open(part, "wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool):
            np.lib.format.write_array_header_1_0(file, header)
            starts, few = range(0, count, 256), count <= 256  # these take a second: no bar
            for start in tqdm(starts, "caching the photos, once", leave=False, disable=few):
                # memory for a chunk, not for all
                rows = range(start, min(start + 256, count))
                for photo in pool.map(read, rows, there[start : start + 256]):
                    file.write(photo.tobytes())

    return files.made_once(cached, write, cache_advice(), lambda: mapped(cached))


def mapped(path: Path) -> np.ndarray:
    """An array in a file, memory-mapped; or in memory, as some network drives map no files."""
    with suppress(OSError):
        return np.load(path, mmap_mode="r")
    return np.load(path)


def signature_of(*places: Path, code: str = "", few: bool = False) -> str:
    """A hash of folders' names, sizes and dates, and of the code that reads: another where one is.

    `code` names the reader's module, if not that of own folders. With `few`, for sets that are
    published and not edited: of their folders and the folders in these all names and the dates, but
    of many files only LOOKED_AT are looked at, as on a network each look takes its time.
    """
    readers = (__name__, pictures.__name__, texts.__name__, code or f"{__package__}.folder")
    digest = hashlib.sha256(b"".join(Path(import_module(own).__file__).read_bytes()
                                     for own in readers))  # fmt: skip
    folders = [at for at in places if at.is_dir()]
    folders += [Path(x.path) for at in folders if few for x in _scanned(at) if x.is_dir()]
    inside = sorted((place, x.name, x.path) for place, at in ((str(at.resolve()), at)
                    for at in folders) for x in _scanned(at))  # fmt: skip
    digest.update(repr([names for *names, _ in inside]).encode("utf-8", "surrogateescape"))
    step = max(1, len(inside) // LOOKED_AT) if few else 1
    alone = [at for at in (*places, *folders) if few or at not in folders]
    for path in [*(path for *_, path in inside[::step]), *alone]:
        with suppress(OSError):  # a link that leads nowhere: its reader will say so
            state = os.stat(path)
            digest.update(f"{state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _all_there(name: str, what: str, root: Path, paths: list[Path], by: str = "") -> list[Path]:
    """The paths as the disk has them: an ending in capitals, or accents in two parts, will do."""
    def alike(name: str) -> str:
        stem, dot, ending = unicodedata.normalize("NFC", name).rpartition(".")
        return stem + dot + ending.lower()

    found, there = [], {}
    for folder in {path.parent for path in paths}:
        names = os.listdir(folder) if folder.is_dir() else []
        there[folder] = {alike(name): name for name in sorted(names, reverse=True)}
        there[folder] |= {name: name for name in names}
    for path in paths:
        own = there[path.parent].get(path.name) or there[path.parent].get(alike(path.name))
        found.append(path.with_name(own) if own else None)
    missing = [str(path.relative_to(root)) for path, own in zip(paths, found, strict=True)
               if own is None]  # fmt: skip
    if missing:
        more = ", ..." if len(missing) > 5 else ""
        raise FileNotFoundError(f"{name}: {what} missing for {len(missing)} of {len(paths)} "
                                f"pictures in {root}: {', '.join(missing[:5])}{more}{by}")
    return found
