"""Each measure counts what it says it counts; the shipped classifiers can be trusted."""

import importlib.util
import inspect
import json
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import linalg
from torch import nn

from t2i_utils import metrics
from t2i_utils.checkpoints import save_weights
from t2i_utils.data import blooms, grammar
from t2i_utils.data.blooms import (
    ATTRIBUTES,
    NAMES,
    PETAL_RGB,
    draw_attributes,
    draw_style,
    render,
)
from t2i_utils.data.captioned import CaptionedImages, to_unit
from t2i_utils.data.grammar import DETAILS
from t2i_utils.metrics import (
    COLOURS,
    AttributeClassifier,
    attribute_accuracy,
    colour_of_centre,
    colour_words,
    confusions,
    frechet_distance,
    jointly_right,
    linear_reader,
    load_attribute_classifier,
    nyquist_power,
    probe,
)


class Sees(AttributeClassifier):
    """A classifier that sees what it is told, whatever the pictures."""

    def __init__(self, rows):
        nn.Module.__init__(self)
        self.rows = torch.tensor(rows)

    def read(self, images):
        return self.rows


def row(**named):
    """An attribute row by numbers; −1 for the rest."""
    return [named.get(name, -1) for name in NAMES]


def accuracy(seen, named):
    return attribute_accuracy(Sees(seen), torch.zeros(len(named), 3, 8, 8), torch.tensor(named))


def test_accuracy_by_hand():
    seen = [[0] * len(NAMES)] * 4
    named = [
        row(petal_colour=0, size=1),
        row(petal_colour=0, background=2),
        row(petal_colour=3, background=0),
        row(petal_colour=0),
    ]
    assert accuracy(seen, named) == {"petal_colour": 0.75, "size": 0.0, "background": 0.5}


def test_each_attribute_is_compared_with_its_own_column():
    seen = [[len(values) - 1 for values in ATTRIBUTES.values()]] * 2
    assert accuracy(seen, seen) == dict.fromkeys(NAMES, 1.0)
    for i, name in enumerate(NAMES):
        other = [list(seen[0]), list(seen[1])]
        other[0][i] = 0
        assert accuracy(seen, other) == dict.fromkeys(NAMES, 1.0) | {name: 0.5}


def test_silence_is_not_judged():
    assert accuracy([[0] * len(NAMES)] * 2, [row(), row()]) == {}
    assert accuracy([[0] * len(NAMES)] * 2, [row(), row(rim=0)]) == {"rim": 1.0}


@pytest.mark.parametrize("shape", [(3, len(NAMES)), (2, len(NAMES) - 1), (2, len(NAMES) + 1)])
def test_shapes_that_do_not_fit_are_named(shape):
    judge = inspect.unwrap(attribute_accuracy)  # past the shape annotations: only tests check them
    expected = rf"\({shape[0]}, {shape[1]}\); expected \(2, {len(NAMES)}\)"
    with pytest.raises(ValueError, match=expected):
        judge(Sees([[0] * len(NAMES)] * 2), torch.zeros(2, 3, 8, 8), torch.zeros(shape).long())


# ---- all of several, and what is taken for what -----------------------------------------------


def jointly(seen, named, *names):
    images = torch.zeros(len(named), 3, 8, 8)
    return jointly_right(Sees(seen), images, torch.tensor(named), *names)


def test_jointly_right_needs_every_attribute_at_once():
    seen = [row(petal_colour=1, petal_shape=2, centre_colour=3)] * 4
    named = [
        row(petal_colour=1, petal_shape=2, centre_colour=3),
        row(petal_colour=1, petal_shape=2, centre_colour=3, size=1),  # others are not asked for
        row(petal_colour=1, petal_shape=2, centre_colour=0),  # two of three are not enough
        row(petal_colour=0, petal_shape=0, centre_colour=0),
    ]
    assert jointly(seen, named) == 0.5
    assert jointly(seen, named, ("petal_colour", "petal_shape")) == 0.75
    assert jointly(seen, named, ["size"]) == 0  # seen as −1, which no sentence can ask for


