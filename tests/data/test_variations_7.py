"""Five more variations of each of ten kinds of other people's files, invented blind.

The names count the kinds, as in `test_variations_6.py`; nothing of those files is tried again.
"""

import functools
import gzip
import io
import os
import pickle
import shutil
import ssl
import stat
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision import tv_tensors

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all  # noqa: E402
from test_archives import BODY, sha256  # noqa: E402
from test_archives import server as server  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_birds import photo as bird_photo  # noqa: E402
from test_birds import write_table  # noqa: E402
from test_embeddings import NAMES, Python2, arrays  # noqa: E402
from test_embeddings import write as write_pickles  # noqa: E402
from test_explored import EXCHANGED  # noqa: E402
from test_flowers import captions as flower_captions  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_flowers import photo as flower_photo  # noqa: E402
from test_other_peoples_files import TWO, first, linux  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402
from test_variations import (  # noqa: E402
    SHORT_6,
    SIDEWAYS,
    bytes_of,
    left,
    read_or_refused,
    refused,
    same,
    upright,
    with_first,
)
from test_variations_2 import no_annotations as no_annotations  # noqa: E402
from test_variations_2 import unpacked  # noqa: E402
from test_variations_4 import NOISE, lines  # noqa: E402
from test_variations_6 import reads_once  # noqa: E402

from t2i_utils.data.archives import fetch  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.blooms import load_blooms  # noqa: E402
from t2i_utils.data.captioned import Batches, to_bytes, to_unit  # noqa: E402
from t2i_utils.data.embedded import load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings, read_pickle  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402

TABLES = ("images.txt", "image_class_labels.txt", "bounding_boxes.txt", "train_test_split.txt",
          "classes.txt")  # fmt: skip

# ---- 1: pictures --------------------------------------------------------------------------------


def press_profile():
    """A profile of a press whose first ink is red, and whose others are greys."""
    d50 = struct.pack(">4i", 0, 63190, 65536, 54061)
    cells = b"".join(bytes((153, 188, 168) if n & 8 else (255 - 30 * bin(n).count("1"), 128, 128))
                     for n in range(16))  # fmt: skip
    ramp = bytes(range(256))
    table = (b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + struct.pack(
        ">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + ramp * 4 + cells + ramp * 3)
    tags = {b"wtpt": b"XYZ " + d50, b"cprt": b"text\0\0\0\0none\0\0\0\0", b"A2B0": table,
            b"desc": b"desc" + struct.pack(">II", 0, 6) + b"press\0" + bytes(79)}  # fmt: skip
    at, index, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        index += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", at + len(body), b"lcms", 0x02400000, b"prtr", b"CMYK",
                       b"Lab ", struct.pack(">6H", 2024, 1, 1, 0, 0, 0), b"acsp") + bytes(28)
    return (head + d50[4:]).ljust(128, b"\0") + index + body


def test_k01_a_press_that_prints_with_its_own_inks(own):  # noqa: F811
    """A print shop's JPEG in CMYK, with the profile of its press."""
    picture = Image.new("CMYK", (40, 40), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 0), (0, 20, 40, 40))
    content = bytes_of(picture, "JPEG", quality=95, icc_profile=press_profile())
    read_or_refused(lambda: with_first(own, content, "jpg"),
                    lambda image: (image[:, :8].min() > 225 and image[0, 12:].min() > 150
                                   and image[1:, 12:].max() < 140), "p0.jpg")  # fmt: skip


def segments(content):
    """A JPEG's parts up to its pixels, and the rest."""
    at, parts = 2, []
    while content[at + 1] != 0xDA:
        length = 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        parts.append(content[at : at + length])
        at += length
    return parts, content[at:]


def test_k01_two_parts_of_exif(own):  # noqa: F811
    """A phone's JPEG, to which a photo service has added its own EXIF, without a turn."""
    parts, rest = segments(bytes_of(SIDEWAYS, "JPEG", exif=b"Exif\0\0" + SHORT_6))
    exif = Image.Exif()
    exif[0x010E] = "a photo"
    (at,) = (i for i, part in enumerate(parts) if part[1] == 0xE1)
    more = exif.tobytes()
    parts.insert(at + 1, b"\xff\xe1" + struct.pack(">H", 2 + len(more)) + more)
    read_or_refused(lambda: with_first(own, b"\xff\xd8" + b"".join(parts) + rest, "jpg"), upright,
                    "p0.jpg")  # fmt: skip


def test_k01_a_frame_of_a_webcam(own):  # noqa: F811
    """A frame cut out of a webcam's stream: MJPEG leaves out the tables that all frames share."""
    content = bytes_of(NOISE, "JPEG")
    plain = with_first(own, content, "jpg")
    parts, rest = segments(content)
    bare = b"\xff\xd8" + b"".join(part for part in parts if part[1] != 0xC4) + rest
    assert len(bare) < len(content) - 400
    read_or_refused(lambda: with_first(own, bare, "jpg"),
                    lambda image: np.array_equal(image, plain), "p0.jpg")  # fmt: skip


