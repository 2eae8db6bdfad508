"""Exercises are tested by mutation: the stub fails, the solution passes, and each typical wrong
answer fails with the hint that is meant for it."""

import nbformat
import pytest
import torch

from t2i_utils import lesson
from t2i_utils.data import blooms

NOTEBOOKS = sorted((lesson.ROOT / "notebooks").glob("[0-9]*.ipynb"))


def exercises(path):
    """(exercise, solution, check) sources of a notebook, in order."""
    cells = nbformat.read(path, as_version=4).cells
    starts = [i for i, c in enumerate(cells) if "exercise" in c.metadata.get("tags", [])]
    return [tuple(cell.source for cell in cells[i : i + 3]) for i in starts]


# notebook, exercise → wrong answers, each with a part of the hint that it must get
WRONG = {
    ("00_text_to_image", 1): [
        (
            "def between(a, b, steps):\n"
            "    share = torch.arange(steps)[:, None] / steps\n"
            "    return (1 - share) * a + share * b",
            "the last row must be phi_b",
        ),
        (
            "def between(a, b, steps):\n"
            "    share = torch.linspace(0, 1, steps)[:, None]\n"
            "    return share * a + (1 - share) * b",
            "row 0 must be phi_a",
        ),
        (
            "def between(a, b, steps):\n"
            "    share = torch.linspace(0, 1, steps)[:, None]\n"
            "    return (1 - share) ** 0.5 * a + share**0.5 * b",
            "the two shares add up to 1",
        ),
        (
            "def between(a, b, steps):\n"
            "    share = torch.linspace(0, 1, steps)[:, None] ** 2\n"
            "    return (1 - share) * a + share * b",
            "evenly spaced",
        ),
        ("def between(a, b, steps):\n    return torch.stack([a, b])", "expected shape"),
        ("def between(a, b, steps):\n    return [a, b]", "return one tensor"),
        (
            "def between(a, b, steps):\n"
            "    share = torch.arange(steps)[:, None] / (steps - 1)\n"
            "    return share * (b - a) + a.abs()",
            "as they are given",
        ),
    ],
    ("00_text_to_image", 2): [
        (
            "def most_obedient(seen, named):\n"
            "    return ((seen == named) & (named >= 0)).sum(1).argmax()",
            "return a Python int",
        ),
        (
            "def most_obedient(seen, named):\n    return int((seen == named).sum(1).argmax())",
            "is silence",
        ),
        ("def most_obedient(seen, named):\n    return 0", "count what agrees"),
        (
            "def most_obedient(seen, named):\n"
            "    right = ((seen == named) & (named >= 0)).sum(1)\n"
            "    return int(torch.nonzero(right == right.max())[-1])",
            "the first wins",
        ),
        (
            "def most_obedient(seen, named):\n"
            "    return int(((seen == named) | (named < 0)).all(1).int().argmax())",
            "need be right in everything",
        ),
        (
            "def most_obedient(seen, named):\n"
            "    return int(((seen - named).abs() * (named >= 0)).sum(1).argmin())",
            "not sizes",
        ),
    ],
    ("00_text_to_image", 3): [
        (
            "def left_open(sentence):\n"
            "    named = blooms.parse(sentence)\n"
            "    return sum(len(v) for k, v in blooms.ATTRIBUTES.items() if k not in named)",
            "do not add",
        ),
        (
            "def left_open(sentence):\n"
            "    total = 1\n"
            "    for values in blooms.ATTRIBUTES.values():\n"
            "        total *= len(values)\n"
            "    return total // max(1, 10 * len(blooms.parse(sentence)))",
            "one of its 7 values",
        ),
        (
            "def left_open(sentence):\n"
            "    total = 1\n"
            "    for values in blooms.ATTRIBUTES.values():\n"
            "        total *= 1 if any(v in sentence.split() for v in values) else len(values)\n"
            "    return total",
            "let blooms.parse find",
        ),
        (
            "def left_open(sentence):\n"
            "    total = 1\n"
            "    for name, values in blooms.ATTRIBUTES.items():\n"
            "        total *= len(values)\n"
            "    return total // 7 if blooms.parse(sentence) else total",
            "three attributes are named",
        ),
    ],
    ("07_gan_cls", 1): [
        (
            "def matching_accuracy(s_r, s_w):\n    return (s_r > s_w).float().mean()",
            "Python float",
        ),
        (
            "def matching_accuracy(s_r, s_w):\n"
            "    return (((s_r > 0).float() + (s_w < 0).float()) / 2).mean().item()",
            "not each with 0",
        ),
        (
            "def matching_accuracy(s_r, s_w):\n    return float(s_r.mean() > s_w.mean())",
            "picture by picture",
        ),
        (
            "def matching_accuracy(s_r, s_w):\n    return (s_r > s_w).float().mean().item()",
            "a tie counts half",
        ),
    ],
    ("07_gan_cls", 2): [
        (
            "def wrong_in_batch(classes, generator):\n"
            "    return torch.arange(len(classes)).roll(1)",
            "came from the same class",
        ),
        (
            "def wrong_in_batch(classes, generator):\n"
            "    other = (classes[:, None] != classes[None, :]).float()\n"
            "    return other.argmax(1)",
            "each a third of the time",
        ),
        (
            "def wrong_in_batch(classes, generator):\n"
            "    other = (classes[:, None] != classes[None, :]).float() + 1e-9\n"
            "    return torch.multinomial(other, 1, generator=generator).flatten()",
            "raise ValueError",
        ),
        (
            "def wrong_in_batch(classes, generator):\n"
            "    other = (classes[:, None] != classes[None, :]).float()\n"
            "    return torch.multinomial(other, 1, generator=generator).squeeze(1)",
            "raise ValueError before drawing",
        ),
        (
            "def wrong_in_batch(classes, generator):\n"
            "    other = (classes[:, None] != classes[None, :]).float()\n"
            "    return torch.multinomial(other, 1, generator=generator)",
            "int64 tensor of shape",
        ),
    ],
    ("07_gan_cls", 3): [
        (
            "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
            "    x = draw(z1, phi1)\n"
            "    a, b = (draw(z1, phi2) - x).abs().mean(), (draw(z2, phi1) - x).abs().mean()\n"
            "    return (b / a).item()",
            "upside down",
        ),
        (
            "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
            "    x = draw(z1, phi1)\n"
            "    a, b = ((y - x).square().mean() for y in (draw(z1, phi2), draw(z2, phi1)))\n"
            "    return (a / b).item()",
            "not squares",
        ),
        (
            "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
            "    x = draw(z1, phi1)\n"
            "    a, b = (draw(z2, phi2) - x).abs().mean(), (draw(z2, phi1) - x).abs().mean()\n"
            "    return (a / b).item()",
            "hold z1",
        ),
        (
            "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
            "    x = draw(z1, phi1)\n"
            "    a, b = (draw(z1, phi2) - x).mean(), (draw(z2, phi1) - x).mean()\n"
            "    return (a / b).item()",
            "may be negative",
        ),
    ],
}

