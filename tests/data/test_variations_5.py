"""Five further variations of each of ten kinds of other people's files: read rightly, or refused.

The names count the kinds, as in `test_variations_4.py`; nothing of those files is tried again.
"""

import io
import lzma
import pickle
import shutil
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from scipy.io import savemat

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all  # noqa: E402
from test_archives import BODY, sha256  # noqa: E402
from test_archives import server as server  # noqa: E402
from test_birds import folder as birds  # noqa: E402, F401
from test_embeddings import arrays  # noqa: E402
from test_embeddings import write as write_pickles  # noqa: E402
from test_flowers import folder as flowers  # noqa: E402, F401
from test_other_peoples_files import TWO, first, linux  # noqa: E402
from test_other_peoples_files import own as own  # noqa: E402
from test_variations import (  # noqa: E402
    bytes_of,
    edited,
    read_or_refused,
    refused,
    same,
    unchecked,
    with_first,
)
from test_variations_2 import no_annotations as no_annotations  # noqa: E402
from test_variations_2 import unpacked  # noqa: E402
from test_variations_4 import NOISE, lines  # noqa: E402

from t2i_utils.data import load  # noqa: E402
from t2i_utils.data.archives import extract, fetch  # noqa: E402
from t2i_utils.data.birds import load_birds  # noqa: E402
from t2i_utils.data.blooms import load_blooms  # noqa: E402
from t2i_utils.data.captioned import Batches, to_bytes, to_unit  # noqa: E402
from t2i_utils.data.embedded import load_embedded  # noqa: E402
from t2i_utils.data.embeddings import FILES, load_embeddings  # noqa: E402
from t2i_utils.data.flowers import load_flowers  # noqa: E402
from t2i_utils.data.folder import load_folder  # noqa: E402

ACTS = (ValueError, OSError, TypeError)


def refused_too(call, *words):
    """As `refused`, where a TypeError will do as well."""
    with pytest.raises(ACTS) as told:
        call()
    assert all(word in str(told.value) for word in words), told.value


# ---- 1: pictures --------------------------------------------------------------------------------


def test_k01_a_phones_moving_picture(own):  # noqa: F811
    """Pixel and Samsung put a film behind the JPEG, in whose bytes FF DA comes by chance."""
    content = bytes_of(NOISE, "JPEG")
    plain = with_first(own, content, "jpg")
    film = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(900) + b"\xff\xda\x17" + b"film" * 200
    assert np.array_equal(with_first(own, content + film, "jpg"), plain)


def test_k01_a_phones_two_pictures_broken_off(own):  # noqa: F811
    """A JPEG of two (HDR's gains, the other eye), given its length at once: zeros from amid."""
    content = bytes_of(NOISE, "MPO", save_all=True, append_images=[NOISE.resize((30, 20))])
    kept = len(bytes_of(NOISE, "JPEG")) // 2
    refused(lambda: with_first(own, content[:kept] + bytes(len(content) - kept), "jpg"), "p0.jpg")


@pytest.mark.parametrize("lossless", [False, True])
def test_k01_a_webp_that_was_given_its_room_at_once(own, lossless):  # noqa: F811
    """A download manager made the WebP in its full length and broke off: zeros from the middle."""
    content = bytes_of(NOISE, "WEBP", lossless=lossless)
    half = len(content) // 2
    refused(lambda: with_first(own, content[:half] + bytes(len(content) - half), "webp"), "p0.webp")


def test_k01_a_gif_that_broke_off(own):  # noqa: F811
    """A GIF from the web under a PNG's name, its second half never came: a cut, or zeros."""
    content = bytes_of(NOISE.quantize(64), "GIF")
    half = len(content) // 2
    for end in (b"", bytes(len(content) - half)):
        refused(lambda end=end: with_first(own, content[:half] + end), "p0.png")


# ---- 2: sentences -------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["\u200e", "\u200d", "\u00ad", "\u2800"])
def test_k02_a_line_that_shows_nothing(own, mark):  # noqa: F811
    """A messenger's export has a line of one mark in each file, between the two sentences."""
    for path in own.rglob("*.txt"):
        path.write_text(lines(TWO[0], mark, TWO[1]), encoding="utf-8")
    refused(lambda: load_folder(own, size=16), "p0.txt, line 2: empty sentence")


