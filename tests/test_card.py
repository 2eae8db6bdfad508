"""The report card against pictures that say what they show: every row's value is known."""

import numpy as np
import pytest
import torch
from torch import nn

from t2i_utils import lesson, metrics
from t2i_utils.data.blooms import ATTRIBUTES, NAMES
from t2i_utils.data.captioned import to_unit
from t2i_utils.metrics import Card, Exam, card, frechet_distance, kernel_distance, report_card
from t2i_utils.metrics.card import Apart, Judges, Sums, diversity, measure
from t2i_utils.metrics.exams import flowers_true_of

A, SIDE = len(NAMES), 16
DETAILS = [i for i, name in enumerate(NAMES) if list(ATTRIBUTES[name]) == ["no", "yes"]]


def rng(seed):
    return torch.Generator().manual_seed(seed)


def plant(attributes, seed=0):
    """Pictures whose first pixels are their attributes; the rest is their own noise, in fives."""
    pixels = torch.randint(0, 50, (len(attributes), 3, SIDE, SIDE), generator=rng(seed)) * 5
    pixels[:, 0, 0, :A] = attributes
    return to_unit(pixels.to(torch.uint8))


class Reader(nn.Module):
    """Reads what was planted; its features are the next row of pixels."""

    side = 64

    def __init__(self, blind=()):
        super().__init__()
        self.blind = list(blind)

    def features(self, images):
        return images[:, :, 1, :4].flatten(1) * 3

    def read(self, images):
        read = ((images[:, 0, 0, :A] + 1) * 127.5).round().long()
        read[:, self.blind] = 1 - read[:, self.blind].clamp(max=1)
        return read


class Theta(nn.Module):
    """θ of what was planted: every attribute's value as a unit vector, one after another."""

    def forward(self, images):
        return one_hot(((images[:, 0, 0, :A] + 1) * 127.5).round().long()).flatten(1)


def one_hot(attributes):
    return nn.functional.one_hot(attributes.clamp(min=0), 8).float()


def phi_of(asked):
    """φ to go with it: 1 for what is named, −10 for what contradicts it, 0 where it is silent."""
    return ((11 * one_hot(asked) - 10) * (asked >= 0)[..., None]).flatten(1)


def looks(second=(), theta=True, name="a reader"):
    reader = Reader()
    features = lambda images: reader.features(images)  # noqa: E731  (not the classifier's own)
    return Judges(reader, Reader(second), Theta() if theta else None, features, name,
                  torch.device("cpu"))  # fmt: skip


