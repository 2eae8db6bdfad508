"""CUB-200-2011: read from its published layout, cut about the birds, broken input named."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from t2i_utils.data import birds, photographs
from t2i_utils.data.birds import bird_square, load_birds
from t2i_utils.data.captioned import wrong_sentences

CLASSES = ["001.Auk", "002.Jay", "003.Wren"]
LABELS = [1, 3, 2, 2, 1, 3, 1, 3]
BOX = "30.0 20.0 40.0 40.0"  # reaches from (20, 10) to (80, 70)
PINNED = [3, 19, 26, 27, 33, 35, 36, 41, 42, 49, 51, 53, 55, 57, 60, 68, 70, 73, 79, 80, 81, 86,
          87, 88, 90, 95, 97, 107, 109, 112, 120, 121, 122, 123, 124, 125, 129, 134, 143, 148,
          152, 154, 164, 166, 169, 175, 179, 185, 194, 196]


def name(number):
    return f"{CLASSES[LABELS[number - 1] - 1]}/Bird_{number:04d}_77.jpg"


def photo(folder, number):
    return folder / "images" / name(number)


def captions(folder, number):
    return (folder / "text_c10" / name(number)).with_suffix(".txt")


def cached(tmp_path, pattern="*"):
    return sorted((tmp_path / "cache" / "birds").glob(pattern))


def write_table(folder, file, rows, first=1):
    lines = [f"{number} {row}\n" for number, row in enumerate(rows, start=first)]
    (folder / file).write_text("".join(lines))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Eight photos of three classes, in the published layout; a cache of its own."""
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "my birds"
    folder.mkdir()
    write_table(folder, "classes.txt", CLASSES)
    write_table(folder, "images.txt", map(name, range(1, 9)))
    write_table(folder, "image_class_labels.txt", LABELS)
    write_table(folder, "train_test_split.txt", [0, 1, 1, 0, 1, 1, 0, 0])
    write_table(folder, "bounding_boxes.txt", [BOX] * 8)
    for number in range(1, 9):
        photo(folder, number).parent.mkdir(parents=True, exist_ok=True)
        captions(folder, number).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((120, 90), Image.Resampling.BICUBIC)
        image.save(photo(folder, number))
        lines = [f" Sentence {j} of Bird {number}.\n" for j in range(10)]
        captions(folder, number).write_text("".join(lines))
    return folder


def test_the_published_layout_is_read(folder):
    data = load_birds(folder, size=32, split="published")
    assert data.images.shape == (8, 3, 38, 38) and isinstance(data.images, np.memmap)
    assert (data.name, data.crop, data.flip) == ("birds", 32, True)
    assert (data.classes + 1).tolist() == LABELS and data.class_names == CLASSES
    assert data.captions[6] == [f"sentence {j} of bird 7." for j in range(10)]
    assert {split: pictures.tolist() for split, pictures in data.splits.items()} == {
        "train": [1, 2, 4, 5], "test": [0, 3, 6, 7]}


@pytest.mark.parametrize(("size", "side"), [(32, 38), (64, 76), (256, 304)])
def test_crops_are_cut_from_pictures_a_fifth_larger(folder, size, side):
    assert load_birds(folder, size=size).images.shape == (8, 3, side, side)


def test_the_folder_that_the_archive_unpacks_will_do(folder):
    folder.rename(folder.parent / "CUB_200_2011")
    assert len(load_birds(folder.parent, size=16).captions) == 8


def test_without_classes_txt_the_folders_name_the_classes(folder):
    (folder / "classes.txt").unlink()
    assert load_birds(folder, size=16).class_names == CLASSES


def test_a_class_without_pictures_keeps_its_number(folder):
    write_table(folder, "classes.txt", ["001.Auk", "002.Jay", "003.Emu", "004.Wren"])
    write_table(folder, "image_class_labels.txt", [label + (label == 3) for label in LABELS])
    for kind in ("images", "text_c10"):
        (folder / kind / "003.Wren").rename(folder / kind / "004.Wren")
    images = (folder / "images.txt").read_text().replace("003.Wren", "004.Wren")
    (folder / "images.txt").write_text(images)
    assert load_birds(folder, size=16).class_names == ["001.Auk", "002.Jay", "003.Emu", "004.Wren"]
    (folder / "classes.txt").unlink()
    assert load_birds(folder, size=16).class_names == ["001.Auk", "002.Jay", "class 3", "004.Wren"]


