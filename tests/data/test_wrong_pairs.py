"""A wrong sentence is never of its picture's class, and never true of its picture."""

import numpy as np
import pytest
import torch

from t2i_utils.data.blooms import ATTRIBUTES, NAMES, load_blooms, parse
from t2i_utils.data.captioned import Batches, CaptionedImages, wrong_sentences


def data_of(classes, attributes=None, named=None, k=4):
    n = len(classes)
    return CaptionedImages(
        name="toy",
        images=np.zeros((n, 3, 4, 4), np.uint8),
        captions=[[f"a flower like {i}"] * k for i in range(n)],
        classes=torch.tensor(classes),
        class_names=[f"class {c}" for c in range(max(classes) + 1)],
        splits={"train": torch.arange(n), "test": torch.arange(0)},
        crop=4,
        flip=True,
        attributes=attributes,
        named=named,
    )


def blooms_like(n=300, k=4):
    """Attributes of which the first two make the class; sentences name each with probability ½."""
    generator = torch.Generator().manual_seed(0)
    attributes = torch.randint(3, (n, 4), generator=generator)
    silent = torch.rand(n, k, 4, generator=generator) < 0.5
    named = attributes[:, None].expand(n, k, 4).masked_fill(silent, -1)
    return data_of((attributes[:, 0] * 3 + attributes[:, 1]).tolist(), attributes, named)


def assert_wrong(data, pictures, owners, numbers):
    """No wrong sentence of the picture's class, none true of it: one by one, in plain numbers."""
    classes = data.classes.tolist()
    for picture, owner, number in zip(pictures.tolist(), owners.tolist(), numbers.tolist(),
                                      strict=True):
        assert classes[picture] != classes[owner], f"{picture} and {owner} share a class"
        if data.attributes is not None:
            has, names = data.attributes[picture].tolist(), data.named[owner, number].tolist()
            assert any(b not in (-1, a) for a, b in zip(has, names, strict=True)), (
                f"sentence {number} of {owner} is true of {picture}")


def drawn(data, count, seed=0):
    train = data.splits["train"]
    pictures = train[torch.arange(count) % len(train)]
    return pictures, *wrong_sentences(data, train, pictures, torch.Generator().manual_seed(seed))


# Careless samplers, as found in published implementations. The assertion must catch each.

def the_neighbour_in_the_batch(data, pictures):
    return pictures.roll(1), torch.zeros_like(pictures)


def another_object(data, pictures):
    """Compares class objects: `data.classes[i]` is a new tensor each time, so all "differ"."""
    owners = [next(j for j in range(len(data.classes))
                   if data.classes[j] is not data.classes[i]) for i in pictures.tolist()]
    return torch.tensor(owners), torch.zeros_like(pictures)


def another_class(data, pictures):
    """Looks at the class alone, not at what the sentence says."""
    owners = [next(j for j in torch.randperm(len(data.classes)).tolist()
                   if data.classes[j] != data.classes[i]) for i in pictures.tolist()]
    return torch.tensor(owners), torch.zeros_like(pictures)


@pytest.mark.parametrize(("careless", "data", "named"), [
    (the_neighbour_in_the_batch, data_of([0, 1] + [2, 2] * 10), "share a class"),
    (another_object, data_of([0, 1, 2] * 10), "share a class"),
    (another_class, blooms_like(), "is true of"),
])
def test_careless_samplers_are_caught(careless, data, named):
    pictures = data.splits["train"]
    with pytest.raises(AssertionError, match=named):
        assert_wrong(data, pictures, *careless(data, pictures))


def test_classes_are_compared_by_value():
    data = data_of([int(f"{1000 + i % 3}") for i in range(30)])  # equal ids, different objects
    assert_wrong(data, *drawn(data, 3000))


def test_wrong_sentences_are_untrue_where_attributes_are_known():
    data = blooms_like()
    assert_wrong(data, *drawn(data, 20_000))


def test_owners_and_sentences_vary_and_stay_in_the_split():
    data = data_of([0, 1, 2, 3] * 10)
    train = torch.arange(4, 30)
    pictures = torch.full((5000,), 4)
    owners, numbers = wrong_sentences(data, train, pictures, torch.Generator().manual_seed(0))
    assert set(owners.tolist()) == {i for i in range(4, 30) if i % 4}
    assert set(numbers.tolist()) == {0, 1, 2, 3}


def test_a_single_wrong_owner_is_found():
    data = data_of([0] * 700 + [1] + [0] * 700)  # 20 random draws would mostly miss it
    pictures, owners, _ = drawn(data, 20)
    assert owners.tolist() == [700] * 20


@pytest.mark.parametrize("data", [
    data_of([1] * 10),
    data_of([0, 1] * 5, torch.zeros(10, 2).long(), torch.full((10, 4, 2), -1)),
])
def test_a_split_without_wrong_sentences_is_named(data):
    with pytest.raises(ValueError, match="split 'train' has no 1 wrong sentences for picture 0"):
        drawn(data, 5)


