"""Five more variations of each case of other people's files: read rightly, or refused by name.

The names count the cases, as in `test_variations.py`; none of those is tried again here.
"""

import base64
import errno
import io
import mmap
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath

import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from scipy.io import loadmat, savemat

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all  # noqa: E402
from test_archives import listing  # noqa: E402
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
    LEVELS,
    ROWS,
    SHORT_6,
    SIDEWAYS,
    UPRIGHT,
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
from t2i_utils.checkpoints import CheckpointError  # noqa: E402
from t2i_utils.data import photographs  # noqa: E402
from t2i_utils.data.archives import extract  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.blooms import load_blooms  # noqa: E402
from t2i_utils.data.captioned import Batches, to_bytes, to_unit  # noqa: E402
from t2i_utils.data.embedded import Stored, load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings, read_pickle  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402
from t2i_utils.figures.pictures import grid  # noqa: E402
from t2i_utils.lesson import pretrained  # noqa: E402
from t2i_utils.metrics.exams import blooms_exam  # noqa: E402
from t2i_utils.models.char_cnn_rnn import load_text_encoder  # noqa: E402

# ---- F1: turned by EXIF -------------------------------------------------------------------------


def test_f01_exiftool_on_a_png(own):  # noqa: F811
    """exiftool -Orientation=6 on a PNG: its eXIf stands behind the pixels."""
    content = bytes_of(SIDEWAYS, "PNG")
    exif = struct.pack(">I", len(SHORT_6)) + b"eXIf" + SHORT_6
    exif += struct.pack(">I", zlib.crc32(b"eXIf" + SHORT_6))
    assert upright(with_first(own, content[:-12] + exif + content[-12:]))


def test_f01_lightrooms_xmp(own):  # noqa: F811
    """Lightroom wrote the turn into the XMP alone."""
    xmp = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-'
           b'rdf-syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
           b'tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>')
    assert upright(with_first(own, bytes_of(SIDEWAYS, "JPEG", xmp=xmp), "jpg"))


