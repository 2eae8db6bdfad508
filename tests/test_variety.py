"""Variety where a sentence leaves something open, told from change where it does not."""

import pytest
import torch

from t2i_utils import data, metrics
from t2i_utils.data import blooms
from t2i_utils.metrics.variety import OPEN_OR_NOT, other_values

BACKGROUND, SIZE = (blooms.NAMES.index(name) for name in OPEN_OR_NOT)


def table(rows, fill=0):
    return torch.full((rows, len(blooms.NAMES)), fill, dtype=torch.int64)


def test_a_change_counts_where_it_happens():
    """Four sentences: two name the background, one of these and one of the others changes."""
    seen, again, asked = table(4), table(4), table(4, -1)
    asked[:2, BACKGROUND] = 1
    again[0, BACKGROUND] = again[2, BACKGROUND] = again[3, SIZE] = 2
    assert other_values(seen, again, asked) == {
        "background, open": 0.5,
        "background, said": 0.5,
        "size, open": 0.25,
    }


def test_zero_is_a_named_value():
    seen, again, asked = table(2), table(2, 1), table(2)
    assert other_values(seen, again, asked, ["size"]) == {"size, said": 1.0}


def test_what_was_asked_does_not_matter_beyond_its_being_asked():
    """Two pictures that agree and are both wrong have not varied."""
    seen, asked = table(3, 2), table(3, 1)
    assert set(other_values(seen, seen, asked).values()) == {0.0}


def test_real_flowers_vary_where_they_may_and_nowhere_else():
    flowers = data.load("blooms", n=400, size=32)
    exam = metrics.blooms_exam(flowers, lambda sentences: torch.zeros(len(sentences), 2), 128)
    rows = torch.arange(len(exam))
    looks = metrics.judges()
    one, other = (exam.ceiling(rows, seed) for seed in (0, 1))
    read = [looks.attributes(images, looks.look(looks.features, images)) for images in (one, other)]
    shares = other_values(*read, exam.asked)
    assert shares["background, said"] < 0.05 and shares["size, said"] < 0.15
    assert shares["background, open"] > 0.5 and shares["size, open"] > 0.4


def test_shapes_are_compared():
    with pytest.raises(ValueError, match=r"\(2, \d+\), \(3, \d+\), \(2, \d+\); expected one"):
        other_values(table(2), table(3), table(2))
