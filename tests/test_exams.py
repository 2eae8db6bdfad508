"""Exams: sentences about what was not in training, and floor, parrot and ceiling as they say."""

import dataclasses
import functools
import importlib.util
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from t2i_utils.data import blooms, grammar
from t2i_utils.data.blooms import ATTRIBUTES, CLASS_ATTRIBUTES, NAMES
from t2i_utils.data.captioned import CaptionedImages, to_bytes
from t2i_utils.data.grammar import DETAILS, NAMED, words_of
from t2i_utils.metrics import blooms_exam, exams, photographs_exam

THREE = [NAMES.index(name) for name in CLASS_ATTRIBUTES]
SIDE, NUMBER = 16, 120


@functools.cache
def direction(word):
    return torch.randn(24, generator=torch.Generator().manual_seed(zlib.crc32(word.encode())))


def encode(sentences):
    """A bag of words: each has a direction of its own."""
    return torch.stack([sum(map(direction, words_of(sentence))) for sentence in sentences])


@pytest.fixture(scope="module")
def data():
    return blooms.load_blooms(300, SIDE)


@pytest.fixture(scope="module")
def exam(data):
    return blooms_exam(data, encode, NUMBER, held_out=0.25)


@pytest.fixture
def drawn(monkeypatch):
    """The flowers and the styles that `render` was given, in its order."""
    kept, render = SimpleNamespace(flowers=[], styles=[]), blooms.render

    def keep(attributes, style, size):
        kept.flowers.append(attributes), kept.styles.append(style)
        return render(attributes, style, size)

    monkeypatch.setattr(blooms, "render", keep)
    return kept


def everything(exam):
    return torch.arange(len(exam))


def classes_of(flowers):
    combinations = [tuple(ATTRIBUTES[k].index(v) for k, v in zip(CLASS_ATTRIBUTES, c, strict=True))
                    for c in blooms.all_classes()]  # fmt: skip
    return {combinations.index(tuple(row)) for row in flowers[:, THREE].tolist()}


# ---- the sentences ----------------------------------------------------------------------------


def test_every_sentence_names_a_combination_that_never_occurs_in_training(exam, data):
    assert (exam.asked[:, THREE] >= 0).all()
    assert classes_of(exam.asked) == set(blooms.unseen_classes())
    assert not classes_of(exam.asked) & classes_of(data.attributes[data.splits["train"]])


def test_what_is_asked_is_what_the_sentence_says(exam):
    assert len(exam) == NUMBER == len(exam.asked) == len(exam.grammars) == len(exam.parrot)
    for sentence, asked in zip(exam.sentences, exam.asked.tolist(), strict=True):
        assert blooms.to_row(blooms.parse(sentence)) == asked, sentence


