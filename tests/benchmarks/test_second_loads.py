"""Second loads of large sets: from the cache, each in less than a second on two idle cores.

`python tests/benchmarks/test_second_loads.py` prints the table; a busy machine takes longer.
"""

import io
import os
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from t2i_utils.data.birds import load_birds
from t2i_utils.data.embedded import load_embedded
from t2i_utils.data.embeddings import FILES
from t2i_utils.data.folder import load_folder

KINDS, EACH = 200, 60


def photo():
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (18, 24, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


def write_birds(place):
    """CUB's layout, 12,000 photos of 200 kinds."""
    rows = [(n + 1, kind, f"{kind + 1:03d}.Bird_{kind + 1}") for n, kind in enumerate(
        kind for kind in range(KINDS) for _ in range(EACH))]  # fmt: skip
    for number, _, kind in rows:
        ten = "".join(f"bird {number}, {i}\n" for i in range(10)).encode()
        for part, ending, content in (("images", "jpg", photo()), ("text_c10", "txt", ten)):
            (place / part / kind).mkdir(parents=True, exist_ok=True)
            (place / part / kind / f"Bird_{number}.{ending}").write_bytes(content)
    tables = {"images": [f"{n} {kind}/Bird_{n}.jpg" for n, _, kind in rows],
              "image_class_labels": [f"{n} {label + 1}" for n, label, _ in rows],
              "bounding_boxes": [f"{n} 5.0 4.0 8.0 8.0" for n, _, _ in rows],
              "train_test_split": [f"{n} {n % 2}" for n, _, _ in rows]}  # fmt: skip
    for name, lines in tables.items():
        (place / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return lambda: load_birds(place)


def write_own(place):
    """12,000 pictures of one's own in 200 folders."""
    for kind in range(KINDS):
        (place / f"class {kind}").mkdir(parents=True)
        for number in range(EACH):
            (place / f"class {kind}" / f"p{number}.jpg").write_bytes(photo())
            (place / f"class {kind}" / f"p{number}.txt").write_text(f"{kind}\n{number}\n")
    return lambda: load_folder(place)


def write_embedded(place):
    """StackGAN's layout, 8,189 photos, embeddings of 1,024 numbers."""
    names = [f"image_{i:05d}" for i in range(8189)]
    (place / "jpg").mkdir(parents=True)
    for name in names:
        (place / "jpg" / f"{name}.jpg").write_bytes(photo())
    table = np.random.default_rng(0).standard_normal((len(names), 10, 1024), np.float32)
    for part, rows in (("train", range(7034)), ("test", range(7034, 8189))):
        (place / part).mkdir()
        held = [*table[list(rows)]], [names[i] for i in rows], [i % 20 for i in rows]
        for file, items in zip(FILES, held, strict=True):
            (place / part / file).write_bytes(pickle.dumps(items, 2))
    return lambda: load_embedded(place, place)


def second_load(write, place):
    """The seconds of the first load, and of the quickest of three that follow."""
    load, took = write(place), []
    for _ in range(4):
        began = time.perf_counter()
        load()
        took.append(time.perf_counter() - began)
    return took[0], min(took[1:])


@pytest.mark.parametrize("write", [write_birds, write_own, write_embedded])
def test_a_second_load_takes_less_than_a_second(write, tmp_path, monkeypatch):
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    assert second_load(write, tmp_path / "set")[1] < 1


if __name__ == "__main__":
    import tempfile

    for write in (write_birds, write_own, write_embedded):
        with tempfile.TemporaryDirectory() as place:
            os.environ["T2I_CACHE"] = f"{place}/cache"
            first, again = second_load(write, Path(place) / "set")
            print(f"{write.__doc__:60} first {first:5.1f} s, again {again:.2f} s", file=sys.stdout)
