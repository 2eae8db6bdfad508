"""The report card: of generators whose every row is known, it says what is known.

Pictures here carry their attributes in their first pixels and noise in the others; the judges read
them there, so that no network's mistakes stand between a generator and its numbers.
"""

import html
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from t2i_utils.data.blooms import ATTRIBUTES, CLASS_ATTRIBUTES, NAMES, draw_attributes
from t2i_utils.data.captioned import to_unit
from t2i_utils.data.grammar import DETAILS, NAMED
from t2i_utils.lesson import Lesson
from t2i_utils.metrics import Exam, contradicts, drawer, frechet_distance, judges, report_card
from t2i_utils.metrics import card as cards
from t2i_utils.metrics.exams import flowers_true_of

A, THREE = len(NAMES), [NAMES.index(name) for name in CLASS_ATTRIBUTES]
DETAIL = [NAMES.index(name) for name in DETAILS]
PLAIN = [i for i in range(A) if i not in DETAIL]
N, STEP, CPU = 240, 36, torch.device("cpu")
CONSTANT = torch.zeros(A, dtype=torch.int64)  # what who never reads always shows


def drawing(seed):
    return torch.Generator().manual_seed(seed)


def paint(attributes, seed=0):
    """Bytes: attributes in the first pixels, noise in the others."""
    pictures = torch.randint(256, (len(attributes), 3, 8, 8), generator=drawing(seed))
    pictures.view(len(attributes), -1)[:, :A] = attributes * STEP
    return pictures.to(torch.uint8)


def says(row):
    return " ".join(map(str, row.tolist()))


def meaning(sentences):
    return torch.tensor([[int(value) for value in s.split()] for s in sentences])


def one_hot(rows, right, wrong):
    """A place for each value of each attribute; 0 in all of them where a row is silent."""
    parts = []
    for column, values in zip(rows.T, ATTRIBUTES.values(), strict=True):
        hit = column[:, None] == torch.arange(len(values))
        parts.append(torch.where(hit, right, wrong * (column[:, None] >= 0)))
    return torch.cat(parts, 1).float()


def encode(sentences):
    return one_hot(meaning(sentences), 1.0, 0.0)


class Reader(nn.Module):
    """Sees 24 pixels; reads what is in the first ten, and what it is blind to as 0."""

    def __init__(self, blind_to=None):
        super().__init__()
        self.blind_to = blind_to

    def features(self, images):
        return images.flatten(1)[:, :24]

    def read_features(self, features):
        read = ((features[:, :A] + 1) * 127.5 / STEP).round().long()
        if self.blind_to is not None:
            read[:, self.blind_to] = 0
        return read

    def read(self, images):
        return self.read_features(self.features(images))


class Theta(Reader):
    """Fits what is true by the number of what is named; what is not, by less than nothing."""

    def forward(self, images):
        return one_hot(self.read(images), 1.0, -20.0)


def looks(theta=True, second=True, name="a reader of pixels"):
    reader = Reader()
    seconds = Reader(blind_to=0) if second else None
    return cards.Judges(reader, seconds, Theta() if theta else None, reader.features, name, CPU)


def make_exam(n=N, seed=0, grammars=("training", "training", "held_out")):
    """Of four combinations; background and details named as in Blooms, details only where true."""
    g = drawing(seed)
    flowers, classes = draw_attributes(40 * n, g)
    flowers = flowers[torch.isin(classes, torch.tensor([0, 20, 40, 70]))][:n]
    said = torch.rand(n, A, generator=g) < torch.tensor(list(NAMED.values()))
    said[:, THREE] = True
    said[:, DETAIL] &= flowers[:, DETAIL] == 1
    asked = torch.where(said, flowers, -1)
    known, real = draw_attributes(200, g)[0], draw_attributes(n, g)[0]
    real = to_unit(paint(real, 1))
    exam = Exam(
        face="an exam", sentences=[says(row) for row in asked], asked=asked,
        grammars=[grammars[i % len(grammars)] for i in range(n)], memory=paint(known, 2).numpy(),
        parrot=torch.randint(200, (n,), generator=g),
        ceiling=lambda rows, seed: to_unit(
            paint(flowers_true_of(asked[rows], drawing(seed)), seed + 1)),
        reference=lambda rows: real[rows], encode=encode, seed=seed,
    )  # fmt: skip
    exam.known_flowers = known
    return exam


