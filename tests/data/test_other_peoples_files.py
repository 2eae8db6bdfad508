"""Folders and files as people have them: read rightly, or refused by name, found and expected.

Nothing is altered in silence: neither pictures nor sentences. Each test stands for its kind.
"""

import os
import shutil
import struct
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from t2i_utils.data import photographs
from t2i_utils.data.birds import load_birds
from t2i_utils.data.blooms import load_blooms
from t2i_utils.data.captioned import Batches
from t2i_utils.data.flowers import load_flowers
from t2i_utils.data.folder import load_folder

sys.path.insert(0, str(Path(__file__).parent))
from test_birds import captions as bird_captions  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_birds import photo as bird_photo  # noqa: E402
from test_flowers import captions as flower_captions  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401

TWO = ["a red flower", "its petals are round"]
HALVES = np.zeros((90, 120), np.uint8)
HALVES[:45] = 255  # the upper half is white
linux = pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Four classes of four JPEGs with two sentences each; a cache of its own."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    for number in range(16):
        place = tmp_path / "own" / f"class {number // 4}" / f"p{number % 4}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((120, 90)).save(place)
        place.with_suffix(".txt").write_text("".join(f"{line}\n" for line in TWO))
    return tmp_path / "own"


def first(own, kind="jpg"):
    return own / "class 0" / f"p0.{kind}"


def in_place_of_first(own, image, kind="png", **options):
    """The picture that is stored, of side 19, where the first picture is this one."""
    first(own).unlink()
    image.save(first(own, kind), **options)
    return load_folder(own, size=16).images[0].astype(int)


# ---- pictures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright_whatever_exif_says(own, orientation, kind):
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what undoes the turn that each asks for
    stored = Image.fromarray(HALVES).convert("RGB")
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = in_place_of_first(own, stored, kind, exif=exif, quality=95)
    assert image[:, :8].min() > 200 and image[:, 11:].max() < 60


def test_exif_that_is_broken_or_nonsense_turns_nothing(own):
    stored = Image.fromarray(HALVES).convert("RGB")
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"Exif\0\0"):
        stored.save(first(own), exif=exif, quality=95)
        image = load_folder(own, size=16).images[0]
        assert image[:, :8].min() > 200 and image[:, 11:].max() < 60


def test_boxes_of_birds_count_pixels_as_they_are_stored(birds):  # noqa: F811
    image = Image.fromarray(HALVES)
    image.save(bird_photo(birds, 1))
    before = load_birds(birds, size=16).images[0].copy()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(bird_photo(birds, 1), exif=exif)
    assert np.array_equal(load_birds(birds, size=16).images[0], before)


def clear(mode):
    """Half of it transparent, in a colour that must not be seen; the other half black."""
    image = Image.new("RGBA", (120, 90), (255, 0, 255, 0))
    image.paste((0, 0, 0, 255), (0, 45, 120, 90))
    if mode == "P":  # transparency by the number of a colour
        image = Image.fromarray((HALVES > 0).astype(np.uint8), "P")
        image.putpalette([0, 0, 0, 255, 0, 255])
        return image, {"transparency": 1}
    if mode == "P of alphas":
        return image.quantize(8), {}
    if mode in ("L", "RGB"):  # by one colour
        image = Image.fromarray(np.where(HALVES, 77, 0).astype(np.uint8)).convert(mode)
        return image, {"transparency": 77 if mode == "L" else (77, 77, 77)}
    if mode == "I;16":
        return Image.fromarray(np.where(HALVES, 777, 0).astype(np.uint16)), {"transparency": 777}
    return image.convert(mode), {}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "P of alphas", "L", "RGB", "I;16"])
def test_what_is_transparent_lies_on_white(own, mode):
    image, options = clear(mode)
    image = in_place_of_first(own, image, **options)
    assert image[:, :8].min() > 240 and image[:, 11:].max() < 15


def test_what_is_half_transparent_is_half_white(own):
    image = in_place_of_first(own, Image.new("RGBA", (40, 40), (0, 0, 0, 128)))
    assert np.abs(image - 127).max() <= 1


def test_sixteen_bits_are_scaled_to_eight(own):
    levels = np.linspace(0, 65535, 90).astype(np.uint16)
    image = Image.fromarray(np.repeat(levels[:, None], 90, 1))
    rows = in_place_of_first(own, image)[0, :, 9]
    assert np.abs(rows - np.linspace(4, 251, 19)).max() < 6


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000", "PPM", "ICO", "EPS", "TGA", "PCX", "DDS"])
def test_pictures_of_other_kinds_are_refused_whatever_their_name(own, kind, monkeypatch):
    """Of their many kinds of pixels few are of eight bits; and PostScript is a program."""
    monkeypatch.setattr("subprocess.Popen", None)
    with pytest.raises(ValueError, match="p0.png: found b.* at first, expected a picture: JPEG"):
        in_place_of_first(own, Image.new("RGB", (40, 40)), format=kind)


