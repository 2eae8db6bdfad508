"""Five variations of each case of other people's files: read rightly, or refused by name.

The names count the cases; each variation is something that a tool, a system or a person does.
"""

import gzip
import io
import os
import pickle
import pickletools
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, PngImagePlugin
from scipy.io import loadmat, savemat
from scipy.sparse import csr_array

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all, write_part  # noqa: E402
from test_archives import listing, pack  # noqa: E402
from test_birds import captions as bird_captions  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_birds import photo as bird_photo  # noqa: E402
from test_embeddings import NAMES, arrays  # noqa: E402
from test_embeddings import write as write_pickles  # noqa: E402
from test_flowers import LABELS  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_flowers import photo as flower_photo  # noqa: E402
from test_other_peoples_files import HALVES, TWO, clear, first, linux  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402

from t2i_utils import lesson  # noqa: E402
from t2i_utils.__main__ import main  # noqa: E402
from t2i_utils.data import photographs  # noqa: E402
from t2i_utils.data.archives import extract  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.blooms import load_blooms  # noqa: E402
from t2i_utils.data.captioned import Batches, to_bytes, to_unit  # noqa: E402
from t2i_utils.data.embedded import load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings, read_pickle  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402
from t2i_utils.pairs import load_pairs  # noqa: E402


def read_or_refused(call, right, *words):
    """That what it gives is `right`, or that one message of the project's own has these words."""
    try:
        found = call()
    except (ValueError, OSError) as error:
        assert type(error) not in (UnicodeDecodeError, UnicodeEncodeError), error
        for word in words:
            assert word in str(error), f"{word!r} is not in {error}"
    else:
        assert right(found), found


def refused(call, *words):
    """That it is refused in one message of the project's own, which has all these words."""
    read_or_refused(call, lambda found: False, *words)


def with_first(own, content, kind="png"):  # noqa: F811
    """The picture that is stored, of side 19, where the first file is this one."""
    first(own).unlink(missing_ok=True)
    first(own, kind).write_bytes(content)
    return load_folder(own, size=16).images[0].astype(int)


def bytes_of(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width, height, depth, kind, rows, *chunks):
    """A PNG of any depth and kind, as Pillow writes few."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(x)) + name + x + struct.pack(">I", zlib.crc32(name + x))
        for name, x in parts)


# ---- F1: turned by EXIF -------------------------------------------------------------------------

UPRIGHT = Image.fromarray(HALVES).convert("RGB")  # its upper half is white
TIFF = b"MM\0*\0\0\0\x08\0\1\x01\x12\0%s\0\0\0\1%s\0\0\0\0"  # a directory of one orientation
SHORT_6, LONG_6, SHORT_8 = (TIFF % x for x in (
    (b"\x03", b"\0\6\0\0"), (b"\x04", b"\0\0\0\6"), (b"\x03", b"\0\x08\0\0")))
SIDEWAYS = UPRIGHT.transpose(Image.Transpose.ROTATE_90)  # what 6 brings upright


def upright(image):
    return image[:, :8].min() > 200 and image[:, 11:].max() < 60


def test_f01_mpo_of_a_phone(own):  # noqa: F811
    """A phone stores a second frame (depth, the other eye) behind the turned JPEG."""
    more = {"save_all": True, "append_images": [Image.new("RGB", (90, 120), "red")]}
    assert upright(with_first(own, bytes_of(SIDEWAYS, "MPO", exif=b"Exif\0\0" + SHORT_6, **more),
                              "jpeg"))


def test_f01_imagemagick_png(own):  # noqa: F811
    """ImageMagick converts a phone's JPEG to PNG: EXIF in hexadecimals, in a packed text."""
    exif = b"Exif\0\0" + SHORT_6
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(exif):8}\n{exif.hex()}\n", zip=True)
    assert upright(with_first(own, bytes_of(SIDEWAYS, "PNG", pnginfo=info)))


def test_f01_cmyk_jpeg(own):  # noqa: F811
    """A print shop's JPEG, in CMYK, turned by 8."""
    stored = UPRIGHT.transpose(Image.Transpose.ROTATE_270).convert("CMYK")
    assert upright(with_first(own, bytes_of(stored, "JPEG", exif=b"Exif\0\0" + SHORT_8), "jpg"))


def test_f01_orientation_of_32_bits(own):  # noqa: F811
    """A camera that stores the orientation in 32 bits, the high bytes first."""
    assert upright(with_first(own, bytes_of(SIDEWAYS, "JPEG", exif=b"Exif\0\0" + LONG_6), "jpg"))


def test_f01_large_photo_in_the_published_layout(flowers):  # noqa: F811
    """Somebody puts photos of a phone, of some megapixels, in place of Oxford's."""
    ramp = np.arange(1600) * 255 // 1599
    pixels = np.stack(np.broadcast_arrays(ramp[:1200, None], ramp[None], 90), 2).astype(np.uint8)
    image = Image.fromarray(pixels)
    stored = image.transpose(Image.Transpose.ROTATE_90)
    stored.save(flower_photo(flowers, 1), exif=b"Exif\0\0" + SHORT_6, quality=95)
    found = load_flowers(flowers, size=64).images[0].astype(int)
    square = np.asarray(image.crop((200, 0, 1400, 1200)).resize((76, 76), Image.Resampling.BOX))
    assert np.abs(found - square.transpose(2, 0, 1)).max() < 8


# ---- F2: transparent ----------------------------------------------------------------------------


def test_f02_webp_without_loss(own):  # noqa: F811
    """A cut-out saved as WebP, its hidden colours kept."""
    image = with_first(own, bytes_of(clear("RGBA")[0], "WEBP", lossless=True, exact=True), "webp")
    assert image[:, :8].min() > 240 and image[:, 11:].max() < 15


def test_f02_grey_of_two_bits(own):  # noqa: F811
    """optipng packs a picture of few greys into two bits; one of them is transparent."""
    rows = [[0b01010101] * 12] * 20 + [[0] * 12] * 28
    image = with_first(own, png(48, 48, 2, 0, rows, (b"tRNS", b"\0\1")))
    assert image[:, :7].min() > 240 and image[:, 10:].max() < 15


def test_f02_gif_in_a_pngs_name(own):  # noqa: F811
    """A GIF from the web, renamed."""
    image, options = clear("P")
    image = with_first(own, bytes_of(image, "GIF", **options))
    assert image[:, :8].min() > 240 and image[:, 11:].max() < 15


def test_f02_sixteen_bits_a_channel(own):  # noqa: F811
    """A cut-out from a raw developer: 16 bits a channel, an alpha of 16 bits."""
    rows = np.zeros((48, 48, 4), ">u2")
    rows[:24] = 65535, 0, 65535, 0
    rows[24:] = 0, 0, 0, 65535
    image = with_first(own, png(48, 48, 16, 6, (row.tobytes() for row in rows)))
    assert image[:, :8].min() > 240 and image[:, 11:].max() < 15