def perfect(sentences, seed):
    return to_unit(paint(flowers_true_of(meaning(sentences), drawing(seed)), seed + 1))


def ignores_z(sentences, seed, open_value=0):
    """What is named, and the same value wherever nothing is; the noise is always the same."""
    asked = meaning(sentences)
    return to_unit(paint(torch.where(asked < 0, open_value, asked), 7))


def never_reads(sentences, seed):
    return to_unit(paint(CONSTANT.expand(len(sentences), -1), seed))


@pytest.fixture(scope="module")
def exam():
    return make_exam()


@pytest.fixture(scope="module")
def card(exam):
    """Three generators, and those beside."""
    draws = {"perfect": perfect, "ignores z": ignores_z, "never reads": never_reads}
    return report_card(draws, exam, looks())


def value(card, column, row):
    return card.columns[column][row][0]


# ---- does it obey? ----------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["perfect", "ceiling", "ignores z"])
def test_who_obeys_is_right_in_every_row(card, exam, column):
    for row in [NAMES[i] for i in PLAIN] + ["all three", "all three, held-out grammar"]:
        assert card.columns[column][row] == (1, 0), row
    assert card.columns[column]["R-precision by θ"] == (1, 0)


def test_who_never_reads_is_right_as_often_as_chance_has_it(card, exam):
    """Every row by counting: what it always shows, against what is asked."""
    said, right = exam.asked >= 0, exam.asked == CONSTANT
    for i in PLAIN:
        p = right[said[:, i], i].double().mean().item()
        error = (p * (1 - p) / int(said[:, i].sum())) ** 0.5
        assert card.columns["never reads"][NAMES[i]] == pytest.approx((p, error))
    three = right[:, THREE].all(1)
    assert 0.1 < three.float().mean() < 0.5, "something is there to be counted"
    assert value(card, "never reads", "all three") == pytest.approx(three.float().mean().item())
    other = three[torch.arange(N) % 3 == 2].float().mean().item()
    assert other != pytest.approx(three.float().mean().item())
    assert value(card, "never reads", "all three, held-out grammar") == pytest.approx(other)


def test_the_floor_is_that_of_pairs_drawn_at_random(card, exam):
    same = (exam.asked[:, None] == exam.asked[None])[..., THREE].all(2)
    p = same.float().mean().item()
    found, error = card.columns["blind"]["all three"]
    assert abs(found - p) < 3.5 * (p * (1 - p) / N) ** 0.5
    assert error == pytest.approx((found * (1 - found) / N) ** 0.5)


def test_the_parrot_is_right_as_often_as_the_picture_it_shows(card, exam):
    shown = exam.known_flowers[exam.parrot]
    right = (shown == exam.asked)[:, 0].float().mean().item()
    assert value(card, "parrot", "petal_colour") == pytest.approx(right) and 0 < right < 1
    assert card.columns["parrot"]["copying"] == (1, 0)


def test_the_second_opinion_is_the_second_classifiers(card, exam):
    """It takes every petal for the first colour: right where that is asked for."""
    row = "all three, second opinion"
    assert value(card, "perfect", row) == pytest.approx((exam.asked[:, 0] == 0).float().mean())
    assert 0 < value(card, "perfect", row) < 1


@pytest.mark.parametrize(("named", "silent", "expected"), [(1, 0, 1), (1, 1, 0), (0, 0, 0),
                                                           (0, 1, -1)])  # fmt: skip
