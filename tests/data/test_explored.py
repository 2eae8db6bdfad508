"""What two hundred variations of other people's files found, tried before a last mending."""

import io
import pickle
import shutil
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from scipy.io import savemat

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_embeddings import arrays  # noqa: E402
from test_embeddings import write as write_pickles  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_other_peoples_files import first  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402
from test_variations import (  # noqa: E402
    bytes_of,
    edited,
    refused,
    same,
    unchecked,
    with_first,
)
from test_variations_2 import no_annotations as no_annotations  # noqa: E402
from test_variations_4 import lines  # noqa: E402

from t2i_utils import files  # noqa: E402
from t2i_utils.data.archives import extract, fetch  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.blooms import load_blooms  # noqa: E402
from t2i_utils.data.embedded import load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402
from t2i_utils.data.texts import read_lines  # noqa: E402

# ---- 1: pictures --------------------------------------------------------------------------------

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# where sRGB has its red, this profile has its blue: who does not heed it exchanges them
EXCHANGED = SRGB.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "png"), ("RGBA", "png"), ("P", "png"),
                                            ("RGB", "jpg"), ("RGB", "webp")])  # fmt: skip
def test_colours_are_those_of_the_profile_within(own, mode, kind):  # noqa: F811
    """A phone's wide colours, Adobe's: the numbers mean what the profile in the picture says."""
    picture, format = Image.new("RGB", (40, 40), (200, 40, 10)), kind.upper()
    picture = picture.quantize(4) if mode == "P" else picture.convert(mode)
    for profile, colour in ((EXCHANGED, (10, 40, 200)), (SRGB, (200, 40, 10)),
                            (b"none", (200, 40, 10))):  # fmt: skip
        content = bytes_of(picture, format.replace("JPG", "JPEG"), icc_profile=profile)
        image = with_first(own, content, kind)
        assert np.abs(image - np.array(colour)[:, None, None]).max() < 5


def test_a_profile_for_other_channels_changes_nothing(own):  # noqa: F811
    """A grey picture, or one in CMYK, that kept the profile of the colours it once had."""
    grey = Image.new("L", (40, 40), 90)
    assert (with_first(own, bytes_of(grey, "PNG", icc_profile=EXCHANGED)) == 90).all()
    ink = Image.new("RGB", (40, 40), (200, 40, 10)).convert("CMYK")
    image = with_first(own, bytes_of(ink, "JPEG", icc_profile=EXCHANGED), "jpg")
    assert np.abs(image - np.array([200, 40, 10])[:, None, None]).max() < 5


def test_what_stands_at_the_start_of_no_picture_is_told(own):  # noqa: F811
    """An iPhone's HEIC that a cloud called .jpg."""
    content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400)
    refused(lambda: with_first(own, content, "jpg"), "p0.jpg: found b'", "ftypheic",
            "expected a picture: JPEG, PNG or WebP")  # fmt: skip


# ---- 2: sentences -------------------------------------------------------------------------------


def test_a_file_that_is_gone_is_told_as_gone(tmp_path):
    refused(lambda: read_lines("folder", tmp_path / "p0.txt"), "p0.txt", "found No such file")


@pytest.mark.parametrize("mark", ["\ufe0f", "\u3164", "\u034f", "\u115f", "\u1160\u200b", "\uffa0"])
def test_a_line_that_shows_nothing(own, mark):  # noqa: F811
    """An emoji was taken out and left its selector; a messenger's "invisible text"."""
    first(own, "txt").write_text(lines("red", mark), encoding="utf-8")
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: empty sentence")


# ---- 3: names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["class 0/edited", "class 0/class 0", "."])
def test_pictures_and_sentences_where_no_class_is(own, where):  # noqa: F811
    """A folder of edited ones within a class, a class unpacked into itself, one beside all."""
    (own / where).mkdir(exist_ok=True)
    before = load_folder(own, size=16)
    shutil.copy(first(own), own / where / "p9.jpg")  # without sentences: a tool's, or a cover
    assert same(before, load_folder(own, size=16))
    shutil.copy(first(own, "txt"), own / where / "p9.txt")
    refused(lambda: load_folder(own, size=16), "p9: found .jpg and .txt, expected",
            "in its class's folder")  # fmt: skip


def test_what_a_folder_within_a_class_lacks_is_no_matter(own):  # noqa: F811
    """A tool's folder within a class, with a link that leads nowhere: it is passed over."""
    before = load_folder(own, size=16)
    (own / "class 0" / "edited").mkdir()
    (own / "class 0" / "edited" / "p9.jpg").symlink_to("gone.jpg")
    assert same(before, load_folder(own, size=16))