def test_tables_are_joined_by_their_ids_and_not_by_their_lines(folder):
    before = load_birds(folder, size=32, split="published")
    boxes = [f"{10 * number} 20 30 30" for number in range(8)]
    write_table(folder, "bounding_boxes.txt", boxes)
    expected = np.array(load_birds(folder, size=32).images)
    tables = ("image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt", "classes.txt")
    for file in tables:
        lines = (folder / file).read_text().splitlines(keepends=True)
        (folder / file).write_text("".join(reversed(lines)))
    after = load_birds(folder, size=32, split="published")
    assert np.array_equal(after.images, expected) and not np.array_equal(before.images, expected)
    assert torch.equal(after.classes, before.classes) and after.class_names == CLASSES
    assert torch.equal(after.splits["train"], before.splits["train"])


# The crop

@pytest.mark.parametrize(("box", "square"), [
    ((30.0, 20.0, 40.0, 40.0), (20, 10, 80, 70)),  # 0.75 * 40 about (50, 40)
    ((30.0, 30.0, 40.0, 20.0), (20, 10, 80, 70)),  # the longer side counts, whichever it is
    ((40.0, 20.0, 20.0, 40.0), (20, 10, 80, 70)),
    ((0.0, 0.0, 40.0, 40.0), (0, 0, 50, 50)),  # corners: clipped on two sides
    ((80.0, 50.0, 40.0, 40.0), (70, 40, 120, 90)),
    ((0.0, 25.0, 40.0, 40.0), (0, 20, 50, 70)),  # 50 wide, 60 high: the middle of the height
    ((10.0, 0.0, 100.0, 90.0), (15, 0, 105, 90)),  # higher than the picture: about the bird
    ((0.0, 0.0, 80.0, 90.0), (0, 0, 90, 90)),  # ... and never across the border
    ((-20.0, 40.0, 40.0, 20.0), (0, 35, 30, 65)),  # half outside: what is inside
    ((10.5, 20.25, 20.5, 10.0), (5.375, 9.875, 36.125, 40.625)),  # parts of a pixel
])
def test_the_square_about_the_bird(box, square):
    assert bird_square(box, 120, 90) == pytest.approx(square)


def test_every_square_is_one_and_lies_within_the_picture():
    generator = np.random.default_rng(0)
    for _ in range(2000):
        width, height = generator.integers(1, 500, 2).tolist()
        w, h = (generator.random(2) * 400 + 0.01).tolist()
        x, y = -w + generator.random() * (width + w), -h + generator.random() * (height + h)
        left, top, right, bottom = bird_square((x, y, w, h), width, height)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert right - left == pytest.approx(bottom - top)
        assert right - left <= 1.5 * max(w, h) + 1e-9


def test_the_picture_is_cut_there(folder):
    pixels = np.zeros((90, 120, 3), np.uint8)
    pixels[10:70, 20:50, 0] = pixels[10:70, 50:80, 1] = 255  # red, green: the square of BOX
    pixels[10:40, 20:80, 2] = 255  # blue: its upper half
    Image.fromarray(pixels).save(photo(folder, 1), quality=95, subsampling=0)
    red, green, blue = load_birds(folder, size=64).images[0].astype(int)  # 76 pixels of 60
    assert red[4:-4, 4:34].min() > 200 and red[:, 42:].max() < 60
    assert green[4:-4, 42:-4].min() > 200 and green[:, :34].max() < 60
    assert blue[4:34, 4:-4].min() > 200 and blue[42:].max() < 60


def test_grey_photos_become_rgb(folder):
    Image.new("L", (90, 90), 128).save(photo(folder, 1))
    assert np.abs(load_birds(folder, size=32).images[0].astype(int) - 128).max() <= 2


# The cache

def test_photos_lie_in_the_cache_in_their_order(folder):
    images = load_birds(folder, size=64).images
    for number in (1, 5, 8):
        box = tuple(map(float, BOX.split()))
        assert np.array_equal(images[number - 1], birds.read_photo(photo(folder, number), box, 76))


def test_the_second_load_decodes_and_parses_nothing(folder, monkeypatch):
    first = load_birds(folder, size=32)
    monkeypatch.setattr(birds, "read_photo", None)
    monkeypatch.setattr(photographs, "read_captions", None)
    second = load_birds(folder, size=32)
    assert np.array_equal(first.images, second.images) and first.captions == second.captions


def test_a_changed_folder_is_noticed(folder):
    before = load_birds(folder, size=32)
    Image.new("RGB", (120, 90), (255, 0, 0)).save(photo(folder, 3))
    captions(folder, 4).write_text("another sentence\n" * 10)
    after = load_birds(folder, size=32)
    assert after.images[2, 0].min() > 200 and after.captions[3] == ["another sentence"] * 10
    assert np.array_equal(before.images[3], after.images[3])
    write_table(folder, "bounding_boxes.txt", [BOX] * 3 + ["0.0 0.0 20.0 20.0"] + [BOX] * 4)
    assert not np.array_equal(load_birds(folder, size=32).images[3], after.images[3])


