"""Five last variations of each of ten kinds of other people's files: read rightly, or refused.

The names count the kinds: pictures, sentences, names, tables, pickles, layouts, own folders and
options, caches, archives, what shows and is converted.
"""

import copy
import dataclasses
import io
import os
import pickle
import shutil
import sys
import unicodedata
import zipfile
from concurrent.futures import ThreadPoolExecutor
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
from test_embeddings import arrays  # noqa: E402
from test_embeddings import write as write_pickles  # noqa: E402
from test_flowers import LABELS  # noqa: E402
from test_flowers import captions as flower_captions  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_other_peoples_files import TWO, first, linux  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402
from test_variations import (  # noqa: E402
    bytes_of,
    edited,
    left,
    read_or_refused,
    refused,
    same,
    unchecked,
    with_first,
)
from test_variations_2 import no_annotations as no_annotations  # noqa: E402
from test_variations_2 import unpacked  # noqa: E402

from t2i_utils.data import load  # noqa: E402
from t2i_utils.data.archives import extract, fetch  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.captioned import Batches, to_bytes, to_unit  # noqa: E402
from t2i_utils.data.embedded import Stored, load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))


def lines(*sentences):
    return "".join(f"{sentence}\n" for sentence in sentences)


# ---- 1: pictures --------------------------------------------------------------------------------


def test_k01_a_download_that_was_given_its_room_at_once(own):  # noqa: F811
    """A download manager made the JPEG in its full length and broke off: zeros from the middle."""
    content = bytes_of(NOISE, "JPEG")
    half = len(content) // 2
    refused(lambda: with_first(own, content[:half] + bytes(len(content) - half), "jpg"), "p0.jpg")


@pytest.mark.parametrize("damage", ["a bit", "zeros"])
@pytest.mark.parametrize("level", [0, 6])
def test_k01_a_bit_that_turned_in_a_png(own, level, damage):  # noqa: F811
    """On an old stick a bit turned amid a PNG's pixels, or zeros follow: its sums tell it."""
    content = bytearray(bytes_of(NOISE, "PNG", compress_level=level))
    half = len(content) // 2
    content[half:] = (bytes([content[half] ^ 0x80]) + content[half + 1 :] if damage == "a bit"
                      else bytes(len(content) - half))  # fmt: skip
    refused(lambda: with_first(own, bytes(content)), "p0.png")


def test_k01_a_jpeg_that_stores_red_green_and_blue(own):  # noqa: F811
    """Photoshop's and some scanners' JPEG in RGB, of some megapixels: decoded smaller."""
    pixels = np.zeros((1500, 2000, 3), np.uint8)
    pixels[:750], pixels[750:] = (230, 20, 40), (10, 60, 220)
    image = with_first(own, bytes_of(Image.fromarray(pixels), "JPEG", keep_rgb=True), "jpg")
    assert np.abs(image[:, 4, 9] - (230, 20, 40)).max() < 4
    assert np.abs(image[:, 15, 9] - (10, 60, 220)).max() < 4


def test_k01_heic_under_a_jpegs_name(own):  # noqa: F811
    """A messenger saved an iPhone's HEIC as .jpg."""
    content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x22meta" + bytes(400)
    refused(lambda: with_first(own, content, "jpg"), "cannot read photo", "class 0", "p0.jpg")


# ---- 2: sentences -------------------------------------------------------------------------------


def test_k02_names_with_dots(own):  # noqa: F811
    """WhatsApp calls pictures by their time, and a second one of that minute (2): dots in names."""
    for number, name in enumerate(("WhatsApp Image 2024-05-01 at 10.11.12", "rose v1.2",
                                   "WhatsApp Image 2024-05-01 at 10.11", "1.")):  # fmt: skip
        for kind in ("jpg", "txt"):
            path = own / "class 0" / f"p{number}.{kind}"
            path.rename(own / "class 0" / f"{name}.{kind}")
        (own / "class 0" / f"{name}.txt").write_text(lines(name, "second"))
    found = load_folder(own, size=16).captions[:4]
    names = sorted(path.name.removesuffix(".jpg") for path in (own / "class 0").glob("*.jpg"))
    assert sorted(found) == sorted([name.lower(), "second"] for name in names)