def test_k01_a_bitmap_that_has_alpha(own):  # noqa: F811
    """GIMP's BMP, or the clipboard's: a head of 124 bytes that says where the alpha is; renamed."""
    pixels = np.zeros((90, 120, 4), np.uint8)  # blue, green, red, alpha; from the bottom
    pixels[60:] = 255, 0, 255, 0
    pixels[30:60] = 10, 40, 200, 128
    pixels[:30] = 10, 40, 200, 255
    head = struct.pack("<IiiHHIIiiII4I4s", 124, 120, 90, 1, 32, 3, pixels.nbytes, 2835, 2835, 0, 0,
                       0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs").ljust(124, b"\0")
    content = b"BM" + struct.pack("<IHHI", 138 + pixels.nbytes, 0, 0, 138) + head
    def right(image):
        return all(np.abs(image[:, rows] - np.array(colour)[:, None, None]).max() < 7
                   for rows, colour in ((slice(0, 5), (255, 255, 255)),
                                        (slice(8, 11), (227, 147, 132)),
                                        (slice(14, 19), (200, 40, 10))))  # fmt: skip

    read_or_refused(lambda: with_first(own, content + pixels.tobytes()), right, "p0.png")


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 1, 3)])
def test_k01_a_profile_in_four_parts(own, order):  # noqa: F811
    """A printer's profile of 200 KB: a JPEG holds it in parts, which are numbered."""
    profile = struct.pack(">I", 200_000) + EXCHANGED[4:].ljust(199_996, b"\0")
    parts, rest = segments(bytes_of(Image.new("RGB", (40, 40), (200, 40, 10)), "JPEG",
                                    icc_profile=profile))  # fmt: skip
    found = [part for part in parts if part[1] == 0xE2]
    assert len(found) == 4
    others = [part for part in parts if part[1] != 0xE2]
    content = b"\xff\xd8" + others[0] + b"".join(found[i] for i in order) + b"".join(
        others[1:]) + rest  # fmt: skip
    read_or_refused(lambda: with_first(own, content, "jpg"),
                    lambda image: np.abs(image - np.array([10, 40, 200])[:, None, None]).max() < 5,
                    "p0.jpg")  # fmt: skip


# ---- 2: sentences -------------------------------------------------------------------------------


def test_k02_a_mark_twice(own, flowers):  # noqa: F811
    """ADODB.Stream, or `copy /b`, set a mark before a text that had one."""
    for path, load_, folder in ((first(own, "txt"), load_folder, own),
                                (flower_captions(flowers, 1), load_flowers, flowers)):
        before = load_(folder, size=16).captions
        path.write_bytes(b"\xef\xbb\xbf" * 2 + path.read_bytes())
        read_or_refused(lambda load_=load_, folder=folder: load_(folder, size=16).captions,
                        lambda found, before=before: found == before, path.name)  # fmt: skip


def test_k02_the_end_of_a_page_of_pdftotext(own):  # noqa: F811
    """pdftotext ends each page with an empty line and a form feed."""
    first(own, "txt").write_text(lines(*TWO) + "\n\f")
    read_or_refused(lambda: load_folder(own, size=16).captions,
                    lambda found: found == [TWO] * 16, "p0.txt")


@pytest.mark.parametrize("end", ["", "\n", "\u2028"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_k02_soft_breaks_in_utf_16(own, encoding, end):  # noqa: F811
    """Notes' soft break, U+2028, where a line should end; saved by TextEdit as UTF-16."""
    first(own, "txt").write_bytes(f"{TWO[0]}\u2028{TWO[1]}{end}".encode(encoding))
    read_or_refused(lambda: load_folder(own, size=16).captions,
                    lambda found: found == [TWO] * 16, "p0.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_k02_unix2dos_on_utf_16(own, flowers, encoding):  # noqa: F811
    """git's eol=crlf, or unix2dos: a byte more before each byte 0A, in every file."""
    for load_, folder in ((load_folder, own), (load_flowers, flowers)):
        before = load_(folder, size=16).captions
        for path in folder.rglob("*.txt"):
            content = path.read_text().encode(encoding).replace(b"\n", b"\r\n")
            path.write_bytes(b"\xfe\xff" + content if encoding == "utf-16-be" else content)
        read_or_refused(lambda load_=load_, folder=folder: load_(folder, size=16).captions,
                        lambda found, before=before: found == before, ".txt", "found")


@pytest.mark.parametrize("name", ["p0.heic.jpg", "p0.png.jpg", "p0.jpg.webp.jpg"])
def test_k02_the_names_of_a_converter(own, name):  # noqa: F811
    """A converter leaves the old ending before the new one; the sentences are in p0.txt."""
    first(own, "txt").write_text(lines("a new one", "second"))
    first(own).rename(first(own).with_name(name))
    read_or_refused(lambda: load_folder(own, size=16).captions,
                    lambda found: ["a new one", "second"] in found[:4] and len(found) == 16,
                    name.removesuffix(".jpg"), "missing")  # fmt: skip


# ---- 3: hidden and odd names --------------------------------------------------------------------


@linux
@pytest.mark.parametrize("name", ["p9.jpg?w=640", "p9.jpg:large", "p9.jpg!d", "p9.jpg&h=300",
                                  "p9.jpg_640x640.jpg", "p9.jpg@!webp"])  # fmt: skip
def test_k03_what_comes_behind_an_address(own, name):  # noqa: F811
    """wget keeps what a site (Unsplash, Twitter, Weibo, AliExpress) puts behind the name."""
    shutil.copy(first(own), own / "class 0" / name)
    (own / "class 0" / "p9.txt").write_text(lines("a new one", "second"))
    read_or_refused(lambda: load_folder(own, size=16).captions,
                    lambda found: ["a new one", "second"] in found, "p9",
                    "missing" if name.endswith(".jpg") else "expected")


@linux
@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK])
@pytest.mark.parametrize("name", ["p9.jpg", "p9.txt", "agent", "p0.jpg", "p0.txt"])
def test_k03_pipes_and_sockets(own, name, kind):  # noqa: F811
    """A script's mkfifo, an agent's socket: whoever reads one waits for ever."""
    before, path = load_folder(own, size=16), own / "class 0" / name
    path.unlink(missing_ok=True)
    os.mknod(path, kind | 0o600)
    found = []

    def tried():
        try:
            found.append(load_folder(own, size=16))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=tried, daemon=True)
    thread.start()
    thread.join(10)
    if not found:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # let it go
        thread.join(10)
        pytest.fail("waits")
    if isinstance(found[0], Exception):
        assert isinstance(found[0], (ValueError, OSError)), found
        assert path.stem in str(found[0]), found
    else:
        assert path.stem != "p0" and same(before, found[0])


