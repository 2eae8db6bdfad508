"""Five variations more of each case of other people's files: read rightly, or refused by name.

The names count the cases, as in `test_variations.py`; none of those is tried again here.
"""

import dataclasses
import errno
import gzip
import io
import lzma
import os
import pickle
import pprint
import shutil
import struct
import sys
import tarfile
import time
import unicodedata
import zipfile
import zlib
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features
from scipy.io import loadmat, savemat

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all  # noqa: E402
from test_birds import BOX  # noqa: E402
from test_birds import captions as bird_captions  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_birds import photo as bird_photo  # noqa: E402
from test_embeddings import NAMES, arrays  # noqa: E402
from test_embeddings import write as write_pickles  # noqa: E402
from test_flowers import LABELS  # noqa: E402
from test_flowers import captions as flower_captions  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_flowers import photo as flower_photo  # noqa: E402
from test_other_peoples_files import TWO, clear, first, linux  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402
from test_variations import (  # noqa: E402
    SHORT_6,
    SIDEWAYS,
    UPRIGHT,
    batches,
    bytes_of,
    crlf,
    edited,
    left,
    png,
    read_or_refused,
    refused,
    same,
    unchecked,
    upright,
    with_first,
)
from test_variations_2 import unpacked  # noqa: E402

from t2i_utils.__main__ import main  # noqa: E402
from t2i_utils.data import folder as folder_reader  # noqa: E402
from t2i_utils.data import load, photographs  # noqa: E402
from t2i_utils.data.archives import extract  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.blooms import load_blooms  # noqa: E402
from t2i_utils.data.captioned import Batches, to_bytes, to_unit  # noqa: E402
from t2i_utils.data.embedded import load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings, read_pickle  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402

# ---- F1: turned by EXIF -------------------------------------------------------------------------


def test_f01_turned_by_windows_and_the_xmp_left_behind(own):  # noqa: F811
    """Windows turned the pixels and set EXIF to 1; the XMP of another program still says 6."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    exif = b"Exif\0\0" + SHORT_6.replace(b"\0\6", b"\0\1")
    assert upright(with_first(own, bytes_of(UPRIGHT, "JPEG", exif=exif, xmp=xmp), "jpg"))


def test_f01_a_webp_of_an_older_tool(own):  # noqa: F811
    """A converter put JPEG's "Exif" before the data in the WebP's chunk."""
    content = bytes_of(SIDEWAYS, "WEBP", lossless=True, exif=b"Exif\0\0" + SHORT_6)
    assert b"EXIF" in content
    assert upright(with_first(own, content, "webp"))


@pytest.mark.parametrize("value", [0, 9, 255])
def test_f01_a_turn_that_is_none(own, value):  # noqa: F811
    """Some phones and scanners write 0, or what no standard knows: shown as it is stored."""
    exif = b"Exif\0\0" + SHORT_6.replace(b"\0\6", bytes([0, value]))
    assert upright(with_first(own, bytes_of(UPRIGHT, "JPEG", exif=exif), "jpg"))


def test_f01_a_panorama_held_upright(own):  # noqa: F811
    """A phone's panorama, stored 300 high and 3,000 wide, to be turned by 8: decoded smaller."""
    ramp = (np.arange(3000) * 255 // 2999).astype(np.uint8)
    pixels = np.broadcast_to(ramp[:, None, None], (3000, 300, 3))  # as it is to be seen
    stored = Image.fromarray(np.ascontiguousarray(pixels)).transpose(Image.Transpose.ROTATE_270)
    exif = b"Exif\0\0" + SHORT_6.replace(b"\0\6", b"\0\x08")
    image = with_first(own, bytes_of(stored, "JPEG", exif=exif, quality=95), "jpg")
    reference = np.linspace(
        ramp[1350:1366].mean(), ramp[1634:1650].mean(), 19)  # fmt: skip
    assert np.abs(image[:, :, 9] - reference).max() < 6


# ---- F2: transparent ----------------------------------------------------------------------------


def test_f02_webp_with_loss(own):  # noqa: F811
    """A shop's cut-out as WebP with loss, its hidden colours kept."""
    image = with_first(own, bytes_of(clear("RGBA")[0], "WEBP", quality=90, exact=True), "webp")
    assert image[:, :8].min() > 240 and image[:, 11:].max() < 25


def test_f02_a_gif_whose_first_frame_is_small(own):  # noqa: F811
    """A sticker whose first frame covers a part of its screen; about it there is nothing."""
    frame = Image.fromarray((np.arange(400).reshape(20, 20) > 0).astype(np.uint8), "P")
    frame.putpalette([255, 0, 255, 0, 0, 0])  # one of its own pixels is transparent, too
    content = bytearray(bytes_of(frame, "GIF", transparency=0, optimize=False))
    assert Image.open(io.BytesIO(content)).info["transparency"] == 0
    content[6:10] = struct.pack("<HH", 60, 60)
    at = content.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 20, 20))
    content[at + 1 : at + 5] = struct.pack("<HH", 20, 20)
    image = with_first(own, bytes(content))
    assert image[:, :5].min() > 240 and image[:, 8:11, 8:11].max() < 15, image[1]