ALL = [(p.stem, n, *e) for p in NOTEBOOKS for n, e in enumerate(exercises(p), start=1)]


def run(*sources):
    """Run cells in a fresh notebook's names: what a check may rely on is torch and the package."""
    names = {"torch": torch, "lesson": lesson, "blooms": blooms}
    for source in sources:
        exec(compile(source, "cell", "exec"), names)  # noqa: S102


@pytest.mark.parametrize(("notebook", "number", "stub", "solution", "check"), ALL)
def test_the_stub_fails_and_the_solution_passes(notebook, number, stub, solution, check):
    with pytest.raises(NotImplementedError, match=f"exercise {number}"):
        run(stub, check)
    run(stub, solution, check)


@pytest.mark.parametrize(
    ("notebook", "number", "answer", "hint"),
    [(notebook, n, *wrong) for (notebook, n), answers in WRONG.items() for wrong in answers],
)
def test_a_wrong_answer_gets_its_hint(notebook, number, answer, hint):
    stub, _, check = next(e[2:] for e in ALL if e[:2] == (notebook, number))
    with pytest.raises(AssertionError, match=hint):
        run(stub, answer, check)


def test_every_exercise_has_three_wrong_answers():
    assert {key for key, answers in WRONG.items() if len(answers) >= 3} == {e[:2] for e in ALL}
