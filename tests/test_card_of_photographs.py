"""The report card of photographs, where only the colour in the middle can be judged."""

import pytest
import torch
from torch import nn

from t2i_utils.data.blooms import NAMES, PETAL_RGB
from t2i_utils.data.captioned import to_bytes
from t2i_utils.metrics import Exam, report_card
from t2i_utils.metrics import card as cards


def pixel(images):
    """Features of one number: a pixel's red."""
    return images[:, :1, 0, 0]


JUDGES = cards.Judges(nn.Identity(), None, None, pixel, "one pixel", torch.device("cpu"))


def make_exam(colours):
    """Sentences are numbers of colours, −1 for none."""
    n = len(colours)
    asked = torch.full((n, len(NAMES)), -1)
    asked[:, 0] = colours
    real = torch.rand(n, 3, 9, 9, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Exam("photographs", list(map(str, colours.tolist())), asked, ["training"] * n,
                to_bytes(real), torch.arange(n), lambda rows, seed: real[rows],
                lambda rows: real[rows], lambda sentences: torch.zeros(len(sentences), 2),
                classes=torch.arange(n) % 6)  # fmt: skip


def plain(colours):
    return (PETAL_RGB[colours] * 2 - 1)[:, :, None, None].expand(-1, -1, 9, 9)


def obeys(sentences, seed):
    return plain(torch.tensor([max(0, int(sentence)) for sentence in sentences]))


def always_red(sentences, seed):
    return plain(torch.zeros(len(sentences), dtype=torch.int64))


def test_rows_are_those_of_the_colour_that_is_named():
    """Of the places that name one: obeyed is 1; red is right where red is asked for."""
    colours = torch.randint(-1, 7, (48,), generator=torch.Generator().manual_seed(0))
    card = report_card({"obeys": obeys, "red": always_red}, make_exam(colours), JUDGES)
    given = colours[colours >= 0]
    assert 30 < len(given) < 48
    red, same = ((given == other).float().mean().item() for other in (0, given.roll(1)))
    assert card.columns["obeys"]["colour of the middle"] == (1, 0)
    assert card.numbers("obeys")["sensitivity"] == pytest.approx(1 - same)
    assert card.numbers("red")["colour of the middle"] == pytest.approx(red)
    assert card.numbers("red")["sensitivity"] == 0
    assert card.numbers("obeys")["diversity"] == 0, "z is ignored"
    assert not {"all three", "petal_shape", "R-precision by θ"} & card.columns["obeys"].keys()


def test_the_colour_is_that_of_the_middle():
    """Red within blue is red."""

    def draw(sentences, seed):
        images = plain(torch.full((len(sentences),), 5)).clone()
        images[..., 3:6, 3:6] = always_red(sentences, seed)[..., :3, :3]
        return images

    card = report_card(draw, make_exam(torch.zeros(48).long()), JUDGES)
    assert card.columns["generator"]["colour of the middle"] == (1, 0)


def test_diversity_is_within_eight_over_between_sentences():
    """On a line, the eight of a sentence at 0 … 7 and the sentences 40 apart: 3 over 40 · 11/3."""

    def pictures(rows, seed):
        assert rows.tolist() == [n for n in range(10) for _ in range(8)]
        line = (rows * 40 + torch.arange(80) % 8).float()
        return line[:, None, None, None].expand(-1, 3, 9, 9)

    found, error = cards.diversity(pictures, make_exam(torch.zeros(160).long()), JUDGES)
    assert found == pytest.approx(3 / (40 * 11 / 3)) and error == pytest.approx(0, abs=1e-6)