def of_its_own(place, name, kinds=("jpg", "txt"), grey=0):
    """A picture of one grey, and its sentence tells which."""
    Image.new("L", (40, 40), grey).save(place / f"{name}.{kinds[0]}", "JPEG")
    (place / f"{name}.{kinds[1]}").write_text(lines(f"grey {grey}", "second"))


def greys_fit(found):
    told = [(int(each[0].split()[1]), image) for each, image in zip(
        found.captions, found.images, strict=True) if each[0].startswith("grey")]  # fmt: skip
    return len(told) if all(abs(int(image.mean()) - grey) < 3 for grey, image in told) else 0


@linux
def test_k03_letters_that_are_alike_in_capitals(own):  # noqa: F811
    """Maße and Masse, p² and p2 are not the same; Busse und Buße are two classes."""
    for number, name in enumerate(("Maße", "Masse", "p²", "ﬂower", "flower")):
        of_its_own(own / "class 0", name, grey=50 * number)
    assert greys_fit(load_folder(own, size=16)) == 5
    (own / "class 0").rename(own / "Busse")
    (own / "class 1").rename(own / "Buße")
    found = load_folder(own, size=16)
    assert {"Busse", "Buße"} < {*found.class_names} and greys_fit(found) == 5


def test_k03_a_mark_before_a_class(own):  # noqa: F811
    """mkdir of each line of a list that Excel saved: the first one begins with its mark."""
    (own / "class 1").rename(own / "\ufeffrose")
    read_or_refused(lambda: load_folder(own, size=16).class_names,
                    lambda found: {"rose", "\ufeffrose"} & {*found}, "rose", "expected")
    (own / "class 0").rename(own / "rose")
    refused(lambda: load_folder(own, size=16), "rose", "\\ufeff", "expected")


@linux
def test_k03_names_that_differ_in_capitals(own):  # noqa: F811
    """A camera's P0.JPG, and the p0.jpg that somebody made of it, each with sentences."""
    of_its_own(own / "class 0", "P0", ("JPG", "TXT"), 200)
    of_its_own(own / "class 0", "p0", grey=20)
    read_or_refused(lambda: load_folder(own, size=16),
                    lambda found: len(found.images) == 17 and greys_fit(found) == 2, "P0", "p0")


# ---- 4: tables and labels -----------------------------------------------------------------------


@pytest.mark.parametrize("table", [*TABLES, "every"])
def test_k04_a_carriage_return_twice(birds, table):  # noqa: F811
    """Python under Windows: open(path, "w").write(text with CR LF)."""
    before = load_birds(birds, size=16, split="published")
    for name in TABLES if table == "every" else (table,):
        (birds / name).write_bytes((birds / name).read_bytes().replace(b"\n", b"\r\r\n"))
    read_or_refused(lambda: load_birds(birds, size=16, split="published"),
                    lambda found: same(before, found), ".txt" if table == "every" else table,
                    "expected")  # fmt: skip


def test_k04_boxes_by_their_corners(birds):  # noqa: F811
    """A converter to VOC wrote left, top, right and bottom: 30 20 100 80 of a photo 120 wide."""
    write_table(birds, "bounding_boxes.txt", ["30 20 100 80"] * 8)
    refused(lambda: load_birds(birds, size=16), "Bird_0001_77.jpg", "box", "120 by 90", "expected")


@pytest.mark.parametrize("how", ["join", "paste"])
def test_k04_two_tables_joined(birds, how):  # noqa: F811
    """join images.txt image_class_labels.txt > images.txt, or paste."""
    before = load_birds(birds, size=16)
    labels = (birds / "image_class_labels.txt").read_text().splitlines()
    names = (birds / "images.txt").read_text().splitlines()
    (birds / "images.txt").write_text(lines(*(
        f"{name}\t{label}" if how == "paste" else f"{name} {label.split()[1]}"
        for name, label in zip(names, labels, strict=True))))  # fmt: skip
    read_or_refused(lambda: load_birds(birds, size=16), lambda found: same(before, found),
                    "images.txt", "expected")


@pytest.mark.parametrize("made", [np.array, lambda names: np.array(names, object)])
def test_k04_splits_by_file_names(flowers, made):  # noqa: F811
    """setid.mat out of lists of files, as dir() gives them: a matrix of letters, or cells."""
    held = {"trnid": [1, 2, 3], "valid": [12, 11], "tstid": [4, 5, 6, 7, 8, 9, 10]}
    savemat(flowers / "setid.mat", {name: made([f"image_{i:05d}.jpg" for i in numbers])
                                    for name, numbers in held.items()})  # fmt: skip
    read_or_refused(lambda: load_flowers(flowers, size=16, split="oxford").splits["train"].tolist(),
                    lambda found: found == [0, 1, 2], "setid.mat", "found", "expected")


