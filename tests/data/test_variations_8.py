"""Five variations of each of ten kinds of other people's files, invented blind: read or refused.

The names count the kinds, as in `test_variations_5.py`; nothing of those files is tried again.
"""

import io
import multiprocessing
import os
import pickle
import shutil
import struct
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all  # noqa: E402
from test_archives import BODY, sha256  # noqa: E402
from test_archives import server as server  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_birds import photo as bird_photo  # noqa: E402
from test_birds import write_table  # noqa: E402
from test_embeddings import NAMES, arrays  # noqa: E402
from test_embeddings import write as write_pickles  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_other_peoples_files import TWO, first  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402
from test_variations import (  # noqa: E402
    SHORT_6,
    SIDEWAYS,
    UPRIGHT,
    bytes_of,
    edited,
    png,
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
from test_variations_6 import reads_once  # noqa: E402

from t2i_utils.data.archives import extract, fetch  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.blooms import load_blooms  # noqa: E402
from t2i_utils.data.captioned import Batches, to_bytes, to_unit  # noqa: E402
from t2i_utils.data.embedded import load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402

ACTS = (ValueError, OSError, TypeError)


def batches_run(data, split="train"):
    """Two batches of 4, and that no wrong sentence is the right one."""
    table = torch.randn(len(data.images), data.sentences_each, 8)
    drawn = Batches(data, table, split, 4, seed=0)
    for step in range(6):
        batch = drawn[step]
        for own_, k, other, j in zip(batch.pictures, batch.sentences, batch.wrong_pictures,
                                     batch.wrong_sentences, strict=True):  # fmt: skip
            assert data.captions[own_][k] != data.captions[other][j]
    return True


# ---- 1: pictures --------------------------------------------------------------------------------


def test_k01_a_bitmap_from_the_top_down(own):  # noqa: F811
    """A screenshot tool stores a BMP from its first row on (a negative height), called .png."""
    rows = np.asarray(UPRIGHT)[:, :, ::-1].tobytes()  # 120 × 3 bytes: no row needs filling
    content = b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, 120, -90, 1, 24, 0, len(rows), 2835, 2835, 0, 0) + rows  # fmt: skip
    read_or_refused(lambda: with_first(own, content), upright, "p0.png", "expected")


def test_k01_fill_bytes_before_a_jpegs_markers(own):  # noqa: F811
    """A scanner's firmware fills up with FF before each marker, as the standard allows."""
    plain = bytes_of(SIDEWAYS, "JPEG", exif=b"Exif\0\0" + SHORT_6)
    at, content = 2, plain[:2]
    while plain[at + 1] != 0xDA:
        length = 2 + int.from_bytes(plain[at + 2 : at + 4], "big")
        content += b"\xff" * 3 + plain[at : at + length]
        at += length
    assert upright(with_first(own, content + b"\xff" * 3 + plain[at:], "jpg"))


def test_k01_a_key_among_four_greys(own):  # noqa: F811
    """optipng made a drawing one of four greys, of which one is the key that is transparent."""
    rows = [b"\x55" * 12] * 24 + [b"\xaa" * 12] * 24  # grey 1 above, grey 2 below
    image = with_first(own, png(48, 48, 2, 0, rows, (b"tRNS", b"\0\1")))
    assert image[:, :8].min() > 250 and np.abs(image[:, 11:] - 170).max() < 3