def test_only_whole_sentences_are_judged_jointly():
    seen = [row(petal_colour=1, petal_shape=2, centre_colour=3)] * 3
    right, silent = row(petal_colour=1, petal_shape=2, centre_colour=3), row(petal_colour=1)
    assert jointly(seen, [right, silent, row()]) == 1
    assert jointly(seen, [row(petal_colour=1, petal_shape=2, centre_colour=0), silent, silent]) == 0
    assert math.isnan(jointly(seen, [silent] * 3))


def test_confusions_have_what_is_true_in_rows_and_what_is_read_in_columns():
    true = [row(**dict.fromkeys(NAMES, 0) | {"petal_colour": c}) for c in (2, 2, 2, 5)]
    seen = [row(**dict.fromkeys(NAMES, 1) | {"petal_colour": c}) for c in (2, 6, 6, 2)]
    tables = confusions(Sees(seen), torch.zeros(4, 3, 8, 8), torch.tensor(true))
    assert list(tables) == list(NAMES)
    colours = torch.zeros(7, 7, dtype=torch.int64)
    colours[2, 2], colours[2, 6], colours[5, 2] = 1, 2, 1
    assert torch.equal(tables["petal_colour"], colours)
    for name, table in tables.items():
        assert table.shape == (len(ATTRIBUTES[name]),) * 2 and table.sum() == 4
        assert name == "petal_colour" or table[0, 1] == 4


# ---- the classifiers --------------------------------------------------------------------------


@pytest.mark.parametrize("side", [32, 64, 128])
def test_a_classifier_reads_any_size_and_number(side):
    torch.manual_seed(0)
    classifier = AttributeClassifier(width=2, side=side).eval()
    for size in (16, 64, 100, 256):
        answers = classifier(torch.zeros(2, 3, size, size))
        assert {k: tuple(v.shape) for k, v in answers.items()} == {
            k: (2, len(v)) for k, v in ATTRIBUTES.items()
        }
    images = torch.randn(260, 3, 64, 64)  # more than one chunk
    seen = classifier.read(images)
    assert seen.shape == (260, len(NAMES))
    assert torch.equal(seen[250:], classifier.read(images[250:]))
    answers = classifier(images[:5])
    by_name = torch.stack([answers[name].argmax(1) for name in NAMES], 1)
    assert torch.equal(classifier.read(images[:5]), by_name)


def resized(images, side):
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def two_pictures_that_shrink_to_one(size=256):
    """They differ in lines finer than a pixel of 128: shrunk to 128 or to 64 they are equal."""
    unit = torch.eye(size, dtype=torch.float64)[None, None]
    shrink = [F.interpolate(unit, (side, size), mode="bilinear", antialias=True)[0, 0]
              for side in (128, 64)]  # fmt: skip
    lost = torch.linalg.svd(torch.cat(shrink))[2][192:]  # directions that both take to 0
    stripes = lost.T @ (lost @ torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(size // 2))
    drawn = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5
    picture = resized(drawn, size)
    return picture, picture + 0.5 * torch.outer(stripes, stripes).float()


def test_the_classifier_of_64_shrinks_and_that_of_128_does_not():
    """What only 256 pixels show: seen by the one of 128, and by the one of 64 not at all."""
    one, other = two_pictures_that_shrink_to_one()
    assert (one - other).abs().mean() > 0.1
    for side in (64, 128):
        torch.testing.assert_close(resized(one, side), resized(other, side), atol=1e-5, rtol=0)
    apart = {}
    for side in (64, 128):
        torch.manual_seed(0)
        classifier = AttributeClassifier(width=8, side=side).eval()
        features = classifier.features(torch.cat([one, other]))
        apart[side] = ((features[0] - features[1]).norm() / features.norm()).item()
    assert apart[64] < 1e-4 and apart[128] > 0.01


def test_small_pictures_are_enlarged_and_large_ones_shrunk_to_64_alone():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 100, 100)
    for side in (64, 128):  # 100 is too large for the one, too small for the other
        classifier = AttributeClassifier(width=4, side=side).eval()
        expected = classifier.features(resized(images, side))
        torch.testing.assert_close(classifier.features(images), expected)
        as_it_is = classifier.trunk(classifier.convolutions(images))
        assert (as_it_is - expected).abs().max() > 1e-3


def test_a_classifier_comes_back_from_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics.attributes, "pretrained", lambda name: tmp_path / name)
    torch.manual_seed(0)
    images = torch.randn(3, 3, 64, 64)
    for side in (64, 128):
        widths = {"width": 4, "side": side}
        classifier = AttributeClassifier(**widths).eval()
        card = {"widths": json.dumps(widths)}
        save_weights(tmp_path / f"attribute_classifier_{side}.safetensors", classifier, card)
        loaded = load_attribute_classifier(side)
        assert loaded.side == side and not loaded.training
        assert not any(p.requires_grad for p in loaded.parameters())
        assert torch.equal(loaded.features(images), classifier.features(images))
    assert load_attribute_classifier().side == 64