def an_exam(n=600, seed=0):
    """Sentences that are their own number; the first three attributes are always named."""
    attributes = torch.stack([torch.randint(len(v), (n,), generator=rng(seed + i))
                              for i, v in enumerate(ATTRIBUTES.values())], 1)  # fmt: skip
    asked = attributes.clone()
    asked[:, 3:][torch.rand(n, A - 3, generator=rng(seed + 50)) < 0.5] = -1
    for i in DETAILS:
        asked[attributes[:, i] == 0, i] = -1  # named only where they are
    sentences = [f"sentence {i}" for i in range(n)]

    def ceiling(rows, seed):
        return plant(flowers_true_of(asked[rows], rng(seed)), seed)

    memory = ((plant(attributes[:40], 99) + 1) * 127.5).round().to(torch.uint8)
    return Exam(
        "a face", sentences, asked, ["training", "held_out"] * (n // 2), memory.numpy(),
        torch.arange(n) % 40, ceiling, lambda rows: plant(attributes[rows], int(rows[0]) + 1),
        lambda texts: phi_of(asked[[int(text.split()[1]) for text in texts]]), seed,
    )  # fmt: skip


def rows_of(sentences):
    return torch.tensor([int(text.split()[1]) for text in sentences])


@pytest.fixture(scope="module")
def exam():
    return an_exam()


@pytest.fixture(scope="module")
def whole(exam):
    """A perfect generator, one that never looks at z, one that copies."""
    def same(sentences, seed):
        asked = exam.asked[rows_of(sentences)]
        return plant(torch.where(asked >= 0, asked, 0), 0)

    draws = {
        "perfect": lambda sentences, seed: exam.ceiling(rows_of(sentences), seed),
        "no z": same,
        "copies": lambda texts, seed: to_unit(exam.memory[(rows_of(texts) + 1).numpy() % 40]),
    }
    return report_card(draws, exam, looks())


def value(whole, column, row):
    return whole.columns[column][row][0]


def test_a_perfect_generator_is_right_in_every_row(exam, whole):
    for column in ("perfect", "ceiling"):
        for name in ("petal_colour", "petal_shape", "layers", "all three",
                     "all three, held-out grammar", "all three, second opinion",
                     "R-precision by θ"):  # fmt: skip
            assert value(whole, column, name) == 1, (column, name)
        assert value(whole, column, "copying") < 0.03


def test_a_blind_one_is_right_by_chance(exam, whole):
    asked = exam.asked
    for i in range(3):
        values = len(list(ATTRIBUTES.values())[i])
        assert value(whole, "blind", NAMES[i]) == pytest.approx(1 / values, abs=0.07)
    assert value(whole, "blind", "all three") < 0.04
    assert abs(value(whole, "blind", "sensitivity")) < 0.06
    assert value(whole, "ceiling", "sensitivity") == pytest.approx(1 - chance(asked), abs=0.05)


def chance(asked):
    """Share of named attributes, details apart, that a picture drawn at random shows."""
    judged = [i for i in range(A) if i not in DETAILS]
    named = (asked[:, judged] >= 0).sum(0)
    guess = torch.tensor([1 / len(ATTRIBUTES[NAMES[i]]) for i in judged])
    return ((named * guess).sum() / named.sum()).item()


def test_details_are_judged_as_named_minus_not(exam, whole):
    """A perfect one draws them where named, and as often as flowers have them where not."""
    for i in DETAILS:
        row = f"{NAMES[i]}, named − not"
        there = 0.7 / 1.7  # (1 − p) / (2 − p), p = 0.3
        assert value(whole, "perfect", row) == pytest.approx(1 - there, abs=0.12)
        assert value(whole, "no z", row) == 1  # never where not named
        assert abs(value(whole, "blind", row)) < 0.2


def test_who_ignores_z_has_no_diversity(whole):
    assert value(whole, "no z", "diversity") == 0
    assert value(whole, "parrot", "diversity") == 0
    assert value(whole, "ceiling", "diversity") > 0.7


def test_diversity_counts_what_is_left_open(exam):
    """Of four values two of eight pictures each: one of three more than one."""
    open_ = exam.asked.clone()
    open_[:, 3:] = -1

    def halves(rows, seed):
        shown = torch.where(open_[rows] >= 0, open_[rows], 0)
        shown[: len(rows) // 2 * 2 : 2, 3:7] = 1
        return plant(shown)

    other = an_exam(64)
    other.asked[:] = open_[:64]
    found = diversity(halves, other, looks())[0]
    assert found == pytest.approx((1 / 3 + 1 / 3 + 1 + 1) / 4)  # 4, 4, 2 and 2 values


def test_copies_are_found(exam, whole):
    assert value(whole, "copies", "copying") == 1
    assert value(whole, "parrot", "copying") == 1
    assert value(whole, "blind", "copying") < 0.03
    assert value(whole, "copies", "all three") < 0.05


def test_the_second_opinion_is_the_seconds(exam):
    found = measure({"ceiling": exam.ceiling}, exam, looks(second=[0]))["ceiling"]
    assert found["all three"][0] == 1 and found["all three, second opinion"][0] < 0.3


def test_shuffled_pictures_leave_the_distances_as_they_are(whole):
    for row in ("Fréchet distance", "KID", "precision", "recall"):
        blind, error = whole.columns["blind"][row]
        ceiling = value(whole, "ceiling", row)
        assert abs(blind - ceiling) < 6 * error + 0.05, row


def test_errors_of_shares_are_binomial(whole, exam):
    p, error = whole.columns["blind"]["petal_colour"]
    assert error == pytest.approx((p * (1 - p) / len(exam)) ** 0.5)


def test_chunks_and_groups_give_what_one_pass_gives():
    real, fake = torch.randn(2, 100 * 256, 5, generator=rng(1))
    fake = fake * 1.2 + 0.1
    apart = Apart()
    for r, f in zip(real.split(1024), fake.split(1024), strict=True):
        apart.add(r, f, r[:, 0].abs(), f[:, 0].abs())
    rows = apart.rows()
    assert len(apart.groups) <= 64
    assert rows["Fréchet distance"][0] == pytest.approx(frechet_distance(real, fake), rel=1e-6)
    kid = kernel_distance(real, fake, block=256)
    assert rows["KID"] == pytest.approx(kid, rel=1e-6)


def test_sums_are_moments():
    x = torch.randn(70, 4, generator=rng(2))
    both = Sums.of(x[:30]) + Sums.of(x[30:])
    for found, expected in zip(both.moments(), metrics.moments(x), strict=True):
        torch.testing.assert_close(found, expected)
    for found, expected in zip((both - Sums.of(x[:30])).moments(), metrics.moments(x[30:]),
                               strict=True):  # fmt: skip
        torch.testing.assert_close(found, expected)


def test_the_jackknife_knows_the_spread_over_draws():
    found = []
    for seed in range(12):
        real, fake = torch.randn(2, 2048, 6, generator=rng(seed))
        apart = Apart()
        apart.add(real, fake * 1.3, real[:, 0], fake[:, 0])
        found.append(apart.rows()["Fréchet distance"])
    values, errors = torch.tensor(found).T
    assert 0.5 < errors.mean() / values.std() < 2


def test_floor_parrot_and_ceiling_are_measured_once(exam, monkeypatch):
    judges, measured = looks(), []
    real = card.measure
    monkeypatch.setattr(
        card, "measure", lambda who, *rest: measured.append(list(who)) or real(who, *rest)
    )
    draw = {"g": lambda sentences, seed: exam.ceiling(rows_of(sentences), seed)}
    first, again = report_card(draw, exam, judges), report_card(draw, exam, judges)
    other = report_card(draw, exam, looks(theta=False, name="another network"))
    assert measured == [["g", *card.BESIDE], ["g"], ["g", *card.BESIDE]]
    assert first.columns["ceiling"] == again.columns["ceiling"]
    assert "another network" in other.face and "another network" not in first.face
    assert "R-precision by θ" not in other.columns["g"]


def test_what_is_no_answer_is_named(exam):
    def drawn(images):
        return {"mine": lambda sentences, seed: images[: len(sentences)]}

    good = exam.ceiling(torch.arange(600), 0)
    for images, words in [
        (good[:7], r"mine: pictures of shape \(7, 3, 16, 16\) for 600 sentences"),
        (good[:, :1], r"mine: pictures of shape \(600, 1, 16, 16\)"),
        (good * 200, r"mine: pictures from .* expected \[−1, 1\]"),
        (good * torch.nan, r"mine: pictures from nan"),
    ]:
        with pytest.raises(ValueError, match=words):
            report_card(drawn(images), exam, looks())
    with pytest.raises(ValueError, match=r"named \['parrot'\]; expected other names"):
        report_card({"parrot": drawn(good)["mine"]}, exam, looks())


def test_the_card_says_all_of_itself(whole):
    text, page = str(whole), whole._repr_html_()
    for row in whole.columns["perfect"]:
        assert row in text and row in page
    for words in ("a face", "600 pictures against 600 other real ones", "a reader"):
        assert words in whole.face and words in text and words in page
    assert {len(line) for line in text.splitlines()[: len(whole.columns["blind"]) + 1]} == {
        len(text.splitlines()[0])
    }


def test_numbers_can_be_recorded(capsys):
    whole = Card("face", {"g": {"a": (0.5, 0.1), "b": (float("nan"), 0.1), "c": (-1.5, np.nan)}})
    assert whole.numbers("g") == {"a": 0.5, "c": -1.5}
    lesson.start("smoke").record("card", whole.numbers("g"))
    assert "–" in str(whole) and "-1.500" in str(whole)


def test_a_drawer_is_its_seed_and_leaves_the_mode():
    class G(nn.Module):
        z_dim = 4

        def forward(self, z, embedding):
            return (z[:, :3, None, None] + embedding[:, :1, None, None]).tanh().expand(-1, 3, 8, 8)

    net = G().train()
    draw = metrics.drawer(net, lambda texts: torch.ones(len(texts), 2), chunk=2)
    one, again, other = draw(["a", "b", "c"], 1), draw(["a", "b", "c"], 1), draw(["a", "b", "c"], 2)
    assert one.shape == (3, 3, 8, 8) and torch.equal(one, again) and not torch.equal(one, other)
    assert net.training and not one.requires_grad
