"""The report card and the blind test on paper."""

import pytest
import torch

from t2i_utils import figures
from t2i_utils.figures.cards import MARKS

NAN = float("nan")


def column(shift):
    return {
        "petal_colour": (0.5 + shift, 0.02),
        "stamens, named − not": (-0.1 + shift, NAN),
        "R-precision by θ": (NAN, NAN),
        "Fréchet distance": (100 + 50 * shift, 3.0),
        "KID": (-4.0, 2.0),
    }


@pytest.fixture
def drawn():
    names = ("mine", "another", "blind", "parrot", "ceiling")
    return figures.report_card({name: column(0.1 * i) for i, name in enumerate(names)}, "who?")


def words(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_shares_stand_above_and_distances_beneath(drawn):
    above, beneath = drawn.axes
    assert words(above) == ["petal_colour", "stamens, named − not", "R-precision by θ"]
    assert words(beneath) == ["Fréchet distance", "KID"]
    assert above.get_xscale() == "linear" and beneath.get_xscale() == "log"


def test_every_value_is_drawn_where_it_is(drawn):
    above, beneath = drawn.axes
    for axes, row, shift in ((above, "petal_colour", 0.5), (beneath, "Fréchet distance", 100)):
        scale = 0.1 if axes is above else 5
        found = [line.get_xdata()[0] for line in axes.lines if line.get_ydata()[0] == 0
                 or line.get_ydata()[0] == pytest.approx(-0.38)]  # fmt: skip
        expected = [shift + scale * i for i in range(5)]
        for value in expected:
            assert any(x == pytest.approx(value) for x in found), (row, value)


def test_generators_differ_in_mark_and_colour(drawn):
    _, labels = drawn.axes[0].get_legend_handles_labels()
    assert sorted(labels) == ["another", "blind", "ceiling", "mine", "parrot"]
    marks = [(line.get_marker(), line.get_color()) for line in drawn.axes[0].lines
             if line.get_marker() in (*MARKS, "x")]  # fmt: skip
    assert len(marks) == 3 and len({m for m, _ in marks}) == 3 and len({c for _, c in marks}) == 3


def test_bars_are_two_standard_errors(drawn):
    bars = drawn.axes[0].containers[0].lines[2][0].get_segments()
    assert bars[0][:, 0].tolist() == pytest.approx([0.46, 0.54])


def test_no_column_is_an_error():
    with pytest.raises(ValueError, match="found no columns"):
        figures.report_card({})


def question(pictures=1, answer=0):
    return figures.Question(torch.rand(pictures, 3, 8, 8), ["a red one", "a blue one"], answer,
                            "which?")  # fmt: skip


def test_a_question_shows_its_pictures_and_its_choices():
    figure = figures.blind_test([question(), question(2)])
    assert len(figure.axes) == 3
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("which?") == 2 and texts.count("1. a red one\n2. a blue one") == 2


def test_the_answers_are_not_shown():
    torch.manual_seed(0)
    first = figures.blind_test([question(answer=0)])
    second = figures.blind_test([question(answer=1)])
    for a, b in zip(first.texts, second.texts, strict=True):
        assert a.get_text() == b.get_text() and a.get_color() == b.get_color()
    with pytest.raises(ValueError, match="found no questions"):
        figures.blind_test([])