def test_a_missing_classifier_is_named():
    with pytest.raises(FileNotFoundError, match="attribute_classifier_7.safetensors"):
        load_attribute_classifier(7)


@pytest.mark.parametrize(("side", "size"), [(64, 64), (64, 32), (128, 128), (128, 256)])
def test_the_shipped_classifiers_can_be_trusted(side, size):
    """On flowers of a seed that neither its training nor any notebook uses, all classes."""
    classifier = load_attribute_classifier(side)
    assert not classifier.training and not any(p.requires_grad for p in classifier.parameters())
    number = 400 if size < 128 else 100  # large ones take their time
    generator = torch.Generator().manual_seed(987_654_321)
    attributes, _ = draw_attributes(number, generator)
    images = to_unit(render(attributes, draw_style(number, generator), size))
    found = attribute_accuracy(classifier, images, attributes)
    for name in ("petal_colour", "background", "size"):
        assert found[name] >= 0.98, found
    assert found["centre_colour"] >= 0.95, found
    for name in DETAILS if side == 128 else ():  # what it is there for
        assert found[name] >= 0.95, found
    # Wrong answers count as wrong: with each picture's row given to the next, only chance is left.
    shuffled = attribute_accuracy(classifier, images, attributes.roll(1, 0))
    assert shuffled["petal_colour"] < 0.3 and shuffled["background"] < 0.45


# ---- the lattice ------------------------------------------------------------------------------