def test_f02_a_soft_shadow_in_a_palette(own):  # noqa: F811
    """pngquant keeps a shadow as black of many alphas in a palette, of four bits."""
    alphas = bytes(range(0, 256, 17))  # 16 of them, a row of three pixels each
    rows = [[16 * (y // 3) + y // 3] * 24 for y in range(48)]
    image = with_first(own, png(48, 48, 4, 3, rows, (b"PLTE", bytes(48)), (b"tRNS", alphas)))
    reference = 255 - np.repeat(np.arange(16), 3).repeat(19).reshape(19, 48).mean(1) * 17
    assert np.abs(image[:, 1:-1, 9] - reference[1:-1]).max() < 8


@pytest.mark.skipif(not features.check("avif"), reason="a Pillow without AVIF")
def test_f02_avif_from_the_web(own):  # noqa: F811
    """A site serves AVIF under a WebP's address."""
    image = with_first(own, bytes_of(clear("RGBA")[0], "AVIF", quality=95), "webp")
    assert image[:, :8].min() > 235 and image[:, 11:].max() < 25


def test_f02_a_bitmap_of_windows_has_no_alpha(own):  # noqa: F811
    """Paint's or a game's BMP of 32 bits: the fourth byte is 0 and means nothing; renamed."""
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[..., :3] = 50, 100, 200  # blue, green, red
    head = struct.pack("<IiiHHIIiiII", 40, 40, 40, 1, 32, 0, pixels.nbytes, 2835, 2835, 0, 0)
    content = b"BM" + struct.pack("<IHHI", 54 + pixels.nbytes, 0, 0, 54) + head + pixels.tobytes()
    image = with_first(own, content)
    assert (image == np.array([200, 100, 50])[:, None, None]).all()


# ---- F3: sixteen bits ---------------------------------------------------------------------------


def test_f03_sixteen_bits_in_the_published_layouts(flowers, birds):  # noqa: F811
    """Oxford's and CUB's photos made grey by a tool that writes 16 bits, a PNG, as .jpg."""
    pixels = np.full((90, 120), 25700, np.uint16)
    Image.fromarray(pixels).save(flower_photo(flowers, 1), "PNG")
    Image.fromarray(pixels).save(bird_photo(birds, 1), "PNG")
    assert (load_flowers(flowers, size=16).images[0] == 100).all()
    assert (load_birds(birds, size=16).images[0] == 100).all()


# ---- F4: more pixels than there are -------------------------------------------------------------


def test_f04_a_colour_profile_that_unpacks_to_far_more(own):  # noqa: F811
    """A colour profile of 100 MB, packed, in a small PNG."""
    packed = zlib.compressobj(1)
    text = b"".join(packed.compress(bytes(1_000_000)) for _ in range(100)) + packed.flush()
    content = png(48, 48, 8, 0, [[200] * 48] * 48, (b"iCCP", b"p3\0\0" + text))
    began = time.monotonic()
    read_or_refused(lambda: with_first(own, content), lambda image: (image == 200).all(),
                    "cannot read photo", "p0.png: ")
    assert time.monotonic() - began < 5


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_f04_a_phone_of_108_megapixels(own):  # noqa: F811
    """A photo of 12,000 by 9,000 pixels is no bomb: a JPEG is decoded smaller."""
    content = bytes_of(Image.new("L", (12000, 9000), 90), "JPEG")
    began = time.monotonic()
    read_or_refused(lambda: with_first(own, content, "jpg"),
                    lambda image: np.abs(image - 90).max() < 3, "p0.jpg: ", "pixels")
    assert time.monotonic() - began < 5


def test_f04_frames_that_are_not_there(own):  # noqa: F811
    """An animated PNG that is said to have 2,147,483,647 frames, and has one."""
    frames = (b"acTL", struct.pack(">II", 2**31 - 1, 0))
    began = time.monotonic()
    image = with_first(own, png(48, 48, 8, 0, [[77] * 48] * 48, frames))
    assert (image == 77).all() and time.monotonic() - began < 2


@pytest.mark.parametrize("name", [b"IDAT", b"tEXt", b"eXIf"])
def test_f04_a_part_of_two_gigabytes(own, name):  # noqa: F811
    """A bit of a length turned: a part of the PNG is said to have 2 GB."""
    content = png(48, 48, 8, 0, [[77] * 48] * 48, (b"tEXt", b"a\0b"), (b"eXIf", SHORT_6))
    at = content.index(name) - 4
    content = content[:at] + struct.pack(">I", 2**31 - 9) + content[at + 4 :]
    began = time.monotonic()
    read_or_refused(lambda: with_first(own, content), lambda image: (image == 77).all(),
                    "cannot read photo", "p0.png: ")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(("width", "height"), [(0, 40), (40, 0), (0, 0)])
@pytest.mark.parametrize("kind", ["png", "gif", "ppm"])
def test_f04_no_pixels_at_all(own, width, height, kind):  # noqa: F811
    """A crop that went wrong: a picture of no width or no height."""
    content = {"png": png(width, height, 8, 0, [[0] * width] * height),
               "gif": b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;",
               "ppm": b"P6 %d %d 255\n" % (width, height)}[kind]  # fmt: skip
    refused(lambda: with_first(own, content), "cannot read photo", "p0.png: ")


# ---- F5: UTF-16 ---------------------------------------------------------------------------------


def test_f05_cut_within_an_emoji(own):  # noqa: F811
    """The transfer of a file in UTF-16 broke off between the two units of an emoji."""
    first(own, "txt").write_bytes("a red flower\nits petals are 🌸".encode("utf-16")[:-2])
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: found byte", "expected text saved")


def test_f05_three_people(own):  # noqa: F811
    """Each of three saved their classes as their Notepad does: UTF-16, UTF-8, UTF-8 with a mark."""
    for number, encoding in enumerate(("utf-16", "utf-8", "utf-8-sig", "utf-16")):
        for path in own.glob(f"class {number}/*.txt"):
            path.write_bytes("Une fleur d'été\r\nRonde\r\n".encode(encoding))
    assert load_folder(own, size=16).captions == [["une fleur d'été", "ronde"]] * 16


def test_f05_joined_by_copy(own):  # noqa: F811
    """`copy /b one.txt+two.txt p0.txt`: both in UTF-16, each with its mark."""
    for path in own.glob("*/*.txt"):
        path.write_bytes(b"".join((line + "\r\n").encode("utf-16") for line in TWO))
    assert load_folder(own, size=16).captions == [TWO] * 16


@pytest.mark.parametrize("table", ["images.txt", "bounding_boxes.txt", "classes.txt",
                                   "image_class_labels.txt", "train_test_split.txt"])
def test_f05_cubs_tables_as_unicode(birds, table):  # noqa: F811
    """Notepad saved a table as "Unicode"; then another tool took the mark off."""
    before = load_birds(birds, size=16)
    text = (birds / table).read_text().replace("\n", "\r\n")
    (birds / table).write_bytes(text.encode("utf-16"))
    assert same(before, load_birds(birds, size=16))
    (birds / table).write_bytes(text.encode("utf-16-le"))
    refused(lambda: load_birds(birds, size=16), f"{table}: found UTF-16 without", "in UTF-8")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xfe\xff\0\n", b"\xff\xfe\r\0\n\0 \0"])
def test_f05_a_mark_and_nothing_else(own, content):  # noqa: F811
    """Notepad saved an empty page as "Unicode"."""
    first(own, "txt").write_bytes(content)
    refused(lambda: load_folder(own, size=16), "p0.txt has 0 lines, expected 2, as 15 others")


# ---- F6: marks and other alphabets --------------------------------------------------------------


def test_f06_a_mark_before_each_line(own):  # noqa: F811
    """A script opened the file anew for each line, as "utf-8-sig"."""
    for path in own.glob("*/*.txt"):
        path.write_bytes(b"".join(f"{line}\n".encode("utf-8-sig") for line in TWO))
    assert load_folder(own, size=16).captions == [TWO] * 16


def test_f06_the_word_that_notepad_took_for_utf_8(own):  # noqa: F811
    """联通 in GBK is C1 AA CD A8, which looks like UTF-8, and for which Notepad took it."""
    first(own, "txt").write_bytes("联通\nround\n".encode("gbk"))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 1: found byte 0xC1", "UTF-8")


def test_f06_words_apostrophe_in_the_published_layout(flowers):  # noqa: F811
    """Word saved each file of Oxford's as "plain text (Windows)": the apostrophe is 0x92."""
    for path in flowers.rglob("*.txt"):
        path.write_bytes("the flower’s petals are red\r\n".encode("cp1252") * 10)
    refused(lambda: load_flowers(flowers, size=16), "image_00001.txt, line 1: found byte 0x92",
            "UTF-8")  # fmt: skip


def test_f06_marks_that_belong_to_the_writing(own):  # noqa: F811
    """Persian with its joiners, a family of emoji, a heart that is to be red, Devanagari."""
    lines = ["گل\u200cهای سرخ", "👩\u200d👧 like ❤\ufe0f क्\u200dष"]
    for path in own.glob("*/*.txt"):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert load_folder(own, size=16).captions == [lines] * 16


def test_f06_blanks_of_a_web_page(own):  # noqa: F811
    """Copied from a page: blanks that do not break, within and about the sentences."""
    for path in own.glob("*/*.txt"):
        path.write_text("\u00a0A red\u00a0flower\u2003\n\u202fits petals\u2009are round \u00a0\n",
                        encoding="utf-8")
    read = [line.replace("\u00a0", " ").replace("\u2009", " ")
            for line in load_folder(own, size=16).captions[0]]
    assert read == TWO


# ---- F7: another number of lines ----------------------------------------------------------------


def test_f07_the_class_above_the_sentences(flowers):  # noqa: F811
    """Each file of Oxford's got the name of its flower as a first line."""
    for path in flowers.rglob("*.txt"):
        path.write_text("pink primrose\n" + path.read_text())
    refused(lambda: load_flowers(flowers, size=16), "image_00001.txt has 11 lines, expected 10")


def test_f07_a_class_with_one_sentence_each(own):  # noqa: F811
    """Whoever wrote the last class wrote one sentence a picture."""
    for path in own.glob("class 3/*.txt"):
        path.write_text("a red flower\n")
    refused(lambda: load_folder(own, size=16), "class 3", "p0.txt has 1 lines, expected 2, as 12")


@pytest.mark.parametrize("text", ['["a red flower", "its petals are round"]', "a red flower\tround",
                                  "a red flower. its petals are round.", "a red flower | round"])
def test_f07_all_in_one_line(own, text):  # noqa: F811
    """A list as JSON, cells of a sheet, a text that runs on: one line for one picture."""
    first(own, "txt").write_text(text + "\n")
    refused(lambda: load_folder(own, size=16), "p0.txt has 1 lines, expected 2, as 15 others")


@pytest.mark.parametrize("between", ["\n", "\n \n", "\r\n\u3000\r\n"])
def test_f07_an_empty_line_between(own, between):  # noqa: F811
    """A mail programme or Markdown: an empty line after each sentence, in every file."""
    for path in own.glob("*/*.txt"):
        path.write_text(f"{TWO[0]}\n{between}{TWO[1]}\n", newline="", encoding="utf-8")
    read_or_refused(lambda: load_folder(own, size=16).captions, lambda read: read == [TWO] * 16,
                    "p0.txt, line 2: empty sentence")


def test_f07_a_sentence_is_struck_out_later(birds):  # noqa: F811
    """All was well and cached; then a sentence of the last bird is deleted, and put back."""
    before = load_birds(birds, size=16).captions
    path = bird_captions(birds, 8)
    kept = path.read_text()
    path.write_text("".join(kept.splitlines(keepends=True)[:-1]))
    os.utime(path.parent)
    refused(lambda: load_birds(birds, size=16), f"{path.name} has 9 lines, expected 10")
    path.write_text(kept)
    os.utime(path.parent)
    assert load_birds(birds, size=16).captions == before


# ---- F8: what stands at the end -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["txt", "jpg"])
def test_f08_windows_hides_the_ending(own, kind):  # noqa: F811
    """Explorer hides endings, so people call a file p0.txt, which is p0.txt.txt then."""
    for path in own.glob(f"*/*.{kind}"):
        path.rename(path.with_name(f"{path.name}.{kind}"))
    read_or_refused(lambda: load_folder(own, size=16).captions, lambda read: read == [TWO] * 16,
                    "captions missing for 16 of 16", "p0.txt" if kind == "txt" else "p0.jpg.txt")


def test_f08_as_chrome_saves_them(own):  # noqa: F811
    """Chrome under Windows saves a JPEG as .jfif; other tools as .jpe."""
    for number, kind in enumerate(("jfif", "jpe")):
        path = own / f"class {number}" / "p0.jpg"
        path.rename(path.with_suffix(f".{kind}"))
        read_or_refused(lambda: load_folder(own, size=16), lambda mine: len(mine.images) == 16,
                        f"p0: found .{kind} and .txt, expected a picture")
        path.with_suffix(f".{kind}").rename(path)


@linux
def test_f08_two_files_of_sentences(own):  # noqa: F811
    """Merged from two disks: p0.txt and an older p0.TXT; the one of the exact name is read."""
    first(own, "TXT").write_text("old\nand wrong\n")
    read_or_refused(lambda: load_folder(own, size=16).captions, lambda read: read == [TWO] * 16,
                    "p0.TXT", "expected")


@linux
def test_f08_sentences_of_flowers_in_capitals(flowers):  # noqa: F811
    """A disk of DOS has CLASS_00001/IMAGE_00002.TXT; another IMAGE_00001.JPG."""
    before = load_flowers(flowers, size=16)
    for path in [*flowers.glob("text_c10/*/*.txt")]:
        path.rename(path.with_name(path.name.upper()))
    read_or_refused(lambda: load_flowers(flowers, size=16), lambda now: same(before, now),
                    "captions missing for 12 of 12", "image_00001.txt")
    for path in [*flowers.glob("jpg/*.jpg")]:
        path.rename(path.with_name(path.name.upper()))
    read_or_refused(lambda: load_flowers(flowers, size=16), lambda now: same(before, now),
                    "missing for 12 of 12", "image_00001")


@pytest.mark.parametrize("content", ["\na red flower\nits petals are round\n",
                                     "a red flower\nits petals are round\n\u00a0\n\u2003\u200b\n",
                                     "a red flower\nits petals are round\n\ufeff",
                                     "a red flower\nits petals are round\u2028"])
def test_f08_other_empty_lines(own, content):  # noqa: F811
    """An empty line at the top; blanks of a web page, a mark or a separator at the end."""
    for path in own.glob("*/*.txt"):
        path.write_text(content, encoding="utf-8")
    read_or_refused(lambda: load_folder(own, size=16).captions, lambda read: read == [TWO] * 16,
                    "p0.txt, line")


# ---- F9: what systems leave ---------------------------------------------------------------------


def test_f09_what_labelling_tools_export(own):  # noqa: F811
    """Roboflow, labelImg, CVAT, Label Studio and YOLO leave tables beside pictures."""
    before = load_folder(own, size=16)
    left(own, "README.roboflow.txt", "data.yaml", "class 0/_annotations.coco.json",
         "class 0/p0.xml", "class 0/p1.json", "class 1/classes.txt", "class 1.cache",
         "class 2/README.dataset.txt", "class 2/obj.names", "class 3/predefined_classes.txt",
         "class 3/p3.jpg.xml", "annotations.xml", "labels/p0.txt", "class 1/p2.mask")
    assert same(before, load_folder(own, size=16))


@pytest.mark.parametrize("name", ["p0-edited.jpg", "p0(1).jpg", "p0 - Copy.jpg", "p0 copy.jpg",
                                  "p0_thumb.jpg", "COVER.jpg"])
def test_f09_a_copy_that_came_along(own, name):  # noqa: F811
    """Google Takeout's edited picture, a copy of Explorer's or the Finder's: no sentences."""
    shutil.copy(first(own), own / "class 0" / name)
    refused(lambda: load_folder(own, size=16), "captions missing for 1 of 17",
            f"{Path(name).stem}.txt")


def test_f09_side_cars_of_raw_developers(own):  # noqa: F811
    """darktable, RawTherapee, DxO and Capture One: side-cars, the raw picture, previews."""
    before = load_folder(own, size=16)
    left(own, "class 0/p0.jpg.xmp", "class 0/p0.jpg.pp3", "class 0/p1.jpg.dop", "class 1/p1.NEF",
         "class 1/CaptureOne/Cache/Thumbnails/p0.jpg.cot", "class 2/p2.dng", "class 2/p2.thm",
         "class 2/p2.tif", "class 3/p3.heic", "class 3/p3.mov", "darktable.db")
    assert same(before, load_folder(own, size=16))


@pytest.mark.parametrize("name", [".Trash-1000/files/p0.jpg", ".Trashes/501/p0.jpg",
                                  ".Trash/p0.jpg", "$Recycle.Bin/$R0A1B2.jpg",
                                  "$RECYCLE.BIN/S-1-5-21-1/$R0A1B2.jpg", "Recycled/Dc1.jpg",
                                  "FOUND.000/FILE0000.CHK", "LOST.DIR/1234",
                                  ".thumbnails/p0.jpg", "msdownld.tmp/x"])
def test_f09_the_bins_of_a_stick(own, name):  # noqa: F811
    """A stick that was in a Mac, in Linux, in Windows old and new, and in a phone."""
    before = load_folder(own, size=16)
    left(own, name)
    read_or_refused(lambda: load_folder(own, size=16), lambda now: same(before, now),
                    "captions missing for 1 of 17", f"{Path(name).parent}")


def test_f09_beside_published_sentences(birds, flowers):  # noqa: F811
    """Jupyter, git, Explorer and the Finder left files among Oxford's and CUB's sentences."""
    for folder, load_, kind in ((birds, load_birds, "001.Auk"),
                                (flowers, load_flowers, "class_00001")):  # fmt: skip
        before = load_(folder, size=16)
        left(folder, f"text_c10/{kind}/.ipynb_checkpoints/image_00001-checkpoint.txt",
             "text_c10/.gitkeep", f"text_c10/{kind}/desktop.ini", "text_c10/.ipynb_checkpoints/x",
             f"text_c10/{kind}/Thumbs.db", f"text_c10/{kind}/notes.txt", "text_c10/__MACOSX/x.txt",
             f"text_c10/{kind}/.image_00001.txt.swp", ".git/HEAD", "__pycache__/x.pyc")
        assert same(before, load_(folder, size=16))


# ---- F10: names and links -----------------------------------------------------------------------


@linux
def test_f10_signs_that_a_shell_would_take(own, tmp_path, monkeypatch):  # noqa: F811
    """Brackets, stars, braces, per cent, hash: in the folder, classes, files and the cache."""
    before = load_folder(own, size=16)
    images, captions = np.array(before.images), before.captions
    own = own.rename(tmp_path / "my [photos] 100% {new} #1; $HOME")
    (own / "class 3").rename(own / "class [3] *?")
    (own / "class 0" / "p0.jpg").rename(own / "class 0" / "p[0]*{}.jpg")
    (own / "class 0" / "p0.txt").rename(own / "class 0" / "p[0]*{}.txt")
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache [2] %d {x}"))
    for _ in range(2):
        now = load_folder(own, size=16)
        rows = sorted(map(bytes, images.reshape(16, -1)))
        assert sorted(map(bytes, np.array(now.images).reshape(16, -1))) == rows
        assert now.captions == captions


@linux
def test_f10_a_class_of_two_spellings(own):  # noqa: F811
    """A Mac's ZIP made cafe´ in two parts for the pictures, the sentences lie in café in one."""
    parts, whole = (unicodedata.normalize(form, "café") for form in ("NFD", "NFC"))
    (own / "class 3").rename(own / parts)
    (own / whole).mkdir()
    for path in [*(own / parts).glob("*.txt")]:
        path.rename(own / whole / path.name)
    read_or_refused(lambda: load_folder(own, size=16).captions, lambda read: read == [TWO] * 16,
                    "captions missing for 4 of 16", f"{parts}{os.sep}p0.txt")


@linux
@pytest.mark.parametrize("lost", ["train", "train/filenames.pickle", "jpg", "jpg/image_00003.jpg"])
def test_f10_stored_embeddings_on_a_disk_that_is_not_there(tmp_path, monkeypatch, lost):
    """StackGAN's folders, pickles or photos are links to a disk that is not mounted."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, _ = write_all(tmp_path)
    path = (images if lost.startswith("jpg") else pickles) / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(tmp_path / "not mounted" / path.name)
    refused(lambda: load_embedded(pickles, images, 16), path.name, str(path.parent), "expected")


def test_f10_blanks_in_cubs_names(birds):  # noqa: F811
    """Somebody's own birds in CUB's layout: "001.Great Auk/Bird on a rock 1.jpg"."""
    before = load_birds(birds, size=16)
    images, captions = np.array(before.images), before.captions
    for part in ("images", "text_c10"):
        (birds / part / "001.Auk").rename(birds / part / "001.Great Auk")
        for path in [*birds.glob(f"{part}/*/*")]:
            path.rename(path.with_name(path.name.replace("Bird_", "Bird on  a rock ")))
    edited(birds, "images.txt", lambda text: text.replace("Bird_", "Bird on  a rock ").replace(
        "001.Auk", "001.Great Auk"))
    edited(birds, "classes.txt", lambda text: text.replace("001.Auk", "001.Great Auk"))
    now = load_birds(birds, size=16)
    assert np.array_equal(now.images, images) and now.captions == captions
    assert now.class_names[0] == "001.Great Auk"


@linux
def test_f10_a_file_in_latin_1_among_published_ones(birds, flowers, capsys):  # noqa: F811
    """A ZIP of Windows left a note whose name has the byte 0xE9 among photos and sentences."""
    for folder, load_, parts in ((birds, load_birds, ("images/001.Auk", "text_c10/001.Auk")),
                                 (flowers, load_flowers, ("jpg", "text_c10/class_00001"))):
        before = load_(folder, size=16)
        for part in parts:
            Path(os.fsdecode(os.fsencode(folder / part) + b"/r\xe9sum\xe9.txt")).write_text("x")
        read_or_refused(lambda load_=load_, folder=folder: load_(folder, size=16),
                        lambda now, before=before: same(before, now), "udce9", "expected")
    main(["data", "--dataset", "flowers", "--data_dir", str(flowers)])
    assert "whole: 12 photos" in capsys.readouterr().out


# ---- F11: labels and splits ---------------------------------------------------------------------


@pytest.mark.parametrize("made", [
    lambda row: row.astype(np.int64), lambda row: row.astype(np.float32), lambda row: row[None],
    lambda row: row.T.astype(np.uint64), lambda row: row.astype(np.int8)[:, None]])  # fmt: skip
def test_f11_other_kinds_of_the_same_numbers(flowers, made):  # noqa: F811
    """Saved anew, packed, as int64, single, uint64 in a column, with a third dimension."""
    row = np.array([LABELS])
    savemat(flowers / "imagelabels.mat", {"labels": made(row)}, do_compression=True)
    assert (load_flowers(flowers, size=16).classes + 1).tolist() == LABELS


@pytest.mark.parametrize("file", ["imagelabels.mat", "setid.mat"])
@pytest.mark.parametrize("how", ["gzip", "zip", "folder", "script"])
def test_f11_packed_or_in_a_folder_of_its_name(flowers, file, how):  # noqa: F811
    """Kaggle serves it packed; Windows unpacks into a folder of its name; MATLAB's .m."""
    path = flowers / file
    content = path.read_bytes()
    path.unlink()
    if how == "gzip":
        path.write_bytes(gzip.compress(content))
    elif how == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(file, content)
    elif how == "folder":
        path.mkdir()
        (path / file).write_bytes(content)
    else:
        path.write_text("labels = [1 2 3];\n")
    refused(lambda: load_flowers(flowers, size=16, split="oxford"), f"{file}: found",
            "expected a MATLAB file with", "a folder" if how == "folder" else "found")


@pytest.mark.parametrize("made", ["a gap", "cells", "complex", "negative", "logical", "words"])
def test_f11_numbers_of_a_spreadsheet(flowers, made):  # noqa: F811
    """readtable and num2cell: a gap is nan, a cell an object; and other things that are none."""
    numbers = np.array([LABELS], float)
    labels = {"a gap": np.where(numbers == 3, np.nan, numbers), "complex": numbers + 1j,
              "cells": numbers.astype(object), "negative": -numbers, "logical": numbers > 1,
              "words": np.array([str(label) for label in LABELS], object)}[made]  # fmt: skip
    savemat(flowers / "imagelabels.mat", {"labels": labels})
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat: found",
            "expected a MATLAB file with 'labels', whole numbers from 1")


def test_f11_names_of_somebodys_own(flowers):  # noqa: F811
    """Labels, label or image_labels in place of labels; train, val and test in setid.mat."""
    for name in ("Labels", "label", "image_labels"):
        savemat(flowers / "imagelabels.mat", {name: [LABELS]})
        refused(lambda: load_flowers(flowers, size=16), f"imagelabels.mat: found {name} (",
                "expected a MATLAB file with 'labels'")
    savemat(flowers / "imagelabels.mat", {"labels": [LABELS]})
    held = {k: v for k, v in loadmat(flowers / "setid.mat").items() if k[0] != "_"}
    for setid in ({"train": held["trnid"], "val": held["valid"], "test": held["tstid"]},
                  {"trnid": held["trnid"], "tstid": held["tstid"]},
                  held | {"valid": np.empty((1, 0))}):  # fmt: skip
        savemat(flowers / "setid.mat", setid)
        read_or_refused(lambda: load_flowers(flowers, size=16, split="oxford").splits,
                        lambda splits: splits["train"].tolist() == [0, 1, 2], "setid.mat: found",
                        "expected a MATLAB file with")


def test_f11_splits_of_the_whole_set_beside_a_part(flowers):  # noqa: F811
    """A teacher's part of 12 photos with Oxford's own setid.mat, or one cut off at a byte."""
    numbers = np.random.default_rng(0).permutation(8189) + 1
    whole = {"trnid": [numbers[:1020]], "valid": [numbers[1020:2040]], "tstid": [numbers[2040:]]}
    savemat(flowers / "setid.mat", whole)
    refused(lambda: load_flowers(flowers, size=16, split="oxford"), "setid.mat: found", "1 to 12")
    assert len(load_flowers(flowers, size=16).images) == 12
    savemat(flowers / "setid.mat", {k: np.array(v) % 12 + 1 for k, v in whole.items()})
    refused(lambda: load_flowers(flowers, size=16, split="oxford"), "setid.mat: found photo",
            "expected each once")  # fmt: skip


# ---- F12: CUB's tables --------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "change"), [
    ("image_class_labels.txt", lambda rest: f"{rest}.0"), ("image_class_labels.txt", "".join),
    ("train_test_split.txt", lambda rest: str(rest == "1")),
    ("train_test_split.txt", lambda rest: f"{rest}.0"), ("bounding_boxes.txt", "".join)],
    ids=["1.0", "1.0 1", "True", "0.0", "1.0 box"])  # fmt: skip
