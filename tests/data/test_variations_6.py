"""Five variations of each of ten kinds of other people's files, invented blind: read or refused.

The names count the kinds, as in `test_variations_5.py`; nothing of those files is tried again.
"""

import array
import io
import os
import pickle
import shutil
import socket
import struct
import sys
import tarfile
import threading
import unicodedata
import uuid
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features
from scipy.io import savemat

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all, write_part  # noqa: E402
from test_archives import BODY, sha256  # noqa: E402
from test_archives import server as server  # noqa: E402
from test_birds import captions as bird_captions  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_birds import photo as bird_photo  # noqa: E402
from test_birds import write_table  # noqa: E402
from test_embeddings import NAMES, Python2, arrays  # noqa: E402
from test_embeddings import write as write_pickles  # noqa: E402
from test_explored import EXCHANGED  # noqa: E402
from test_flowers import LABELS  # noqa: E402
from test_flowers import captions as flower_captions  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_other_peoples_files import TWO, first, linux  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402
from test_variations import (  # noqa: E402
    UPRIGHT,
    batches,
    bytes_of,
    edited,
    read_or_refused,
    refused,
    same,
    unchecked,
    upright,
    with_first,
)
from test_variations_2 import no_annotations as no_annotations  # noqa: E402
from test_variations_2 import unpacked  # noqa: E402
from test_variations_4 import NOISE, lines  # noqa: E402

from t2i_utils.__main__ import main  # noqa: E402
from t2i_utils.data import embeddings, load, photographs, pictures  # noqa: E402
from t2i_utils.data.archives import fetch  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.blooms import load_blooms  # noqa: E402
from t2i_utils.data.captioned import to_unit  # noqa: E402
from t2i_utils.data.embedded import load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402

ACTS = (ValueError, OSError, TypeError)

# ---- 1: pictures --------------------------------------------------------------------------------


def grey_profile():
    """A profile of greys whose numbers are amounts of light: gamma 1."""
    d50 = struct.pack(">4i", 0, 63190, 65536, 54061)
    tags = {b"wtpt": b"XYZ " + d50, b"kTRC": b"curv" + struct.pack(">IIHxx", 0, 1, 256),
            b"cprt": b"text\0\0\0\0none\0\0\0\0",
            b"desc": b"desc" + struct.pack(">II", 0, 5) + b"grey\0" + bytes(79)}  # fmt: skip
    at, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", at + len(body), b"lcms", 0x02400000, b"scnr", b"GRAY",
                       b"XYZ ", struct.pack(">6H", 2024, 1, 1, 0, 0, 0), b"acsp") + bytes(28)
    return (head + d50[4:]).ljust(128, b"\0") + table + body


@pytest.mark.parametrize("mode", ["L jpg", "L png", "LA png", "I;16 png"])
def test_k01_greys_of_a_scanner(own, mode):  # noqa: F811
    """A scanner's or Photoshop's grey picture, whose profile says gamma 1.0."""
    mode, kind = mode.split()
    picture = Image.new(mode, (40, 40), {"L": 90, "LA": (90, 255), "I;16": 90 * 257}[mode])
    content = bytes_of(picture, kind.upper().replace("JPG", "JPEG"), icc_profile=grey_profile())
    read_or_refused(lambda: with_first(own, content, kind),
                    lambda image: np.abs(image - 161).max() < 6, "p0", "expected")  # fmt: skip


def test_k01_a_picture_out_of_an_iphones_app(own):  # noqa: F811
    """Xcode packs an app's PNGs its own way: a part CgBI, no head of zlib's, blue before red."""
    rows = b"".join(b"\0" + bytes((10, 40, 200, 255)) * 40 for _ in range(40))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(rows) + packer.flush()
    parts = ((b"CgBI", b"P\0 \6"), (b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 6, 0, 0, 0)),
             (b"IDAT", data), (b"IEND", b""))  # fmt: skip
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(x)) + name + x + struct.pack(">I", zlib.crc32(name + x))
        for name, x in parts)
    right = np.array([200, 40, 10])[:, None, None]
    read_or_refused(lambda: with_first(own, content),
                    lambda image: np.abs(image - right).max() < 3, "p0.png")


