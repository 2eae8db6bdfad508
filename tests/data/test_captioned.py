"""Pictures, sentences, and batches that are a function of (seed, step) alone."""

import json
from dataclasses import fields

import numpy as np
import pytest
import torch

from t2i_utils.data.blooms import load_blooms
from t2i_utils.data.captioned import Batches, CaptionedImages, to_bytes, to_unit


def some_data(n=10, side=8, crop=5, k=3, **changed):
    """Pictures whose every pixel differs from its neighbours; channel 0 tells the picture."""
    images = np.random.default_rng(0).integers(0, 256, (n, 3, side, side), dtype=np.uint8)
    images[:, 0] = np.arange(n)[:, None, None]
    options = {
        "name": "toy",
        "images": images,
        "captions": [[f"sentence {j} of picture {i}" for j in range(k)] for i in range(n)],
        "classes": torch.arange(n) % 3,
        "class_names": [f"class {c}" for c in range(3)],
        "splits": {"train": torch.arange(n), "test": torch.arange(0)},
        "crop": crop,
        "flip": True,
    }
    return CaptionedImages(**options | changed)


def embeddings_of(data, dim=4):
    shape = (len(data.images), data.sentences_each, dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).half()


def same(a, b):
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name))
               for f in fields(a) if getattr(a, f.name) is not None)


def test_bytes_survive_the_way_to_the_networks_and_back():
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert to_unit(every).min() == -1 and to_unit(every).max() == 1
    assert torch.equal(to_bytes(to_unit(every)), every)
    assert torch.equal(to_unit(every.numpy()), to_unit(every))
    assert to_bytes(torch.tensor([-1.5, 0.0, 1.5])).tolist() == [0, 128, 255]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_to_unit_leaves_what_it_is_given(dtype):
    given = torch.arange(256).to(dtype)
    unchecked = getattr(to_unit, "__wrapped__", to_unit)  # its annotation asks for bytes
    found = unchecked(given)
    assert torch.equal(given, torch.arange(256).to(dtype)) and found.dtype == torch.float32
    assert torch.equal(found, to_unit(torch.arange(256, dtype=torch.uint8)))


@pytest.mark.parametrize(("changed", "named"), [
    ({"images": np.zeros((10, 8, 8, 3), np.uint8)}, r"\(10, 8, 8, 3\).*\[N, 3, S, S\]"),
    ({"images": np.zeros((10, 3, 8, 8), np.float32)}, "float32.*uint8"),
    ({"crop": 9}, "crop 9"),
    ({"classes": torch.zeros(9, dtype=torch.int64)}, r"\(9,\).*\(10,\)"),
    ({"classes": torch.full((10,), 3)}, "3 to 3.*3 class names"),
    ({"classes": torch.full((10,), -1)}, "-1 to -1"),
    ({"captions": [["a flower"]] * 9}, "9 pictures of 10"),
    ({"captions": [["a", "b"]] * 9 + [["a"]]}, "picture 9 has 1 sentences.*2"),
    ({"captions": [["a"]] * 4 + [[" "]] + [["a"]] * 5}, "picture 4: empty sentence"),
    ({"captions": [[]] * 10}, "picture 0 has 0 sentences"),
    ({"splits": {"train": torch.arange(10)}}, "'train'.*'test'"),
    ({"splits": {"train": torch.arange(11), "test": torch.arange(0)}}, "'train' has picture 10"),
    ({"splits": {"train": torch.arange(6), "test": torch.arange(5, 9)}},
     "picture 5 is in split 'test' and already in 'train'"),
    ({"attributes": torch.zeros(10, 2, dtype=torch.int64)}, "attributes and named"),
    ({"attributes": torch.zeros(10, 2, dtype=torch.int64),
      "named": torch.zeros(10, 2, 2, dtype=torch.int64)}, r"\(10, 2, 2\), expected.*\(10, 3, A\)"),
])
def test_what_does_not_fit_is_named(changed, named):
    data = some_data()
    vars(data).update(changed)  # past the shape annotations, which only tests enforce
    with pytest.raises(ValueError, match=named):
        data.__post_init__()


def test_data_and_batches_say_what_they_are_in_a_line():
    data = some_data()
    assert repr(data) == ("CaptionedImages(toy: 10 pictures of 8 × 8, crop 5, 3 sentences each; "
                          "train 10, test 0)")
    batch = Batches(data, embeddings_of(data), "train", 4, seed=0)[0]
    assert repr(batch) == (
        "Batch(images [4, 3, 5, 5], pictures [4], embedding [4, 4], wrong_embedding [4, 4], "
        "sentences [4], wrong_pictures [4], wrong_sentences [4], rivals [4, 4])")