def test_k02_two_versions_of_git(flowers):  # noqa: F811
    """git could not merge one file of sentences, and marked both versions in it."""
    path = flower_captions(flowers, 3)
    was = path.read_text().splitlines()
    path.write_text(lines("<<<<<<< HEAD", *was[:1], "=======", "another", ">>>>>>> main", *was[1:]))
    refused(lambda: load_flowers(flowers, size=16), "image_00003.txt", "14 lines, expected 10")


def test_k02_a_document_of_word(own):  # noqa: F811
    """A .docx renamed .txt, as "text file" was asked for."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
        file.writestr("word/document.xml", "<w:t>a red flower</w:t>")
    first(own, "txt").write_bytes(packed.getvalue())
    refused(lambda: load_folder(own, size=16), "p0.txt", "found an archive", "expected text")


def test_k02_windows_1252_taken_for_latin_1(own):  # noqa: F811
    """A converter took Word's apostrophe (0x92) for Latin-1: U+0092 in a file that is UTF-8."""
    first(own, "txt").write_text(lines("the flower\x92s centre", "second"), encoding="utf-8")
    read_or_refused(lambda: load_folder(own, size=16),
                    lambda found: found.captions[0] == ["the flower\x92s centre", "second"],
                    "p0.txt, line 1", "expected")  # fmt: skip


def test_k02_a_mark_of_direction(own):  # noqa: F811
    """WhatsApp's export begins lines with U+200E; the last one holds nothing else."""
    first(own, "txt").write_text("\u200ea red flower\n\u200eround\n\u200e\n", encoding="utf-8")
    read_or_refused(lambda: load_folder(own, size=16),
                    lambda found: [x.strip("\u200e") for x in found.captions[0]]
                    == ["a red flower", "round"], "p0.txt, line 3: empty sentence")  # fmt: skip


# ---- 3: hidden and odd names --------------------------------------------------------------------


def test_k03_androids_trash(own):  # noqa: F811
    """Android keeps what was deleted for a month, and what is on its way, under hidden names."""
    before = load_folder(own, size=16)
    for kind in ("jpg", "txt"):
        shutil.copy(first(own, kind), own / "class 1" / f".trashed-1718000000-IMG_1.{kind}")
        shutil.copy(first(own, kind), own / "class 1" / f".pending-1718000000-IMG_2.{kind}")
    shutil.copytree(own / "class 0", own / ".thumbnails")
    assert same(before, load_folder(own, size=16))


@linux
def test_k03_copied_from_a_mac_twice(own):  # noqa: F811
    """By rsync and by a stick: é.jpg in one part and in two beside each other, as two pictures."""
    for form in ("NFC", "NFD"):
        stem = own / "class 0" / unicodedata.normalize(form, "café")
        shutil.copy(first(own), f"{stem}.jpg")
        Path(f"{stem}.txt").write_text(lines(f"by {form}", "second"))
    found = load_folder(own, size=16)
    paths = sorted((own / "class 0").glob("*.jpg"))
    for path, sentences in zip(paths, found.captions, strict=False):
        if path.name.startswith("caf"):
            form = "nfc" if unicodedata.is_normalized("NFC", path.name) else "nfd"
            assert sentences == [f"by {form}", "second"]
    assert len(found.captions) == 18


@linux
def test_k03_stored_embeddings_of_names_with_accents(tmp_path, monkeypatch):
    """The pickle names café_1 in one part; a Mac filled jpg/, and has it in two."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    names = pickle.loads((data_dir / "train" / FILES[1]).read_bytes(), encoding="latin1")
    old = Path(names[0]).name
    names[0] = unicodedata.normalize("NFC", "jpg/café_1")
    (data_dir / "train" / FILES[1]).write_bytes(pickle.dumps(names, 2))
    called = unicodedata.normalize("NFD", "café_1.jpg")
    (image_dir / "jpg" / f"{old}.jpg").rename(image_dir / "jpg" / called)
    read_or_refused(lambda: load_embedded(data_dir, image_dir, 16)[0],
                    lambda data: data.captions[0][0].endswith("café_1"),
                    "jpg", "1 for none", "café_1", "expected")  # fmt: skip


def test_k03_snapshots_of_a_network_drive(own):  # noqa: F811
    """QNAP's, NetApp's and ZFS' snapshots: the whole folder once more, under a folder for a day."""
    before = load_folder(own, size=16)
    shutil.copytree(own, own.parent / "copy")
    for place in ("@Recently-Snapshot/GMT+01_2024-05-01", "~snapshot/daily.0", ".zfs/snapshot/a"):
        shutil.copytree(own.parent / "copy", own / place)
    assert same(before, load_folder(own, size=16))