def test_a_class_unpacked_with_backslashes(own):  # noqa: F811
    """A ZIP of Windows, unpacked on Linux: files called class 3\\p0.jpg beside the folders."""
    (own / "class 4").mkdir()
    for path in [*(own / "class 3").iterdir()]:
        shutil.copy(path, own / "class 4" / path.name)
        path.rename(own / f"class 3\\{path.name}")
    refused(lambda: load_folder(own, size=16), "class 3\\p", "found .jpg and .txt", "expected")


@pytest.mark.parametrize("alike", [("Nelké", "Nelke\u0301"), ("rose", "Rose"), ("rose", "rose ")])
def test_classes_that_look_alike(own, alike):  # noqa: F811
    """One class, filled by a Mac and by a PC: each would have the other's sentences for wrong."""
    for number, name in enumerate(alike):
        (own / f"class {number}").rename(own / name)
    if len({unicodedata.normalize("NFC", x.name) for x in own.iterdir()}) == 4 - ("é" in alike[0]):
        refused(lambda: load_folder(own, size=16), repr(alike[0]), repr(alike[1]), "expected names")


# ---- 4: tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [3, 4, 6, 12])
def test_images_cut_in_the_last_line(birds, cut):  # noqa: F811
    """A full disk, a copy that broke off: the table's last name is not whole."""
    edited(birds, "images.txt", lambda text: text.rstrip("\n")[:-cut])
    refused(lambda: load_birds(birds, size=16), "images.txt, line 8: found '8 003.", "expected")


def test_what_is_odd_in_a_mat_is_shown(flowers):  # noqa: F811
    """Counted from 0, or a label that pandas lost."""
    for odd in (0.0, np.nan, 1.5):
        savemat(flowers / "imagelabels.mat", {"labels": [[1.0] * 11 + [odd]]})
        refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat: found labels",
                f"with {odd}", "expected")  # fmt: skip


def test_labels_in_another_order(flowers):  # noqa: F811
    """A script sorted the labels: the sentences are there, under other classes."""
    savemat(flowers / "imagelabels.mat", {"labels": [[1] * 4 + [2] * 4 + [3] * 4]})
    refused(lambda: load_flowers(flowers, size=16), "captions missing", "imagelabels.mat says")


@pytest.mark.parametrize("names", [True, False])
def test_a_wrong_label_is_looked_for_in_its_table(birds, names):  # noqa: F811
    """Picture 8 is given class 1; classes.txt may be absent."""
    (birds / "classes.txt").unlink() if not names else None
    edited(birds, "image_class_labels.txt", lambda text: text.replace("8 3", "8 1"))
    refused(lambda: load_birds(birds, size=16), "image_class_labels.txt: found ", "expected")


def test_a_box_that_is_outside_is_looked_for_in_its_table(birds):  # noqa: F811
    edited(birds, "bounding_boxes.txt", lambda text: text.replace("30.0", "300.0"))
    refused(lambda: load_birds(birds, size=16), ".jpg", "in bounding_boxes.txt", "expected")


# ---- 5: pickles ---------------------------------------------------------------------------------


def test_names_with_backslashes(tmp_path, monkeypatch):
    """filenames.pickle was made under Windows: jpg\\image_00001."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    before = load_embedded(data_dir, image_dir, 16)[0]
    for part in ("train", "test"):
        path = data_dir / part / FILES[1]
        names = [name.replace("/", "\\") for name in pickle.loads(path.read_bytes())]
        path.write_bytes(pickle.dumps([f"C:\\data\\{name}" for name in names], 2))
    assert same(before, load_embedded(data_dir, image_dir, 16)[0])


def test_a_number_changed_where_the_fingerprint_does_not_look(tmp_path, monkeypatch):
    """One embedding of a large file is put right in place: its date tells it."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "BLOCK", 8)
    monkeypatch.setattr(files, "BLOCKS", 1)
    data_dir, image_dir, table = write_all(tmp_path, width=4)
    before, path = load_embedded(data_dir, image_dir, 16)[1], data_dir / "train" / FILES[0]
    mark, was = files.fingerprint(path), path.read_bytes()
    path.write_bytes(was.replace(table[5, 3, 2].tobytes(), np.float32(0.5).tobytes()))
    assert files.fingerprint(path) == mark and path.read_bytes() != was
    after = load_embedded(data_dir, image_dir, 16)[1]
    assert after[5, 3, 2] == 0.5 and (before != after).sum() == 1