def test_power_on_the_lines_of_the_highest_frequency():
    """None in a smooth picture; all of it in single pixels by turns, in x, in y or in both."""
    place = torch.arange(32)
    smooth = torch.cos(2 * math.pi * place / 32)
    smooth = (smooth[:, None] + smooth).expand(2, 3, 32, 32)
    assert nyquist_power(smooth) < 1e-12
    turns = 1 - 2.0 * (place % 2)
    for lattice in (turns[:, None] * turns, turns.expand(32, 32), turns[:, None].expand(32, 32)):
        assert nyquist_power(lattice.expand(2, 3, 32, 32)) == pytest.approx(1, abs=1e-12)
    pairs = 1 - 2.0 * (place // 2 % 2)  # of period 4
    assert nyquist_power(pairs.expand(2, 3, 32, 32)) < 1e-12


def test_power_is_a_share_and_blind_to_brightness():
    """Of what is a lattice a tenth in amplitude a hundredth in power; offsets count nothing."""
    place = torch.arange(16)
    turns = (1 - 2.0 * (place % 2)).expand(3, 3, 16, 16)
    wave = 2**0.5 * torch.cos(2 * math.pi * place / 16).expand(3, 3, 16, 16)  # of power 1
    found = nyquist_power(wave + 0.1 * turns)
    assert found == pytest.approx(0.01 / 1.01, rel=1e-5)
    offsets = torch.arange(-4.0, 5.0).view(3, 3, 1, 1)  # one a picture and channel
    assert nyquist_power(wave + 0.1 * turns + offsets) == pytest.approx(found, rel=1e-4)
    assert nyquist_power(5 * (wave + 0.1 * turns)) == pytest.approx(found, rel=1e-4)


def test_power_of_white_noise_is_the_share_of_the_lines():
    """2S − 1 of the S² − 1 frequencies that are left once the mean is off."""
    for side in (8, 32):
        noise = torch.randn(400, 3, side, side, generator=torch.Generator().manual_seed(side))
        expected = (2 * side - 1) / (side**2 - 1)
        assert nyquist_power(noise) == pytest.approx(expected, rel=0.02)


def test_the_lattice_of_a_transposed_convolution_is_seen():
    """Twice the side of the same features: by a transposed convolution, or bilinear and a 3 × 3."""
    torch.manual_seed(0)
    features = resized(torch.randn(4, 8, 4, 4), 32)
    found = {}
    with torch.no_grad():
        found["transposed"] = nyquist_power(nn.ConvTranspose2d(8, 3, 4, 2, 1)(features))
        up = F.interpolate(features, scale_factor=2, mode="bilinear")
        found["bilinear"] = nyquist_power(nn.Conv2d(8, 3, 3, 1, 1)(up))
    assert found["transposed"] > 0.01 and found["transposed"] > 20 * found["bilinear"]


# ---- the colour of photographs ----------------------------------------------------------------


def test_a_colour_has_its_word():
    words = colour_words(PETAL_RGB)  # the colours that Blooms draws, by their names
    assert [COLOURS[i] for i in words] == list(ATTRIBUTES["petal_colour"])
    crayons = {"red": (0.8, 0, 0.1), "yellow": (0.9, 0.8, 0), "purple": (0.5, 0.1, 0.7),
               "white": (0.95, 0.95, 0.9), "pink": (1, 0.7, 0.8), "blue": (0.1, 0.2, 0.9),
               "orange": (1, 0.5, 0)}  # fmt: skip
    for word, rgb in crayons.items():
        assert COLOURS[int(colour_words(torch.tensor(rgb)))] == word


@pytest.mark.parametrize("rgb", [(0, 0, 0), (0.2, 0.05, 0.05), (0.5, 0.5, 0.5), (0.1, 0.6, 0.1),
                                 (0.4, 0.25, 0.1)])  # fmt: skip
def test_what_no_petal_has_gets_no_word(rgb):
    assert colour_words(torch.tensor(rgb).float()).item() == -1


def test_the_colour_of_the_centre():
    images = torch.full((3, 3, 30, 30), -1.0)
    images[:, 1] = 0.2  # green all over: no word
    red, blue = torch.tensor([0.8, -1, -0.8]), torch.tensor([-0.8, -0.6, 0.8])
    images[0] = blue[:, None, None]  # around ...
    images[0, :, 10:20, 10:20] = red[:, None, None]  # ... a red centre
    images[1, :, 14:17, 14:17] = blue[:, None, None]  # the only word there, if on few pixels
    images[1, :, :9] = red[:, None, None]  # not in the centre
    assert colour_of_centre(images) == ["red", "blue", "none"]


def test_the_frechet_distance_is_that_of_the_normal_distributions():
    g = torch.Generator().manual_seed(0)
    mean, mix = torch.tensor([1.0, -2.0, 0.5]), torch.randn(3, 3, generator=g)
    a = torch.randn(4000, 3, generator=g)
    b = mean + torch.randn(3000, 3, generator=g) @ mix
    S_a, S_b = (x.double().T.cov().numpy() for x in (a, b))
    root = linalg.sqrtm(S_a @ S_b).real  # another way to the root than torchmetrics' eigenvalues
    apart = (a.double().mean(0) - b.double().mean(0)).square().sum().item()
    expected = apart + (S_a + S_b - 2 * root).trace()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)
    assert abs(frechet_distance(a, a)) < 1e-8


def test_a_distance_needs_two_pictures_of_each():
    with pytest.raises(ValueError, match="1 features; expected 2 or more"):
        frechet_distance(torch.randn(5, 2), torch.randn(1, 2))


# ---- what an encoder keeps --------------------------------------------------------------------


