"""The second opinion: any side, the shipped weights trusted, and unlike the first."""

import pytest
import torch
import torch.nn.functional as F

from t2i_utils.data.blooms import ATTRIBUTES, NAMES, draw_attributes, draw_style, render
from t2i_utils.data.captioned import to_unit
from t2i_utils.metrics import SecondClassifier, load_second_classifier


@pytest.mark.parametrize("size", [32, 64, 100, 128])
def test_pictures_of_any_side_are_brought_to_64(size):
    torch.manual_seed(0)
    classifier = SecondClassifier(width=8).eval()
    images = torch.randn(2, 3, size, size)
    answers = classifier(images)
    assert {k: tuple(v.shape) for k, v in answers.items()} == {
        k: (2, len(v)) for k, v in ATTRIBUTES.items()
    }
    assert classifier.features(images).shape == (2, 8 * 8 * 2)
    brought = F.interpolate(images, (64, 64), mode="bilinear", antialias=True)
    if size == 64:
        brought = images
        assert classifier.blocks(classifier.start(images)).shape == (2, 64, 4, 4)
    torch.testing.assert_close(classifier.features(images), classifier.features(brought))


def test_features_are_the_mean_and_the_largest_of_the_last_map():
    torch.manual_seed(0)
    classifier, images = SecondClassifier(width=8).eval(), torch.randn(2, 3, 64, 64)
    last = classifier.blocks(classifier.start(images)).relu().flatten(2)
    expected = torch.cat([last.mean(2), last.max(2).values], 1)
    torch.testing.assert_close(classifier.features(images), expected)


def test_the_shipped_one_reads_flowers():
    """Of a seed that neither its training nor any notebook uses; a picture alone or among many."""
    classifier = load_second_classifier()
    assert not classifier.training and not any(p.requires_grad for p in classifier.parameters())
    generator = torch.Generator().manual_seed(987_654_321)
    attributes, _ = draw_attributes(500, generator)
    images = to_unit(render(attributes, draw_style(500, generator), 64))
    seen = classifier.read(images)
    right = (seen == attributes).float().mean(0).tolist()
    for name, share in zip(NAMES, right, strict=True):
        assert share >= (0.97 if name == "rim" else 0.98), (name, share)
    assert torch.equal(classifier.read(images[300:303]), seen[300:303])
    shuffled = (seen == attributes.roll(1, 0)).float().mean(0)
    assert shuffled[0] < 0.3, "wrong answers count as wrong"