@pytest.mark.skipif(not features.check("avif"), reason="a Pillow without AVIF")
@pytest.mark.parametrize("orientation", range(2, 9))
def test_k01_avif_that_is_turned(own, orientation):  # noqa: F811
    """A phone's AVIF, called .jpg by a messenger: the turn is a property of the file, not EXIF."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = UPRIGHT.transpose(Image.Transpose(back))
    content = bytes_of(stored, "AVIF", quality=95, exif=exif)
    read_or_refused(lambda: with_first(own, content, "jpg"), upright, "p0.jpg", "expected")


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n", b" \r\n",
                                    b"<br />\n<b>Warning</b>: Undefined index in <b>i.php</b>\n"])
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_k01_something_before_the_picture(own, before, kind):  # noqa: F811
    """A site's PHP gives its mark, a line's end or a warning before the picture."""
    content = bytes_of(NOISE, kind.upper().replace("JPG", "JPEG"))
    plain = with_first(own, content, kind)
    read_or_refused(lambda: with_first(own, before + content, kind),
                    lambda image: np.array_equal(image, plain), f"p0.{kind}", "expected")


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_k01_a_cut_out_with_everything(own, kind):  # noqa: F811
    """A phone's cut-out: a turn, a profile, a half shadow, hidden colours where it is clear."""
    picture = Image.new("RGBA", (120, 90), (255, 0, 255, 0))
    picture.paste((200, 40, 10, 128), (0, 30, 120, 60))
    picture.paste((200, 40, 10, 255), (0, 60, 120, 90))
    exif = Image.Exif()
    exif[0x0112] = 6
    content = bytes_of(picture.transpose(Image.Transpose.ROTATE_90), kind.upper(), exif=exif,
                       icc_profile=EXCHANGED, **({"lossless": True, "exact": True}
                                                 if kind == "webp" else {}))  # fmt: skip
    image = with_first(own, content, kind)
    for rows, colour in (((0, 5), (255, 255, 255)), ((8, 11), (132, 147, 227)),
                         ((14, 19), (10, 40, 200))):  # fmt: skip
        assert np.abs(image[:, slice(*rows)] - np.array(colour)[:, None, None]).max() < 7, rows


# ---- 2: sentences -------------------------------------------------------------------------------


def test_k02_marks_that_cub_was_published_with(birds):  # noqa: F811
    """Reed's sentences of CUB hold U+FFFD twice, as AttnGAN's code knows: they stand."""
    path = bird_captions(birds, 3)
    path.write_text(path.read_text().replace("of Bird", "of\ufffd\ufffdBird"), encoding="utf-8")
    assert load_birds(birds, size=16).captions[2][4] == "sentence 4 of\ufffd\ufffdbird 3."


def test_k02_a_folder_called_as_the_sentences(own):  # noqa: F811
    """TextEdit saved p0.rtfd, as there was a picture in it; renamed p0.txt, which is a folder."""
    first(own, "txt").unlink()
    first(own, "txt").mkdir()
    (first(own, "txt") / "TXT.rtf").write_text("{\\rtf1 a red flower\\par}")
    refused(lambda: load_folder(own, size=16), "p0.txt")


@pytest.mark.parametrize("order", ["le", "be"])
def test_k02_a_mark_of_the_other_order(own, flowers, order):  # noqa: F811
    """dd conv=swab, or a wrong export: the mark says one order of UTF-16, the bytes are another."""
    mark = "\ufeff".encode(f"utf-16-{'be' if order == 'le' else 'le'}")
    for path, load_, folder in ((first(own, "txt"), load_folder, own),
                                (flower_captions(flowers, 4), load_flowers, flowers)):
        path.write_bytes(mark + path.read_text().encode(f"utf-16-{order}"))
        refused(lambda load_=load_, folder=folder: load_(folder, size=16), path.name)


def test_k02_records_of_a_fixed_length(own):  # noqa: F811
    """A program in C or COBOL writes 80 letters a sentence, filled up with NULs or with blanks."""
    before = load_folder(own, size=16)
    first(own, "txt").write_text(lines(*(x.ljust(80) for x in TWO)))
    assert same(before, load_folder(own, size=16))
    first(own, "txt").write_text(lines(*(x.ljust(80, "\0") for x in TWO)))
    refused(lambda: load_folder(own, size=16), "p0.txt", "found", "expected")


def test_k02_words_bullets(own):  # noqa: F811
    """Copied out of Word: the bullet of its font of symbols, U+F0B7, and a tab, before each."""
    first(own, "txt").write_text(lines(*(f"\uf0b7\t{x}" for x in TWO)), encoding="utf-8")
    assert load_folder(own, size=16).captions[0] == [f"\uf0b7\t{x}" for x in TWO]


# ---- 3: hidden and odd names --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trash", "Trash", "recycled", "originals", "Originals", "thumbs",
                                  "cache", "tmp", "lost", "previews", "versions"])
def test_k03_classes_called_as_tools_folders(own, name):  # noqa: F811
    """TrashNet has a class "trash", fakes have "originals", gestures "thumbs": with sentences."""
    shutil.copytree(own / "class 3", own / name)
    read_or_refused(lambda: load_folder(own, size=16),
                    lambda found: name in found.class_names and len(found.images) == 20, name)