def test_a_half_written_cache_is_not_taken_for_whole(folder, tmp_path):
    whole = np.array(load_birds(folder, size=32).images)
    [file] = cached(tmp_path, "photos*")
    half = file.read_bytes()[: file.stat().st_size // 2]
    left = file.with_name(f".{file.name}.0123456789ab.part")  # as a killed process leaves it
    file.rename(left)
    left.write_bytes(half)
    assert np.array_equal(load_birds(folder, size=32).images, whole) and not left.exists()


def test_an_interrupt_leaves_nothing_half_written(folder, tmp_path, monkeypatch):
    def interrupted(path, box, side):
        if path == photo(folder, 5):
            raise KeyboardInterrupt
        return np.zeros((3, side, side), np.uint8)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(birds, "read_photo", interrupted)
        load_birds(folder, size=32)
    assert cached(tmp_path, "photos*") == []
    assert load_birds(folder, size=32).images[0].any()


# The splits

def test_classes_of_the_test_split_are_never_trained_on():
    classes = torch.arange(200).repeat_interleave(60)
    splits = photographs.class_disjoint_splits("birds", classes, test_share=50 / 200)
    test_classes = set(classes[splits["test"]].tolist())
    assert sorted(test_classes) == PINNED, "the split must be the same in every version"
    assert set(classes[splits["train"]].tolist()) == set(range(200)) - test_classes
    assert set(classes[splits["seen_test"]].tolist()) <= set(range(200)) - test_classes
    assert torch.equal(torch.cat(list(splits.values())).sort().values, torch.arange(200 * 60))
    assert len(splits["seen_test"]) == 450  # 5 % of 150 classes of 60


def test_of_100_000_wrong_pairs_none_shares_its_species(folder):
    birds = load_birds(folder, size=16, split="published")
    pictures = birds.splits["train"][torch.arange(100_000) % 4]
    generator = torch.Generator().manual_seed(0)
    owners, _ = wrong_sentences(birds, birds.splits["train"], pictures, generator)
    species = np.array([name(number).split("/")[0] for number in range(1, 9)])
    assert (species[pictures.numpy()] != species[owners.numpy()]).all()


def test_the_class_disjoint_split_is_the_default(folder):
    data = load_birds(folder, size=16)
    test_classes = set(data.classes[data.splits["test"]].tolist())
    assert set(data.splits) == {"train", "test", "seen_test"} and len(test_classes) == 1
    assert not test_classes & set(data.classes[data.splits["train"]].tolist())


# Bad input

def test_an_unknown_split_is_named(folder):
    with pytest.raises(ValueError, match="'reed'.*class_disjoint, published"):
        load_birds(folder, split="reed")


@pytest.mark.parametrize("data_dir", [None, "nowhere/at all"])
def test_a_missing_folder_is_named(data_dir):
    with pytest.raises(FileNotFoundError) as error:
        load_birds(data_dir)
    for part in ("birds: ", str(data_dir), *birds.PARTS, "vision.caltech.edu", "cvpr2016"):
        assert part in str(error.value)


@pytest.mark.parametrize("part", birds.PARTS)
def test_missing_parts_of_a_folder_are_named(folder, part):
    (folder / part).rename(folder / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"birds: .*: {part} missing in .*my birds;"):
        load_birds(folder)


def test_photos_without_captions_are_named(folder):
    for number in (2, 7):
        captions(folder, number).unlink()
    named = "2 of 8 pictures in .*text_c10: 003.Wren/Bird_0002_77.txt, 001.Auk/Bird_0007_77.txt$"
    with pytest.raises(FileNotFoundError, match="birds: captions missing for " + named):
        load_birds(folder)


def test_missing_photos_are_named(folder, tmp_path):
    photo(folder, 8).unlink()
    named = "1 of 8 pictures in .*images: 003.Wren/Bird_0008_77.jpg$"
    with pytest.raises(FileNotFoundError, match="birds: photos missing for " + named):
        load_birds(folder)
    assert cached(tmp_path, "photos*") == []


@pytest.mark.parametrize("lines", [9, 11])
def test_a_file_of_other_than_ten_captions_is_named(folder, lines):
    captions(folder, 4).write_text("a bird\n" * lines)
    with pytest.raises(ValueError, match=f"birds: .*_0004_77.txt has {lines} lines, expected 10"):
        load_birds(folder)


def test_an_empty_sentence_is_named(folder):
    captions(folder, 4).write_text("a bird\n" * 6 + " \n" + "a bird\n" * 3)
    with pytest.raises(ValueError, match="birds: .*_0004_77.txt, line 7: empty sentence"):
        load_birds(folder)


@pytest.mark.parametrize("box", ["120.0 20.0 40.0 40.0", "30.0 90.0 40.0 40.0",
                                 "-40.0 20.0 40.0 40.0", "30.0 -40.5 40.0 40.0"])
def test_a_box_outside_the_picture_is_named_and_nothing_half_written_stays(folder, tmp_path, box):
    write_table(folder, "bounding_boxes.txt", [BOX] * 4 + [box] + [BOX] * 3)
    with pytest.raises(ValueError) as error:
        load_birds(folder)
    for part in ("birds: ", "Bird_0005_77.jpg", box.replace(" ", ", "), "120 by 90 pixels"):
        assert part in str(error.value)
    assert cached(tmp_path, "photos*") == []


@pytest.mark.parametrize("box", ["30 20 0 40", "30 20 40 -1", "30 20 nan 40", "inf 20 40 40",
                                 "30 20 40", "30 20 40 40 40", "30 20 forty 40"])
def test_a_box_that_is_none_is_named_with_its_line(folder, box):
    write_table(folder, "bounding_boxes.txt", [BOX] * 4 + [box] + [BOX] * 3)
    expected = f"bounding_boxes.txt, line 5: found '5 {box}', expected .*height above 0"
    with pytest.raises(ValueError, match=expected):
        load_birds(folder)


@pytest.mark.parametrize(("file", "row"), [
    ("images.txt", ""), ("image_class_labels.txt", "Auk"), ("image_class_labels.txt", "1 2"),
    ("train_test_split.txt", "2"), ("train_test_split.txt", "True"), ("classes.txt", "")])
def test_a_broken_line_is_named(folder, file, row):
    lines = (folder / file).read_text().splitlines()
    (folder / file).write_text("\n".join([*lines[:1], f"2 {row}", *lines[2:]]))
    with pytest.raises(ValueError, match=f"birds: .*{file}, line 2: found '2 {row}', expected an?"):
        load_birds(folder)


@pytest.mark.parametrize(
    "file", ["image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt"])
def test_ids_that_do_not_agree_are_named(folder, file):
    rows = [line.split(maxsplit=1)[1] for line in (folder / file).read_text().splitlines()]
    write_table(folder, file, rows[:-1])
    with pytest.raises(ValueError, match=rf"{file} has 7 ids, .* missing \['8'\], unknown \[\]"):
        load_birds(folder)
    write_table(folder, file, rows, first=2)
    with pytest.raises(ValueError, match=rf"{file} has 8 ids, .*\['1'\], unknown \['9'\]"):
        load_birds(folder)
    write_table(folder, file, rows)
    with open(folder / file, "a") as lines:
        lines.write(f"3 {rows[2]}\n")
    with pytest.raises(ValueError, match=f"{file}, line 9: found '3 .* every id once"):
        load_birds(folder)


def test_an_empty_table_is_named(folder):
    (folder / "images.txt").write_text("")
    with pytest.raises(ValueError, match="images.txt has 0 ids, expected .* at least one"):
        load_birds(folder)


@pytest.mark.parametrize(("label", "called"), [(2, "'002.Jay'"), (0, "None"), (4, "None")])
def test_a_class_that_is_not_the_folders_is_named(folder, label, called):
    write_table(folder, "image_class_labels.txt", [label, *LABELS[1:]])
    named = f"class_labels.txt: found .*001.Auk/Bird_0001_77.jpg of class {label}, {called}, exp"
    with pytest.raises(ValueError, match=named):
        load_birds(folder)


def test_a_truncated_photo_is_named_and_nothing_half_written_stays(folder, tmp_path):
    whole = photo(folder, 6).read_bytes()
    photo(folder, 6).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="birds: cannot read photo .*_0006_77.jpg: .*truncated"):
        load_birds(folder, size=32)
    assert cached(tmp_path, "photos*") == []
    photo(folder, 6).write_bytes(whole)
    assert load_birds(folder, size=32).images.shape == (8, 3, 38, 38)


# The real set, where it is there

@pytest.fixture(scope="module")
def real():
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "CUB_200_2011"
    folder = Path(os.environ.get("T2I_BIRDS") or beside)
    if not (folder / "text_c10").is_dir():
        pytest.skip(f"no CUB-200-2011 at {folder}: set T2I_BIRDS to its folder")
    return folder


def test_the_real_set_is_whole(real):
    data = load_birds(real, size=16)
    published = load_birds(real, size=16, split="published").splits
    assert len(data.images) == len(data.captions) == 11_788
    assert data.classes.unique().tolist() == list(range(200))
    assert {split: len(pictures) for split, pictures in published.items()} == {
        "train": 5994, "test": 5794}
    assert len(data.classes[data.splits["test"]].unique()) == 50