def test_numpys_own_format_is_named(tmp_path):
    """np.save(…) under a pickle's name."""
    write_pickles(tmp_path / "train", arrays(t=4))
    file = io.BytesIO()
    np.save(file, np.stack(arrays(t=4)))
    (tmp_path / "train" / FILES[0]).write_bytes(file.getvalue())
    refused(lambda: load_embeddings(tmp_path / "train"), FILES[0], "numpy's own format", "expected")


# ---- 6: layouts ---------------------------------------------------------------------------------


def test_a_sentence_as_a_path(flowers):  # noqa: F811
    """A form's own words, longer than any name may be, in place of a path."""
    words = "put here the path of the folder that you have unpacked " * 6
    for load, given in ((load_flowers, {"data_dir": words}), (load_folder, {"data_dir": words}),
                        (load_flowers, {"data_dir": flowers, "captions_dir": words})):  # fmt: skip
        refused(lambda load=load, given=given: load(**given, size=16), "put here", "no such folder",
                "expected", "captions_dir" if len(given) > 1 else "data_dir")  # fmt: skip


def test_captions_dir_is_a_file(flowers, tmp_path):  # noqa: F811
    """captions_dir is the archive that was downloaded."""
    (tmp_path / "text_c10.zip").write_bytes(b"PK\3\4")
    refused(lambda: load_flowers(flowers, size=16, captions_dir=tmp_path / "text_c10.zip"),
            "captions_dir", "text_c10.zip': a file", "expected")  # fmt: skip


def test_which_folder_is_no_path_is_told(no_annotations, flowers):  # noqa: F811
    for option in ("data_dir", "captions_dir"):
        given = {"data_dir": flowers, option: ["flowers"]}
        with pytest.raises(TypeError, match=f"{option}: found .*expected a path"):
            unchecked(load_flowers)(**given, size=16)


# ---- 7: own folders -----------------------------------------------------------------------------


@pytest.mark.parametrize("small", range(4))
@pytest.mark.parametrize("few", [1, 2])
def test_a_class_of_one_picture_keeps_it(own, small, few):  # noqa: F811
    """4 classes, of which one or two have a single picture: whichever, or told by true numbers."""
    for number in range(4):
        for copy in range(10):
            for kind in ("jpg", "txt"):
                place = own / f"class {number}"
                shutil.copy(place / f"p0.{kind}", place / f"q{copy}.{kind}")
    for number in (small, (small + 1) % 4)[:few]:
        for path in (own / f"class {number}").iterdir():
            path.unlink() if path.stem != "p0" else None
    try:
        found = load_folder(own, size=16)
    except ValueError as error:
        told = ('"test", expected 4 and 6 or more', '2 of them for "test" (test_share 0.2) and 1')
        assert few == 2 and any(words in str(error) for words in told), error
    else:
        assert len(found.classes[found.splits["train"]].unique()) == 2
        assert sorted(Counter(found.classes.tolist()).values())[0] == 1


def test_one_sentence_for_all(own):  # noqa: F811
    """A script wrote "a photo" beside each picture: there is nothing to tell apart."""
    for path in own.rglob("*.txt"):
        path.write_text("a photo\n")
    refused(lambda: load_folder(own, size=16), str(own), "found one sentence for all", "expected")


# ---- 8 and 9: caches, archives ------------------------------------------------------------------


def test_a_cache_of_blanks_is_none(tmp_path, monkeypatch):
    """T2I_CACHE=" " in a settings file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("T2I_CACHE", " ")
    load_blooms(n=20, size=8)
    assert (tmp_path / ".cache" / "t2i" / "blooms").is_dir() and not (tmp_path / " ").exists()


def test_an_address_without_its_bracket(tmp_path):
    refused(lambda: fetch("http://[::1/birds.tgz", tmp_path / "birds.tgz", "0" * 64),
            "http://[::1/birds.tgz", "Invalid")  # fmt: skip


@pytest.mark.parametrize("name", ["birds.zip", "birds.tgz"])
def test_what_came_in_an_archives_place_is_told(tmp_path, name):
    pointer = b"version https://git-lfs.github.com/spec/v1\n"
    for content, found in ((b"<!DOCTYPE html><p>404", "a web page"), (b"", "an empty file"),
                           (pointer, "git-lfs")):
        (tmp_path / name).write_bytes(content)
        refused(lambda: extract(tmp_path / name, tmp_path / "birds"), name, found)
    assert [path.name for path in tmp_path.iterdir()] == [name]