def test_k03_a_macs_screenshots(own):  # noqa: F811
    """macOS writes U+202F before PM; whoever types the name of the sentences writes a blank."""
    name = "Screenshot 2024-05-01 at 9.41.00{}PM"
    first(own).rename(own / "class 0" / (name.format("\u202f") + ".jpg"))
    first(own, "txt").write_text(lines("the screen", "second"))
    first(own, "txt").rename(own / "class 0" / (name.format("\u202f") + ".txt"))
    assert ["the screen", "second"] in load_folder(own, size=16).captions[:4]
    (own / "class 0" / (name.format("\u202f") + ".txt")).rename(
        own / "class 0" / (name.format(" ") + ".txt"))  # fmt: skip
    refused(lambda: load_folder(own, size=16), "missing", "Screenshot 2024-05-01 at 9.41.00")


@linux
@pytest.mark.parametrize("turned", [False, True])
def test_k03_accents_half_in_parts(own, turned):  # noqa: F811
    """Vietnamese by Windows-1258, ê and a dot below it: neither the one form nor the other."""
    one, half = "huệ 1", "hu\u00ea\u0323 1"
    assert unicodedata.normalize("NFC", half) == unicodedata.normalize("NFC", one) != half
    picture, text = (half, one) if turned else (one, half)
    first(own).rename(own / "class 0" / f"{picture}.jpg")
    first(own, "txt").write_text(lines("a tuberose", "second"))
    first(own, "txt").rename(own / "class 0" / f"{text}.txt")
    assert ["a tuberose", "second"] in load_folder(own, size=16).captions[:4]


def test_k03_a_folder_called_as_a_picture(own):  # noqa: F811
    """wget -r made a folder p9.jpg, and index.html in it."""
    before = load_folder(own, size=16)
    (own / "class 0" / "p9.jpg").mkdir()
    (own / "class 0" / "p9.jpg" / "index.html").write_text("<html>")
    read_or_refused(lambda: load_folder(own, size=16), lambda found: same(before, found), "p9.jpg")
    (own / "class 0" / "p9.txt").write_text(lines(*TWO))
    refused(lambda: load_folder(own, size=16), "class 0/p9", "found", "expected")


@linux
def test_k03_a_script_with_the_line_ends_of_windows(own):  # noqa: F811
    """cp "$a" "$b" in a script with CR LF: each name of a fifth class ends in a CR."""
    (own / "class 4").mkdir()
    for path in (own / "class 3").iterdir():
        shutil.copy(path, own / "class 4" / f"{path.name}\r")
    read_or_refused(lambda: load_folder(own, size=16),
                    lambda found: "class 4" in found.class_names, "class 4", "expected")


# ---- 4: tables and labels -----------------------------------------------------------------------


def mat_of_high_bytes_first(path, **rows):
    """MATLAB 5 as a machine writes it that stores the high byte first."""
    def part(kind, data):
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    content = b"MATLAB 5.0 MAT-file, Platform: SOL2".ljust(124) + b"\1\0MI"
    for name, row in rows.items():
        content += part(14, part(6, struct.pack(">II", 6, 0)) + part(
            5, struct.pack(">ii", 1, len(row))) + part(1, name.encode()) + part(
            9, np.array(row, ">f8").tobytes()))
    path.write_bytes(content)


def test_k04_a_machine_of_high_bytes_first(flowers):  # noqa: F811
    """MATLAB 5 on a Sun, or Octave on a PowerPC: the mark is MI."""
    before = load_flowers(flowers, size=16, split="oxford")
    mat_of_high_bytes_first(flowers / "imagelabels.mat", labels=LABELS)
    mat_of_high_bytes_first(flowers / "setid.mat", trnid=[1, 2, 3], valid=[12, 11],
                            tstid=[4, 5, 6, 7, 8, 9, 10])  # fmt: skip
    after = load_flowers(flowers, size=16, split="oxford")
    assert same(before, after) and torch.equal(before.classes, after.classes)
    assert all(torch.equal(before.splits[x], after.splits[x]) for x in before.splits)


@pytest.mark.parametrize("table", ["images.txt", "image_class_labels.txt", "bounding_boxes.txt",
                                   "train_test_split.txt", "classes.txt", "every"])
def test_k04_a_script_that_was_run_twice(birds, table):  # noqa: F811
    """awk … >> images.txt, twice: each line is there twice."""
    before = load_birds(birds, size=16, split="published")
    every = ("images.txt", "image_class_labels.txt", "bounding_boxes.txt", "train_test_split.txt",
             "classes.txt")  # fmt: skip
    for name in every if table == "every" else (table,):
        edited(birds, name, lambda text: text * 2)
    read_or_refused(lambda: load_birds(birds, size=16, split="published"),
                    lambda found: same(before, found), ".txt" if table == "every" else table,
                    "expected")  # fmt: skip