def test_k01_an_animated_png_with_another_still(own):  # noqa: F811
    """A sticker's PNG: what moves is green, then blue; who cannot show that shows red."""
    def packed(colour):
        return zlib.compress(b"".join(b"\0" + bytes(colour) * 40 for _ in range(40)))

    def control(number):
        return struct.pack(">IIIIIHHBB", number, 40, 40, 0, 0, 1, 10, 0, 0)

    parts = ((b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 2, 0, 0, 0)),
             (b"acTL", struct.pack(">II", 2, 0)), (b"IDAT", packed((200, 0, 0))),
             (b"fcTL", control(0)), (b"fdAT", struct.pack(">I", 1) + packed((0, 200, 0))),
             (b"fcTL", control(2)), (b"fdAT", struct.pack(">I", 3) + packed((0, 0, 200))),
             (b"IEND", b""))  # fmt: skip
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(x)) + name + x + struct.pack(">I", zlib.crc32(name + x))
        for name, x in parts)
    image = with_first(own, content).reshape(3, -1)
    assert any(np.abs(image - np.array(right)[:, None]).max() < 3
               for right in ((200, 0, 0), (0, 200, 0)))  # fmt: skip


@pytest.mark.parametrize("kind", ["jxl", "jxl box", "jp2"])
def test_k01_newer_kinds_of_jpeg(own, kind):  # noqa: F811
    """An iPhone's ProRAW or a library's scan: JPEG XL and JPEG 2000, renamed to .jpg."""
    content = {"jxl": b"\xff\x0a\x50\x5c\x08\x08\x10" + bytes(range(200)),
               "jxl box": b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl " + bytes(90),
               "jp2": bytes_of(UPRIGHT, "JPEG2000")}[kind]  # fmt: skip
    read_or_refused(lambda: with_first(own, content, "jpg"), upright, "p0.jpg", "expected")


# ---- 2: sentences -------------------------------------------------------------------------------


def test_k02_a_korean_mail(own):  # noqa: F811
    """ISO-2022-KR: seven bits, with signs that shift out and in."""
    sentences = ["붉은 꽃", "a flower"]
    first(own, "txt").write_bytes(lines(*sentences).encode("iso2022_kr"))
    read_or_refused(lambda: load_folder(own, size=16).captions[0], lambda x: x == sentences,
                    "p0.txt", "expected")  # fmt: skip


def test_k02_copied_out_of_a_pdf(own):  # noqa: F811
    """Ligatures and soft hyphens come along."""
    sentences = ["a \ufb02ower with \ufb01ve petals", "its pet\xadals are round"]
    first(own, "txt").write_text(lines(*sentences), "utf-8")
    read_or_refused(lambda: load_folder(own, size=16).captions[0], lambda x: x == sentences,
                    "p0.txt", "expected")  # fmt: skip


def test_k02_two_columns_of_a_sheet(own):  # noqa: F811
    """Copied out of a sheet: a sentence, a tab, a remark."""
    for path in own.glob("*/*.txt"):
        path.write_text("a red flower\tseen by Anna\nits petals are round\t\tby Bea\n")
    read_or_refused(lambda: [x.split() for x in load_folder(own, size=16).captions[0]],
                    lambda x: x == ["a red flower seen by anna".split(),
                                    "its petals are round by bea".split()], "p0.txt", "expected")


def test_k02_one_caption_of_a_trainer(own):  # noqa: F811
    """A trainer of diffusion models calls the sentences p0.caption."""
    first(own, "txt").rename(first(own, "caption"))
    refused(lambda: load_folder(own, size=16), "p0", ".txt")


def test_k02_a_dump_in_one_line(own):  # noqa: F811
    """A database's dump of 5 MB, in one line, where a sentence should be."""
    long = ("insert into flowers values (1, 'red'), " * 140_000).strip()
    first(own, "txt").write_text(lines("a red flower", long))
    began = time.monotonic()
    read_or_refused(lambda: load_folder(own, size=16).captions[0],
                    lambda x: x == ["a red flower", long], "p0.txt")  # fmt: skip
    assert time.monotonic() - began < 10


# ---- 3: names -----------------------------------------------------------------------------------


