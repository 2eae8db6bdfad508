"""A step function in words: an edit is seen; a comment, a counter and a line break are not."""

import functools
import re
import sys
import types
from pathlib import Path

import pytest
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from resume_worker import Generator, gan_step  # noqa: E402

from t2i_utils import runs  # noqa: E402
from t2i_utils.sources import sources  # noqa: E402

WEIGHT = 1.0


def weighted_step(players, images):
    """gan_step whose loss is weighed by a number and a function of this module."""
    measured = gan_step(players, images)
    return {name: scaled(value) for name, value in measured.items()}


def scaled(value):
    return WEIGHT * value


def test_a_source_is_without_comments_docstrings_and_layout():
    def one(players, batch):
        """What it does."""
        return {"a": batch.sum()}  # a sum

    def two(players, batch):
        return {
            "a": batch.sum(),
        }

    texts = [sources(f)[""].replace("two", "one") for f in (one, two)]
    assert texts[0] == texts[1]


def test_a_source_follows_what_is_used_and_no_further():
    found = sources(weighted_step)
    assert found.keys() == {"", "gan_step", "scaled", "WEIGHT"} - {"gan_step"}
    partial = sources(functools.partial(weighted_step, images=3))
    assert partial["(images)"] == "3" and partial[""] == found[""]
    rate = 0.5

    def step(players, batch):
        nonlocal calls
        calls += 1  # set here: a counter says nothing of what the step is
        return rate * batch

    calls = 0
    assert sources(step).keys() == {"", "rate"}
    assert "" in sources(Generator) and sources(len) == {}


SETTINGS = {"weight": 1.0}
SPACE = types.SimpleNamespace(weight=1.0)
SEEN = {"steps": 0}
BEST = 1.0


class Loss:
    """Settings in an object of one's own."""

    def __init__(self, margin):
        self.margin = margin

    def __call__(self, value):
        return value - self.margin


class Meter:
    def __init__(self):
        self.total = 0

    def add(self, value):
        self.total += value


LOSS, METER = Loss(1.0), Meter()
MARGIN = nn.MarginRankingLoss(margin=0.5)


def keep_best(value):
    global BEST
    BEST = min(BEST, value)


def step(players, batch, scale=BEST, *, weights=SETTINGS):
    SEEN["steps"] += 1
    METER.add(1)
    keep_best(0.5)
    return gan_step(players, batch) | {"a": LOSS(SETTINGS["weight"] * SPACE.weight), "b": MARGIN}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SETTINGS", {"weight": 2.0}, "SETTINGS: found .*1.0.*expected .*2.0"),
        ("SPACE", types.SimpleNamespace(weight=2.0), "SPACE.weight: found '1.0', expected '2.0'"),
        ("LOSS", Loss(2.0), "LOSS.margin: found '1.0', expected '2.0'"),
        ("MARGIN", nn.MarginRankingLoss(2.0), "MARGIN.margin: found '0.5', expected '2.0'"),
        ("SEEN", {"steps": 7}, None),  # counters say where a run is, not what
        ("METER", Meter(), None),
        ("BEST", 0.25, None),
    ],
)
def test_settings_in_dicts_and_objects_belong_to_the_step(monkeypatch, name, value, message):
    before = sources(step)
    METER.total += 1
    monkeypatch.setattr(sys.modules[__name__], name, value)
    found = list(runs._differences("step function", before, sources(step)))
    if message is None:
        assert not found
    else:
        assert len(found) == 1 and re.search(message, found[0]), found


def test_the_values_of_default_arguments_belong_to_it():
    def made(margin):
        def inner(players, batch, margin=margin):
            return margin * batch

        return inner

    (said,) = runs._differences("step function", *map(sources, map(made, (1.0, 2.0))))
    assert said == "step function: (margin): found '1.0', expected '2.0'"
    methods = [sources(Loss(margin).__call__) for margin in (1.0, 2.0)]
    assert list(runs._differences("step", *methods)) == [
        "step: .margin: found '1.0', expected '2.0'"]  # fmt: skip


def test_a_lambda_is_its_own_source_and_not_its_lines():
    a, b = [lambda p, x: {"a": x}, 1], [lambda p, x: {"a": x}, 2]  # fmt: skip
    c, d = (lambda p, x: {"a": x + 1}), (lambda q: lambda p, x: {"a": x})
    same = sources(a[0])
    assert same == sources(b[0]) == {"": "lambda p, x: {'a': x}"}
    assert sources(c) != same and sources(d(1)) == same