@pytest.mark.parametrize("content", [
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    b"Rar!\x1a\x07\x01\x00" + bytes(40), b"bplist00\xd1\x01\x02" + bytes(9)])  # fmt: skip
def test_k02_documents_of_other_programs(own, content):  # noqa: F811
    """Word's old .doc, a PDF, a RAR, a clip of the web from Safari, renamed .txt."""
    first(own, "txt").write_bytes(content)
    refused(lambda: load_folder(own, size=16), "p0.txt", "found", "expected")


def test_k02_a_mail_in_quoted_printable(own):  # noqa: F811
    """Sentences came by mail, saved as its source: a soft break within the first one."""
    first(own, "txt").write_text("a caf=C3=A9-coloured flower with =\nround petals\nsecond\n")
    refused(lambda: load_folder(own, size=16), "p0.txt has 3 lines, expected 2")


def test_k02_accents_in_two_parts_within_sentences(own):  # noqa: F811
    """Typed on a Mac or out of a PDF: é in two parts in one file, one in another; both stay."""
    for number, form in enumerate(("NFC", "NFD")):
        path = own / "class 0" / f"p{number}.txt"
        path.write_text(lines(unicodedata.normalize(form, "Café"), "second"), encoding="utf-8")
    found = load_folder(own, size=16).captions
    for number, form in enumerate(("NFC", "NFD")):
        assert found[number] == [unicodedata.normalize(form, "café"), "second"]


def test_k02_a_sheets_column_in_quotes(flowers):  # noqa: F811
    """A sheet saved Oxford's sentences as CSV with a head: eleven lines, quotes about commas."""
    for path in flowers.rglob("*.txt"):
        path.write_text(lines("caption", *(f'"{x}, red"' for x in path.read_text().splitlines())))
    refused(lambda: load_flowers(flowers, size=16), ".txt has 11 lines, expected 10")


# ---- 3: hidden and odd names --------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["nextcloud", "owncloud"])
def test_k03_a_picture_that_is_still_in_the_cloud(own, ending):  # noqa: F811
    """Nextcloud keeps a picture online and leaves p0.jpg.nextcloud; its sentences are there."""
    first(own).rename(first(own, f"jpg.{ending}")).write_bytes(b" ")
    refused(lambda: load_folder(own, size=16), "class 0/p0", ending, "expected a picture")


def test_k03_sentences_of_one_file_by_links(own):  # noqa: F811
    """Of three pictures one file of sentences: links, relative, hard, through another folder."""
    (own / "class 0" / "p0.txt").write_text(lines("of all", "second"))
    for number in (1, 2, 3):
        (own / "class 0" / f"p{number}.txt").unlink()
    (own / "class 0" / "p1.txt").symlink_to("p0.txt")
    (own / "class 0" / "p2.txt").hardlink_to(own / "class 0" / "p0.txt")
    (own / "class 0" / "p3.txt").symlink_to("../class 0/p1.txt")
    assert load_folder(own, size=16).captions[:4] == [["of all", "second"]] * 4


def test_k03_copies_that_a_browser_numbers(flowers):  # noqa: F811
    """Fetched twice: image_00012 (1).jpg, imagelabels (1).mat; a half one, .crdownload."""
    before = load_flowers(flowers, size=16)
    shutil.copy(flowers / "jpg" / "image_00003.jpg", flowers / "jpg" / "image_00012 (1).jpg")
    (flowers / "jpg" / "image_00013.jpg.crdownload").write_bytes(b"half")
    for name in ("imagelabels (1).mat", "setid.mat.part", "102flowers (1).tgz"):
        (flowers / name).write_bytes(b"half")
    assert same(before, load_flowers(flowers, size=16))


def test_k03_spaces_as_a_browser_writes_them(own):  # noqa: F811
    """wget keeps rose%20one.jpg, the sentences are in "rose one.txt"."""
    first(own).rename(own / "class 0" / "rose%20one.jpg")
    first(own, "txt").rename(own / "class 0" / "rose one.txt")
    refused(lambda: load_folder(own, size=16), "captions missing for 1 of 16", str(own),
            "class 0/rose%20one.txt")  # fmt: skip


@linux
def test_k03_hangul_in_parts(own):  # noqa: F811
    """A Korean Mac's stick: 장미 in jamo, pictures in one form and sentences in the other."""
    one, two = (unicodedata.normalize(form, "장미 1") for form in ("NFC", "NFD"))
    first(own).rename(own / "class 0" / f"{two}.jpg")
    first(own, "txt").write_text(lines("a rose", "second"))
    first(own, "txt").rename(own / "class 0" / f"{one}.txt")
    assert ["a rose", "second"] in load_folder(own, size=16).captions[:4]