def test_f02_a_cut_out_bird_has_no_fringe(birds):  # noqa: F811
    """A bird cut out as PNG, under its JPEG's name: black, soft edges, magenta where not seen."""
    y, x = np.mgrid[:90, :120]
    alpha = (20 - np.hypot(x - 50, y - 40)).clip(0, 1) * 255
    pixels = np.zeros((90, 120, 4), np.uint8)
    pixels[..., 3] = alpha
    pixels[alpha == 0] = 255, 0, 255, 0
    Image.fromarray(pixels).save(bird_photo(birds, 1), "PNG")
    red, green, blue = load_birds(birds, size=16).images[0].astype(int)
    assert (red == green).all() and (blue == green).all()
    assert green[0, 0] == 255 and green[9, 9] == 0


# ---- F3: sixteen bits ---------------------------------------------------------------------------

LEVELS = np.linspace(0, 65535, 95)  # five of them make a row of 19
ROWS = (LEVELS.reshape(19, 5).mean(1) / 257)[1:-1]


def test_f03_colours_of_sixteen_bits(own):  # noqa: F811
    """A scanner's PNG in colour, of 16 bits a channel."""
    rows = np.repeat(np.repeat(LEVELS.astype(">u2")[:, None, None], 95, 1), 3, 2)
    image = with_first(own, png(95, 95, 16, 2, (row.tobytes() for row in rows)))
    assert np.abs(image[:, 1:-1, 9] - ROWS).max() < 2