@pytest.mark.parametrize("table", ["images.txt", "bounding_boxes.txt", "image_class_labels.txt"])
def test_k04_the_output_of_a_database(birds, table):  # noqa: F811
    """psql -t was forgotten, or mysql drew its frame."""
    text = (birds / table).read_text()
    (birds / table).write_text(text + "(8 rows)\n\n")
    refused(lambda: load_birds(birds, size=16), f"{table}, line 9", "found", "expected")
    (birds / table).write_text(lines("+---+---+", *(f"| {x} |" for x in text.splitlines()),
                                     "+---+---+"))  # fmt: skip
    refused(lambda: load_birds(birds, size=16), f"{table}, line 1", "found", "expected")


def test_k04_no_photos_to_validate(flowers):  # noqa: F811
    """Somebody trains on both: trnid = [trnid valid], valid = []."""
    savemat(flowers / "setid.mat", {"trnid": [[1, 2, 3, 12, 11]], "valid": np.zeros((0, 0)),
                                    "tstid": [[4, 5, 6, 7, 8, 9, 10]]})
    read_or_refused(lambda: load_flowers(flowers, size=16, split="oxford"),
                    lambda found: (found.splits["train"].tolist() == [0, 1, 2, 11, 10]
                                   and len(found.splits["valid"]) == 0), "setid.mat", "valid",
                    "expected")  # fmt: skip


def test_k04_ids_of_nabirds(birds):  # noqa: F811
    """NABirds has CUB's tables, and UUIDs in place of numbers."""
    before = load_birds(birds, size=16, split="published")
    for table in ("images.txt", "image_class_labels.txt", "bounding_boxes.txt",
                  "train_test_split.txt"):  # fmt: skip
        edited(birds, table, lambda text: lines(*(
            f"{uuid.UUID(int=977 * int(x.split()[0]) ** 9)} {x.split(maxsplit=1)[1]}"
            for x in text.splitlines())))  # fmt: skip
    read_or_refused(lambda: load_birds(birds, size=16, split="published"),
                    lambda found: same(before, found), "images.txt, line 1", "expected")


# ---- 5: pickles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [0, 2])
def test_k05_python_2s_names_in_utf_8(tmp_path, monkeypatch, protocol):
    """os.listdir under Linux in Python 2 gives bytes: "caf\\xc3\\xa9_1"."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    names = [f"jpg/image_{i:05d}" for i in range(24)]
    (data_dir / "train" / FILES[1]).write_bytes(
        Python2(protocol).dumps(["jpg/café_1".encode(), *names[1:]]))
    (image_dir / "jpg" / "image_00000.jpg").rename(image_dir / "jpg" / "café_1.jpg")
    read_or_refused(lambda: load_embedded(data_dir, image_dir, 16)[0],
                    lambda data: data.captions[0][0].endswith("café_1"), "jpg", "caf", "expected")


def test_k05_numbers_that_half_a_float_does_not_hold(tmp_path, monkeypatch):
    """An encoder whose numbers nobody normalised: 100,000 is infinity in float16."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, table = write_all(tmp_path, width=4)
    names = [f"jpg/image_{i:05d}" for i in range(24)]
    shutil.rmtree(data_dir / "train")
    write_part(data_dir / "train", table[:24] * 1e5, names, [i % 4 for i in range(24)])
    read_or_refused(lambda: load_embedded(data_dir, image_dir, 16)[1],
                    lambda found: torch.isfinite(found).all(), "float16", "expected")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_k05_bytes_as_python_shows_them(tmp_path, protocol):
    """file.write(str(pickle.dumps(x))): b'\\x80\\x02]…' as letters."""
    write_pickles(tmp_path / "train", arrays(t=4))
    for file, held in zip(FILES, (arrays(t=4), NAMES, [2, 7, 9]), strict=True):
        was = (tmp_path / "train" / file).read_bytes()
        (tmp_path / "train" / file).write_text(str(pickle.dumps(held, protocol)))
        refused(lambda: load_embeddings(tmp_path / "train"), file, "found", "expected")
        (tmp_path / "train" / file).write_bytes(was)


@pytest.mark.parametrize("made", [lambda x: x, list])
def test_k05_classes_of_eight_bits(tmp_path, made):
    """np.array(classes, np.int8), with which class 200 is -56."""
    write_pickles(tmp_path / "train", arrays(t=4))
    classes = np.array([2, 200, 9]).astype(np.int8)
    (tmp_path / "train" / FILES[2]).write_bytes(pickle.dumps(made(classes), 2))
    read_or_refused(lambda: load_embeddings(tmp_path / "train"),
                    lambda found: len(found.classes.unique()) == 3, FILES[2], "-56", "expected")


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_k05_pythons_own_arrays(tmp_path, protocol):
    """array.array, as word2vec's old scripts have it: for classes, or for each row."""
    write_pickles(tmp_path / "train", arrays(t=4))
    for file, made in ((FILES[2], array.array("i", [2, 7, 9])),
                       (FILES[0], [array.array("f", x.ravel()) for x in arrays(t=4)])):
        was = (tmp_path / "train" / file).read_bytes()
        (tmp_path / "train" / file).write_bytes(pickle.dumps(made, protocol))
        read_or_refused(lambda: load_embeddings(tmp_path / "train"),
                        lambda found: found.classes.tolist() == [2, 7, 9], file, "array",
                        "expected")  # fmt: skip
        (tmp_path / "train" / file).write_bytes(was)


