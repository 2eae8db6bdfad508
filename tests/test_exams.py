"""What a generator is asked, and who answers beside it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from t2i_utils.data import blooms
from t2i_utils.data.blooms import CLASS_ATTRIBUTES, NAMES
from t2i_utils.data.captioned import CaptionedImages, to_unit
from t2i_utils.data.grammar import DETAILS, NAMED
from t2i_utils.metrics import blooms_exam, contradicts, photographs_exam
from t2i_utils.metrics.exams import encoded, flowers_true_of, withheld_flowers

CLASS = [NAMES.index(name) for name in CLASS_ATTRIBUTES]


def letters(sentences):
    """A stand-in for φ: how often each of eleven letters occurs."""
    return torch.tensor([[float(text.count(c)) for c in "abcdehilnrp"] for text in sentences])


@pytest.fixture(scope="module")
def flowers():
    return blooms.load_blooms(300, 16)


@pytest.fixture(scope="module")
def exam(flowers):
    return blooms_exam(flowers, letters, 120, seed=3, memory=40)


def test_every_sentence_names_a_withheld_combination(exam):
    unseen = {blooms.all_classes()[c] for c in blooms.unseen_classes()}
    for sentence, asked in zip(exam.sentences, exam.asked, strict=True):
        said = blooms.parse(sentence)
        assert blooms.to_row(said) == asked.tolist()
        assert tuple(said[name] for name in CLASS_ATTRIBUTES) in unseen
    assert len(exam) == 120 and exam.grammars.count("held_out") == 30
    assert "held_out" in exam.grammars[:20]  # mixed, not at the end


def test_an_exam_is_its_seed(flowers, exam):
    again, other = (blooms_exam(flowers, letters, 120, seed=s, memory=40) for s in (3, 4))
    assert again.sentences == exam.sentences and torch.equal(again.parrot, exam.parrot)
    assert other.sentences != exam.sentences
    rows = torch.arange(5)
    for pictures in (exam.ceiling, exam.blind):
        assert torch.equal(pictures(rows, 7), pictures(rows, 7))
        assert not torch.equal(pictures(rows, 7), pictures(rows, 8))


def test_the_ceiling_shows_what_is_named(exam, monkeypatch):
    drawn = []
    monkeypatch.setattr(blooms, "render", lambda a, s, n: drawn.append(a) or torch.zeros(
        len(a), 3, n, n, dtype=torch.uint8))  # fmt: skip
    rows = torch.arange(len(exam))
    exam.ceiling(rows, 0), exam.blind(rows, 0), exam.reference(rows), exam.reference(rows + 1)
    right, blind, reference, later = drawn
    said = exam.asked >= 0
    assert torch.equal(right[said], exam.asked[said])
    others = (blind == exam.asked)[:, CLASS].all(1).float().mean()
    assert others < 0.2  # another sentence, one of 20 combinations
    assert not torch.equal(reference, right) and not torch.equal(reference, later)


def test_what_is_not_named_is_there_as_often_as_in_blooms():
    """P(a detail is there | no sentence names it), against sentences that were written."""
    generator = torch.Generator().manual_seed(0)
    flowers = withheld_flowers(3000, generator)
    _, named = blooms.write_sentences(flowers, 0)
    for name in DETAILS:
        column = NAMES.index(name)
        silent = named[:, 0, column] < 0
        written = flowers[silent, column].float().mean().item()
        asked = torch.full_like(named[silent, 0], -1)
        drawn = flowers_true_of(asked, generator)[:, column].float().mean().item()
        assert written == pytest.approx(drawn, abs=0.05)
        assert drawn == pytest.approx((1 - NAMED[name]) / (2 - NAMED[name]), abs=0.04)


def test_the_parrot_has_the_nearest_sentence_of_all(flowers, exam):
    texts = [text for own in flowers.captions for text in own]
    owner = torch.arange(len(texts)) // 10
    fits = F.normalize(letters(exam.sentences), dim=1) @ F.normalize(letters(texts), dim=1).T
    known = {bytes(picture.tobytes()): i for i, picture in enumerate(np.asarray(flowers.images))}
    of_memory = torch.tensor([known[picture.tobytes()] for picture in exam.memory])
    assert set(of_memory.tolist()) <= set(flowers.splits["train"].tolist())
    there = torch.isin(owner, of_memory)
    best = fits.masked_fill(~there, -1).amax(1)
    for row, place in enumerate(exam.parrot.tolist()):
        mine = fits[row, owner == of_memory[place]].max()
        assert mine == pytest.approx(best[row].item(), abs=1e-6)
    shown = exam.parroted(torch.arange(4), 0)
    assert torch.equal(shown, to_unit(exam.memory[exam.parrot[:4].numpy()]))


def test_rivals_contradict(exam):
    rows = torch.arange(30)
    assert torch.equal(exam.rivals(rows), contradicts(exam.asked[:30, None], exam.asked[None, :30]))
    with pytest.raises(ValueError, match="no rival among 1 sentences for"):
        exam.rivals(torch.arange(1))


def test_equal_sentences_are_encoded_once():
    asked = []

    def encode(sentences):
        asked.extend(sentences)
        return letters(sentences)

    found = encoded(encode, ["a", "b", "a", "cc"], chunk=2)
    assert asked == ["a", "b", "cc"] and torch.equal(found, letters(["a", "b", "a", "cc"]))


@pytest.fixture(scope="module")
def photographs():
    """Sixty pictures of six classes, each of its number's grey; two classes are "test"."""
    images = np.arange(60, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 10, 10), np.uint8)
    classes = torch.arange(60) % 6
    words = ["a red flower", "a flower with yellow petals"]
    return CaptionedImages(
        name="photos", images=images, captions=[[words[i % 2]] * 2 for i in range(60)],
        classes=classes, class_names=list("abcdef"), crop=8, flip=True,
        splits={"train": (classes < 4).nonzero().ravel(), "test": (classes >= 4).nonzero().ravel()},
    )  # fmt: skip


def test_photographs_are_asked_about_their_own_sentences(photographs):
    exam = photographs_exam(photographs, letters, seed=1)
    rows = torch.arange(len(exam))
    assert len(exam) == 10 and not exam.known
    own = ((exam.ceiling(rows, 0)[:, 0, 0, 0] + 1) * 127.5).round().long()
    others = ((exam.reference(rows)[:, 0, 0, 0] + 1) * 127.5).round().long()
    assert not set(own.tolist()) & set(others.tolist())
    assert torch.equal(photographs.classes[own], exam.classes)
    for row, picture in enumerate(own.tolist()):
        assert exam.sentences[row] == photographs.captions[picture][0]
        assert exam.asked[row, 0] == {0: 0, 1: 1}[picture % 2]  # red, yellow
    rivals = exam.rivals(rows)
    assert torch.equal(rivals, exam.classes[:, None] != exam.classes[None])
    eight = exam.ceiling(torch.zeros(8, dtype=torch.int64), 5)[:, 0, 0, 0]
    eight = ((eight + 1) * 127.5).round().long()
    assert (photographs.classes[eight] == exam.classes[0]).all() and len(eight.unique()) > 2


def test_photographs_are_no_blooms(photographs):
    with pytest.raises(ValueError, match="photos: found no attributes; expected Blooms"):
        blooms_exam(photographs, letters, 4)