def test_f12_what_pandas_makes_of_numbers(birds, table, change):  # noqa: F811
    """A gap in a column makes 1.0 of 1; a comparison makes True of 1."""
    before = load_birds(birds, size=16, split="published")
    rows = [line.split(maxsplit=1) for line in (birds / table).read_text().splitlines()]
    ids = ".0" if change == "".join else ""
    (birds / table).write_text("".join(f"{key}{ids} {change(rest)}\n" for key, rest in rows))
    read_or_refused(lambda: load_birds(birds, size=16, split="published"),
                    lambda now: same(before, now), table, "expected")


def test_f12_boxes_of_a_labelling_tool(birds):  # noqa: F811
    """YOLO's boxes: centre, width and height as shares of the picture, 0 to 1."""
    edited(birds, "bounding_boxes.txt", lambda text: text.replace(BOX, "0.42 0.44 0.33 0.44"))
    refused(lambda: load_birds(birds, size=16), "box", "expected")


def test_f12_sorted_as_text(birds):  # noqa: F811
    """`sort` put 10 before 2 in every table, each in another direction: ids hold all together."""
    for number in (9, 10):
        for file, row in (("images.txt", f"001.Auk/Bird_{number:04d}_77.jpg"),
                          ("image_class_labels.txt", "1"), ("train_test_split.txt", "1"),
                          ("bounding_boxes.txt", f"{number}0.0 20.0 20.0 30.0")):  # fmt: skip
            edited(birds, file, lambda text, n=number, row=row: f"{text}{n} {row}\n")
        shutil.copy(bird_photo(birds, 1), birds / "images" / f"001.Auk/Bird_{number:04d}_77.jpg")
        (birds / "text_c10" / f"001.Auk/Bird_{number:04d}_77.txt").write_text("a bird\n" * 10)
    before = load_birds(birds, size=16, split="published")
    trained = [before.captions[i] for i in before.splits["train"].tolist()]
    order = sorted(range(10), key=lambda i: str(i + 1))
    images = np.array(before.images)[order]
    for number, file in enumerate(("images.txt", "image_class_labels.txt", "bounding_boxes.txt",
                                   "train_test_split.txt", "classes.txt")):  # fmt: skip
        edited(birds, file, lambda text, n=number: "".join(
            sorted(text.splitlines(keepends=True), reverse=n > 0)))
    now = load_birds(birds, size=16, split="published")
    assert np.array_equal(now.images, images)
    assert now.captions == [before.captions[i] for i in order]
    assert now.classes.equal(before.classes[order]) and now.class_names == before.class_names
    assert sorted(now.captions[i] for i in now.splits["train"].tolist()) == sorted(trained)