def test_details_are_drawn_when_named_less_drawn_when_not(named, silent, expected, exam):
    def draw(sentences, seed):
        asked = meaning(sentences)
        details = torch.where(asked == 1, named, silent)
        asked[:, DETAIL] = details[:, DETAIL]
        return to_unit(paint(asked.clamp(min=0)))

    found = report_card(draw, exam, looks(False)).columns["generator"]
    for name in DETAILS:
        assert found[f"{name}, named − not"] == (expected, 0)


def test_the_ceiling_of_details_is_bayes(card):
    """What is not named is there with (1 − p)/(2 − p), so 1 less that is the most there is."""
    for name in DETAILS:
        p = (1 - NAMED[name]) / (2 - NAMED[name])
        for column in ("ceiling", "perfect"):
            found, error = card.columns[column][f"{name}, named − not"]
            assert abs(found - (1 - p)) < 3.5 * error < 0.2


def test_sensitivity_is_right_less_right_for_another_sentence(card, exam):
    """By loops: each picture against the sentence of the one before it."""
    shown, asked = exam.asked.clamp(min=0).tolist(), exam.asked.tolist()
    pairs = [(shown[n][i], asked[n - 1][i]) for n in range(N) for i in PLAIN]
    wrong = [a == b for a, b in pairs if b >= 0]
    expected = 1 - sum(wrong) / len(wrong)
    assert value(card, "ignores z", "sensitivity") == pytest.approx(expected)
    assert 0.2 < expected < 0.9
    never = card.columns["never reads"]["sensitivity"]
    assert abs(never[0]) < 1e-9, "one picture for all: any sentence fits as well as its own"


def test_who_never_reads_finds_its_sentence_by_chance_alone(card, exam):
    """By counting: no rival that fits as well may be among those drawn."""
    rivals = contradicts(exam.asked[:, None], exam.asked[None])
    among = min(99, int(rivals.sum(1).min()))
    fits = encode(exam.sentences) @ one_hot(CONSTANT[None], 1.0, -20.0)[0]
    better = (rivals & (fits[None] >= fits[:, None])).sum(1).tolist()
    p = torch.tensor([
        math.comb(r - b, among) / math.comb(r, among)
        for r, b in zip(rivals.sum(1).tolist(), better, strict=True)
    ])  # fmt: skip
    found = value(card, "never reads", "R-precision by θ")
    assert abs(found - p.mean()) < 3.5 * (p * (1 - p)).sum().sqrt() / N + 1e-6
    assert p.mean() > 1 / N


def test_a_share_of_nothing_is_not_known():
    exam = make_exam(40, grammars=("training",))
    card = report_card(perfect, exam, looks(False, False))
    found, error = card.columns["generator"]["all three, held-out grammar"]
    assert math.isnan(found) and math.isnan(error)
    assert "R-precision by θ" not in card.numbers("generator"), "there is no θ"
    assert "all three, second opinion" not in card.numbers("generator")


def test_sentences_that_do_not_name_all_three_are_not_judged_jointly():
    shares, exam = cards.Shares(), make_exam(4)
    exam.asked[:2, 0] = -1
    images = paint(torch.zeros(4, A, dtype=torch.int64))
    reader = looks()
    features = reader.features(to_unit(images))
    cards.by_classifiers(shares, to_unit(images), features, exam, torch.arange(4), reader, True)
    assert shares.right["all three", 1][1] == shares.right["all three, second opinion", 1][1] == 2


def test_errors_of_a_share_and_of_a_difference():
    shares = cards.Shares()
    for part in ([True, True, False], [True]):  # 3 of 4, in two chunks
        shares.add("a", torch.tensor(part))
        shares.add("b", torch.tensor(part))
    shares.add("b", torch.tensor([True, False, False, False, False]), less=True)
    rows = shares.rows()
    assert rows["a"] == pytest.approx((0.75, (0.75 * 0.25 / 4) ** 0.5))
    assert rows["b"] == pytest.approx((0.55, (0.75 * 0.25 / 4 + 0.2 * 0.8 / 5) ** 0.5))
    assert cards.share(torch.tensor([True, True, True, False])) == pytest.approx(rows["a"])


# ---- diversity --------------------------------------------------------------------------------