def test_k03_hidden_folders_of_photo_programs(own):  # noqa: F811
    """Picasa's originals, digiKam's bin, Google Drive's half downloads, QNAP's thumbnails."""
    before = load_folder(own, size=16)
    for place in (own, own / "class 0"):
        for name in (".picasaoriginals", ".dtrash/files", ".tmp.drivedownload", ".@__thumb"):
            (place / name).mkdir(parents=True)
            shutil.copy(first(own), place / name / "p0.jpg")
            shutil.copy(first(own), place / name / "s800p1.jpg")
    assert same(before, load_folder(own, size=16))


def test_k03_downloads_under_way(own):  # noqa: F811
    """Safari makes a folder, WinSCP .filepart, rsync a hidden name, aria2 a side-car."""
    before, half = load_folder(own, size=16), first(own).read_bytes()[:700]
    place = own / "class 0"
    (place / "p9.jpg.download").mkdir()
    for name in ("p9.jpg.download/p9.jpg", "p9.jpg.filepart", ".p9.jpg.Xa3bQ1", "p9.jpg.aria2",
                 "p9.jpg.!ut", "p9.jpg.part"):  # fmt: skip
        (place / name).write_bytes(half)
    assert same(before, load_folder(own, size=16))


def test_k03_a_blank_before_the_ending(own):  # noqa: F811
    """A download is saved as "p0 .jpg"; the sentences are in p0.txt."""
    first(own).rename(own / "class 0" / "p0 .jpg")
    read_or_refused(lambda: load_folder(own, size=16),
                    lambda data: len(data.images) == 16 and data.captions[0] == TWO, "p0 .")


def test_k03_classes_called_as_devices(own):  # noqa: F811
    """Abbreviations under Linux that Windows takes for devices."""
    names = ["CON", "aux", "nul", "prn.1"]
    for number, name in enumerate(names):
        (own / f"class {number}").rename(own / name)
    data = load_folder(own, size=16)
    assert sorted(data.class_names) == sorted(names) and len(data.images) == 16


def test_k03_aliases_and_shortcuts(own):  # noqa: F811
    """A Mac's alias keeps the picture's name; Windows' and browsers' shortcuts add an ending."""
    before = load_folder(own, size=16)
    link = b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F" + bytes(300)
    for name in ("class 4.lnk", "class 0/p0.jpg.lnk", "class 0/p7.webloc", "class 4.url"):
        (own / name).write_bytes(link)
    assert same(before, load_folder(own, size=16))
    (own / "class 0" / "p9.jpg").write_bytes(b"book\0\0\0\0mark\0\0\0\0" + bytes(900))
    (own / "class 0" / "p9.txt").write_text(lines(*TWO))
    refused(lambda: load_folder(own, size=16), "p9.jpg", "found", "expected")


# ---- 4: tables ----------------------------------------------------------------------------------


def test_k04_where_the_photos_lay_at_the_authors(birds):  # noqa: F811
    """A script of the teacher's wrote images.txt with the whole paths of that machine."""
    before = load_birds(birds, size=16)
    edited(birds, "images.txt",
           lambda text: text.replace(" ", " /srv/anna/data/CUB_200_2011/images/"))
    read_or_refused(lambda: load_birds(birds, size=16), lambda data: same(before, data),
                    "images.txt, line 1", "/srv/anna", "expected")


@pytest.mark.parametrize("digits", ["full width", "underscore"])
def test_k04_digits_that_python_takes(birds, digits):  # noqa: F811
    """A Japanese keyboard's digits; 0_1 of a script: Python's int() takes both."""
    before = load_birds(birds, size=16)
    rows = {"full width": "１３２２１３１３", "underscore": "13221313"}[digits]
    write_table(birds, "image_class_labels.txt",
                [f"0_{x}" if digits == "underscore" else x for x in rows])
    read_or_refused(lambda: load_birds(birds, size=16),
                    lambda data: digits == "full width" and same(before, data),
                    "image_class_labels.txt, line 1", "expected")