@pytest.mark.parametrize("table", ["images.txt", "image_class_labels.txt", "bounding_boxes.txt",
                                   "train_test_split.txt", "classes.txt"])
@pytest.mark.parametrize("kept", [0, 0.5, 0.8])
def test_f12_a_table_that_was_cut(birds, table, kept):  # noqa: F811
    """The transfer broke off within a table: nothing came, a half, all but the last lines."""
    content = (birds / table).read_bytes()
    (birds / table).write_bytes(content[: int(len(content) * kept)])
    refused(lambda: load_birds(birds, size=16), table if table != "images.txt" else ".txt",
            "expected")  # fmt: skip


def test_f12_photos_that_were_shrunk(birds):  # noqa: F811
    """All photos were halved to save space, and the boxes still count the old pixels."""
    for number in range(1, 9):
        with Image.open(bird_photo(birds, number)) as image:
            image.resize((60, 45)).save(bird_photo(birds, number))
    refused(lambda: load_birds(birds, size=16), "Bird_0001_77.jpg", "box", "60 by 45", "expected")


# ---- F13: line ends in pickles ------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"\x1a", b"\0\0"])
def test_f13_something_behind_the_end(tmp_path, protocol, end):
    """An editor, a mailer or DOS put a line's end behind the pickle, which is whole."""
    (tmp_path / "names.pickle").write_bytes(pickle.dumps(NAMES[2:] * 3, protocol) + end)
    assert read_pickle(tmp_path / "names.pickle") == NAMES[2:] * 3