# ---- 6: layouts ---------------------------------------------------------------------------------


def test_k06_cub_of_2010(birds):  # noqa: F811
    """The older CUB-200: lists/ in place of tables, boxes in MATLAB's files."""
    (birds / "lists").mkdir(), (birds / "annotations-mat").mkdir()
    (birds / "images.txt").rename(birds / "lists" / "files.txt")
    (birds / "classes.txt").rename(birds / "lists" / "classes.txt")
    for table in ("image_class_labels.txt", "bounding_boxes.txt", "train_test_split.txt"):
        (birds / table).unlink()
    refused(lambda: load_birds(birds, size=16), str(birds), "images.txt", "bounding_boxes.txt")


def test_k06_the_seventeen_flowers(flowers):  # noqa: F811
    """Oxford-17, the older set: four digits, files.txt among the photos, datasplits.mat."""
    for place in (flowers / "jpg", flowers / "text_c10"):
        for path in [*place.rglob("image_*")]:
            path.rename(path.with_name(path.name.replace("image_0", "image_")))
    (flowers / "jpg" / "files.txt").write_text(lines(*sorted(os.listdir(flowers / "jpg"))))
    (flowers / "setid.mat").rename(flowers / "datasplits.mat")
    labels = (flowers / "imagelabels.mat").rename(flowers.parent / "kept.mat")
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat", str(flowers))
    labels.rename(flowers / "imagelabels.mat")
    (flowers / "datasplits.mat").rename(flowers / "setid.mat")
    read_or_refused(lambda: load_flowers(flowers, size=16),
                    lambda found: len(found.images) == 12, "image_00001")


def test_k06_photos_of_birds_in_one_folder(birds):  # noqa: F811
    """Unpacked by 7-Zip's "e", without folders: all of them lie in images/."""
    for number in range(1, 9):
        bird_photo(birds, number).rename(birds / "images" / bird_photo(birds, number).name)
    refused(lambda: load_birds(birds, size=16), "missing for 8 of 8", str(birds / "images"),
            "Bird_0001_77.jpg")  # fmt: skip


def test_k06_segmentations_among_the_photos(flowers):  # noqa: F811
    """102segmentations.tgz, unpacked into jpg/; the distances of the features beside it."""
    before = load_flowers(flowers, size=16)
    for number in range(1, 13):
        NOISE.save(flowers / "jpg" / f"segmim_{number:05d}.jpg")
    savemat(flowers / "distancematrices102.mat", {"Dhsv": np.eye(3)})
    (flowers / "README.txt").write_text("102 flowers")
    after = load_flowers(flowers, size=16)
    assert same(before, after) and after.classes.tolist() == before.classes.tolist()


def test_k06_two_folders_of_sentences(flowers):  # noqa: F811
    """text_c10/ as published, and text/, edited by somebody; one file is lost in the first."""
    published = load_flowers(flowers, size=16).captions
    shutil.copytree(flowers / "text_c10", flowers / "text")
    for path in (flowers / "text").rglob("*.txt"):
        path.write_text(path.read_text().replace("Sentence", "Edited"))
    assert load_flowers(flowers, size=16).captions == published
    flower_captions(flowers, 5).unlink()
    mended = [[x.replace("sentence", "edited") for x in each] for each in published]
    read_or_refused(lambda: load_flowers(flowers, size=16),
                    lambda found: found.captions == mended, "missing for 1 of 12",
                    "image_00005.txt")  # fmt: skip


# ---- 7: own folders and options -----------------------------------------------------------------


def test_k07_one_sentence_in_three_spellings(own):  # noqa: F811
    """Typed by three people: "a photo", "A Photo", "  a PHOTO "."""
    for number, path in enumerate(sorted(own.rglob("*.txt"))):
        path.write_text(("a photo", "A Photo", "  a PHOTO ")[number % 3] + "\n")
    refused(lambda: load_folder(own, size=16), str(own), "found", "expected")


def test_k07_another_sets_folder(own, flowers, birds):  # noqa: F811
    """One parameter was changed and the other was not: dataset = "flowers", the birds' folder."""
    for load_, folders in ((load_folder, (flowers, birds, birds / "images")),
                           (load_flowers, (own, birds)), (load_birds, (own, flowers))):  # fmt: skip
        for folder in folders:
            refused(lambda load_=load_, folder=folder: load_(folder, size=16), str(folder))


@pytest.mark.parametrize("word", ["root", "image_size", "img_size", "train", "transform",
                                  "batch_size", "seed", "Size", "folder"])