def test_f01_a_thumbnail_that_is_upright(own):  # noqa: F811
    """A phone's EXIF, low byte first: the photo says 6, the thumbnail behind it says 1."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
    exif = b"II*\0\x08\0\0\0\1\0" + entry + struct.pack("<I", 26)
    exif += b"\1\0" + struct.pack("<HHIHH", 0x112, 3, 1, 1, 0) + bytes(4)
    assert upright(with_first(own, bytes_of(SIDEWAYS, "JPEG", exif=b"Exif\0\0" + exif), "jpg"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_f01_a_turned_picture_that_was_cut(own, kind):  # noqa: F811
    """The transfer of a turned picture broke off after two thirds."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    content = bytes_of(Image.fromarray(noise), kind, exif=b"Exif\0\0" + SHORT_6)
    ending = {"PNG": "png", "WEBP": "webp", "JPEG": "jpg"}[kind]
    refused(lambda: with_first(own, content[: len(content) * 2 // 3], ending),
            "cannot read photo", f"p0.{ending}: ")


def test_f01_photos_beside_stored_embeddings(tmp_path, monkeypatch):
    """The photos in StackGAN's jpg/ come from a phone."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, _ = write_all(tmp_path)
    SIDEWAYS.save(images / "jpg" / "image_00003.jpg", exif=b"Exif\0\0" + SHORT_6)
    found, _ = load_embedded(pickles, images, 16)
    assert upright(found.images[3].astype(int))


# ---- F2: transparent ----------------------------------------------------------------------------


def test_f02_one_bit(own):  # noqa: F811
    """A line drawing of one bit a pixel, whose white is transparent (pngcrush, ImageMagick)."""
    rows = [[255] * 6] * 20 + [[0] * 6] * 28
    for clear_bit, seen in ((1, 0), (0, 255)):  # then with black transparent: all is white
        image = with_first(own, png(48, 48, 1, 0, rows, (b"tRNS", bytes([0, clear_bit]))))
        assert image[:, :7].min() > 240 and abs(image[:, 10:] - seen).max() < 15


def test_f02_an_animated_sticker(own):  # noqa: F811
    """A sticker of a messenger: an animated WebP, each frame on nothing."""
    image = clear("RGBA")[0]
    more = {"save_all": True, "append_images": [Image.new("RGBA", image.size, (0, 0, 255, 90))]}
    image = with_first(own, bytes_of(image, "WEBP", lossless=True, exact=True, **more), "webp")
    assert image[:, :8].min() > 240 and image[:, 11:].max() < 15


def test_f02_cut_outs_in_the_published_layout(flowers):  # noqa: F811
    """The background was taken off Oxford's photos; a JPEG's name, a palette, a turn by EXIF."""
    image = Image.fromarray((np.asarray(SIDEWAYS.convert("L")) > 99).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 0, 255])
    info = PngImagePlugin.PngInfo()
    info.add(b"bKGD", b"\0")  # a viewer may put black behind it; the project puts white
    image.save(flower_photo(flowers, 1), "PNG", transparency=1, exif=SHORT_6, pnginfo=info)
    assert upright(load_flowers(flowers, size=16).images[0].astype(int))


# ---- F3: sixteen bits ---------------------------------------------------------------------------


def sixteen(rows=95):
    return np.repeat(LEVELS.astype(np.uint16)[:, None], rows, 1)


def test_f03_interlaced(own):  # noqa: F811
    """GIMP's "interlacing" of a grey PNG of 16 bits: seven passes, coarse to fine."""
    pixels, rows = sixteen().astype(">u2"), []
    for top, left_, down, right in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4),
                                    (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):  # fmt: skip
        rows += [row.tobytes() for row in pixels[top::down, left_::right]]
    content = bytearray(png(95, 95, 16, 0, rows))
    content[28] = 1
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    image = with_first(own, bytes(content))
    assert np.abs(image[:, 1:-1, 9] - ROWS).max() < 2


def test_f03_a_jpeg_of_twelve_bits(own):  # noqa: F811
    """A microscope's or a clinic's JPEG of 12 bits a channel."""
    content = bytearray(bytes_of(UPRIGHT, "JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 1 : at + 5] = b"\xc1" + content[at + 2 : at + 4] + b"\x0c"
    refused(lambda: with_first(own, content, "jpg"), "cannot read photo", "p0.jpg: ")


def test_f03_sixteen_bits_turned(own):  # noqa: F811
    """A grey PNG of 16 bits from a camera, to be turned by EXIF, with a second channel: alpha."""
    pixels = np.zeros((95, 95, 2), ">u2")
    pixels[..., 0] = sixteen().T
    pixels[..., 1] = 65535
    exif = (b"eXIf", SHORT_6)  # 6: what is stored at the left comes to the top
    image = with_first(own, png(95, 95, 16, 4, (row.tobytes() for row in pixels), exif))
    assert np.abs(image[:, 1:-1, 9] - ROWS).max() < 2


# ---- F4: more pixels than there are -------------------------------------------------------------


def gif(width, height, inner_width, inner_height):
    """A GIF of one frame, whose screen and frame are said to be of these sizes."""
    content = bytearray(bytes_of(Image.new("P", (8, 8)), "GIF"))
    content[6:10] = struct.pack("<HH", width, height)
    at = content.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 8, 8))
    content[at + 5 : at + 9] = struct.pack("<HH", inner_width, inner_height)
    return bytes(content)


@pytest.mark.parametrize("sizes", [(60000, 60000, 8, 8), (8, 8, 60000, 60000)])
def test_f04_a_gifs_screen_and_frame(own, sizes):  # noqa: F811
    """A GIF whose screen, or whose frame, is said to be 60,000 by 60,000; renamed."""
    refused(lambda: with_first(own, gif(*sizes)), "cannot read photo", "p0.png: ")


def test_f04_an_icon_of_other_pixels(own):  # noqa: F811
    """An icon whose list says 64 by 64, and whose PNG within says 20,000 by 20,000."""
    inner = bytearray(bytes_of(Image.new("RGBA", (64, 64)), "PNG"))
    inner[16:24] = struct.pack(">II", 20000, 20000)
    inner[29:33] = struct.pack(">I", zlib.crc32(inner[12:29]))
    content = struct.pack("<HHHBBBBHHII", 0, 1, 1, 64, 64, 0, 0, 1, 32, len(inner), 22) + inner
    refused(lambda: with_first(own, content), "cannot read photo", "p0.png: ")


def test_f04_a_long_animation(own):  # noqa: F811
    """An animation of 3,000 frames in a PNG's name: its first frame is the picture."""
    frames = [Image.new("P", (64, 64), i % 2) for i in range(3000)]
    for frame in frames:
        frame.putpalette([10, 20, 30, 200, 100, 50])
    content = bytes_of(frames[0], "GIF", save_all=True, append_images=frames[1:], optimize=False)
    began = time.monotonic()
    image = with_first(own, content)
    assert (image == np.array([10, 20, 30])[:, None, None]).all()
    assert time.monotonic() - began < 2


def test_f04_a_jpeg_without_a_height(own):  # noqa: F811
    """A scanner that did not know the length of its paper: the JPEG's height is 0."""
    content = bytearray(bytes_of(UPRIGHT, "JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 7] = b"\0\0"
    refused(lambda: with_first(own, content, "jpg"), "cannot read photo", "p0.jpg: ")


# ---- F5: UTF-16 ---------------------------------------------------------------------------------


def test_f05_units_that_hold_a_line_feeds_byte(own):  # noqa: F811
    """Chinese, Malayalam and Telugu in UTF-16, high byte first: 上 is 4E 0A, ഊ is 0D 0A."""
    lines = ["上 is 中", "ഊ and ఊ"]
    for path in own.glob("*/*.txt"):
        path.write_bytes(("\ufeff" + "\n".join(lines) + "\n").encode("utf-16-be"))
    assert load_folder(own, size=16).captions == [lines] * 16


@pytest.mark.parametrize("more", [b"its petals are round!\r\n", b"its petals are rounder\r\n"])
def test_f05_appended_by_git_bash(own, more):  # noqa: F811
    """PowerShell made the file (UTF-16), git bash's >> adds a line in UTF-8: odd or even bytes."""
    for path in own.glob("*/*.txt"):
        path.write_bytes("a red flower\r\n".encode("utf-16") + more)
    refused(lambda: load_folder(own, size=16), "p0.txt", "found", "expected")


def test_f05_two_orders_in_one_file(own):  # noqa: F811
    """`type one.txt two.txt > p0.txt`: the first low byte first, the second high byte first."""
    halves = [("\ufeff" + line + "\n").encode(order) for line, order in zip(
        TWO, ("utf-16-le", "utf-16-be"), strict=True)]  # fmt: skip
    for path in own.glob("*/*.txt"):
        path.write_bytes(b"".join(halves))
    read_or_refused(lambda: load_folder(own, size=16).captions, lambda read: read == [TWO] * 16,
                    "p0.txt", "found", "expected")


def test_f05_four_bytes_a_letter_without_a_mark(own):  # noqa: F811
    """iconv -t UTF-32LE, or C's wchar_t as it lies in memory."""
    for path in own.glob("*/*.txt"):
        path.write_bytes("\n".join(TWO).encode("utf-32-le"))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 1: found U+0000", "expected UTF-8")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_f05_sentences_to_draw(tmp_path, capsys, encoding):
    """sample --file wishes.txt, written by PowerShell, or by iconv without a mark."""
    (tmp_path / "wishes.txt").write_bytes("a red flower\na blue flower\n".encode(encoding))
    try:
        main(["sample", "--file", str(tmp_path / "wishes.txt"), "--number", "1",
              "--out", str(tmp_path / "drawn")])  # fmt: skip
    except SystemExit:
        said = capsys.readouterr().err
        assert "wishes.txt: found" in said and "expected text in UTF-8" in said, said
    else:
        texts = "".join(path.read_text() for path in (tmp_path / "drawn").glob("*.t*"))
        assert "a red flower" in texts and "\0" not in texts, texts


# ---- F6: marks and other alphabets --------------------------------------------------------------


def test_f06_words_ellipsis(own):  # noqa: F811
    """Word's "…" in Windows-1252 is the byte 0x85, which Latin-1 takes for a line's end."""
    for path in own.glob("*/*.txt"):
        path.write_bytes("a red flower\nits petals… are round\n".encode("cp1252"))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: found byte 0x85", "UTF-8")


def test_f06_cut_within_a_letter(own):  # noqa: F811
    """The transfer broke off between the two bytes of é, at the end of the file."""
    first(own, "txt").write_bytes("a red flower\nune fleur d'été".encode()[:-1])
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: found byte 0xC3", "UTF-8")


def test_f06_a_mainframes_file(own):  # noqa: F811
    """EBCDIC: no letter is where ASCII has it; lines end in 0x15 or 0x25."""
    for path in own.glob("*/*.txt"):
        path.write_bytes("\x85".join(TWO).encode("cp037"))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 1: found byte 0x81", "UTF-8")


def test_f06_the_mark_of_gb18030(own):  # noqa: F811
    """China's standard has a mark of its own, 84 31 95 33."""
    for path in own.glob("*/*.txt"):
        path.write_bytes("\ufeff红花\n圆\n".encode("gb18030"))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 1: found byte 0x84", "UTF-8")


def test_f06_sentences_to_draw_in_latin_1(tmp_path, capsys):
    """sample --file wishes.txt, in Latin-1."""
    (tmp_path / "wishes.txt").write_bytes("a red flower\nune fleur d'été\n".encode("latin-1"))
    with pytest.raises(SystemExit):
        main(["sample", "--file", str(tmp_path / "wishes.txt"), "--out", str(tmp_path / "drawn")])
    said = capsys.readouterr().err
    assert "wishes.txt: found" in said and "expected text in UTF-8" in said, said
    assert [*tmp_path.iterdir()] == [tmp_path / "wishes.txt"]


# ---- F7: another number of lines ----------------------------------------------------------------


def test_f07_a_break_that_was_escaped(own):  # noqa: F811
    """A JSON string was printed as it stands: the break is a backslash and an n."""
    first(own, "txt").write_text(r"a red flower\nits petals are round" + "\n")
    refused(lambda: load_folder(own, size=16), "p0.txt has 1 lines, expected 2, as 15 others")


def test_f07_the_whole_table_in_the_first_file(own):  # noqa: F811
    """Somebody saved the table of all sentences over the first file: 200,000 lines."""
    first(own, "txt").write_text("p0.jpg,a red flower\n" * 200_000)
    began = time.monotonic()
    with pytest.raises(ValueError, match="p0.txt has 200000 lines, expected 2") as raised:
        load_folder(own, size=16)
    assert len(str(raised.value)) < 500 and time.monotonic() - began < 3


def test_f07_a_carriage_return_within(own):  # noqa: F811
    """Captured from a terminal: a carriage return in the middle of a sentence."""
    first(own, "txt").write_bytes(b"a red\rflower\nits petals are round\n")
    refused(lambda: load_folder(own, size=16), "p0.txt has 3 lines, expected 2, as 15 others")


def test_f07_line_feed_before_carriage_return(own):  # noqa: F811
    """An emulator's or a printer's order, LF CR, in every file."""
    for path in own.glob("*/*.txt"):
        path.write_bytes(b"a red flower\n\rits petals are round\n\r")
    read_or_refused(lambda: load_folder(own, size=16).captions, lambda read: read == [TWO] * 16,
                    "p0.txt, line 2: empty sentence")


def test_f07_no_two_files_of_one_count(own):  # noqa: F811
    """As many sentences as one thought of: 1, 2, 3 and so on."""
    for number, path in enumerate(sorted(own.glob("*/*.txt")), start=1):
        path.write_text("a flower\n" * number)
    refused(lambda: load_folder(own, size=16), "p1.txt has 2 lines, expected 1")


# ---- F8: what stands at the end -----------------------------------------------------------------


def test_f08_a_sheet_of_an_old_mac(own):  # noqa: F811
    """A sheet saved as Macintosh text: two sentences, and some rows more, a CR each."""
    first(own, "txt").write_bytes(b"a red flower\rits petals are round" + b"\r" * 131_070)
    began = time.monotonic()
    assert load_folder(own, size=16).sentences_each == 2
    assert time.monotonic() - began < 2


def test_f08_endings_with_one_capital(own):  # noqa: F811
    """An editor's "Save as" writes .Txt, a camera's app .Jpg."""
    before = load_folder(own, size=16)
    for path in (*own.glob("*/*.jpg"), *own.glob("*/*.txt")):
        path.rename(path.with_suffix(path.suffix.capitalize()))
    assert same(before, load_folder(own, size=16))


def test_f08_jpeg_in_place_of_jpg(flowers):  # noqa: F811
    """A converter writes image_00001.jpeg."""
    before = np.array(load_flowers(flowers, size=16).images)
    for path in flowers.glob("jpg/*.jpg"):
        path.rename(path.with_suffix(".jpeg"))
    read_or_refused(lambda: load_flowers(flowers, size=16).images,
                    lambda images: np.array_equal(images, before), "missing for 12 of 12",
                    "image_00001.jpg")


@linux
@pytest.mark.parametrize("ending", [".txt ", ".txt.", ".caption", " .txt"])
def test_f08_endings_of_other_tools(own, ending):  # noqa: F811
    """A blank or a stop at the end, as Linux lets one have; trainers' .caption."""
    for path in own.glob("*/*.txt"):
        path.rename(path.with_name(path.stem + ending))
    read_or_refused(lambda: load_folder(own, size=16), lambda mine: mine.captions == [TWO] * 16,
                    "captions missing for 16 of 16", "p0.txt")


@pytest.mark.parametrize("part", ["jpg", "text_c10", "imagelabels.mat"])
def test_f08_parts_in_capitals(flowers, part):  # noqa: F811
    """A disk of DOS, or a CD, has JPG, TEXT_C10 and IMAGELABELS.MAT."""
    (flowers / part).rename(flowers / part.upper())
    read_or_refused(lambda: load_flowers(flowers, size=16), lambda now: len(now.images) == 12,
                    f"{part} missing in {flowers}", "expected")


# ---- F9: what systems leave ---------------------------------------------------------------------


def test_f09_icloud_took_a_picture_away(own):  # noqa: F811
    """iCloud keeps a picture online and leaves .p0.jpg.icloud; its sentences are still there."""
    first(own).rename(own / "class 0" / ".p0.jpg.icloud")
    refused(lambda: load_folder(own, size=16), "p0", "icloud", "expected")


@linux
def test_f09_emacs_has_a_file_open(own):  # noqa: F811
    """Emacs locks by a link that leads nowhere, .#p0.txt, and keeps #p0.txt# and p0.txt~."""
    before = load_folder(own, size=16)
    (own / "class 0" / ".#p0.txt").symlink_to("anna@office.1234:1700000000")
    left(own, "class 0/#p0.txt#", "class 0/p0.txt~", "class 1/.#p0.jpg", "class 1/p0.jpg.~1~")
    assert same(before, load_folder(own, size=16))


@linux
def test_f09_a_macs_server(own):  # noqa: F811
    """netatalk and the Finder: an icon whose name ends in CR, folders of the trash, an alias."""
    before = load_folder(own, size=16)
    left(own, "Icon\r", "class 0/Icon\r", "Network Trash Folder/Trash Can #2/notes",
         "Temporary Items/.x", "TheVolumeSettingsFolder/x", ".AppleDouble/p0.jpg",
         ".TemporaryItems/p0.jpg", ".fseventsd/x", "class 2/.AppleDouble/p0.jpg",
         "class 1/p1.jpg alias")  # fmt: skip
    assert same(before, load_folder(own, size=16))


def test_f09_versions_and_previews(own):  # noqa: F811
    """Syncthing's .stversions, Picasa's Originals, Lightroom's previews, Google's side-cars."""
    before = load_folder(own, size=16)
    left(own, ".stversions/class 0/p0~20240501-101010.jpg", "class 0/.stversions/p0.jpg",
         "class 1/Originals/p0.jpg", "class 1/.picasa.ini", "class 2/Picasa.ini",
         "Previews.lrdata/0/p.jpg", "class 3/p0.jpg.json", "class 3/~syncthing~p9.jpg.tmp",
         "class 3/p0.jpg.supplemental-metadata.json", "class 0/.syncthing.p0.jpg.tmp")  # fmt: skip
    assert same(before, load_folder(own, size=16))


def test_f09_beside_published_photos(birds, flowers):  # noqa: F811
    """Jupyter, Windows, Synology and a browser left files in CUB's and Oxford's folders."""
    for folder, load_, photos in ((birds, load_birds, "images/001.Auk"),
                                  (flowers, load_flowers, "jpg")):  # fmt: skip
        before = load_(folder, size=16)
        left(folder, f"{photos}/Thumbs.db", f"{photos}/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
             f"{photos}/.ipynb_checkpoints/image_00001-checkpoint.jpg", "images.txt~",
             f"{photos}/image_00001 (1).jpg", f"{photos}/image_00013.jpg.crdownload",
             f"{photos.split('/')[0]}/.ipynb_checkpoints/x.jpg",
             f"{photos.split('/')[0]}/desktop.ini")  # fmt: skip
        assert same(before, load_(folder, size=16))


# ---- F10: names and links -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["@anna", "$5 bunches"])
def test_f10_a_class_whose_name_begins_with_a_sign(own, name):  # noqa: F811
    """A folder for each gardener, called as on Instagram; for each price."""
    shutil.copytree(own / "class 3", own / name)
    read_or_refused(lambda: load_folder(own, size=16), lambda mine: name in mine.class_names,
                    name, "expected")


def test_f10_a_folder_of_cub_in_two_parts(birds):  # noqa: F811
    """images.txt and classes.txt write é as one letter; the folder on the disk has it in two."""
    for table in ("images.txt", "classes.txt"):
        (birds / table).write_text((birds / table).read_text().replace("Auk", "P\u00e9trel"),
                                   encoding="utf-8")
    for part in ("images", "text_c10"):
        (birds / part / "001.Auk").rename(birds / part / "001.Pe\u0301trel")
    read_or_refused(lambda: load_birds(birds, size=16), lambda now: len(now.images) == 8,
                    "P\u00e9trel", "expected")


@linux
def test_f10_a_place_in_latin_1(birds, tmp_path):  # noqa: F811
    """CUB, and StackGAN's pickles, lie below a folder whose name has the byte 0xE9."""
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Andr\xe9"))
    place.mkdir()
    pickles, images, _ = write_all(place)
    shutil.copytree(birds, place / "birds")
    read_or_refused(lambda: load_birds(place / "birds", size=16), lambda now: len(now.images) == 8,
                    "Andr\\udce9", "expected")
    read_or_refused(lambda: load_embedded(pickles, images, 16)[0],
                    lambda now: len(now.images) == 36, "Andr\\udce9", "expected")
    bird_photo(place / "birds", 2).unlink()
    refused(lambda: load_birds(place / "birds", size=16), "photos missing for 1 of 8")


@linux
def test_f10_long_and_odd_names(own):  # noqa: F811
    """255 bytes; a line feed, a flower, a quote, a colon; blanks at both ends; Windows' devices."""
    names = ["é" * 125 + "x", "a\nb 🌸", "it's: \"p\"", "  p  ", "CON", "p.jpg.txt", "-rf *", "%20"]
    kept = load_folder(own, size=16)
    for number, name in enumerate(names):
        for kind in ("jpg", "txt"):
            (own / f"class {number // 4}" / f"p{number % 4}.{kind}").rename(
                own / f"class {number // 4}" / f"{name}.{kind}")
    mine = load_folder(own, size=16)
    assert mine.captions == kept.captions and len({image.tobytes() for image in mine.images}) == 16


@linux
def test_f10_links_that_lead_back(own):  # noqa: F811
    """A link to the folder itself, one to its parent, one to a class under another name."""
    (own / "all").symlink_to(".")
    (own / "up").symlink_to("..")
    (own / "class 0" / "back").symlink_to("..")
    before = load_folder(own, size=16)
    assert len(before.images) == 16
    (own / "class 9").symlink_to("class 0")
    assert load_folder(own, size=16).class_names[-1] == "class 9"


# ---- F11: labels and splits ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "pt"])
def test_f11_another_librarys_file(flowers, kind):  # noqa: F811
    """np.save, np.savez, np.savetxt or torch.save in place of savemat."""
    with open(flowers / "imagelabels.mat", "wb") as file:
        {"npy": lambda: np.save(file, np.array(LABELS)),
         "npz": lambda: np.savez(file, labels=LABELS),
         "csv": lambda: np.savetxt(file, LABELS, "%d", ","),
         "pt": lambda: torch.save(torch.tensor(LABELS), file)}[kind]()  # fmt: skip
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat: found",
            "expected a MATLAB file with 'labels'")


def test_f11_an_old_workstation(flowers):  # noqa: F811
    """MATLAB 4 on a SPARC or an old Mac: the high byte first, doubles and bytes."""
    before = load_flowers(flowers, size=16).classes.tolist()
    for code, numbers in ((1000, struct.pack(">12d", *LABELS)), (1050, bytes(LABELS))):
        head = struct.pack(">5i", code, 1, 12, 0, 7) + b"labels\0"
        (flowers / "imagelabels.mat").write_bytes(head + numbers)
        assert load_flowers(flowers, size=16).classes.tolist() == before


def test_f11_a_row_for_each_class(flowers):  # noqa: F811
    """One-hot labels: a 1 in the column of the photo's class."""
    table = np.eye(3, dtype=np.uint8)[np.array(LABELS) - 1]
    for labels in (table, table.T, np.repeat(table, 2, 0)[:, :1]):
        savemat(flowers / "imagelabels.mat", {"labels": labels})
        refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat: found labels (uint8, [",
                "expected a MATLAB file with 'labels', whole numbers from 1")


def test_f11_counted_from_nought(flowers):  # noqa: F811
    """Labels as torchvision has them, 0 to 101, and splits counted from 0, for Python."""
    whole = loadmat(flowers / "setid.mat")
    savemat(flowers / "imagelabels.mat", {"labels": [np.array(LABELS) - 1]})
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat: found labels", "from 1 to")
    savemat(flowers / "imagelabels.mat", {"labels": [LABELS]})
    savemat(flowers / "setid.mat", {k: v - 1 for k, v in whole.items() if k[0] != "_"})
    refused(lambda: load_flowers(flowers, size=16, split="oxford"), "setid.mat: found", "from 1 to")


def test_f11_the_larger_split_to_train_on(flowers):  # noqa: F811
    """Many train on tstid and test on trnid; and without "oxford", setid.mat is not asked."""
    held = {k: v for k, v in loadmat(flowers / "setid.mat").items() if k[0] != "_"}
    savemat(flowers / "setid.mat", held | {"trnid": held["tstid"], "tstid": held["trnid"]})
    splits = load_flowers(flowers, size=16, split="oxford").splits
    assert splits["train"].tolist() == [3, 4, 5, 6, 7, 8, 9] and splits["test"].tolist() == [
        0, 1, 2]
    savemat(flowers / "setid.mat", held | {"trnid": held["tstid"]})
    refused(lambda: load_flowers(flowers, size=16, split="oxford"), "setid.mat", "expected each")
    (flowers / "setid.mat").write_bytes(b"")
    assert len(load_flowers(flowers, size=16).images) == 12


# ---- F12: CUB's tables --------------------------------------------------------------------------


def test_f12_all_in_one_line(birds):  # noqa: F811
    """echo $(cat bounding_boxes.txt): blanks in place of the line ends, in a set of full size."""
    box = "30.0 20.0 40.0 40.0"
    (birds / "bounding_boxes.txt").write_text(" ".join(f"{i} {box}" for i in range(1, 11_789)))
    with pytest.raises(ValueError, match="bounding_boxes.txt, line 1: found .*expected") as raised:
        load_birds(birds, size=16)
    assert len(str(raised.value)) < 2000, f"a message of {len(str(raised.value)):,} letters"


def test_f12_one_photo_under_two_numbers(birds):  # noqa: F811
    """A photo was added by copying a line: ids 5 and 7 are one photo, one train and one test."""
    edited(birds, "images.txt", lambda text: text.replace("Bird_0007", "Bird_0005"))
    read_or_refused(lambda: load_birds(birds, size=16, split="published"), lambda now: False,
                    "images.txt", "001.Auk/Bird_0005_77.jpg", "expected")


@pytest.mark.parametrize("table", ["images.txt", "image_class_labels.txt", "bounding_boxes.txt"])
def test_f12_the_tables_of_pandas_and_r(birds, table):  # noqa: F811
    """to_csv: commas; write.table: quotes, and a header."""
    comma = (birds / table).read_text()
    for change in (lambda text: text.replace(" ", ","),
                   lambda text: "".join(f'"{line.split()[0]}" ' + " ".join(
                       f'"{cell}"' for cell in line.split()[1:]) + "\n"
                       for line in text.splitlines())):  # fmt: skip
        (birds / table).write_text(change(comma))
        refused(lambda: load_birds(birds, size=16), f"{table}, line 1: found", "expected")


def test_f12_numbers_as_other_programs_write_them(birds):  # noqa: F811
    """Tabs, %e, a sign, a box that begins before the picture: numbers all the same."""
    before = load_birds(birds, size=16)
    (birds / "bounding_boxes.txt").write_text(
        "".join(f"{i}\t+3.0e+01\t20\t4.E1\t40.000\n" for i in range(1, 9)))
    edited(birds, "image_class_labels.txt", lambda text: text.replace(" ", "\t0"))
    assert same(before, load_birds(birds, size=16))
    edited(birds, "bounding_boxes.txt", lambda text: text.replace("1\t+3", "1\t-1", 1))
    assert load_birds(birds, size=16).images.shape == (8, 3, 19, 19)


def test_f12_a_spreadsheet_ate_the_noughts(birds):  # noqa: F811
    """001.Auk/… became 1.Auk/… in images.txt, or 001.Auk became 1.Auk in classes.txt."""
    whole = (birds / "images.txt").read_text()
    edited(birds, "images.txt", lambda text: text.replace(" 00", " "))
    refused(lambda: load_birds(birds, size=16), "images.txt, line 1: found '1 1.Auk", "expected")
    (birds / "images.txt").write_text(whole)
    edited(birds, "classes.txt", lambda text: text.replace(" 00", " "))
    refused(lambda: load_birds(birds, size=16), "'1.Auk'", "001.Auk", "classes.txt")


# ---- F13: line ends in pickles ------------------------------------------------------------------


@pytest.mark.parametrize(("content", "held"), [
    (b"]q\x01(K\tK\rK\x02e.", [9, 13, 2]),
    (b"]q\x01(U\rABCDEFGHIJKLMq\x02U\x03abcq\x03e.", ["ABCDEFGHIJKLM", "abc"]),
], ids=["class 13", "a name of 13 letters"])
def test_f13_c_pickle_in_its_binary_of_old(tmp_path, content, held):
    """Python 2: cPickle.dump(x, file, 1), whose memo begins at 1, is binary without a NUL.

    The byte 13 is class 13, or the length of a name, and no line's end.
    """
    assert pickle.loads(content) == held
    (tmp_path / "class_info.pickle").write_bytes(content)
    read_or_refused(lambda: read_pickle(tmp_path / "class_info.pickle"),
                    lambda found: found == held, "class_info.pickle: found", "expected")


def test_f13_python_2s_long_numbers(tmp_path):
    """Classes out of numpy by Python 2 under Windows: L7L, in text mode."""
    write_pickles(tmp_path / "train", arrays(t=4), protocol=0)
    (tmp_path / "train" / FILES[2]).write_bytes(crlf(b"(lp1\nL2L\naL7L\naL9L\na."))
    assert load_embeddings(tmp_path / "train").classes.tolist() == [2, 7, 9]


def test_f13_an_encoder_fetched_as_text(tmp_path):
    """Notebook 04's encoder (safetensors) came by FTP in text mode, or by git's autocrlf."""
    content = pretrained("char_cnn_rnn_blooms.safetensors").read_bytes()
    assert b"\n" in content
    (tmp_path / "mine.safetensors").write_bytes(crlf(content))
    with pytest.raises(CheckpointError, match="mine.safetensors: found .*expected a whole"):
        load_text_encoder(str(tmp_path / "mine.safetensors"))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_f13_saved_as_utf_8(tmp_path, protocol):
    """An editor took the pickle for Latin-1 and saved it as UTF-8, with CR LF."""
    content = pickle.dumps(arrays(t=4), protocol)
    text = content.decode("latin-1").encode("utf-8")
    (tmp_path / "arrays.pickle").write_bytes(crlf(text))
    read_or_refused(lambda: read_pickle(tmp_path / "arrays.pickle"),
                    lambda found: all(map(np.array_equal, found, arrays(t=4))),
                    "arrays.pickle: found", "expected")


@pytest.mark.parametrize("encoding", ["utf-16", "base64"])
def test_f13_by_powershell_or_by_mail(tmp_path, encoding):
    """`cat a.pickle > b.pickle` in PowerShell: UTF-16, CR LF; or base64, from GitHub's API."""
    content = pickle.dumps(NAMES, 0)
    content = (base64.encodebytes(content) if encoding == "base64"
               else crlf(content).decode("latin-1").encode("utf-16"))
    (tmp_path / "names.pickle").write_bytes(content)
    refused(lambda: read_pickle(tmp_path / "names.pickle"), "names.pickle: found", "expected")


# ---- F14: arrays of newer numpy -----------------------------------------------------------------


def test_f14_buffers_kept_elsewhere(tmp_path):
    """joblib, dask or ray pickle with buffer_callback: the numbers are not in the file."""
    content = pickle.dumps(arrays(), 5, buffer_callback=[].append)
    (tmp_path / "arrays.pickle").write_bytes(content)
    refused(lambda: read_pickle(tmp_path / "arrays.pickle"), "arrays.pickle: found",
            "NEXT_BUFFER", "expected")


@pytest.mark.parametrize("how", ["torch.save", "pickle", "old torch.save", "np.save"])
def test_f14_tensors(tmp_path, how):
    """torch.save, today's and that of old; a list of tensors, pickled; np.save."""
    write_pickles(tmp_path / "train", arrays(t=4))
    tensors = [torch.from_numpy(array) for array in arrays(t=4)]
    with open(tmp_path / "train" / FILES[0], "wb") as file:
        if how == "pickle":
            pickle.dump(tensors, file)
        elif how == "np.save":
            np.save(file, np.stack(arrays(t=4)))
        else:
            torch.save(tensors, file, _use_new_zipfile_serialization=how == "torch.save")
    refused(lambda: load_embeddings(tmp_path / "train"), f"{FILES[0]}: found", "expected")


def test_f14_names_that_are_paths(tmp_path):
    """sorted(Path("jpg").glob("*.jpg")), pickled as it is."""
    write_pickles(tmp_path / "train", arrays(t=4))
    (tmp_path / "train" / FILES[1]).write_bytes(pickle.dumps([*map(PurePosixPath, NAMES)], 5))
    with pytest.raises(ValueError, match="filenames.pickle: found pathlib.*Path.*expect") as raised:
        load_embeddings(tmp_path / "train")
    assert "line ends were changed" not in str(raised.value)  # they were not: a length is 13


def test_f14_halves_and_an_array_of_classes(tmp_path):
    """float16 to save space, classes as one array of int16, all by protocol 5."""
    write_pickles(tmp_path / "train", arrays(t=4))
    halves = [array.astype(np.float16) for array in arrays(t=4)]
    (tmp_path / "train" / FILES[0]).write_bytes(pickle.dumps(halves, 5))
    (tmp_path / "train" / FILES[2]).write_bytes(pickle.dumps(np.array([2, 7, 9], np.int16), 5))
    found = load_embeddings(tmp_path / "train")
    assert np.array_equal(found.embeddings, np.stack(halves).astype(np.float32))
    assert found.classes.tolist() == [2, 7, 9]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("made", [np.matrix, np.ma.array, lambda x: x.astype(object),
                                  lambda x: x.astype(np.longdouble), lambda x: x.tolist()])
def test_f14_kinds_of_arrays(tmp_path, made):
    """np.matrix, masked arrays, objects, long doubles, lists of lists."""
    write_pickles(tmp_path / "train", arrays(t=4))
    content = pickle.dumps([made(array) for array in arrays(t=4)], 5)
    (tmp_path / "train" / FILES[0]).write_bytes(content)
    read_or_refused(lambda: load_embeddings(tmp_path / "train").embeddings,
                    lambda found: np.array_equal(found, np.stack(arrays(t=4))),
                    f"{FILES[0]}: found", "expected")


# ---- F15: small folders -------------------------------------------------------------------------


def test_f15_five_classes_of_one(own):  # noqa: F811
    """One picture each of five things: too few to train and to test on."""
    for path in own.glob("*/p[1-3].*"):
        path.unlink()
    shutil.copytree(own / "class 0", own / "class 4")
    refused(lambda: load_folder(own, size=16), "folder: found 2 pictures to train on and 2 for",
            "expected 4 and 6 or more")


def test_f15_embeddings_without_classes(tmp_path, monkeypatch):
    """Somebody has no classes, and wrote [0] * n as class_info.pickle."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, _ = write_all(tmp_path)
    (pickles / "train" / FILES[2]).write_bytes(pickle.dumps([0] * 24, 2))
    refused(lambda: load_embedded(pickles, images, 16), str(pickles / "train"), "expected")


def test_f15_a_folder_for_each_split(own):  # noqa: F811
    """torchvision's ImageFolder: train/roses/…, val/roses/…; or no folders at all."""
    classes = [*own.iterdir()]
    for part in ("train", "val"):
        (own / part).mkdir()
        for place in classes:
            shutil.copytree(place, own / part / place.name)
    for place in classes:
        shutil.rmtree(place)
    refused(lambda: load_folder(own, size=16), str(own), "pictures of 0 classes", "expected")
    for path in (own / "train" / "class 0").iterdir():
        shutil.copy(path, own)
    refused(lambda: load_folder(own, size=16), str(own), "pictures of 0 classes", "expected")
    assert len(load_folder(own / "train", size=16).images) == 16


@pytest.mark.parametrize("classes", [1, 2])
def test_f15_a_teachers_cut_of_the_published_sets(flowers, birds, classes):  # noqa: F811
    """The first few photos of one or of two classes, to hand out."""
    labels = [label for label in LABELS if label <= classes]
    shutil.rmtree(flowers / "text_c10")
    for path in flowers.glob("jpg/*"):
        if int(path.stem[-5:]) > len(labels):
            path.unlink()
    for number, label in enumerate(labels, start=1):
        path = flowers / "text_c10" / f"class_{label:05d}" / f"image_{number:05d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a flower\n" * 10)
    savemat(flowers / "imagelabels.mat", {"labels": [labels]})
    refused(lambda: load_flowers(flowers, size=16), f"flowers: found {classes} classes",
            "expected two or more to train on")
    for table in birds.glob("*.txt"):
        if table.name != "classes.txt":
            lines = table.read_text().splitlines(keepends=True)
            table.write_text("".join(lines[i] for i in ((0, 4), (0, 2, 3, 4))[classes - 1]))
    if classes == 2:
        edited(birds, "images.txt", lambda text: text.replace("003.Wren/Bird_0002", "002.Jay/x"))
    refused(lambda: load_birds(birds, size=16), "expected")


def test_f15_what_the_command_line_says(own, capsys):  # noqa: F811
    """`data --dataset folder` of four classes, then of three."""
    main(["data", "--dataset", "folder", "--data_dir", str(own)])
    assert "whole: 16 photos of 4 classes, 2 sentences each" in capsys.readouterr().out
    shutil.rmtree(own / "class 3")
    with pytest.raises(SystemExit):
        main(["data", "--dataset", "folder", "--data_dir", str(own)])
    said = capsys.readouterr().out
    assert "not whole: " in said and "3 classes, expected four or more" in said


# ---- F16: options -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", ["0", 1.5, None, -1, np.int64(3), True, [0]])
def test_f16_seeds_of_blooms(tmp_path, monkeypatch, seed):
    """A seed out of a form, of time.time(), none, of numpy."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    try:
        found = unchecked(load_blooms)(60, 16, seed)
    except (ValueError, TypeError) as error:
        assert "seed" in str(error) and "expected" in str(error), error
        assert not [*(tmp_path / "cache").rglob("*.part")]
    else:
        assert found.captions == load_blooms(60, 16, int(seed)).captions


@pytest.fixture
def no_annotations(monkeypatch):
    """As users call: annotations are only checked in the tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.parametrize("size", ["64", 64.0, (64, 64), None, True, torch.tensor(16),
                                  np.array([64, 64]), np.float64(64)])
def test_f16_sizes_of_other_kinds(no_annotations, own, flowers, size):  # noqa: F811
    """A text, torchvision's pair, that of an array's shape, a tensor."""
    for load_, folder in ((load_folder, own), (load_flowers, flowers)):
        read_or_refused(lambda load_=load_, folder=folder: unchecked(load_)(folder, size=size),
                        lambda mine: mine.images.shape[-1] == 19 and type(mine.crop) is int,
                        "size", "expected a whole number")  # fmt: skip


@pytest.mark.parametrize("share", [Fraction(1, 4), Decimal("0.25"), "0.25", "25%", None, True,
                                   torch.tensor(0.25), 1e-9, np.array([0.25])])
def test_f16_shares_of_other_kinds(no_annotations, own, share):  # noqa: F811
    """A fraction, a text, per cent, a tensor; next to nothing."""
    read_or_refused(lambda: unchecked(load_folder)(own, 16, share).splits["test"],
                    lambda pictures: len(pictures) == 8, "test_share", "expected more than 0")


@linux
@pytest.mark.parametrize("n", [10**10])
def test_f16_more_flowers_than_any_disk_holds(tmp_path, n):
    """n with a handful of noughts too many: told at once, as a size is."""
    code = f"from t2i_utils.data import load; load('blooms', n={n}, size=16)"
    environment = {"T2I_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(
        Path(__file__).parents[2])}  # fmt: skip
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)); "
    done = subprocess.run([sys.executable, "-c", limit + code], capture_output=True, text=True,
                          env=os.environ | environment, timeout=20)
    last = done.stderr.strip().splitlines()[-1]
    told = "disk full" in last or "expected" in last
    assert last.startswith(("OSError", "ValueError")) and told, last