def identity(data_changes=(), embeddings=4, **changed):
    data = some_data(**dict(data_changes))
    table = embeddings_of(data, embeddings) if embeddings else None
    options = {"split": "train", "batch_size": 4, "seed": 0, "mean_of": 1} | changed
    return Batches(data, table, **options).identity


def test_batches_of_the_same_settings_are_known_again():
    assert identity() == json.loads(json.dumps(identity())) == {
        "data": "toy", "origin": "", "pictures": 10, "side": 8, "crop": 5, "flip": True,
        "sentences": 3, "split": "train", "split_pictures": 10, "batch_size": 4, "seed": 0,
        "mean_of": 1, "near_misses": 1, "embeddings": "(10, 3, 4)"}
    batches = Batches(some_data(), None, "train", 4, seed=0)
    batches.seed, batches.batch_size = np.int64(7), np.int64(2)  # past the annotations
    assert json.loads(json.dumps(batches.identity)) == batches.identity
    with pytest.raises(AttributeError):
        batches.identity = {}


@pytest.mark.parametrize(("names", "changed"), [
    ("data", {"data_changes": {"name": "other"}}),
    ("origin", {"data_changes": {"origin": "seed=1"}}),
    ("pictures split_pictures embeddings", {"data_changes": {"n": 11}}),
    ("side", {"data_changes": {"side": 9}}),
    ("crop", {"data_changes": {"crop": 6}}),
    ("flip", {"data_changes": {"flip": False}}),
    ("sentences embeddings", {"data_changes": {"k": 2}}),
    ("split", {"split": "all", "data_changes": {"splits": {
        "train": torch.arange(0), "test": torch.arange(0), "all": torch.arange(10)}}}),
    ("split_pictures", {"data_changes": {"splits": {
        "train": torch.arange(9), "test": torch.arange(0)}}}),
    ("batch_size", {"batch_size": 5}),
    ("seed", {"seed": 1}),
    ("mean_of", {"mean_of": 2}),
    ("embeddings", {"embeddings": 5}),
    ("embeddings", {"embeddings": None}),
])  # fmt: skip
def test_another_setting_is_another_identity(names, changed):
    one, other = identity(), identity(**changed)
    assert {name for name in one if one[name] != other[name]} == set(names.split())


def test_blooms_of_another_seed_are_other_data():
    of = [load_blooms(40, 8, seed).origin for seed in (0, 1, 0)]
    assert of[0] == of[2] != of[1] and of[0].startswith("n=40, size=8, seed=0, version ")


def test_equal_sentences_are_encoded_once():
    data = some_data(n=4, k=2, captions=[["a", "b"], ["b", "c"], ["c", "c"], ["a", "d"]])
    asked = []

    def encode(sentences):
        asked.append(sentences)
        return torch.tensor([[float(ord(s)), 0.5] for s in sentences])

    table = data.encode(encode, chunk=3)
    assert asked == [["a", "b", "c"], ["d"]]
    assert table.shape == (4, 2, 2) and table.dtype == torch.float16
    assert table[..., 0].tolist() == [[97, 98], [98, 99], [99, 99], [97, 100]]


@pytest.mark.parametrize(("answer", "named"), [
    (lambda s: torch.zeros(len(s) + 1, 2), r"\(31, 2\) for 30"),
    (lambda s: torch.zeros(len(s)), r"\(30,\) for 30"),
    (lambda s: torch.full((len(s), 2), 1e5), "float16"),
])
def test_an_encoder_that_answers_wrongly_is_refused(answer, named):
    with pytest.raises(ValueError, match=named):
        some_data().encode(answer)


def test_truth_is_what_the_sentence_names():
    attributes = torch.tensor([[1, 2], [1, 3], [0, 3], [1, 2]])
    named = torch.tensor([[[1, 2], [1, -1]], [[-1, 3], [-1, -1]], [[0, -1], [0, 3]],
                          [[1, 2], [1, 2]]])
    data = some_data(n=4, k=2, attributes=attributes, named=named)
    true = data.is_true(torch.tensor([0, 1, 1, 2, 2]), torch.tensor([0, 0, 0, 1, 0]),
                        torch.tensor([0, 0, 1, 1, 1]))
    assert true.tolist() == [True, False, True, True, False]


def test_without_attributes_a_sentence_of_the_class_may_be_true():
    data = some_data()
    true = data.is_true(torch.tensor([0, 0]), torch.tensor([3, 4]), torch.tensor([0, 0]))
    assert true.tolist() == [True, False]


def rivals_one_by_one(data, pictures, numbers):
    """By the rule of the wrong pairs, in plain numbers: row = picture, column = sentence."""
    def untrue(picture, owner, number):
        if data.attributes is None:
            return data.classes[picture].item() != data.classes[owner].item()
        has, names = data.attributes[picture].tolist(), data.named[owner, number].tolist()
        return any(b not in (-1, a) for a, b in zip(has, names, strict=True))

    owners = [*zip(pictures.tolist(), numbers.tolist(), strict=True)]
    return [[untrue(picture, *owner) for owner in owners] for picture in pictures.tolist()]