def test_k07_other_libraries_words(no_annotations, own, word):  # noqa: F811
    """torchvision's root and transform, Keras' image_size and batch_size, fastai's folder."""
    with pytest.raises(ACTS, match=repr(word)):
        load("folder", data_dir=own, size=16, **{word: 16})
    with pytest.raises(ACTS, match=repr(word)):
        unchecked(load_folder)(own, **{word: 16})


@pytest.mark.parametrize(("n", "size"), [(1, 16), (2, 16), (3, 16), (5, 16), (10, 16), (20, 16),
                                         (20, 1), (20, 2), (20, 4)])  # fmt: skip
def test_k07_a_handful_of_blooms(tmp_path, monkeypatch, n, size):
    """load_blooms(n=5), to try it quickly: one can train and test on them, or is told."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    try:
        found = load_blooms(n=n, size=size)
    except ValueError as error:
        assert ("n " if size == 16 else "size") in str(error) and "expected" in str(error), error
    else:
        batches(found)


@pytest.mark.parametrize("what", ["a cut picture", "a sentence", "a file", "few", "no text"])
def test_k07_the_command_line_before_the_lesson(own, capsys, what):  # noqa: F811
    """A teacher asks `data --dataset folder`: it says "whole" only of what can be loaded."""
    if what == "a cut picture":
        first(own).write_bytes(first(own).read_bytes()[:-400])
    elif what == "a sentence":
        first(own, "txt").write_text("one\n")
    elif what == "no text":
        first(own, "txt").write_bytes(b"caf\xe9\nround\n")
    elif what == "a file":
        first(own, "txt").unlink()
    else:
        for path in own.glob("*/p[23].*"):
            path.unlink()
    refused(lambda: load_folder(own, size=16), "expected" if what == "few" else "p0")
    with pytest.raises((SystemExit, *ACTS)):
        main(["data", "--dataset", "folder", "--data_dir", str(own)])
    assert "whole:" not in capsys.readouterr().out.replace("not whole:", "")


# ---- 8: caches ----------------------------------------------------------------------------------


def test_k08_one_relative_path_in_two_places(own, tmp_path, monkeypatch):  # noqa: F811
    """cd monday; load_folder("own"); cd tuesday; load_folder("own"): same names, sizes, dates."""
    shutil.copytree(own, tmp_path / "tuesday" / "own")
    (tmp_path / "tuesday" / "own" / "class 0" / "p0.txt").write_text(lines("a tan flower", TWO[1]))
    for place in (own, tmp_path / "tuesday" / "own"):
        for path in [place, *place.rglob("*")]:
            os.utime(path, (1e9, 1e9))
    for _ in range(2):
        for place, sentence in ((own.parent, TWO[0]), (tmp_path / "tuesday", "a tan flower")):
            monkeypatch.chdir(place)
            assert load_folder("own", size=16).captions[0][0] == sentence


class Bait:
    def __reduce__(self):
        return os.mkdir, (str(Path(os.environ["T2I_CACHE"]) / "ran"),)


@pytest.mark.parametrize("made", ["floats", "Fortran", "objects", "fewer", "int16", "bait"])
def test_k08_numpy_saved_over_the_pictures(own, tmp_path, made):  # noqa: F811
    """Somebody loads the cache by np.load, changes it and saves it back under its name."""
    pixels = np.array(load_folder(own, size=16).images)
    (path,) = (tmp_path / "cache").rglob("photos-*.npy")
    changed = {"floats": pixels / 255, "Fortran": np.asfortranarray(pixels[:, ::-1]),
               "objects": pixels.astype(object), "fewer": pixels[:-1],
               "int16": pixels.astype(np.int16), "bait": np.array([Bait()] * 16)}[made]
    with path.open("wb") as file:
        np.save(file, changed)
    found = load_folder(own, size=16).images
    assert found.dtype == np.uint8 and np.array_equal(found, pixels)
    assert not (tmp_path / "cache" / "ran").exists()


@pytest.mark.parametrize("kind", ["folder", "embedded", "blooms"])
def test_k08_what_a_cleaner_takes(own, tmp_path, monkeypatch, kind):  # noqa: F811
    """tmpreaper takes what was not read for ten days: any one file, hidden ones too."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cleaned"))
    places = write_all(tmp_path, width=4)[:2]

    def read():
        if kind == "embedded":
            return load_embedded(*places, 16)[0]
        return load_blooms(20, 16) if kind == "blooms" else load_folder(own, size=16)

    before = read()
    pixels, captions = np.array(before.images), before.captions
    names = sorted(x.relative_to(tmp_path) for x in (tmp_path / "cleaned").rglob("*"))
    assert len(names) > 2
    for name in names:
        path = tmp_path / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        found = read()
        assert np.array_equal(found.images, pixels) and found.captions == captions, name