@pytest.mark.parametrize("words", [("1", "2"), ("test", "train"), ("no", "yes"), ("0", "-1"),
                                   ("FALSE", "TRUE")])  # fmt: skip
def test_k04_factors_of_r(birds, words):  # noqa: F811
    """as.integer(factor(x)) counts from 1; others write words, or VB's -1 for true."""
    write_table(birds, "train_test_split.txt", [words[x] for x in (0, 1, 1, 0, 1, 1, 0, 0)])
    read_or_refused(lambda: load_birds(birds, size=16, split="published").splits["train"].tolist(),
                    lambda found: found == [1, 2, 4, 5], "train_test_split.txt, line", "found",
                    "expected")  # fmt: skip


# ---- 5: pickles ---------------------------------------------------------------------------------


def test_k05_a_long_text_of_windows(tmp_path):
    """Python 2 under Windows, pickle.dump(rows, open(path, "w")): the time grows with the rows."""
    took = {}
    for n in (200, 400):
        table = arrays(n=n, t=256)
        (tmp_path / "x.pickle").write_bytes(Python2(0).dumps(table).replace(b"\n", b"\r\n"))
        began = time.monotonic()
        found = read_pickle(tmp_path / "x.pickle")
        took[n] = time.monotonic() - began
        assert all(map(np.array_equal, found, table))
    assert took[400] < 3 * took[200] + 0.5 and took[400] < 10, took


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_k05_rows_of_a_memory_map(tmp_path, protocol):
    """list(np.load(path, mmap_mode="r")): each row is a numpy.memmap."""
    write_pickles(tmp_path / "train", arrays(t=4))
    np.save(tmp_path / "x.npy", np.stack(arrays(t=4)))
    rows = list(np.load(tmp_path / "x.npy", mmap_mode="r"))
    (tmp_path / "train" / FILES[0]).write_bytes(pickle.dumps(rows, protocol))
    read_or_refused(lambda: load_embeddings(tmp_path / "train").embeddings.numpy(),
                    lambda found: np.array_equal(found, np.stack(arrays(t=4))), FILES[0], "memmap",
                    "expected")  # fmt: skip


@pytest.mark.parametrize("numbers", [(90210001, 7, 10**12), (2**62, 2**62 - 1, 2**40)])
def test_k05_classes_are_keys_of_a_database(tmp_path, monkeypatch, numbers):
    """Somebody's classes are keys: few of them, and large."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    keys = [*numbers, 90210002, 5, 10**11]
    for part, rows in (("train", range(24)), ("test", range(24, 36))):
        classes = [keys[i % 4 if i < 24 else 4 + i % 2] for i in rows]
        (data_dir / part / FILES[2]).write_bytes(pickle.dumps(classes, 2))
    began = time.monotonic()
    read_or_refused(lambda: load_embedded(data_dir, image_dir, 16)[0],
                    lambda found: len(found.classes.unique()) == 6, FILES[2], "expected")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("file", range(3))
@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
def test_k05_saved_by_an_editor_of_today(tmp_path, protocol, file):
    """VS Code opened it and saved it: each byte that is no UTF-8 is EF BF BD."""
    write_pickles(tmp_path / "train", arrays(t=4))
    content = pickle.dumps((arrays(t=4), NAMES, [2, 200, 70000])[file], protocol)
    changed = content.decode("utf-8", "replace").encode()
    (tmp_path / "train" / FILES[file]).write_bytes(changed)
    read_or_refused(lambda: load_embeddings(tmp_path / "train"),
                    lambda found: changed == content, FILES[file], "found", "expected")


Row = namedtuple("Row", "a b c")


@pytest.mark.parametrize("made", [
    lambda x: OrderedDict(zip(NAMES, x, strict=True)),
    lambda x: defaultdict(list, zip(NAMES, x, strict=True)),
    lambda x: Counter(dict(zip(NAMES, range(3), strict=True))),
    deque, lambda x: set(map(str, x)), lambda x: frozenset(map(str, x)), lambda x: Row(*x),
    lambda x: np.array([tuple(map(float, range(3)))], "f4,f4,f4"), bytearray, lambda x: {},
])  # fmt: skip
@pytest.mark.parametrize("file", range(3))
def test_k05_other_holders_of_python(tmp_path, made, file):
    """OrderedDict, defaultdict, Counter, deque, set, namedtuple and others of the same things."""
    write_pickles(tmp_path / "train", arrays(t=4))
    held = (arrays(t=4), NAMES, [2, 7, 9])[file]
    if made is bytearray:
        held = range(3)
    (tmp_path / "train" / FILES[file]).write_bytes(pickle.dumps(made(held), 4))
    read_or_refused(lambda: load_embeddings(tmp_path / "train"),
                    lambda found: (found.file_names == NAMES and found.classes.tolist() == [2, 7, 9]
                                   and np.array_equal(found.embeddings, np.stack(arrays(t=4)))),
                    FILES[file], "found", "expected")  # fmt: skip


# ---- 6: layouts ---------------------------------------------------------------------------------


def test_k06_attngans_layout(birds, tmp_path):  # noqa: F811
    """AttnGAN's birds/: CUB_200_2011/, text/ beside it, its pickles; data_dir is birds."""
    before = load_birds(birds, size=16)
    place = tmp_path / "data" / "birds"
    place.mkdir(parents=True)
    birds.rename(place / "CUB_200_2011")
    (place / "CUB_200_2011" / "text_c10").rename(place / "text")
    left(place, "captions.pickle", "train/filenames.pickle", "test/filenames.pickle",
         "example_captions.txt", "example_filenames.txt", "text.zip")  # fmt: skip
    assert same(before, load_birds(place, size=16))