@pytest.mark.parametrize("size", [0, "64", 16.0, None])
def test_f16_sizes_of_stored_embeddings(no_annotations, tmp_path, size):
    """The same of StackGAN's pickles."""
    pickles, images, _ = write_all(tmp_path)
    refused(lambda: unchecked(load_embedded)(pickles, images, size), f"embeddings: size {size!r}",
            "expected a whole number")


# ---- F17: where sentences lie -------------------------------------------------------------------


def test_f17_reeds_archive_as_it_unpacks(birds):  # noqa: F811
    """cvpr2016_cub/ lies beside the photos, with text_c10/, images/ and more in it."""
    before = load_birds(birds, size=16)
    (birds / "cvpr2016_cub").mkdir()
    (birds / "text_c10").rename(birds / "cvpr2016_cub" / "text_c10")
    left(birds / "cvpr2016_cub", "images/001.Auk.t7", "word_c10/001.Auk.t7", "README.txt",
         "trainvalclasses.txt", "text_c10/001.Auk.t7")  # fmt: skip
    read_or_refused(lambda: load_birds(birds, size=16), lambda now: same(before, now),
                    f"text_c10 missing in {birds}", "captions_dir")
    assert same(before, load_birds(birds, size=16, captions_dir=birds / "cvpr2016_cub"))