@pytest.mark.parametrize("mean_of", [1, 3])
def test_batches_hold_wrong_pairs_only(mean_of):
    data = blooms_like(n=60)
    table = torch.eye(240).view(60, 4, 240)  # one dimension a sentence: a mean tells its parts
    batches = Batches(data, table, "train", 32, seed=0, mean_of=mean_of)
    for batch in (batches[step] for step in range(20)):
        assert_wrong(data, batch.pictures, batch.wrong_pictures, batch.wrong_sentences)
        rows, sentence = batch.wrong_embedding.nonzero(as_tuple=True)
        assert len(rows) == 32 * mean_of
        assert_wrong(data, batch.pictures[rows], sentence // 4, sentence % 4)


def near(data, table, of, size=256):
    batches = Batches(data, table, "train", size, seed=0, near_misses=of)
    return [batches[step] for step in range(8)]


def test_near_misses_are_wrong_and_near():
    """They are wrong as all are, agree with the picture in more, and the pictures stay the same."""
    data = blooms_like(n=600)
    table = torch.nn.functional.one_hot(data.named + 1, 4)[..., 1:].flatten(2).float() - 0.1
    alike, violated, pictures = {}, {}, {}
    for of in (1, 2, 16):
        batches = near(data, table, of)
        for batch in batches:
            assert_wrong(data, batch.pictures, batch.wrong_pictures, batch.wrong_sentences)
            own = table[batch.wrong_pictures, batch.wrong_sentences]
            torch.testing.assert_close(batch.wrong_embedding, own)
        untrue = [((named := data.named[b.wrong_pictures, b.wrong_sentences]) >= 0)
                  & (named != b.attributes) for b in batches]
        violated[of] = torch.cat(untrue).sum(1).float().mean().item()
        alike[of] = torch.cat([torch.cosine_similarity(b.embedding, b.wrong_embedding)
                               for b in batches]).mean().item()
        pictures[of] = torch.cat([b.pictures for b in batches])
    assert violated[1] > 1.5 > 1.3 > violated[16], violated
    assert alike[1] + 0.05 < alike[2] and alike[2] + 0.1 < alike[16], alike
    assert torch.equal(pictures[1], pictures[16])


def test_a_near_miss_is_the_nearest_of_those_that_are_wrong():
    """Of all sentences, where all are drawn: checked by going through them one by one."""
    data = blooms_like(n=12)
    table = torch.randn(12, 4, 8, generator=torch.Generator().manual_seed(1))
    batch = near(data, table, 20_000, 12)[0]
    for i, picture in enumerate(batch.pictures.tolist()):
        has, best = data.attributes[picture].tolist(), (-2.0, None)
        for owner in range(12):
            for number in range(4):
                names = data.named[owner, number].tolist()
                untrue = any(b not in (-1, a) for a, b in zip(has, names, strict=True))
                if untrue and data.classes[owner] != data.classes[picture]:
                    cosine = torch.cosine_similarity(batch.embedding[i], table[owner, number], 0)
                    best = max(best, (cosine.item(), (owner, number)))
        assert best[1] == (int(batch.wrong_pictures[i]), int(batch.wrong_sentences[i]))


def test_near_misses_of_photographs_are_of_another_class():
    data = data_of([0, 1, 2] * 40)
    table = torch.randn(120, 4, 8, generator=torch.Generator().manual_seed(1))
    for batch in near(data, table, 16, 60):
        assert_wrong(data, batch.pictures, batch.wrong_pictures, batch.wrong_sentences)


@pytest.mark.parametrize(("of", "mean_of"), [(0, 1), (-3, 1), (16, 2)])
def test_near_misses_are_a_number_and_single_sentences(of, mean_of):
    data = blooms_like(n=60)
    with pytest.raises(ValueError, match=f"toy: near_misses {of}"):
        Batches(data, torch.ones(60, 4, 2), "train", 4, 0, mean_of=mean_of, near_misses=of)


def test_of_100_000_wrong_pairs_of_blooms_none_is_right():
    data = load_blooms(400, 16)
    pictures, owners, numbers = drawn(data, 100_000)
    assert (data.classes[pictures] != data.classes[owners]).all()
    named = data.named[owners, numbers]
    assert ((named >= 0) & (named != data.attributes[pictures])).any(1).all()
    for picture, owner, number in zip(pictures[:2000].tolist(), owners.tolist(), numbers.tolist(),
                                      strict=False):  # by what the sentence says, read again
        has = dict(zip(NAMES, data.attributes[picture].tolist(), strict=True))
        says = parse(data.captions[owner][number])
        assert any(ATTRIBUTES[k].index(value) != has[k] for k, value in says.items())