# ---- 4: tables and labels -----------------------------------------------------------------------


def test_k04_columns_that_pandas_aligned(birds):  # noqa: F811
    """df.to_string(index=False, header=False): blanks before, between and behind."""
    before = load_birds(birds, size=16, split="published")
    for table in ("images.txt", "bounding_boxes.txt", "image_class_labels.txt", "classes.txt",
                  "train_test_split.txt"):  # fmt: skip
        edited(birds, table, lambda text: lines(
            *(f"   {i:>3}    {row}  " for i, row in (x.split(maxsplit=1)
                                                    for x in text.splitlines()))))
    read_or_refused(lambda: load_birds(birds, size=16, split="published"),
                    lambda found: same(before, found), ".txt, line 1", "expected")


def test_k04_dates_of_a_sheet(birds):  # noqa: F811
    """A sheet took 30.0 for a date, or wrote 3.00E+01 or 1.234,5 into the boxes."""
    text = (birds / "bounding_boxes.txt").read_text()
    for cell in ("30. Jan", "2024-01-30", "1.030,0", "#####", "#N/A"):
        (birds / "bounding_boxes.txt").write_text(text.replace("3 30.0", f"3 {cell}"))
        refused(lambda: load_birds(birds, size=16), "bounding_boxes.txt, line 3: found '3",
                "expected")  # fmt: skip
    before = load_birds_with(birds, text)
    assert same(before, load_birds_with(birds, text.replace("3 30.0", "3 3.00E+01")))


def load_birds_with(birds, boxes):  # noqa: F811
    (birds / "bounding_boxes.txt").write_text(boxes)
    return load_birds(birds, size=16)


def test_k04_a_photo_twice_in_one_split(flowers):  # noqa: F811
    """Splits joined by hand: photo 7 is twice in tstid."""
    savemat(flowers / "setid.mat", {"trnid": [[1, 2, 3]], "valid": [[12, 11]],
                                    "tstid": [[4, 5, 6, 7, 8, 9, 10, 7]]})
    refused(lambda: load_flowers(flowers, size=16, split="oxford"), "setid.mat",
            "found photo 7 2 times", "expected each once")  # fmt: skip


@pytest.mark.parametrize("content", [
    b'{"21": "fire lily", "3": "canterbury bells"}', b"file,label\nimage_00001.jpg,77\n",
    b"PAR1" + bytes(60), b"\x80\x04]\x94(K\x02K\x01e."])  # fmt: skip
def test_k04_labels_of_other_places(flowers, content):  # noqa: F811
    """Kaggle's cat_to_name.json, a CSV, a parquet, a pickle in the place of imagelabels.mat."""
    (flowers / "imagelabels.mat").write_bytes(content)
    refused(lambda: load_flowers(flowers, size=16), "imagelabels.mat: found",
            "expected a MATLAB file with 'labels'")  # fmt: skip


@pytest.mark.parametrize("every", [True, False])
def test_k04_numbers_with_noughts_before_them(birds, every):  # noqa: F811
    """A script numbered 0001, 0002, in each table or in one only."""
    before = load_birds(birds, size=16)
    tables = ("images.txt", "bounding_boxes.txt", "image_class_labels.txt", "train_test_split.txt")
    for table in tables if every else tables[1:2]:
        edited(birds, table, lambda text: lines(*(f"000{x}" for x in text.splitlines())))
    if every:
        assert same(before, load_birds(birds, size=16))
    else:
        read_or_refused(lambda: load_birds(birds, size=16), lambda found: same(before, found),
                        "bounding_boxes.txt", "'1'", "'0001'", "expected")  # fmt: skip


# ---- 5: pickles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [FILES, FILES[:1]])
def test_k05_written_in_pieces(tmp_path, which):
    """pickle.dump(piece, open(path, "ab")) in a loop: the second piece stands behind the first."""
    write_pickles(tmp_path / "train", arrays(t=4))
    names, more = ["a", "b", "c"], ["d", "e", "f"]
    for file, one, two in zip(FILES, (arrays(t=4), names, [2, 7, 9]),
                              (arrays(t=4), more, [2, 7, 9]), strict=True):  # fmt: skip
        pieces = (one, two) if file in which else (one + two,)
        (tmp_path / "train" / file).write_bytes(b"".join(pickle.dumps(x, 2) for x in pieces))
    read_or_refused(lambda: load_embeddings(tmp_path / "train"),
                    lambda found: found.file_names == names + more, FILES[0], "expected")