def test_f17_two_languages(flowers, tmp_path):  # noqa: F811
    """The sentences and their translation lie in two folders; now the one is read, now the other.

    All files have one date, as unpacked by some tools, and one length.
    """
    shutil.copytree(flowers / "text_c10", tmp_path / "other" / "text_c10")
    for path in (tmp_path / "other").rglob("*.txt"):
        path.write_text(path.read_text().replace("Sentence", "Aussage.")[:-1])
    for path in tmp_path.rglob("*.txt"):
        path.write_text(path.read_text().ljust(400, "\n"))
        os.utime(path, (315532800, 315532800))
    for _ in range(2):
        for options, word in (({}, "sentence"), ({"captions_dir": tmp_path / "other"}, "aussage.")):
            captions = load_flowers(flowers, size=16, **options).captions
            assert captions[0][0].startswith(word)


def test_f17_a_folder_within_itself(flowers):  # noqa: F811
    """Windows' "extract all" makes text_c10/text_c10/."""
    before = load_flowers(flowers, size=16)
    (flowers / "text_c10").rename(flowers / "kept")
    (flowers / "text_c10").mkdir()
    (flowers / "kept").rename(flowers / "text_c10" / "text_c10")
    read_or_refused(lambda: load_flowers(flowers, size=16), lambda now: same(before, now),
                    "captions missing for 12 of 12", str(flowers / "text_c10"))
    assert same(before, load_flowers(flowers, size=16, captions_dir=flowers / "text_c10"))