@pytest.mark.parametrize("date", [-2_177_452_800, -1, 0, 4_294_967_296, 16_725_225_600])
def test_k08_a_camera_without_a_clock(own, date):  # noqa: F811
    """Files of 1901, 1969, 1970, 2106 or 2500."""
    for path in [own, *own.rglob("*")]:
        os.utime(path, (date, date))
    before = load_folder(own, size=16)
    assert same(before, load_folder(own, size=16))
    first(own, "txt").write_text(lines("a new one", "second"))
    assert load_folder(own, size=16).captions[0] == ["a new one", "second"]


def test_k08_changed_while_it_is_used(own):  # noqa: F811
    """A picture and a sentence are put right while a notebook trains: the first set stays."""
    one = load_folder(own, size=16)
    pixels, captions = np.array(one.images), [list(x) for x in one.captions]
    NOISE.save(first(own), quality=95)
    first(own, "txt").write_text(lines("a new one", "second"))
    two = load_folder(own, size=16)
    assert np.array_equal(one.images, pixels) and one.captions == captions
    assert two.captions[0] == ["a new one", "second"]
    assert not np.array_equal(two.images[0], pixels[0])
    assert np.array_equal(two.images[1:], pixels[1:])


# ---- 9: archives --------------------------------------------------------------------------------


def test_k09_a_tar_in_latin_1(tmp_path):
    """tar on a Linux of old, in de_DE@euro: Blüte.jpg with one byte for ü."""
    name = os.fsdecode(b"birds/Bl\xfcte.jpg")
    with tarfile.open(tmp_path / "birds.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("birds/Blüte.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"one"))
    with tarfile.open(tmp_path / "birds.tar", "w", format=tarfile.GNU_FORMAT,
                      encoding="latin-1") as tar:  # fmt: skip
        tar.addfile(info, io.BytesIO(b"one"))
    assert b"Bl\xfcte.jpg" in (tmp_path / "birds.tar").read_bytes()
    try:
        found = unpacked(tmp_path / "birds.tar")
    except ACTS as error:
        assert "birds.tar" in str(error) and "Bl" in str(error) and "expected" in str(error)
        str(error).encode()
        assert [x.name for x in tmp_path.iterdir()] == ["birds.tar"]
    else:
        assert found in ({name: b"one"}, {"birds/Blüte.jpg": b"one"})


def test_k09_winrars_names(tmp_path):
    """WinRAR in China: the name in GBK, and in UTF-8 in a field of its own, as unzip reads it."""
    old, new = "birds/玫瑰.jpg".encode("gbk"), "birds/玫瑰.jpg".encode()
    field = struct.pack("<HHBI", 0x7075, 5 + len(new), 1, zlib.crc32(old)) + new
    info = zipfile.ZipInfo("birds/" + "x" * (len(old) - 10) + ".jpg")
    info.extra = field
    with zipfile.ZipFile(tmp_path / "birds.zip", "w") as file:
        file.writestr(info, b"one")
    content = (tmp_path / "birds.zip").read_bytes().replace(info.filename.encode(), old)
    (tmp_path / "birds.zip").write_bytes(content)
    read_or_refused(lambda: unpacked(tmp_path / "birds.zip"),
                    lambda found: found == {"birds/玫瑰.jpg": b"one"}, "birds.zip", "expected")