def test_k06_unpacked_into_itself(flowers, tmp_path):  # noqa: F811
    """mkdir jpg; tar xzf 102flowers.tgz -C jpg"""
    before = load_flowers(flowers, size=16)
    (flowers / "jpg").rename(tmp_path / "jpg")
    (flowers / "jpg").mkdir()
    (tmp_path / "jpg").rename(flowers / "jpg" / "jpg")
    read_or_refused(lambda: load_flowers(flowers, size=16), lambda found: same(before, found),
                    "missing for 12 of 12", str(flowers / "jpg"))


def test_k06_sentences_by_the_names_of_flowers(flowers):  # noqa: F811
    """Kaggle's cat_to_name: text_c10/pink primrose/image_00002.txt."""
    before = load_flowers(flowers, size=16)
    for number, name in enumerate(("pink primrose", "hard-leaved orchid", "canterbury bells"), 1):
        (flowers / "text_c10" / f"class_{number:05d}").rename(flowers / "text_c10" / name)
    read_or_refused(lambda: load_flowers(flowers, size=16).captions,
                    lambda found: found == before.captions, "missing for 12 of 12", "class_0000",
                    str(flowers))  # fmt: skip


def test_k06_two_whole_sets_one_in_the_other(flowers, birds, tmp_path):  # noqa: F811
    """An older copy lies within the set, as flowers-102/ or CUB_200_2011/: the given one counts."""
    for load_, folder, inner in ((load_flowers, flowers, "flowers-102"),
                                 (load_birds, birds, "CUB_200_2011")):  # fmt: skip
        shutil.copytree(folder, tmp_path / inner)
        for path in (tmp_path / inner / "text_c10").rglob("*.txt"):
            path.write_text(path.read_text().replace("Sentence", "Older"))
        (tmp_path / inner).rename(folder / inner)
        assert load_(folder, size=16).captions[0][0].startswith("sentence 0")


def test_k06_what_lies_in_stackgans_archive(tmp_path, monkeypatch):
    """76images.pickle and 304images.pickle, of gigabytes, are not for us: neither read nor run."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    before = load_embedded(data_dir, image_dir, 16)[0]
    hostile = b"cos\nmkdir\n(V" + str(tmp_path / "ran").encode() + b"\ntR."
    for part in ("train", "test"):
        (data_dir / part / "76images.pickle").write_bytes(hostile)
        (data_dir / part / "304images.pickle").write_bytes(b"\x80\x02]")
        (data_dir / part / "skip-thought-embeddings.pickle").write_bytes(hostile)
    left(data_dir, "example_captions/1.t7", "README.md", "readme")
    assert same(before, load_embedded(data_dir, image_dir, 16)[0])
    assert not (tmp_path / "ran").exists()


# ---- 7: own folders and options -----------------------------------------------------------------


@pytest.mark.parametrize(("option", "given", "means"), [
    ("batch_size", "4", 4), ("batch_size", 4.0, 4), ("batch_size", None, None),
    ("batch_size", -1, None), ("batch_size", 2.5, None), ("batch_size", np.int64(4), 4),
    ("seed", "0", 0), ("seed", None, None), ("seed", 1.5, None), ("seed", np.int64(3), 3),
    ("mean_of", "1", 1), ("mean_of", 0, None), ("mean_of", 1.5, None), ("mean_of", np.int64(2), 2),
    ("near_misses", "1", 1), ("near_misses", None, None), ("near_misses", 2.5, None),
    ("split", "Train", None), ("split", None, None), ("split", 0, None), ("split", ["train"], None),
])  # fmt: skip
def test_k07_options_of_batches_out_of_a_form(no_annotations, own, option, given, means):  # noqa
    """A form's text, a YAML's 4.0, an array's number, nothing: as meant, or told by its name."""
    data = load_folder(own, size=16)
    table = torch.randn(16, 2, 8, generator=torch.Generator().manual_seed(0))
    options = {"split": "train", "batch_size": 4, "seed": 0, "mean_of": 1, "near_misses": 1}

    def right(found):
        one = Batches(data, table, **options | {option: means})[0] if means is not None else None
        return one is not None and torch.equal(one.images, found.images) and torch.equal(
            one.wrong_sentences, found.wrong_sentences)  # fmt: skip

    try:
        found = Batches(data, table, **options | {option: given})
    except (ValueError, TypeError) as error:
        assert option.split("_")[0] in str(error), error
    else:
        assert right(found[0])


@pytest.mark.parametrize("given", ["exchanged", "pickles twice", "images twice", "no images",
                                   "no pickles", "nothing"])  # fmt: skip