def test_f17_the_inner_folder_is_given(birds, tmp_path):  # noqa: F811
    """text_c10 lies beside CUB_200_2011, and data_dir is CUB_200_2011 itself, or too deep."""
    before = load_birds(birds, size=16)
    (tmp_path / "root").mkdir()
    inner = birds.rename(tmp_path / "root" / "CUB_200_2011")
    (inner / "text_c10").rename(tmp_path / "root" / "text_c10")
    read_or_refused(lambda: load_birds(inner, size=16), lambda now: same(before, now),
                    "text_c10 missing", "captions_dir")
    assert same(before, load_birds(inner, size=16, captions_dir=inner / ".."))
    refused(lambda: load_birds(inner / "images", size=16), str(inner / "images"), "missing",
            "expected")


@pytest.mark.parametrize("given", ["", 7, b"texts", 7.5, ["texts"]])
def test_f17_captions_dir_of_other_kinds(flowers, tmp_path, monkeypatch, given):  # noqa: F811
    """captions_dir="", a number, bytes, a list."""
    monkeypatch.chdir(tmp_path)
    before = load_flowers(flowers, size=16)
    (flowers / "text_c10").rename(tmp_path / "7")
    try:
        now = unchecked(load_flowers)(flowers, size=16, captions_dir=given)
    except (TypeError, OSError) as error:
        assert given != 7 and "expected" in str(error), error
        assert repr(given) in str(error) or "captions_dir" in str(error), error
    else:
        assert given == 7 and same(before, now)


