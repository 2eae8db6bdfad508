"""Five variations of each case of other people's files: read rightly, or refused by name.

The names count the cases; each variation is something that a tool, a system or a person does.
"""

import io
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

sys.path.insert(0, str(Path(__file__).parent))
from test_birds import folder as birds  # noqa: E402, F401
from test_birds import photo as bird_photo  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_flowers import photo as flower_photo  # noqa: E402
from test_other_peoples_files import HALVES, clear, first  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402

from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402


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


def test_f03_high_byte_first(own):  # noqa: F811
    """A TIFF of 16 bits from an old Mac, the high byte first, renamed .png."""
    rows = np.repeat(LEVELS.astype(">u2")[:, None], 95, 1)
    image = Image.frombytes("I;16B", (95, 95), rows.tobytes())
    image = with_first(own, bytes_of(image, "TIFF"))
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


def test_f03_a_portable_greymap(own):  # noqa: F811
    """A microscope's PGM of 12 bits (netpbm counts up to 4095), renamed .png."""
    rows = np.repeat((LEVELS // 16).astype(">u2")[:, None], 95, 1)
    content = b"P5 95 95 4095\n" + rows.tobytes()
    read_or_refused(lambda: with_first(own, content),
                    lambda image: np.abs(image[:, 1:-1, 9] - ROWS).max() < 2,
                    "p0.png: found pixels of kind I, expected 8 or 16 bits a channel")


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