def png(rows, kind, *chunks):
    """A PNG of 16 bits a channel, as Pillow writes none."""
    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 16, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(x)) + name + x + struct.pack(">I", zlib.crc32(name + x))
        for name, x in parts)


@pytest.mark.parametrize("clear", ["by one colour", "by a channel"])
def test_what_is_transparent_in_16_bits_lies_on_white(own, clear):
    if clear == "by one colour":
        rows = np.full((40, 40, 3), (40000, 1000, 2000))
        content = png(rows, 2, (b"tRNS", struct.pack(">HHH", 40000, 1000, 2000)))
    else:
        content = png(np.full((40, 40, 2), (40000, 0)), 4)
    first(own).unlink()
    first(own, "png").write_bytes(content)
    assert (load_folder(own, size=16).images[0] == 255).all()


def bomb(path, side):
    """A PNG whose header says `side` by `side`, of little data."""
    Image.new("RGB", (8, 8)).save(path, "PNG")
    content = bytearray(path.read_bytes())
    content[16:24] = side.to_bytes(4, "big") * 2
    crc = zlib.crc32(content[12:29])
    content[29:33] = crc.to_bytes(4, "big")
    path.write_bytes(content)


@pytest.mark.parametrize("side", [100, 20_000, 2**31 - 1])
def test_a_header_that_promises_too_much_is_named(own, side):
    first(own).unlink()
    bomb(first(own, "png"), side)
    with pytest.raises(ValueError, match="cannot read photo .*p0.png: "):
        load_folder(own, size=16)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pictures_too_large_to_decode_are_named(own, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 120 * 90)
    assert load_folder(own, size=16).captions[0] == TWO
    first(own).unlink()
    Image.new("1", (121, 90)).save(first(own, "png"))
    with pytest.raises(ValueError, match="p0.png: found 121 by 90 pixels, expected at most 10,800"):
        load_folder(own, size=16)
    first(own, "png").unlink()
    Image.new("RGB", (140, 140)).save(first(own))  # a JPEG is decoded smaller
    assert load_folder(own, size=16).captions[0] == TWO


@pytest.mark.parametrize(("content", "found"), [
    (b"<!DOCTYPE html><p>Quota exceeded", "a web page"), (b"", "an empty file"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of git-lfs"),
    (b"PK\x03\x04 and so on", "an archive"), (None, "a folder"),
])  # fmt: skip
def test_what_is_no_picture_is_named(flowers, content, found):  # noqa: F811
    path = flowers / "jpg" / "image_00009.jpg"
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=f"image_00009.jpg: found {found}.*, expected a picture"):
        load_flowers(flowers, size=16)


# ---- sentences --------------------------------------------------------------------------------


def written(own, data, every=False):
    for path in own.rglob("*.txt") if every else [first(own, "txt")]:
        path.write_bytes(data)


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("data", [
    "\ufeffA red flower\nits petals are round\n".encode(),
    "\ufeff\ufeffa red flower\n\ufeffits petals are round".encode(),  # joined files
    "a red flower\nits petals are round\n".encode("utf-16"),
    "\ufeffa red flower\nits petals are round\n".encode("utf-16-be"),
    "a red flower\r\nits petals are round\r\n".encode("utf-32"),
    b"a red flower\r\nits petals are round\r\n",
    b"a red flower\r\r\nits petals are round\r\r\n",  # text mode, twice
    b"a red flower\rits petals are round\r",
    b"a red flower\nits petals are round\n\n \n\t\r\n",
    "a red flower\u200b\n\u2060its petals are round\n\u200b\n".encode(),
    "\u00a0a red flower\u3000\nits petals are round".encode(),
])  # fmt: skip
def test_sentences_are_read_whatever_wrote_them(own, data, every):
    written(own, data, every)
    assert load_folder(own, size=16).captions == [TWO] * 16