def test_k04_splits_in_cells(flowers):  # noqa: F811
    """MATLAB's num2cell, before the splits were saved."""
    before = load_flowers(flowers, size=16, split="oxford")
    ids = {"trnid": [1, 2, 3], "valid": [12, 11], "tstid": [4, 5, 6, 7, 8, 9, 10]}
    cells = {}
    for name, numbers in ids.items():
        cells[name] = np.empty((1, len(numbers)), object)
        cells[name][0] = [np.array([[float(x)]]) for x in numbers]
    savemat(flowers / "setid.mat", cells)
    read_or_refused(lambda: load_flowers(flowers, size=16, split="oxford").splits,
                    lambda x: all(map(torch.equal, x.values(), before.splits.values())),
                    "setid.mat", "trnid", "expected")


@pytest.mark.parametrize("split", ["published", "class_disjoint"])
def test_k04_a_third_split(birds, split):  # noqa: F811
    """A teacher marks the photos to validate on with a 2."""
    write_table(birds, "train_test_split.txt", [0, 1, 1, 0, 2, 1, 0, 0])
    refused(lambda: load_birds(birds, size=16, split=split),
            "train_test_split.txt, line 5", "2", "expected")


def test_k04_a_matrix_that_promises_too_much(flowers):  # noqa: F811
    """A bit that turned in the header: 2^30 labels in a file of 300 bytes."""
    path = flowers / "imagelabels.mat"
    content = bytearray(path.read_bytes())
    assert struct.unpack_from("<ii", content, 160) == (1, 12)
    struct.pack_into("<i", content, 164, 2**30)
    path.write_bytes(content)
    began = time.monotonic()
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat", "expected")
    assert time.monotonic() - began < 5


# ---- 5: pickles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_k05_python_3s_protocol_0(tmp_path, ends):
    """Python 3 wrote all three as text, and Windows' FTP changed their line ends."""
    made, folder = arrays(t=64), tmp_path / "train"
    folder.mkdir()
    for file, items in zip(FILES, (made, NAMES, [2, 7, 9]), strict=True):
        (folder / file).write_bytes(pickle.dumps(items, 0).replace(b"\n", ends))
    read_or_refused(lambda: load_embeddings(folder),
                    lambda x: np.array_equal(x.embeddings, np.stack(made))
                    and list(x.file_names) == NAMES,
                    "pickle", "expected")  # fmt: skip


@pytest.mark.parametrize("file", range(3))
def test_k05_lists_in_lists_in_lists(tmp_path, file):
    """A script that stored [x, x] again and again: 2^25 leaves in 200 bytes."""
    write_pickles(tmp_path / "train", arrays(t=4))
    held = [1, 2]
    for _ in range(25):
        held = [held, held]
    (tmp_path / "train" / FILES[file]).write_bytes(pickle.dumps([held] * 3, 2))
    began = time.monotonic()
    refused(lambda: load_embeddings(tmp_path / "train"), FILES[file], "expected")
    assert time.monotonic() - began < 5


def test_k05_an_array_of_arrays(tmp_path):
    """np.array(list, dtype=object), for the sake of ragged rows."""
    write_pickles(tmp_path / "train", arrays(t=4))
    made = np.empty(3, object)
    made[:] = arrays(t=4)
    (tmp_path / "train" / FILES[0]).write_bytes(pickle.dumps(made, 2))
    read_or_refused(lambda: load_embeddings(tmp_path / "train").embeddings,
                    lambda x: np.array_equal(x, np.stack(arrays(t=4))), FILES[0])


def test_k05_classes_in_a_column(tmp_path):
    """loadmat's labels, transposed: an array (n, 1)."""
    write_pickles(tmp_path / "train", arrays(t=4))
    (tmp_path / "train" / FILES[2]).write_bytes(pickle.dumps(np.array([[2], [7], [9]]), 2))
    read_or_refused(lambda: load_embeddings(tmp_path / "train").classes,
                    lambda x: np.asarray(x).tolist() == [2, 7, 9], FILES[2], "expected")