def unchecked(module):
    """The same source without checks of annotations: thousands of sentences are written here."""
    spec = importlib.util.spec_from_file_location("unchecked", module.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


plain, sentences_of = unchecked(blooms), unchecked(grammar)
plain.describe, plain.parse = sentences_of.describe, sentences_of.parse


def facts(sentences):
    return torch.tensor([plain.to_row(plain.parse(sentence)) for sentence in sentences])


class Encoder:
    """Keeps of a sentence what it names of `names`, one-hot; remembers what it was asked."""

    def __init__(self, *names):
        self.names, self.asked = names, []

    def __call__(self, sentences):
        self.asked += sentences
        told, parts = facts(sentences), [torch.full((len(sentences), 3), 0.1)]
        for name in self.names:
            parts.append(F.one_hot(told[:, NAMES.index(name)] + 1, len(ATTRIBUTES[name]) + 1))
        return torch.cat(parts, 1)


@pytest.fixture(scope="module")
def flowers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics.probes, "blooms", plain)
        yield plain.load_blooms(600, 8, seed=1)


GRAMMARS = ("training", "held_out", "synonyms")


def test_what_is_in_the_embedding_is_found(flowers):
    found = probe(Encoder(*NAMES), flowers, GRAMMARS, trained=1500, judged=500)
    assert list(found) == list(GRAMMARS)
    for shares in found.values():
        assert list(shares) == list(NAMES)
        assert all(share >= 0.99 for share in shares.values()), shares


def test_what_is_not_in_the_embedding_is_a_guess(flowers):
    """The commonest answer for everything, and half for details: named and silent weigh alike."""
    encoder = Encoder()
    found = probe(encoder, flowers, trained=1500, judged=500)["training"]
    assert len(encoder.asked) == 2000
    learnt, judged = facts(encoder.asked).split([1500, 500])
    for i, name in enumerate(NAMES):
        if name in DETAILS:
            assert found[name] == 0.5
        else:
            guess = learnt[:, i][learnt[:, i] >= 0].bincount().argmax()
            asked = judged[:, i][judged[:, i] >= 0]
            expected = (asked == guess).float().mean().item()
            assert found[name] == pytest.approx(expected, abs=1e-6), name


def test_each_attribute_is_probed_for_itself(flowers):
    """An encoder that keeps two things: those are found, and no others with them."""
    found = probe(Encoder("background", "rim"), flowers, trained=1500, judged=500)["training"]
    assert found["background"] >= 0.99 and found["rim"] >= 0.99
    others = set(NAMES) - {"background", "rim"}
    assert all(found[name] < 0.75 for name in others), found
    assert found["petal_colour"] < 0.35 and found["petal_shape"] < 0.45


def test_details_that_are_dimly_there_are_found(flowers):
    """Most sentences are silent about veins; a reader that guessed by count would say so always."""
    kept = Encoder("veins")

    def dimly(sentences):
        noise = torch.Generator().manual_seed(len(kept.asked))
        sharp = kept(sentences)
        return sharp + 1.3 * torch.randn(sharp.shape, generator=noise)

    found = probe(dimly, flowers, trained=3000, judged=1000)["training"]
    assert 0.65 < found["veins"] < 0.9 and found["rim"] < 0.6, found


def test_probes_learn_from_one_split_and_are_judged_on_another_by_grammar(flowers):
    """Other sentences for another grammar, about the same unseen pictures."""
    encoder = Encoder("petal_colour")
    probe(encoder, flowers, GRAMMARS, trained=300, judged=200)
    learnt, *judged = (encoder.asked[a : a + 200] for a in (100, 300, 500, 700))

    def of(split):
        return {text for p in flowers.splits[split].tolist() for text in flowers.captions[p]}

    assert set(learnt) <= of("train") and set(judged[0]) <= of("test")
    words = grammar.training_words()
    for name, texts in zip(GRAMMARS, judged, strict=True):
        known = [set(grammar.words_of(text)) <= words for text in texts]
        assert (sum(known) < 10) == (name == "synonyms"), name
    assert len(set(judged[1]) & of("test")) < 10
    again = Encoder("petal_colour")
    probe(again, flowers, ["held_out"], trained=300, judged=200)
    assert again.asked[100:] == learnt + judged[1], "the other grammars have no say"
    other = Encoder("petal_colour")
    probe(other, flowers, trained=300, judged=200, seed=1)
    assert other.asked[100:300] != learnt