def test_accents_are_kept(own):
    written(own, "Une fleur d’été\nδύο ΛΕΥΚΌΣ\n".encode("utf-16"))
    assert load_folder(own, size=16).captions[0] == ["une fleur d’été", "δύο λευκός"]


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize(("data", "found"), [
    ("a flower\nune fleur d'été\n".encode("latin-1"), "line 2: found byte 0xE9, which is no utf-8"),
    ("a flower\n“two”\n".encode("cp1252"), "line 2: found byte 0x93"),
    ("花\n二\n".encode("gbk"), "line 1: found byte 0xBB"),
    ("a flower\ntwo\n".encode("utf-16-le"), "found UTF-16 without its mark"),
    (b"\xff\xfea", "line 1: found byte 0x61, which is no utf-16"),
    (b"a flower\n\x1b[31mred\n", r"line 2: found U\+001B"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of git-lfs"),
    (b"<html>\n<p>404</p>\n", "found a web page, expected text"),
    (b"{\\rtf1\\ansi red\\par\nround}\n", "found rich text, expected text"),
    (b"\nred\n", "line 1: empty sentence"), (b"red\n\nround\n", "line 2: empty sentence"),
    ("red\n\u200b\nround\n".encode(), "line 2: empty sentence"),
])  # fmt: skip
def test_what_would_be_another_sentence_is_named(own, data, found, every):
    written(own, data, every)
    with pytest.raises(ValueError, match=f"p[0-3].txt.*{found}"):
        load_folder(own, size=16)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1e"])
def test_breaks_that_not_all_programs_know_are_named(own, mark):
    written(own, f"a red{mark}flower\nround\n".encode())
    counts = r"\(3 lines where it ends one, 2 where not\)"
    with pytest.raises(ValueError, match=rf"p0.txt, line 1: found U\+00..|{counts}") as raised:
        load_folder(own, size=16)
    assert f"U+{ord(mark):04X} (3 lines" in str(raised.value)


def test_a_file_of_another_count_is_named_and_not_its_neighbours(own):
    written(own, b"one\ntwo\nthree\n")
    with pytest.raises(ValueError, match="p0.txt has 3 lines, expected 2, as 15 others have"):
        load_folder(own, size=16)


def test_files_without_a_sentence_are_named(own):
    written(own, b" \n", every=True)
    with pytest.raises(ValueError, match="p0.txt has 0 lines, expected 1"):
        load_folder(own, size=16)


@pytest.mark.parametrize(("load", "path"), [
    (load_flowers, flower_captions), (load_birds, bird_captions)])
def test_published_sentences_are_held_to_the_same(request, load, path):
    folder = request.getfixturevalue(load.__name__.removeprefix("load_"))
    ten = "".join(f"Sentence {j}\n" for j in range(10))
    path(folder, 1).write_bytes((ten + "\n").encode("utf-16"))
    assert load(folder, size=16).captions[0] == [f"sentence {j}" for j in range(10)]
    path(folder, 1).write_bytes((ten + "été").encode("latin-1"))
    with pytest.raises(ValueError, match="txt, line 11: found byte 0xE9"):
        load(folder, size=16)


# ---- names ------------------------------------------------------------------------------------


def test_what_systems_and_tools_leave_is_passed_over(own):
    before = load_folder(own, size=16)
    for left in (".ipynb_checkpoints/p0-checkpoint.jpg", "class 1/._p0.jpg", "__MACOSX/p.jpg",
                 "@eaDir/p.jpg", "class 2/@eaDir/p.jpg/thumb.jpg", "$RECYCLE.BIN/p.png",
                 "class 0/.ipynb_checkpoints/p.jpg", "class 3/~$p.png", ".git/p.png"):  # fmt: skip
        (own / left).parent.mkdir(parents=True, exist_ok=True)
        (own / left).write_bytes(b"no picture")
    (own / "class 1" / "album.jpg").mkdir()
    after = load_folder(own, size=16)
    assert after.class_names == before.class_names and after.captions == before.captions
    assert np.array_equal(after.images, before.images)


@pytest.mark.parametrize("kind", ["heic", "tif", "jpg.part", ""])
def test_a_picture_of_another_kind_is_named(own, kind):
    first(own).rename(first(own, kind) if kind else first(own).with_suffix(""))
    if kind == "jpg.part":  # of another stem: only its sentences stay, which may be notes
        assert len(load_folder(own, size=16).images) == 15
        return
    with pytest.raises(ValueError, match=f"p0: found .*{kind}.*, expected a picture, one of .jpg,"):
        load_folder(own, size=16)


def test_an_ending_in_capitals_is_the_same(own):
    first(own, "txt").rename(first(own, "TXT"))
    first(own).rename(first(own, "JPG"))
    assert load_folder(own, size=16).captions == [TWO] * 16


def test_sentences_of_two_names_that_differ_in_more_than_the_ending_are_not_mixed(own):
    shutil.copy(first(own), own / "class 0" / "P0.jpg")
    if len(list((own / "class 0").glob("*.jpg"))) == 4:
        pytest.skip("a file system that takes both for one")
    with pytest.raises(FileNotFoundError, match="captions missing for 1 of 17 .*P0.txt"):
        load_folder(own, size=16)


@pytest.mark.parametrize("forms", [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_in_one_part_and_in_two_are_the_same(own, forms):
    jpg, txt = (unicodedata.normalize(form, "fleur d'été") for form in forms)
    first(own).rename(own / "class 0" / f"{jpg}.jpg")
    first(own, "txt").rename(own / "class 0" / f"{txt}.txt")
    assert load_folder(own, size=16).captions == [TWO] * 16


@linux
@pytest.mark.parametrize("name", [b"caf\xe9", b"class 0/caf\xe9.jpg"])
def test_names_that_are_no_utf8_are_named(own, name):
    path = os.path.join(os.fsencode(own), name)
    if name.endswith(b".jpg"):
        os.rename(first(own), path)
    else:
        os.rename(own / "class 0", path)
    with pytest.raises(ValueError, match="found a name not in UTF-8, expected") as raised:
        load_folder(own, size=16)
    assert r"caf\udce9" in str(raised.value) and str(raised.value).isprintable()


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
@pytest.mark.parametrize("kind", ["jpg", "txt"])
def test_a_link_that_leads_nowhere_is_named(own, kind):
    first(own, kind).unlink()
    first(own, kind).symlink_to("gone")
    with pytest.raises(ValueError, match=f"p0.{kind}: found a link to gone, which is not there"):
        load_folder(own, size=16)


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_to_itself_is_named(own):
    (own / "class 0" / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(ValueError, match="loop.jpg: found a link to loop.jpg, which is not there"):
        load_folder(own, size=16)


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_that_leads_nowhere_is_named_in_published_sets(flowers):  # noqa: F811
    for path, named in ((flower_captions(flowers, 2), "00002.txt"),
                        (flowers / "jpg" / "image_00003.jpg", "00003.jpg")):  # fmt: skip
        content = path.read_bytes()
        path.unlink()
        path.symlink_to("gone")
        with pytest.raises(ValueError, match=f"{named}: found a link to gone, which is not"):
            load_flowers(flowers, size=16)
        path.unlink()
        path.write_bytes(content)


# ---- folders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_folder_that_no_notebook_could_use_is_refused_at_the_door(own, classes):
    for number in range(classes, 4):
        shutil.rmtree(own / f"class {number}")
    with pytest.raises(FileNotFoundError, match=f"of {classes} classes, expected four or more"):
        load_folder(own, size=16)


@pytest.mark.parametrize("pictures", [1, 2, 3, 4])
def test_of_a_small_folder_every_split_has_wrong_sentences(own, pictures):
    for number in range(pictures, 4):
        for path in own.glob(f"*/p{number}.*"):
            path.unlink()
    if pictures == 1:  # of the two that are left to train on, one is in "seen_test"
        with pytest.raises(ValueError, match="folder: found 4 classes, 2 of them for .*train on"):
            load_folder(own, size=16)
        return
    if pictures == 2:
        with pytest.raises(ValueError, match="found 3 pictures to train on and 4 for .* 4 and 6"):
            load_folder(own, size=16)
        return
    mine = load_folder(own, size=16)
    for split in ("train", "test"):
        batch = Batches(mine, torch.randn(len(mine.images), 2, 8), split, 4, seed=0)[0]
        assert (mine.classes[batch.pictures] != mine.classes[batch.wrong_pictures]).all()


@pytest.mark.parametrize("changed", [
    {"test_share": 20.0}, {"test_share": 1.0}, {"test_share": 0.0}, {"test_share": float("nan")},
    {"size": 0}, {"size": -3}, {"test_share": 0.9}])  # fmt: skip
def test_options_that_leave_nothing_are_refused(own, changed):
    [name] = changed
    with pytest.raises(ValueError, match=f"folder: .*{name}"):
        load_folder(own, **{"size": 16} | changed)


def test_a_size_that_is_none_is_refused_by_each_reader(flowers, birds):  # noqa: F811
    with pytest.raises(ValueError, match="flowers: size 0, expected a whole number"):
        load_flowers(flowers, size=0)
    with pytest.raises(ValueError, match="birds: size 0, expected a whole number"):
        load_birds(birds, size=0)


@pytest.mark.parametrize("load", [load_flowers, load_birds])
@pytest.mark.parametrize("where", ["text", "beside", "text beside", "elsewhere", "itself"])
def test_sentences_may_lie_elsewhere(request, tmp_path, load, where):
    folder = request.getfixturevalue(load.__name__.removeprefix("load_"))
    before = load(folder, size=16).captions
    inside = {"load_flowers": "flowers-102", "load_birds": "CUB_200_2011"}[load.__name__]
    root, options = tmp_path / "root", {}
    root.mkdir()
    folder.rename(root / inside)
    texts, other = root / inside / "text_c10", tmp_path / "other" / "text_c10"
    if where == "text":
        texts.rename(texts.with_name("text"))
    elif "beside" in where:
        texts.rename(root / ("text" if "text" in where else "text_c10"))
    else:
        other.parent.mkdir()
        texts.rename(other)
        options = {"captions_dir": other if where == "itself" else other.parent}
    assert load(root, size=16, **options).captions == before


def test_captions_that_are_not_there_are_named(flowers):  # noqa: F811
    with pytest.raises(FileNotFoundError, match="captions_dir '.*gone': no such folder"):
        load_flowers(flowers, captions_dir="gone")


def test_a_folder_may_be_called_by_a_number(own, flowers, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    flowers.rename(tmp_path / "2024")
    own.rename(tmp_path / "7")
    assert len(load_flowers(2024, size=16).images) == 12
    assert len(load_folder(7, size=16).images) == 16


@pytest.mark.parametrize("load", [load_flowers, load_birds, load_folder])
def test_a_relative_path_is_told_as_the_absolute_one(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "nowhere")):
        load("nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "file") + ".*(a file|0 classes)"):
        load("file")


# ---- caches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["pictures", "texts", "photographs", "birds"])
def test_a_cache_does_not_outlive_the_code_that_made_it(birds, tmp_path, monkeypatch, part):  # noqa: F811
    load_birds(birds, size=16)
    [first_made] = (tmp_path / "cache" / "birds").glob("photos*")
    module, edited = sys.modules[f"t2i_utils.data.{part}"], tmp_path / "edited.py"
    edited.write_text(Path(module.__file__).read_text() + "\nROUNDED = True\n")
    load_birds(birds, size=16)
    assert [*(tmp_path / "cache" / "birds").glob("photos*")] == [first_made]
    monkeypatch.setattr(module, "__file__", str(edited))
    load_birds(birds, size=16)
    for kind in ("photos", "captions"):
        assert len([*(tmp_path / "cache" / "birds").glob(f"{kind}*")]) == 2


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "cut in its head": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "others": lambda path: path.write_bytes(b"something else"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["photos", "captions"])
def test_a_damaged_cache_is_made_anew(flowers, tmp_path, kind, damage):  # noqa: F811
    before = load_flowers(flowers, size=16)
    images = np.array(before.images)
    [path] = (tmp_path / "cache" / "flowers").glob(f"{kind}*")
    DAMAGES[damage](path)
    after = load_flowers(flowers, size=16)
    assert np.array_equal(after.images, images) and after.captions == before.captions


def test_a_changed_letter_in_the_cache_is_noticed(flowers, tmp_path):  # noqa: F811
    before = load_flowers(flowers, size=16).captions
    [path] = (tmp_path / "cache" / "flowers").glob("captions*")
    path.write_bytes(path.read_bytes().replace(b"sentence 3 of photo 7", b"sentence 3 of photo 1"))
    assert load_flowers(flowers, size=16).captions == before


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["images.npy", "sentences.json", "attributes.npy", "named.npy"])
def test_damaged_blooms_are_drawn_anew(tmp_path, monkeypatch, file, damage):
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    before = load_blooms(20, 16)
    images = np.array(before.images)
    [path] = (tmp_path / "cache" / "blooms").glob(f"*/{file}")
    DAMAGES[damage](path)
    after = load_blooms(20, 16)
    assert np.array_equal(after.images, images) and after.captions == before.captions


def test_of_many_published_files_few_are_looked_at(birds, monkeypatch):  # noqa: F811
    load_birds(birds, size=16)
    looks, stat = [], os.stat

    def spied(path, **options):
        looks.append(path)
        return stat(path, **options)

    (birds / "images" / "001.Auk" / "another.jpg").touch()  # the fourth
    place = birds / "images.txt", birds / "images" / "001.Auk"
    monkeypatch.setattr(photographs, "LOOKED_AT", 2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", spied)
        before = photographs.signature_of(*place, few=True)
    assert len({str(path) for path in looks if str(path).endswith(".jpg")}) == 2
    assert birds / "images.txt" in looks and birds / "images" / "001.Auk" in looks
    bird_photo(birds, 1).rename(birds / "images" / "001.Auk" / "other.jpg")
    assert before != photographs.signature_of(*place, few=True)