def test_k03_what_editors_and_shells_leave_beside_sentences(own):  # noqa: F811
    """vim, patch, git, Explorer: p0.txt~, .p0.txt.swp, p0.txt.orig, p0.txt.rej, p0.bak, links."""
    before = load_folder(own, size=16)
    left(own, *(f"class 1/{name}" for name in (
        "p0.txt~", ".p0.txt.swp", "p0.txt.orig", "p0.txt.rej", "p0.bak", "p1.txt.bak",
        "p0.jpg - Shortcut.lnk", "desktop.ini", "ehthumbs.db", ".directory", "p0.url")))
    left(own, "class 4.lnk", "notes.one", "New Text Document.txt")
    (own / "New folder").mkdir()
    assert same(before, load_folder(own, size=16))


# ---- 4: tables and labels -----------------------------------------------------------------------


def test_k04_all_birds_are_to_train_on(birds):  # noqa: F811
    """Somebody set every bird to 1 in train_test_split.txt: nothing is left to test on."""
    (birds / "train_test_split.txt").write_text(lines(*(f"{i} 1" for i in range(1, 9))))
    assert len(load_birds(birds, size=16).splits["test"])  # which does not ask for it
    refused(lambda: load_birds(birds, size=16, split="published"),
            "train_test_split.txt", "expected")  # fmt: skip


def test_k04_classes_as_ls_writes_them(birds):  # noqa: F811
    """`ls images > classes.txt`: names without numbers."""
    (birds / "classes.txt").write_text(lines(*sorted(os.listdir(birds / "images"))))
    refused(lambda: load_birds(birds, size=16), "classes.txt, line 1: found '001.",
            "expected a class and its name")  # fmt: skip


def test_k04_splits_as_masks(flowers):  # noqa: F811
    """setid.mat with a mask for each split, as MATLAB's logical or numpy's bool."""
    for kind in (bool, np.uint8, np.float64):
        masks = {name: np.array([[i % 3 == part for i in range(12)]], kind)
                 for part, name in enumerate(("trnid", "valid", "tstid"))}
        savemat(flowers / "setid.mat", masks)
        refused(lambda: load_flowers(flowers, size=16, split="oxford"), "setid.mat", "found trnid",
                "expected a MATLAB file with 'trnid', whole numbers from 1 to 12")  # fmt: skip


def test_k04_small_letters_of_windows(birds):  # noqa: F811
    """Under Windows 001.auk and 001.Auk are one folder, so that nobody saw it in images.txt."""
    edited(birds, "images.txt", str.lower)
    refused(lambda: load_birds(birds, size=16), "images.txt, line 1: found '1 001.", "expected")


@pytest.mark.parametrize("table", ["bounding_boxes.txt", "image_class_labels.txt", "images.txt"])
def test_k04_one_table_counted_from_nought(birds, table):  # noqa: F811
    """pandas' reset_index numbered one table anew, from 0."""
    rows = [line.split(maxsplit=1)[1] for line in (birds / table).read_text().splitlines()]
    (birds / table).write_text(lines(*(f"{i} {row}" for i, row in enumerate(rows))))
    refused(lambda: load_birds(birds, size=16), "has 8 ids, expected those of images.txt",
            "'8'", "'0'")  # fmt: skip


# ---- 5: pickles ---------------------------------------------------------------------------------


def test_k05_hdf5_under_a_pickles_name(tmp_path):
    """AttnGAN's or Kaggle's HDF5 of embeddings, renamed as StackGAN's pickle."""
    write_pickles(tmp_path / "train", arrays(t=4))
    head = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08\0\4\0\x10" + bytes(400)
    (tmp_path / "train" / FILES[0]).write_bytes(head)
    refused(lambda: load_embeddings(tmp_path / "train"), FILES[0], "expected")


