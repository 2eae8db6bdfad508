"""Oxford-102: read from its published layout, cached whole or not at all, broken input named."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from scipy.io import loadmat, savemat

from t2i_utils import data as data_sets
from t2i_utils.data import flowers, photographs
from t2i_utils.data.captioned import CaptionedImages, wrong_sentences
from t2i_utils.data.flowers import load_flowers
from t2i_utils.data.photographs import class_disjoint_splits

LABELS = [2, 1, 3, 1, 2, 3, 3, 1, 2, 1, 3, 2]
PINNED = [12, 29, 32, 37, 47, 53, 60, 62, 63, 69, 72, 76, 79, 86, 87, 89, 92, 94, 98, 100]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve photos of three classes, in the published layout; a cache of its own."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "my flowers"
    (folder / "jpg").mkdir(parents=True)
    savemat(folder / "imagelabels.mat", {"labels": np.array([LABELS], np.uint8)})
    savemat(folder / "setid.mat", {"trnid": [[1, 2, 3]], "valid": [[12, 11]],
                                   "tstid": [[4, 5, 6, 7, 8, 9, 10]]})
    for number, label in enumerate(LABELS, start=1):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        photo = Image.fromarray(pixels).resize((120, 90), Image.Resampling.BICUBIC)
        photo.save(folder / "jpg" / f"image_{number:05d}.jpg")
        text = folder / "text_c10" / f"class_{label:05d}" / f"image_{number:05d}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("".join(f" Sentence {j} of Photo {number}.\n" for j in range(10)))
    return folder


def photo(folder, number):
    return folder / "jpg" / f"image_{number:05d}.jpg"


def captions(folder, number):
    return folder / "text_c10" / f"class_{LABELS[number - 1]:05d}" / f"image_{number:05d}.txt"


def cached(tmp_path, pattern="*"):
    return sorted((tmp_path / "cache" / "flowers").glob(pattern))


def test_the_published_layout_is_read(folder):
    data = load_flowers(folder, size=32, split="oxford")
    assert data.images.shape == (12, 3, 38, 38) and isinstance(data.images, np.memmap)
    assert (data.name, data.crop, data.flip) == ("flowers", 32, True)
    assert (data.classes + 1).tolist() == LABELS
    assert data.class_names == ["class_00001", "class_00002", "class_00003"]
    assert data.captions[6] == [f"sentence {j} of photo 7." for j in range(10)]
    assert {split: pictures.tolist() for split, pictures in data.splits.items()} == {
        "train": [0, 1, 2], "valid": [11, 10], "test": [3, 4, 5, 6, 7, 8, 9]}


@pytest.mark.parametrize(("size", "side"), [(32, 38), (64, 76), (256, 304)])
def test_crops_are_cut_from_pictures_a_fifth_larger(folder, size, side):
    assert load_flowers(folder, size=size).images.shape == (12, 3, side, side)


def test_torchvisions_root_will_do(folder):
    folder.rename(folder.parent / "flowers-102")
    assert len(load_flowers(folder.parent, size=16).captions) == 12


def test_photos_are_cut_about_their_centre(folder):
    stripes = np.zeros((100, 300, 3), np.uint8)
    stripes[:, :100, 0] = stripes[:, 100:200, 1] = stripes[:, 200:, 2] = 255  # red, green, blue
    Image.fromarray(stripes).save(photo(folder, 1), quality=95)
    Image.fromarray(stripes.transpose(1, 0, 2)).save(photo(folder, 2), quality=95)
    for image in load_flowers(folder, size=32).images[:2]:
        inside = image[:, 2:-2, 2:-2]  # JPEG bleeds a little at the stripes' borders
        assert inside[1].min() > 200 and inside[[0, 2]].max() < 60


def test_photos_stay_upright(folder):
    upper_half = np.zeros((100, 100, 3), np.uint8)
    upper_half[:50] = 255
    Image.fromarray(upper_half).save(photo(folder, 1))
    image = load_flowers(folder, size=32).images[0]
    assert image[:, :15].min() > 200 and image[:, -15:].max() < 60


def test_grey_photos_become_rgb(folder):
    Image.new("L", (90, 90), 128).save(photo(folder, 1))
    assert np.abs(load_flowers(folder, size=32).images[0].astype(int) - 128).max() <= 2


def test_photos_lie_in_the_cache_in_their_order(folder):
    images = load_flowers(folder, size=64).images
    for number in (1, 5, 12):
        square = photographs.read_square("flowers", photo(folder, number), 76)
        assert np.array_equal(images[number - 1], square)


def test_the_second_load_decodes_and_parses_nothing(folder, monkeypatch):
    first = load_flowers(folder, size=32)
    monkeypatch.setattr(photographs, "read_square", None)
    monkeypatch.setattr(flowers, "read_captions", None)
    second = load_flowers(folder, size=32)
    assert np.array_equal(first.images, second.images) and first.captions == second.captions


def test_a_changed_folder_is_noticed(folder):
    before = load_flowers(folder, size=32)
    Image.new("RGB", (100, 100), (255, 0, 0)).save(photo(folder, 3))
    captions(folder, 4).write_text("another sentence\n" * 10)
    after = load_flowers(folder, size=32)
    assert after.images[2, 0].min() > 200 and after.captions[3] == ["another sentence"] * 10
    assert before.captions[3] != after.captions[3] and before.captions[4] == after.captions[4]


def test_classes_of_the_test_split_are_never_trained_on():
    classes = torch.arange(102).repeat_interleave(80)
    splits = class_disjoint_splits("flowers", classes, flowers.TEST_SHARE)
    test_classes = set(classes[splits["test"]].tolist())
    assert sorted(test_classes) == PINNED, "the split must be the same in every version"
    assert set(classes[splits["train"]].tolist()) == set(range(102)) - test_classes
    assert set(classes[splits["seen_test"]].tolist()) <= set(range(102)) - test_classes
    assert torch.equal(torch.cat(list(splits.values())).sort().values, torch.arange(102 * 80))
    assert len(splits["seen_test"]) == 328  # 5 % of 82 classes of 80


def test_download_happens_only_when_asked_for(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(torchvision.datasets, "Flowers102", lambda *a, **k: asked.append((a, k)))
    load_flowers(folder, size=16)
    assert asked == []
    load_flowers(folder, size=16, download=True)
    assert asked == [((folder,), {"download": True})]


# Bad input

def test_an_unknown_data_set_is_named():
    with pytest.raises(ValueError, match="'birdies'.*blooms, flowers"):
        data_sets.load("birdies")


def test_a_known_data_set_is_loaded_by_name(folder):
    assert data_sets.load("flowers", data_dir=folder, size=16).name == "flowers"


def test_an_unknown_split_is_named(folder):
    with pytest.raises(ValueError, match="'reed'.*class_disjoint, oxford"):
        load_flowers(folder, split="reed")


@pytest.mark.parametrize("data_dir", [None, "nowhere/at all"])
def test_a_missing_folder_is_named(data_dir):
    with pytest.raises(FileNotFoundError) as error:
        load_flowers(data_dir)
    for part in (str(data_dir), "jpg/", "setid.mat", "text_c10/", "robots.ox.ac.uk", "cvpr2016"):
        assert part in str(error.value)


def test_missing_parts_of_a_folder_are_named(folder):
    (folder / "setid.mat").unlink()
    with pytest.raises(FileNotFoundError, match="setid.mat missing in .*my flowers;"):
        load_flowers(folder)


def test_photos_without_captions_are_named(folder):
    for number in (1, 2, 3, 5, 7, 8, 9):
        captions(folder, number).unlink()
    named = "7 of 12 pictures in .*text_c10: .*image_00001.txt, .*image_00007.txt, [.]{3}, as"
    with pytest.raises(FileNotFoundError, match="captions missing for " + named):
        load_flowers(folder)


def test_captions_of_another_class_do_not_count(folder):
    os.replace(captions(folder, 1), folder / "text_c10" / "class_00003" / "image_00001.txt")
    with pytest.raises(FileNotFoundError, match="captions missing for 1 of 12 .*image_00001"):
        load_flowers(folder)


def test_missing_photos_are_named(folder):
    photo(folder, 12).unlink()
    with pytest.raises(FileNotFoundError, match="photos missing for 1 of 12 .*: image_00012.jpg"):
        load_flowers(folder)


def test_too_few_captions_are_named(folder):
    captions(folder, 4).write_text("a flower\n" * 9)
    with pytest.raises(ValueError, match="image_00004.txt has 9 lines, expected 10"):
        load_flowers(folder)


def test_an_empty_sentence_is_named(folder):
    captions(folder, 4).write_text("a flower\n" * 6 + " \n" + "a flower\n" * 3)
    with pytest.raises(ValueError, match="image_00004.txt, line 7: empty sentence"):
        load_flowers(folder)


def test_a_truncated_photo_is_named_and_nothing_half_written_stays(folder, tmp_path):
    whole = photo(folder, 9).read_bytes()
    photo(folder, 9).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot read photo .*image_00009.jpg: .*truncated"):
        load_flowers(folder, size=32)
    assert cached(tmp_path, "photos*") == [] and cached(tmp_path, "*.part") == []
    assert cached(tmp_path, "*.holder") == []
    photo(folder, 9).write_bytes(whole)
    assert load_flowers(folder, size=32).images.shape == (12, 3, 38, 38)


def test_a_file_that_is_no_photo_is_named(folder):
    photo(folder, 9).write_text("not found")
    with pytest.raises(ValueError, match="cannot read photo .*image_00009.jpg"):
        load_flowers(folder)


def test_an_interrupt_leaves_nothing_half_written(folder, tmp_path, monkeypatch):
    def interrupted(name, path, side):
        raise KeyboardInterrupt

    monkeypatch.setattr(photographs, "read_square", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_flowers(folder, size=32)
    assert cached(tmp_path, "photos*") == [] and cached(tmp_path, "*.part") == []


# The real set, where it is there

@pytest.fixture(scope="module")
def real():
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "flowers-102"
    folder = Path(os.environ.get("T2I_FLOWERS") or beside)
    if not (folder / "text_c10").is_dir():
        pytest.skip(f"no Oxford-102 at {folder}: set T2I_FLOWERS to its folder")
    return folder


@pytest.fixture(scope="module")
def real_sentences(real):
    """The real labels and sentences, with blank pictures: no photo is decoded."""
    labels = flowers.read_labels(real)
    return CaptionedImages(
        name="flowers",
        images=np.broadcast_to(np.uint8(0), (len(labels), 3, 4, 4)),
        captions=flowers.read_captions(real / "text_c10", labels),
        classes=labels - 1,
        class_names=[f"class_{label:05d}" for label in range(1, 103)],
        splits=class_disjoint_splits("flowers", labels - 1, flowers.TEST_SHARE),
        crop=4,
        flip=True,
    )


def test_real_labels_agree_with_the_caption_folders(real):
    labels = loadmat(real / "imagelabels.mat")["labels"].ravel()
    files = list((real / "text_c10").glob("class_*/image_*.txt"))
    assert len(files) == len(labels) == 8189
    for file in files:
        assert labels[int(file.stem.removeprefix("image_")) - 1] == int(file.parent.name[6:])


def test_the_real_set_is_whole(real, real_sentences):
    assert len(real_sentences.captions) == 8189
    assert sum(map(len, real_sentences.captions)) == 81_890
    assert real_sentences.classes.unique().tolist() == list(range(102))
    assert {s: len(p) for s, p in flowers.oxford_splits(real).items()} == {
        "train": 1020, "valid": 1020, "test": 6149}
    test_classes = real_sentences.classes[real_sentences.splits["test"]].unique()
    assert len(test_classes) == 20


def test_of_100_000_real_wrong_pairs_none_shares_its_class(real_sentences):
    label = dict(enumerate(real_sentences.classes.tolist()))
    for split in ("train", "test"):
        among = real_sentences.splits[split]
        pictures = among[torch.arange(100_000) % len(among)]
        owners, _ = wrong_sentences(real_sentences, among, pictures,
                                    torch.Generator().manual_seed(0))
        assert set(owners.tolist()) <= set(among.tolist())
        assert not any(label[p] == label[o]
                       for p, o in zip(pictures.tolist(), owners.tolist(), strict=True))
