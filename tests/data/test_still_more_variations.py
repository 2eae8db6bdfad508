"""Five variations more of each case of other people's files: read rightly, or refused by name.

The names count the cases, as in `test_variations.py`; none of those is tried again here.
"""

import dataclasses
import errno
import gzip
import io
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
from test_more_variations import unpacked  # noqa: E402
from test_other_peoples_files import TWO, clear, first, linux  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402
from test_variations import (  # noqa: E402
    LEVELS,
    ROWS,
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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_f01_a_tiff_that_is_turned(own, dtype):  # noqa: F811
    """A camera's TIFF of 8 or 16 bits, turned by its own tag, renamed .png."""
    grey = np.asarray(SIDEWAYS.convert("L")).astype(dtype) * (257 if dtype == np.uint16 else 1)
    content = bytes_of(Image.fromarray(grey), "TIFF", tiffinfo={274: 6})
    assert upright(with_first(own, content))


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
    reference = ramp[1350:1650].reshape(19, -1)[:, :15].mean(1) if False else np.linspace(
        ramp[1350:1366].mean(), ramp[1634:1650].mean(), 19)  # fmt: skip
    assert np.abs(image[:, :, 9] - reference).max() < 6


# ---- F2: transparent ----------------------------------------------------------------------------


def test_f02_webp_with_loss(own):  # noqa: F811
    """A shop's cut-out as WebP with loss, its hidden colours kept."""
    image = with_first(own, bytes_of(clear("RGBA")[0], "WEBP", quality=90, exact=True), "webp")
    assert image[:, :8].min() > 240 and image[:, 11:].max() < 25


def test_f02_a_gif_whose_first_frame_is_small(own):  # noqa: F811
    """A sticker whose first frame covers a part of its screen; about it there is nothing."""
    frame = Image.new("P", (20, 20), 1)
    frame.putpalette([255, 0, 255, 0, 0, 0])
    content = bytearray(bytes_of(frame, "GIF", transparency=0))
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


def tiff(pixels, bits, *more, width=None):
    """A TIFF of one strip, low byte first, as Pillow writes few."""
    height, wide = len(pixels), width or len(pixels[0])
    samples = len(bits)
    data = b"".join(bytes(row) for row in pixels)
    depth = (258, 3, samples, bits[0]) if samples == 1 else (258, 3, samples, 8)
    tags = [(256, 3, 1, wide), (257, 3, 1, height), depth, (259, 3, 1, 1),
            (262, 3, 1, 1 if samples == 1 else 2), (273, 4, 1, 16), (277, 3, 1, samples),
            (278, 3, 1, height), (279, 4, 1, len(data)), *more]  # fmt: skip
    head = b"II*\0" + struct.pack("<I", 16 + len(data)) + struct.pack("<4H", *(bits + [0] * 4)[:4])
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return head + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_f03_twelve_bits_packed(own):  # noqa: F811
    """A microscope's TIFF packs two greys of 12 bits into three bytes; renamed .png."""
    rows = []
    for grey in (LEVELS // 16).astype(int).tolist():
        rows.append(bytes([grey >> 4, (grey & 15) << 4 | grey >> 8, grey & 255] * 48))
    content = tiff(rows, [12], width=96)
    assert Image.open(io.BytesIO(content)).size == (96, 95)
    read_or_refused(lambda: with_first(own, content),
                    lambda image: np.abs(image[:, 1:-1, 9] - ROWS).max() < 3,
                    "p0.png: found", "expected 8 or 16 bits a channel")


def test_f03_a_scanners_tiff_in_colour(own):  # noqa: F811
    """A flat-bed scanner: TIFF, red, green and blue of 16 bits each, renamed .png."""
    table = np.zeros((95, 95, 3), "<u2")
    table[..., 0], table[..., 1] = LEVELS[:, None], 65535 - LEVELS[:, None]
    content = tiff([row.tobytes() for row in table], [16, 16, 16], width=95)
    red, green, blue = with_first(own, content)
    assert np.abs(red[1:-1, 9] - ROWS).max() < 3 and np.abs(green[1:-1, 9] - ROWS[::-1]).max() < 3
    assert blue.max() == 0


def test_f03_numbers_with_a_sign(own):  # noqa: F811
    """A CT or a map of heights: a TIFF of 16 bits with a sign, renamed .png."""
    table = np.repeat((LEVELS - 32768).astype("<i2")[:, None], 95, 1)
    content = tiff([row.tobytes() for row in table], [16], (339, 3, 1, 2), width=95)
    read_or_refused(lambda: with_first(own, content),
                    lambda image: np.abs(image[:, 1:-1, 9] - ROWS).max() < 3,
                    "p0.png: found pixels of kind I", "expected 8 or 16 bits a channel")


def test_f03_a_pixmap_of_ten_bits(own):  # noqa: F811
    """A video's frame by ffmpeg: PPM in colour that counts up to 1023, renamed .png."""
    table = np.repeat(np.repeat((LEVELS // 64).astype(">u2")[:, None, None], 95, 1), 3, 2)
    read_or_refused(lambda: with_first(own, b"P6 95 95 1023\n" + table.tobytes()),
                    lambda image: np.abs(image[:, 1:-1, 9] - ROWS).max() < 3,
                    "p0.png: found", "expected")


def test_f03_sixteen_bits_in_the_published_layouts(flowers, birds):  # noqa: F811
    """Oxford's and CUB's photos made grey by a tool that writes PNGs of 16 bits as .jpg."""
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
    refused(lambda: load_birds(birds, size=16), f"{table}, line 1: found U+0000", "expected UTF-8")


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