# ---- F18: where the data lie --------------------------------------------------------------------


def test_f18_stored_embeddings_by_numbers(tmp_path, monkeypatch):
    """Folders called 2016 and 102, given as numbers, relative to the notebook."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, _ = write_all(tmp_path)
    pickles.rename("2016")
    images.rename("102")
    assert len(load_embedded(2016, 102, 16)[0].images) == 36
    (tmp_path / "102" / "jpg").rename(tmp_path / "102" / "jpegs")
    refused(lambda: load_embedded(2016, 102, 16), str(tmp_path / "102" / "jpg"), "expected")


def test_f18_other_ways_to_say_it(own, tmp_path, monkeypatch):  # noqa: F811
    """".", "..", an os.DirEntry, a slash at the end, a way there and back."""
    monkeypatch.chdir(own)
    [entry] = (entry for entry in os.scandir(tmp_path) if entry.name == "own")
    before = load_folder(own, size=16)
    for given in (".", "../own/", entry, f"{own}//", own / "class 0" / "..", "./././"):
        assert same(before, load_folder(given, size=16))


@linux
def test_f18_a_link_to_itself(tmp_path):
    """ln -s data data, run in the wrong folder."""
    (tmp_path / "data").symlink_to("data")
    for load_ in (load_flowers, load_birds, load_folder, lambda at: load_embedded(at, at)):
        refused(lambda load_=load_: load_(tmp_path / "data"), str(tmp_path / "data"), "expected")


@pytest.mark.parametrize("given", ["$HOME/flowers-102", "%USERPROFILE%\\flowers-102",
                                   "${DATA}/flowers-102", "\u200eflowers-102", "flowers–102"])
def test_f18_what_the_shell_would_have_put_in(tmp_path, monkeypatch, given):
    """A variable of the shell's; a mark or a dash that came with copying from a page."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers-102").mkdir()
    for load_ in (load_flowers, load_birds, load_folder):
        read_or_refused(lambda load_=load_: load_(given), lambda found: False,
                        repr(given)[1:-1], str(tmp_path), "expected")