def test_k05_one_embedding_a_picture(tmp_path):
    """The mean of ten sentences, [T] for each picture, or [1, T] as an encoder gives it."""
    for made in (lambda x: x.mean(0), lambda x: x[:1], lambda x: x[None]):
        write_pickles(tmp_path / "train", arrays(t=40))
        path = tmp_path / "train" / FILES[0]
        path.write_bytes(pickle.dumps([made(x) for x in arrays(t=40)], 2))
        refused(lambda: load_embeddings(tmp_path / "train"), FILES[0], "float32 of shape",
                "for picture 0", "expected floats of shape (10, T)")  # fmt: skip


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_k05_views_of_an_old_table(tmp_path, protocol):
    """Rows and every second column of one table with its high byte first, turned, reversed."""
    table = np.random.default_rng(3).normal(size=(3, 12, 10)).astype(">f8")
    views = [x[::2].T for x in table]  # [10, 6]
    views[1] = views[1][::-1]
    write_pickles(tmp_path / "train", arrays(t=4))
    (tmp_path / "train" / FILES[0]).write_bytes(pickle.dumps(views, protocol))
    found = load_embeddings(tmp_path / "train").embeddings
    assert np.array_equal(found, np.stack(views).astype(np.float32))


def test_k05_the_names_of_the_other_part(tmp_path, monkeypatch):
    """filenames.pickle of train/ was copied into test/ too; the numbers are as many."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, train=12, test=12, width=4)
    shutil.copy(data_dir / "train" / FILES[1], data_dir / "test" / FILES[1])
    refused(lambda: load_embedded(data_dir, image_dir, 16), "24 embeddings for 24 photos",
            "12 of them for a photo that has others", "expected", "train or test")  # fmt: skip


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_k05_a_download_that_was_given_its_room_at_once(tmp_path, protocol, share):
    """The pickle has its full length, and zeros from where its download broke off."""
    write_pickles(tmp_path / "train", arrays(t=32))
    path = tmp_path / "train" / FILES[0]
    content = pickle.dumps(arrays(t=32), protocol)
    kept = int(len(content) * share)
    path.write_bytes(content[:kept] + bytes(len(content) - kept))
    refused(lambda: load_embeddings(tmp_path / "train"), FILES[0], "expected")


# ---- 6: layouts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flowers", "birds"])
def test_k06_git_under_windows_writes_a_link_as_a_text(flowers, birds, name):  # noqa: F811
    """jpg/ or images/ was a link in a repository; git for Windows made a file of its target."""
    folder, part = {"flowers": (flowers, "jpg"), "birds": (birds, "images")}[name]
    shutil.rmtree(folder / part)
    (folder / part).write_text("../store/photos")
    refused(lambda: load(name, data_dir=folder, size=16), f"{name}:", part, "expected")


def test_k06_labels_here_and_photos_there(flowers):  # noqa: F811
    """The tables were saved into the folder, and jpg/ was unpacked into its flowers-102/."""
    (flowers / "flowers-102").mkdir()
    (flowers / "jpg").rename(flowers / "flowers-102" / "jpg")
    refused(lambda: load_flowers(flowers, size=16), f"jpg missing in {flowers}", "expected there",
            "imagelabels.mat")  # fmt: skip


def test_k06_sentences_beside_the_notebooks(flowers, tmp_path, monkeypatch):  # noqa: F811
    """captions_dir="../texts", relative to the notebook, as data_dir is."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "texts").mkdir()
    (flowers / "text_c10").rename(tmp_path / "texts" / "text_c10")
    monkeypatch.chdir(tmp_path / "notebooks")
    found = load_flowers("../my flowers", size=16, captions_dir="../texts")
    assert found.captions[6][3] == "sentence 3 of photo 7."
    refused(lambda: load_flowers("../my flowers", size=16, captions_dir="../words"),
            f"captions_dir '{tmp_path}", "words", "no such folder", "expected")  # fmt: skip