def test_the_share_of_the_held_out_grammar_is_the_one_that_was_asked_for(exam):
    assert exam.grammars.count("held_out") == NUMBER // 4
    assert exam.grammars.count("training") == NUMBER * 3 // 4
    half = exam.grammars[: NUMBER // 2].count("held_out")
    assert NUMBER // 16 < half < NUMBER * 3 // 16, "any part of the exam is a mixture"


@pytest.mark.parametrize("held_out", [0, 0.5, 1])
def test_a_sentence_is_of_the_grammar_that_stands_beside_it(data, monkeypatch, held_out):
    written, write = {"training": set(), "held_out": set()}, blooms.write_sentences

    def keep(flowers, seed, grammar):
        sentences, named = write(flowers, seed, grammar)
        written[grammar] |= {sentence for own in sentences for sentence in own}
        return sentences, named

    monkeypatch.setattr(blooms, "write_sentences", keep)
    exam = blooms_exam(data, encode, 6, held_out=float(held_out))
    assert exam.grammars.count("held_out") == 6 * held_out
    for sentence, own in zip(exam.sentences, exam.grammars, strict=True):
        (other,) = written.keys() - {own}
        assert sentence in written[own] - written[other]


def test_the_seed_alone_decides(data):
    first, again, other = (blooms_exam(data, encode, 16, seed=seed) for seed in (1, 1, 2))
    rows = everything(first)
    assert first.sentences == again.sentences and torch.equal(first.asked, again.asked)
    assert np.array_equal(first.memory, again.memory) and torch.equal(first.parrot, again.parrot)
    assert torch.equal(first.ceiling(rows, 5), again.ceiling(rows, 5))
    assert torch.equal(first.reference(rows), again.reference(rows))
    assert not set(first.sentences) & set(other.sentences)
    assert (first.asked == other.asked)[:, THREE].all(1).sum() < 6, "of other flowers, too"
    assert not np.array_equal(first.memory, other.memory)
    assert not torch.equal(first.reference(rows), other.reference(rows))


def test_the_face_says_what_a_number_would_hide(data):
    exam = blooms_exam(data, encode, 10, held_out=0.5, seed=3, memory=77)
    for words in ("16 px", "10 sentences", "20 withheld", "5 of them in the held-out grammar",
                  "77 training pictures", data.origin, "seed 3"):  # fmt: skip
        assert words in exam.face
    assert len(exam.memory) == 77 and exam.known


def test_photographs_are_no_blooms(data):
    blind = dataclasses.replace(data, attributes=None, named=None)
    with pytest.raises(ValueError, match=r"blooms: found no attributes; expected Blooms \(photo"):
        blooms_exam(blind, encode, 4)


# ---- the parrot -------------------------------------------------------------------------------


def places_of(memory, data):
    """Which pictures of the data set these are."""
    place = {picture.tobytes(): i for i, picture in enumerate(np.asarray(data.images))}
    return [place[np.asarray(picture).tobytes()] for picture in memory]


@pytest.mark.parametrize("memory", [4096, 40])
def test_the_parrot_has_the_nearest_sentence(data, exam, memory):
    if memory == 40:
        exam = blooms_exam(data, encode, 16, memory=memory)
    known, train = places_of(exam.memory, data), set(data.splits["train"].tolist())
    assert set(known) <= train and len(set(known)) == min(memory, len(train))
    table = encode([s for picture in known for s in data.captions[picture]])
    fits = F.cosine_similarity(encode(exam.sentences)[:, None], table[None], dim=2)
    by_picture = fits.view(len(exam), len(known), -1).amax(2)
    chosen = by_picture.gather(1, exam.parrot[:, None])[:, 0]
    torch.testing.assert_close(chosen, by_picture.amax(1))
    rows = torch.tensor([3, 0, 3])
    shown = exam.parroted(rows, 0)
    assert np.array_equal(to_bytes(shown).numpy(), exam.memory[exam.parrot[rows].numpy()])


# ---- the ceiling ------------------------------------------------------------------------------


def test_the_ceiling_obeys_and_leaves_open_what_the_sentence_does(exam, drawn):
    rows = torch.arange(NUMBER).repeat(20)
    images = exam.ceiling(rows, 1)
    assert images.shape == (len(rows), 3, SIDE, SIDE) and images.aminmax()[0] >= -1
    asked, shown = exam.asked[rows], drawn.flowers[0]
    assert torch.equal(shown[asked >= 0], asked[asked >= 0])
    for i, name in enumerate(NAMES):
        open_ = asked[:, i] < 0
        if name in DETAILS:
            p = (1 - NAMED[name]) / (2 - NAMED[name])
            share = shown[open_, i].float().mean().item()
            assert abs(share - p) < 3.5 * (p * (1 - p) / int(open_.sum())) ** 0.5, name
        elif i not in THREE:
            n, values = int(open_.sum()), len(ATTRIBUTES[name])
            counts = torch.bincount(shown[open_, i], minlength=values)
            assert (counts / n - 1 / values).abs().max() < 3.5 * (0.25 / n) ** 0.5, name


def test_the_ceiling_has_other_flowers_for_another_seed(exam, drawn):
    rows = everything(exam)
    first, again, other = (exam.ceiling(rows, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(drawn.flowers[0], drawn.flowers[2])
    assert (drawn.styles[0] != drawn.styles[2]).all()
    eight = exam.ceiling(torch.zeros(8, dtype=torch.int64), 1)
    assert len(eight.flatten(1).unique(dim=0)) == 8, "nor are those of one sentence the same"


def unchecked(module):
    """The same source without checks of annotations: thousands of sentences are written here."""
    spec = importlib.util.spec_from_file_location("unchecked", module.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


def test_an_unnamed_detail_is_there_as_often_as_among_the_flowers_of_such_sentences():
    """By brute force: of many flowers and their sentences those that are silent about it."""
    plain = unchecked(blooms)
    plain.describe = unchecked(grammar).describe
    flowers, _ = plain.draw_attributes(3000, torch.Generator().manual_seed(1))
    _, named = plain.write_sentences(flowers, 1)
    whole = (named[:, :, THREE] >= 0).all(2)
    asked, there = named[whole], flowers[:, None].expand_as(named)[whole]
    answers = exams.flowers_true_of(asked, torch.Generator().manual_seed(2))
    for name in DETAILS:
        i = NAMES.index(name)
        silent = asked[:, i] < 0
        real, ours = (x[silent, i].float().mean().item() for x in (there, answers))
        assert abs(real - ours) < 0.02 and abs(real - 0.5) > 0.05, name
        assert (asked[:, i] <= 0).any() and (answers[asked[:, i] == 1, i] == 1).all()


# ---- the reference ----------------------------------------------------------------------------


def test_the_reference_is_of_withheld_flowers_and_knows_no_sentence(data, exam, drawn):
    other = blooms_exam(data, encode, 16, held_out=1.0)
    rows = torch.arange(200)
    assert torch.equal(exam.reference(rows), other.reference(rows)), "other sentences, same flowers"
    assert classes_of(drawn.flowers[0]) == set(blooms.unseen_classes())
    for name in DETAILS:
        share = drawn.flowers[0][:, NAMES.index(name)].float().mean()
        assert abs(share - 0.5) < 3.5 * (0.25 / 200) ** 0.5, "half have it: nothing was named"


def test_each_chunk_has_a_reference_of_its_own(exam, drawn):
    exam.reference(torch.arange(0, 32)), exam.reference(torch.arange(32, 64))
    assert not torch.equal(*drawn.flowers) and (drawn.styles[0] != drawn.styles[1]).all()


def test_withheld_flowers_are_drawn_evenly_and_as_many_as_asked_for():
    flowers = exams.withheld_flowers(2000, torch.Generator().manual_seed(0))
    assert len(flowers) == 2000 and classes_of(flowers) == set(blooms.unseen_classes())
    counts = flowers[:, THREE].unique(dim=0, return_counts=True)[1]
    assert len(counts) == 20 and (counts - 100).abs().max() < 3.5 * 100**0.5


# ---- the floor --------------------------------------------------------------------------------


def test_the_blind_draw_for_other_sentences_all_of_them_alike(exam):
    """A sentence's own flower comes up once in as many as there are, at most."""
    rows = everything(exam)
    asked = dataclasses.replace(exam, ceiling=lambda rows, seed: rows)
    drawn = torch.stack([asked.blind(rows, seed) for seed in range(60)])
    own = (drawn == rows).float().mean().item()
    n = drawn.numel()
    assert own < 1 / NUMBER + 3.5 * (1 / NUMBER / n) ** 0.5
    counts = torch.bincount(drawn.flatten(), minlength=NUMBER)
    assert len(counts) == NUMBER and (counts - 60).abs().max() < 5 * 60**0.5
    assert torch.equal(asked.blind(rows, 3), asked.blind(rows, 3))


def test_blind_pictures_are_real_flowers(exam, drawn):
    images = exam.blind(everything(exam), 0)
    assert images.shape == (NUMBER, 3, SIDE, SIDE)
    assert classes_of(drawn.flowers[0]) <= set(blooms.unseen_classes())
    right = (drawn.flowers[0] == exam.asked)[:, THREE].all(1).float().mean()
    assert right < 0.2, "one in twenty by chance"


# ---- rivals -----------------------------------------------------------------------------------


def test_rivals_contradict(exam):
    rows = torch.tensor([5, 0, 9, 9])
    asked = exam.asked[rows]
    for i, row in enumerate(exam.rivals(rows)):
        for j, rival in enumerate(row):
            said = (asked[i] >= 0) & (asked[j] >= 0)
            assert rival == (asked[i][said] != asked[j][said]).any()
    with pytest.raises(ValueError, match="no rival among 2 sentences for"):
        exam.rivals(torch.tensor([9, 9]))


# ---- photographs ------------------------------------------------------------------------------

COLOURS = ("red", "yellow")


@pytest.fixture(scope="module")
def photographs():
    """Forty of each split and of four classes; every byte of a picture is its place, but its rim.

    A rim of one pixel is 255: a crop that is off the middle sees it.
    """
    images = np.full((80, 3, 10, 10), 255, dtype=np.uint8)
    images[:, :, 1:-1, 1:-1] = np.arange(80, dtype=np.uint8)[:, None, None, None]
    about = [f"a {COLOURS[i // 2 % 2]} flower numbered {i}" for i in range(80)]
    captions = [[f"{sentence} once", f"{sentence} again"] for sentence in about]
    return CaptionedImages(
        "photos", images, captions, torch.arange(80) // 2 % 4, list("abcd"),
        {"train": torch.arange(0, 80, 2), "test": torch.arange(1, 80, 2)}, crop=8, flip=True,
        origin="drawn here",
    )  # fmt: skip


def number_of(sentence):
    return int(sentence.split()[4])


def shown(images):
    """Which pictures these are; a crop that is off shows several bytes."""
    assert images.shape[1:] == (3, 8, 8)
    flat = to_bytes(images).flatten(1)
    assert (flat == flat[:, :1]).all()
    return flat[:, 0].long()


def test_photographs_are_asked_about_by_their_own_sentences(photographs):
    exam = photographs_exam(photographs, encode, 15, seed=1, memory=30)
    rows, numbers = everything(exam), torch.tensor([number_of(s) for s in exam.sentences])
    assert len(exam) == 15 and not exam.known and len(numbers.unique()) == 15
    assert (numbers % 2 == 1).all(), "of the split test"
    assert {s.split()[-1] for s in exam.sentences} == {"once", "again"}
    assert torch.equal(shown(exam.ceiling(rows, 0)), numbers)
    assert torch.equal(exam.classes, numbers // 2 % 4)
    assert exam.asked[:, 0].tolist() == [
        ATTRIBUTES["petal_colour"].index(COLOURS[n // 2 % 2]) for n in numbers
    ]
    assert (exam.asked[:, 1:] == -1).all()
    for words in ("photos", "8 px", "15 sentences", "20 others", "30 training", "drawn here"):
        assert words in exam.face


def test_of_photographs_reference_and_memory_are_others(photographs):
    exam = photographs_exam(photographs, encode, seed=1, memory=30)
    assert len(exam) == 20, "half of the split"
    rows = everything(exam)
    asked, reference = shown(exam.ceiling(rows, 0)), shown(exam.reference(rows))
    assert set(asked.tolist()) | set(reference.tolist()) == set(range(1, 80, 2))
    memory = np.asarray(exam.memory)[:, 0, 0, 0]
    assert len(set(memory.tolist())) == 30 and (memory % 2 == 0).all()
    table = encode([s for picture in memory for s in photographs.captions[picture]])
    fits = F.cosine_similarity(encode(exam.sentences)[:, None], table[None], dim=2)
    best = memory[fits.argmax(1).numpy() // 2]
    assert shown(exam.parroted(rows, 0)).tolist() == best.tolist()


def test_eight_photographs_of_one_sentence_are_of_its_class(photographs):
    exam = photographs_exam(photographs, encode, seed=1)
    rows = torch.arange(4).repeat_interleave(8)
    found = shown(exam.ceiling(rows, 3))
    assert torch.equal(found // 2 % 4, exam.classes[rows]) and (found % 2 == 1).all()
    assert all(len(eight.unique()) > 2 for eight in found.split(8))
    assert not torch.equal(found, shown(exam.ceiling(rows, 4)))


@pytest.mark.parametrize("seed", range(6))
def test_of_a_lopsided_split_rivals_are_found_too(photographs, seed):
    test = photographs.splits["test"]
    many, few = (test[photographs.classes[test] == c] for c in photographs.classes[test][:2])
    splits = {"train": photographs.splits["train"], "test": torch.cat([many, few[:1]])}
    exam = photographs_exam(dataclasses.replace(photographs, splits=splits), encode, 4, seed=seed)
    assert len(exam) == 4 and exam.rivals(everything(exam)).any(1).all()
    asked, others = shown(exam.ceiling(everything(exam), 0)), shown(exam.reference(torch.arange(9)))
    assert not set(asked.tolist()) & set(others.tolist())


def test_of_photographs_rivals_are_of_other_classes(photographs):
    exam = photographs_exam(photographs, encode, seed=1)
    rows = everything(exam)
    classes = [number_of(s) // 2 % 4 for s in exam.sentences]  # two of them of each colour
    expected = [[a != b for b in classes] for a in classes]
    assert exam.rivals(rows).tolist() == expected
    alone = (exam.classes == exam.classes[0]).nonzero().flatten()
    with pytest.raises(ValueError, match=f"no rival among {len(alone)} sentences"):
        exam.rivals(alone)
