"""A reader's own pictures and sentences: read as they lie, broken input named."""

import numpy as np
import pytest
import torch
from PIL import Image

from t2i_utils import data as data_sets
from t2i_utils.data.captioned import Batches
from t2i_utils.data.folder import load_folder

NAMES = ["daisies", "lilies", "roses", "tulips", "violets"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five classes of four pictures, of several formats and shapes, three sentences each."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    for number, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        for i, kind in enumerate(("png", "jpg", "PNG", "jpeg")):
            colour = np.full((30 + 10 * i, 40, 3), 40 * number + i, np.uint8)
            Image.fromarray(colour).save(folder / name / f"picture {i}.{kind}")
            lines = "".join(f" Sentence {j} of {name} {i}.\n" for j in range(3))
            (folder / name / f"picture {i}.txt").write_text(lines)
    return folder


def test_pictures_sentences_and_classes_belong_together(folder):
    mine = load_folder(folder, size=16)
    assert mine.images.shape == (20, 3, 19, 19) and mine.crop == 16
    assert mine.class_names == NAMES
    for i in range(20):
        number, place = divmod(i, 4)  # the order of the files' names: PNG before jpg only by number
        assert mine.classes[i] == number
        assert mine.captions[i] == [f"sentence {j} of {NAMES[number]} {place}." for j in range(3)]
        assert abs(int(mine.images[i, 0, 9, 9]) - (40 * number + place)) <= 2  # jpg is not exact


def test_classes_of_the_test_split_are_never_trained_on(folder):
    mine = load_folder(folder, size=16, test_share=0.4)
    tested = set(mine.classes[mine.splits["test"]].tolist())
    assert len(tested) == 2
    assert not tested & set(mine.classes[mine.splits["train"]].tolist())
    assert sorted(torch.cat(list(mine.splits.values())).tolist()) == list(range(20))


def test_batches_are_drawn_from_it_by_its_name(folder):
    mine = data_sets.load("folder", data_dir=folder, size=16)
    batch = Batches(mine, torch.randn(20, 3, 8), "train", 8, seed=0)[0]
    assert batch.images.shape == (8, 3, 16, 16)
    assert (mine.classes[batch.pictures] != mine.classes[batch.wrong_pictures]).all()


@pytest.mark.parametrize(("sentence", "flips"), [
    ("a bright, upright flower", True),
    ("what is left", False),  # not a side, but better one mirror too few
    ("leaves to the RIGHT.", False),
    ("the leftmost petal", False),
    ("petals that curl anticlockwise", False),
])
def test_pictures_are_mirrored_unless_a_sentence_names_a_side(folder, sentence, flips):
    text = folder / "roses" / "picture 2.txt"
    text.write_text(f"one\ntwo\n{sentence}\n")
    assert load_folder(folder, size=16).flip is flips


def test_a_changed_picture_is_noticed(folder):
    before = load_folder(folder, size=16).images[8].copy()
    Image.new("RGB", (50, 50), "white").save(folder / "roses" / "picture 0.png")
    after = load_folder(folder, size=16).images[8]
    assert (after == 255).all() and not np.array_equal(before, after)


@pytest.mark.parametrize("data_dir", [None, "", "nowhere", "empty"])
def test_a_folder_without_classes_is_named(tmp_path, data_dir):
    (tmp_path / "empty").mkdir()
    found = "pictures of 0 classes" if data_dir == "empty" else "no such folder"
    with pytest.raises(FileNotFoundError, match=f"data_dir .*: found {found}, expected "):
        load_folder(tmp_path / data_dir if data_dir else data_dir)


def test_a_picture_without_sentences_is_named(folder):
    (folder / "tulips" / "picture 1.txt").unlink()
    with pytest.raises(FileNotFoundError, match="missing for 1 of 20 .*tulips.picture 1.txt"):
        load_folder(folder)


@pytest.mark.parametrize(("lines", "named"), [
    ("one\ntwo\n", "has 2 lines, expected 3"),
    ("one\n\nthree\n", "line 2: empty sentence"),
])
def test_a_broken_file_of_sentences_is_named(folder, lines, named):
    (folder / "tulips" / "picture 1.txt").write_text(lines)
    with pytest.raises(ValueError, match=f"picture 1.txt.*{named}"):
        load_folder(folder)


def test_a_file_that_is_no_picture_is_named(folder):
    (folder / "lilies" / "picture 0.png").write_text("no picture")
    with pytest.raises(ValueError, match="cannot read photo .*picture 0.png"):
        load_folder(folder)