def test_k06_embeddings_beside_cubs_own_folder(tmp_path, monkeypatch):
    """StackGAN's birds: image_dir is CUB_200_2011, which holds images/ and no jpg/."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    (image_dir / "jpg").rename(image_dir / "images")
    refused(lambda: load_embedded(data_dir, image_dir, 16), f"found no folder {image_dir}", "jpg",
            "expected")  # fmt: skip


def test_k06_sentences_sorted_into_splits(flowers):  # noqa: F811
    """Somebody made text_c10/train/class_00001/ and text_c10/test/class_00002/."""
    for label in sorted(set(LABELS)):
        kind = flowers / "text_c10" / ("test" if label == 2 else "train")
        kind.mkdir(exist_ok=True)
        (flowers / "text_c10" / f"class_{label:05d}").rename(kind / f"class_{label:05d}")
    refused(lambda: load_flowers(flowers, size=16), "captions missing for 12 of 12",
            f"{flowers}", "text_c10", "class_00002/image_00001.txt")  # fmt: skip


# ---- 7: own folders and options -----------------------------------------------------------------


@pytest.mark.parametrize("tags", ["facing_left", "1flower, right_side, red", "turned_clockwise"])
def test_k07_tags_of_a_labelling_tool(own, tags):  # noqa: F811
    """Tags with underscores, as taggers for trainers write them: one says left, or right."""
    assert load_folder(own, size=16).flip
    first(own, "txt").write_text(lines(tags, "second"))
    assert not load_folder(own, size=16).flip


def test_k07_a_table_of_sentences_in_each_folder(own):  # noqa: F811
    """Hugging Face's imagefolder: metadata.csv with file_name and text, and no text files."""
    for place in sorted(own.iterdir()):
        (place / "metadata.csv").write_text("file_name,text\np0.jpg,a red flower\n")
        for path in place.glob("*.txt"):
            path.unlink()
    refused(lambda: load_folder(own, size=16), "captions missing for 16 of 16", str(own),
            "class 0/p0.txt")  # fmt: skip


def test_k07_pictures_here_and_sentences_there(own):  # noqa: F811
    """images/ and texts/, as many data sets have it: no folder for each class."""
    for folder, kind in (("images", "jpg"), ("texts", "txt")):
        (own / folder).mkdir()
        for path in own.glob(f"class */*.{kind}"):
            path.rename(own / folder / f"{path.parent.name} {path.name}")
    refused(lambda: load_folder(own, size=16), str(own), "of 1 classes, expected four or more",
            "each picture beside its sentences")  # fmt: skip


def test_k07_classes_that_are_numbers(own):  # noqa: F811
    """Twelve classes called 1 to 12, as Kaggle's flowers are: 10 stands before 2 on the disk."""
    for number in range(1, 13):
        shutil.copytree(own / "class 0", own / str(number))
        for path in (own / str(number)).glob("*.txt"):
            path.write_text(lines(f"of class {number}", "second"))
    for number in range(4):
        shutil.rmtree(own / f"class {number}")
    found = load_folder(own, size=16)
    for label, sentences in zip(found.classes.tolist(), found.captions, strict=True):
        assert sentences[0] == f"of class {found.class_names[label]}"
    assert sorted(map(int, found.class_names)) == list(range(1, 13))


def test_k07_exported_twice(own):  # noqa: F811
    """A picture as p0.jpg and, smaller, as p0.png: both lie beside p0.txt."""
    Image.new("RGB", (60, 60), "red").save(first(own, "png"))
    first(own, "txt").write_text(lines("of p0", "second"))
    found = load_folder(own, size=16)
    assert found.captions[:3] == [["of p0", "second"]] * 2 + [TWO] and len(found.images) == 17
    assert (found.images[1, :, 9, 9] == (255, 0, 0)).all() and found.images[0].std() > 9


# ---- 8: caches ----------------------------------------------------------------------------------


def test_k08_two_classes_exchanged(own):  # noqa: F811
    """Roses lay in tulips/ and tulips in roses/: the two folders are renamed, their dates kept."""
    for place in own.iterdir():
        for path in place.glob("*.txt"):
            path.write_text(lines(f"of {place.name[-1]}", "second"))
    for path in own.rglob("*"):
        os.utime(path, (1e9, 1e9))
    before = load_folder(own, size=16)
    for old, new in (("class 0", "x"), ("class 1", "class 0"), ("x", "class 1")):
        (own / old).rename(own / new)
    found = load_folder(own, size=16)
    assert [own[0] for own in found.captions[:8]] == ["of 1"] * 4 + ["of 0"] * 4
    assert np.array_equal(found.images[:4], before.images[4:8])


