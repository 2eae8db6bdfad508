"""Attribute accuracy counts what a sentence names; the shipped classifier can be trusted."""

import inspect

import pytest
import torch
from scipy import linalg
from torch import nn

from t2i_utils.data.blooms import (
    ATTRIBUTES,
    NAMES,
    PETAL_RGB,
    draw_attributes,
    draw_style,
    render,
)
from t2i_utils.data.captioned import to_unit
from t2i_utils.metrics import (
    COLOURS,
    AttributeClassifier,
    attribute_accuracy,
    colour_of_centre,
    colour_words,
    frechet_distance,
    load_attribute_classifier,
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


def test_the_classifier_reads_any_size_and_number():
    torch.manual_seed(0)
    classifier = AttributeClassifier(width=2).eval()
    for size in (16, 64, 100):
        answers = classifier(torch.zeros(2, 3, size, size))
        assert {k: tuple(v.shape) for k, v in answers.items()} == {
            k: (2, len(v)) for k, v in ATTRIBUTES.items()
        }
    images = torch.randn(260, 3, 64, 64)  # more than one chunk
    seen = classifier.read(images)
    assert seen.shape == (260, len(NAMES))
    assert torch.equal(seen[250:], classifier.read(images[250:]))


@pytest.fixture(scope="module")
def classifier():
    return load_attribute_classifier()


@pytest.mark.parametrize("size", [64, 32])
def test_the_shipped_classifier_can_be_trusted(classifier, size):
    """On flowers of a seed that neither its training nor any notebook uses, all classes."""
    assert not classifier.training and not any(p.requires_grad for p in classifier.parameters())
    generator = torch.Generator().manual_seed(987_654_321)
    attributes, _ = draw_attributes(400, generator)
    images = to_unit(render(attributes, draw_style(400, generator), size))
    found = attribute_accuracy(classifier, images, attributes)
    for name in ("petal_colour", "background", "size"):
        assert found[name] >= 0.98, found
    assert found["centre_colour"] >= 0.95, found
    # Wrong answers count as wrong: with each picture's row given to the next, only chance is left.
    shuffled = attribute_accuracy(classifier, images, attributes.roll(1, 0))
    assert shuffled["petal_colour"] < 0.3 and shuffled["background"] < 0.45


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
    with pytest.raises(ValueError, match="5 real and 1 fake pictures"):
        frechet_distance(torch.randn(5, 2), torch.randn(1, 2))