def test_k05_numbers_of_eight_bits(tmp_path):
    """Somebody stored embeddings as int8 to save space."""
    write_pickles(tmp_path / "train", arrays(t=4))
    small = [(x * 30).clip(-127, 127).astype(np.int8) for x in arrays(t=4)]
    (tmp_path / "train" / FILES[0]).write_bytes(pickle.dumps(small, 2))
    refused(lambda: load_embeddings(tmp_path / "train"), FILES[0],
            "found int8 of shape (10, 4) for picture 0", "expected floats")  # fmt: skip


def test_k05_names_by_readlines(tmp_path, monkeypatch):
    """open("names.txt").readlines(): each name ends in a line feed."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    before = load_embedded(data_dir, image_dir, 16)[0]
    names = [f"image_{i:05d}\n" for i in range(24)]
    (data_dir / "train" / FILES[1]).write_bytes(pickle.dumps(names, 2))
    read_or_refused(lambda: load_embedded(data_dir, image_dir, 16)[0],
                    lambda found: same(before, found), "jpg", "24 for none", "image_00000",
                    "expected")  # fmt: skip


@pytest.mark.parametrize("content", [
    b"[[0.1, 0.2], [0.3, 0.4]]", b"BZh91AY&SY" + bytes(60), lzma.compress(b"(lp0\n."),
    b"7z\xbc\xaf\x27\x1c\0\4" + bytes(60), b"(\xb5/\xfd" + bytes(60), b"\n", b"."])  # fmt: skip
def test_k05_what_else_is_called_a_pickle(tmp_path, content):
    """JSON, files that bzip2, xz, 7-Zip or zstd packed, a line's end, the last byte alone."""
    write_pickles(tmp_path / "train", arrays(t=4))
    for file in FILES:
        was = (tmp_path / "train" / file).read_bytes()
        (tmp_path / "train" / file).write_bytes(content)
        refused(lambda file=file: load_embeddings(tmp_path / "train"), file, "found", "expected")
        (tmp_path / "train" / file).write_bytes(was)


def test_k05_classes_by_name(tmp_path):
    """class_info.pickle with names in place of numbers, or with 1.0 for 1, or a number alone."""
    write_pickles(tmp_path / "train", arrays(t=4))
    for made in (["002.Auk", "007.Jay", "009.Wren"], [2.0, 7.0, 9.0], [None] * 3, 3,
                 [[2], [7], [9]], np.array([[2, 7, 9]]), [True, False, True]):  # fmt: skip
        (tmp_path / "train" / FILES[2]).write_bytes(pickle.dumps(made, 2))
        refused(lambda: load_embeddings(tmp_path / "train"), FILES[2], "found",
                "expected a list of 3 whole numbers")  # fmt: skip


# ---- 6: layouts ---------------------------------------------------------------------------------


def test_k06_the_archive_itself(flowers, birds, own):  # noqa: F811
    """data_dir is the downloaded archive, not what is in it."""
    for name, folder in (("flowers", flowers), ("birds", birds), ("folder", own)):
        packed = folder.parent / f"{name}.tgz"
        packed.write_bytes(b"\x1f\x8b" + bytes(60))
        refused(lambda name=name, packed=packed: load(name, data_dir=packed, size=16), str(packed),
                "found" if name == "folder" else "a file", "expected")  # fmt: skip


def test_k06_an_empty_folder_made_beforehand(flowers):  # noqa: F811
    """text_c10/ was made and is empty; the archive brought text/, as one calls it too."""
    before = load_flowers(flowers, size=16)
    (flowers / "text_c10").rename(flowers / "text")
    (flowers / "text_c10").mkdir()
    read_or_refused(lambda: load_flowers(flowers, size=16), lambda found: same(before, found),
                    "captions missing for 12 of 12", "text_c10")  # fmt: skip