@pytest.mark.parametrize("date", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\xe0\1"])
def test_k09_zips_without_dates(tmp_path, date):
    """Android's and Gradle's ZIPs of no date: day 0 of month 0; or of nonsense, month 15."""
    info = zipfile.ZipInfo("birds/1.jpg", (2024, 5, 1, 9, 41, 0))
    with zipfile.ZipFile(tmp_path / "birds.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(info, b"one" * 99)
    content = bytearray((tmp_path / "birds.zip").read_bytes())
    for mark, at in ((b"PK\3\4", 10), (b"PK\1\2", 12)):
        place = content.find(mark) + at
        content[place : place + 4] = date
    (tmp_path / "birds.zip").write_bytes(content)
    assert unpacked(tmp_path / "birds.zip") == {"birds/1.jpg": b"one" * 99}


def test_k09_a_server_that_sends_one_round_in_circles(server, tmp_path):  # noqa: F811
    """A cookie wall, or http and https that lead to each other: a redirect to itself."""
    url = server.url.replace("birds.tgz", "moved/")
    with pytest.raises(OSError) as told:
        fetch(url, tmp_path / "birds.tgz", sha256(BODY))
    assert url in str(told.value), told.value
    assert not [*tmp_path.iterdir()]


def test_k09_a_proxy_that_breaks_off_a_chunk(tmp_path, monkeypatch):
    """A school's proxy sends in chunks, without a length, and closes amid one."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def answer():
            with listening.accept()[0] as to:
                to.recv(9999)
                to.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
                    b"2710\r\n" + BODY[i : i + 10_000] + b"\r\n" for i in range(0, 200_000, 10_000)
                ) + b"2710\r\n" + BODY[200_000:200_100])

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/birds.tgz"
        with pytest.raises(ConnectionError) as told:
            fetch(url, tmp_path / "birds.tgz", sha256(BODY))
        thread.join()
    assert url in str(told.value)
    (part,) = tmp_path.iterdir()
    assert part.name == "birds.tgz.part" and part.stat().st_size
    assert BODY.startswith(part.read_bytes())


# ---- 10: second load, conversions ---------------------------------------------------------------


def reads_once(read, monkeypatch):
    """That a second load decodes no photo, parses no sentence and no pickle.

    How long it takes, `tests/benchmarks/test_second_loads.py` says.
    """
    before = read()
    for module, work in ((pictures, "opened_photo"), (photographs, "read_captions"),
                         (embeddings, "load_embeddings")):  # fmt: skip
        monkeypatch.setattr(module, work, None)
    assert same(before, read())


def test_k10_three_thousand_pictures_of_ones_own(own, monkeypatch):  # noqa: F811
    """A school's collection: 3,000 pictures."""
    for place in own.iterdir():
        (place / "p0.txt").write_text(lines(f"of {place.name}", "second"))
        for number in range(4, 750):
            for kind in ("jpg", "txt"):
                (place / f"p{number}.{kind}").hardlink_to(place / f"p0.{kind}")
    reads_once(lambda: load_folder(own, size=16), monkeypatch)
    assert len(load_folder(own, size=16).images) == 3000


def test_k10_stored_embeddings_of_three_thousand(tmp_path, monkeypatch):
    """StackGAN's folders of 3,000 photos."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    names = [f"image_{i:05d}" for i in range(3000)]
    (tmp_path / "images" / "jpg").mkdir(parents=True)
    NOISE.resize((24, 24)).save(tmp_path / "one.jpg")
    for name in names:
        (tmp_path / "images" / "jpg" / f"{name}.jpg").hardlink_to(tmp_path / "one.jpg")
    table = np.random.default_rng(0).standard_normal((3000, 10, 64)).astype("f4")
    for part, rows in {"train": range(2400), "test": range(2400, 3000)}.items():
        place = tmp_path / "pickles" / part
        place.mkdir(parents=True)
        held = ([*table[list(rows)]], [names[i] for i in rows],
                [i % 20 + 20 * (part == "test") for i in rows])  # fmt: skip
        for file, items in zip(FILES, held, strict=True):
            (place / file).write_bytes(pickle.dumps(items, 2))
    reads_once(lambda: load_embedded(tmp_path / "pickles", tmp_path / "images", 16)[0], monkeypatch)


@pytest.mark.parametrize("progressive", [False, True])
def test_k10_a_bird_in_the_corner_of_a_large_photo(birds, progressive):  # noqa: F811
    """A camera's photo of odd sides in CUB's layout: decoded smaller, it is as a full one."""
    photo = NOISE.resize((12, 9)).resize((2001, 1499), Image.Resampling.BICUBIC)
    content = bytes_of(photo, "JPEG", quality=95, progressive=progressive)
    write_table(birds, "bounding_boxes.txt", ["1500.5 1100.25 490.0 390.0"] + ["30 20 40 40"] * 7)
    bird_photo(birds, 1).write_bytes(content)
    found = load_birds(birds, size=16).images[0].astype(int)
    whole = Image.open(io.BytesIO(content))
    bird_photo(birds, 1).write_bytes(bytes_of(whole, "PNG", compress_level=1))
    right = load_birds(birds, size=16).images[0].astype(int)
    assert np.abs(found - right).mean() < 3 and np.abs(found - right).max() < 20


@pytest.mark.parametrize("kind", [np.uint16, np.int32, ">u2"])
def test_k10_pictures_of_sixteen_bits_to_unit(no_annotations, kind):
    """cv2.IMREAD_UNCHANGED or imageio of a scan gives numbers up to 65,535."""
    pixels = np.linspace(0, 65535, 48).astype(kind).reshape(3, 4, 4)
    try:
        found = unchecked(to_unit)(pixels)
    except ACTS as error:
        assert "int" in str(error) and "expected" in str(error)
    else:
        assert float(found.min()) >= -1 and float(found.max()) <= 1, found.max()


@pytest.mark.parametrize("kind", ["a picture", "a list of pictures", "a list of arrays", "lists"])
def test_k10_pictures_that_are_no_array_to_unit(no_annotations, kind):
    """to_unit(Image.open(…)), to_unit([one, two]), to_unit(pixels.tolist())."""
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    given = {"a picture": Image.fromarray(pixels), "a list of pictures": [Image.fromarray(pixels)],
             "a list of arrays": [pixels, pixels], "lists": pixels.tolist()}[kind]
    try:
        found = unchecked(to_unit)(given)
    except ACTS as error:
        assert "expected" in str(error), error
    else:
        assert np.allclose(np.asarray(found).ravel()[:48], pixels.ravel() / 127.5 - 1, atol=1e-5)