def test_rivals_by_hand():
    """Sentence 0 is true of its own picture alone, sentence 1 of both: "a red flower"."""
    attributes, named = torch.tensor([[1, 2], [1, 3]]), torch.tensor([[[1, 2]], [[1, -1]]])
    data = some_data(n=2, k=1, attributes=attributes, named=named)
    rivals = data.rivals(torch.tensor([0, 1]), torch.tensor([0, 0]))
    assert rivals.tolist() == [[False, False], [True, False]]
    assert data.rivals(torch.tensor([1, 0]), torch.tensor([0, 0])).tolist() == [[False, True],
                                                                                [False, False]]


@pytest.mark.parametrize("kind", ["blooms", "classes"])
def test_rivals_are_the_sentences_that_are_not_true(kind):
    data = load_blooms(80, 8) if kind == "blooms" else some_data()
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(len(data.images), (40,), generator=generator)
    numbers = torch.randint(data.sentences_each, (40,), generator=generator)
    assert len(pictures.unique()) < 40, "a picture that is there twice is not its own rival"
    rivals = data.rivals(pictures, numbers)
    assert rivals.dtype == torch.bool
    assert rivals.tolist() == rivals_one_by_one(data, pictures, numbers)
    assert not rivals.diagonal().any() and rivals.any()
    assert not rivals[pictures[:, None] == pictures].any()
    assert torch.equal(rivals, rivals.T) == (kind == "classes")


@pytest.mark.parametrize("kind", ["blooms", "classes"])
def test_a_batch_has_the_rivals_of_its_own_right_sentences(kind):
    data = load_blooms(80, 8) if kind == "blooms" else some_data()
    split, size = data.splits["train"], min(len(data.splits["train"]), 24)
    batches = Batches(data, embeddings_of(data), "train", size, seed=0)
    different = 0
    for batch in (batches[step] for step in range(4)):
        assert batch.rivals.shape == (size, size) and torch.isin(batch.pictures, split).all()
        expected = rivals_one_by_one(data, batch.pictures, batch.sentences)
        assert batch.rivals.tolist() == expected
        different += expected != rivals_one_by_one(data, batch.pictures.roll(1), batch.sentences)
    assert different == 4
    assert Batches(data, None, "train", 4, seed=0)[0].rivals is None
    averaged = Batches(data, embeddings_of(data), "train", size, seed=0, mean_of=2)[1]
    assert averaged.rivals.tolist() == rivals_one_by_one(data, averaged.pictures,
                                                         averaged.sentences)


def test_a_batch_depends_on_seed_and_step_alone():
    data = some_data()
    first = Batches(data, embeddings_of(data), "train", 4, seed=1)
    forward = [first[step] for step in range(6)]
    again = Batches(data, embeddings_of(data), "train", 4, seed=1)
    torch.manual_seed(99)  # the global generator has no say
    backward = [again[step] for step in reversed(range(6))][::-1]
    assert all(map(same, forward, backward))
    other = Batches(data, embeddings_of(data), "train", 4, seed=2)
    for drawn in ("pictures", "sentences", "wrong_pictures"):  # each by the seed
        one, two = ([getattr(b[step], drawn).tolist() for step in range(6)] for b in (first, other))
        assert one != two