def test_k06_all_in_one_folder(tmp_path, monkeypatch, flowers):  # noqa: F811
    """train/, test/ and jpg/ lie side by side: data_dir and image_dir are one; so captions_dir."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, table = write_all(tmp_path, width=4)
    before = load_embedded(data_dir, image_dir, 16)[0]
    (image_dir / "jpg").rename(data_dir / "jpg")
    data, found = load_embedded(data_dir, data_dir, 16)
    assert same(before, data) and np.abs(found.float().numpy() - table).max() < 4e-3
    assert same(load_flowers(flowers, 16), load_flowers(flowers, 16, captions_dir=flowers))


def test_k06_photos_of_each_class_in_a_folder(tmp_path, monkeypatch, flowers):  # noqa: F811
    """jpg/1/image_00001.jpg, as Kaggle's copies have it; the same beside stored embeddings."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    for place in (flowers, image_dir):
        (place / "jpg" / "1").mkdir()
        for path in (place / "jpg").glob("*.jpg"):
            path.rename(place / "jpg" / "1" / path.name)
    refused(lambda: load_flowers(flowers, size=16), "photos missing for 12 of 12",
            str(flowers / "jpg"), "image_00001.jpg")  # fmt: skip
    refused(lambda: load_embedded(data_dir, image_dir, 16), str(image_dir / "jpg"),
            "36 embeddings for 0 photos", "expected")  # fmt: skip


def test_k06_copied_as_a_path_of_windows(flowers, birds, own):  # noqa: F811
    """Explorer's "copy as path" has quotes about it; read() of a file, a line feed behind it."""
    for name, folder in (("flowers", flowers), ("birds", birds), ("folder", own)):
        for given in (f'"{folder}"', f"{folder}\n", f" {folder}"):
            read_or_refused(lambda name=name, given=given: load(name, data_dir=given, size=16),
                            lambda found: len(found.images) > 7, "data_dir", folder.name,
                            "expected")  # fmt: skip


# ---- 7: own folders and options -----------------------------------------------------------------


@pytest.mark.parametrize("given", ["no", "False", "0"])
def test_k07_a_download_that_nobody_asked_for(no_annotations, flowers, monkeypatch, given):  # noqa: F811
    """-p download no, a form's "False": text where True or False is meant."""
    asked = []
    monkeypatch.setattr(torchvision.datasets, "Flowers102", lambda *_, **__: asked.append(1))
    try:
        unchecked(load_flowers)(flowers, size=16, download=given)
    except ACTS as error:
        assert "download" in str(error) and "expected" in str(error), error
    assert not asked


def test_k07_a_download_without_a_network(tmp_path, monkeypatch):
    """download=True in a train: torchvision's server is not reached."""
    def unreached(*_, **__):
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(torchvision.datasets, "Flowers102", unreached)
    with pytest.raises(OSError) as told:
        load_flowers(tmp_path / "flowers", size=16, download=True)
    assert "flowers" in str(told.value) and "known" in str(told.value), told.value


@pytest.mark.parametrize("words", ["on the righthand side", "a leftside petal", "right-hand petals",
                                   "the left's leaf", "anti-clockwise", "its LEFT-most leaf"])
def test_k07_sides_in_one_word(own, words):  # noqa: F811
    """People write righthand and leftside in one word: a mirrored picture would belie them."""
    first(own, "txt").write_text(lines(f"a flower {words}", "second"))
    assert not load_folder(own, size=16).flip


@pytest.mark.parametrize("share", [2, True, "2", [0.2], 20])
def test_k07_a_number_of_classes_as_the_share(no_annotations, own, share):  # noqa: F811
    """test_share=2 is meant as two classes, 20 as per cent."""
    refused_too(lambda: unchecked(load_folder)(own, 16, share), "test_share", "expected")


def test_k07_an_option_of_another_reader(own, flowers, birds):  # noqa: F811
    """One cell for all sets: each option is given to each; the error names the option."""
    for name, options in (("folder", {"split": "published"}), ("birds", {"download": True}),
                          ("flowers", {"test_share": 0.2}), ("blooms", {"data_dir": "here"})):
        place = {"folder": own, "birds": birds, "flowers": flowers}.get(name)
        options = options | ({} if place is None else {"data_dir": place})
        refused_too(lambda name=name, options=options: load(name, size=16, **options),
                    next(iter(options)))  # fmt: skip


# ---- 8: caches ----------------------------------------------------------------------------------