def test_k05_a_picture_that_could_not_be_embedded(tmp_path):
    """The script that embedded the sentences put None where it failed."""
    made = arrays(t=4)
    write_pickles(tmp_path / "train", made)
    (tmp_path / "train" / FILES[0]).write_bytes(pickle.dumps([made[0], None, made[2]], 2))
    refused(lambda: load_embeddings(tmp_path / "train"), FILES[0], "None", "expected")


# ---- 6: layouts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["shard-{:06d}.tar", "flowers-train.tfrecord-{:05d}-of-00002"])
def test_k06_shards(tmp_path, kind):
    """WebDataset's or TensorFlow's shards in place of the folders."""
    place = tmp_path / "shards"
    place.mkdir()
    for number in range(2):
        (place / kind.format(number)).write_bytes(bytes(10240))
    refused(lambda: load_flowers(place, size=16), str(place), "jpg")
    refused(lambda: load_folder(place, size=16), str(place), "expected")
    refused(lambda: load_birds(place, size=16), str(place), "images.txt")


def test_k06_classes_without_noughts(flowers):  # noqa: F811
    """Somebody's copy of the sentences: class_1, class_2, class_3."""
    before = load_flowers(flowers, size=16)
    for number in (1, 2, 3):
        (flowers / f"text_c10/class_{number:05d}").rename(flowers / f"text_c10/class_{number}")
    read_or_refused(lambda: load_flowers(flowers, size=16),
                    lambda data: data.captions == before.captions, "class_00002", "image_00001.txt")