@pytest.mark.parametrize("batch_size", [3, 4, 10, 25])
def test_every_picture_once_per_epoch(batch_size):
    data = some_data(splits={"train": torch.tensor([9, 1, 3, 4, 7, 0, 2]), "test": torch.arange(0)})
    batches = Batches(data, embeddings_of(data), "train", batch_size, seed=0)
    drawn = torch.cat([batches[step].pictures for step in range(50)])
    epochs = drawn[: len(drawn) // 7 * 7].view(-1, 7)
    assert torch.equal(epochs.sort(1).values,
                       torch.tensor([0, 1, 2, 3, 4, 7, 9]).expand_as(epochs))
    assert not torch.equal(epochs[0], epochs[1])


def windows(picture, crop, mirrored):
    """Every crop x crop window of a picture, as bytes, by its corner."""
    places = range(picture.shape[-1] - crop + 1)
    flips = slice(None, None, -1 if mirrored else 1)
    return {picture[:, y : y + crop, x : x + crop][:, :, flips].tobytes(): (y, x)
            for y in places for x in places}


@pytest.mark.parametrize("flip", [True, False])
def test_images_are_crops_of_their_own_pictures(flip):
    data = some_data(flip=flip)
    batches = Batches(data, embeddings_of(data), "train", 10, seed=0)
    seen = {True: set(), False: set()}
    for step in range(30):
        batch = batches[step]
        assert batch.images.shape == (10, 3, 5, 5) and batch.images.dtype == torch.float32
        for image, picture in zip(to_bytes(batch.images).numpy(), batch.pictures, strict=True):
            found = [(mirrored, at.get(image.tobytes())) for mirrored in (True, False)
                     for at in [windows(data.images[picture], 5, mirrored)]
                     if image.tobytes() in at]
            assert len(found) == 1
            seen[found[0][0]].add(found[0][1])
    everywhere = {(y, x) for y in range(4) for x in range(4)}
    assert seen[False] == everywhere
    assert seen[True] == (everywhere if flip else set())


def test_pictures_of_the_crops_size_stay_whole():
    data = some_data(crop=8, flip=False)
    batch = Batches(data, embeddings_of(data), "train", 10, seed=0)[0]
    assert np.array_equal(to_bytes(batch.images).numpy(), data.images[batch.pictures.numpy()])


def test_memory_mapped_pictures_give_the_same_batches(tmp_path):
    data = some_data()
    np.save(tmp_path / "images.npy", data.images)
    mapped = some_data(images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    one, other = (Batches(d, embeddings_of(d), "train", 4, seed=0)[3] for d in (data, mapped))
    assert same(one, other)


def test_embeddings_are_those_of_the_sentences():
    data = some_data()
    table = embeddings_of(data)
    batches = Batches(data, table, "train", 10, seed=0)
    numbers = set()
    for batch in (batches[step] for step in range(10)):
        assert torch.equal(batch.embedding, table[batch.pictures, batch.sentences].float())
        wrong = table[batch.wrong_pictures, batch.wrong_sentences].float()
        assert torch.equal(batch.wrong_embedding, wrong)
        numbers |= {*batch.sentences.tolist()}
    assert numbers == {0, 1, 2}


def test_the_mean_is_over_different_sentences_of_one_picture():
    data = some_data(k=5)
    table = torch.eye(50).view(10, 5, 50)  # one dimension a sentence
    batch = Batches(data, table, "train", 10, seed=0, mean_of=4)[0]
    for embedding, pictures in [(batch.embedding, batch.pictures),
                                (batch.wrong_embedding, batch.wrong_pictures)]:
        shares = embedding.view(10, 10, 5)[torch.arange(10), pictures]
        assert shares.sort(1).values.tolist() == [[0, 0.25, 0.25, 0.25, 0.25]] * 10


def test_a_batch_moves_as_a_whole():
    data = some_data(attributes=torch.arange(20).view(10, 2), named=torch.zeros(10, 3, 2).long())
    batch = Batches(data, embeddings_of(data), "train", 4, seed=0)[0]
    assert torch.equal(batch.attributes, data.attributes[batch.pictures])
    moved = batch.to("cpu", torch.channels_last)
    assert same(batch, moved) and moved.images.is_contiguous(memory_format=torch.channels_last)
    assert all(getattr(batch.to("meta"), f.name).is_meta for f in fields(batch))
    plain = some_data()
    assert Batches(plain, embeddings_of(plain), "train", 4, seed=0)[0].to("cpu").attributes is None


@pytest.mark.parametrize(("changed", "named"), [
    ({"split": "valid"}, "'valid'.*'train'"),
    ({"split": "test"}, "'test' of 0 pictures"),
    ({"batch_size": 0}, "batch_size 0"),
    ({"mean_of": 4}, "mean_of 4, expected 1 to 3"),
    ({"embeddings": torch.zeros(10, 2, 4)}, r"\(10, 2, 4\), expected \(10, 3, T\)"),
])
def test_what_makes_no_batches_is_named(changed, named):
    data = some_data()
    options = {"embeddings": embeddings_of(data), "split": "train", "batch_size": 4, "seed": 0}
    with pytest.raises(ValueError, match=named):
        Batches(data, **options | changed)


def test_there_is_no_step_before_the_first():
    data = some_data()
    with pytest.raises(IndexError, match="-1"):
        Batches(data, embeddings_of(data), "train", 4, seed=0)[-1]


def test_without_embeddings_a_batch_is_its_pictures():
    data = some_data()
    whole = Batches(data, embeddings_of(data), "train", 4, seed=0)
    alone = Batches(data, None, "train", 4, seed=0)
    for step in (0, 3):
        assert torch.equal(alone[step].images, whole[step].images)
        assert torch.equal(alone[step].pictures, whole[step].pictures)
    batch = alone[0].to("cpu")
    about_sentences = ("embedding", "wrong_embedding", "sentences", "wrong_pictures", "rivals")
    assert all(getattr(batch, name) is None for name in about_sentences)