def test_k07_embeddings_and_photos_exchanged(no_annotations, tmp_path, monkeypatch, given):
    """load_embedded takes two folders: in the wrong order, one for both, one forgotten."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, _ = write_all(tmp_path, width=4)
    places = {"exchanged": (images, pickles), "pickles twice": (pickles, pickles),
              "images twice": (images, images), "no images": (pickles, None),
              "no pickles": (None, images), "nothing": (None, None)}[given]
    word = {"exchanged": str(images), "pickles twice": str(pickles), "images twice": str(images),
            "no images": "image_dir", "no pickles": "data_dir", "nothing": "data_dir"}[given]
    refused(lambda: load_embedded(*places, 16), word, "expected")


@pytest.mark.parametrize("answer", ["ndarray", "halves of numpy", "tensors", "lists", "rows"])
def test_k07_an_encoder_of_sentence_transformers(no_annotations, own, answer):  # noqa: F811
    """data.encode(model.encode): an ndarray unless told otherwise, or a list of tensors."""
    data = load_folder(own, size=16)
    made = {"ndarray": lambda x: x.numpy(), "halves of numpy": lambda x: x.numpy().astype("f2"),
            "tensors": list, "lists": lambda x: x.tolist(), "rows": lambda x: [*x.numpy()]}[answer]

    def encode(sentences):
        return made(torch.tensor([[float(len(x)), 1.0] for x in sentences]))

    read_or_refused(lambda: data.encode(encode),
                    lambda found: found[3].tolist() == [[len(x), 1] for x in TWO],
                    "ndarray" if "num" in answer or "ndarray" in answer else "list", "expected")


@linux
@pytest.mark.parametrize("given", ["/", "/proc", "/usr", "/etc/"])
def test_k07_an_empty_variable(own, given):  # noqa: F811
    """data_dir = f"{PHOTOS}/" where PHOTOS is empty: the whole disk is no folder of classes."""
    found = []

    def tried():
        try:
            found.append(load_folder(given, size=16))
        except Exception as error:
            found.append(error)

    began = time.monotonic()
    thread = threading.Thread(target=tried, daemon=True)
    thread.start()
    thread.join(30)
    assert found and time.monotonic() - began < 15, "waits"
    assert isinstance(found[0], (ValueError, OSError)), found
    told = "expected" in str(found[0]) or str(found[0].filename).startswith(given)
    assert told and given.rstrip("/") in str(found[0]), found


@pytest.mark.parametrize(("split", "photos"), [
    ("trnid", []), ("trnid", [2, 4]), ("trnid", [3]), ("tstid", []), ("tstid", [8, 10])])
def test_k07_a_cut_whose_split_is_of_one_class(flowers, split, photos):  # noqa: F811
    """A teacher's cut, split="oxford": no photo, or those of one class, to train or to test on."""
    rest = [i for i in range(1, 13) if i not in (*photos, 12, 11)]
    savemat(flowers / "setid.mat", {
        "valid": [[12, 11]], split: np.array([photos], float),
        "tstid" if split == "trnid" else "trnid": [rest]})  # fmt: skip
    try:
        found = load_flowers(flowers, size=16, split="oxford")
    except ValueError as error:
        assert "setid.mat" in str(error) and "expected" in str(error), error
    else:
        name = {"trnid": "train", "tstid": "test"}[split]
        assert len(found.splits[name]) == len(photos) > 0
        refused(lambda: Batches(found, torch.zeros(12, 10, 4), name, 2, seed=0)[0], name)