def test_k06_photos_in_portions(flowers):  # noqa: F811
    """A cloud drive lists few files at once: jpg/0, jpg/1."""
    before = load_flowers(flowers, size=16)
    for number, path in enumerate(sorted((flowers / "jpg").glob("*.jpg"))):
        place = flowers / "jpg" / str(number // 6)
        place.mkdir(exist_ok=True)
        path.rename(place / path.name)
    read_or_refused(lambda: load_flowers(flowers, size=16), lambda data: same(before, data),
                    "jpg", "image_00001.jpg")  # fmt: skip


def test_k06_sentences_of_birds_without_numbers(birds):  # noqa: F811
    """text_c10/Auk, not text_c10/001.Auk."""
    before = load_birds(birds, size=16)
    for path in list((birds / "text_c10").iterdir()):
        path.rename(path.with_name(path.name[4:]))
    read_or_refused(lambda: load_birds(birds, size=16),
                    lambda data: data.captions == before.captions, "text_c10", "001.Auk")


def test_k06_photos_beside_embeddings_as_png(tmp_path, monkeypatch):
    """The photos were cut with another tool and stored without loss."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path)
    before = np.array(load_embedded(data_dir, image_dir, 16)[0].images)
    for path in list((image_dir / "jpg").iterdir()):
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()
    read_or_refused(lambda: load_embedded(data_dir, image_dir, 16)[0],
                    lambda data: np.array_equal(data.images, before), "image_00000")


# ---- 7: own folders -----------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "mirrored"), [
    ("its right\u2011hand petal", False), ("the \u00ableft\u00bb petal", False),
    ("from left\u2014or so\u2014to top", False), ("LEFT\u2010most petal", False),
    ("on the\u00a0right\u00a0side", False), ("a bright petal", True),
    ("a cleft petal", True), ("\u00a9 copyright", True)])  # fmt: skip
def test_k07_sides_in_a_printers_signs(own, words, mirrored):  # noqa: F811
    """Word's hyphens that do not break, French quotes, dashes, blanks."""
    first(own, "txt").write_text(lines("a red flower", words), "utf-8")
    assert load_folder(own, size=16).flip is mirrored


def test_k07_one_class_is_described(own):  # noqa: F811
    """Of the other classes somebody wrote "a flower" so far."""
    for path in own.glob("*/*.txt"):
        if path.parent.name != "class 0":
            path.write_text(lines("a flower", "a flower"))
    read_or_refused(lambda: load_folder(own, size=16),
                    lambda data: batches_run(data) and batches_run(data, "test"), "sentence")


def test_k07_one_flower_in_two_classes(own):  # noqa: F811
    """What belongs in two classes was copied into both."""
    shutil.copytree(own / "class 0", own / "class 4")
    read_or_refused(lambda: load_folder(own, size=16),
                    lambda data: len(data.images) == 20 and len(data.class_names) == 5
                    and data.captions[16] == data.captions[0], "class 4")


def test_k07_sentences_without_a_latin_letter(own):  # noqa: F811
    """A class in Japan."""
    for path in own.glob("*/*.txt"):
        path.write_text(lines(f"赤い花 {path.parent.name[-1]}", "花びらは丸い"), "utf-8")
    data = load_folder(own, size=16)
    assert data.captions[0] == ["赤い花 0", "花びらは丸い"] and len(data.images) == 16
    assert Batches(data, torch.randn(16, 2, 8), "train", 4, seed=0)[0].images.shape[0] == 4


def test_k07_icons(own):  # noqa: F811
    """Pictures of one to three pixels a side, at a notebook's size."""
    for number, path in enumerate(sorted(own.glob("*/*.jpg"))):
        Image.new("RGB", (1 + number % 3, 1 + number % 2), (200, 40, 10)).save(
            path.with_suffix(".png"))
        path.unlink()
    read_or_refused(lambda: load_folder(own, size=64), lambda data: data.images.shape
                    == (16, 3, 76, 76) and np.abs(data.images[5][:, 0, 0].astype(int)
                                                  - [200, 40, 10]).max() < 3, "p0.png")


# ---- 8: caches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("date", [-2_082_844_800, -1, -0.5])
def test_k08_dates_before_all_clocks(own, date):  # noqa: F811
    """An old Mac's date that was never set: 1904; a camera's, a second before 1970."""
    plain = load_folder(own, size=16)
    for path in [*own.rglob("*"), own]:
        os.utime(path, (date, date))
    for _ in range(2):
        assert same(plain, load_folder(own, size=16))


def test_k08_a_side_comes_in(own):  # noqa: F811
    """After a first load "round" becomes "right": as long, but no picture may be mirrored."""
    assert load_folder(own, size=16).flip
    path = own / "class 3" / "p3.txt"
    path.write_text(path.read_text().replace("round", "right"))
    data = load_folder(own, size=16)
    assert not data.flip and data.captions[15][1] == "its petals are right"


def test_k08_options_in_turn(own, flowers):  # noqa: F811
    """Two notebooks of one afternoon, with other options of one folder."""
    for number in (4, 5):
        shutil.copytree(own / f"class {number - 4}", own / f"class {number}")
    one, two, three = (load_folder(own, 16, share) for share in (0.2, 0.5, 0.2))
    assert same(one, three) and [x.tolist() for x in one.splits.values()] == [
        x.tolist() for x in three.splits.values()]
    assert len(two.splits["test"]) != len(one.splits["test"])
    one, two, three = (load_flowers(flowers, 16, split) for split in (
        "class_disjoint", "oxford", "class_disjoint"))  # fmt: skip
    assert set(two.splits) == {"train", "valid", "test"} and list(one.splits) == list(three.splits)
    assert all(map(torch.equal, one.splits.values(), three.splits.values()))


def load_and_tell(place, answers):
    data, blooms = load_folder(place, size=16), load_blooms(40, 16)
    answers.put((zlib.crc32(np.array(data.images)), data.captions,
                 zlib.crc32(np.array(blooms.images)), blooms.captions))  # fmt: skip


def test_k08_two_processes_at_once(own):  # noqa: F811
    """Two notebooks are started at once, the cache is empty."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=load_and_tell, args=(own, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=300) for _ in processes]
    for process in processes:
        process.join(60)
    load_and_tell(own, answers)
    assert all(x == found[0] for x in found)
    assert answers.get(timeout=5) == found[0]


def test_k08_equal_files_made_one(own, tmp_path):  # noqa: F811
    """rdfind makes equal files one by hard links, in the cache too; then one folder changes."""
    shutil.copytree(own, tmp_path / "copy")
    for place in (own, tmp_path / "copy"):
        before = load_folder(place, size=16)
    pixels, captions, seen = np.array(before.images), before.captions, {}
    for path in sorted((tmp_path / "cache").rglob("*")):
        if path.is_file():
            kept = seen.setdefault(path.read_bytes(), path)
            if kept != path:
                path.unlink()
                path.hardlink_to(kept)
    Image.new("RGB", (120, 90), "red").save(first(own))
    (own / "class 3" / "p3.txt").write_text(lines("a blue flower", "its petals are few"))
    after = load_folder(own, size=16)
    assert after.captions[15][0] == "a blue flower" and not np.array_equal(after.images, pixels)
    data = load_folder(tmp_path / "copy", size=16)
    assert np.array_equal(data.images, pixels) and data.captions == captions
    assert np.array_equal(before.images, pixels)


# ---- 9: archives --------------------------------------------------------------------------------


def test_k09_moved_to_a_file(tmp_path, monkeypatch):
    """A server that was set up wrongly leads to file:///…, on the reader's own disk."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "secret").write_bytes(BODY)

    class Moved(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", (tmp_path / "secret").as_uri())
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Moved) as moved:
        thread = threading.Thread(target=moved.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{moved.server_port}/birds.tgz"
        try:
            refused(lambda: fetch(url, tmp_path / "birds.tgz", sha256(BODY)), url)
        finally:
            moved.shutdown()
            thread.join()
    assert sorted(x.name for x in tmp_path.iterdir()) == ["secret"]


def test_k09_a_zip_of_two_minds(tmp_path):
    """A tool renamed a member in the list at the end and not at the member's head."""
    archive, file = tmp_path / "birds.zip", io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("birds/one.txt", b"one")
        made.writestr("birds/two.txt", b"two")
    archive.write_bytes(file.getvalue().replace(b"birds/one.txt", b"birds/six.txt", 1))
    read_or_refused(lambda: unpacked(archive),
                    lambda x: sorted(x.values()) == [b"one", b"two"], "birds.zip")
    assert (tmp_path / "all").exists() or [x.name for x in tmp_path.iterdir()] == ["birds.zip"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_k09_a_file_and_a_folder_of_one_name(tmp_path, kind, order):
    """Added to over the years: birds/list was a file, then a folder."""
    members = [("birds/list", b"old"), ("birds/list/new.txt", b"new"), ("birds/z", b"z")][::order]
    archive = tmp_path / f"birds.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as made:
            for name, content in members:
                made.writestr(name, content)
    else:
        with tarfile.open(archive, "w") as made:
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
    refused(lambda: extract(archive, tmp_path / "all"), f"birds.{kind}", "birds/list")
    assert [x.name for x in tmp_path.iterdir()] == [archive.name]


def test_k09_fetched_onto_a_link(server, tmp_path):  # noqa: F811
    """birds.tgz is a link to a big disk, made before the download."""
    (tmp_path / "big").mkdir()
    (tmp_path / "birds.tgz").symlink_to(tmp_path / "big" / "birds.tgz")
    read_or_refused(lambda: fetch(server.url, tmp_path / "birds.tgz", sha256(BODY)).read_bytes(),
                    lambda x: x == BODY, "birds.tgz")  # fmt: skip
    assert not [*tmp_path.rglob("*.part")]


@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_k09_padded_for_a_tape(tmp_path, kind):
    """dd fills the last block with zeros behind the packed archive."""
    archive = tmp_path / f"birds.tar.{kind}"
    with tarfile.open(archive, f"w:{kind}") as made:
        info = tarfile.TarInfo("birds/README")
        info.size = 3
        made.addfile(info, io.BytesIO(b"two"))
    content = archive.read_bytes()
    archive.write_bytes(content + bytes(-len(content) % 10240))
    read_or_refused(lambda: unpacked(archive), lambda x: x == {"birds/README": b"two"},
                    archive.name)  # fmt: skip


# ---- 10: second load, conversions ---------------------------------------------------------------


def test_k10_flowers_whose_sentences_lie_elsewhere(tmp_path, monkeypatch):
    """3,000 photos as one input, their sentences as another: the second load is quick."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    photos, texts = tmp_path / "photos", tmp_path / "texts"
    (photos / "jpg").mkdir(parents=True)
    NOISE.resize((24, 24)).save(tmp_path / "one.jpg")
    labels = [i % 30 + 1 for i in range(3000)]
    for number, label in enumerate(labels, start=1):
        (photos / "jpg" / f"image_{number:05d}.jpg").hardlink_to(tmp_path / "one.jpg")
        place = texts / "text_c10" / f"class_{label:05d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"image_{number:05d}.txt").write_text(lines(*(f"{label}, {j}" for j in range(10))))
    savemat(photos / "imagelabels.mat", {"labels": np.array([labels], np.uint8)})
    savemat(photos / "setid.mat", {"trnid": [range(1, 1001)], "valid": [range(1001, 2001)],
                                   "tstid": [range(2001, 3001)]})  # fmt: skip
    reads_once(lambda: load_flowers(photos, size=16, captions_dir=texts), monkeypatch)


def test_k10_many_other_files(own, monkeypatch):  # noqa: F811
    """A detector left ten thousand .json beside the pictures."""
    for number in range(10_000):
        (own / f"class {number % 4}" / f"d{number}.json").touch()
    reads_once(lambda: load_folder(own, size=16), monkeypatch)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_k10_a_large_bird_that_is_turned(birds, orientation):  # noqa: F811
    """A camera's photo with a turn in its EXIF; the box counts pixels as they are stored."""
    photo = NOISE.resize((12, 9)).resize((2400, 1800), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    write_table(birds, "bounding_boxes.txt", ["1500.5 300.25 700.0 600.0"] + ["30 20 40 40"] * 7)
    bird_photo(birds, 1).write_bytes(bytes_of(photo, "JPEG", quality=95, exif=exif))
    found = load_birds(birds, size=16).images[0].astype(int)
    bird_photo(birds, 1).write_bytes(bytes_of(photo, "PNG", compress_level=1, exif=exif))
    right = load_birds(birds, size=16).images[0].astype(int)
    assert np.abs(found - right).mean() < 3 and np.abs(found - right).max() < 20


@pytest.mark.parametrize("view", [lambda x: x[..., ::2], lambda x: x[:0], lambda x: x[1:, :, 3:5]])
def test_k10_parts_of_pictures_to_unit(view):
    """Every second column, none at all, a part: of an array and of a tensor."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), np.uint8)
    kept = pixels.copy()
    for given in (view(pixels), view(torch.from_numpy(pixels))):
        found = to_unit(given)
        assert found.dtype == torch.float32 and found.shape == given.shape
        assert np.allclose(found.numpy(), np.asarray(view(kept)) / 127.5 - 1, atol=1e-5)
        assert np.array_equal(to_bytes(found).numpy(), view(kept))
    assert np.array_equal(pixels, kept)


def test_k10_what_grew_beyond_all_numbers_to_bytes(no_annotations):
    """A generator that diverged: infinities, and numbers that no byte holds."""
    inf = float("inf")
    for kind, most in ((torch.float32, 1e30), (torch.float64, 1e300), (torch.float16, 6e4)):
        drawn = torch.tensor([-inf, -most, -1, 1, most, inf], dtype=kind)
        kept = drawn.clone()
        assert unchecked(to_bytes)(drawn).tolist() == [0, 0, 0, 255, 255, 255]
        assert torch.equal(drawn, kept)