@pytest.mark.parametrize("given", [b"own", ["own"], 7.0, True, {"path": "own"}, object])
@pytest.mark.parametrize("load_", [load_flowers, load_birds, load_folder])
def test_f18_what_is_no_path(no_annotations, tmp_path, monkeypatch, load_, given):
    """Bytes, a list out of a form, a number with a point."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match="expected a path") as raised:
        unchecked(load_)(given)
    assert repr(given) in str(raised.value)


# ---- F19: a cache that is old -------------------------------------------------------------------


@linux
def test_f19_a_link_to_the_latest_release(own, tmp_path):  # noqa: F811
    """data_dir is `current`, a link to v1 and then to v2; both unpacked with one date."""
    own.rename(tmp_path / "v1")
    shutil.copytree(tmp_path / "v1", tmp_path / "v2")
    for path in (tmp_path / "v2").glob("*/*.txt"):
        path.write_text(path.read_text().replace("red", "tan"))
    for path in tmp_path.glob("v?/*/*"):
        os.utime(path, (315532800, 315532800))
    for version, word in (("v1", "red"), ("v2", "tan")):
        (tmp_path / "current").unlink(missing_ok=True)
        (tmp_path / "current").symlink_to(version)
        assert load_folder(tmp_path / "current", size=16).captions[0][0] == f"a {word} flower"


def test_f19_moved_to_another_class(own):  # noqa: F811
    """A picture is put where it belongs; a class gets another name."""
    before = load_folder(own, size=16)
    pixels = np.array(before.images)
    for kind in ("jpg", "txt"):
        first(own, kind).rename(own / "class 3" / f"p9.{kind}")
    (own / "class 1").rename(own / "zinnias")
    after = load_folder(own, size=16)
    assert after.class_names == ["class 0", "class 2", "class 3", "zinnias"]
    assert after.classes.tolist() == [0] * 3 + [1] * 4 + [2] * 5 + [3] * 4
    assert np.array_equal(after.images, pixels[[1, 2, 3, *range(8, 16), 0, 4, 5, 6, 7]])


@pytest.mark.parametrize("part", ["jpg", "text_c10"])
def test_f19_touched_as_the_readme_says(flowers, monkeypatch, part):  # noqa: F811
    """Of many files few are looked at: one is edited in place, and its folder is touched."""
    monkeypatch.setattr(photographs, "LOOKED_AT", 2)
    before = load_flowers(flowers, size=16)
    assert before.captions[4][0] == "sentence 0 of photo 5."
    if part == "jpg":
        Image.new("RGB", (40, 40), "white").save(flower_photo(flowers, 5))
        os.utime(flowers / "jpg")
        assert (load_flowers(flowers, size=16).images[4] == 255).all()
    else:
        flower_captions(flowers, 5).write_text("another\n" * 10)
        os.utime(flower_captions(flowers, 5).parent)
        assert load_flowers(flowers, size=16).captions[4] == ["another"] * 10


def test_f19_pickles_in_another_order(tmp_path, monkeypatch):
    """train/ was pickled anew, sorted otherwise: pictures and embeddings follow."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, table = write_all(tmp_path)
    before = np.array(load_embedded(pickles, images, 16)[0].images)
    shutil.rmtree(pickles)
    shutil.rmtree(images)
    write_all(tmp_path, order=lambda row: -row)
    after, stored = load_embedded(pickles, images, 16)
    rows = [*range(23, -1, -1), *range(35, 23, -1)]
    assert np.array_equal(after.images, before[rows])
    assert np.abs(stored.numpy() - table[rows]).max() < 1e-2


# ---- F20: a cache that is damaged ---------------------------------------------------------------


def test_f20_back_from_a_backup(own, tmp_path):  # noqa: F811
    """rsync --exclude ".*" brought the cache back without its hidden files, to another date."""
    before = np.array(load_folder(own, size=16).images)
    for path in tmp_path.glob("cache/folder/.*"):
        path.unlink()
    for path in tmp_path.glob("cache/folder/*"):
        os.utime(path, (0, 0))
    for _ in range(2):
        assert np.array_equal(load_folder(own, size=16).images, before)


@pytest.mark.parametrize("kind", ["photos", "captions", "blooms"])
def test_f20_a_folder_in_place_of_a_file(own, tmp_path, kind):  # noqa: F811
    """A tool for the cloud made a folder of an entry, or a file of Blooms' folder."""
    def read():
        found = load_blooms(20, 16) if kind == "blooms" else load_folder(own, size=16)
        return np.array(found.images), found.captions

    before = read()
    [path] = tmp_path.glob("cache/blooms/v*" if kind == "blooms" else f"cache/folder/{kind}*")
    if kind == "blooms":
        shutil.rmtree(path)
        path.write_bytes(b"")
    else:
        path.unlink()
        path.mkdir()
        (path / "part").write_bytes(b"x")
    read_or_refused(read, lambda now: np.array_equal(now[0], before[0]) and now[1] == before[1],
                    str(path), "cannot be written")


@pytest.mark.parametrize("seal", ["crlf", "another's", "bytes"])
def test_f20_the_sum_itself(own, tmp_path, seal):  # noqa: F811
    """The fingerprint got other line ends, another entry's text, or bytes of no text."""
    before = np.array(load_folder(own, size=16).images)
    one, other = tmp_path.glob("cache/folder/.*.sum")
    texts = {"crlf": one.read_bytes() + b"\r\n", "another's": other.read_bytes(),
             "bytes": b"\xff\xfe\0"}  # fmt: skip
    one.write_bytes(texts[seal])
    other.unlink()
    other.mkdir()
    read_or_refused(lambda: load_folder(own, size=16).images,
                    lambda images: np.array_equal(images, before), ".sum", "cannot be written")
    other.rmdir()
    for _ in range(2):
        assert np.array_equal(load_folder(own, size=16).images, before)


