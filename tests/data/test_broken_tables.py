"""Labels, splits and tables that are pages, pointers, cut, swapped, short or absurd: named."""

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

sys.path.insert(0, str(Path(__file__).parent))
from test_birds import BOX, LABELS, write_table  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_birds import name as bird  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401

from t2i_utils.data import pictures  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402

PAGE = b"\n <!doctype HTML><title>404 Not Found</title>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 502\n"
V73 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 9


@pytest.mark.parametrize("file", ["imagelabels.mat", "setid.mat"])
@pytest.mark.parametrize(("content", "found"), [
    (PAGE, "a web page"), (POINTER, "a pointer of git-lfs"), (b"", "an empty file"),
    (b"PK\x03\x04zip", "an archive that is packed"), (V73, "NotImplementedError .*v7.3"),
    (b"1 2 3\n" * 60, ".* while reading"), (bytes(900), ".* while reading"),
])  # fmt: skip
def test_what_is_no_matlab_file_is_named(flowers, file, content, found):  # noqa: F811
    (flowers / file).write_bytes(content)
    with pytest.raises(ValueError, match=f"{file}: found {found}.*, expected a MATLAB file with"):
        load_flowers(flowers, size=16, split="oxford")


@pytest.mark.parametrize("packed", [False, True])
def test_labels_that_are_cut_anywhere_are_named(flowers, packed):  # noqa: F811
    path = flowers / "imagelabels.mat"
    savemat(path, {"labels": np.array([[2, 1, 3] * 4], np.uint8)}, do_compression=packed)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 8, 9):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="imagelabels.mat: found .*, expected a MATLAB file"):
            load_flowers(flowers, size=16)


def test_two_files_that_are_swapped_are_named(flowers):  # noqa: F811
    for source, goal in (("imagelabels", "new"), ("setid", "imagelabels"), ("new", "setid")):
        (flowers / f"{source}.mat").rename(flowers / f"{goal}.mat")
    found = r"imagelabels.mat: found trnid \(.*3\]\), valid \(.*2\]\).*, expected .* with 'labels'"
    with pytest.raises(ValueError, match=found):
        load_flowers(flowers, size=16)


@pytest.mark.parametrize("labels", [
    [], ["one", "two"], [1.5] * 12, [0] * 12, [-1] * 12, [10**9] * 12, [float("nan")] * 12,
    [1e300] * 12, [1 + 1j] * 12, np.array([[1]], object), {"a": 1},
])  # fmt: skip
def test_labels_that_are_none_are_named(flowers, labels):  # noqa: F811
    savemat(flowers / "imagelabels.mat", {"labels": labels, "beside": [1, 2]})
    with pytest.raises(ValueError, match="imagelabels.mat: found .*, expected .* from 1 to 10,000"):
        load_flowers(flowers, size=16)


def test_labels_may_be_other_numbers_and_a_column(flowers):  # noqa: F811
    before = load_flowers(flowers, size=16)
    numbers = (before.classes + 1).numpy()
    for dtype in ("f8", "i4", "u2"):
        savemat(flowers / "imagelabels.mat", {"labels": numbers.astype(dtype)[:, None]})
        assert torch.equal(load_flowers(flowers, size=16).classes, before.classes)


def test_fewer_labels_than_photos_are_named(flowers):  # noqa: F811
    savemat(flowers / "imagelabels.mat", {"labels": np.array([[2, 1, 3, 1]], np.uint8)})
    with pytest.raises(ValueError, match="imagelabels.mat: found 4 labels, expected 12 as in jpg/"):
        load_flowers(flowers, size=16)


def test_a_split_beyond_the_photos_is_named(flowers):  # noqa: F811
    savemat(flowers / "setid.mat", {"trnid": [[1, 13]], "valid": [[2]], "tstid": [[3]]})
    with pytest.raises(ValueError, match="setid.mat: found trnid .* from 1 to 12"):
        load_flowers(flowers, size=16, split="oxford")


TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt",
          "classes.txt")  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("content", "found"), [
    (PAGE, "found a web page"), (POINTER, "found a pointer of git-lfs"),
    (b"1 caf\xe9\n", "line 1: found byte 0xE9"), (b"1 x\n\n2 y\n", "line [12]: found"),
    (b"1 a\0b\n", r"line 1: found U\+0000"), (b"", "has 0 ids"), (b"1\n", "line 1: found '1'"),
])  # fmt: skip
def test_what_is_no_table_is_named(birds, table, content, found):  # noqa: F811
    (birds / table).write_bytes(content)
    with pytest.raises(ValueError, match=f"birds: .*({table}.*{found}|is of class . None)"):
        load_birds(birds, size=16)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_are_read_whatever_wrote_them(birds, table, encoding):  # noqa: F811
    before = load_birds(birds, size=16, split="published")
    text = (birds / table).read_text().replace("\n", "\r\n") + "\r\n \r\n"
    (birds / table).write_bytes(text.encode(encoding))
    after = load_birds(birds, size=16, split="published")
    assert torch.equal(before.classes, after.classes) and before.captions == after.captions
    assert torch.equal(before.splits["train"], after.splits["train"])


@pytest.mark.parametrize("label", ["10000000", "1000000000", "9" * 5000, "-1", "1.0"])
def test_an_absurd_class_is_refused_at_once(birds, label):  # noqa: F811
    write_table(birds, "image_class_labels.txt", [label, *LABELS[1:]])
    began = time.monotonic()
    with pytest.raises(ValueError, match="labels.txt, line 1: found .*a class, 1 to 10,000"):
        load_birds(birds, size=16)
    assert time.monotonic() - began < 5


def test_tables_that_are_swapped_are_named(birds):  # noqa: F811
    for one, other in (("images.txt", "bounding_boxes.txt"),
                       ("image_class_labels.txt", "train_test_split.txt")):  # fmt: skip
        shutil.copy(birds / one, birds / "kept")
        shutil.copy(birds / other, birds / one)
        shutil.copy(birds / "kept", birds / other)
        with pytest.raises(ValueError, match=f"birds: .*({one}|{other}|is of class)"):
            load_birds(birds, size=16)
        shutil.copy(birds / one, birds / other)
        shutil.copy(birds / "kept", birds / one)


def test_boxes_are_cut_at_the_scale_that_is_needed(birds):  # noqa: F811
    """A large JPEG is decoded smaller; what is cut out of it stays where it is."""
    pixels = np.zeros((900, 1201, 3), np.uint8)
    pixels[100:700, 200:500, 0] = pixels[100:700, 500:800, 1] = 255  # red, green: BOX, ten times
    Image.fromarray(pixels).save(birds / "images" / bird(1), quality=95, subsampling=0)
    boxes = [" ".join(str(10 * float(x)) for x in BOX.split()), *[BOX] * 7]
    write_table(birds, "bounding_boxes.txt", boxes)
    decoded = []
    with pytest.MonkeyPatch.context() as patch:
        rgb = pictures.rgb
        patch.setattr(pictures, "rgb", lambda x: (decoded.append(x.size), rgb(x))[1])
        red, green, blue = load_birds(birds, size=64).images[0].astype(int)
    assert (601, 450) in decoded
    assert red[2:-2, 2:36].min() > 200 and red[:, 40:].max() < 60
    assert green[2:-2, 40:-2].min() > 200 and green[:, :36].max() < 60 and blue.max() < 60