def test_k08_an_older_file_of_sentences_comes_to_light(own):  # noqa: F811
    """p0.txt is deleted; p0.TXT of the camera, which had stood behind it, counts again."""
    first(own, "TXT").write_text(lines("an older one", "second"))
    if first(own, "txt").read_text().startswith("an older"):
        pytest.skip("a disk that knows no capitals")
    assert load_folder(own, size=16).captions[0] == TWO
    first(own, "txt").unlink()
    assert load_folder(own, size=16).captions[0] == ["an older one", "second"]


def test_k08_a_better_photo_beside_stored_embeddings(tmp_path, monkeypatch):
    """A photo in jpg/ is replaced by a better one, between two sessions."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    before = load_embedded(data_dir, image_dir, 16)[0]
    Image.new("RGB", (40, 40), (0, 0, 200)).save(image_dir / "jpg" / "image_00003.jpg")
    after = load_embedded(data_dir, image_dir, 16)[0]
    assert np.abs(after.images[3].astype(int)[:, 9, 9] - (0, 0, 200)).max() < 5
    assert np.array_equal(np.delete(before.images, 3, 0), np.delete(after.images, 3, 0))


def test_k08_a_letter_that_turned_in_stored_sentences(own, tmp_path):  # noqa: F811
    """A bit of the disk turned: "a red flower" is "a rad flower" in the cache."""
    load_folder(own, size=16)
    (stored,) = (tmp_path / "cache").rglob("captions-*.json")
    stored.write_text(stored.read_text().replace("red", "rad", 1))
    assert load_folder(own, size=16).captions == [TWO] * 16


def test_k08_moved_and_another_one_in_its_place(own):  # noqa: F811
    """mv own last-year; a new folder of that name has as many files, of the same dates."""
    for path in own.rglob("*"):
        os.utime(path, (1e9, 1e9))
    before = load_folder(own, size=16)
    moved = own.rename(own.with_name("last year"))
    shutil.copytree(moved, own)
    Image.new("RGB", (120, 90), (200, 0, 0)).save(first(own))
    first(own, "txt").write_text(lines("a new flower", "its petals are many"))
    for path in own.rglob("*"):
        os.utime(path, (1e9, 1e9))
    found = load_folder(own, size=16)
    assert found.captions[0] == ["a new flower", "its petals are many"]
    assert np.abs(found.images[0].astype(int)[:, 9, 9] - (200, 0, 0)).max() < 5
    assert same(before, load_folder(moved, size=16))


# ---- 9: archives --------------------------------------------------------------------------------


def test_k09_a_sum_in_capitals(server, tmp_path):  # noqa: F811
    """PowerShell's Get-FileHash writes the SHA-256 in capitals, and a copy has a line's end."""
    for number, given in enumerate((sha256(BODY).upper(), f"{sha256(BODY)}\n")):
        path = tmp_path / f"{number}.tgz"
        assert fetch(server.url, path, given).read_bytes() == BODY
        assert fetch(server.url, path, given) == path


def test_k09_at_home(server, tmp_path, monkeypatch):  # noqa: F811
    """fetch(…, "~/birds.tgz") and extract(…, "~/birds"), as every other path is given."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    with zipfile.ZipFile(tmp_path / "home" / "one.zip", "w") as file:
        file.writestr("a.txt", "a")
    read_or_refused(lambda: fetch(server.url, "~/birds.tgz", sha256(BODY)),
                    lambda _: (tmp_path / "home" / "birds.tgz").exists(), "~", "expected")
    read_or_refused(lambda: extract("~/one.zip", "~/birds"),
                    lambda _: (tmp_path / "home" / "birds" / "a.txt").exists(), "~", "expected")
    assert not list((tmp_path / "work").iterdir()), "a folder called ~"


def test_k09_an_address_as_a_browser_shows_it(server, tmp_path):  # noqa: F811
    """A teacher's own server: the address bar shows vögel 1.tgz, and so it was copied."""
    for name in ("vögel.tgz", "birds 1.tgz"):
        url = server.url.replace("birds.tgz", name)
        read_or_refused(lambda url=url: fetch(url, tmp_path / "birds.tgz", sha256(BODY)),
                        lambda path: path.read_bytes() == BODY, url)  # fmt: skip
        (tmp_path / "birds.tgz").unlink(missing_ok=True)