@linux
def test_f20_a_disk_for_the_cache_that_is_not_there(own, tmp_path, monkeypatch):  # noqa: F811
    """~/.cache/t2i, or T2I_CACHE, is a link to a disk that is not mounted."""
    (tmp_path / "link").symlink_to(tmp_path / "not mounted" / "t2i")
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "link"))
    read_or_refused(lambda: load_folder(own, size=16), lambda mine: len(mine.images) == 16,
                    str(tmp_path / "link"), "T2I_CACHE chooses another folder")


def test_f20_a_disk_that_maps_no_files(own, tmp_path, monkeypatch):  # noqa: F811
    """Some shared folders (of virtual machines, FUSE) refuse to map a file into memory."""
    def refuse(*_, **__):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(mmap, "mmap", refuse)
    read_or_refused(lambda: load_folder(own, size=16).images, lambda images: len(images) == 16,
                    str(tmp_path / "cache"), "expected")


# ---- F21: archives ------------------------------------------------------------------------------


def tar_of(path, members, **options):
    """A tar of (name, content or None for a folder, what else the header says)."""
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz", **options) as tar:
        for name, content, more in members:
            member = tarfile.TarInfo(name)
            for key, value in more.items():
                setattr(member, key, value)
            member.size = len(content or b"")
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            tar.addfile(member, io.BytesIO(content or b""))
    return path


def unpacked(archive):
    found = listing(extract(archive, archive.parent / "all"))
    return {name: content for name, content in found.items() if content is not None}


def test_f21_what_git_archive_and_github_make(tmp_path):
    """A global header with the commit's number stands before the first file."""
    archive = tar_of(tmp_path / "birds.tar.gz", [
        ("birds-main/", None, {"mode": 0o775}), ("birds-main/README", b"two", {})],
        format=tarfile.PAX_FORMAT, pax_headers={"comment": "c0ffee" * 6 + "cafe"})  # fmt: skip
    assert unpacked(archive) == {"birds-main/README": b"two"}


@pytest.mark.parametrize("name", ["birds.tgz", "birds.tar.xz", "birds.bin", "birds", "BIRDS.TAR"])
def test_f21_a_browser_has_unpacked_it_already(tmp_path, name):
    """Safari, or a server's Content-Encoding: a plain tar under the name of a packed one."""
    archive = tar_of(tmp_path / "x.tar", [("birds/1.jpg", b"one", {})]).rename(tmp_path / name)
    assert unpacked(archive) == {"birds/1.jpg": b"one"}


@pytest.mark.parametrize("kind", ["tar", "tgz"])
def test_f21_two_archives_joined(tmp_path, kind):
    """cat birds.1.tar birds.2.tar > birds.tar: the second begins behind the end of the first."""
    parts = [tar_of(tmp_path / f"{name}.{kind}", [(f"birds/{name}", name.encode(), {})])
             for name in ("one", "two")]  # fmt: skip
    archive = tmp_path / f"birds.{kind}"
    archive.write_bytes(b"".join(part.read_bytes() for part in parts))
    read_or_refused(lambda: unpacked(archive), lambda found: len(found) == 2, str(archive))


@pytest.mark.parametrize("kind", ["deflate64", "lzma", "bzip2", "self-extracting", "comment"])
def test_f21_zips_of_other_tools(tmp_path, kind):
    """Explorer beyond 2 GB (Deflate64), 7-Zip's methods, an .exe that unpacks itself, a comment."""
    method = {"lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2}.get(kind, zipfile.ZIP_DEFLATED)
    archive = tmp_path / "birds.zip"
    with zipfile.ZipFile(archive, "w", method) as file:
        file.writestr("birds/café.jpg", b"one" * 99)
        file.comment = "by hand: café".encode() if kind == "comment" else b""
    content = archive.read_bytes()
    if kind == "self-extracting":
        content = b"MZ" + bytes(5000) + content
    if kind == "deflate64":
        content = bytearray(content)
        for at in (8, content.index(b"PK\1\2") + 10):
            content[at] = 9
    archive.write_bytes(content)
    read_or_refused(lambda: unpacked(archive), lambda found: found == {
        "birds/café.jpg": b"one" * 99}, str(archive), "no archive", "compression method")
    assert kind == "deflate64" or (tmp_path / "all").exists()


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_f21_from_a_disc_or_from_long_ago(tmp_path, format):
    """Folders and files that may only be read, of no owner here, 1901; names of 220 letters."""
    long = "/".join(["birds", "a" * 90, "b" * 90, "c.jpg"])
    more = {"mode": 0o444, "uid": 4242, "uname": "nobody-here", "mtime": 10**9}
    if format != tarfile.USTAR_FORMAT:
        more["mtime"] = -2_000_000_000
    archive = tar_of(tmp_path / "birds.tar", [
        ("birds", None, more | {"mode": 0o555}), (long, b"one", more),
        ("birds/README", b"two", more | {"mode": 0o4000})], format=format)  # fmt: skip
    assert unpacked(archive) == {long: b"one", "birds/README": b"two"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "birds.tar"]


# ---- F22: what is changed in place, what is shown -----------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["read-only", "int64", "float16", "bool", "no pictures"])
def test_f22_other_arrays_of_numpy(kind):
    """np.asarray of a picture is read-only; arithmetic gives int64, or bool; none at all."""
    pixels = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    given = {"read-only": np.asarray(Image.fromarray(pixels.transpose(1, 2, 0))).transpose(2, 0, 1),
             "int64": pixels.astype(np.int64), "float16": pixels.astype(np.float16),
             "bool": pixels > 20, "no pictures": pixels[:0]}[kind]  # fmt: skip
    before = given.copy()
    found = unchecked(to_unit)(given)
    assert np.allclose(found.numpy(), given.astype(float) / 127.5 - 1, atol=1e-6)
    found.zero_()
    assert np.array_equal(given, before)


def test_f22_pictures_that_are_shown_and_then_trained_on():
    """grid(images) of floats a hair outside [-1, 1], and to_bytes of every second column."""
    images = torch.linspace(-1.005, 1.005, 2 * 3 * 8 * 8).view(2, 3, 8, 8)
    before = images.clone()
    grid(images)
    to_bytes(images[..., ::2].transpose(2, 3))
    assert torch.equal(images, before)


def test_f22_workers_that_are_given_a_copy(own):  # noqa: F811
    """DataLoader's workers under macOS and Windows get the batches as a pickle."""
    table = torch.randn(16, 2, 4)
    batches_ = Batches(load_folder(own, size=16), table, "train", 4, 0)
    copy = pickle.loads(pickle.dumps(batches_))
    one, other = batches_[3], copy[3]
    assert torch.equal(one.images, other.images) and torch.equal(one.embedding, other.embedding)
    other.images.zero_()
    other.embedding.zero_()
    assert torch.equal(batches_[3].images, one.images)
    assert torch.equal(batches_[3].embedding, one.embedding)


def test_f22_a_cell_that_ends_in_exam(tmp_path, monkeypatch):
    """exam = blooms_exam(…); exam: two thousand sentences, and the pictures of a memory."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    exam = unchecked(blooms_exam)(
        load_blooms(300, 16), lambda texts: torch.zeros(len(texts), 4), number=300)
    shown = repr(exam)
    assert len(shown) < 2000, f"{len(shown):,} characters for 300 sentences"


def test_f22_a_cell_that_ends_in_stored_embeddings(tmp_path, monkeypatch):
    """load_embedded(…) alone in a cell; then load_pairs(…).encoder, and a batch of it."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, _ = write_all(tmp_path)
    mine, table = load_embedded(pickles, images, 16)
    batches_ = Batches(mine, table, "train", 4, 0)
    for shown in ((mine, table), Stored(mine.captions, table), batches_, batches_[0]):
        assert len(repr(shown)) < 5000 and "sentence 3 of" not in repr(shown), repr(shown)[:500]