def test_k08_the_teachers_cache_read_only(own, disk, monkeypatch):  # noqa: F811
    """A filled cache on a share that nobody may write to: what is there is read."""
    place = disk("8m")
    monkeypatch.setenv("T2I_CACHE", str(place))
    before = load_folder(own, size=16)
    if subprocess.run(["mount", "-o", "remount,ro", str(place)], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    read_or_refused(lambda: load_folder(own, size=16), lambda found: same(before, found),
                    str(place), "T2I_CACHE")  # fmt: skip
    refused(lambda: load_folder(own, size=32), str(place), "T2I_CACHE")


def test_k08_copied_to_another_disk_without_its_dates(own, tmp_path, monkeypatch):  # noqa: F811
    """cp -r of the cache to a faster disk, all dates new: the same pictures, nothing read anew."""
    before = load_folder(own, size=16)
    shutil.copytree(tmp_path / "cache", tmp_path / "fast", copy_function=shutil.copyfile)
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "fast"))
    (stored,) = (tmp_path / "fast").rglob("photos-*.npy")
    was = stored.stat().st_mtime_ns
    assert same(before, load_folder(own, size=16)) and stored.stat().st_mtime_ns == was


def test_k08_blooms_whose_store_was_damaged(tmp_path, monkeypatch):
    """A bit of a disk turned in one of Blooms' stored files, whichever it is."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    before = load_blooms(n=40, size=16)
    pixels, captions = before.images.copy(), [list(x) for x in before.captions]
    del before
    stored = [x for x in (tmp_path / "cache").rglob("*") if x.is_file() and x.stat().st_size > 400]
    assert stored
    for path in stored:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
        found = load_blooms(n=40, size=16)
        assert np.array_equal(found.images, pixels) and found.captions == captions, path.name
        del found


def test_k08_two_sizes_in_turn(own, tmp_path):  # noqa: F811
    """16, then 32, then 16 again, with a sentence changed in between: both are right."""
    small, large = load_folder(own, size=16), load_folder(own, size=32)
    first(own, "txt").write_text(lines("a new one", "second"))
    again = load_folder(own, size=16)
    assert np.array_equal(again.images, small.images) and large.images.shape[-1] == 38
    assert again.captions[0] == ["a new one", "second"]
    assert load_folder(own, size=32).captions[0] == ["a new one", "second"]


def test_k08_a_class_corrected_beside_stored_embeddings(tmp_path, monkeypatch):
    """class_info.pickle and the embeddings are put right, names and photos stay as they were."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    data_dir, image_dir, _ = write_all(tmp_path, width=4)
    before, table = load_embedded(data_dir, image_dir, 16)
    path = data_dir / "train" / FILES[2]
    classes = pickle.loads(path.read_bytes(), encoding="latin1")
    path.write_bytes(pickle.dumps([3, *classes[1:]], 2))
    rows = pickle.loads((data_dir / "train" / FILES[0]).read_bytes(), encoding="latin1")
    (data_dir / "train" / FILES[0]).write_bytes(pickle.dumps([x + 1 for x in rows], 2))
    after, moved = load_embedded(data_dir, image_dir, 16)
    assert same(before, after) and (int(before.classes[0]), int(after.classes[0])) == (0, 3)
    assert np.abs((moved - table)[:24].float().numpy() - 1).max() < 1e-2


# ---- 9: archives --------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, "", sha256(BODY)[:32], f"sha256:{sha256(BODY)}"])
def test_k09_a_sum_of_another_form(no_annotations, server, tmp_path, given):  # noqa: F811
    """No sum, an MD5, GitHub's "sha256:…": read, or told by the sum; nothing is left."""
    try:
        path = unchecked(fetch)(server.url, tmp_path / "birds.tgz", given)
        assert path.read_bytes() == BODY
    except ACTS as error:
        assert "sha" in str(error).lower() and "expected" in str(error), error
        assert not list(tmp_path.glob("birds*"))


def test_k09_a_member_twice(tmp_path):
    """`zip -u` by Python's "a", `tar -r`: a member is there twice, the later one counts."""
    with zipfile.ZipFile(tmp_path / "birds.zip", "w") as file:
        file.writestr("birds/a.txt", "old and long")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("birds/a.txt", "new")
    assert unpacked(tmp_path / "birds.zip") == {"birds/a.txt": b"new"}
    (tmp_path / "tar").mkdir()
    with tarfile.open(tmp_path / "tar" / "birds.tar", "w") as tar:
        for content in (b"old and long", b"new"):
            info = tarfile.TarInfo("birds/a.txt")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert unpacked(tmp_path / "tar" / "birds.tar") == {"birds/a.txt": b"new"}