def test_f03_four_bits(own):  # noqa: F811
    """A fax or an optimised drawing: grey of four bits."""
    rows = [[16 * (y // 3) + y // 3] * 24 for y in range(48)]
    image = with_first(own, png(48, 48, 4, 0, rows))
    reference = np.repeat(np.arange(16), 3).repeat(19).reshape(19, 48).mean(1) * 17
    assert np.abs(image[:, 1:-1, 9] - reference[1:-1]).max() < 8


def test_f03_a_bird_of_sixteen_bits(birds):  # noqa: F811
    """A grey PNG of 16 bits under a JPEG's name, cut about its bird."""
    pixels = np.zeros((90, 120), np.uint16)
    pixels[:, 50:] = 32896  # the box reaches from 20 to 80
    Image.fromarray(pixels).save(bird_photo(birds, 1), "PNG")
    image = load_birds(birds, size=16).images[0].astype(int)
    assert image[:, :, :8].max() < 8 and np.abs(image[:, :, 11:] - 128).max() < 8


# ---- F4: more pixels than there are -------------------------------------------------------------


def test_f04_a_jpegs_header(own):  # noqa: F811
    """A JPEG whose header says 65,000 by 65,000."""
    content = bytearray(bytes_of(UPRIGHT, "JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    refused(lambda: with_first(own, content, "jpg"), "cannot read photo", "p0.jpg: ", "pixels")


def test_f04_a_webps_header(own):  # noqa: F811
    """A WebP whose canvas is said to be 16,384 by 16,384."""
    content = bytearray(bytes_of(UPRIGHT, "WEBP", exif=SHORT_6))
    assert content[12:16] == b"VP8X"
    content[24:30] = (16383).to_bytes(3, "little") * 2
    refused(lambda: with_first(own, content, "webp"), "cannot read photo", "p0.webp: ")


def test_f04_a_bmps_header(own):  # noqa: F811
    """A BMP of 30,000 by 30,000 and no pixels, renamed .png."""
    content = bytearray(bytes_of(UPRIGHT, "BMP"))
    content[18:26] = struct.pack("<ii", 30000, 30000)
    refused(lambda: with_first(own, content), "cannot read photo", "p0.png: ", "pixels")


def test_f04_a_text_that_unpacks_to_far_more(own):  # noqa: F811
    """Metadata of 200 MB, packed, in a small PNG."""
    packed = zlib.compressobj(1)
    text = b"".join(packed.compress(bytes(1_000_000)) for _ in range(200)) + packed.flush()
    content = png(48, 48, 8, 0, [[255] * 48] * 48, (b"zTXt", b"XML\0\0" + text))
    began = time.monotonic()
    read_or_refused(lambda: with_first(own, content), lambda image: (image == 255).all(),
                    "cannot read photo", "p0.png: ")
    assert time.monotonic() - began < 5


def test_f04_a_strip(own):  # noqa: F811
    """A picture of one by 60,000 pixels: a ruler, a tracking pixel gone wrong."""
    content = bytes_of(Image.new("RGB", (1, 60000), (10, 20, 30)), "PNG")
    image = with_first(own, content)
    assert (image == np.array([10, 20, 30])[:, None, None]).all()


# ---- F5: UTF-16 ---------------------------------------------------------------------------------


def test_f05_the_published_layout_by_powershell(flowers):  # noqa: F811
    """PowerShell's > rewrote all of Oxford's sentences: UTF-16 with a mark, CR LF."""
    before = load_flowers(flowers, size=16).captions
    for path in flowers.glob("text_c10/*/*.txt"):
        path.write_bytes(path.read_text().replace("\n", "\r\n").encode("utf-16"))
    assert load_flowers(flowers, size=16).captions == before


def test_f05_every_file_without_a_mark_high_byte_first(own):  # noqa: F811
    """iconv -t UTF-16BE sets no mark."""
    for path in own.glob("*/*.txt"):
        path.write_bytes(path.read_text().encode("utf-16-be"))
    refused(lambda: load_folder(own, size=16), "p0.txt: found UTF-16 without", "in UTF-8")


def test_f05_appended_by_powershell(own):  # noqa: F811
    """PowerShell's >> adds a line in UTF-16 to a file in UTF-8."""
    for path in own.glob("*/*.txt"):
        path.write_bytes(b"a red flower\n" + "its petals are round\r\n".encode("utf-16-le"))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: found U+0000", "expected UTF-8")


def test_f05_letters_of_two_units(own):  # noqa: F811
    """Notepad's "Unicode", with emoji and old letters of two units each."""
    lines = ["🌸 is pink", "𝔣lower of 𠮷野"]
    for path in own.glob("*/*.txt"):
        path.write_bytes("\r\n".join(lines).encode("utf-16"))
    assert load_folder(own, size=16).captions == [lines] * 16


def test_f05_a_tail_of_zeros(own):  # noqa: F811
    """The computer lost its power while it saved: the file ends in zeros."""
    first(own, "txt").write_bytes("a red flower\nround\n".encode("utf-16") + bytes(512))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 3: found U+0000", "expected UTF-8")


# ---- F6: marks and other alphabets --------------------------------------------------------------


def test_f06_a_mark_in_each_file_of_birds(birds):  # noqa: F811
    """Notepad saved CUB's sentences and tables: a mark in each, CR LF."""
    before = load_birds(birds, size=16).captions
    for path in birds.rglob("*.txt"):
        path.write_text(path.read_text(), encoding="utf-8-sig", newline="\r\n")
    assert load_birds(birds, size=16).captions == before


def test_f06_an_old_macs_file(own):  # noqa: F811
    """An old Mac's file: MacRoman, a carriage return after each line."""
    first(own, "txt").write_bytes("a red flower\rune fleur d'été\r".encode("mac-roman"))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: found byte 0x8E", "UTF-8")


def test_f06_emoji_by_java_or_mysql(own):  # noqa: F811
    """Java's and MySQL's UTF-8 (CESU-8): an emoji as two halves of three bytes each."""
    flower = "🌸".encode("utf-16-be")
    halves = b"".join(chr(int.from_bytes(flower[i : i + 2], "big")).encode(errors="surrogatepass")
                      for i in (0, 2))  # fmt: skip
    first(own, "txt").write_bytes(b"red\n" + halves + b" is pink\n")
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: found byte 0xED", "UTF-8")


def test_f06_a_japanese_mail(own):  # noqa: F811
    """ISO-2022-JP, which is ASCII and escapes: every file of it."""
    for path in own.glob("*/*.txt"):
        path.write_bytes("red\n赤い花\n".encode("iso-2022-jp"))
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: found U+001B", "expected UTF-8")


def test_f06_two_editors(birds):  # noqa: F811
    """Of ten lines the sixth was typed in an editor of Windows-1252, the fifth in one of UTF-8."""
    path = bird_captions(birds, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4:6] = "Un pétrel.\n".encode(), "Un pétrel.\n".encode("cp1252")
    path.write_bytes(b"".join(lines))
    refused(lambda: load_birds(birds, size=16), path.name, "line 6: found byte 0xE9", "UTF-8")


# ---- F7: another number of lines ----------------------------------------------------------------


def test_f07_five_sentences_in_place_of_ten(flowers):  # noqa: F811
    """Somebody's sentences for Oxford's photos, five for each, as in COCO."""
    for path in flowers.glob("text_c10/*/*.txt"):
        path.write_text("".join(path.read_text().splitlines(True)[:5]))
    refused(lambda: load_flowers(flowers, size=16), "image_00001.txt has 5 lines, expected 10")


def test_f07_half_of_the_files_have_a_line_more(own):  # noqa: F811
    """Two people wrote the sentences, two a picture the one, three the other."""
    for path in (*own.glob("class 2/*.txt"), *own.glob("class 3/*.txt")):
        path.write_text("one\ntwo\nthree\n")
    refused(lambda: load_folder(own, size=16), "2", "3 lines", "expected 2, as 8 others")


def test_f07_the_file_as_it_is_called(own):  # noqa: F811
    """A camera's P0.TXT has a line more: the message tells the name that is on the disk."""
    first(own, "txt").rename(first(own, "TXT"))
    first(own, "TXT").write_text("one\ntwo\nthree\n")
    refused(lambda: load_folder(own, size=16), "p0.TXT has 3 lines, expected 2")


def test_f07_a_cell_with_a_break_in_it(own):  # noqa: F811
    """A spreadsheet writes a cell that has a break in it within quotes, over two lines."""
    first(own, "txt").write_text('"a red\nflower"\nits petals are round\n')
    refused(lambda: load_folder(own, size=16), "p0.txt has 3 lines, expected 2, as 15 others")


def test_f07_a_break_that_comes_later(birds):  # noqa: F811
    """All was well and cached; then a page break comes into a table."""
    load_birds(birds, size=16)
    text = (birds / "bounding_boxes.txt").read_text()
    (birds / "bounding_boxes.txt").write_text(text.replace("\n5 ", "\n\x0c5 "))
    refused(lambda: load_birds(birds, size=16), "bounding_boxes.txt, line 5: found", "expected")


# ---- F8: what stands at the end -----------------------------------------------------------------


def test_f08_photos_of_flowers_in_capitals(flowers):  # noqa: F811
    """A memory card or a Windows tool writes endings in capitals: image_00001.JPG."""
    before = np.array(load_flowers(flowers, size=16).images)
    for path in flowers.glob("jpg/*.jpg"):
        path.rename(path.with_suffix(".JPG"))
    read_or_refused(lambda: load_flowers(flowers, size=16).images,
                    lambda images: np.array_equal(images, before), "image_00001.", "expected")


def test_f08_photos_of_birds_in_capitals(birds):  # noqa: F811
    """The same of CUB, whose images.txt says .jpg; the sentences end in .TXT."""
    before = load_birds(birds, size=16)
    images, captions = np.array(before.images), before.captions
    for path in (*birds.glob("images/*/*.jpg"), *birds.glob("text_c10/*/*.txt")):
        path.rename(path.with_suffix(path.suffix.upper()))
    read_or_refused(lambda: load_birds(birds, size=16),
                    lambda now: np.array_equal(now.images, images) and now.captions == captions,
                    ".jpg", "expected")


def test_f08_two_endings(own):  # noqa: F811
    """A tool for captions calls them p0.jpg.txt."""
    for path in own.glob("*/*.txt"):
        path.rename(path.with_suffix(".jpg.txt"))
    read_or_refused(lambda: load_folder(own, size=16), lambda mine: len(mine.images) == 16,
                    "captions missing for 16 of 16", "p0.txt")


def test_f08_the_end_of_a_file_under_dos(own):  # noqa: F811
    """Programs of DOS end a text with Ctrl-Z."""
    first(own, "txt").write_bytes(b"a red flower\r\nits petals are round\r\n\x1a")
    read_or_refused(lambda: load_folder(own, size=16), lambda mine: mine.sentences_each == 2,
                    "p0.txt, line 3: found U+001A", "expected")


def test_f08_a_cell_at_the_end_of_the_sheet(own):  # noqa: F811
    """A sheet saved as text, with a full stop in its last column: 16,383 tabs before it."""
    first(own, "txt").write_text("".join(line + "\t" * 16383 + ".\n" for line in TWO))
    began = time.monotonic()
    assert load_folder(own, size=16).sentences_each == 2
    assert time.monotonic() - began < 1


# ---- F9: what systems leave ---------------------------------------------------------------------


def left(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no picture")


def same(before, after):
    return (np.array_equal(before.images, after.images) and before.captions == after.captions
            and before.class_names == after.class_names)  # fmt: skip


def test_f09_the_bin_of_a_network_drive(own):  # noqa: F811
    """Synology keeps what was deleted in #recycle, pictures and sentences, as they were."""
    before = load_folder(own, size=16)
    shutil.copytree(own / "class 0", own / "#recycle")
    assert same(before, load_folder(own, size=16))


def test_f09_streams_and_side_cars(own):  # noqa: F811
    """Copied out of Windows by WSL, edited in Lightroom, looked at on three systems."""
    before = load_folder(own, size=16)
    left(own, "class 0/p0.jpg:Zone.Identifier", "class 0/p0.txt:Zone.Identifier",
         "class 1/p1.xmp", "class 1/p1.CR2", "class 1/Thumbs.db", "desktop.ini", ".DS_Store",
         "class 2/desktop.ini", "class 2/.p0.jpg.swp", "class 3/p1.jpg~", "README.txt")  # fmt: skip
    assert same(before, load_folder(own, size=16))


def test_f09_an_apple_archive_of_stored_embeddings(tmp_path, monkeypatch):
    """macOS packed the photos beside StackGAN's pickles: a ._ file for each, __MACOSX."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    pickles, images, table = write_all(tmp_path)
    before, _ = load_embedded(pickles, images, 16)
    left(images, "__MACOSX/jpg/._image_00001.jpg", "jpg/.DS_Store",
         *(f"jpg/._{path.name}" for path in images.glob("jpg/*.jpg")))
    left(pickles, "train/._filenames.pickle", "._train")
    after, stored = load_embedded(pickles, images, 16)
    assert same(before, after) and np.abs(stored.numpy() - table).max() < 1e-2


def test_f09_an_apple_archive_of_flowers(flowers):  # noqa: F811
    """The same of Oxford's layout."""
    before = load_flowers(flowers, size=16)
    left(flowers, *(f"{path.parent.relative_to(flowers)}/._{path.name}"
                    for path in [*flowers.rglob("*.jpg"), *flowers.rglob("*.txt")]),
         "._imagelabels.mat", "text_c10/._class_00001", "text_c10/.DS_Store")  # fmt: skip
    assert same(before, load_flowers(flowers, size=16))


def test_f09_a_version_that_differs_in_the_cloud(own):  # noqa: F811
    """Dropbox keeps both versions of a picture that two machines changed; it has no sentences."""
    name = "p1 (Anna's conflicted copy 2024-05-01)"
    shutil.copy(own / "class 2" / "p1.jpg", own / "class 2" / f"{name}.jpg")
    refused(lambda: load_folder(own, size=16), "captions missing for 1 of 17", f"{name}.txt")


# ---- F10: names and links -----------------------------------------------------------------------


@linux
def test_f10_a_class_on_a_disk_that_is_not_mounted(own):  # noqa: F811
    """A class is a link to a folder of another disk, which is not there today."""
    shutil.copytree(own / "class 3", own / "class 4")
    assert len(load_folder(own, size=16).class_names) == 5
    (own / "class 4").rename(own.parent / "elsewhere")
    (own / "class 4").symlink_to(own.parent / "not mounted")
    refused(lambda: load_folder(own, size=16), "class 4", "not mounted", "expected")


def test_f10_accents_in_two_parts_in_cubs_layout(birds):  # noqa: F811
    """images.txt writes é as one letter; the disk was filled by a Mac, and has it in two."""
    text = (birds / "images.txt").read_text().replace("Bird", "P\u00e9trel")
    (birds / "images.txt").write_text(text, encoding="utf-8")
    before = load_birds_under_another_name(birds, "P\u00e9trel")
    for path in (*birds.glob("images/*/*"), *birds.glob("text_c10/*/*")):
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    read_or_refused(lambda: load_birds(birds, size=16), lambda now: same(before, now),
                    "P\u00e9trel", "expected")


def load_birds_under_another_name(birds, name):  # noqa: F811
    for path in (*birds.glob("images/*/Bird*"), *birds.glob("text_c10/*/Bird*")):
        path.rename(path.with_name(path.name.replace("Bird", name)))
    before = load_birds(birds, size=16)
    before.images = np.array(before.images)
    return before


@linux
def test_f10_the_command_line_on_a_folder_in_latin_1(flowers):  # noqa: F811
    """`data --data_dir` of a folder whose name has the byte 0xE9."""
    place = os.path.join(os.fsencode(flowers.parent), b"caf\xe9")
    os.rename(flowers, place)
    command = [sys.executable, "-m", "t2i_utils", "data", "--dataset", "flowers", "--data_dir"]
    done = subprocess.run([*command, place], capture_output=True, cwd=Path(__file__).parents[2],
                          env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"})  # as en_GB.UTF-8
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert "whole: 12 photos" in said or "caf\\" in said and "expected" in said, said


def test_f10_which_of_four_files_of_one_name(own):  # noqa: F811
    """Each class numbers its pictures from p0; one file of sentences is missing."""
    (own / "class 2" / "p0.txt").unlink()
    refused(lambda: load_folder(own, size=16), "captions missing for 1 of 16", "class 2", "p0.txt")


@linux
def test_f10_a_cache_in_a_folder_in_latin_1(own, tmp_path, monkeypatch):  # noqa: F811
    """The home folder, and the cache in it, has the byte 0xE9 in its name."""
    before = load_folder(own, size=16)
    monkeypatch.setenv("T2I_CACHE", os.fsdecode(os.fsencode(tmp_path) + b"/Andr\xe9"))
    for _ in range(2):
        assert same(before, load_folder(own, size=16))


# ---- F11: labels and splits ---------------------------------------------------------------------


def test_f11_octaves_old_format(flowers):  # noqa: F811
    """`save -4` of Octave, or MATLAB 4: doubles, in a column."""
    before = load_flowers(flowers, size=16, split="oxford")
    for file in ("imagelabels.mat", "setid.mat"):
        held = {k: v.T.astype(float) for k, v in loadmat(flowers / file).items() if k[0] != "_"}
        savemat(flowers / file, held, format="4")
    after = load_flowers(flowers, size=16, split="oxford")
    assert after.classes.equal(before.classes)
    assert all(after.splits[split].equal(own) for split, own in before.splits.items())


def test_f11_octaves_text(flowers):  # noqa: F811
    """Octave saves as text unless told otherwise."""
    (flowers / "imagelabels.mat").write_text(
        "# Created by Octave 8.4.0\n# name: labels\n# type: matrix\n# rows: 1\n# columns: 12\n "
        + " ".join(map(str, LABELS)) + "\n")
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat: found", "expected a MATLAB")


def test_f11_numbers_beside_the_labels(flowers):  # noqa: F811
    """A table with the photo's number before each label."""
    table = np.stack([np.arange(1, 13), LABELS], 1).astype(np.uint16)
    savemat(flowers / "imagelabels.mat", {"labels": table})
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat", "found", "expected")


def test_f11_a_photo_in_two_splits(flowers):  # noqa: F811
    """Splits made by hand: photo 3 is trained on and tested."""
    savemat(flowers / "setid.mat", {"trnid": [[1, 2, 3]], "valid": [[11, 12]],
                                    "tstid": [[3, 4, 5, 6, 7, 8, 9, 10]]})  # fmt: skip
    refused(lambda: load_flowers(flowers, size=16, split="oxford"), "setid.mat", "expected")


def test_f11_labels_within_a_struct(flowers):  # noqa: F811
    """MATLAB saved a table or a struct of the name labels; SciPy, a sparse matrix."""
    for labels in ({"data": LABELS, "names": "abc"}, csr_array([LABELS])):
        savemat(flowers / "imagelabels.mat", {"labels": labels})
        read_or_refused(lambda: load_flowers(flowers, size=16).classes.tolist(),
                        lambda classes: classes == [label - 1 for label in LABELS],
                        "imagelabels.mat: found", "expected a MATLAB file with 'labels'")


# ---- F12: CUB's tables --------------------------------------------------------------------------


def edited(folder, file, change):
    (folder / file).write_text(change((folder / file).read_text()))


def test_f12_decimal_commas(birds):  # noqa: F811
    """A German spreadsheet saved the boxes."""
    edited(birds, "bounding_boxes.txt", lambda text: text.replace(".", ","))
    refused(lambda: load_birds(birds, size=16), "bounding_boxes.txt, line 1: found", "expected")


def test_f12_a_header(birds):  # noqa: F811
    """pandas wrote images.txt, and the names of its columns above."""
    edited(birds, "images.txt", lambda text: "image_id image_name\n" + text)
    refused(lambda: load_birds(birds, size=16), "images.txt, line 1", "expected")


def test_f12_classes_cut(birds):  # noqa: F811
    """classes.txt ends after the second of three lines."""
    edited(birds, "classes.txt", lambda text: "".join(text.splitlines(keepends=True)[:2]))
    refused(lambda: load_birds(birds, size=16), "classes.txt", "expected")


def test_f12_names_from_the_shell(birds):  # noqa: F811
    """`find images -name "*.jpg"` made images.txt anew: each name begins with images/."""
    edited(birds, "images.txt", lambda text: text.replace(" ", " images/"))
    read_or_refused(lambda: load_birds(birds, size=16), lambda now: len(now.images) == 8,
                    "images.txt", "images/001.Auk")


def test_f12_names_from_windows(birds):  # noqa: F811
    """A script under Windows made images.txt anew: 001.Auk\\Bird_0001.jpg."""
    before = load_birds(birds, size=16)
    edited(birds, "images.txt", lambda text: text.replace("/", "\\"))
    read_or_refused(lambda: load_birds(birds, size=16), lambda now: same(before, now),
                    "001.Auk\\Bird_0001_77.jpg", "expected")


# ---- F13: line ends in pickles ------------------------------------------------------------------


def crlf(content):
    return content.replace(b"\n", b"\r\n")


def test_f13_a_folder_of_python_2_in_text_mode(tmp_path):
    """Windows, Python 2: pickle.dump(x, open(path, "w")) of all three files."""
    write_pickles(tmp_path / "train", arrays(), protocol=0)
    for path in (tmp_path / "train").iterdir():
        path.write_bytes(crlf(path.read_bytes()))
    found = load_embeddings(tmp_path / "train")
    assert np.array_equal(found.embeddings, np.stack(arrays())) and found.file_names == NAMES
    assert found.classes.tolist() == [2, 7, 9]


def test_f13_a_pickle_without_a_memo(tmp_path):
    """pickletools.optimize or Pickler.fast leave out the memo, by which text was told."""
    content = pickletools.optimize(pickle.dumps(NAMES, 0))
    (tmp_path / "names.pickle").write_bytes(crlf(content))
    read_or_refused(lambda: read_pickle(tmp_path / "names.pickle"), lambda names: names == NAMES,
                    "names.pickle", "line ends")


def test_f13_saved_by_an_editor(tmp_path):
    """An editor of Windows saved a pickle of text as UTF-8 with a mark."""
    (tmp_path / "names.pickle").write_bytes(b"\xef\xbb\xbf" + crlf(pickle.dumps(NAMES[2:], 0)))
    read_or_refused(lambda: read_pickle(tmp_path / "names.pickle"),
                    lambda names: names == NAMES[2:], "names.pickle: found", "expected")


def test_f13_class_ten_in_binary(tmp_path):
    """In binary, class 10 is a line feed, and class 13 a carriage return."""
    for classes in ([9, 10, 11], [10, 13], [13, 10, 13]):
        content = pickle.dumps(classes, 2)
        (tmp_path / "class_info.pickle").write_bytes(crlf(content))
        read_or_refused(lambda: read_pickle(tmp_path / "class_info.pickle"),
                        lambda found, classes=classes: found == classes,
                        "class_info.pickle: found", "line ends were changed")


def test_f13_line_ends_of_unix(tmp_path):
    """dos2unix, or git with autocrlf=input, took the carriage returns out of numbers."""
    content = pickle.dumps(arrays(n=20), 2)
    assert b"\r\n" in content
    (tmp_path / "arrays.pickle").write_bytes(content.replace(b"\r\n", b"\n"))
    refused(lambda: read_pickle(tmp_path / "arrays.pickle"), "arrays.pickle: found", "expected")


# ---- F14: arrays of newer numpy -----------------------------------------------------------------


@pytest.mark.parametrize("made", [
    pytest.param(lambda table, _: [*table.astype("f8")], id="rows longer than a frame"),
    pytest.param(lambda table, _: [*np.repeat(table, 2, 2)[:, :, ::2]], id="every second column"),
    pytest.param(lambda table, _: [*table.astype(">f4")], id="high byte first"),
    pytest.param(lambda table, path: (np.save(path, table), [*np.load(path, mmap_mode="r")])[1],
                 id="rows of a memory-mapped table"),
])  # fmt: skip
def test_f14_arrays_as_numpy_2_pickles_them(tmp_path, made):
    """Somebody pickled a table of their own, row for row, by protocol 5."""
    write_pickles(tmp_path / "train", arrays())
    table = made(np.stack(arrays()), tmp_path / "table.npy")
    (tmp_path / "train" / FILES[0]).write_bytes(pickle.dumps(table, 5))
    read_or_refused(lambda: load_embeddings(tmp_path / "train").embeddings,
                    lambda found: np.array_equal(found, np.stack(arrays())),
                    f"{FILES[0]}: found", "memmap", "expected")


def test_f14_names_out_of_an_array(tmp_path):
    """list(np.array(names)): each name is a number of numpy's, of kind str."""
    write_pickles(tmp_path / "train", arrays())
    (tmp_path / "train" / FILES[1]).write_bytes(pickle.dumps([*np.array(NAMES)], 5))
    read_or_refused(lambda: load_embeddings(tmp_path / "train").file_names,
                    lambda names: names == NAMES, f"{FILES[1]}: found numpy.dtype(", "expected")


# ---- F15: small folders -------------------------------------------------------------------------


def batches(data):
    for split in ("train", "test"):
        for near in (1, 8):
            table = torch.randn(len(data.images), data.sentences_each, 8)
            batch = Batches(data, table, split, 16, seed=0, near_misses=near)[1]
            assert (data.classes[batch.pictures] != data.classes[batch.wrong_pictures]).all()


def test_f15_one_sentence_each(own):  # noqa: F811
    """A file name made into a sentence: one for each picture."""
    for path in own.glob("*/*.txt"):
        path.write_text(f"a {path.parent.name} flower\n")
    batches(load_folder(own, size=16))


@pytest.mark.parametrize("large", range(4))
def test_f15_one_large_class(own, large):  # noqa: F811
    """Twelve pictures of one class, and one of each of three others."""
    for path in [path for path in own.glob("*/p[1-3].*") if path.parent.name != f"class {large}"]:
        path.unlink()
    for i in range(4, 12):
        for kind in ("jpg", "txt"):
            shutil.copy(own / f"class {large}" / f"p0.{kind}",
                        own / f"class {large}" / f"p{i}.{kind}")  # fmt: skip
    read_or_refused(lambda: (batches(load_folder(own, size=16)), True)[1], bool,
                    "folder: found", "expected", "to train on")


def test_f15_a_hundred_classes_of_one(own):  # noqa: F811
    """A class for each picture, as for faces or products."""
    for i in range(100):
        (own / f"item {i}").mkdir()
        for kind in ("jpg", "txt"):
            shutil.copy(first(own, kind), own / f"item {i}" / f"only.{kind}")
    mine = load_folder(own, size=16)
    assert len(mine.class_names) == 104 and len(mine.images) == 116
    batches(mine)


def test_f15_two_words_for_all(own):  # noqa: F811
    """Placeholders: the same sentences for every picture, one pixel for each picture."""
    for path in own.glob("*/*.jpg"):
        Image.new("L", (1, 1), int(path.stem[1]) * 60).save(path)
    mine = load_folder(own, size=16)
    assert mine.images[:, 0, 0, 0].tolist() == [0, 60, 120, 180] * 4
    batches(mine)


def test_f15_the_command_line(own, tmp_path):  # noqa: F811
    """Both stages, a few steps, on four classes of three pictures; then a drawing of it."""
    for path in own.glob("*/p3.*"):
        path.unlink()
    run = ["--run_dir", str(tmp_path / "run")]
    main(["train", "--dataset", "folder", "--data_dir", str(own), "--profile", "smoke", *run,
          "--steps1", "1", "--steps2", "1"])  # fmt: skip
    main(["sample", "--from", "test", "--out", str(tmp_path / "drawn.png"), *run])
    assert Image.open(tmp_path / "drawn.png").size > (32, 32)


# ---- F16: options -------------------------------------------------------------------------------


def unchecked(function):
    """As for readers: the annotations are only checked in the tests."""
    return getattr(function, "__wrapped__", function)


def test_f16_a_size_of_numpy(own):  # noqa: F811
    """for size in np.array([16, 32]): …"""
    assert unchecked(load_folder)(own, size=np.int64(16)).images.shape == (16, 3, 19, 19)


def test_f16_a_share_of_numpy(own):  # noqa: F811
    """test_share out of an array of float32."""
    assert len(unchecked(load_folder)(own, 16, np.float32(0.5)).splits["test"]) == 8


def test_f16_a_size_that_no_disk_holds(own, tmp_path):  # noqa: F811
    """A size in pixels of the whole, 1,000,000, in place of its side."""
    refused(lambda: load_folder(own, size=1_000_000), "disk full: 67,687,500,000,000", "T2I_CACHE")
    assert not [*(tmp_path / "cache").rglob("*.npy")] + [*(tmp_path / "cache").rglob("*.part")]


@pytest.mark.parametrize("options", [{"n": 20.0}, {"n": "20"}, {"n": 20, "size": 16.5}])
def test_f16_numbers_of_blooms(tmp_path, monkeypatch, options):
    """A notebook's parameters from YAML or a form: 20.0, "20"."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    read_or_refused(lambda: len(unchecked(load_blooms)(**{"size": 16} | options).images),
                    lambda n: n == 20, [*options][-1], "expected")  # fmt: skip
    assert not [*(tmp_path / "cache").rglob("*.part")]


def test_f16_a_split_by_another_name(flowers, birds):  # noqa: F811
    """The other set's split, a capital, None."""
    for load, folder in ((load_flowers, flowers), (load_birds, birds)):
        for split in ("Oxford" if load is load_flowers else "oxford", "train", None):
            refused(lambda load=load, folder=folder, split=split: unchecked(load)(
                folder, size=16, split=split), repr(split), "expected one of class_disjoint")


# ---- F17: where sentences lie -------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_flowers, load_birds])
def test_f17_what_lies_in_reeds_archive(request, load):
    """In Reed's text_c10 a file of tensors stands beside each folder of sentences."""
    folder = request.getfixturevalue(load.__name__.removeprefix("load_"))
    before = load(folder, size=16)
    left(folder, *(f"text_c10/{path.name}.{kind}" for path in folder.glob("text_c10/*")
                   for kind in ("t7", "h5")), "text_c10/allclasses.txt")  # fmt: skip
    assert same(before, load(folder, size=16))


def test_f17_at_home(flowers, tmp_path, monkeypatch):  # noqa: F811
    """captions_dir="~/texts"."""
    before = load_flowers(flowers, size=16)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (flowers / "text_c10").rename(tmp_path / "texts")
    assert same(before, load_flowers("~/my flowers", size=16, captions_dir="~/texts"))


@linux
def test_f17_by_a_link(birds, tmp_path):  # noqa: F811
    """text_c10 is a link to a folder on another disk, in which a file is edited."""
    (birds / "text_c10").rename(tmp_path / "elsewhere")
    (birds / "text_c10").symlink_to(tmp_path / "elsewhere")
    before = load_birds(birds, size=16).captions
    bird_captions(birds, 4).write_text("".join(f"Another {j}.\n" for j in range(10)))
    after = load_birds(birds, size=16).captions
    assert after[3] == [f"another {j}." for j in range(10)] and after[:3] == before[:3]


def test_f17_an_empty_folder_before_the_full_one(flowers):  # noqa: F811
    """text_c10/ was made and never filled; the sentences are in text/."""
    before = load_flowers(flowers, size=16)
    (flowers / "text_c10").rename(flowers / "text")
    (flowers / "text_c10").mkdir()
    read_or_refused(lambda: load_flowers(flowers, size=16), lambda now: same(before, now),
                    "captions missing for 12 of 12", str(flowers / "text_c10"))


def test_f17_the_archive_itself(birds, tmp_path):  # noqa: F811
    """captions_dir is the archive, not unpacked."""
    left(tmp_path, "cvpr2016_cub.tar.gz")
    refused(lambda: load_birds(birds, captions_dir=tmp_path / "cvpr2016_cub.tar.gz"),
            "captions_dir", "cvpr2016_cub.tar.gz'", "expected")


# ---- F18: where the data lie --------------------------------------------------------------------


@pytest.mark.parametrize("given", [2024, None])
def test_f18_a_number_to_download_into(flowers, tmp_path, monkeypatch, given):  # noqa: F811
    """-p data_dir 2024, or none, with download=True."""
    asked = []
    monkeypatch.setattr(torchvision.datasets, "Flowers102",  # which makes a path of it, too
                        lambda root, download: asked.append(Path(root)))
    monkeypatch.chdir(tmp_path)
    flowers.rename(tmp_path / "2024")
    read_or_refused(lambda: load_flowers(given, size=16, download=True),
                    lambda now: len(now.images) == 12 and asked[0].absolute() == tmp_path / "2024",
                    "data_dir is None, expected a folder")


def test_f18_a_relative_folder_of_embeddings(tmp_path, monkeypatch):
    """Pickles of two widths, by a path relative to the notebook: which folder was it?"""
    monkeypatch.chdir(tmp_path)
    write_all(tmp_path)
    shutil.rmtree(tmp_path / "pickles" / "test")
    write_part(tmp_path / "pickles" / "test", np.ones((12, 10, 4)),
               [f"image_{i:05d}" for i in range(24, 36)], [4] * 12)  # fmt: skip
    refused(lambda: load_embedded("pickles", "images"), str(tmp_path / "pickles"), "expected one")


def test_f18_somebodys_home(own, tmp_path, monkeypatch):  # noqa: F811
    """~ is the own home; ~nobody-here/flowers is nobody's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert len(load_folder("~/own", size=16).images) == 16
    refused(lambda: load_folder("~nobody-here/own"), "~nobody-here", "home")


@pytest.mark.parametrize("given", [
    "{}\n", "'{}'", "file://{}", "https://example.org/flowers-102.tgz", "C:\\data\\flowers-102"])
def test_f18_a_path_as_it_was_pasted(flowers, given):  # noqa: F811
    """With a line feed, in quotes, as a URL, of another system."""
    given = given.format(flowers)
    refused(lambda: load_flowers(given), repr(str(Path(given)))[1:-1], "no such folder", "expected")


@linux
def test_f18_a_current_folder_that_is_gone(tmp_path, monkeypatch):
    """git checkout removed the notebook's folder and made it anew."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    (tmp_path / "notebooks").rmdir()
    for load in (load_flowers, load_birds, load_folder):
        refused(lambda load=load: load("flowers-102"), "flowers-102")


# ---- F19: a cache that is old -------------------------------------------------------------------


def test_f19_two_folders_that_look_alike(own, tmp_path):  # noqa: F811
    """A release and its correction, unpacked by a tool that gives all files one date."""
    shutil.copytree(own, tmp_path / "corrected")
    for path in (tmp_path / "corrected").glob("*/*.txt"):
        path.write_text(path.read_text().replace("red", "tan"))
    for path in tmp_path.glob("*/class */*"):
        os.utime(path, (315532800, 315532800))  # 1980, as in reproducible archives
    assert load_folder(own, size=16).captions == [TWO] * 16
    assert load_folder(tmp_path / "corrected", size=16).captions[0][0] == "a tan flower"


def test_f19_a_grammar_that_was_edited(tmp_path):
    """A reader adds a word to the grammar of Blooms and loads them again."""
    shutil.copytree(Path(photographs.__file__).parents[1], tmp_path / "t2i_utils",
                    ignore=shutil.ignore_patterns("__pycache__"))
    grammar = tmp_path / "t2i_utils" / "data" / "grammar.py"

    def drawn():
        code = "from t2i_utils.data import load; print(load('blooms', n=40, size=16).captions)"
        environment = {"PYTHONPATH": str(tmp_path), "T2I_CACHE": str(tmp_path / "cache"),
                       "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                              cwd=tmp_path, check=True, env=os.environ | environment).stdout

    assert "petals" in drawn()
    grammar.write_text(grammar.read_text().replace("petals", "leaflets"))
    assert "leaflets" in drawn()


def test_f19_an_older_picture(own):  # noqa: F811
    """A picture is put back from last year's backup, with its date."""
    load_folder(own, size=16)
    Image.new("RGB", (40, 40), "white").save(first(own))
    os.utime(first(own), (1_000_000_000, 1_000_000_000))
    assert (load_folder(own, size=16).images[0] == 255).all()


@linux
def test_f19_what_a_link_leads_to(own, tmp_path):  # noqa: F811
    """git-annex or DVC: pictures and sentences are links into a store, in which they change."""
    for kind in ("jpg", "txt"):
        (tmp_path / f"stored.{kind}").write_bytes(first(own, kind).read_bytes())
        first(own, kind).unlink()
        first(own, kind).symlink_to(tmp_path / f"stored.{kind}")
    load_folder(own, size=16)
    Image.new("RGB", (40, 40), "white").save(tmp_path / "stored.jpg")
    (tmp_path / "stored.txt").write_text("white\nsquare\n")
    after = load_folder(own, size=16)
    assert (after.images[0] == 255).all() and after.captions[0] == ["white", "square"]


def test_f19_two_names_exchanged(own):  # noqa: F811
    """Two pictures of the same date had each other's names."""
    for number in (0, 1):
        os.utime(own / "class 0" / f"p{number}.jpg", (1_000_000_000, 1_000_000_000))
    before = np.array(load_folder(own, size=16).images)
    first(own).rename(own / "kept.jpg")
    (own / "class 0" / "p1.jpg").rename(first(own))
    (own / "kept.jpg").rename(own / "class 0" / "p1.jpg")
    assert np.array_equal(load_folder(own, size=16).images[:2], before[[1, 0]])


# ---- F20: a cache that is damaged ---------------------------------------------------------------


def test_f20_a_hole_in_the_photos(own, tmp_path):  # noqa: F811
    """A copy of the cache broke off: the file has its length, and zeros from its middle on."""
    before = np.array(load_folder(own, size=16).images)
    [path] = tmp_path.glob("cache/folder/photos*.npy")
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(len(content) - half))
    assert np.array_equal(load_folder(own, size=16).images, before)


def test_f20_a_letter_of_blooms(tmp_path, monkeypatch):
    """A bit of the disk turned: a sentence of Blooms has another letter."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    before = load_blooms(20, 16).captions
    [path] = tmp_path.glob("cache/blooms/*/sentences.json")
    path.write_bytes(path.read_bytes().replace(b"petals", b"pedals", 1))
    assert load_blooms(20, 16).captions == before


@linux
def test_f20_blooms_on_another_disk(tmp_path, monkeypatch):
    """The entry was moved to a larger disk and linked; a file was lost on the way."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    before = np.array(load_blooms(20, 16).images)
    [path] = tmp_path.glob("cache/blooms/v*")
    path.rename(tmp_path / "larger")
    path.symlink_to(tmp_path / "larger")
    (tmp_path / "larger" / "images.npy").unlink()
    assert np.array_equal(load_blooms(20, 16).images, before)


@linux
def test_f20_a_link_that_leads_nowhere(flowers, tmp_path):  # noqa: F811
    """The photos' entry was moved to a disk that is not mounted today."""
    before = np.array(load_flowers(flowers, size=16).images)
    for path in tmp_path.glob("cache/flowers/[!.]*-*"):
        path.unlink()
        path.symlink_to(tmp_path / "not mounted" / path.name)
    assert np.array_equal(load_flowers(flowers, size=16).images, before)


def test_f20_a_file_in_place_of_the_cache(own, tmp_path, monkeypatch):  # noqa: F811
    """T2I_CACHE names a file; or a file lies where a folder of the cache would be."""
    left(tmp_path, "file", "other/folder")
    for place in ("file", "other"):
        monkeypatch.setenv("T2I_CACHE", str(tmp_path / place))
        refused(lambda: load_folder(own, size=16), str(tmp_path / place), "cannot be written",
                "T2I_CACHE chooses another folder")


# ---- F21: archives ------------------------------------------------------------------------------


def test_f21_a_zip_with_backslashes(tmp_path):
    """Older .NET packs a\\b.jpg into a ZIP: no folder, but a name with a backslash."""
    archive = pack(tmp_path / "birds.zip", {"birds\\images\\1.jpg": b"one", "README": b"two"})
    unpacked = {"birds/images/1.jpg": b"one", "README": b"two"}
    read_or_refused(lambda: {name: content for name, content in listing(extract(
        archive, tmp_path / "all")).items() if content is not None},
        lambda found: found == unpacked, str(archive), "expected")  # fmt: skip


def test_f21_a_sparse_member(tmp_path):
    """GNU tar keeps a file of holes, 100 GB, in a few bytes."""
    archive = tmp_path / "birds.tar"
    member = tarfile.TarInfo("GNUSparseFile.0/holes")
    member.pax_headers = {f"GNU.sparse.{key}": value for key, value in {
        "major": "1", "minor": "0", "name": "holes", "realsize": "100000000000"}.items()}
    content = b"1\n0\n4\n".ljust(512, b"\0") + b"data"
    member.size = len(content)
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(content))
    refused(lambda: extract(archive, tmp_path / "all"), str(archive), "bytes when unpacked",
            "expected at most")
    assert [*tmp_path.iterdir()] == [archive]


@pytest.mark.parametrize("content", [
    b"Rar!\x1a\x07\x01\0", b"7z\xbc\xaf\x27\x1c\0\4", b"(\xb5/\xfd", b"<!doctype html>404", b""])
def test_f21_another_kind_of_archive(tmp_path, content):
    """RAR, 7z and Zstandard under other names, a page, nothing."""
    for name in ("birds.zip", "birds.tgz"):
        (tmp_path / name).write_bytes(content.ljust(600 * bool(content), b"\7"))
        refused(lambda name=name: extract(tmp_path / name, tmp_path / "all"),
                str(tmp_path / name), "damaged or no archive")
        (tmp_path / name).unlink()
    assert not [*tmp_path.iterdir()]


def test_f21_an_archive_in_parts(tmp_path):
    """pigz, or `cat part.*`, makes a .tar.gz of several gzip members one after the other."""
    files = {"a": bytes(9000), "b": b"b"}
    whole = gzip.decompress(pack(tmp_path / "birds.tgz", files).read_bytes())
    parts = [gzip.compress(whole[i : i + 1000]) for i in range(0, len(whole), 1000)]
    (tmp_path / "birds.tgz").write_bytes(b"".join(parts))
    assert listing(extract(tmp_path / "birds.tgz", tmp_path / "all")) == files


def test_f21_a_member_that_was_packed_again(tmp_path):
    """`tar -r` adds a corrected file behind the old one: tar takes the last."""
    with tarfile.open(tmp_path / "birds.tar", "w") as tar:
        for content in (b"old and longer", b"new"):
            for name in ("./birds/README", "birds/caf\udce9.txt"):  # the second is Latin-1
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    extract(tmp_path / "birds.tar", tmp_path / "all")
    found = [path.read_bytes() for path in (tmp_path / "all" / "birds").iterdir()]
    assert found == [b"new", b"new"]


# ---- F22: what is changed in place, what is shown -----------------------------------------------


def test_f22_pictures_that_are_mirrored():
    """to_unit(images[..., ::-1]): numpy's view runs backwards."""
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4), np.uint8)
    assert torch.equal(to_unit(images[..., ::-1]), to_unit(torch.from_numpy(images)).flip(-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_f22_to_bytes_leaves_what_it_is_given(dtype):
    """A drawn picture is saved, and trained on afterwards."""
    drawn = torch.linspace(-1.5, 1.5, 96).view(2, 3, 4, 4).to(dtype).requires_grad_()
    before = drawn.detach().clone()
    to_bytes(drawn)
    assert torch.equal(drawn.detach(), before)


@pytest.mark.filterwarnings("error")
def test_f22_pictures_from_the_disk(own):  # noqa: F811
    """to_unit of the memory-mapped pictures, one and all, then arithmetic in place."""
    mine = load_folder(own, size=16)
    before = np.array(mine.images)
    to_unit(mine.images[0]).mul_(2)
    to_unit(mine.images).add_(1)
    Batches(mine, torch.zeros(16, 2, 4), "train", 4, 0)[0].images.zero_()
    assert np.array_equal(load_folder(own, size=16).images, before)


def test_f22_a_cell_that_ends_in_pairs(own):  # noqa: F811
    """pairs = load_pairs(…); pairs: two networks as torch shows them, and no sentences."""
    shown = repr(load_pairs("folder", 16, own))
    assert len(shown) < 5000 and TWO[0] not in shown, shown


def test_f22_a_cell_that_ends_in_a_study():
    """stored = lesson.study("11"); stored"""
    shown = repr(lesson.study("11"))
    assert len(shown) < 1000 and "\n" not in shown, f"{len(shown):,} characters"