def test_k09_the_finder_does_not_say_that_names_are_utf_8(tmp_path):
    """macOS' and old Linux' zip write UTF-8 names, without the flag that would say so."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("blüten/rosé.jpg", b"one")
        file.writestr("plain/rose.jpg", b"two")
    content = bytearray(packed.getvalue())
    for mark, at in ((b"PK\3\4", 7), (b"PK\1\2", 9)):  # the upper byte of the flags
        place = content.find(mark)
        while place >= 0:
            content[place + at] &= ~0x08
            place = content.find(mark, place + 4)
    (tmp_path / "birds.zip").write_bytes(content)
    assert unpacked(tmp_path / "birds.zip") == {"blüten/rosé.jpg": b"one", "plain/rose.jpg": b"two"}


def test_k09_a_folder_to_fetch_into(server, tmp_path):  # noqa: F811
    """fetch(url, "data/"), as wget -P and curl --output-dir take it: a folder, and no file."""
    (tmp_path / "data").mkdir()
    read_or_refused(lambda: fetch(server.url, tmp_path / "data", sha256(BODY)),
                    lambda path: path.read_bytes() == BODY, "data", "folder", "expected")
    assert not list(tmp_path.rglob("*.part"))


# ---- 10: what shows, and conversions ------------------------------------------------------------


def test_k10_no_picture_fits(own):  # noqa: F811
    """A choice that comes out empty: no picture of that class; conversions keep its shape."""
    found = load_folder(own, size=16)
    none = to_unit(found.images[found.classes.numpy() > 9])
    assert none.shape == (0, 3, 19, 19) and none.dtype == torch.float32
    assert to_bytes(none).shape == (0, 3, 19, 19) and to_bytes(none).dtype == torch.uint8


def test_k10_two_threads_load_at_once(own, tmp_path):  # noqa: F811
    """Two widgets of a notebook load the same folder for the first time, at the same moment."""
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: load_folder(own, size=16), range(2))
    assert same(one, other) and len(list((tmp_path / "cache").rglob("photos-*.npy"))) == 1


def test_k10_copies(own):  # noqa: F811
    """copy.deepcopy, as trainers do; dataclasses.replace with another crop: the first stays."""
    found = load_folder(own, size=16)
    for made in (copy.copy(found), copy.deepcopy(found), dataclasses.replace(found, crop=8)):
        assert same(found, made) and str(made).count("\n") == 0
    deep = copy.deepcopy(found)
    deep.captions[0][0] = "another"
    deep.splits["train"][0] = 0
    again = load_folder(own, size=16)
    assert found.captions[0] == TWO and torch.equal(again.splits["train"], found.splits["train"])
    with pytest.raises(ValueError, match="crop 99"):
        dataclasses.replace(found, crop=99)


def test_k10_cells_that_end_in_parts(own):  # noqa: F811
    """found.images, found.splits, Batches(…), a batch of pictures alone, Stored(…) in a cell."""
    found = load_folder(own, size=16)
    batches = Batches(found, None, "train", 4, seed=0)
    stored = Stored([[f"{i} {k}" for k in range(10)] for i in range(900)], torch.zeros(900, 10, 4))
    for shown in (found.images, found.splits, batches, batches[0], batches[0].to("cpu"), stored):
        assert len(repr(shown)) < 9000, repr(shown)[:99]
    assert repr(batches[0]) == "Batch(images [4, 3, 16, 16], pictures [4])"


def test_k10_loaded_again_in_another_way(no_annotations, own, tmp_path, monkeypatch):  # noqa: F811
    """By a relative path, a link, numpy's and a tensor's 16: the same pictures, one entry."""
    before = load_folder(own, size=16)
    monkeypatch.chdir(own.parent)
    (tmp_path / "link").symlink_to(own)
    table = torch.zeros(16, 2, 4)
    known = Batches(before, table, "train", 4, seed=0).identity
    for place, size in (("own", 16), (tmp_path / "link", np.int64(16)), (own, torch.tensor(16))):
        again = unchecked(load_folder)(place, size=size)
        assert same(before, again)
        assert Batches(again, table, "train", 4, seed=0).identity == known
    assert len(list((tmp_path / "cache").rglob("photos-*.npy"))) == 1