def test_k09_volumes_of_7_zip(tmp_path):
    """birds.zip.001 and birds.zip.002: one of them alone is no archive, and that is told."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for number in range(9):
            file.writestr(f"birds/{number}.jpg", BODY[:9000])
    content = packed.getvalue()
    for number, piece in enumerate((content[:40000], content[40000:]), start=1):
        path = tmp_path / f"birds.zip.{number:03}"
        path.write_bytes(piece)
        refused(lambda path=path: extract(path, tmp_path / "birds"), path.name, "truncated")
    assert not [x for x in tmp_path.iterdir() if x.is_dir()]


@pytest.mark.parametrize("page", ["cp437", "cp850"])
def test_k09_names_by_explorer(tmp_path, page):
    """Windows Explorer of old packs Blüte.jpg by its code page, and says nothing of it."""
    with zipfile.ZipFile(tmp_path / "birds.zip", "w") as file:
        file.writestr("birds/Bl@te r@.jpg", b"one")
    content = (tmp_path / "birds.zip").read_bytes()
    name = "Blüte ré".encode(page)
    (tmp_path / "birds.zip").write_bytes(content.replace(b"Bl@te r@", name))
    assert unpacked(tmp_path / "birds.zip") == {"birds/Blüte ré.jpg": b"one"}


@pytest.mark.parametrize("head", [b"Rar!\x1a\x07\x01\0", b"7z\xbc\xaf\x27\x1c\0\4", b"(\xb5/\xfd",
                                  b"\xfd7zXZ\0\0\4", b"LZIP\1"])
@pytest.mark.parametrize("name", ["birds.zip", "birds.tgz", "birds.rar"])
def test_k09_other_packers(tmp_path, head, name):
    """WinRAR's, 7-Zip's, zstd's, a cut xz, lzip's, under their own or another's name."""
    (tmp_path / name).write_bytes(head + BODY[:5000])
    refused(lambda: extract(tmp_path / name, tmp_path / "birds"), name, "no archive")
    assert [x.name for x in tmp_path.iterdir()] == [name]


# ---- 10: what shows, and conversions ------------------------------------------------------------


def test_k10_numbers_of_numpy_to_bytes(no_annotations):
    """to_bytes(images.numpy()), as to_unit takes both."""
    numbers = np.linspace(-1, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)
    right = to_bytes(torch.from_numpy(numbers))
    try:
        found = unchecked(to_bytes)(numbers)
    except ACTS as error:
        assert "expected" in str(error)
    else:
        assert np.array_equal(found, right)


def test_k10_bytes_to_bytes(no_annotations):
    """A cell is run twice: images = to_bytes(images) of what are bytes already."""
    pixels = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4) * 5
    try:
        found = unchecked(to_bytes)(pixels)
    except ACTS as error:
        assert "uint8" in str(error) and "expected" in str(error)
    else:
        assert torch.equal(found, pixels), "every pixel above 0 is white"


def test_k10_halves(own):  # noqa: F811
    """Mixed precision gives float16: back to bytes, each is as it was."""
    pixels = torch.tensor(load_folder(own, size=16).images.copy())
    for kind in (torch.float16, torch.float64):
        assert torch.equal(to_bytes(to_unit(pixels).to(kind)), pixels)
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(to_unit(every).half()), every)


def test_k10_the_pictures_are_taken_away(own):  # noqa: F811
    """The stick is pulled out after loading: batches come; a second load tells what is gone."""
    found = load_folder(own, size=16)
    batches = Batches(found, torch.zeros(16, 2, 4), "train", 4, seed=0)
    before = batches[0].images.clone()
    shutil.rmtree(own)
    assert torch.equal(batches[0].images, before)
    refused(lambda: load_folder(own, size=16), str(own), "found", "expected")


def test_k10_steps_of_other_kinds(no_annotations, own):  # noqa: F811
    """batches[np.int64(3)], a tensor's 3; the same batch as by 3."""
    batches = Batches(load_folder(own, size=16), torch.zeros(16, 2, 4), "train", 4, seed=0)
    for step in (np.int64(3), torch.tensor(3)):
        found = batches[step]
        assert torch.equal(found.images, batches[3].images)
        assert torch.equal(found.pictures, batches[3].pictures)