def test_who_ignores_z_has_no_diversity(card):
    assert card.columns["ignores z"]["diversity"] == (0, 0)
    assert value(card, "never reads", "diversity") == 0


def open_places(exam):
    sentences = min(64, max(8, len(exam) // 16))
    open_ = exam.asked[:sentences] < 0
    return [len(ATTRIBUTES[NAMES[i]]) for row in open_ for i in PLAIN if row[i]]


def test_two_values_of_eight_pictures_are_counted_as_two(exam):
    def draw(sentences, seed):
        asked, turn = meaning(sentences), torch.arange(len(sentences))[:, None] % 2
        return to_unit(paint(torch.where(asked < 0, turn, asked)))

    card = report_card(draw, exam, looks(False))
    spread = torch.tensor([1 / (min(8, values) - 1) for values in open_places(exam)])
    error = (spread.std() / len(spread) ** 0.5).item()
    assert card.columns["generator"]["diversity"] == pytest.approx((spread.mean().item(), error))


def test_the_ceiling_of_diversity_is_that_of_eight_draws(card, exam):
    """Of V values v (1 − (1 − 1/v)⁸) are expected to be seen."""
    expected = [(v * (1 - (1 - 1 / v) ** 8) - 1) / (min(8, v) - 1) for v in open_places(exam)]
    for column in ("ceiling", "perfect"):
        found, error = card.columns[column]["diversity"]
        assert abs(found - sum(expected) / len(expected)) < 3.5 * error < 0.2


# ---- the card ---------------------------------------------------------------------------------


def each_its_own(sentences, seed):
    """A picture for each sentence, the same wherever it stands."""
    asked = meaning(sentences).clamp(min=0)
    noise = [int(text.replace(" ", "").replace("-", "9")) for text in sentences]
    parts = [paint(row[None], own) for row, own in zip(asked, noise, strict=True)]
    return to_unit(torch.cat(parts))


def test_chunks_change_no_row_that_pictures_alone_decide(exam, monkeypatch):
    """Least of all the distance: it is that of all features at once."""
    whole = report_card(each_its_own, replace(exam), looks(False))
    monkeypatch.setattr(cards, "CHUNK", 100)
    parts = report_card(each_its_own, replace(exam), looks(False))
    rows = ["petal_count", "all three", "rim, named − not", "copying", "Fréchet distance"]
    for row in rows:
        assert value(parts, "generator", row) == pytest.approx(value(whole, "generator", row)), row
    pictures = exam.reference(torch.arange(N)), each_its_own(exam.sentences, 0)
    expected = frechet_distance(*map(Reader().features, pictures))
    assert value(parts, "generator", "Fréchet distance") == pytest.approx(expected, rel=1e-6)


def test_the_slower_judges_see_the_first_pictures_and_the_face_says_so(exam, monkeypatch):
    monkeypatch.setattr(cards, "CHUNK", 100)
    monkeypatch.setattr(cards, "SLOW", 100)
    card = report_card(perfect, replace(exam), looks())
    first = (exam.asked[:100, 0] == 0).float().mean()
    assert value(card, "generator", "all three, second opinion") == pytest.approx(first)
    assert "of the first 100" in card.face


def test_those_beside_are_measured_once_an_exam_and_network(exam):
    asked = []
    ceiling = exam.ceiling
    exam = replace(exam,
                   ceiling=lambda rows, seed: asked.append(1) or ceiling(rows, seed))  # fmt: skip
    one, other = looks(False), looks(False, name="another network")
    first = report_card(perfect, exam, one)
    count = len(asked)
    again = report_card({"ignores z": ignores_z}, exam, one)
    assert count == len(asked) > 0
    for name in cards.BESIDE:
        assert again.columns[name] == first.columns[name]
    assert list(again.columns) == ["ignores z", "blind", "parrot", "ceiling"]
    third = report_card(perfect, exam, other)
    assert len(asked) == 2 * count
    assert "another network" in third.face and "another network" not in again.face


@pytest.mark.parametrize(
    ("draw", "found"),
    [
        (lambda s, seed: perfect(s, seed)[:-1], r"shape \(239, 3, 8, 8\) for 240 sentences"),
        (lambda s, seed: perfect(s, seed)[:, :1], r"shape \(240, 1, 8, 8\) for 240 sentences"),
        (lambda s, seed: perfect(s, seed) + 1, r"pictures from 0 to 2; expected \[−1, 1\]"),
        (lambda s, seed: perfect(s, seed) * 127.5, "pictures from -128 to 128"),
        (lambda s, seed: perfect(s, seed) * torch.nan, "pictures from nan to nan"),
    ],
)
def test_pictures_that_are_none_are_named(exam, draw, found):
    with pytest.raises(ValueError, match=f"mine: .*{found}"):
        report_card({"mine": draw}, exam, looks(False))


def test_a_generator_cannot_take_the_place_of_those_beside(exam):
    with pytest.raises(ValueError, match=r"named \['ceiling'\]; expected other names"):
        report_card({"mine": perfect, "ceiling": ignores_z}, exam, looks(False))


def test_the_card_shows_every_row_column_and_the_face(card):
    text, page = str(card), card._repr_html_()
    rows = next(iter(card.columns.values()))
    assert len(rows) > 15 and all(own.keys() == rows.keys() for own in card.columns.values())
    lines = text.splitlines()
    for row in rows:
        assert sum(line.startswith(row + " ") for line in lines) >= 1 and html.escape(row) in page
    for column in card.columns:
        assert column in lines[0] and f">{column}</th>" in page
    assert card.face in text and html.escape(card.face) in page
    assert "a reader of pixels" in card.face and "240 pictures" in card.face
    found, error = card.columns["blind"]["all three"]
    assert f"{found:.3f} ± {error:.3f}" in text
    assert cards._cell(math.nan, math.nan) == "–" and cards._cell(12.34, math.nan) == "12.3"


def test_numbers_can_be_recorded(card):
    numbers = card.numbers("perfect")
    assert numbers["all three"] == 1 and numbers.keys() == card.columns["perfect"].keys()
    known = {"a": (0.5, 0.1), "b": (math.nan, math.nan), "c": (1.0, math.nan)}
    assert cards.Card("", {"x": known}).numbers("x") == {"a": 0.5, "c": 1.0}
    Lesson("laptop", CPU, 0).record("card", numbers)  # refuses what is not finite


def test_a_generator_is_asked_in_evaluation_mode_with_z_of_the_seed():
    class G(nn.Module):
        z_dim = 5

        def forward(self, z, embedding):
            assert not self.training
            return (z.sum(1) + embedding @ places)[:, None, None, None].expand(-1, 3, 4, 4)

    G, sentences = G().train(), [says(row) for row in torch.arange(70 * A).view(70, A) // 7 % 2]
    places = torch.arange(len(encode(sentences)[0])).float()
    images = drawer(G, encode)(sentences, 3)
    assert G.training
    expected = torch.randn(70, 5, generator=drawing(3)).sum(1) + encode(sentences) @ places
    torch.testing.assert_close(images[:, 0, 0, 0], expected)
    assert torch.equal(images, drawer(G, encode, chunk=7)(sentences, 3))
    assert not torch.equal(images, drawer(G, encode)(sentences, 4))


def test_the_shipped_judges_say_whose_features_they_take():
    assert judges().name == judges(32).name == "the attribute classifier of 64 px"
    assert judges(256).name == "the attribute classifier of 128 px"
    images = torch.rand(3, 3, 64, 64, generator=drawing(0)) * 2 - 1
    ours = judges()
    features = ours.look(ours.features, images)
    read = ours.classifier.read(images)
    assert torch.equal(ours.attributes(images, features), read)
    mean = nn.AdaptiveAvgPool2d(1)
    mean.name = "mean colours"
    other = judges(features=mean)
    assert other.name == "mean colours"
    assert torch.equal(other.attributes(images, images.mean((2, 3))), read)