def test_f13_half_of_it_saved_under_windows(tmp_path):
    """A pickle of text put together from two: CR LF in its first half, LF in the second."""
    content = pickle.dumps([f"image_{i:05d}" for i in range(50)], 0)
    at = content.index(b"\n", len(content) // 2)
    (tmp_path / "names.pickle").write_bytes(crlf(content[:at]) + content[at:])
    assert read_pickle(tmp_path / "names.pickle") == [f"image_{i:05d}" for i in range(50)]


@pytest.mark.parametrize("how", ["git-lfs", "gzip", "zip", "page", "empty", "folder"])
@pytest.mark.parametrize("file", FILES)
def test_f13_what_came_in_its_place(tmp_path, file, how):
    """git-lfs was not installed; Drive served a page; it came packed; nothing came."""
    write_pickles(tmp_path / "train", arrays(t=4))
    path = tmp_path / "train" / file
    content = path.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(file, content)
    data = {"git-lfs": b"version https://git-lfs.github.com/spec/v1\r\noid sha256:0\r\n",
            "gzip": gzip.compress(content), "zip": packed.getvalue(), "empty": b"",
            "page": b"\r\n<!DOCTYPE html>\r\n<p>Google Drive - Virus scan warning"}  # fmt: skip
    path.unlink()
    path.mkdir() if how == "folder" else path.write_bytes(data[how])
    with pytest.raises((ValueError, FileNotFoundError), match=file) as raised:
        load_embeddings(tmp_path / "train")
    assert "expected" in str(raised.value), raised.value
    said = {"git-lfs": "git-lfs", "gzip": "packed", "zip": "packed", "page": "a web page",
            "empty": "an empty file", "folder": file}[how]  # fmt: skip
    assert said in str(raised.value), raised.value


def test_f13_two_versions_of_git(tmp_path):
    """git could not merge two pickles of text, and marked both versions in the file."""
    one, other = (pickle.dumps(names, 0) for names in (NAMES[:2], NAMES[1:]))
    for end in (b"\n", b"\r\n"):
        content = b"<<<<<<< HEAD\n" + one + b"\n=======\n" + other + b"\n>>>>>>> main\n"
        (tmp_path / "names.pickle").write_bytes(content.replace(b"\n", end))
        refused(lambda: read_pickle(tmp_path / "names.pickle"), "names.pickle: found", "expected")


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_f13_all_carriage_returns_taken_out(tmp_path, protocol):
    """`tr -d '\\r'`: in a binary pickle the byte 13 is the length of a name, or class 13."""
    for held in (["ABCDEFGHIJKLM", "abc"], [9, 13, 2, 13]):
        content = pickle.dumps(held, protocol)
        assert b"\r" in content
        (tmp_path / "x.pickle").write_bytes(content.replace(b"\r", b""))
        refused(lambda: read_pickle(tmp_path / "x.pickle"), "x.pickle: found", "expected")


# ---- F14: arrays of newer numpy -----------------------------------------------------------------


@pytest.mark.parametrize("file", range(3))
def test_f14_a_dictionary_by_name(tmp_path, file):
    """{"image_00001": array, ...}: as one would write it oneself."""
    write_pickles(tmp_path / "train", arrays(t=4))
    held = dict(zip(NAMES, (arrays(t=4), NAMES, [2, 7, 9])[file], strict=True))
    (tmp_path / "train" / FILES[file]).write_bytes(pickle.dumps(held, 5))
    refused(lambda: load_embeddings(tmp_path / "train"), f"{FILES[file]}: found", "expected")


def test_f14_one_array_of_all(tmp_path):
    """np.stack(embeddings) in one array; names in one; both by protocol 5."""
    for file, held in ((0, np.stack(arrays(t=4))), (1, np.array(NAMES)),
                       (1, np.array(NAMES, object)), (2, np.array([[2, 7, 9]]))):  # fmt: skip
        write_pickles(tmp_path / f"train {file}", arrays(t=4))
        (tmp_path / f"train {file}" / FILES[file]).write_bytes(pickle.dumps(held, 5))
        read_or_refused(lambda file=file: load_embeddings(tmp_path / f"train {file}"),
                        lambda found: np.array_equal(found.embeddings, np.stack(arrays(t=4)))
                        and found.file_names == NAMES, f"{FILES[file]}: found", "expected")
        shutil.rmtree(tmp_path / f"train {file}")


@pytest.mark.parametrize("asks", [b"cpandas.core.frame\nDataFrame\n)R.",
                                  b"cpandas._libs.internals\n_unpickle_block\n)R.",
                                  b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81.",
                                  b"cscipy.sparse._csr\ncsr_matrix\n)\x81.",
                                  b"cml_dtypes\nbfloat16\n)R.", b"cbuiltins\nrange\nK\x03\x85R."])
def test_f14_what_other_libraries_pickle(tmp_path, asks):
    """A table of pandas, joblib.dump, a sparse matrix, bfloat16, a range: each by its name."""
    write_pickles(tmp_path / "train", arrays(t=4))
    (tmp_path / "train" / FILES[0]).write_bytes(b"\x80\x04" + asks)
    refused(lambda: load_embeddings(tmp_path / "train"), f"{FILES[0]}: found",
            asks[1:].split(b"\n")[0].decode(), "expected only what arrays")


def test_f14_many_rows(tmp_path):
    """3,000 pictures by protocol 5, 3 MB and 12: the time grows with them."""
    took = {}
    for n in (1500, 3000):
        table = [*np.random.default_rng(0).standard_normal((n, 10, 50)).astype("f4")]
        (tmp_path / "arrays.pickle").write_bytes(pickle.dumps(table, 5))
        began = time.monotonic()
        found = read_pickle(tmp_path / "arrays.pickle")
        took[n] = time.monotonic() - began
        assert all(map(np.array_equal, found, table))
    assert took[3000] < 4 * took[1500] + 0.5 and took[3000] < 5, took


@pytest.mark.parametrize("made", [
    lambda names: [name.encode() for name in names],
    lambda names: [f"jpg\\{name.rsplit('/')[-1]}" for name in names],
    lambda names: [f"C:\\flowers\\jpg\\{name.rsplit('/')[-1]}.jpg" for name in names],
    lambda names: [f"{name}.JPG" for name in names], lambda names: [*names[:-1], None],
    lambda names: [*range(1, len(names) + 1)], lambda names: tuple(names)],
    ids=["bytes", "backslash", "a drive", "JPG", "a gap", "numbers", "a tuple"])  # fmt: skip
def test_f14_names_of_other_kinds(tmp_path, monkeypatch, made):
    """os.listdir of bytes, glob under Windows, endings in capitals, numbers, a tuple."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, _ = write_all(tmp_path)
    before = np.array(load_embedded(pickles, images, 16)[0].images)
    for part in ("train", "test"):
        path = pickles / part / FILES[1]
        path.write_bytes(pickle.dumps(made(read_pickle(path)), 5))
    read_or_refused(lambda: load_embedded(pickles, images, 16)[0],
                    lambda now: np.array_equal(now.images, before), "found", "expected",
                    str(tmp_path))  # fmt: skip


# ---- F15: small folders -------------------------------------------------------------------------


def of_counts(own, counts):  # noqa: F811
    """The folder again, with so many pictures in each class."""
    source = {"jpg": bytes_of(UPRIGHT, "JPEG"), "txt": "\n".join(TWO).encode()}
    shutil.rmtree(own)
    for number, count in enumerate(counts):
        (own / f"c{number}").mkdir(parents=True)
        for i in range(count):
            for kind, content in source.items():
                (own / f"c{number}" / f"p{i}.{kind}").write_bytes(content)


def test_f15_folders_of_many_shapes(own):  # noqa: F811
    """Four to six classes of one to six pictures, as people happen to have them."""
    rng = np.random.default_rng(0)
    accepted = 0
    for _ in range(12):
        of_counts(own, rng.integers(1, 7, rng.integers(4, 7)).tolist())
        try:
            mine = load_folder(own, size=16)
        except ValueError as error:
            assert "folder: found" in str(error) and "expected" in str(error), error
        else:
            accepted += 1
            batches(mine)
    assert accepted > 3


@pytest.mark.parametrize("classes", [3, 5, 9])
def test_f15_a_cut_of_oxford_of_some_classes(flowers, classes):  # noqa: F811
    """A teacher hands out 36 photos of Oxford's, of a few classes: to train on, and to test on."""
    labels = [i % classes + 1 for i in range(36)]
    source, text = flower_photo(flowers, 1).read_bytes(), flower_captions(flowers, 1).read_text()
    for part in ("jpg", "text_c10"):
        shutil.rmtree(flowers / part)
    for number, label in enumerate(labels, start=1):
        path = flowers / "text_c10" / f"class_{label:05d}" / f"image_{number:05d}.txt"
        for one in (path, flower_photo(flowers, number)):
            one.parent.mkdir(parents=True, exist_ok=True)
        flower_photo(flowers, number).write_bytes(source)
        path.write_text(text)
    savemat(flowers / "imagelabels.mat", {"labels": [labels]})
    mine, table = load_flowers(flowers, size=16), torch.randn(36, 10, 8)
    for split in ("train", "test"):  # of one class, as `load_flowers` says of few: told as such
        read_or_refused(
            lambda split=split: Batches(mine, table, split, 8, seed=0, near_misses=4)[1],
            lambda batch, split=split: (mine.classes[batch.pictures] != mine.classes[
                batch.wrong_pictures]).all() and len(batch.images) == 8,
            "flowers: split 'test' has no", "wrong sentences", "all are of its own class")


def test_f15_stored_embeddings_of_one_class_to_test_on(tmp_path, monkeypatch):
    """Somebody's test/ holds one class, or one picture, or none."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    for number, test in enumerate((12, 1)):
        pickles, images, _ = write_all(tmp_path / str(number), test=test)
        (pickles / "test" / FILES[2]).write_bytes(pickle.dumps([7] * test, 2))
        try:
            mine, table = load_embedded(pickles, images, 16)
        except ValueError as error:
            assert str(pickles / "test") in str(error) and "expected" in str(error), error
        else:
            batch = Batches(mine, table, "train", 16, seed=0)[0]
            assert (mine.classes[batch.pictures] != mine.classes[batch.wrong_pictures]).all()
    (pickles / "test" / FILES[0]).write_bytes(pickle.dumps([], 2))
    refused(lambda: load_embedded(pickles, images, 16), str(pickles / "test" / FILES[0]),
            "a list of 0", "expected")  # fmt: skip


@pytest.mark.parametrize("what", ["no sentences", "one sentence file", "no pictures"])
def test_f15_a_class_that_is_not_finished(own, what):  # noqa: F811
    """The fourth class has pictures and no sentences yet, or sentences and no pictures."""
    lost = [*(own / "class 3").glob("*.jpg" if what == "no pictures" else "*.txt")]
    for path in lost[1:] if what == "one sentence file" else lost:
        path.unlink()
    found = {"no sentences": "captions missing for 4 of 16", "no pictures": "pictures of 3 classes",
             "one sentence file": "captions missing for 3 of 16"}[what]  # fmt: skip
    refused(lambda: load_folder(own, size=16), found)


@pytest.mark.parametrize("share", [0.1, 0.34, 0.5, 0.6])
def test_f15_shares_of_few_classes(own, share):  # noqa: F811
    """Five classes of three, and a share to test on that people try."""
    of_counts(own, [3] * 5)
    try:
        mine = load_folder(own, size=16, test_share=share)
    except ValueError as error:
        assert "test_share" in str(error) or "pictures to train on" in str(error), error
        assert "expected" in str(error)
    else:
        batches(mine)


# ---- F16: options -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -5, None, True, "eight", [20], 2.5, float("nan"), (20,)])
def test_f16_how_many_flowers(tmp_path, monkeypatch, n):
    """None for "all", 0, a list out of a form, a share."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    refused(lambda: unchecked(load_blooms)(n, 16), f"Blooms: n {n!r}", "expected a whole number, 1")
    assert not [*(tmp_path / "cache").rglob("*.npy")]


@pytest.mark.parametrize("share", [float("inf"), -0.2, -0.0, complex(0.2), np.float64(0.25),
                                   np.array(0.25), [0.2, 0.1], "", b"0.2", {"test": 0.25}])
def test_f16_other_shares(own, monkeypatch, share):  # noqa: F811
    """Infinity, a minus by mistake, a list of two shares, a dictionary, numpy's."""
    monkeypatch.setattr(photographs, "class_disjoint_splits",
                        unchecked(photographs.class_disjoint_splits))
    read_or_refused(lambda: unchecked(load_folder)(own, 16, share).splits["test"],
                    lambda pictures: len(pictures) == 8, "test_share", "expected more than 0")


@pytest.mark.parametrize("size", [np.uint8(120), np.bool_(True), Decimal(16), float("nan"),
                                  b"16", [16], "", np.datetime64(16, "D")])
def test_f16_sizes_of_few_bits(own, flowers, monkeypatch, size):  # noqa: F811
    """A size out of an array of bytes, 120 of which times 76 is no byte; a Decimal; a list."""
    monkeypatch.setattr(photographs, "side_of", unchecked(photographs.side_of))
    for load_, folder in ((load_folder, own), (load_flowers, flowers)):
        read_or_refused(lambda load_=load_, folder=folder: unchecked(load_)(folder, size=size),
                        lambda mine: mine.images.shape[-1] == 142 and type(mine.crop) is int,
                        f"size {size!r}", "expected a whole number")
    read_or_refused(lambda: unchecked(load_blooms)(60, size),
                    lambda mine: mine.images.shape == (60, 3, 120, 120), f"size {size!r}",
                    "expected a whole number")


@pytest.mark.parametrize("name", ["Flowers", "", None, 102, "flowers-102", "cub", ["flowers"],
                                  "folder ", "embeddings", "../flowers"])
def test_f16_names_of_sets(name):
    """A capital, the folder's name, a number, a list, a set that has another door."""
    with pytest.raises(ValueError, match="unknown data set: found .*expected one of blo") as raised:
        unchecked(load)(name, data_dir="x")
    assert repr(name) in str(raised.value)


@pytest.mark.parametrize("split", [" oxford", "OXFORD", b"oxford", ["oxford"], True, 0, "",
                                   np.str_("oxford"), {"train": [1]}])
def test_f16_splits_of_other_kinds(flowers, birds, split):  # noqa: F811
    """A blank, capitals, bytes, a list, numpy's text; an empty text out of a form."""
    read_or_refused(lambda: unchecked(load_flowers)(flowers, size=16, split=split),
                    lambda now: split == "oxford" and now.splits["train"].tolist() == [0, 1, 2],
                    "unknown split", repr(split), "expected one of class_disjoint, oxford")
    refused(lambda: unchecked(load_birds)(birds, size=16, split=split), "unknown split",
            "expected one of class_disjoint, published")


# ---- F17: where sentences lie -------------------------------------------------------------------


def test_f17_kaggles_layout(tmp_path, capsys):
    """Kaggle's flowers: dataset/train/1/image_06734.jpg, cat_to_name.json; no sentences."""
    left(tmp_path / "archive", "dataset/train/1/image_06734.jpg", "dataset/valid/1/image_1.jpg",
         "dataset/test/image_00005.jpg", "cat_to_name.json")  # fmt: skip
    for place in (tmp_path / "archive", tmp_path / "archive" / "dataset"):
        refused(lambda place=place: load_flowers(place, size=16), str(place),
                "jpg, imagelabels.mat, setid.mat, text_c10 missing", "expected there")
    with pytest.raises(SystemExit):
        main(["data", "--dataset", "flowers", "--data_dir", str(tmp_path / "archive")])
    assert "lacks  jpg" in capsys.readouterr().out


def test_f17_a_class_too_deep(flowers, birds):  # noqa: F811
    """captions_dir is the folder of one class."""
    refused(lambda: load_flowers(flowers, size=16,
                                 captions_dir=flowers / "text_c10" / "class_00001"),
            "captions missing for 12 of 12", str(flowers / "text_c10" / "class_00001"))
    refused(lambda: load_birds(birds, size=16, captions_dir=birds / "text_c10" / "001.Auk"),
            "captions missing for 8 of 8", str(birds / "text_c10" / "001.Auk"))


@pytest.mark.parametrize("where", ["text_c10", "jpg", "elsewhere"])
def test_f17_all_sentences_in_one_folder(flowers, tmp_path, where):  # noqa: F811
    """Unpacked without folders (7-Zip's "e", `unzip -j`): into text_c10, or beside the photos."""
    before = load_flowers(flowers, size=16)
    (flowers / "text_c10").rename(tmp_path / "kept")
    place = flowers / where
    place.mkdir(exist_ok=True)
    for path in (tmp_path / "kept").glob("*/*.txt"):
        path.rename(place / path.name)
    read_or_refused(lambda: load_flowers(flowers, size=16, captions_dir=place),
                    lambda now: same(before, now), "captions missing for 12 of 12", str(place),
                    f"class_00002{os.sep}image_00001.txt")


def test_f17_the_sentences_of_the_other_set(flowers, birds):  # noqa: F811
    """captions_dir of the birds for the flowers, and the other way round; or the photos'."""
    refused(lambda: load_flowers(flowers, size=16, captions_dir=birds),
            "flowers: captions missing for 12 of 12", str(birds / "text_c10"))
    refused(lambda: load_birds(birds, size=16, captions_dir=flowers / "text_c10"),
            "birds: captions missing for 8 of 8", str(flowers / "text_c10"))
    refused(lambda: load_birds(birds, size=16, captions_dir=birds / "images"),
            "birds: captions missing for 8 of 8", str(birds / "images"))


def test_f17_extract_all_of_windows(birds, flowers, tmp_path, capsys):  # noqa: F811
    """Explorer unpacks flowers-102.zip into flowers-102/flowers-102/; and once more."""
    for folder, load_, inner in ((flowers, load_flowers, "flowers-102"),
                                 (birds, load_birds, "CUB_200_2011")):  # fmt: skip
        before = load_(folder, size=16)
        images, captions = np.array(before.images), before.captions
        (tmp_path / "x" / inner).mkdir(parents=True)
        folder.rename(tmp_path / "x" / inner / inner)
        now = load_(tmp_path / "x" / inner, size=16)
        assert np.array_equal(now.images, images) and now.captions == captions
        main(["data", "--dataset", load_.__name__[5:], "--data_dir", str(tmp_path / "x" / inner)])
        assert "whole: " in capsys.readouterr().out
        read_or_refused(lambda load_=load_: load_(tmp_path / "x", size=16),
                        lambda now, captions=captions: now.captions == captions, "missing in",
                        str(tmp_path / "x"), "expected there")


# ---- F18: where the data lie --------------------------------------------------------------------


def test_f18_what_is_a_path_too(own, tmp_path, monkeypatch):  # noqa: F811
    """An entry of os.scandir, numpy's text, ".", a way there and back, a slash at the end."""
    before = load_folder(own, size=16)
    monkeypatch.chdir(tmp_path)
    [entry] = [entry for entry in os.scandir(tmp_path) if entry.name == "own"]
    for given in (entry, np.str_(own), "own/", "./own/.", "cache/../own", f"{own}//"):
        assert same(before, unchecked(load_folder)(given, size=16))
    monkeypatch.chdir(own)
    for given in (".", "./", Path(), "../own"):
        assert same(before, load_folder(given, size=16))


def test_f18_a_level_too_high_or_too_deep(own, tmp_path, monkeypatch):  # noqa: F811
    """data_dir is a class, or the parent; image_dir is jpg/ itself; data_dir is train/."""
    for place in (own / "class 0", own.parent):
        refused(lambda place=place: load_folder(place), repr(str(place)), "pictures of 0 classes",
                "expected")
    pickles, images, _ = write_all(tmp_path)
    for data_dir, image_dir, lacks in ((pickles / "train", images, pickles / "train" / "train"),
                                       (pickles, images / "jpg", images / "jpg" / "jpg"),
                                       (images, pickles, images / "train"),
                                       (tmp_path, images, tmp_path / "train")):  # fmt: skip
        refused(lambda a=data_dir, b=image_dir: load_embedded(a, b, 16), str(lacks), "expected")


@pytest.mark.parametrize("given", ["my%20flowers", "my&nbsp;flowers", "my flowers ", "my\u00a0flow",
                                   "flowers\0", "a" * 5000, "x/" * 3000, "[my flowers]", "*"])
@pytest.mark.parametrize("load_", [load_flowers, load_birds, load_folder])
def test_f18_what_no_folder_is_called(flowers, monkeypatch, given, load_):  # noqa: F811
    """From a browser's address, from a page; a whole text pasted; a NUL at the end."""
    monkeypatch.chdir(flowers.parent)
    with pytest.raises((OSError, ValueError)) as raised:
        load_(given)
    assert repr(given[:20].rstrip("\0/ "))[1:-1] in str(raised.value), raised.value
    assert "expected" in str(raised.value) or "too long" in str(raised.value), raised.value


@linux
@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.EACCES])
def test_f18_a_drive_that_was_mounted(own, monkeypatch, number):  # noqa: F811
    """Colab's Drive or a share dropped its connection: each call fails by its name."""
    scandir = os.scandir

    def scan(path="."):
        if str(path).startswith(str(own)):
            raise OSError(number, os.strerror(number), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    refused(lambda: load_folder(own, size=16), str(own), os.strerror(number))


def test_f18_what_the_command_line_tells(tmp_path, monkeypatch, capsys):
    """`data` of a relative folder that is not there, of a file, of none, of a ~ of nobody."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.zip").write_bytes(b"PK\3\4")
    for dataset in ("flowers", "birds", "folder"):
        for given in ("nowhere", "file.zip", "~nobody-here/x"):
            with pytest.raises(SystemExit) as raised:
                main(["data", "--dataset", dataset, "--data_dir", given])
            said = "".join(capsys.readouterr())
            assert raised.value.code and given in said and "Traceback" not in said, said
            assert given[0] == "~" or str(tmp_path / given) in said, said


# ---- F19: a cache that is old -------------------------------------------------------------------


def test_f19_a_label_that_was_put_right(flowers):  # noqa: F811
    """Photo 5 is of class 1 after all: a new imagelabels.mat, its sentences moved."""
    before = load_flowers(flowers, size=16)
    images = np.array(before.images)
    labels = [*LABELS[:4], 1, *LABELS[5:]]
    text = flower_captions(flowers, 5).read_text()
    flower_captions(flowers, 5).unlink()
    (flowers / "text_c10" / "class_00001" / "image_00005.txt").write_text(text.replace("0", "00"))
    savemat(flowers / "imagelabels.mat", {"labels": np.array([labels], np.uint8)})
    now = load_flowers(flowers, size=16)
    assert (now.classes + 1).tolist() == labels and now.captions[4][0] == "sentence 00 of photo 5."
    assert np.array_equal(now.images, images)


def test_f19_a_box_that_was_put_right(birds):  # noqa: F811
    """One number of a box, one of the split, are corrected by hand: as many letters."""
    before = np.array(load_birds(birds, size=16).images)
    edited(birds, "bounding_boxes.txt", lambda text: text.replace("4 30.0", "4 60.0"))
    now = load_birds(birds, size=16)
    assert np.array_equal(now.images[:3], before[:3])
    assert not np.array_equal(now.images[3], before[3])
    edited(birds, "train_test_split.txt", lambda text: text.replace("4 0", "4 1"))
    assert 3 in load_birds(birds, size=16, split="published").splits["train"]


@pytest.mark.parametrize("edit", ["an ending more", "from the corner"])
def test_f19_the_reader_of_folders_is_edited(own, tmp_path, monkeypatch, edit):  # noqa: F811
    """Notebook 03 shows folder.py, 40 lines; somebody adds ".bmp" to SUFFIXES, or cuts otherwise.

    p0.bmp lies beside p0.jpg and p0.txt from the first.
    """
    UPRIGHT.save(own / "class 0" / "p0.bmp")
    before = np.array(load_folder(own, size=16).images)
    assert len(before) == 16
    edited_file = tmp_path / "folder.py"
    edited_file.write_text(Path(folder_reader.__file__).read_text() + "\nEDITED = True\n")
    monkeypatch.setattr(folder_reader, "__file__", str(edited_file))
    if edit == "an ending more":
        monkeypatch.setattr(folder_reader, "SUFFIXES", (*folder_reader.SUFFIXES, ".bmp"))
        assert len(load_folder(own, size=16).images) == 17
        return

    class Corner:  # what a line changed in folder.py would call in place of read_square
        def __getattr__(self, name):
            return getattr(photographs, name)

        def read_square(self, name, path, side):
            with Image.open(path) as image:
                return np.asarray(image.convert("RGB"))[:side, :side].transpose(2, 0, 1)

    monkeypatch.setattr(folder_reader, "photographs", Corner())
    assert not np.array_equal(load_folder(own, size=16).images, before)


@linux
def test_f19_photos_on_one_disk_and_then_on_another(flowers, tmp_path):  # noqa: F811
    """jpg/ is a link to the photos as they are, then to those without backgrounds; one date."""
    (flowers / "jpg").rename(tmp_path / "photos")
    shutil.copytree(tmp_path / "photos", tmp_path / "cut out")
    Image.new("RGB", (120, 90), "white").save(tmp_path / "cut out" / "image_00001.jpg")
    for place in (tmp_path / "photos", tmp_path / "cut out"):
        for path in (*place.iterdir(), place):
            os.utime(path, (315532800, 315532800))
    (flowers / "jpg").symlink_to(tmp_path / "photos")
    assert not (load_flowers(flowers, size=16).images[0] == 255).all()
    (flowers / "jpg").unlink()
    (flowers / "jpg").symlink_to(tmp_path / "cut out")
    assert (load_flowers(flowers, size=16).images[0] == 255).all()


def test_f19_a_sentence_more_for_each_and_a_class_away(own):  # noqa: F811
    """A third sentence for each picture; a class is taken away for a day, and brought back."""
    load_folder(own, size=16)
    shutil.copytree(own / "class 3", own / "class 4")
    for path in own.glob("*/*.txt"):
        path.write_text(path.read_text() + "it smells\n")
    mine = load_folder(own, size=16)
    assert mine.captions == [[*TWO, "it smells"]] * 20
    images = np.array(mine.images)
    (own / "class 1").rename(own.parent / "class 1")
    assert np.array_equal(load_folder(own, size=16).images, images[[*range(4), *range(8, 20)]])
    (own.parent / "class 1").rename(own / "class 1")
    assert np.array_equal(load_folder(own, size=16).images, images)


# ---- F20: a cache that is damaged ---------------------------------------------------------------


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_f20_stopped_amid_the_photos(own, tmp_path, monkeypatch, stop):  # noqa: F811
    """The stop button of the notebook, at the ninth photo; then the cell is run again."""
    read, count = photographs.read_square, []

    def square(*given):
        count.append(given)
        if len(count) == 9:
            raise stop
        return read(*given)

    monkeypatch.setattr(photographs, "read_square", square)
    with pytest.raises(stop):
        load_folder(own, size=16)
    assert not [*tmp_path.glob("cache/folder/photos*")]
    assert not [*tmp_path.glob("cache/folder/.*.part")]
    before = np.array(load_folder(own, size=16).images)
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "another"))
    assert np.array_equal(load_folder(own, size=16).images, before)


@pytest.mark.parametrize("given", ["cache here", "~/cache", "own", "own/class 0/cache", "./x/../y",
                                   ""])
def test_f20_places_for_a_cache(own, tmp_path, monkeypatch, given):  # noqa: F811
    """T2I_CACHE relative, at home, empty, within the pictures' own folder."""
    before = load_folder(own, size=16)
    images = np.array(before.images)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("T2I_CACHE", given)
    for _ in range(3):
        now = load_folder(own, size=16)
        assert np.array_equal(now.images, images) and now.captions == before.captions
        assert now.class_names == before.class_names
    assert len([*tmp_path.glob("**/photos-19-*.npy")]) < 4
    monkeypatch.chdir(own)
    assert np.array_equal(load_folder(own, size=16).images, images)


def test_f20_what_a_session_that_was_killed_left(own, tmp_path, monkeypatch):  # noqa: F811
    """A hosted notebook was reset: a lock, its holder's note and a draft lie in the cache."""
    before = np.array(load_folder(own, size=16).images)
    for path in tmp_path.glob("cache/folder/[!.]*"):
        (path.parent / f".{path.name}.lock").write_bytes(b"")
        (path.parent / f".{path.name}.holder").write_text("process 4242 on gone since 2024-01-01")
        draft = path.parent / f".{path.name}.0123456789ab.part"
        draft.mkdir()
        path.rename(draft / path.name)
    began = time.monotonic()
    assert np.array_equal(load_folder(own, size=16).images, before)
    assert time.monotonic() - began < 5 and not [*tmp_path.glob("cache/folder/.*.part")]


@linux
def test_f20_emptied_while_a_notebook_has_it_open(own, tmp_path):  # noqa: F811
    """`rm -r ~/.cache/t2i` in a terminal, while the notebook trains on; then it loads again."""
    mine = load_folder(own, size=16)
    before = np.array(mine.images)
    shutil.rmtree(tmp_path / "cache")
    assert np.array_equal(mine.images, before)
    table = torch.zeros(16, 2, 4)
    assert Batches(mine, table, "train", 4, 0)[0].images.shape == (4, 3, 16, 16)
    assert np.array_equal(load_folder(own, size=16).images, before)


@pytest.mark.parametrize("change", ["desktop.ini", "mark", "crlf", "twice", "conflict"])
def test_f20_a_cache_in_the_cloud(tmp_path, monkeypatch, change):
    """Drive or OneDrive keeps the cache: files of its own, copies, sentences.json saved anew."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    before = load_blooms(20, 16)
    images, captions = np.array(before.images), before.captions
    [path] = tmp_path.glob("cache/blooms/v*")
    content = (path / "sentences.json").read_bytes()
    if change == "mark":
        (path / "sentences.json").write_bytes(b"\xef\xbb\xbf" + content)
    elif change == "crlf":
        (path / "sentences.json").write_bytes(content.replace(b"], [", b"],\r\n["))
    elif change == "twice":
        shutil.copytree(path, path.with_name(f"{path.name} (1)"))
    else:
        left(path, "desktop.ini" if change == "desktop.ini" else "images (Anna's copy).npy")
    for _ in range(2):
        now = load_blooms(20, 16)
        assert np.array_equal(now.images, images) and now.captions == captions


# ---- F21: archives ------------------------------------------------------------------------------


class NoWayBack(io.RawIOBase):
    """A pipe: a ZIP that is written to it has its sizes behind each member."""

    def __init__(self):
        self.content = b""

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


def test_f21_a_zip_by_the_finder(tmp_path):
    """macOS compresses: sizes behind the members, ._ files in __MACOSX, accents in two parts."""
    pipe = NoWayBack()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("birds/", b"")
        file.writestr("birds/cafe\u0301.jpg", b"one" * 99)
        file.writestr("__MACOSX/birds/._cafe\u0301.jpg", b"\0\5\x16\7")
        file.writestr("birds/.DS_Store", b"x")
    (tmp_path / "birds.ZIP").write_bytes(pipe.content)
    found = unpacked(tmp_path / "birds.ZIP")
    assert found.pop("birds/cafe\u0301.jpg") == b"one" * 99
    assert all("._" in name or ".DS" in name for name in found)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_f21_names_with_dots_and_slashes(tmp_path, kind):
    """./birds/1.jpg, birds//2.jpg, birds/./3.jpg, a folder after its files, three dots."""
    names = ["./birds/1.jpg", "birds//2.jpg", "birds/./3.jpg", "birds/...", "birds/a..b", "birds/"]
    archive = tmp_path / f"birds.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            for name in names:
                file.writestr(name, b"" if name[-1] == "/" else name.encode())
    else:
        with tarfile.open(archive, "w") as file:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = 0 if name[-1] == "/" else len(name)
                member.type = tarfile.DIRTYPE if name[-1] == "/" else tarfile.REGTYPE
                member.mode = 0o755
                file.addfile(member, io.BytesIO(name.encode()))
    assert unpacked(archive) == {"birds/1.jpg": b"./birds/1.jpg", "birds/2.jpg": b"birds//2.jpg",
                                 "birds/3.jpg": b"birds/./3.jpg", "birds/...": b"birds/...",
                                 "birds/a..b": b"birds/a..b"}


@pytest.mark.parametrize("name", ["archive", "birds.zip.1", "birds.zip.crdownload", "birds(1).zip",
                                  "birds.cbz", "birds.tar.gz", "download?id=1"])
def test_f21_a_zip_under_another_name(tmp_path, name):
    """A browser, wget and Drive change names: archive, birds.zip.1, download?id=1.

    It is whole: read as a tar is whatever its name, or told as what it is.
    """
    with zipfile.ZipFile(tmp_path / name, "w") as file:
        file.writestr("birds/1.jpg", b"one")
    read_or_refused(lambda: unpacked(tmp_path / name), lambda found: found == {
        "birds/1.jpg": b"one"}, str(tmp_path / name), "expected")
    assert {path.name for path in tmp_path.iterdir()} <= {name, "all"}


def test_f21_a_place_that_is_not_there(tmp_path, monkeypatch):
    """extract("birds.tgz", "data/new/birds") where there is no data/ yet; or data is a file.

    Made, as by `fetch`; or told with the name that was given, and none made up.
    """
    monkeypatch.chdir(tmp_path)
    with tarfile.open("birds.tgz", "w:gz") as file:
        member = tarfile.TarInfo("birds/1.jpg")
        member.size = 3
        file.addfile(member, io.BytesIO(b"one"))
    (tmp_path / "file").write_bytes(b"")
    right = {"birds/1.jpg": b"one"}
    for folder in ("data/new/birds", "file/birds"):
        read_or_refused(lambda folder=folder: {
            path.relative_to(out).as_posix(): path.read_bytes()
            for out in [extract("birds.tgz", folder)] for path in out.rglob("*.jpg")},
            lambda found: found == right, f"{folder}'")
        assert not [path for path in tmp_path.rglob("*") if path.name == "whole"]


@pytest.mark.parametrize("how", ["lzma", "zeros", "tail", "one file", "empty zip", "empty tar",
                                 "last of many", "folder"])
def test_f21_other_ends_and_kinds(tmp_path, how):
    """xz's older .lzma; a tape's zeros or a page behind a .tgz; one packed file; nothing in it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as file:
        member = tarfile.TarInfo("birds/1.jpg")
        member.size = 3
        file.addfile(member, io.BytesIO(b"one"))
    tgz, parts = gzip.compress(plain.getvalue()), io.BytesIO()
    with zipfile.ZipFile(parts, "w") as file:
        file.writestr("birds/1.jpg", bytes(9000))
    last = bytearray(parts.getvalue()[6000:])  # birds.z01 and birds.z02 were not fetched
    last[-18:-14] = struct.pack("<HH", 2, 2)
    content, name, right = {
        "lzma": (lzma.compress(plain.getvalue(), lzma.FORMAT_ALONE), "birds.tar.lzma", "one"),
        "zeros": (tgz + bytes(3000), "birds.tgz", "one"),
        "tail": (tgz + b"<html>", "birds.tgz", "one"),
        "one file": (gzip.compress(b"labels"), "imagelabels.mat.gz", None),
        "empty zip": (b"PK\5\6" + bytes(18), "birds.zip", "nothing"),
        "empty tar": (bytes(10240), "birds.tar", "nothing"),
        "last of many": (last, "birds.zip", None),
        "folder": (None, "birds.zip", None)}[how]  # fmt: skip
    archive = tmp_path / name
    archive.mkdir() if content is None else archive.write_bytes(content)
    held = {"birds/1.jpg": b"one"} if right == "one" else {}
    read_or_refused(lambda: unpacked(archive), lambda found: right and found == held, str(archive))
    assert {path.name for path in tmp_path.iterdir()} <= {name, "all"}


# ---- F22: what is changed in place, what is shown -----------------------------------------------


def test_f22_a_reader_tries_to_change_a_picture(own):  # noqa: F811
    """flowers.images[0] = 0 in a cell, and a sentence replaced: the next session has both."""
    mine = load_folder(own, size=16)
    before = np.array(mine.images)
    with pytest.raises(ValueError, match="read-only"):
        mine.images[0] = 0
    mine.captions[0][0] = "another"
    mine.classes[0] = 3
    mine.splits["train"].zero_()
    now = load_folder(own, size=16)
    assert np.array_equal(now.images, before) and now.captions == [TWO] * 16
    assert now.classes[0] == 0 and len(now.splits["train"].unique()) > 2


def test_f22_arithmetic_on_a_batch(own):  # noqa: F811
    """batch.to("cpu"), then noise added in place to pictures and embeddings."""
    mine, table = load_folder(own, size=16), torch.randn(16, 2, 4)
    kept = table.clone()
    all_of_them = Batches(mine, table, "train", 4, 0)
    one = all_of_them[2]
    copy = {f.name: getattr(one, f.name).clone() for f in dataclasses.fields(one)
            if getattr(one, f.name) is not None}  # fmt: skip
    for field in dataclasses.fields(one):
        if (own_part := getattr(one.to("cpu"), field.name)) is not None:
            own_part.zero_()
    again = all_of_them[2]
    assert torch.equal(table, kept)
    assert all(torch.equal(getattr(again, name), part) for name, part in copy.items())


def test_f22_shown_in_other_ways(own, flowers):  # noqa: F811
    """print, pprint, an f-string, in a list, in a dictionary of several sets."""
    sets = {"own": load_folder(own, size=16), "flowers": load_flowers(flowers, size=16)}
    for shown in (str(sets["own"]), f"{sets['own']}", pprint.pformat(sets), repr([*sets.values()]),
                  pprint.pformat((sets["own"], 3)), f"{sets!s:.3000}"):
        assert len(shown) < 600 and TWO[0] not in shown and "sentence 0" not in shown, shown


def test_f22_a_cell_that_ends_in_embeddings(tmp_path):
    """load_embeddings(…) alone in a cell; and in a list with its names."""
    names = [f"image_{i:05d}" for i in range(2000)]
    write_pickles(tmp_path / "train", [np.full((10, 2), i, "f4") for i in range(2000)])
    for file, held in ((1, names), (2, [1, 2] * 1000)):
        (tmp_path / "train" / FILES[file]).write_bytes(pickle.dumps(held, 2))
    found = load_embeddings(tmp_path / "train")
    for shown in (repr(found), str([found]), pprint.pformat(found)):
        assert len(shown) < 300 and "[2000, 10, 2]" in shown, shown[:300]


@pytest.mark.filterwarnings("error")
def test_f22_one_grey_for_three_colours():
    """A grey picture spread over three channels by expand, in channels-last, and to bytes."""
    grey = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    three = grey.expand(2, 3, 4, 4)
    found = to_unit(three)
    found[0, 0].zero_()
    assert torch.equal(found[1, 2], grey[0, 0] / 127.5 - 1) and grey.sum() == 120
    floats = torch.linspace(-2, 2, 16).view(1, 1, 4, 4).expand(2, 3, 4, 4)
    last = floats.contiguous(memory_format=torch.channels_last)
    kept = floats.clone()
    assert torch.equal(to_bytes(floats), to_bytes(last))
    assert torch.equal(floats, kept) and torch.equal(last, kept)
    assert torch.equal(to_bytes(to_unit(three)), three)