# ---- 8: caches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", range(3))
def test_k08_pickles_put_right_in_their_place(tmp_path, monkeypatch, file):
    """A pickle is put right, its size and its date are kept: its bytes are what counts."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    before, table = load_embedded(data_dir, image_dir, 16)
    captions, table = before.captions, table.clone()
    path = data_dir / "train" / FILES[file]
    was, content = path.stat(), pickle.loads(path.read_bytes(), encoding="latin-1")
    content[0], content[1] = content[1], content[0]
    new = Python2(2).dumps(content)
    assert len(new) == was.st_size
    path.write_bytes(new)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    after, found = load_embedded(data_dir, image_dir, 16)
    if file == 2:
        assert after.classes.tolist()[:3] == [1, 0, 2]
    else:
        names = [each[0] for each in after.captions]
        rows = [names.index(captions[i][0]) for i in (0, 1, 2)]
        assert torch.equal(found[rows], table[[1, 0, 2]])


@pytest.mark.parametrize("damage", ["a bit", "cut", "zeros", "grown", "empty"])
def test_k08_damage_in_what_is_stored_of_embeddings(tmp_path, monkeypatch, damage):
    """A worn disk: each file of the cache in turn, the embeddings among them."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    places = write_all(tmp_path, width=64)[:2]
    before, table = load_embedded(*places, 16)
    pixels, table = np.array(before.images), table.clone()
    names = sorted(x.relative_to(tmp_path) for x in (tmp_path / "cache").rglob("*") if x.is_file())
    assert len(names) > 2
    for name in names:
        content = (tmp_path / name).read_bytes()
        half = len(content) // 2
        changed = {"a bit": content[:half] + bytes(x ^ 4 for x in content[half : half + 1])
                   + content[half + 1 :], "cut": content[: len(content) * 2 // 3],
                   "zeros": content[:half] + bytes(len(content) - half),
                   "grown": content + b"\n", "empty": b""}[damage]
        (tmp_path / name).write_bytes(changed)
        found, numbers = load_embedded(*places, 16)
        assert torch.equal(numbers, table) and np.array_equal(found.images, pixels), name
        assert found.captions == before.captions


@pytest.mark.parametrize("kind", ["folder", "blooms"])
@pytest.mark.parametrize("how", ["unix2dos", "dos2unix", "a line's end"])
def test_k08_a_cache_through_text_mode(own, tmp_path, monkeypatch, kind, how):  # noqa: F811
    """The cache came along by FTP in text mode, or by git's autocrlf."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))

    def read():
        return load_blooms(40, 16) if kind == "blooms" else load_folder(own, size=16)

    before = read()
    pixels, captions = np.array(before.images), before.captions
    for path in [*(tmp_path / "cache").rglob("*")]:
        if path.is_file():
            content = path.read_bytes()
            path.write_bytes({"unix2dos": content.replace(b"\n", b"\r\n"),
                              "dos2unix": content.replace(b"\r", b""),
                              "a line's end": content + b"\r\n"}[how])  # fmt: skip
    for _ in range(2):
        found = read()
        assert np.array_equal(found.images, pixels) and found.captions == captions


@linux
def test_k08_a_home_that_nobody_can_write(own, monkeypatch):  # noqa: F811
    """docker run --user 1000: HOME is a place that does not take files; T2I_CACHE is not set."""
    monkeypatch.delenv("T2I_CACHE")
    monkeypatch.setenv("HOME", "/proc")
    refused(lambda: load_folder(own, size=16), "/proc/.cache", "T2I_CACHE")
    refused(lambda: load_blooms(20, 16), "/proc/.cache", "T2I_CACHE")


def test_k08_a_photo_more_and_one_less(flowers, birds):  # noqa: F811
    """After all was cached, somebody adds image_00013.jpg, and takes a bird's photo away."""
    load_flowers(flowers, size=16), load_birds(birds, size=16)
    shutil.copy(flower_photo(flowers, 1), flower_photo(flowers, 13))
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat", "12", "13", "expected")
    flower_photo(flowers, 13).unlink()
    flower_captions(flowers, 12).unlink()
    refused(lambda: load_flowers(flowers, size=16), "missing for 1 of 12", "image_00012.txt")
    bird_photo(birds, 5).unlink()
    refused(lambda: load_birds(birds, size=16), "missing for 1 of 8", "Bird_0005_77.jpg")


# ---- 9: archives --------------------------------------------------------------------------------


def packed(path, members, mode):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_k09_packed_twice(tmp_path):
    """wget saved what the server had packed once more on its way (Content-Encoding: gzip)."""
    path = packed(tmp_path / "birds.tgz", {"birds/1.jpg": b"one" * 99}, "w:gz")
    path.write_bytes(gzip.compress(path.read_bytes()))
    read_or_refused(lambda: unpacked(path), lambda found: found == {"birds/1.jpg": b"one" * 99},
                    "birds.tgz")
    assert {x.name for x in tmp_path.iterdir()} <= {"birds.tgz", "all"}


class Pipe(io.RawIOBase):
    """What can be written to and never gone back in."""

    def __init__(self):
        self.content = b""

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_k09_a_zip_that_was_streamed(tmp_path, method):
    """Drive's or Nextcloud's "download all": sizes behind the members, in fields of 64 bits."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as file:
        for name in ("birds/1.jpg", "birds/Blüte.jpg"):
            with file.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                member.write(BODY[:5000])
    assert b"PK\7\10" in pipe.content
    (tmp_path / "birds.zip").write_bytes(pipe.content)
    assert unpacked(tmp_path / "birds.zip") == {
        "birds/1.jpg": BODY[:5000], "birds/Blüte.jpg": BODY[:5000]}


@pytest.mark.parametrize("kind", ["tar.xz", "tar.gz", "tar.bz2", "zip"])
def test_k09_many_small_texts(tmp_path, kind):
    """Reed's sentences: thousands of small files, which pack to a fiftieth of a tar's size."""
    members = {f"text_c10/class_{i % 9:05d}/image_{i:05d}.txt": lines(
        *(f"this flower is number {j} of {i}" for j in range(10))).encode() for i in range(3000)}
    path = tmp_path / f"text.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
    else:
        packed(path, members, f"w:{kind[4:]}")
    assert unpacked(path) == members


def test_k09_a_name_and_a_password(server, tmp_path):  # noqa: F811
    """A school's server: http://class:secret@server/birds.tgz, as a browser takes it."""
    url = server.url.replace("http://", "http://class:secret@")
    read_or_refused(lambda: fetch(url, tmp_path / "birds.tgz", sha256(BODY)).read_bytes(),
                    lambda found: found == BODY, "127.0.0.1", "birds.tgz")
    assert {x.name for x in tmp_path.iterdir()} <= {"birds.tgz"}


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_k09_a_schools_own_certificate(tmp_path, monkeypatch):
    """A school's proxy looks into https, and signs for every server by itself."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    key = str(tmp_path / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", key + ".crt", "-subj", "/CN=127.0.0.1", "-days", "2"], check=True,
                   capture_output=True)  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(key + ".crt", key)
    (tmp_path / "there").mkdir()
    with HTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler,
                                                        directory=tmp_path)) as proxy:
        proxy.handle_error = lambda *_: None
        proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        url = f"https://127.0.0.1:{proxy.server_port}/birds.tgz"
        try:
            with pytest.raises(OSError) as told:
                fetch(url, tmp_path / "there" / "birds.tgz", sha256(BODY))
        finally:
            proxy.shutdown()
            thread.join()
    assert url in str(told.value) and "certificate" in str(told.value).lower(), told.value
    assert not [*(tmp_path / "there").iterdir()]


# ---- 10: second load, conversions ---------------------------------------------------------------


def test_k10_birds_of_full_size(tmp_path, monkeypatch):
    """CUB as it is: 11,788 photos of 200 kinds. The second load looks at few, and reads none."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "CUB_200_2011"
    names = [f"{i % 200 + 1:03d}.Bird_{i % 200 + 1}/Bird_{i:05d}.jpg" for i in range(11_788)]
    NOISE.resize((24, 18)).save(tmp_path / "one.jpg")
    for number in range(200):
        kind = f"{number + 1:03d}.Bird_{number + 1}"
        (place / "images" / kind).mkdir(parents=True)
        (place / "text_c10" / kind).mkdir(parents=True)
        (tmp_path / f"{number}.txt").write_text(lines(*(f"bird {number}, {j}" for j in range(10))))
    for i, name in enumerate(names):
        (place / "images" / name).hardlink_to(tmp_path / "one.jpg")
        (place / "text_c10" / name).with_suffix(".txt").hardlink_to(tmp_path / f"{i % 200}.txt")
    write_table(place, "images.txt", names)
    write_table(place, "image_class_labels.txt", [i % 200 + 1 for i in range(11_788)])
    write_table(place, "bounding_boxes.txt", ["5.0 4.0 8.0 8.0"] * 11_788)
    write_table(place, "train_test_split.txt", [i % 2 for i in range(11_788)])
    write_table(place, "classes.txt", [f"{i + 1:03d}.Bird_{i + 1}" for i in range(200)])
    reads_once(lambda: load_birds(place, size=16), monkeypatch)
    looks, plain = [], os.stat
    monkeypatch.setattr(os, "stat", lambda path, **x: looks.append(path) or plain(path, **x))
    load_birds(place, size=16)
    assert len(looks) < 2000, len(looks)


@pytest.mark.parametrize("given", ["0 to 1", "-1 to 1", "numpy 0 to 1"])
def test_k10_pictures_that_are_floats_already(no_annotations, given):
    """torchvision's ToTensor gives 0 to 1; a cell is run twice: images = to_unit(images)."""
    pixels = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    images = {"0 to 1": pixels / 255, "-1 to 1": to_unit(pixels.byte()),
              "numpy 0 to 1": (pixels / 255).numpy()}[given]
    with pytest.raises((ValueError, TypeError), match="expected"):
        to_unit(images)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_k10_another_kind_of_floats_for_all(own, flowers, birds, tmp_path, kind):  # noqa: F811
    """torch.set_default_dtype(torch.float64), somewhere above in the notebook."""
    places = write_all(tmp_path / "x", width=4)[:2]
    table = torch.randn(16, 2, 8)

    def read():
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        data = load_folder(own, size=16)
        batch = Batches(data, table, "train", 4, seed=0, mean_of=2)[1]
        bytes_ = torch.arange(256, dtype=torch.uint8)
        embedded, stored = load_embedded(*places, 16)
        blooms = load_blooms(40, 16)
        units = to_unit(bytes_)
        return [batch.images, batch.embedding, batch.wrong_embedding, batch.pictures, units,
                to_bytes(units), stored, *(torch.tensor(np.array(x.images)) for x in (
                    data, embedded, blooms, load_flowers(flowers, 16), load_birds(birds, 16))),
                *data.splits.values(), blooms.attributes]  # fmt: skip

    before = read()
    try:
        torch.set_default_dtype(kind)
        after = read()
    finally:
        torch.set_default_dtype(torch.float32)
    for number, (one, two) in enumerate(zip(before, after, strict=True)):
        assert one.dtype == two.dtype and torch.equal(one, two), number


@linux
@pytest.mark.parametrize("name", ["my\nphotos", "photos\r", "x" * 250, "a\tb\x1b[31m"])
def test_k10_a_folder_of_an_odd_name_in_a_cell(own, flowers, name):  # noqa: F811
    """A folder called with a break in it, or by a whole sentence: the cell shows one line."""
    for load_, folder in ((load_folder, own), (load_flowers, flowers)):
        folder = folder.rename(folder.with_name(name))
        data = load_(folder, size=16)
        batches = Batches(data, torch.randn(len(data.images), data.sentences_each, 4), "train", 2,
                          seed=0)  # fmt: skip
        for shown in (repr(data), str(data), repr(batches), repr(batches[0])):
            assert len(shown.splitlines()) == 1 and shown.isprintable(), shown
        folder.rename(folder.with_name("done " + load_.__name__))


def test_k10_pictures_of_other_classes():
    """torchvision.tv_tensors.Image out of read_image and v2; a Parameter that is a picture."""
    pixels = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    given = tv_tensors.Image(pixels.clone())
    units = to_unit(given)
    assert units.dtype == torch.float32 and torch.equal(torch.as_tensor(units), to_unit(pixels))
    assert torch.equal(torch.as_tensor(given), pixels)
    assert torch.equal(torch.as_tensor(to_bytes(tv_tensors.Image(to_unit(pixels)))), pixels)
    drawn = torch.nn.Parameter(to_unit(pixels))
    found = to_bytes(drawn)
    assert torch.equal(found, pixels) and not found.requires_grad and drawn.requires_grad
    assert torch.equal(drawn.detach(), to_unit(pixels))