def photographs(n=600, rare=0.1):
    """Captions without known attributes: all name a colour, half a shape, a few a size."""
    rng, captions = random.Random(0), []
    for _ in range(n):
        size = rng.choice(("small ", "large ")) if rng.random() < rare else ""
        shape = rng.choice(("", "", "round ", "pointed "))
        colour = rng.choice(("red", "blue", "white"))
        captions.append([f"a {size}flower with {shape}{colour} petals and dark stamens"] * 2)
    return CaptionedImages(
        name="photographs",
        images=np.zeros((n, 3, 8, 8), np.uint8),
        captions=captions,
        classes=torch.zeros(n, dtype=torch.int64),
        class_names=["flower"],
        splits={"train": torch.arange(n // 2), "test": torch.arange(n // 2, n)},
        crop=8,
        flip=True,
    )


def test_on_photographs_the_sentences_are_read():
    """Fewer than a hundred say a size; silence says nothing of stamens where nothing is known."""
    found = probe(Encoder(*NAMES), photographs(), trained=500, judged=300)
    assert found.keys() == {"training"}
    assert found["training"].keys() == {"petal_colour", "petal_shape"}
    assert all(share >= 0.99 for share in found["training"].values())
    found = probe(Encoder("size"), photographs(rare=0.5), trained=500, judged=300)["training"]
    assert found.keys() == {"petal_colour", "petal_shape", "size"}
    assert found["size"] >= 0.99 and found["petal_colour"] < 0.5


# ---- the linear reader ------------------------------------------------------------------------


def test_a_linear_rule_is_recovered():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(900, 6, generator=generator)
    rule = torch.randn(6, 4, generator=generator)
    answers = (features @ rule).argmax(1)
    read = linear_reader(features[:600], answers[:600])
    assert (read(features[600:]) == answers[600:]).float().mean() > 0.95
    assert (read(-features[600:]) == answers[600:]).float().mean() < 0.3


def rare_and_common(n=2000):
    """One in twenty is of class 1, and the two overlap: best guess by count is always class 0."""
    generator = torch.Generator().manual_seed(0)
    answers = (torch.arange(n) % 20 == 0).long()
    features = torch.randn(n, 3, generator=generator)
    features[:, 0] += 1.5 * answers
    return features, answers


def test_balance_gives_the_rare_its_say():
    features, answers = rare_and_common()
    found = {}
    for balanced in (False, True):
        seen = linear_reader(features, answers, balanced)(features)
        found[balanced] = [(seen == answers)[answers == k].float().mean().item() for k in (0, 1)]
    assert found[False][0] > 0.97 and found[False][1] < 0.3
    assert min(found[True]) > 0.7


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(
    "shift",
    [
        (0.0, 0.0, 0.0),
        (30.0, 30.0, 30.0),
        (300.0, -20.0, 5.0),
    ],
)
def test_a_shift_and_a_scale_change_no_answer(shift, scale):
    features, answers = rare_and_common()
    moved = (features + torch.tensor(shift)) * scale
    seen = linear_reader(features, answers, balanced=True)(features)
    again = linear_reader(moved, answers, balanced=True)(moved)
    assert (again == seen).float().mean() > 0.998


def test_a_quiet_direction_is_hardly_heard():
    """Its weights would be large, and are paid for; one scale for all does not lift it."""
    generator = torch.Generator().manual_seed(0)
    loud = torch.randn(400, 2, generator=generator)
    answers = (loud[:, 0] > 0).long()
    quiet = loud * torch.tensor([1e-4, 1.0])
    assert (linear_reader(loud, answers)(loud) == answers).float().mean() > 0.97
    assert (linear_reader(quiet, answers)(quiet) == answers).float().mean() < 0.8
