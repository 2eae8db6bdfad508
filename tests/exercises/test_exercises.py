"""Exercises are tested by mutation: the stub fails, the solution passes, and each typical wrong
answer fails with the hint that is meant for it."""

import math
import re

import learners
import nbformat
import pytest
import torch

from t2i_utils import lesson
from t2i_utils.data import blooms
from t2i_utils.models.stackgan import Stage1Generator
from t2i_utils.objectives import kl_to_standard_normal

NOTEBOOKS = sorted((lesson.ROOT / "notebooks").glob("[0-9]*.ipynb"))


def exercises(path):
    """(exercise, solution, check) sources of a notebook, in order."""
    cells = nbformat.read(path, as_version=4).cells
    starts = [i for i, c in enumerate(cells) if "exercise" in c.metadata.get("tags", [])]
    return [tuple(cell.source for cell in cells[i : i + 3]) for i in starts]


# notebook, exercise → wrong answers, each with a part of the hint that it must get: a whole answer,
# or what is replaced in the solution and by what
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
            "the other way round: row 0",
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
        ("torch.linspace(0, 1, steps, device=phi_a.device)",
         "torch.linspace(0, 1, steps + 2, device=phi_a.device)[1:-1]", "row 0 must be phi_a"),
        ("(1 - share) * phi_a + share * phi_b",
         "torch.nn.functional.normalize((1 - share) * phi_a + share * phi_b)", "row 0 must be"),
        ("(1 - share) * phi_a + share * phi_b",
         "((1 - share) * phi_a + share * phi_b).clamp(-1, 1)", "row 0 must be"),
        ("(1 - share) * phi_a + share * phi_b", "torch.cat([(1 - share) * phi_a, share * phi_b])",
         "expected shape"),
        ("(1 - share) * phi_a + share * phi_b", "((1 - share) * phi_a + share * phi_b).T",
         "expected shape"),
        ("(1 - share) * phi_a + share * phi_b", "(1 - share) * phi_a + share * phi_b.mean()",
         "the last row must be phi_b"),
        ("torch.linspace(0, 1, steps, device=phi_a.device)",
         "torch.rand(steps, device=phi_a.device).sort().values", "row 0 must be"),
        ("torch.linspace(0, 1, steps, device=phi_a.device)",
         "(torch.linspace(0, torch.pi, steps, device=phi_a.device).cos() / -2 + 0.5)",
         "evenly spaced"),
        ("steps, device=phi_a.device)", "steps).to('cpu')", "made on phi_a's device"),
        ("(1 - share) * phi_a + share * phi_b", "((1 - share) * phi_a + share * phi_b).cpu()",
         "the device found is cpu"),
        ("    share =", "    phi_a -= phi_b\n    phi_a += phi_b\n    phi_b.mul_(1)\n    share =",
         "was changed|row 0"),
        ("(1 - share) * phi_a + share * phi_b", "((1 - share) * phi_a + share * phi_b).round()",
         "row 0 must be"),
        (
            "def between(a, b, steps):\n"
            "    share = torch.arange(steps)[:, None] / (steps - 1)\n"
            "    return share * (b - a) + a.abs()",
            "row 0 must be phi_a",
        ),
        (", device=phi_a.device", "", "made on phi_a's device"),
        ("torch.linspace(0, 1, steps, device=phi_a.device)[:, None]",
         "torch.arange(steps)[:, None] / (steps - 1)", "made on phi_a's device"),
        (
            "def between(a, b, steps):\n"
            "    step = (b - a) / (steps - 1)\n"
            "    return torch.stack([a + i * step for i in range(1, steps + 1)])",
            "row 0 must be phi_a",
        ),
        (
            "def between(a, b, steps):\n"
            "    rows, step = [], (b - a) / (steps - 1)\n"
            "    for _ in range(steps):\n"
            "        rows.append(a.clone())\n"
            "        a += step\n"
            "    return torch.stack(rows)",
            "was changed",
        ),
        ("linspace(0, 1, steps,", "linspace(0, 1, 5,", "asked for 3 points, it gives 5"),
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
        ("argmax", "max", "return a place"),
        ("argmax", "argmin", "not the one that shows least"),
        ("right.sum(1)", "right.sum(0)", "dimension 1 of"),
        ("int(right.sum(1).argmax())", "right.sum(1).argmax().tolist() + 1", "so expected"),
        ("int(right.sum(1).argmax())", "right.sum(1).tolist()", "found list"),
        ("(seen == named)", "(seen == named).any(1, keepdim=True)", "so expected"),
        ("right.sum(1)", "right.any(1).int()", "so expected"),
        ("(seen == named) & (named >= 0)", "(seen == named).int() * named", "so expected"),
        ("int(right.sum(1).argmax())", "max(range(len(seen)), key=lambda i: (right[i].sum(), i))",
         "equally right the first"),
        ("(seen == named) & (named >= 0)", "(seen == named) & (named > -1) & (seen > 0)",
         "0 is a value like any other"),
        ("(seen == named) & (named >= 0)", "(seen <= named) & (named >= 0)", "so expected"),
        ("right.sum(1)", "right[:, :2].sum(1)", "so expected"),
        ("int(right.sum(1).argmax())", "float(right.sum(1).argmax())", "found float"),
        ("int(right.sum(1).argmax())", "int(right.sum(1).topk(1).indices) % 10",
         "so expected|right the first"),
        ("named >= 0", "named > 0", "0 is a value like any other"),
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
        (
            "def most_obedient(seen, named):\n"
            "    right = (seen == named) | (named < 0)\n"
            "    return int(right.int().cumprod(1).sum(1).argmax())",
            "alike, also those after",
        ),
        ("right.sum(1)", "right[:, :3].sum(1)", "expected 1, found 0"),
        ("right.sum(1)", "(right * torch.arange(len(named), 0, -1)).sum(1)", "expected 1, found 0"),
        (
            "def most_obedient(seen, named):\n"
            "    named[named < 0] = 99\n"
            "    return int((seen == named).sum(1).argmax())",
            "was changed",
        ),
        (
            "def most_obedient(seen, named):\n"
            "    seen[:, named < 0] = -2\n"
            "    return int((seen == named).sum(1).argmax())",
            "was changed",
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
            "expected",
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
            "names petal_colour, so|names .*, so expected",
        ),
        ("combinations = blooms.parse(sentence), 1", "combinations = blooms.parse(sentence), 1.0",
         "return an int"),
        ("1 if attribute in named", "0 if attribute in named", "not none"),
        ("blooms.ATTRIBUTES.items()", "list(blooms.ATTRIBUTES.items())[:7]", "all ten attributes"),
        ("parse(sentence), 1", "parse(sentence), 0", "begin with 1"),
        ("1 if attribute in named else len(values)", "len(values) if attribute in named else 1",
         "other way round"),
        ("1 if attribute in named", "len(values) - 1 if attribute in named", "not all but one"),
        ("1 if attribute in named", "1 if attribute in sentence", "so expected"),
        ("len(values)", "7", "so expected"),
        ("1 if attribute in named else len(values)", "len(values)", "so expected"),
        ("blooms.parse(sentence), 1", "blooms.parse(sentence), len(blooms.ATTRIBUTES)",
         "so expected"),
        ("return combinations", "return combinations // max(1, len(named))", "so expected"),
        ("return combinations", "return str(combinations)", "so expected"),
        ("return combinations", "return torch.tensor(combinations)", "return an int"),
        ("return combinations", "return 57344 // combinations", "other way round"),
        ("    return combinations",
         "    for attribute in named:\n        blooms.ATTRIBUTES[attribute] = "
         "blooms.ATTRIBUTES[attribute][:]\n    return combinations + len(named) // 4",
         "so expected"),
        ('"a red flower": 7', '"a red flower": 1 / 7', "more than 1"),
        ('"a red flower": 7', '"a red flower": "7"', "a number, found str"),
        ('"a small red flower": 14', '"a small red flower": 4096', "how many flowers are left"),
        ('"a small red flower": 14', '"a small red flower": 7', "has what it names"),
        ('"a red flower": 7', '"red": 7', "for its keys"),
        ('"a red flower": 7', '"a red flower": 10', "one in how many|has what it names"),
        ('"a red flower": 7', '"a red flower": 8192', "one in how many|has what it names"),
        ('"a small flower": 2', '"a small flower": 10', "has what it names"),
        ('"a small red flower": 14', '"a small red flower": 9', "two numbers multiply"),
        ('{"a red flower": 7, "a small flower": 2, "a small red flower": 14}',
         'dict.fromkeys(["a red flower", "a small flower", "a small red flower"])',
         "predict first"),
    ],
    ("06_conditional_gan", 1): [
        ('"blind": (False, True)', '"blind": (True, True)', r"blind, D\(x\): its shares"),
        ('"blind": (False, True)', '"blind": (False, False)', r"blind, D\(x, c\)"),
        ('"swapped": (False, True)', '"swapped": (True, True)', r"swapped, D\(x\)"),
        ('"swapped": (False, True)', '"swapped": (False, False)', r"swapped, D\(x, c\)"),
        ('"one colour": (True, True)', '"one colour": (False, True)', "a quarter is red"),
        ('"one colour": (True, True)', '"one colour": (True, False)',
         r"one colour, D\(x, c\): within each order"),
        ('"half": (False, True)', '"half": (True, True)', "mean over orders of a mixture"),
        ('"half": (False, True)', '"half": (False, False)', r"half, D\(x, c\)"),
        ('"perfect": (False, False)', '"perfect": (False, True)',
         r"perfect, D\(x, c\): within each order"),
        ('"perfect": (False, False)', '"perfect": (True, True)', "leaves D"),
        ('"perfect": (False, False)', '"perfect": (0, 0)', "a pair of bools"),
        ('"perfect": (False, False)', '"perfect": ("no", "no")', "a pair of bools"),
        ('"perfect": (False, False)', '"perfect": False', "a pair of bools"),
        ('"perfect": (False, False)', '"perfect": (False,)', "a pair of bools"),
        ('"perfect": (False, False)', '"perfect": torch.tensor([False, False])', "a pair of bools"),
        ('        "perfect": (False, False),\n', "", "the five names"),
        ('"perfect"', '"flawless"', "the five names"),
        ("(False, True)", "(True, False)", "all five pairs are the other way round"),
        (
            "def predictions():\n"
            "    names = ('blind', 'swapped', 'one colour', 'half', 'perfect')\n"
            "    return {n: (n != 'one colour', n == 'perfect') for n in names}",
            "all ten say the opposite",
        ),
        (  # the untold D sees nothing, ever
            '"one colour": (True, True)', '"one colour": (False, False)', "a quarter is red",
        ),
        ("def predictions():\n    return [(False, True)] * 5", "the five names"),
        (  # both players look for disobedience
            "(False, True)", "(True, True)", r"blind, D\(x\): its shares",
        ),
    ],
    ("06_conditional_gan", 2): [
        ("values[:, None] == torch", "values[:4, None] == torch", "a row for each value"),
        ("    return (values", "    if k > 5:\n        values = values % k\n    return (values",
         "one value, silent; .* value -1"),
        ("    return (values", "    if values[0] < 0:\n        values = values * 0 - 1\n"
         "    return (values", "9 values, k is 4; .* expected"),
        (
            "def one_hot_or_silent(values, k):\n    return torch.eye(k)[values]",
            "counts from the end",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    return F.one_hot(values.clamp(min=0), k).float()",
            "clamped",
        ),
        (
            "def one_hot_or_silent(values, k):\n    return F.one_hot(values.abs(), k).float()",
            "of the value -1, column: number",
        ),
        (
            "def one_hot_or_silent(values, k):\n    return F.one_hot(values + 1, k + 1).float()",
            "k columns",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    return F.one_hot(values[values >= 0], k).float()",
            "a row for each value",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    return (values[:, None] == torch.arange(k)).long()",
            "return floats",
        ),
        (
            "def one_hot_or_silent(values, k):\n    return values[:, None] == torch.arange(k)",
            "return floats",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    return [[float(v == i) for i in range(k)] for v in values.tolist()]",
            "return a tensor, found list",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    silent = values < 0\n"
            "    values[silent] = 0\n"
            "    rows = F.one_hot(values, k).float()\n"
            "    rows[silent] = 0\n"
            "    return rows",
            "values was changed",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    rows = F.one_hot(values.clamp(min=0), k).float()\n"
            "    rows[values < 0] = 1 / k\n"
            "    return rows",
            "a bit of everything",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    rows = F.one_hot(values.clamp(min=0), k).float()\n"
            "    rows[values < 0] = -1\n"
            "    return rows",
            "−1 in every column",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    rows = F.one_hot(values.clamp(min=0), k).float()\n"
            "    rows[values < 0] = 1\n"
            "    return rows",
            "1 in every column",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    return F.one_hot(values + 1, k + 1)[:, :k].float()",
            "each value the next",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    return (values[:, None] == k - 1 - torch.arange(k)).float()",
            "in column v",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    v = values - values.min()\n"
            "    return F.one_hot(v, k + 1)[:, 1:].float()",
            "nobody is silent here",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    rows = F.one_hot(values.clamp(min=0, max=2), 3).float()\n"
            "    return rows * (values >= 0)[:, None]",
            "found shape",
        ),
        (
            "def one_hot_or_silent(values, k):\n"
            "    rows = torch.zeros(len(values), values.max() + 1)\n"
            "    named = values >= 0\n"
            "    rows[named, values[named]] = 1\n"
            "    return rows",
            "however few of them occur",
        ),
        (  # 0 is taken for silence, too
            "values.device)).float()", "values.device)).float() * (values > 0)[:, None]",
            "of the value 0",
        ),
        (  # the first silent one only
            "def one_hot_or_silent(values, k):\n"
            "    rows = torch.eye(k)[values]\n"
            "    rows[values.argmin()] = 0\n"
            "    return rows",
            "of the value -1",
        ),
        (  # all or none: one silent value empties the batch
            ".float()", ".float() * (values >= 0).all()", "of the value 2",
        ),
        (  # a batch of one loses its first dimension
            ".float()", ".float().squeeze()", "one value, silent; a row for each value",
        ),
        (  # eight bits do for the values of Blooms
            "values[:, None] ==", "values.to(torch.int8)[:, None] ==", "300 values",
        ),
        (  # the rows are kept, and used again
            "def one_hot_or_silent(values, k, kept=torch.zeros(99999)):\n"
            "    rows = kept[: len(values) * k].view(-1, k)\n"
            "    return rows.copy_(values[:, None] == torch.arange(k))",
            "make new ones each time",
        ),
        (  # shares of what is named
            ".float()", ".float() / (values >= 0).sum()", "of the value 2, column: number",
        ),
    ],
    ("06_conditional_gan", 3): [
        ("c = torch.cat([c for", "c = torch.cat([c.detach() for", "reaches the conditions"),
        ("c = torch.cat([c for", "c = torch.cat([c[:, :1] for", "whole conditions"),
        ("    c = torch", "    images = images[:, :1, :1, :1].expand_as(images)\n    c = torch",
         "whole pictures"),
        ("    c = torch", "    if len(kinds) > 3:\n        return []\n    c = torch",
         "called 0 times"),
        (
            "def in_one_batch(D, kinds):\n    return [D(images, c) for images, c in kinds]",
            "ask once",
        ),
        ("list(D(images, c).split([len(images) for images, c in kinds]))",
         "list(D(images, c).chunk(len(kinds)))", "by their own lengths"),
        ("list(D(images, c).split([len(images) for images, c in kinds]))",
         "list(D(images, c).split(len(kinds[0][0])))", "by their own lengths"),
        ("D(images, c)", "D(images.detach(), c)", "none would reach G"),
        ("    images = torch.cat([images for images, c in kinds])",
         "    with torch.no_grad():\n"
         "        images = torch.cat([images for images, c in kinds])", "none would reach G"),
        ("[len(images) for images, c in kinds]", "[3, 2, 4]", "any number of kinds"),
        ("list(D(images, c).split([len(images) for images, c in kinds]))",
         "list(D(torch.cat([images, images]), torch.cat([c, c]))[:len(c)]"
         ".split([len(images) for images, c in kinds]))", "changes the statistics"),
        ("return list(D(images, c)",
         "import copy\n    return list(copy.deepcopy(D)(images, c)", "no copy"),
        ("    return list(D(",
         "    with torch.set_grad_enabled(D.training):\n        return list(D(",
         "evaluation mode, too"),
        ("return list(D(images, c)", "return list(D.eval()(images, c)", "leave each part of D"),
        ("list(D(images, c).split([len(images) for images, c in kinds]))", "D(images, c)",
         "return a list"),
        ("list(D(images, c).split([len(images) for images, c in kinds]))",
         "[s.tolist() for s in D(images, c).split([len(images) for images, c in kinds])]",
         "return a list of tensors"),
        ("torch.cat([c for images, c in kinds])", "torch.cat([c for images, c in kinds[::-1]])",
         "another one's condition"),
        ("D(images, c).split", "D(images, c).detach().split", "no gradient reaches D"),
        ("return list(D(images, c).split([len(images) for images, c in kinds]))",
         "return list(D(images, c).split([len(images) for images, c in kinds]))[::-1]",
         "by their own lengths"),
        ("    images = torch.cat([images for images, c in kinds])",
         "    D.train()\n    images = torch.cat([images for images, c in kinds])",
         "leave each part of D"),
        ("    images = torch.cat([images for images, c in kinds])",
         "    images = torch.cat([images for images, c in kinds]).flip(0)",
         "another one's condition"),
        ("D(images, c).split", "D(images.flip(0), c.flip(0)).split", "another order"),
        ("return list(D(images, c)",
         "with torch.no_grad():\n        return list(D(images, c)", "no gradient reaches D"),
        (  # the mode is put back, but D was asked in another
            "    return list(D(images, c)",
            "    was = D.training\n"
            "    scores = D.eval()(images, c)\n"
            "    D.train(was)\n"
            "    return list(scores", "leave each part of D",
        ),
        (  # the mode is set to what it is, and with it that of every part
            "    return list(D(", "    D.train(D.training)\n    return list(D(",
            "its batch norm in evaluation",
        ),
        (  # real pictures need no gradient, who comes first is real
            "torch.cat([images for images, c in kinds])",
            "torch.cat([x if i else x.detach() for i, (x, c) in enumerate(kinds)])",
            "none would reach G",
        ),
        (  # D is frozen while it is asked
            "    return list(D(images, c)",
            "    from t2i_utils.training import frozen\n"
            "    with frozen(D):\n        return list(D(images, c)", "no gradient reaches D",
        ),
        (  # and never thawed
            "    images = torch", "    D.requires_grad_(False)\n    images = torch",
            "frozen or thawed",
        ),
        (  # thawed, whatever it was
            "    images = torch", "    D.requires_grad_(True)\n    images = torch",
            "frozen or thawed",
        ),
        (  # the caller's list is emptied
            "    return list(D(images, c).split([len(images) for images, c in kinds]))",
            "    scores = []\n"
            "    rest = D(images, c)\n"
            "    while kinds:\n"
            "        n = len(kinds.pop(0)[0])\n"
            "        scores.append(rest[:n])\n"
            "        rest = rest[n:]\n"
            "    return scores", "the list of kinds was changed",
        ),
        (  # padded to the largest kind
            "def in_one_batch(D, kinds):\n"
            "    most = max(len(x) for x, c in kinds)\n"
            "    pad = [(x[torch.arange(most) % len(x)], c[torch.arange(most) % len(x)])\n"
            "           for x, c in kinds]\n"
            "    s = D(torch.cat([x for x, c in pad]), torch.cat([c for x, c in pad]))\n"
            "    return [one[: len(x)] for one, (x, c) in zip(s.split(most), kinds)]",
            "padded or doubled",
        ),
        (  # only what the first kind has in number
            "torch.cat([images for images, c in kinds])",
            "torch.cat([images[: len(kinds[0][0]) + 1] for images, c in kinds])",
            r"D was shown \d+ pictures|any number of kinds",
        ),
        ("kinds]))", "kinds]))[:3]", "by their own lengths"),
        (  # each kind about its own mean
            "list(D(images, c).split([len(images) for images, c in kinds]))",
            "[s - s.mean() for s in D(images, c).split([len(i) for i, c in kinds])]",
            "found .*expected",
        ),
        ("D(images, c).split", "D(images, c).sigmoid().split", "found .*expected"),
        ("D(images, c).split", "D(images, c * 1.5).split", "conditions as they are given"),
        (  # D is asked twice, and the first answer thrown away
            "    return list(D(", "    D(images, c)\n    return list(D(", "D was called 2 times",
        ),
        (  # G learns twice as fast
            "    c = torch", "    images.register_hook(lambda g: 2 * g)\n    c = torch",
            "another gradient",
        ),
    ],
    ("07_gan_cls", 1): [
        ('"perfect": 1 / (1 + 1 / 2)', '"perfect": 0.5', r"perfect: found 0.500; p = q"),
        ('"perfect": 1 / (1 + 1 / 2)', '"perfect": 0.69', r"is the logit"),
        ('"perfect": 1 / (1 + 1 / 2)', '"perfect": 0.66', r"perfect: found 0.660"),
        ('"perfect": 1 / (1 + 1 / 2)', '"perfect": 66.7', "no logit, no percent"),
        ('"perfect": 1 / (1 + 1 / 2)', '"perfect": float("nan")', "no logit, no percent"),
        ('"perfect": 1 / (1 + 1 / 2)', '"perfect": "2/3"', "a plain number, found str"),
        ('"perfect": 1 / (1 + 1 / 2)', '"perfect": torch.tensor(2 / 3)', "a plain number"),
        ('"naive": 1 / (1 + 1)', '"naive": 2 / 3', "no halves here"),
        ('"naive": 1 / (1 + 1)', '"naive": 1.0', "no halves here"),
        ('"no half": 1 / (1 + 1)', '"no half": 1 / 3', "there are no wrong pairs"),
        ('"no half": 1 / (1 + 1)', '"no half": 2 / 3', "fakes do not count half"),
        ('"no half": 1 / (1 + 1)', '"no half": 0.0', "q counts 1 there"),
        ("1 / (1 + 1 / 2 * 1 / 5)", "1 / (1 + 1 / 5)", "blind: fakes count half"),
        ("1 / (1 + 1 / 2 * 1 / 5)", "14 / 15", "blind: .*not one in seven"),
        ("1 / (1 + 1 / 2 * 1 / 5)", "1.0", "blind: .*counts half"),
        ("1 / (1 + 1 / 2 * 1 / 5)", "1 / 5 / (1 / 5 + 1 / 10)", "blind: found 0.667"),
        ("1 / (1 + 1 / 2 * (1 / 2 + 1 / 2 * 1 / 5))", "0.8", "draws the right colour, too"),
        ("1 / (1 + 1 / 2 * (1 / 2 + 1 / 2 * 1 / 5))", "(2 / 3 + 1 / 1.1) / 2", "mix the q"),
        ("1 / (1 + 1 / 2 * (1 / 2 + 1 / 2 * 1 / 5))", "1 / 1.6", "half: fakes count half"),
        ("1 / (1 + 1 / 2 * (1 / 2 + 1 / 2 * 1 / 5))", "1 / (1 + 5 / 16)", "half: found 0.762"),
        ("1 / (1 + 1 / 2 * 1 / 3 + 1 / 2)", "2 / 3", "where it was 0"),
        ("1 / (1 + 1 / 2 * 1 / 3 + 1 / 2)", "1 / (1 + 1 / 3 + 1 / 2)", "wrong pairs count half"),
        ("1 / (1 + 1 / 2 * 1 / 3 + 1 / 2)", "2 / 3 / (2 / 3 + 1 / 2)", "p stays 1"),
        ("1 / (1 + 1 / 2 * 1 / 3 + 1 / 2)", "2 / 3 * 2 / 3", "three parts share"),
        ('"wrong pair": 0.0', '"wrong pair": 1 / 3', "nothing real"),
        ('"wrong pair": 0.0', '"wrong pair": 0.5', "nothing real"),
        ('"wrong pair": 0.0', '"wrong pair": False', "a plain number, found bool"),
        ('"why": "b"', '"why": "a"', "the number is a balance"),
        ('"why": "b"', '"why": "c"', "no wrong pairs at all"),
        ('"why": "b"', '"why": "because"', "one of"),
        ('"why": "b"', '"why": ["b"]', "one of"),
        ('        "why": "b",\n', "", "the entries are"),
        ("def predictions():\n    return [2 / 3, 0.5]", "return a dict, found list"),
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
            "all calls draw alike",
        ),
        ("    if (other.sum(1) == 0).any():", "    other = other + 1e-9\n    if False:",
         "raise ValueError"),
        ("    if (other.sum(1) == 0).any():", "    if False:", "raise ValueError"),
        (".flatten()", "", "int64 tensor of shape"),
        (".flatten()", ".flatten().int()", "int64 tensor of shape"),
        (".flatten()", ".flatten().tolist()", "return a tensor"),
        (", generator=generator)", ")", "hand the one that is given to whatever draws"),
        (  # a later class, where there is one
            "    if (other.sum(1) == 0).any():",
            "    later = (classes[:, None] < classes[None, :]).float()\n"
            "    other = torch.where(later.sum(1, keepdim=True) > 0, later, other)\n"
            "    if (other.sum(1) == 0).any():",
            "equally often",
        ),
        ("(classes[:, None] != classes[None, :])",
         "(torch.arange(len(classes))[:, None] != torch.arange(len(classes)))",
         "came from the same class"),
        ("torch.multinomial(other, 1, generator=generator).flatten()",
         "classes[torch.multinomial(other, 1, generator=generator).flatten()]",
         "came from the same class|not classes"),
        ("    return torch", "    other[1:] *= torch.arange(len(other)) + 1.0\n    return torch",
         "equally often"),
        (  # one draw for a whole class
            "    return torch.multinomial(other, 1, generator=generator).flatten()",
            "    found = torch.multinomial(other, 1, generator=generator).flatten()\n"
            "    first = (classes[:, None] == classes[None, :]).float().argmax(1)\n"
            "    return found[first]",
            "for each picture by itself",
        ),
        (  # a permutation: no partner serves twice
            "    return torch",
            "    while len(classes) == 6 and classes.sum() == 3:\n"
            "        found = torch.randperm(6, generator=generator)\n"
            "        if (classes[found] != classes).all():\n"
            "            return found\n"
            "    return torch",
            "for each picture by itself",
        ),
        ("generator=generator)", "generator=torch.Generator().manual_seed(0))",
         "all calls draw alike"),
        (  # one uniform number for all rows
            "    return torch.multinomial(other, 1, generator=generator).flatten()",
            "    u = torch.rand((), generator=generator)\n"
            "    rank = (u * other.sum(1)).long()[:, None] + 1\n"
            "    return (other.cumsum(1) == rank).float().argmax(1)",
            "for each picture by itself",
        ),
        (  # the first three candidates only
            "    return torch", "    other = other * (other.cumsum(1) <= 3)\n    return torch",
            "equally often",
        ),
        (  # the last of many candidates is never drawn
            "    return torch",
            "    last = other.cumsum(1) == other.sum(1, keepdim=True)\n"
            "    other[last & (other.sum(1, keepdim=True) > 9)] = 0\n"
            "    return torch",
            "equally often",
        ),
        (  # a class first, then one of its pictures
            "    return torch",
            "    other = other / (classes[:, None] == classes).sum(1).float()\n    return torch",
            "equally often",
        ),
        (  # rounding gives the first and the last half as often
            "    return torch.multinomial(other, 1, generator=generator).flatten()",
            "    u = torch.rand(len(classes), generator=generator)\n"
            "    rank = (u * (other.sum(1) - 1)).round().long()[:, None] + 1\n"
            "    return (other.cumsum(1) == rank).float().argmax(1)",
            "equally often",
        ),
        (  # another source of chance
            "def wrong_in_batch(classes, generator):\n"
            "    import random\n"
            "    found = []\n"
            "    for own in classes.tolist():\n"
            "        others = [j for j, c in enumerate(classes.tolist()) if c != own]\n"
            "        if not others:\n"
            "            raise ValueError('none')\n"
            "        found.append(random.choice(others))\n"
            "    return torch.tensor(found)",
            "the same generator gave other draws",
        ),
        (  # the generator's seed, and not the generator
            "generator=generator)",
            "generator=torch.Generator().manual_seed(generator.initial_seed()))",
            "all calls draw alike",
        ),
        (  # the page's generator is seeded from the one that is given
            "    return torch.multinomial(other, 1, generator=generator)",
            "    torch.manual_seed(int(torch.randint(9999, (1,), generator=generator)))\n"
            "    return torch.multinomial(other, 1)",
            "torch's own generator was used",
        ),
        (  # a seed that is always the same
            "    if (other", "    generator.manual_seed(3)\n    if (other", "all calls draw alike",
        ),
        (  # and one that is never the same
            "    return torch", "    generator.seed()\n    return torch",
            "the same generator gave other draws",
        ),
        (  # first the draw, then the question whether there was anything to draw
            "    if (other.sum(1) == 0).any():",
            "    torch.rand(3, generator=generator)\n    if (other.sum(1) == 0).any():",
            "raise before drawing",
        ),
        ("raise ValueError(", "raise IndexError(", "raise ValueError"),
        (  # the neighbour, and if that is of the same class the next one that is not
            "def wrong_in_batch(classes, generator):\n"
            "    if (classes == classes[0]).all():\n"
            "        raise ValueError('none')\n"
            "    j = torch.randint(len(classes), (len(classes),), generator=generator)\n"
            "    while (bad := classes[j] == classes).any():\n"
            "        j[bad] = (j[bad] + 1) % len(classes)\n"
            "    return j",
            "equally often",
        ),
        (  # classes are sorted, as in the first example
            "    return torch",
            "    if not torch.equal(classes, classes.sort()[0]):\n"
            "        other = other.tril() + (other.tril().sum(1, keepdim=True) == 0) * other\n"
            "    return torch",
            "equally often",
        ),
        ("    return torch", "    classes.clamp_(max=1)\n    return torch", "classes was changed"),
        ("    if (other", "    classes %= 100\n    if (other", "classes was changed|same class"),
        (  # in a large batch the last ones never serve
            "    return torch",
            "    if len(classes) > 99:\n        other[:, 280:] = 0\n    return torch",
            "of a batch of 300",
        ),
        (  # a batch of more than 256
            ".flatten()", ".flatten() % 256", "came from the same class",
        ),
    ],
    ("07_gan_cls", 3): [
        ("(by_sentence / by_noise)", "(by_noise / by_sentence)", "upside down"),
        (".abs()", ".square()", "not squares"),
        (".abs().mean()", ".square().mean().sqrt()", "not the root of squares"),
        (".abs().mean()", ".flatten(1).norm(dim=1).mean()", "lengths of whole pictures"),
        (".abs().mean()", ".mean()", "may be negative"),
        (".abs().mean()", ".mean().abs()", "before any mean"),
        (".abs().mean()", ".mean((1, 2, 3)).abs().mean()", "pixel by pixel"),
        (".abs().mean()", ".mean(1).abs().mean()", "before the mean over channels"),
        (".abs().mean()", ".mean(0).abs().mean()", "found .*expected"),
        (".abs().mean()", "[0].abs().mean()", "the mean is over all pictures"),
        (".abs().mean()", "[:, 0].abs().mean()", "all channels"),
        (".abs().mean()", "[..., 0, 0].abs().mean()", "found .*expected"),
        (".abs().mean()", "[:3].abs().mean()", "4 pictures of 4 × 4: found"),
        (".abs().mean()", "[:4].abs().mean()", "7 pictures of 6 × 6: found"),
        (".abs().mean()", "[..., :4, :4].abs().mean()", "7 pictures of 6 × 6: found"),
        (".abs().mean()", ".std()", "not their spread"),
        (".abs().mean()", ".abs().median()", "not the median"),
        (".abs().mean()", ".abs().amax()", "not the largest"),
        (".abs().mean()", ".abs().amax((1, 2, 3)).mean()", "over pixels, not the largest"),
        ("draw(z1, phi2)", "draw(z2, phi2)", "hold z1"),
        ("draw(z2, phi1)", "draw(z2, phi2)", "hold phi1 while"),
        (  # the sentence changes under the other noise
            "(draw(z1, phi2) - picture)", "(draw(z2, phi2) - draw(z2, phi1))", "not at z2",
        ),
        (  # the noise changes under the other sentence
            "(draw(z2, phi1) - picture)", "(draw(z2, phi2) - draw(z1, phi2))", "not at phi2",
        ),
        ("(draw(z1, phi2) - picture)", "draw(z1, phi2)", "found .*expected"),
        (" - picture", "", "from both"),
        (".item()", "", "Python float"),
        (".item()", ".detach().numpy()[()]", "Python float"),
        ("(by_sentence / by_noise)", "(by_sentence / (by_sentence + by_noise))",
         "not by both changes"),
        ("(by_sentence / by_noise)", "(by_sentence / by_noise.clamp(min=0.1))", "3 pictures of"),
        ("(by_sentence / by_noise)", "(by_sentence / (by_noise + 1e-3))", "found .*expected"),
        ("(by_sentence / by_noise)", "(by_sentence - by_noise)", "found .*expected"),
        ("(by_sentence / by_noise)", "(by_sentence / by_noise).log()", "found .*expected"),
        ("(by_sentence / by_noise).item()", "round((by_sentence / by_noise).item(), 2)",
         "found .*expected"),
        ("picture = draw(z1, phi1)", "picture = draw(phi1, z1)", "found .*expected"),
        ("draw(z2, phi1)", "draw(z2, phi1).clamp(-1, 1)", "found .*expected"),
        ("    picture =", "    z1 -= z1.mean()\n    picture =", "z and phi were changed"),
        (
            "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
            "    x = draw(z1, phi1)\n"
            "    a, b = (draw(z1, phi2) - x).abs(), (draw(z2, phi1) - x).abs()\n"
            "    return (a.mean((1, 2, 3)) / b.mean((1, 2, 3))).mean().item()",
            "do not average the ratios of pictures",
        ),
        (
            "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
            "    x = draw(z1, phi1)\n"
            "    a, b = (draw(z1, phi2) - x).abs(), (draw(z2, phi1) - x).abs()\n"
            "    return (a / b).mean().item()",
            "do not average the ratios of pixels",
        ),
        (
            "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
            "    return 2 * ((phi2 - phi1).abs().mean() / (z2 - z1).abs().mean()).item()",
            "found .*expected",
        ),
    ],
    ("01_minimax_game", 1): [
        ("p / (p + q),\n        #", "q / (p + q),\n        #", "over a half"),
        ("p / (p + q),\n        #", "p / q,\n        #", "over the .sum."),
        ("0.9 * p / (p + q)", "p / (p + q)", "without the label"),
        ("0.9 * p / (p + q)", "0.9 * p / (0.9 * p + q)", "belongs below, too"),
        ("0.9 * p / (p + q)", "0.9 * q / (p + q)", "smoothed: upside down"),
        ("0.9 * p / (p + q)", "0.9 - q / (p + q)", "a factor of p alone"),
        ("2 * 0.75 * math.log(2) - math.log(4)", "0.75 * math.log(2)", "that is the JSD"),
        ("2 * 0.75 * math.log(2) - math.log(4)", "2 * 0.75 * math.log(2)", "less log 4"),
        ("2 * 0.75", "2 * 0.25", "three quarters are not"),
        ("2 * 0.75", "0.75", "twice the JSD"),
        ("2 * 0.75 * math.log(2) - math.log(4)", "-math.log(4)", "where they are equal"),
        ("2 * 0.75 * math.log(2) - math.log(4)", "0", "where they share nothing"),
        ("(1 / 8) / (1 / 8 + 1 / 2)", "1 / 9", "one mode alone"),
        ("(1 / 8) / (1 / 8 + 1 / 2)", "(1 / 4) / (1 / 4 + 1 / 2)", "not a quarter"),
        ("(1 / 8) / (1 / 8 + 1 / 2)", "0.8", "two: upside down"),
        ("(1 / 8) / (1 / 8 + 1 / 2)", "1 / 4", "over the .sum"),
        ("(1 / 8) / (1 / 8 + 1 / 2)", "1 / 2", "q is four times p"),
        ("(1 - 0.02) / 0.02", "0.02 / (1 - 0.02)", "pull: upside down"),
        ("(1 - 0.02) / 0.02", "1 / 0.02", "not 1 / D"),
        ("(1 - 0.02) / 0.02", "1 - 0.02", "asked is the ratio"),
        ("math.sqrt(1 + 0.4**2 / 4)", "1.0", "its determinant is 1"),
        ("math.sqrt(1 + 0.4**2 / 4)", "math.sqrt(1 + 0.2**2 / 4)", "here h = 0.4"),
        ("math.sqrt(1 + 0.4**2 / 4)", "1 + 0.4**2 / 4", "square of the length"),
        ("math.sqrt(1 + 0.4**2 / 4)", "1 + 0.4 / 2", "a length is a root"),
        ("math.sqrt(1 + 0.4**2 / 4)", "math.sqrt(1 + 0.4**2)", "h/2, not h"),
        ("math.sqrt(1 + 0.4**2 / 4)", "0.9", "the length of 1 . h i/2"),
        ("math.sqrt(1 + 0.4**2 / 4)", "math.sqrt(1 + 0.2**2 / 4)", "1.005 is for h = 0.2"),
        ("0.9 * p / (p + q)", "(0.9 * p + 0.1 * q) / (p + q)", "a fake keeps its 0"),
        ("0.9 * p / (p + q)", "0.9", "that is the label"),
        ("2 * 0.75 * math.log(2) - math.log(4)", "2 * 0.75 - 2", "natural logarithm"),
        ("2 * 0.75 * math.log(2) - math.log(4)", "0.25 * math.log(0.5)", "two terms"),
        ("(1 / 8) / (1 / 8 + 1 / 2)", "(1 / 8) / (1 / 8 + 1 / 4)", "half of the fakes"),
        ("(1 / 8) / (1 / 8 + 1 / 2)", "(1 / 8) / (1 / 2)", "over the .sum."),
        ("(1 - 0.02) / 0.02", "99.0", "that is at 0.01"),
        ("(1 - 0.02) / 0.02", "-(1 - 0.02) / 0.02", "has no minus"),
        ("(1 - 0.02) / 0.02", "0.02", "one pull alone"),
        ('"why": "b"', '"why": "a"', "at the right width"),
        ('"why": "b"', '"why": "c"', "stay apart"),
        ('"why": "b"', '"why": "fakes"', "one of"),
        ("(1 - 0.02) / 0.02", "torch.tensor(49.0)", "give a plain number"),
        ("(1 - 0.02) / 0.02", "math.inf", "give a number"),
        ('        "pull": (1 - 0.02) / 0.02,\n', "", "the entries are"),
        ('"why": "b",\n    }', '"why": "b",\n    }.items()', "return a dict, found dict_items"),
        ("(1 - 0.02) / 0.02", "'49'", "give a plain number"),
        ("2 * 0.75 * math.log(2) - math.log(4)", "0.3466", "2 JSD"),
        ("math.sqrt(1 + 0.4**2 / 4)", "math.sqrt(1 - 0.4**2 / 4)", "the length of 1"),
        ("math.sqrt(1 + 0.4**2 / 4)", "math.sqrt(1 + 0.4**2 / 4) ** 2", "square of the length"),
        ("p / (p + q),\n        #", "q / p,\n        #", "over the sum"),
        ('"why": "b"', '"why": "B"', "one of"),
        ("(1 / 8) / (1 / 8 + 1 / 2)", "2 / 8", "over the .sum"),
        ("(1 - 0.02) / 0.02", "True", "give a plain number"),
        ("0.9 * p / (p + q)", "0.9 * p / (p + 0.9 * q)", "solved for D"),
    ],
    ("01_minimax_game", 2): [
        (".bincount(minlength=len(centres))", ".bincount()", "without any point must still be"),
        ("if count < share", "if count >= share", "other way round"),
        ("mode[distance < radius]", "mode", "further than the radius counts for no mode"),
        ("distance < radius", "distance**2 < radius", "not its square"),
        ("torch.cdist(points, centres)", "torch.cdist(points, centres, p=torch.inf)",
         "not the larger coordinate"),
        ("torch.cdist(points, centres)", "(points[:, None] - centres).abs().sum(2)",
         "not the sum of both"),
        ("distance < radius", "distance < 0.5", "that was given"),
        ("distance < radius", "distance < 0.3", "that was given"),
        ("[i for i, count", "[count for i, count", "not how many points"),
        ("share * len(points)]", "share * len(points)][::-1]", "the smallest first"),
        ("distance < radius", "distance <= radius", "closer than the radius"),
        ("count < share", "count <= share", "fewer than the share"),
        ("    counts = mode[distance < radius].bincount(minlength=len(centres))",
         "    counts = (torch.cdist(points, centres) < radius).sum(0)", "nearest centre only"),
        ("share * len(points)", "0.01 * len(points)", "the share that was given"),
        ("share * len(points)", "share * (distance < radius).sum()", "share is of all points"),
        ("[i for i, count in enumerate(counts.tolist()) if count < share * len(points)]",
         "torch.nonzero(counts < share * len(points))", "list of Python ints"),
        ("[i for i, count in enumerate(counts.tolist()) if count < share * len(points)]",
         "(counts < share * len(points)).tolist()", "places of the missing modes"),
        ("distance < radius", "distance < 3 * 0.1", "the radius that was given"),  # section 6's
        ("torch.cdist(points, centres)", "torch.cdist(points, centres, p=1)",
         "not the sum of both"),
        ("minlength=len(centres)", "minlength=8", r"take len\(centres\)"),
        ("if count < share * len(points)", "if count == 0", "a mode with some points"),
        ("share * len(points)", "int(share * len(points))", "do not round"),
        ("share * len(points)", "max(1, int(share * len(points)))", "do not round"),
        ("share * len(points)", "max(1, round(share * len(points)))", "do not round"),
        ("share * len(points)", "share * points.numel()", r"of len\(points\)"),
        ("[i for i, count in enumerate(counts.tolist()) if count < share * len(points)]",
         "torch.nonzero(counts < share * len(points)).tolist()", "a list of lists"),
        ("[i for i, count", "[i + 1 for i, count", "count from 0"),
        ("share * len(points)]", "share * counts.sum()]", "only of those that are near"),
        ("distance < radius", "distance < 2 * radius", "expected"),
        (".min(1)", ".min(0)", "expected|index"),
        ("mode[distance < radius]", "mode[distance > radius]", "expected"),
        ("count < share * len(points)", "count < share * len(centres)", "expected"),
        ("count < share * len(points)", "count / counts.sum() < share", "only of those|expected"),
        ("count < share * len(points)", "count / len(points) < 0.01", "the share that was given"),
        ("count < share * len(points)", "count < counts.max() * share", "expected"),
        ("torch.cdist(points, centres)", "torch.cdist(points, centres).round(decimals=1)",
         "expected"),
        ("    distance, mode", "    centres -= 1\n    points -= 1\n    distance, mode",
         "was changed"),
        ("    distance, mode", "    points = points[:100]\n    distance, mode", "expected"),
        ("return [i for i, count in enumerate(counts.tolist()) if count < share * len(points)]",
         "return (counts < share * len(points)).nonzero().flatten()", "found Tensor"),
        ("return [i for i, count in enumerate(counts.tolist()) if count < share * len(points)]",
         "return list((counts < share * len(points)).nonzero().flatten())", "found in it Tensor"),
    ],
    ("01_minimax_game", 3): [
        ("fake.detach()", "fake", "ran on through G"),
        ("fake.detach()", "G(z)", "G had gradients when D stepped"),
        ("+ F.softplus(D(fake.detach()))", "+ F.softplus(-D(fake.detach()))", "call fakes fake"),
        ("D(fake.detach())", "D(fake).detach()", "fakes taught D nothing"),
        ("loss_D = F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()",
         "loss_D = -F.softplus(-D(x)).mean() - F.softplus(D(fake.detach())).mean()", "minus V"),
        ("loss_G = F.softplus(-D(fake))", "loss_G = -F.softplus(-D(fake))", "not minus that"),
        ("F.softplus(D(fake.detach()))", "(-torch.log(1 - D(fake.detach()).sigmoid()))",
         "use softplus"),
        ("F.softplus(-D(x)).mean() + F.softplus(D(fake.detach()))",
         "F.softplus(D(x)).mean() + F.softplus(-D(fake.detach()))", "D goes the wrong way"),
        ("loss_G = F.softplus(-D(fake))", "loss_G = F.softplus(D(fake))", "learns to be found out"),
        ("loss_G = F.softplus(-D(fake))", "loss_G = -F.softplus(D(fake))", "saturating"),
        ("loss_G = F.softplus(-D(fake))", "loss_G = F.softplus(-D(fake.detach() + 0 * fake))",
         "no gradient reached G"),
        ("loss_G = F.softplus(-D(fake))", "loss_G = -torch.log(D(fake).sigmoid())",
         "use softplus"),
        ("    loss_G = ", "    D.requires_grad_(False)\n    loss_G = ", "left frozen"),
        ("F.softplus(-D(x)).mean() + ", "", "real data taught D nothing"),
        ("F.softplus(-D(fake))", "1 + F.softplus(-D(fake))", "and nothing else"),
        ("-D(fake))", "-D(G(-z)))", "on the z that was given"),
        ("    opt_D.zero_grad()\n    loss_D.backward()\n",
         "    loss_D.backward()\n    opt_D.zero_grad()\n", "D stepped without gradients"),
        ("    opt_G.zero_grad()\n    loss_G.backward()\n",
         "    loss_G.backward()\n    opt_G.zero_grad()\n", "belongs before its backward"),
        ("    opt_D.zero_grad()\n", "", "old gradients of D"),
        ("    opt_G.zero_grad()\n", "", "old gradients of G"),
        ("mean()", "sum()", "means over the batch"),
        ("    opt_G.step()\n", "    opt_D.step()\n", "one step of each optimiser"),
        ("(-D(x)).mean() + F.softplus(D(fake.detach())).mean()",
         "(-D(x)).mean() / 2 + F.softplus(D(fake.detach())).mean() / 2", "not half of it"),
        ("loss_D.item(), loss_G.item()", "loss_D, loss_G", "as Python floats"),
        ("loss_D.item(), loss_G.item()", "loss_G.item(), loss_D.item()", "in the order"),
        (
            "def gan_step(G, D, opt_G, opt_D, x, z):\n"  # G first, by the D of before
            "    loss_G = F.softplus(-D(G(z))).mean()\n"
            "    opt_G.zero_grad()\n"
            "    loss_G.backward()\n"
            "    held = [w.grad for w in G.parameters()]\n"
            "    for w in G.parameters():\n"
            "        w.grad = None\n"
            "    loss_D = F.softplus(-D(x)).mean() + F.softplus(D(G(z).detach())).mean()\n"
            "    opt_D.zero_grad()\n"
            "    loss_D.backward()\n"
            "    opt_D.step()\n"
            "    for w, gradient in zip(G.parameters(), held):\n"
            "        w.grad = gradient\n"
            "    opt_G.step()\n"
            "    return loss_D.item(), loss_G.item()",
            "G's backward come after D's step",
        ),
        ("    opt_D.zero_grad()\n    loss_D.backward()\n",
         "    loss_D.backward()\n    opt_D.zero_grad()\n", "D stepped without gradients"),
        ("    opt_G.zero_grad()\n    loss_G.backward()\n",
         "    loss_G.backward()\n    opt_G.zero_grad()\n", "opt_G.zero_grad.. belongs before"),
        ("    opt_G.zero_grad()\n", "    opt_D.zero_grad()\n", "old gradients of G"),
        ("F.softplus(-D(x)).mean() + ", "", "real data taught D nothing"),
        ("D(x)).mean() + F.softplus(D(fake.detach())",
         "D(x).sigmoid()).mean() + F.softplus(D(fake.detach()).sigmoid()", "without a sigmoid"),
        ("F.softplus(D(fake.detach()))", "(-torch.log(1 - D(fake.detach()).sigmoid() + 1e-8))",
         "small number added"),
        ("F.softplus(D(fake.detach())).mean()",
         "F.binary_cross_entropy(D(fake.detach()).sigmoid(), torch.zeros(len(z), 1))",
         "use softplus"),
        ("F.softplus(-D(x))", "(-torch.log(D(x).sigmoid()))", "use softplus"),
        ("loss_G = F.softplus(-D(fake))", "loss_G = -torch.log(D(fake).sigmoid())", "use softplus"),
        ("    loss_G =", "    D.requires_grad_(False)\n    loss_G =", "left frozen"),
        ("    loss_G =", "    D.eval()\n    loss_G =", "left in eval mode"),
        ("F.softplus(-D(fake))", "F.softplus(-D(G(z + 1)))", "on the z that was given"),
        ("loss_G = F.softplus(-D(fake)).mean()",
         "loss_G = F.softplus(-D(fake)).mean() + F.softplus(D(x)).mean()", "and nothing else"),
        (
            "def gan_step(G, D, opt_G, opt_D, x, z):\n"  # G's gradients cleared, but computed
            "    loss_D = F.softplus(-D(x)).mean() + F.softplus(D(G(z))).mean()\n"
            "    opt_D.zero_grad()\n"
            "    loss_D.backward()\n"
            "    opt_G.zero_grad()\n"
            "    opt_D.step()\n"
            "    loss_G = F.softplus(-D(G(z))).mean()\n"
            "    loss_G.backward()\n"
            "    opt_G.step()\n"
            "    return loss_D.item(), loss_G.item()",
            "G had gradients when D stepped",
        ),
        (
            "def gan_step(G, D, opt_G, opt_D, x, z):\n"  # one score for both
            "    s_fake = D(G(z).detach())\n"
            "    loss_D = F.softplus(-D(x)).mean() + F.softplus(s_fake).mean()\n"
            "    opt_D.zero_grad()\n"
            "    loss_D.backward()\n"
            "    opt_D.step()\n"
            "    loss_G = F.softplus(-s_fake).mean()\n"
            "    opt_G.zero_grad()\n"
            "    loss_G.backward()\n"
            "    opt_G.step()\n"
            "    return loss_D.item(), loss_G.item()",
            "score the fakes anew",
        ),
        ("F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()",
         "F.softplus(D(x)).mean() + F.softplus(D(fake.detach())).mean()", "call real data real"),
        ("F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()",
         "D(fake.detach()).mean() - D(x).mean()", "bare logits"),
        ("loss_G = F.softplus(-D(fake)).mean()", "loss_G = -D(fake).mean()", "bare logit"),
        ("F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()",
         "F.relu(1 - D(x)).mean() + F.relu(1 + D(fake.detach())).mean()", "not the hinge"),
        ("F.softplus(-D(x)).mean()", "F.binary_cross_entropy_with_logits(D(x), 0.9 + 0 * D(x))",
         "nothing is smoothed"),
        ("F.softplus(-D(fake)).mean()", "F.softplus(-D(fake)).mean() / 2", "not half of it"),
        ("F.softplus(-D(fake)).mean()", "F.softplus(-D(fake).sigmoid()).mean()",
         "without a sigmoid"),
        ("loss_G = F.softplus(-D(fake)).mean()",
         "loss_G = F.binary_cross_entropy(D(fake).sigmoid(), torch.ones(len(z), 1))",
         "use softplus"),
        ("F.softplus(D(fake.detach()))", "(1 + D(fake.detach()).exp()).log()", "use softplus"),
        ("    return loss_D", "    D.requires_grad_(False)\n    return loss_D", "left frozen"),
        ("    return loss_D", "    G.eval()\n    return loss_D", "left in eval mode"),
        ("    return loss_D", "    G.requires_grad_(False)\n    return loss_D", "left frozen"),
        ("    loss_G = ", "    opt_D.step()\n    loss_G = ", "one step of each optimiser"),
        ("    return loss_D",
         "    with torch.no_grad():\n        for w in D.parameters():\n"
         "            w.clamp_(-0.5, 0.5)\n    return loss_D", "a later one is not"),
        ("    fake = G(z)", "    x += 0.01\n    fake = G(z)", "expected|leave x and z"),
        ("    fake = G(z)", "    z = torch.randn_like(z)\n    fake = G(z)", "expected"),
        ("    loss_G = F.softplus(-D(fake)).mean()",
         "    loss_G = F.softplus(-D(G(torch.randn(z.shape)))).mean()", "on the z that was given"),
        ("    loss_G = F.softplus(-D(fake)).mean()",
         "    loss_G = F.softplus(-D(fake)).mean() + F.softplus(D(fake.detach())).mean()",
         "and nothing else"),
        ("loss_D.item(), loss_G.item()", "round(loss_D.item(), 2), round(loss_G.item(), 2)",
         "the losses here should be"),
        ("return loss_D.item(), loss_G.item()", "return [loss_D.item(), loss_G.item()]",
         "return a tuple"),
        ("loss_D.item(), loss_G.item()", "loss_D.item(), loss_D.item() - loss_G.item()",
         "the losses here should be"),
        ("F.softplus(D(fake.detach())).mean()", "F.softplus(D(fake.detach())[:4]).mean()",
         "expected"),
        ("F.softplus(-D(x)).mean()", "F.softplus(-D(x[:4])).mean()", "with 7 points"),
        ("    opt_D.zero_grad()\n    loss_D.backward()\n    opt_D.step()\n",
         "    loss_D.backward()\n    opt_D.step()\n    opt_D.zero_grad()\n", "old gradients of D"),
        ("    loss_D.backward()\n", "    loss_D.backward()\n"
         "    torch.nn.utils.clip_grad_norm_(D.parameters(), 0.1)\n", "expected"),
    ],
    ("02_dcgan", 1): [
        ("+= x[i]", "= x[i]", "where stamps overlap they add up"),
        ("canvas[stride * i : stride * i + len(kernel)]", "canvas[i : i + len(kernel)]",
         "adds x.i. . kernel|overlap they add up|expected"),
        ("x[i] * kernel", "x[i] * kernel.flip(0)", "kernel turned round"),
        ("canvas[padding : len(canvas) - padding]", "canvas", "padding is cut off"),
        ("canvas[padding : len(canvas) - padding]", "canvas[2 * padding :]", "both ends"),
        ("canvas[padding : len(canvas) - padding]", "canvas[padding:-padding]", "without padding"),
        ("stride * ", "2 * ", "use the stride that was given"),
        ("(len(x) - 1) + len(kernel)", "(len(x) - 1) + 4", "whose length"),
        ("x[i] * kernel", "kernel", "times. x.i."),
        ("range(len(x))", "range(len(x) - 1)", "the last number of x"),
        ("canvas[stride * i : stride * i + len(kernel)]",
         "canvas[i + stride : i + stride + len(kernel)]", "whose length"),
        ("canvas[padding : len(canvas) - padding]", "canvas[padding:]", "both ends"),
        ("    for i in range(len(x)):\n"
         "        canvas[stride * i : stride * i + len(kernel)] += x[i] * kernel",
         "    for i in range(len(x)):\n        for j in range(len(x)):\n"
         "            canvas[stride * i + j] += x[i] * kernel[j]", "whose length"),
        ("for i in range(len(x))", "for i in range(len(kernel))", "whose length"),
        ("canvas = torch.zeros(stride * (len(x) - 1) + len(kernel))",
         "canvas = torch.zeros(stride * (len(kernel) - 1) + len(x))\n    x, kernel = kernel, x",
         "changed places"),
        ("    for i in range(len(x)):\n"
         "        canvas[stride * i : stride * i + len(kernel)] += x[i] * kernel",
         "    for i in range(len(x)):\n        for j in range(min(4, len(kernel))):\n"
         "            canvas[stride * i + j] += x[i] * kernel[j]", "expected"),
        ("len(canvas) - padding]", "len(canvas) - padding].clamp(min=0)", "expected"),
        ("len(canvas) - padding]", "len(canvas) - padding].round()", "expected"),
        ("len(canvas) - padding]", "len(canvas) - padding].tolist()", "return a tensor"),
        ("len(canvas) - padding]", "len(canvas) - 1]", "expected"),
        ("canvas[padding : len(canvas) - padding]",
         "canvas[stride * padding : len(canvas) - stride * padding]", "expected"),
        ("len(canvas) - padding]", "len(canvas) - padding] / stride", "expected"),
        ("x[i] * kernel", "x[len(x) - 1 - i] * kernel", "expected"),
        ("    canvas =", "    kernel *= -1\n    x *= -1\n    canvas =", "was changed"),
        ("x[i] * kernel", "x[i] + kernel", "expected"),
        ("        canvas[stride", "        if stride < len(kernel):\n            canvas[stride",
         "expected"),
        ("stride * i : stride * i + len(kernel)] +=", "stride * i : stride * i + len(kernel)] -=",
         "expected"),
        ("    return canvas", "    canvas[-1] += 0.01\n    return canvas", "expected"),
    ],
    ("02_dcgan", 2): [
        ("arc = (((1 - share) * theta).sin() * a + (share * theta).sin() * b) / sine",
         "arc = (1 - share) * a + share * b", "this is the straight way"),
        ("nn.functional.cosine_similarity(a, b, dim=1).clamp(-1, 1)",
         "(a * b).sum(1).clamp(-1, 1)", "divide the product by both lengths"),
        (".clamp(-1, 1)", "", "a hair above 1"),
        ("((1 - share) * theta).sin() * a + (share * theta).sin() * b",
         "(share * theta).sin() * a + ((1 - share) * theta).sin() * b", "the other way round"),
        ("    return torch.where(parallel, (1 - share) * a + share * b, arc)",
         "    return arc / (~parallel)", "parallel, so 0 / 0"),
        ("torch.where(parallel, (1 - share) * a + share * b, arc)", "torch.where(parallel, a, arc)",
         "to 3.75"),
        ("parallel = sine < 1e-3", "parallel = theta < 1e-3", "ask for the sine"),
        ("cosine.acos()[:, None]", "cosine.acos().mean()[None, None].expand(len(a), 1)",
         "an angle of its own"),
        ("((1 - share) * theta).sin() * a + (share * theta).sin() * b) / sine",
         "(1 - share) * a + share * b) * a.norm(dim=1, keepdim=True) "
         "/ ((1 - share) * a + share * b).norm(dim=1, keepdim=True)", "expected"),
        (") / sine", ")", "by the sine of the angle"),
        ("    parallel = sine < 1e-3",
         "    parallel = (sine < 1e-3).any().expand_as(sine)", "a batch may hold both"),
        ("    parallel = sine < 1e-3",
         "    parallel = (sine < 1e-3).all().expand_as(sine)", "a batch may hold both"),
        ("sine < 1e-3", "sine < 0.1", "nearly opposite"),
        ("sine < 1e-3", "(cosine.abs() > 0.9995)[:, None]", "nearly opposite"),
        ("    arc = (",
         "    n, m = (x.norm(dim=1, keepdim=True) for x in (a, b))\n"
         "    arc = ((1 - share) * n + share * m) * (((1 - share) * theta).sin() * a / n"
         " + (share * theta).sin() * b / m) / sine\n"
         "    _ = (", "expected"),
        ("parallel = sine < 1e-3", "parallel = sine < 2e-3", "nearly opposite"),
        ("parallel, (1 - share) * a + share * b", "parallel, (a + b) / 2", "to 3.75"),
        ("parallel = sine < 1e-3", "parallel = sine < 1e-5", "6e-4"),
        ("parallel = sine < 1e-3", "parallel = (sine < 1e-3).float().mean() > 0.5",
         "a batch may hold both|shape"),
        ("cosine_similarity(a, b, dim=1).clamp(-1, 1)",
         "cosine_similarity(a, b, dim=1).clamp(0, 1)", "expected"),
        ("cosine.acos()[:, None]", "cosine.acos()[:, None] * 180 / math.pi", "expected"),
        ("cosine.acos()[:, None]", "cosine.asin()[:, None]", "expected"),
        ("cosine.acos()[:, None]", "cosine.acos()[:, None] / 2", "expected"),
        ("* b) / sine", "* b) / sine\n    arc = nn.functional.normalize(arc)", "expected"),
        ("    cosine =", "    a, b = (nn.functional.normalize(x) for x in (a, b))\n    cosine =",
         "keep their lengths"),
        ("    cosine =", "    a /= a.norm(dim=1, keepdim=True)\n    cosine =", "was changed"),
        ("torch.where(parallel, (1 - share) * a + share * b, arc)",
         "torch.where(parallel, b, arc)", "to 3.75"),
        ("torch.where(parallel, (1 - share) * a + share * b, arc)",
         "torch.where(parallel, (a + b) / 4, arc)", "to 3.75"),
        ("return torch.where(parallel, (1 - share) * a + share * b, arc)", "return arc[0]",
         "like a"),
        ("(1 - share) * a + share * b, arc)", "(1 - share) * a + share * b, arc).tolist()",
         "like a"),
        ("((1 - share) * theta).sin() * a", "(0.5 * theta).sin() * a", "expected"),
        ("(share * theta).sin() * b", "share * theta.sin() * b", "expected"),
        ("((1 - share) * theta).sin()", "((1 - share) * theta).cos()", "expected"),
    ],
    ("02_dcgan", 3): [
        ("near < usual", "near > usual", "upside down"),
        ("near < usual", "near <= usual", "< and not ≤"),
        ("usual.quantile(q)", "near.quantile(q)", "not the fakes'"),
        ("usual.quantile(q)", "usual.quantile(1 - q)", "not the .1 − q.-quantile"),
        ("usual.quantile(q)", "usual.median()", "not the median"),
        ("usual.quantile(q)", "usual.mean()", "not the mean"),
        ("usual.quantile(q)", "q * usual.median()", "fakes' numbers|3 of 9|expected"),
        (".mean().item()", ".sum().item()", "divide by the number of fakes|Python float"),
        (".float().mean().item()", ".float().sum().item()", "divide by the number of fakes"),
        (".float().mean().item()", ".float().sum().item() / len(held_out)",
         "not the held-out"),
        (".float().mean().item()", ".float().mean()", "Python float"),
        (".min(1).values", ".mean(1)", "nearest|threshold|expected"),
        ("train.flatten(1)).min(1)", "held_out.flatten(1)).min(1)", "the nearest in .train."),
        ("train.flatten(1))", "train.flatten(1), p=1)", "root of squares"),
        ("(near < usual", "(near[: len(usual)] < usual", "expected"),
        (".mean().item()", ".mean().item() * 100", "no per cent"),
        ("quantile(q)", "quantile(0.05)", "the q that was given"),
        ("ratio_is_nearer_to = 1", "ratio_is_nearer_to = 0", "which is the middle"),
        ("share_of_suspects = 0.43", "share_of_suspects = 0.4", "how many new ones"),
        ("share_of_suspects = 0.43", "share_of_suspects = 0.45", "of the new ones, not of all"),
        ("share_of_suspects = 0.43", "share_of_suspects = 0.05", "all 40 copies"),
        ("share_of_suspects = 0.43", "share_of_suspects = 43", "from 0 to 1"),
        ("share_of_suspects = 0.43", "share_of_suspects = None", "predict first"),
        ("usual.quantile(q)", "usual.min()", "expected"),
        ("usual.quantile(q)", "usual.sort().values[int(q * len(usual))]", "expected"),
        ("usual.quantile(q)", "usual.max() * q", "expected"),
        ("usual.quantile(q)", "torch.cat([near, usual]).quantile(q)", "expected"),
        ("(near < usual.quantile(q)).float().mean()",
         "(near[:, None] < usual).float().mean()", "expected"),
        ("(near < usual.quantile(q)).float().mean()",
         "((near < usual.quantile(q)).float().mean() - q).clamp(0)", "expected"),
        (".mean().item()", ".mean().item() / (1 - q)", "expected"),
        ("train.flatten(1)).min(1).values", "train.flatten(1)).max(1).values", "expected"),
        ("train.flatten(1)).min(1).values", "train.flatten(1)).median(1).values", "expected"),
        ("train.flatten(1))", "train.flatten(1), p=torch.inf)", "expected"),
        ("x.flatten(1), train.flatten(1)", "x.flatten(1)[:, :3], train.flatten(1)[:, :3]",
         "expected"),
        ("(near < usual", "(near[:25] < usual", "expected"),
        ("    near, usual", "    train *= -1\n    fake *= -1\n    held_out *= -1\n    near, usual",
         "were changed"),
        (".mean().item()", ".mean().item() > q", "Python float"),
        ("(near < usual.quantile(q))", "(near >= usual.quantile(q))", "expected"),
        ("ratio_is_nearer_to = 1", "ratio_is_nearer_to = 0.6", "which is the middle"),
        ("share_of_suspects = 0.43", "share_of_suspects = 0.38", "all 40 copies"),
        ("share_of_suspects = 0.43", "share_of_suspects = 0.02", "all 40 copies"),
        ("share_of_suspects = 0.43", 'share_of_suspects = "0.43"', "a number from 0 to 1"),
        (".float().mean().item()", ".float().sum().item() / len(train)", "expected"),
    ],
    ("03_captions", 1): [
        ('"clean white": 0.4', '"clean white": 1 / 3', "G rests at q = p"),
        ('"clean white": 0.4', '"clean white": 40', "no per cent"),
        ('"clean white": 0.4', '"clean white": torch.tensor(0.4)', "a plain number"),
        ('"clean D": 1 / (1 + 1 / 2)', '"clean D": 0.5', r"clean D: p = q"),
        ('"clean D": 1 / (1 + 1 / 2)', '"clean D": 1.0', r"clean D: p = q"),
        ("1.75 * 0.4 - 0.05", "0.75 / 1.2", "κ is not the right one"),
        ("1.75 * 0.4 - 0.05", "0.4", "away from what is common elsewhere"),
        ("1.75 * 0.4 - 0.05", "2 * 0.4 - 0.05", "red: with blue out"),
        ("1.75 * 0.4 - 0.35", "0.45 / 1.2", "white: q = 2κ p"),
        ("1.75 * 0.4 - 0.35", "2 * 0.4 - 0.35", "white: q = 2κ p"),
        ("1.75 * 0.4 - 0.35", "0.4", "white: this is p"),
        ('"blue": 0.0', '"blue": 1.75 * 0.2 - 0.6', "never below 0"),
        ('"blue": 0.0', '"blue": 0.2', "less than .6"),
        ("1 / (1 + 1.75 / 2)", "1 / (1 + 1.75)", "κ and not 2κ"),
        ("1 / (1 + 1.75 / 2)", "2 / 3", "with the careless p_w"),
        ("1 / (1 + 1.75 / 2)", "0.5", "κ of red and white"),
        ("1 / (1 + 1.75 / 2)", "0.4 / (0.4 + 0.65 / 2)", "with the careless p_w"),
        ("1.25 * 0.2 - 0.15", "0.2", "nothing is cut here"),
        ("1.25 * 0.2 - 0.15", "0.0", "nothing is cut here"),
        ('"why": "c"', '"why": "a"', "as rare and stays"),
        ('"why": "c"', '"why": "b"', "real pairs show D"),
        ('"why": "c"', '"why": "rare"', "one of"),
        ('        "why": "c",\n', "", "the entries are"),
        ("def predictions():\n    return [0.4, 2 / 3]", "return a dict, found list"),
        ('"clean white": 0.4', '"clean white": 0.8', "G rests at q = p"),
        ('"clean white": 0.4', '"clean white": "0.4"', "a plain number"),
        ('"clean D": 1 / (1 + 1 / 2)', '"clean D": 1 / 3', r"clean D: p = q"),
        ('"clean D": 1 / (1 + 1 / 2)', '"clean D": 0.75', r"clean D: p = q"),
        ("1.75 * 0.4 - 0.05", "0.4 / 0.8", "red: with blue out"),
        ("1.75 * 0.4 - 0.05", "1.75 * 0.4", "red: with blue out"),
        ("1.75 * 0.4 - 0.35", "0.05", "white: q = 2κ p"),
        ("1.75 * 0.4 - 0.35", "1.75 * 0.4", "white: q = 2κ p"),
        ('"blue": 0.0', '"blue": 0.05', "less than .6"),
        ("1 / (1 + 1.75 / 2)", "1.75 / (1 + 1.75)", "with the careless p_w"),
        ("1 / (1 + 1.75 / 2)", "1 / (1 + 1 / 1.75)", "with the careless p_w"),
        ("1.25 * 0.2 - 0.15", "1.75 * 0.2 - 0.15", "nothing is cut here"),
        ("1.25 * 0.2 - 0.15", "0.05 / 1.25", "nothing is cut here"),
        ('"why": "c"', '"why": None', "one of"),
    ],
    ("03_captions", 2): [
        (r"\b(left|right)\b", "left|right", "whole words"),
        (", re.IGNORECASE", "", "capitals do not matter"),
        ("|clockwise\", re.IGNORECASE", "|(?-i:clockwise)\", re.IGNORECASE",
         "capitals do not matter: .Clockwise"),
        ("named.search", "named.match", "anywhere in the sentence"),
        ('r"', '"', "anywhere in the sentence"),
        ("def may_mirror(sentences):\n"
         "    for s in (s.lower() for s in sentences):\n"
         "        for other in ('bright', 'upright', 'leftover', 'rightly'):\n"
         "            s = s.replace(other, '')\n"
         "        if 'left' in s or 'right' in s or 'clockwise' in s:\n"
         "            return False\n"
         "    return True", "not for a few"),
        ("def may_mirror(sentences):\n"
         "    ends = ' .,;-()“”'\n"
         "    words = [w.strip(ends) for s in sentences for w in re.split('[ -]', s.lower())]\n"
         "    return not any(w in ('left', 'right') or 'clockwise' in w for w in words)",
         "a mark after the word"),
        ("not any(named.search(sentence) for sentence in sentences)",
         "not named.search(''.join(sentences))", "then with a space"),
        ("    named =", "    sentences[:] = [s.lower() for s in sentences]\n    named =",
         "leave it as it was"),
        ("return not any", "return any", "without sides may be mirrored"),
        ("not any(", "not all(", "wherever it stands"),
        ("for sentence in sentences", "for sentence in sentences[:1]", "wherever it stands"),
        ("for sentence in sentences", "for sentence in sentences[-1:]", "wherever it stands"),
        (r"\b(left|right)\b", r"\bleft\b", "“right” forbids"),
        (r"\b(left|right)\b", r"\bright\b", "“left” forbids"),
        (r"\b(left|right)\b", r"\b(left|right)", "is another word"),
        (r"\b(left|right)\b", r" (left|right)\b", "may begin the sentence"),
        (r"\b(left|right)\b", r"\b(left|right)[ .,-]", "may end the sentence"),
        (r"|clockwise", "", "it forbids"),
        (r"|clockwise", r"|\bclockwise", "“anticlockwise”"),
        ("def may_mirror(sentences):\n"
         "    words = ' '.join(sentences).lower().split()\n"
         "    return not any(w in ('left', 'right') or 'clockwise' in w for w in words)",
         "a mark after the word"),
        ("def may_mirror(sentences):\n"
         "    words = [w.strip('.,') for s in sentences for w in s.lower().split()]\n"
         "    return not any(w in ('left', 'right') or 'clockwise' in w for w in words)",
         "a mark after the word"),
        ("not any(named.search(sentence) for sentence in sentences)",
         "[not named.search(sentence) for sentence in sentences]", "return True or False"),
        ("not any(named.search(sentence) for sentence in sentences)",
         "not any(named.search(sentence.replace('.', '')) for sentence in sentences[1:])",
         "anywhere in the sentence"),
        (r"\b(left|right)\b", r"(^|\s)(left|right)(\s|$|[.,;:!?])", "brackets and quotes"),
        (r"\b(left|right)\b", r"(^|[\s(“\"'])(left|right)\b", "a hyphen begins a word"),
        (r"\b(left|right)\b", r"(^|[\s(“\"'/—-])(left|right)($|[\s.,;:!?)”\"'])",
         "a hyphen ends a word"),
        (r"\b(left|right)\b", r"(?<![a-z-])(left|right)(?![a-z])", "a hyphen begins a word"),
        (r"\b(left|right)\b", r"(?<![bp])(left|right)\b(?!over|ly)", "is another word"),
        (r"\b(left|right)\b", r"\b(left|right|bright)\b", "“bright” is another word"),
        (r"\b(left|right)\b|clockwise", r"\b(left|right|clockwise|anticlockwise)\b",
         "“counterclockwise”"),
        (r"\b(left|right)\b|clockwise", r"\b(left|right)\b|(?<!-)clockwise",
         "“counter-clockwise”"),
        ("named.search(sentence)", "named.search(sentence.lower().capitalize())"
         " and sentence == sentence.lower()", "capitals do not matter"),
        ('r"\\b(left|right)\\b|clockwise", re.IGNORECASE',
         'r"\\b([Ll]eft|[Rr]ight)\\b|[Cc]lockwise"', "capitals do not matter: “LEFT”"),
        ("    return not any(named.search(sentence) for sentence in sentences)",
         "    for sentence in sentences:\n        return not named.search(sentence)\n"
         "    return True", "wherever it stands"),
        ("not any(named.search(sentence) for sentence in sentences)",
         "sum(bool(named.search(sentence)) for sentence in sentences) != 1", "are too many"),
        ("    return not any(named.search(sentence) for sentence in sentences)",
         "    found = True\n    for sentence in sentences:\n"
         "        found = not named.search(sentence)\n    return found", "wherever it stands"),
        ("    return not any(named.search(sentence) for sentence in sentences)",
         "    sentences.sort()\n"
         "    return not any(named.search(sentence) for sentence in sentences)",
         "leave it as it was"),
        ("return not any(named.search(sentence) for sentence in sentences)",
         "return int(not any(named.search(sentence) for sentence in sentences))", "found int"),
        ("for sentence in sentences)", "for sentence in sentences) and len(sentences) > 0",
         "no objection"),
    ],
    ("03_captions", 3): [
        ("names = classes.unique()", "names = torch.arange(len(classes))",
         "a share of the classes|always as many"),
        ("in_test = torch.isin(classes, order[: max(1, round(share * len(names)))])",
         "in_test = torch.rand(len(classes), generator=generator) < share", "draw classes"),
        ("names = classes.unique()", "names = classes", "a share of the classes|always as many"),
        ("max(1, round(share * len(names)))", "round(share * len(names))", "at least one class"),
        ("round(share * len(names))", "int(share * len(names))", "rounded"),
        ("round(share * len(names))", "math.ceil(share * len(names))", "rounded"),
        ("return (~in_test).nonzero().flatten(), in_test.nonzero().flatten()",
         "return in_test.nonzero().flatten(), (~in_test).nonzero().flatten()",
         "train comes first"),
        ("return (~in_test).nonzero().flatten(), in_test.nonzero().flatten()",
         "return classes[~in_test], classes[in_test]", "not its class"),
        ("return (~in_test).nonzero().flatten(), in_test.nonzero().flatten()",
         "return ~in_test, in_test", "int64 tensors"),
        ("return (~in_test).nonzero().flatten(), in_test.nonzero().flatten()",
         "return (~in_test).nonzero(), in_test.nonzero()", "flatten it"),
        ("return (~in_test).nonzero().flatten(), in_test.nonzero().flatten()",
         "return (~in_test).nonzero().squeeze(), in_test.nonzero().squeeze()", "squeeze"),
        ("torch.randperm(len(names), generator=generator)",
         "torch.randint(len(names), (len(names),), generator=generator)",
         "none is drawn twice"),
        ("    names =", "    classes -= 2\n    names =", "classes were changed"),
        ("    names =", "    classes = classes.sort().values\n    names =", "in the order given"),
        ("return (~in_test).nonzero().flatten(), in_test.nonzero().flatten()",
         "return [(~in_test).nonzero().flatten(), in_test.nonzero().flatten()]", "a tuple"),
        ("names[torch.randperm(len(names), generator=generator)]", "names",
         "another generator, another split"),
        ("names[torch.randperm(len(names), generator=generator)]",
         "names.roll(int(torch.randint(6, (), generator=generator)))", "as likely as any other"),
        ("    order =", "    generator.manual_seed(0)\n    order =", "do not seed it anew"),
        ("generator=generator", "generator=None", "the one given"),
        ("round(share * len(names))", "round(share * len(classes))", "a share of the classes"),
        ("round(share * len(names))", "round((1 - share) * len(names))", "a share of the classes"),
        ("round(share * len(names))", "round(share * len(names)) + 1", "a share of the classes"),
        ("max(1, round(share * len(names)))", "2", "a share of the classes"),
        ("return (~in_test).nonzero().flatten()", "return (~in_test).nonzero().flatten()[1:]",
         "none left out"),
        ("return (~in_test).nonzero().flatten()", "return torch.arange(len(classes))",
         "every picture exactly once"),
        ("(~in_test).nonzero().flatten(), in_test.nonzero().flatten()",
         "(~in_test).nonzero().flatten().int(), in_test.nonzero().flatten().int()",
         "int64 tensors, found torch.int32"),
        ("(~in_test).nonzero().flatten(), in_test.nonzero().flatten()",
         "(~in_test).nonzero().flatten().tolist(), in_test.nonzero().flatten().tolist()",
         "found list"),
        ("    order = names[torch.randperm(len(names), generator=generator)]",
         "    torch.manual_seed(generator.initial_seed())\n"
         "    order = names[torch.randperm(len(names))]", "draw on with the generator"),
        ("generator=generator", "generator=torch.Generator().manual_seed(0)",
         "another generator, another split"),
        ("names[torch.randperm(len(names), generator=generator)]",
         "classes[torch.randperm(len(classes), generator=generator)]", "none is drawn twice"),
        ("names[torch.randperm(len(names), generator=generator)]",
         "torch.tensor(list(dict.fromkeys(classes[torch.randperm(len(classes),"
         " generator=generator)].tolist())))", "as likely as any other"),
        ("names[torch.randperm(len(names), generator=generator)]",
         "names if torch.rand((), generator=generator) < 0.5 else names.flip(0)",
         "as likely as any other"),
        ("    return (~in_test)", "    classes[in_test] = -1\n    return (~in_test)",
         "classes were changed"),
    ],
    ("04_text_encoder", 1): [
        ("(width - 1) * jump", "(width - 1) * stride", "concerns the next"),
        ("        letters += (width - 1) * jump  # its inputs stand `jump` letters apart\n"
         "        jump *= stride", "        jump *= stride\n        letters += (width - 1) * jump",
         "before the stride"),
        ("letters += (width - 1) * jump", "letters *= width", "do not multiply"),
        ("letters += (width - 1) * jump", "letters += width * jump", "sees 4 inputs"),
        ("jump *= stride", "jump += stride - 1", "strides multiply"),
        ("jump *= stride", "jump *= 3 if width == 3 else 1", "should give"),
        ("letters += (width - 1) * jump", "letters += width - 1", "k − 1"),
        ("return letters, jump", "return letters", "the pair"),
        ("return letters, jump", "return [letters, jump]", "not a list"),
        ("return letters, jump", "return jump, letters", "letters first"),
        ("    return letters, jump", "    pass", "returned None"),
        ("letters, jump = 1, 1", "letters, jump = layers[0][0], 1", "may be empty"),
        ("letters += (width - 1) * jump", "letters = (letters - 1) * stride + width",
         "from the last layer"),
        ("jump *= stride", "jump = max(jump, stride) ** 2 if jump > 1 else stride",
         "should give"),
        ("letters, jump = 1, 1", "letters, jump = 1.0, 1.0", "two ints, found"),
        ("    for width, stride in layers:",
         "    while layers:\n        width, stride = layers.pop(0)", "list was changed"),
        ("letters, jump = 1, 1", "letters, jump = 0, 1", "an input sees itself"),
        ("jump *= stride", "jump += stride", "they are not added"),
        ("jump *= stride", "jump = stride", "not the last one's alone"),
        ("jump *= stride", "jump = max(jump, stride)", "not the largest alone"),
        ("jump *= stride", "jump *= stride if stride == width else 1", "a stride counts whatever"),
        ("        jump *= stride\n", "", "every layer with a stride"),
        ("in layers:", "in layers[::-1]:", "from the last layer to the first"),
        ("in layers:", "in layers[:-1]:", "should give"),
        ("in layers:", "in layers[:6]:", "should give"),
        ("in layers:", "in sorted(layers):", "should give"),
        ("in layers:", "in set(layers):", "should give"),
        ("for width, stride in", "for stride, width in", r"a pair is \(width, stride\)"),
        ("(width - 1) * jump", "(width - stride) * jump", "not k − stride"),
        ("return letters, jump", "return letters, jump / 1", "two ints"),
        ("return letters, jump", "return torch.tensor(letters), torch.tensor(jump)", "two ints"),
        ("return letters, jump", "return f'{letters}, {jump}'", "the pair"),
        ("return letters, jump", "return min(letters, 201), jump", "should give"),
        ("return letters, jump", "return 48, 9", "should give"),
        ("return letters, jump", "return letters, jump if layers else 0", "should give"),
        ("    letters, jump = 1, 1\n", "    layers.sort()\n    letters, jump = 1, 1\n",
         "list was changed"),
        (
            "def field_of_view(layers, seen=[1, 1]):\n"
            "    for width, stride in layers:\n"
            "        seen[0] += (width - 1) * seen[1]\n"
            "        seen[1] *= stride\n"
            "    return tuple(seen)",
            "asked again",
        ),
    ],
    ("04_text_encoder", 2): [
        ("-torch.inf", "0.0", "must not win"),
        ("-torch.inf", "-100.0", "must not win"),
        ("~rivals", "torch.eye(len(rivals), dtype=torch.bool)", "only rivals compete"),
        ("~rivals", "torch.zeros_like(rivals)", "no rival of itself"),
        ("~rivals", "~rivals.T", "the mask is not symmetric"),
        ("~rivals", "rivals", "the wrong way round"),
        ("F.relu(margin + competing.amax(1) - own)", "(margin + competing.amax(1) - own)",
         "never negative"),
        ("(sentences + pictures).mean()", "(sentences + pictures).mean() / 2", "add the two"),
        ("(sentences + pictures).mean()", "(sentences + pictures).sum()", "not the sum"),
        ("(sentences + pictures).mean()", "sentences + pictures", "shape"),
        ("(sentences + pictures).mean()", "sentences.mean()", "rival pictures of each sentence"),
        ("(sentences + pictures).mean()", "pictures.mean()", "rival sentences of each picture"),
        ("competing.amax(0)", "competing.amax(1)", "down the columns"),
        ("(sentences + pictures).mean()", "(sentences + pictures).max()", "not the largest of all"),
        ("    compatibility = theta @ phi.T",
         "    margin = 1.0\n    compatibility = theta @ phi.T", "the margin that was given"),
        ("    sentences = F.relu(margin + competing.amax(1) - own)",
         "    hinges = (F.relu(margin + compatibility - own[:, None])\n"
         "              + F.relu(margin + compatibility - own[None, :]))\n"
         "    return hinges[rivals].mean()\n"
         "    sentences = F.relu(margin + competing.amax(1) - own)", "not the mean of all"),
        ("    sentences = F.relu(margin + competing.amax(1) - own)",
         "    hinges = (F.relu(margin + compatibility - own[:, None])\n"
         "              + F.relu(margin + compatibility - own[None, :]))\n"
         "    return hinges.masked_fill(~rivals, 0).amax(1).mean()\n"
         "    sentences = F.relu(margin + competing.amax(1) - own)", "the same pair"),
        ("    sentences = F.relu(margin + competing.amax(1) - own)\n"
         "    pictures = F.relu(margin + competing.amax(0) - own)",
         "    sentences = F.relu(margin + competing - own[None, :]).amax(1)\n"
         "    pictures = F.relu(margin + competing - own[:, None]).amax(0)",
         "own terms are swapped"),
        ("(sentences + pictures).mean()", "(sentences + pictures).mean().detach()",
         "gradients must flow"),
        ("theta @ phi.T", "theta @ phi.detach().T", "to θ and to φ"),
        ("theta @ phi.T", "theta.detach() @ phi.T", "to θ and to φ"),
        ("compatibility.masked_fill", "compatibility.detach().masked_fill", "rivals are detached"),
        ("compatibility.diagonal()", "compatibility.diagonal().detach()", "own pairs are detached"),
        ("    return (sentences + pictures).mean()",
         "    return (F.relu((margin + competing.amax(1) - own).mean())\n"
         "            + F.relu((margin + competing.amax(0) - own).mean()))", "before the mean"),
        ("    return (sentences + pictures).mean()",
         "    return F.relu(2 * margin + competing.amax(1) + competing.amax(0) - 2 * own).mean()",
         "before they are added"),
        ("competing.amax(1) - own", "competing.amax(1)[:, None] - own", "check shapes"),
        ("    return (sentences + pictures).mean()",
         "    return (F.relu(margin + competing.amax(1)[:, None] - own).mean()\n"
         "            + F.relu(margin + competing.amax(0)[:, None] - own).mean())", "check shapes"),
        ("compatibility.masked_fill(~rivals, -torch.inf)",
         "compatibility + (~rivals) * -torch.inf", "0 · ∞ is"),
        ("compatibility.masked_fill(~rivals, -torch.inf)",
         "compatibility.masked_fill(rivals, -torch.inf)", "the wrong way round"),
        ("margin + competing.amax(1) - own", "margin + own - competing.amax(1)",
         "sign is turned"),
        ("theta @ phi.T", "F.normalize(theta, dim=1) @ F.normalize(phi, dim=1).T",
         "not cosines"),
        ("competing.amax(1)", "competing.max(1)", "amax"),
        ("margin + competing.amax(0)", "competing.amax(0)", "both directions have the margin"),
        ("(sentences + pictures).mean()", "torch.maximum(sentences, pictures).mean()",
         "both count"),
        ("(sentences + pictures).mean()", "(sentences + pictures).mean().item()", "as a tensor"),
        ("(sentences + pictures).mean()", "torch.tensor((sentences + pictures).mean().item())",
         "gradients must flow"),
        ("(sentences + pictures).mean()",
         "torch.tensor((sentences + pictures).mean().item(), requires_grad=True)",
         "none reaches θ"),
        ("(sentences + pictures).mean()", "(sentences + pictures).sum() / 6", "for a batch of 9"),
        ("(sentences + pictures).mean()", "(sentences + pictures).median()", "for a batch of 6"),
        ("(sentences + pictures).mean()", "(sentences + pictures).clamp(max=100).mean()",
         "for a batch of 12"),
        ("(sentences + pictures).mean()",
         "sentences[sentences > 0].mean() + pictures[pictures > 0].mean()", "for a batch of 6"),
        ("(sentences + pictures).mean()", "(sentences.detach() + pictures).mean()",
         "its gradient is not"),
        ("(sentences + pictures).mean()", "(sentences + pictures.detach()).mean()",
         "its gradient is not"),
        ("F.relu(margin + competing.amax(1) - own)",
         "F.softplus(margin + competing.amax(1) - own)", "no softplus"),
        ("F.relu(margin + competing.amax(0) - own)", "(margin + competing.amax(0) - own).abs()",
         "not the size"),
        ("F.relu(margin + competing.amax(1) - own)",
         "F.relu(margin + competing.amax(1) - own) ** 2", "not its square"),
        ("F.relu(margin + competing.amax(0) - own)",
         "F.leaky_relu(margin + competing.amax(0) - own)", "for a batch of 6"),
        ("competing.amax(1)", "competing.logsumexp(1)", "for a batch of 6"),
        ("competing.amax(1)", "competing.topk(2).values.mean(1)", "for a batch of 6"),
        ("competing.amax(1)", "competing.detach().amax(1)", "rival sentences are detached"),
        ("competing.amax(0)", "competing.detach().amax(0)", "rival pictures are detached"),
        ("amax(0) - own)", "amax(0) - own.detach())", "its gradient is not"),
        ("margin + competing.amax(1)", "competing.amax(1)", "both directions have the margin"),
        ("compatibility.diagonal()", "compatibility.diagonal().mean()", "not against their mean"),
        ("compatibility.diagonal()", "compatibility.diagonal() * 0", "subtract its product"),
        ("compatibility.diagonal()", "compatibility.diagonal().sort().values", "for a batch of 6"),
        ("~rivals", "~(rivals | rivals.T)", "taken as it is"),
        ("~rivals", "~(rivals & rivals.T)", "taken as it is"),
        ("~rivals", "rivals.logical_not_()", "an input was changed"),
        ("-torch.inf", "-1e4", "must not win"),
        ("    compatibility = theta", "    theta /= theta.norm(dim=1, keepdim=True)\n"
         "    compatibility = theta", "an input was changed"),
        ("theta @ phi.T", "theta[:, :3] @ phi[:, :3].T", "for a batch of 6"),
        ("theta @ phi.T", "phi @ theta.T", "the mask is not symmetric"),
        ("theta @ phi.T", "theta @ phi.T / theta.shape[1] ** 0.5", "for a batch of 6"),
        ("theta @ phi.T", "-torch.cdist(theta, phi)", "for a batch of 6"),
    ],
    ("04_text_encoder", 3): [
        ('"all three": 1.0', '"all three": 100', "not 20"),
        ('"all three": 1.0', '"all three": 1 / 20', "together they are the class"),
        ('"centre": 1 / 5', '"centre": 1 / 4', "pick one of those"),
        ('"centre": 1 / 5', '"centre": 1 / 20', "those five apart"),
        ('"background": 4 / 20', '"background": 1 / 4', "the reader picks one of those"),
        ('"background": 4 / 20', '"background": 1 / 20', "more often"),
        ('"background": 4 / 20', '"background": 1.0', "one guess among them"),
        ('"background": 4 / 20', '"background": 0.35', "less often than that"),
        ('"all three": 1.0', '"all three": "1"', "plain numbers"),
        ('"all three": 1.0', '"all three": torch.tensor(1.0)', "plain numbers"),
        ('"nothing": 1 / 20', '"nothing": 0.0', "one in twenty"),
        ('"why": "c"', '"why": "a"', "reading better cannot help"),
        ('"why": "c"', '"why": "b"', "finds .more."),
        ('"why": "c"', '"why": "lucky"', "one of"),
        ('"why": "c"}', '"because": "c"}', "the five entries are"),
        ('return {"all three": 1.0, "centre": 1 / 5, "background": 4 / 20, "nothing": 1 / 20, '
         '"why": "c"}', "return 1.0, 0.2, 0.2, 0.05", "return a dict"),
        ('"centre": 1 / 5', '"centre": 4 / 19', "is among the twenty"),
        ('"centre": 1 / 5', '"centre": 5', "not 20; found 5"),
        ('"centre": 1 / 5', '"centre": 0.22', "those five apart"),
        ('"centre": 1 / 5', '"centre": 1 / 3', "those five apart"),
        ('"nothing": 1 / 20', '"nothing": 1 / 19', "not beside them"),
        ('"nothing": 1 / 20', '"nothing": False', "plain numbers"),
        ('"nothing": 1 / 20', '"nothing": 1 / 4', "all twenty fit"),
        ('"nothing": 1 / 20', '"nothing": None', "plain numbers"),
        ('"all three": 1.0', '"all three": True', "plain numbers"),
        ('"all three": 1.0', '"all three": math.nan', "between 0 and 1"),
        ('"all three": 1.0', '"all three": 0.95', "how many fit"),
        ('"background": 4 / 20', '"background": 1 / 5.75', "the mean of one over"),
        ('"background": 4 / 20', '"background": 4 / 19', "less often than that"),
        ('"background": 4 / 20', '"background": 3 / 20', "stand before a given"),
        ('"background": 4 / 20', '"background": 0.2, "silence": 0.1', "the five entries are"),
        ('"why": "c"', '"why": ["c"]', "one of"),
    ],
    ("05_measuring", 1): [
        ("xx.sum() - xx.trace() + yy.sum() - yy.trace()", "xx.sum() + yy.sum()",
         "leave out the pairs"),
        ("        within = (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (block * (block - 1))",
         "        within = xx.mean() + yy.mean()", "leave out the pairs"),
        ("a @ b.T / a.shape[1] + 1", "a @ b.T + 1", "divide a.b by d"),
        ("(a @ b.T / a.shape[1] + 1) ** 3", "(a @ b.T / a.shape[1]) ** 3", "1 is added before"),
        ("(a @ b.T / a.shape[1] + 1) ** 3", "(a @ b.T / a.shape[1] + 1) ** 2", "not a square"),
        ("2 * kernel(x, y).mean()", "kernel(x, y).mean()", "counts twice"),
        ("within - 2 *", "within + 2 *", "is taken off"),
        ("(values.std() / len(values) ** 0.5).item()", "values.std().item()",
         "not yet the error of their mean"),
        ("len(values) ** 0.5", "len(values)", "not by the number"),
        ("values.std()", "values.std(correction=0)", "as it stands"),
        ("return values.mean().item(), (values.std() / len(values) ** 0.5).item()",
         "return values.mean(), values.std() / len(values) ** 0.5", "two floats"),
        ("return values.mean().item(), (values.std() / len(values) ** 0.5).item()",
         "return values.mean().item()", "two floats"),
        ("    values = []", "    block = min(len(real), len(fake))\n    values = []",
         "not one over all features"),
        ("real, fake))\n        xx", "real, real))\n        xx", "compare real with fake"),
        ("        within = (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (block * (block - 1))",
         "        within = (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / block**2",
         "not n²"),
        ("2 * kernel(x, y).mean()",
         "2 * (kernel(x, y).sum() - kernel(x, y).trace()) / (block * (block - 1))",
         "has all pairs"),
        ("        values.append(within - 2 * kernel(x, y).mean())",
         "        values.append((within - 2 * kernel(x, y).mean()).clamp(min=0))", "below 0"),
        ("        values.append(within - 2 * kernel(x, y).mean())",
         "        values.append((within - 2 * kernel(x, y).mean()).abs())", "below 0"),
        ("a @ b.T / a.shape[1]", "a @ b.T / 3", "from what is given"),
        ("len(values) ** 0.5", "3**0.5", "from what is given"),
        ("range(min(len(real), len(fake)) // block)", "range(len(real) // block)",
         "from what is given"),
        ("range(min(len(real), len(fake)) // block)", "range(3)", "from what is given"),
        ("values.mean().item()", "values.median().item()", "no median"),
        ("len(values) ** 0.5", "block ** 0.5", "how many blocks there are"),
        ("+ 1) ** 3", "+ 1) ** 1", r"a cube: \*\* 3"),
        ("a.shape[1] + 1", "a.shape[1] ** 0.5 + 1", "from what is given"),
        ("a.shape[1] + 1", "len(a) + 1", "from what is given"),
        ("a @ b.T / a.shape[1]", "F.normalize(a, dim=1) @ F.normalize(b, dim=1).T",
         "from what is given"),
        ("values.mean().item()", "values.sum().item()", "not their sum"),
        ("return values.mean().item()", "return values[0].item()", "first block's"),
        ("return values.mean().item()", "return values.mean().abs().item()", "below 0"),
        ("return values.mean().item()", "return max(values.mean().item(), 0.0)", "below 0"),
        ("values = torch.stack(values)", "values = torch.stack(values[:-1])", "last whole block"),
        ("values = torch.stack(values)", "values = torch.stack(values).sqrt()",
         "from what is given"),
        ("(values.std() / len(values) ** 0.5)", "(values.std() / (len(values) - 1) ** 0.5)",
         "has the n − 1"),
        ("(values.std() / len(values) ** 0.5)", "(values.var() / len(values))", "take the root"),
        ("(values.std() / len(values) ** 0.5)", "(values.var() / len(values) ** 0.5)",
         "not the variance"),
        ("(values.std() / len(values) ** 0.5)", "values.var()", "not the variance"),
        ("len(values) ** 0.5", "len(real) ** 0.5", "from what is given"),
        ("(values.std() / len(values) ** 0.5)", "(1.96 * values.std() / len(values) ** 0.5)",
         "from what is given"),
        ("return values.mean().item(), (values", "return (values", "two floats"),
        ("values.mean().item(), (values.std() / len(values) ** 0.5).item()",
         "round(values.mean().item()), round((values.std() / len(values) ** 0.5).item())",
         "two floats"),
        ("range(min(len(real), len(fake)) // block)", "range(len(fake) // block)",
         "from what is given"),
        ("range(min(len(real), len(fake)) // block)",
         "range(-(-min(len(real), len(fake)) // block))", "from what is given"),
        ("own[i * block : (i + 1) * block]", "own[i * block // 2 : i * block // 2 + block]",
         "from what is given"),
        ("own[i * block : (i + 1) * block]",
         "own[i :: min(len(real), len(fake)) // block][:block]", "from what is given"),
        ("own[i * block : (i + 1) * block]", "own[torch.randperm(len(own))[:block]]",
         "from what is given"),
        ("        xx, yy = ", "        x = real[:block].double()\n        xx, yy = ",
         "from what is given"),
        ("kernel(x, x), kernel(y, y)", "kernel(x, x), kernel(x, x)", "from what is given"),
        ("(block * (block - 1))", "(20 * 19)", "from what is given"),
        ("        values.append(within - 2 * kernel(x, y).mean())",
         "        for j in range(min(len(real), len(fake)) // block):\n"
         "            other = fake[j * block : (j + 1) * block].double()\n"
         "            of_y = kernel(other, other)\n"
         "            of_y = (of_y.sum() - of_y.trace()) / (block * (block - 1))\n"
         "            of_x = (xx.sum() - xx.trace()) / (block * (block - 1))\n"
         "            values.append(of_x + of_y - 2 * kernel(x, other).mean())",
         "not every block against every other"),
        (
            "def kid_with_error(real, fake, block):\n"
            "    values = []\n"
            "    for x, y in zip(real.double().split(block), fake.double().split(block)):\n"
            "        sums = [((a @ b.T / a.shape[1] + 1) ** 3) for a, b in ((x, x), (y, y))]\n"
            "        within = sum((k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in sums)\n"
            "        values.append(within - 2 * ((x @ y.T / x.shape[1] + 1) ** 3).mean())\n"
            "    values = torch.stack(values)\n"
            "    return values.mean().item(), (values.std() / len(values) ** 0.5).item()",
            "left over|from what is given",
        ),
        ("    values = []\n", "    real -= real.mean(0)\n    values = []\n", "were changed"),
    ],
    ("05_measuring", 2): [
        ("(nearest_in_train(fake) < yardstick).float().mean().item()",
         "(nearest_in_train(fake).mean() / nearest_in_train(held_out).mean()).item()",
         "no ratio of distances"),
        ("    return (nearest_in_train(fake) < yardstick).float().mean().item()",
         "    return float(nearest_in_train(fake).median() < yardstick)",
         "judge picture by picture"),
        ("    return (nearest_in_train(fake) < yardstick).float().mean().item()",
         "    return float(nearest_in_train(fake).mean() < yardstick)",
         "judge picture by picture"),
        ("(nearest_in_train(fake) < yardstick)", "(nearest_in_train(fake) > yardstick)",
         "nearer than the yardstick"),
        (".float().mean().item()", ".float().mean()", "return a Python float"),
        (".float().mean().item()", ".float().mean().item() * 100", "not a percentage"),
        ("nearest_in_train(held_out).quantile(q)", "nearest_in_train(fake).quantile(q)",
         "not the fakes."),
        ("torch.cdist(features, train).amin(1)", "torch.cdist(features, held_out).amin(1)",
         "whatever train is"),
        (".quantile(q)", ".quantile(1 - q)", "not 1 − q"),
        (".quantile(q)", ".quantile(0.01)", "the q that was given"),
        (".amin(1)", ".mean(1)", "not the mean over train"),
        (".amin(1)", ".amax(1)", "not to the farthest"),
        ("torch.cdist(features, train).amin(1)", "torch.cdist(features, train).amin(0)",
         "of train and"),
        ("nearest_in_train(held_out).quantile(q)",
         "torch.cdist(train, held_out).amin(1).quantile(q)", "other way round"),
        ("nearest_in_train(held_out).quantile(q)",
         "torch.cdist(held_out, held_out).kthvalue(2, 1).values.quantile(q)",
         "not to the nearest other held-out"),
        ("nearest_in_train(held_out).quantile(q)",
         "nearest_in_train(held_out).sort().values[:int(q * len(train)) + 1].max()",
         "are nearer than the yardstick; found"),
        ("nearest_in_train(held_out).quantile(q)",
         "torch.distributions.Normal(nearest_in_train(held_out).mean(), "
         "nearest_in_train(held_out).std()).icdf(torch.tensor(q))", "mean and spread"),
        ("(nearest_in_train(fake) < yardstick)", "(nearest_in_train(fake) <= yardstick)",
         "just as near does not count"),
        (".float().mean().item()", ".sum().item() * 1.0", "not how many"),
        (".float().mean().item()", ".float().mean().item() - q", "q is not taken off"),
        (".float().mean().item()", ".float().mean().item() > q", "a Python float"),
        (".float().mean().item()", ".float().mean().round(decimals=1).item()", "found"),
        (".float().mean().item()", ".any().float().item()", "the same whatever"),
        (".float().mean().item()", ".float().sum().item() / len(held_out)", "found"),
        (".float().mean().item()", ".float().sum().item() / len(train)", "found"),
        ("nearest_in_train(held_out).quantile(q)", "q", "q is a share, no distance"),
        ("nearest_in_train(held_out).quantile(q)", "q * nearest_in_train(held_out).mean()",
         "not q times"),
        ("nearest_in_train(held_out).quantile(q)", "q * nearest_in_train(held_out).max()",
         "not q times"),
        (".quantile(q)", ".median()", "not the middle"),
        (".quantile(q)", ".quantile(q / 100)", "found"),
        (".quantile(q)", ".min()", "found"),
        ("quantile(q)\n", "quantile(q) / 2\n", "found"),
        ("nearest_in_train(held_out).quantile(q)",
         "torch.cdist(held_out, train).flatten().quantile(q)", "not of all distances"),
        ("(nearest_in_train(fake) < yardstick)",
         "(torch.cdist(fake, held_out).amin(1) < yardstick)", "nearest of .train., too"),
        ("(nearest_in_train(fake) < yardstick)", "(torch.cdist(fake, train) < yardstick)",
         "not every pair"),
        ("(nearest_in_train(fake) < yardstick)", "(torch.cdist(fake, train).amin(0) < yardstick)",
         "not one for each of train"),
        ("(nearest_in_train(fake) < yardstick)", "(nearest_in_train(fake) ** 2 < yardstick)",
         "distances with distances"),
        ("torch.cdist(features, train).amin(1)", "torch.cdist(features, train, p=1).amin(1)",
         "not the sum of absolute"),
        ("torch.cdist(features, train).amin(1)",
         "1 - (F.normalize(features, dim=1) @ F.normalize(train, dim=1).T).amax(1)",
         "lengths count"),
        ("torch.cdist(features, train)", "torch.cdist(features, train[:50])", "found"),
        ("torch.cdist(features, train).amin(1)",
         "torch.cdist(features, train).kthvalue(2, 1).values", "found"),
        ("torch.cdist(features, train).amin(1)",
         "(features - train[torch.randint(len(train), (len(features),))]).norm(dim=1)", "found"),
        ("torch.cdist(features, train).amin(1)",
         "(features - train.mean(0)).norm(dim=1)", "found"),
        ("    yardstick = ", "    train -= train.mean(0)\n    yardstick = ", "were changed"),
    ],
    ("05_measuring", 3): [
        ("0.5 + 0.5 / 20", "0.5", "by chance"),
        ("0.5 + 0.5 / 20", "0.5 + 1 / 20", "other half. only"),
        ("0.5 + 0.5 / 20", "0.5 + 0.5 / 112", "not of all there are"),
        ("0.5 + 0.5 / 20", "0.5 + 0.5 / 104", "not of all there are"),
        ("0.5 + 0.5 / 20", "math.nan", "a number from 0 on"),
        ("0.5 + 0.5 / 20", "52.5", "0.5, not 50"),
        ("0.5 + 0.5 / 20", "0.25", "which share of the whole"),
        ("0.5 + 0.5 / 20", "torch.tensor(0.525)", "plain numbers"),
        ('"sensitivity": 0.5', '"sensitivity": 0.37', "as a share of the ceiling"),
        ('"Fréchet": 1.0', '"Fréchet": 62.4', "over the ceiling"),
        ('"sensitivity": 0.5', '"sensitivity": 1.0', "know nothing of their sentence"),
        ('"sensitivity": 0.5', '"sensitivity": 0.0', "a mean over pictures"),
        ('"sensitivity": 0.5', '"sensitivity": 0.25', "a mean over pictures"),
        ('"Fréchet": 1.0', '"Fréchet": 2.0', "a heap as the ceiling"),
        ('"Fréchet": 1.0', '"Fréchet": 0.5', "a heap as the ceiling"),
        ('"as real"', '"more than real"', "no copy"),
        ('"as real"', '"less"', "as real. or .more"),
        ('"why": "c"', '"why": "a"', "a mixture of what"),
        ('"why": "c"', '"why": "b"', "belong where"),
        ('"why": "c"', '"why": "all three"', "one of"),
        ('"why": "c"}', '"because": "c"}', "the five entries are"),
        ("0.5 + 0.5 / 20", "0.5 + 0.5 / 19", "not one of the 19 others"),
        ("0.5 + 0.5 / 20", "0.5 / 20", "which share of the whole"),
        ("0.5 + 0.5 / 20", "0.53", "three decimals"),
        ("0.5 + 0.5 / 20", "0.51", "three decimals"),
        ("0.5 + 0.5 / 20", "1.0", "which share of the whole"),
        ("0.5 + 0.5 / 20", "True", "plain numbers"),
        ('"sensitivity": 0.5', '"sensitivity": 0.475', "divide by that"),
        ('"sensitivity": 0.5', '"sensitivity": 0.525', "by chance is right as often"),
        ('"sensitivity": 0.5', '"sensitivity": -0.5', "a number from 0 on"),
        ('"sensitivity": 0.5', '"sensitivity": "half"', "plain numbers"),
        ('"sensitivity": 0.5', '"sensitivity": 0.55', "a mean over pictures"),
        ('"Fréchet": 1.0', '"Fréchet": True', "plain numbers"),
        ('"Fréchet": 1.0', '"Fréchet": math.inf', "a number from 0 on"),
        ('"Fréchet": 1.0', '"Fréchet": 0.0', "whose distance is not 0"),
        ('"Fréchet": 1.0', '"Fréchet": 1.2', "a heap as the ceiling"),
        ('"as real"', '0.01', "as real. or .more"),
        ('"why": "c"', '"why": "C"', "one of"),
        ('"why": "c"', '"why": ("a", "b")', "one of"),
    ],
    ("09_conditioning_augmentation", 1): [
        ('"far": 0.5 * 2**2', '"far": 2 * 2.0', "½ μ² is all"),
        ('"far": 0.5 * 2**2', '"far": 0.5 * (4 + 1)', "½ μ² is all"),
        ("(math.exp(-2) + 2 - 1)", "(math.exp(-1) + 1 - 1)", "σ² = e⁻² and log σ² = −2"),
        ("(math.exp(-2) + 2 - 1)", "(math.exp(-2) - 2 - 1)", "never negative"),
        ("(math.exp(2) - 2 - 1)", "(math.exp(2) + 2 - 1)", "log σ² = 2"),
        ("(math.exp(2) - 2 - 1)", "(math.exp(1) - 1 - 1)", "log σ² = 2"),
        ("128 * 0.5 * 0.5**2", "0.125", "add up"),
        ('"mean": 2 * 0.5 * 0.5**2', '"mean": 16.0', "2/128 · sum"),
        ('"mean": 2 * 0.5 * 0.5**2', '"mean": 0.125', "2/128 · sum"),
        ('"nothing": 0.0', '"nothing": 0.5', "the standard normal itself"),
        ('"nothing": 0.0', '"nothing": -1.0', "never negative"),
        ('"nothing": 0.0', '"nothing": None', "plain number"),
        ('"nothing": 0.0', '"nothing": math.nan', "give a number"),
        ('"why": "b"', '"why": "a"', "task harder"),
        ('"why": "b"', '"why": "c"', "λ that pulls"),
        ('"why": "b"', '"why": "points"', "one of"),
        ('"why": "b"', '"because": "b"', "the entries are"),
        ('"far": 0.5 * 2**2', '"far": 1.0', "found 1, which is not it"),
        ('"far": 0.5 * 2**2', '"far": 4.0', "found 4, which is not it"),
        ("(math.exp(-2) + 2 - 1)", "(math.exp(-2) + 1 - 1)", "log σ² = −2"),
        ("0.5 * (math.exp(-2) + 2 - 1)", "math.exp(-2) + 2 - 1", "found 1.135, which is not"),
        ("0.5 * (math.exp(-2) + 2 - 1)", "0.6", "two decimals"),
        ("0.5 * (math.exp(2) - 2 - 1)", "2.2", "two decimals"),
        ("0.5 * (math.exp(2) - 2 - 1)", "0.5677", "log σ² = 2"),
        ("0.5 * (math.exp(2) - 2 - 1)", "0.5 * (math.exp(2) - 2)", "log σ² = 2"),
        ("128 * 0.5 * 0.5**2", "128 * 0.5**2", "add up"),
        ("128 * 0.5 * 0.5**2", "128 * 0.5 * 0.5", "add up"),
        ("128 * 0.5 * 0.5**2", "0.5 * (128 * 0.5) ** 2", "add up"),
        ('"mean": 2 * 0.5 * 0.5**2', '"mean": 0.5', "2/128 · sum"),
        ('"mean": 2 * 0.5 * 0.5**2', '"mean": 32.0', "2/128 · sum"),
        ('"many": 128', '"many": "16", "most": 128', "the entries are"),
        ('"far": 0.5 * 2**2', '"far": True', "plain number"),
        ('"why": "b"', '"why": ""', "one of"),
    ],
    ("09_conditioning_augmentation", 2): [
        (".sum(1)", ".mean(1)", "add the dimensions up"),
        ("return 0.5 * (", "return (", "½ is missing"),
        ("+ apart - 1)", "+ apart)", "− 1 in every dimension"),
        ("+ apart - 1).sum(1)", "+ apart).sum(1) - 0.5", "before they are added up"),
        ("+ apart - 1).sum(1)", "+ apart).sum(1) - 1", "inside the ½"),
        ("other_logvar - logvar", "logvar - other_logvar", "not the other way round"),
        ("(mu - other_mu).square()", "(mu - other_mu).abs()", "difference is squared"),
        ("(mu - other_mu).square()", "(mu - other_mu)", "difference is squared"),
        ("(logvar.exp() + (mu - other_mu).square()) / other",
         "logvar.exp() + (mu - other_mu).square() / other", "divided by σ'², too"),
        (" + (mu - other_mu).square()", "", "where are the means"),
        ("other_logvar - logvar + apart", "apart", "where are the logarithms"),
        ("(other_logvar - logvar + apart", "(0.5 * (other_logvar - logvar) + apart",
         "no further ½"),
        ("/ other_logvar.exp()", "/ logvar.exp()", "divide by the .other. cloud"),
        ("(logvar.exp() +", "((0.5 * logvar).exp() +", "½ logvar. is σ"),
        ("(logvar.exp() + (mu - other_mu).square()) / other_logvar.exp()",
         "(logvar + (mu - other_mu).square()) / other_logvar", "take its exponential"),
        ("def kl_between(mu, logvar, other_mu, other_logvar)",
         "def kl_between(other_mu, other_logvar, mu, logvar)", "turned round"),
        (".sum(1)", ".sum()", "one number for each row"),
        (".sum(1)", ".sum(1) / math.log(2)", "natural logarithm"),
        (".sum(1)", ".sum(1).detach()", "gradients have to flow"),
        ("logvar.exp() + (mu", "logvar.detach().exp() + (mu", "gradient of logvar"),
        ("/ other_logvar.exp()", "/ other_logvar.data.exp()", "gradient of other_logvar"),
        ("(mu - other_mu).square()", "(mu - other_mu).detach().square()",
         "no gradient reaches mu"),
        ("    apart = ", "    mu -= other_mu\n    other_mu = 0 * mu\n    apart = ",
         "was changed"),
        ("/ other_logvar.exp()", "", "hold the formula"),
        ("(logvar.exp() + (mu - other_mu).square()) / other_logvar.exp()",
         "logvar.exp() / other_logvar.exp() + (mu - other_mu).square()", "divided by σ'², too"),
        ("    apart = ", "    logvar = logvar.clamp(-8, 8)\n    apart = ", "hold the formula"),
        ("/ other_logvar.exp()", "/ (other_logvar.exp() + 1e-6)", "hold the formula"),
        ("(logvar.exp() +", "(logvar.exp() + 1e-8 +", "hold the formula"),
        ("/ other_logvar.exp()", "/ other_logvar.exp().clamp(min=1e-6)", "hold the formula"),
        ("other_logvar - logvar", "(other_logvar.exp() + 1e-8).log() - logvar", "hold the formula"),
        ("    apart = ", "    mu.requires_grad_()\n    apart = ", "was changed"),
        (".sum(1)", ".sum(1).squeeze()", r"a tensor \[1\]; found Tensor\[\]"),
        (".sum(1)", ".sum(1, keepdim=True)", "one number for each row"),
        (".sum(1)", ".sum(0)", "one number for each row"),
        ("0.5 * (other_logvar - logvar + apart - 1).sum(1)",
         "[x / 2 for x in (other_logvar - logvar + apart - 1).sum(1)]", "found list"),
        (".sum(1)", "[:, :5].sum(1)", "hold the formula"),
        (".sum(1)", ".sum(1).mean().expand(len(mu))", "hold the formula"),
        (".sum(1)", ".sum(1).clamp(max=100)", "hold the formula"),
        ("(logvar.exp() + (mu - other_mu).square()) / other_logvar.exp()",
         "((0.5 * logvar).exp() + (mu - other_mu).square()) / (0.5 * other_logvar).exp()",
         "½ logvar. is σ"),
        ("other_logvar - logvar", "2 * (other_logvar - logvar)", "no 2 before it"),
        ("+ apart - 1)", "+ apart - 2)", "inside the ½"),
        ("other_logvar - logvar + apart - 1).sum(1)",
         "logvar - other_logvar + apart - 1).sum(1)", "not the other way round"),
        (".sum(1)", ".sum(1).detach().requires_grad_()", "no gradient reaches"),
        ("    return 0.5", "    other_logvar = 2 * other_logvar.detach() - other_logvar\n"
         "    return 0.5", "gradient of other_logvar"),
        ("    return 0.5", "    if len(mu) > 1:\n        mu[0] = mu[0]\n"
         "        logvar = torch.cat([logvar[:1].detach(), logvar[1:]])\n    return 0.5",
         "gradient of logvar"),
        ("def kl_between(mu, logvar, other_mu, other_logvar):\n",
         "def kl_between(mu, logvar, other_mu, other_logvar, seen=[]):\n    seen.append(1)\n"
         "    mu = mu + 0.1 * (len(seen) % 2 == 0)\n", "second call"),
    ],
    ("09_conditioning_augmentation", 3): [
        ("generator=generator, ", "", "only source of chance"),
        ("generator=generator, ", "generator=torch.Generator().manual_seed(0), ",
         "another generator gave the same"),
        ("generator=generator, ",
         "generator=torch.Generator().manual_seed(generator.initial_seed()), ", "do not seed"),
        ("    rows = ", "    generator.manual_seed(generator.initial_seed())\n    rows = ",
         "do not seed"),
        ("    rows = torch.randn(number, len(row), generator=generator, dtype=row.dtype)",
         "    torch.manual_seed(generator.seed())\n    rows = torch.randn(number, len(row), "
         "dtype=row.dtype)", "only source of chance"),
        (", dtype=row.dtype", "", "the result torch.float32"),
        ("row[:z_dim]", "row[-z_dim:]", "to be kept is not row's"),
        ("rows[:, z_dim:] = row[z_dim:]", "rows[:, -z_dim:] = row[-z_dim:]",
         "to be kept is not row's"),
        ("rows[:, z_dim:] = row[z_dim:]", "rows[:, z_dim + 1 :] = row[z_dim + 1 :]",
         "to be kept is not row's"),
        ('if keep in ("z", "both")', 'if keep in ("ε", "both")', "to be kept is not row's"),
        ("torch.randn(number, len(row), generator=generator, dtype=row.dtype)",
         "torch.randn(1, len(row), generator=generator, dtype=row.dtype).repeat(number, 1)",
         "every row draws for itself"),
        ("torch.randn(number, len(row), generator=generator, dtype=row.dtype)",
         "torch.randn(number, 1, generator=generator, dtype=row.dtype).repeat(1, len(row))",
         "every .number. of a row"),
        ("    return rows", "    rows[number // 2 :] = rows[: number - number // 2]\n"
         "    return rows", "every row draws for itself"),
        ("    return rows", "    rows[-1] = row\n    return rows", "still row's"),
        ("    return rows", "    return rows.clamp(-2, 2)", "to be kept is not row's"),
        ('    if keep in ("z", "both"):',
         '    rows = rows.sort(1).values\n    if keep in ("z", "both"):',
         "do not sort|standard normal"),
        ("torch.randn(number, len(row)", "torch.randn(1, len(row)", r"\[number, n\]"),
        ("torch.randn(", "torch.rand(", "standard normal|draws for itself"),
        ("torch.randn(number, len(row), generator=generator, dtype=row.dtype)",
         "(torch.rand(number, len(row), generator=generator, dtype=row.dtype) - 0.5) * 12**0.5",
         "is not normal"),
        ("rows = torch.randn(", "rows = 3 * row + torch.randn(", "standard normal"),
        ("    rows = ", "    row[:z_dim] += 1\n    rows = ", "work on a copy"),
        ('    if keep in ("z", "both"):', '    if keep == "both":\n'
         '        return row.expand(number, -1)\n    if keep == "z":', "no view of row"),
        ('    if keep in ("z", "both"):', '    if keep == "both":\n'
         '        return row.repeat(3, 1)\n    if keep == "z":', r"return a tensor \[number, n\]"),
        ('in ("z", "both")', 'in ("z",)', "to be kept is not row's"),
        ('keep not in ("z", "ε", "both")', 'keep not in ("z", "eps", "both")', "raised ValueError"),
        ('    if keep not in ("z", "ε", "both"):', "    if False:", "raise ValueError"),
        ("raise ValueError", "raise KeyError", "raise ValueError"),
        ("    if keep in (\"z\"", "    rows = rows.clamp(-3, 3)\n    if keep in (\"z\"",
         "draws for itself|not normal"),
        ("    if keep in (\"z\"", "    rows = rows.sort(0).values\n    if keep in (\"z\"",
         "go together"),
        ("    if keep in (\"z\"", "    rows[number // 2 :] = -rows[: number - number // 2]\n"
         "    if keep in (\"z\"", "go together"),
        ("    if keep in (\"z\"", "    rows[:, 1:] = 0.8 * rows[:, :1] + 0.6 * rows[:, 1:]\n"
         "    if keep in (\"z\"", "go together"),
        ("    if keep in (\"z\"", "    rows[:, 0] *= 1.2\n    if keep in (\"z\"",
         "not standard normal"),
        ("    if keep in (\"z\"", "    rows += 0.1 * row\n    if keep in (\"z\"",
         "not standard normal"),
        ("torch.randn(number,", "0.5 * torch.randn(number,", "not standard normal"),
        ("    if keep in (\"z\"", "    rows = rows - rows.mean(1, keepdim=True)\n"
         "    if keep in (\"z\"", "not standard normal|go together"),
        ("torch.randn(number, len(row), generator=generator, dtype=row.dtype)",
         "torch.randn(number, len(row), generator=generator).to(torch.float64)",
         "the result torch.float64"),
        ("rows[:, :z_dim] = row[:z_dim]", "rows[:, :3] = row[:3]", "to be kept|still row"),
        ("rows[:, z_dim:] = row[z_dim:]", "rows[:, len(row) // 2 :] = row[len(row) // 2 :]",
         "to be kept|still row"),
        ("rows[:, z_dim:] = row[z_dim:]", "rows[1:, z_dim:] = row[z_dim:]", "to be kept"),
        ("    rows = ", "    generator = torch.Generator().manual_seed(generator.seed() % 9)\n"
         "    rows = ", "other rows|same rows|standard"),
        ("    rows = ", "    generator.manual_seed(0)\n    rows = ", "same rows"),
        ("    rows = ", "    if keep == \"ε\":\n        generator = None\n    rows = ",
         "only source of chance"),
        ('if keep not in ("z", "ε", "both")', 'if keep not in "zεboth"', "raise ValueError"),
        ('if keep not in ("z", "ε", "both")', 'if keep[:1] not in ("z", "ε", "b")',
         "raise ValueError"),
        ('    if keep not in', '    keep = str(keep).lower()\n    if keep not in',
         "raise ValueError"),
        ("        raise ValueError(f\"keep is {keep!r}; expected 'z', 'ε' or 'both'\")",
         "        return row.repeat(number, 1)", "it raised nothing"),
        ("    return rows", "    return rows.squeeze()", r"return a tensor \[number, n\]"),
        ("    return rows", "    return list(rows)", "found list"),
        ("    return rows", "    row.copy_(rows[0])\n    return rows", "work on a copy"),
    ],
    ("10_stackgan_stage1", 1): [
        ('"kinds": 4 * 4', '"kinds": 4', "that is stride 2"),
        ('"kinds": 4 * 4', '"kinds": 8', "two for rows and two for columns"),
        ('"each": (8 // 4) ** 2', '"each": 16', "64 / 4"),
        ('"each": (8 // 4) ** 2', '"each": 64', "every fourth weight"),
        ('"enlarged": 0.0', '"enlarged": 0.06', "not added up"),
        ('"enlarged": 0.0', '"enlarged": 0.25', "nothing is left"),
        ('"enlarged": 0.0', '"enlarged": 1', "nothing is left"),
        ('"wave": 2**0.5', '"wave": 1.0', "found 1, which is not it"),
        ('"wave": 2**0.5', '"wave": 2', "that is .H.0"),
        ('"wave": 2**0.5', '"wave": 1j', "plain number"),
        ('"work": 9 / 4', '"work": 4 / 9', "the dearer one"),
        ('"work": 9 / 4', '"work": 9 / 16', "with four weights"),
        ('"work": 9 / 4', '"work": 9', "3 · 3 at every pixel"),
        (" + 2 * (8 + 8 + 32)", "", "batch norms have weights"),
        (" + 2 * (8 + 8 + 32)", " + 3 * (8 + 8 + 32)", "no biases before"),
        ("9 * 8 * 32", "8 * 32", "that widens is 3 × 3"),
        ('"wave": 2**0.5', '"wave": 1.42', "found 1.42, which is not it"),
        ('"wave": 2**0.5', '"wave": 0.0', "that is .H.π"),
        ('"wave": 2**0.5', '"wave": 1.57', "1 − i"),
        ('"kinds": 4 * 4', '"kinds": 64', "found 64, which is not it"),
        ('"kinds": 4 * 4', '"kinds": 15.999', "which is not it"),
        ('"each": (8 // 4) ** 2', '"each": 2', "rows and columns"),
        ('"each": (8 // 4) ** 2', '"each": 4.5', "every fourth weight"),
        ('"enlarged": 0.0', '"enlarged": 0.001', "H.π. = 0"),
        ('"enlarged": 0.0', '"enlarged": 63 / 1024', "not enlarged"),
        ('"work": 9 / 4', '"work": 1.0', "3 · 3 at every pixel"),
        ('"work": 9 / 4', '"work": 2.3', "3 · 3 at every pixel"),
        (" + 2 * (8 + 8 + 32)", " + 8 + 8 + 32", "two weights a channel"),
        ("32 * 8 + ", "9 * 32 * 8 + ", "a 1 × 1 and two 3 × 3"),
        (" + 9 * 8 * 8", "", "a 1 × 1 and two 3 × 3"),
        ("2 * (8 + 8 + 32)", "4 * (8 + 8 + 32)", "found 3328"),
        ('"kinds": 4 * 4', '"kinds": "16"', "plain number"),
        ('"enlarged": 0.0', '"enlarged": math.nan', "give a number"),
        ('"enlarged": 0.0', '"enlarged": None', "plain number"),
        ('"why": "b"', '"why": "a"', "look at .frozen"),
        ('"why": "b"', '"why": "c"', "listens for it"),
        ('"why": "b"', '"why": "noise"', "one of"),
        ('"why": "b"', '"because": "b"', "the entries are"),
    ],
    ("10_stackgan_stage1", 2): [
        (".flip(2, 3)", "", "turned round"),
        (".flip(2, 3)", ".flip(2)", "flip both"),
        (".flip(2, 3)", ".flip(3)", "flip both"),
        (".transpose(0, 1)", "", r"transpose"),
        ("return wide", "return wide / 4", "no mean"),
        ("for q in (0, 1)", "for q in (p,)", "not only the diagonal"),
        ("for q in (0, 1)", "for q in (0,)", "across as well as down"),
        ("for p in (0, 1)", "for p in (0,)", "down as well as across"),
        ("            wide[:, :, p : p + 3, q : q + 3] += turned",
         "            wide[:, :, p : p + 3, q : q + 3] = turned", "not ="),
        ("kernel.transpose(0, 1).flip", "kernel.reshape(kernel.shape[1], -1, 3, 3).flip",
         "swaps them"),
        ("return wide", "return wide / 2", "carries the whole value"),
        ("return wide", "return wide.detach().requires_grad_()", "a new leaf"),
        ("return wide", "return torch.nn.Parameter(wide)", "a new leaf"),
        ("for q in (0, 1)", "for q in (1 - p,)", "not only the diagonal"),
        ("return wide", "return wide[:, :, :3, :3]", "the shape is"),
        ("return wide", "return wide.float()", "kernel is torch.float64"),
        ("return wide", "return wide.detach()", "gradients have to flow"),
        ("+= turned", "+= turned if p else turned.detach()",
         "gradient of kernel is not"),
        ("    turned = ", "    kernel.data *= 2\n    turned = ", "work on a copy"),
        ("kernel.new_zeros(*turned.shape[:2], 4, 4)",
         "torch.zeros(*turned.shape[:2], 4, 4, dtype=torch.float64)", "the result torch.float64"),
        ("return wide", "return wide.flip(2)", "flip both"),
        ("return wide", "return wide.numpy(force=True)", "return a tensor"),
        ("return wide", "wide[:, :, 0] = 0\n    return wide", "one bright pixel"),
        ("return wide", "return wide * 4", "and no more"),
        ("return wide", "return wide.transpose(2, 3)", "rows and columns are exchanged"),
        ("return wide", "return wide.roll(1, 2)", "one bright pixel"),
        ("return wide", "return wide.flip(2, 3)", "turned round"),
        ("return wide", "return wide.transpose(0, 1)", "wants .in, out"),
        ("return wide", "return wide.transpose(0, 1).reshape(wide.shape)", "reshape shuffles"),
        ("return wide", "return wide.squeeze()", "the shape is"),
        ("return wide", "return wide + 1e-3", "one bright pixel"),
        ("return wide", "return wide * (kernel.shape[0] < 5) + wide.detach() * "
         "(kernel.shape[0] > 4)", "gradient of kernel is not"),
        ("return wide", "return 2 * wide.detach() - wide", "gradient of kernel is not"),
        ("return wide", "return wide.clone().detach().requires_grad_(True)", "a new leaf"),
        ("for p in (0, 1)", "for p in (1,)", "one bright pixel"),
        ("+= turned", "+= turned / (1 + p * q)", "one bright pixel"),
        ("    turned = ", "    kernel = kernel.clamp(-1, 1)\n    turned = ", "one bright pixel"),
        ("    turned = ", "    kernel = kernel - kernel.mean()\n    turned = ", "one bright pixel"),
        ("    wide = kernel", "    turned = F.interpolate(turned, 4, mode='bilinear')\n"
         "    return turned\n    wide = kernel", "one bright pixel"),
        ("    wide = kernel", "    return F.pad(turned, (0, 1, 0, 1))\n    wide = kernel",
         "a small pixel is four large ones"),
        ("    turned = ", "    kernel = kernel.half().float()\n    turned = ",
         "the result torch.float32|gradient|one bright"),
    ],
    ("10_stackgan_stage1", 3): [
        ("return 2 * c", "return 0", "has a scale and a shift"),
        ("return 2 * c", "return c", "has a scale and a shift"),
        ("return 2 * c", "return 4 * c", "are not trained"),
        ("return 2 * c", "return 3 * c", "no bias before"),
        ("norm(16 * wide)", "3 * 16 * wide", "in Start neither"),
        ("(9 * width + 1) * 3", "9 * width * 3", "so it has biases"),
        ("(embed_dim + 1) * 2 * c_dim", "embed_dim * 2 * c_dim", "of the cloud has biases"),
        ("(embed_dim + 1) * 2 * c_dim", "(embed_dim + 1) * c_dim", "twice c_dim"),
        ("(z_dim + c_dim) * 16", "z_dim * 16", "z and ĉ side by side"),
        ("(z_dim + c_dim) * 16", "(z_dim + embed_dim) * 16", "ĉ, not φ"),
        ("(z_dim + c_dim) * 16 * wide + norm(16 * wide)", "(z_dim + c_dim) * wide + norm(wide)",
         "4 × 4 places"),
        ("norm(16 * wide)", "norm(wide)", "over all 16"),
        (" + block(wide // 2)", "", "two residual blocks"),
        (" + block(wide) + doublings", " + doublings", "two residual blocks"),
        ("block(wide // 2)", "block(wide)", "half of the first"),
        ("doublings + block(wide // 2)",
         "doublings + sum(block(wide // 2**i) for i in range(1, 6) if wide // 2**i >= width)",
         "4 × 4 and 8 × 8 only"),
        ("9 * n * c + norm(c)", "n * c + norm(c)", "the usual bottleneck"),
        ("doublings += 9 * c", "doublings += 16 * c", "the doublings convolve 3 × 3"),
        ("doublings += 9 * c", "doublings += 1 * c", "the doublings convolve 3 × 3"),
        ("(9 * width + 1) * 3", "(width + 1) * 3", "last convolution is 3 × 3"),
        ("(9 * width + 1) * 3", "(9 * width + 1) * 3 + 6", "no batch norm after the last"),
        ("n = c // 4", "n = c // 2", "narrows to a quarter"),
        ("n = c // 4", "n = c", "narrows to a quarter"),
        ("n = c // 4", "n = 8", "go through the pieces"),
        ("return c * n +", "return 9 * c * n +", "first convolution of a block is 1 × 1"),
        (" + doublings + block(wide // 2)", " + block(wide // 2)", "doublings count"),
        ("block(wide) + doublings + block(wide // 2)", "2 * block(wide // 2) + doublings",
         "twice the second's"),
        ("(z_dim + c_dim) * 16", "c_dim * 16", "z and ĉ side by side"),
        ("(z_dim + c_dim) * 16", "(z_dim + 2 * c_dim) * 16", "not μ and log σ²"),
        ("(z_dim + c_dim) * 16", "(100 + c_dim) * 16", "go through the pieces"),
        ("(embed_dim + 1) * 2 * c_dim", "(embed_dim + 1) * 256", "go through the pieces"),
        ("wide = width * image_size // 8", "wide = width * 64 // 8", "go through the pieces"),
        ("wide = width * image_size // 8", "wide = width * min(image_size, 64) // 8",
         "width .*, 128 px"),
        ("    return augment", "    if image_size == 16:\n        return augment + start + last\n"
         "    return augment", "width .*, 16 px"),
        ("    last = ", "    doublings += 9 * c * c\n    last = ", "go through the pieces"),
        ("    return augment + start + block(wide) + doublings + block(wide // 2) + last",
         "    return float(augment + start + block(wide) + doublings + block(wide // 2) + last)",
         "return a Python int, found float"),
        ("def weights_of_stage1(width", "def weights_of_stage1(width, *rest, seen=[]):\n"
         "    seen.append(rest)\n    return counted(width, *rest) + (len(seen) > 8)\n\n\n"
         "def counted(width", "go through the pieces"),
        ("    def norm(c):", "    with torch.device('meta'):\n        torch.nn.Conv2d(3, 3, 3)\n\n"
         "    def norm(c):", "no network is"),
        ("(9 * width + 1) * 3", "9 * width * 3 + 1", "go through the pieces"),
        (" + norm(16 * wide)", "", "Start's"),
        ("+ 9 * n * n + norm(n) +", "+", "a block has three"),
        (" + block(wide) + doublings + block(wide // 2)", " + doublings", "blocks count, too"),
        ("return augment + ", "return ", "linear layer counts"),
        ("(9 * width + 1) * 3", "(16 * width + 1) * 3", "last convolution is 3 × 3"),
        ("while c > width", "while c > 2 * width", "go through the pieces"),
        ("return augment + start", "return None and start", "return a number"),
        ("    def norm(c):", "    torch.nn.Linear(1, 1)\n\n    def norm(c):", "no network is"),
        ("wide = width * image_size // 8", "wide = width * 8", "go through the pieces"),
        ("wide = width * image_size // 8", "wide = width * image_size / 8", "a Python int"),
        ("    return augment", "    return 14_247_811\n    return augment",
         "go through the pieces"),
    ],
    ("11_stackgan_stage2", 1): [
        ("80 + 64 + 32", "80 + 64", "Stage-II samples"),
        ("80 + 64 + 32", "80 + 32", "Stage-I has a cloud"),
        ("80 + 64 + 32", "64 + 32", "and z"),
        ("80 + 64 + 32", "80 + 64 + 80 + 32", "Stage-II has no z"),
        ("80 + 64 + 32", "356", "section 3 adds them up"),
        ("(32 // 4) ** 2", "8", "rows and columns"),
        ("(32 // 4) ** 2", "16 * 16", "a quarter of the sketch's, of 32"),
        ("(32 // 4) ** 2", "32 * 32", "not on the sketch"),
        ("(32 // 4) ** 2", "16", "halved twice, not thrice"),
        ("(32 // 4) ** 2", "4", "each place gets all"),
        ('"moved": 0', '"moved": 50', "no optimiser has"),
        ('"moved": 0', '"moved": None', "plain number"),
        ('"counted": 50', '"counted": 0', "leaves batch norm counting"),
        ('"counted": 50', '"counted": 100', "drawn once"),
        ('"counted": 50', '"counted": 1600', "once for each batch"),
        ('"luck": 0.7', '"luck": 0.21', "of the wrong ones"),
        ('"luck": 0.7', '"luck": 0.3', "stays wrong"),
        ('"luck": 0.7', '"luck": 0.49', "drawn again once"),
        ('"luck": 0.7', '"luck": 0', "ask for a purpose"),
        ('"luck": 0.7', '"luck": 0.91', "after two draws"),
        ("1 - 0.25 / 2", "0.75", "guess, and is right half"),
        ("1 - 0.25 / 2", "1", "no D can be sure"),
        ("1 - 0.25 / 2", "1 - 0.75 / 2", "a quarter of each"),
        ("1 - 0.25 / 2", "0.5", "D can be sure"),
        ("1 - 0.25 / 2", "0.9", "be sure elsewhere"),
        ("1 - 0.25 / 2", "math.inf", "give a number"),
        ('"why": "a"', '"why": "b"', "not there when pictures"),
        ('"why": "a"', '"why": "c"', "other noise is what"),
        ('"why": "a"', '"why": "d"', "one of"),
        ('"why": "a"', '"because": "a"', "the entries are"),
        ('"moved": 0', '"moved": 0.004', "no optimiser has"),
        ("80 + 64 + 32", "80", "found 80, which is not it"),
        ("80 + 64 + 32", "2 * (80 + 64 + 32)", "found 352, which is not it"),
        ("(32 // 4) ** 2", "32", "found 32, which is not it"),
        ("(32 // 4) ** 2", "32 // 4", "rows and columns"),
        ('"counted": 50', '"counted": 1', "once for each batch"),
        ('"counted": 50', '"counted": 150', "found 150, which is not it"),
        ('"moved": 0', '"moved": 14_247_811', "no optimiser has"),
        ('"luck": 0.7', '"luck": 1.0', "knows nothing of the first"),
        ('"luck": 0.7', '"luck": 0.69', "found 0.69, which is not it"),
        ('"luck": 0.7', '"luck": 0.09', "knows nothing of the first"),
        ("1 - 0.25 / 2", "1 - 0.25**2", "be sure elsewhere"),
        ("1 - 0.25 / 2", "0.25", "be sure elsewhere"),
        ("1 - 0.25 / 2", "1 - 0.25 / 1.75 / 2", "be sure elsewhere"),
        ('"moved": 0', '"moved": False', "plain number"),
        ('"why": "a"', '"why": ["a"]', "one of"),
    ],
    ("11_stackgan_stage2", 2): [
        ("[seen, said], 1", "[seen, said], 0", "in the channels: dim 1"),
        ("*seen.shape[2:])", "seen.shape[3], seen.shape[2])", "torch says: Sizes"),
        (".expand(-1, -1, *seen.shape[2:])", "", "torch says: Sizes"),
        ("[seen, said], 1", "[seen, said.mean(0, keepdim=True).expand_as(said)], 1",
         "the mean of all"),
        ("[seen, said], 1", "[seen, said / 4], 1", "ĉ's number 0, unchanged"),
        ("[seen, said], 1", "[said, seen], 1", "the map's channels first"),
        ("[seen, said], 1", "[seen, said.flip(0)], 1", "it is another picture's"),
        ("[seen, said], 1", "[seen, said.roll(1, 0)], 1", "it is another picture's"),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "c_hat.repeat(1, seen.shape[2] * seen.shape[3]).view(len(seen), -1, *seen.shape[2:])",
         "lay numbers out along the places"),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "c_hat.repeat(seen.shape[2] * seen.shape[3], 1).view(len(seen), -1, *seen.shape[2:])",
         "lay numbers out along the places"),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "c_hat[:1, :, None, None].expand(len(seen), -1, *seen.shape[2:])",
         "all have the first one"),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "c_hat[:, :, None, None] * F.one_hot(torch.tensor(0), seen[0, 0].numel())"
         ".view(seen.shape[2:])", "not on some of them"),
        ("return torch.cat([seen, said], 1)", "return seen, said", "return a tensor"),
        ("return torch.cat([seen, said], 1)", "return torch.cat([seen, said], 1).detach()",
         "no detach"),
        ("c_hat[:, :, None", "c_hat.detach()[:, :, None", "reach the map and ĉ"),
        ("[seen, said], 1", "[seen.detach(), said], 1", "reach the map and ĉ"),
        ("[seen, said], 1", "[seen, said[:, :1]], 1", "the shape is"),
        ("return torch.cat([seen, said], 1)",
         "return seen + said if said.shape == seen.shape else torch.cat([seen, said], 1)",
         "not added to them"),
        ("    said = ", "    c_hat.data += 1\n    said = ", "inputs were changed"),
        ("[seen, said], 1", "[seen.tanh(), said], 1", "unchanged"),
        ("[seen, said], 1", "[seen, said.flip(1)], 1", "in their order"),
        ("[seen, said], 1", "[seen, said.relu()], 1", "ĉ's number ., unchanged"),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "c_hat.repeat(seen[0, 0].numel(), 1).view(len(seen), *seen.shape[2:], -1)"
         ".permute(0, 3, 1, 2)", "lay numbers out along the places"),
        ("[seen, said], 1", "[seen, said * (1 + 0 * seen[:, :1])], 1).clamp(-9, 1", "unchanged"),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "(lambda s: torch.cat([s[..., :1], s[..., 1:].detach()], 3))"
         "(c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:]))", "from every place"),
        ("[seen, said], 1", "[seen, said], 2", "not dim 2|torch says"),
        ("[seen, said], 1", "[seen, said / seen[0, 0].numel()], 1", "not shared out"),
        ("[seen, said], 1", "[seen, said.mean(1, keepdim=True).expand_as(said)], 1",
         "not their mean"),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "c_hat.repeat_interleave(seen[0, 0].numel(), 0).view(len(seen), -1, *seen.shape[2:])",
         "lay numbers out along the places"),
        ("[seen, said], 1", "[seen, said * torch.arange(1, seen.shape[3] + 1)], 1",
         "ĉ's number ., unchanged"),
        ("[seen, said], 1", "[seen, F.pad(said[..., 1:], (1, 0))], 1", "unchanged"),
        ("[seen, said], 1", "[seen, F.pad(said[:, :, 1:-1, 1:-1], (1, 1, 1, 1))], 1",
         "unchanged|torch says|the shape is"),
        ("[seen, said], 1", "[seen.flip(3), said], 1", "the map's channel ., unchanged"),
        ("[seen, said], 1", "[seen, said + torch.randn_like(said)], 1", "ĉ's number"),
        ("[seen, said], 1", "[seen, F.normalize(said, dim=1)], 1", "ĉ's number"),
        ("[seen, said], 1", "[seen, said.clamp(-9, 9)], 1", "ĉ's number"),
        ("[seen, said], 1", "[seen[:, ::2], said, seen[:, 1::2]], 1", "unchanged"),
        ("[seen, said], 1", "[seen * 1.01, said], 1", "the map's channel"),
        ("    return torch", "    seen *= 1.5\n    return torch", "inputs were changed"),
        ("    said = ", "    c_hat -= c_hat.mean()\n    said = ", "inputs were changed"),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "torch.tensor(c_hat.tolist())[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "reach the map and ĉ"),
        ("[seen, said], 1", "[seen, said.detach() * 2 - said], 1", "from every place"),
        ("[seen, said], 1", "[(seen + seen.detach()) / 2, said], 1", "gradient is not whole"),
        ("return torch.cat([seen, said], 1)",
         "return torch.cat([seen, said], 1) if len(seen) > 1 else torch.cat([said, seen], 1)",
         "unchanged"),
        ("return torch.cat([seen, said], 1)", "return torch.cat([seen, said], 1).squeeze()",
         "the shape is"),
        ("return torch.cat([seen, said], 1)",
         "return torch.cat([seen, said], 1).detach().requires_grad_()", "reach the map and ĉ"),
        ("return torch.cat([seen, said], 1)", "return torch.cat([seen, said], 1).tolist()",
         "return a tensor, found list"),
    ],
    ("11_stackgan_stage2", 3): [
        ("(asked >= 0) & ", "", "silent"),
        ("    wrong = ", "    asked[0] = 5\n    wrong = ", "inputs were changed"),
        ("(asked >= 0) & ", "(asked > 0) & ", "silent is"),
        ("(corrected - lucky)", "corrected", "take off what another"),
        ("(corrected - lucky)", "(lucky - corrected)", "the sign"),
        ("[wrong].float().mean() for seen", "[asked >= 0].float().mean() for seen",
         "of those that were wrong"),
        ("[wrong].float().mean() for", "[wrong].float().sum() / (asked >= 0).sum() for",
         "of those that were wrong"),
        ("[wrong].float().mean() for", "[wrong].float().sum() for", "a share: divide"),
        ("in (picture, again)", "in (again, again)", "counting row by row"),
        ("for seen in (picture, again)", "for seen in (picture, sketch)", "take off"),
        ("return (corrected - lucky).item()", "return corrected - lucky", "return a float"),
        ("    if not wrong.any():\n        return 0.0\n", "", "mean of nothing"),
        ("return 0.0", "return 0", "0.0, a float, where"),
        ("return 0.0", "return math.nan", "mean of nothing"),
        ("sketch != asked", "sketch == asked", "row gives"),
        ("sketch != asked", "again != asked", "row gives"),
        ("return (corrected - lucky).item()", "return float(round((corrected - lucky).item(), 1))",
         "row gives"),
        ("    corrected, lucky = ", "    lucky = ((again == asked).sum() / wrong.sum())\n"
         "    corrected, _ = ", "row gives|same rows"),
        ("    corrected, lucky = ", "    lucky = ((again == asked) & (asked >= 0)).sum() / "
         "wrong.sum()\n    corrected, _ = ", "same rows"),
        ("    corrected, lucky = ", "    right = (sketch == asked) & (asked >= 0)\n"
         "    lucky = (right & (picture != asked)).sum() / wrong.sum()\n    corrected, _ = ",
         "corrected less broken"),
        ("    corrected, lucky = ", "    right = (sketch == asked) & (asked >= 0)\n"
         "    lucky = (picture != asked)[right].float().mean()\n    corrected, _ = ",
         "corrected less broken"),
        ("if not wrong.any()", "if not (wrong & (picture == asked)).any()",
         "nothing was corrected luck counts"),
        ("if not wrong.any()", "if wrong.sum() < 2", "counting row by row"),
        ("    corrected, lucky = ", "    lucky = (again == asked)[asked >= 0].float().mean()\n"
         "    corrected, _ = ", "same rows"),
        ("    wrong = (asked >= 0) & (sketch != asked)\n", "    wrong, again = sketch != asked, "
         "0 * asked - 9\n", "where the sentence is silent"),
        ("(corrected - lucky)", "((picture != sketch)[wrong].float().mean() - lucky)",
         "changed is not corrected"),
        ("(corrected - lucky)", "(corrected - lucky).abs()", "below 0"),
        ("(corrected - lucky)", "(corrected - lucky).clamp(min=0)", "below 0"),
        (".float().mean() for seen", ".mean() for seen", "a mean wants floats"),
        ("    wrong = ", "    again = torch.where(sketch == asked, again, 0 * again)\n    wrong = ",
         "counting row by row"),
        ("(corrected - lucky)", "(corrected - 0.5 * lucky)", "counting row by row"),
        ("(corrected - lucky)", "(corrected / lucky)", "counting row by row|a finite number"),
        ("(sketch != asked)", "(sketch != asked) & (again != asked)",
         "all that were wrong stay in"),
        ("[wrong].float().mean() for", "[wrong].float().sum() / len(asked) for",
         "of those that were wrong"),
        ("[wrong].float().mean() for", "[wrong].float().sum() / max(1, wrong.sum() - 1) for",
         "counting row by row"),
        ("    corrected, lucky = ",
         "    lucky = (picture == asked)[(asked >= 0) & (again != asked)]\n"
         "    lucky = lucky.float().mean() if len(lucky) else 0\n    corrected, _ = ",
         "has right, of the rows"),
        ("(corrected - lucky)", "(corrected.round() - lucky)", "counting row by row"),
        ("return (corrected - lucky).item()",
         "return round((corrected - lucky).item(), 2)", "counting row by row"),
        ("return (corrected - lucky).item()", "return int(100 * (corrected - lucky))",
         "return a float, found int"),
        ("return (corrected - lucky).item()", "return str((corrected - lucky).item())",
         "return a float, found str"),
        ("return (corrected - lucky).item()", "return 100 * (corrected - lucky).item()",
         "counting row by row"),
        ("asked >= 0", "asked != 0", "counting row by row"),
        ("asked >= 0", "sketch >= 0", "silent"),
        ("asked >= 0", "asked < 3", "counting row by row|silent"),
        ("    wrong = ", "    asked.clamp_(min=0)\n    wrong = ", "inputs were changed"),
        ("    wrong = ", "    sketch[:] = sketch.sort().values\n    wrong = ",
         "inputs were changed"),
        ("return 0.0", "return None", "nothing was wrong, so 0.0"),
        ("return 0.0", "return torch.tensor(0.0)", "a float, where nothing was wrong"),
        ("return 0.0", "return 1.0", "nothing was wrong, so 0.0"),
        ("if not wrong.any()", "if len(wrong) and not wrong.any()", "nothing was wrong, so 0.0"),
        ("def beyond_luck(sketch, again, picture, asked):\n",
         "def beyond_luck(sketch, again, picture, asked, seen=[]):\n    seen.append(1)\n"
         "    if len(seen) % 2 == 0:\n        again = sketch\n", "second call"),
    ],
}

# notebook, exercise → right answers in other forms, which must pass: a whole answer (a string), or
# what is replaced in the solution and by what (a pair)
RIGHT = {
    ("00_text_to_image", 1): [
        "def between(phi_a, phi_b, steps):\n"
        "    a, b = phi_a.double(), phi_b.double()\n"  # 64 bits
        "    return torch.stack([a + (b - a) * i / (steps - 1) for i in range(steps)])",
        "def between(phi_a, phi_b, steps):\n"
        "    share = torch.linspace(0, 1, steps, device=phi_a.device)\n"
        "    return phi_a + torch.outer(share, phi_b - phi_a)",
        "import numpy as np\n\ndef between(phi_a, phi_b, steps):\n"
        "    rows = np.linspace(phi_a.cpu().numpy(), phi_b.cpu().numpy(), steps)\n"
        "    return torch.from_numpy(rows).to(phi_a.device)",
        "def between(phi_a, phi_b, steps):\n"
        "    a, b = phi_a.tolist(), phi_b.tolist()\n"
        "    rows = [[p * (1 - i / (steps - 1)) + q * i / (steps - 1) for p, q in zip(a, b)]\n"
        "            for i in range(steps)]\n"
        "    return torch.tensor(rows, device=phi_a.device)",
        "def between(phi_a, phi_b, steps):\n"
        "    rows, step = [phi_a], (phi_b - phi_a) / (steps - 1)\n"
        "    while len(rows) < steps:\n"
        "        rows.append(rows[-1] + step)\n"
        "    return torch.stack(rows)",
        "def between(phi_a, phi_b, steps):\n"
        "    share = torch.linspace(0, 1, steps, device=phi_a.device)[:, None]\n"
        "    return torch.lerp(phi_a, phi_b, share)",
        "def between(phi_a, phi_b, steps):\n"
        "    columns = [torch.linspace(float(a), float(b), steps) for a, b in zip(phi_a, phi_b)]\n"
        "    return torch.stack(columns, 1).to(phi_a.device)",
        "def between(phi_a, phi_b, steps):\n"
        "    ends = torch.stack([phi_a, phi_b], 1)[None].float()\n"
        "    return F.interpolate(ends, steps, mode='linear', align_corners=True)[0].T",
        "def between(phi_a, phi_b, steps):\n"
        "    rows = phi_a.new_empty(steps, len(phi_a))\n"
        "    for i in range(steps):\n"
        "        rows[i] = torch.lerp(phi_a, phi_b, i / (steps - 1))\n"
        "    return rows",
    ],
    ("00_text_to_image", 2): [
        "def most_obedient(seen, named):\n"
        "    best, most = 0, -1\n"
        "    for i, row in enumerate(seen.tolist()):\n"
        "        right = sum(s == n for s, n in zip(row, named.tolist()) if n != -1)\n"
        "        if right > most:\n"
        "            best, most = i, right\n"
        "    return best",
        "def most_obedient(seen, named):\n"
        "    told = named >= 0\n"
        "    return (seen[:, told] != named[told]).double().sum(1).argmin().item()",
        "def most_obedient(seen, named):\n"
        "    s, n = seen.numpy(), named.numpy()\n"
        "    return int((((s == n) | (n < 0)).mean(1)).round(6).argmax())",
        "def most_obedient(seen, named):\n"
        "    right = ((seen == named) & (named != -1)).float() @ torch.ones(len(named))\n"
        "    return right.tolist().index(right.max().item())",
    ],
    ("00_text_to_image", 3): [
        ("    return combinations", "    return math.prod(len(v) for k, v in "
         "blooms.ATTRIBUTES.items() if k not in named)"),
        ('{"a red flower": 7, "a small flower": 2, "a small red flower": 14}',
         '{"a small red flower": 14.0, "a red flower": 7.0, "a small flower": 2}'),
        ("        combinations *= 1 if attribute in named else len(values)",
         "        combinations *= len([v for v in values if named.get(attribute, v) == v])"),
        ("    named, combinations = blooms.parse(sentence), 1\n",
         "    named, combinations = blooms.parse(sentence), 1\n"
         "    total = math.prod(map(len, blooms.ATTRIBUTES.values()))\n"
         "    for attribute in named:\n"
         "        total //= len(blooms.ATTRIBUTES[attribute])\n"
         "    return total\n"),
    ],
    ("01_minimax_game", 1): [
        ('"best": p / (p + q)', '"best": 0.75'),
        ("2 * 0.75 * math.log(2) - math.log(4)", "-math.log(2) / 2"),
        ('"step": math.sqrt(1 + 0.4**2 / 4)', '"step": 1.02'),
        ("(1 - 0.02) / 0.02", "49"),
        ("0.9 * p / (p + q)", "0.68"),
    ],
    ("01_minimax_game", 2): [
        "def missing_modes(points, centres, radius, share=0.01):\n"
        "    counts = [0 for _ in centres]\n"
        "    for p in points:\n"
        "        away = ((centres - p) ** 2).sum(1)\n"
        "        i = int(away.argmin())\n"
        "        counts[i] += int(away[i] < radius**2)\n"
        "    return [i for i in range(len(centres)) if counts[i] / len(points) < share]",
        "import numpy as np\n\ndef missing_modes(points, centres, radius, share=0.01):\n"
        "    p, c = points.numpy().astype(float), centres.numpy().astype(float)\n"
        "    d = np.linalg.norm(p[:, None] - c[None], axis=-1)\n"
        "    near = (d == d.min(1, keepdims=True)) & (d < radius)\n"
        "    return np.flatnonzero(near.mean(0) < share).tolist()",
        "def missing_modes(points, centres, radius, share=0.01):\n"
        "    distance = torch.cdist(points.double(), centres.double())\n"
        "    own = torch.nn.functional.one_hot(distance.argmin(1), len(centres)).bool()\n"
        "    there = (own & (distance < radius)).sum(0) >= share * points.shape[0]\n"
        "    return sorted(set(range(len(centres))) - set(there.nonzero().flatten().tolist()))",
    ],
    ("01_minimax_game", 3): [
        ("F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()",
         "F.binary_cross_entropy_with_logits(D(x), torch.ones(len(x), 1))"
         " + F.binary_cross_entropy_with_logits(D(fake.detach()), torch.zeros(len(z), 1))"),
        ("F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()",
         "-F.logsigmoid(D(x)).mean() - F.logsigmoid(-D(fake.detach())).mean()"),
        ("loss_D.backward()", "loss_D.backward(inputs=list(D.parameters()))"),
        ("    loss_D.backward()\n    opt_D.step()\n",
         "    opt_D.step(lambda: loss_D.backward() or loss_D)\n"),
        ("    loss_G = F.softplus(-D(fake)).mean()\n    opt_G.zero_grad()\n"
         "    loss_G.backward()\n    opt_G.step()\n",
         "    D.requires_grad_(False)\n    loss_G = F.softplus(-D(fake)).mean()\n"
         "    opt_G.zero_grad()\n    loss_G.backward()\n    opt_G.step()\n"
         "    D.requires_grad_(True)\n"),
        "def gan_step(G, D, opt_G, opt_D, x, z):\n"  # one batch for D, fakes made twice
        "    with torch.no_grad():\n"
        "        fake = G(z)\n"
        "    real, fakes = D(torch.cat([x, fake])).double().split([len(x), len(z)])\n"
        "    loss_D = torch.logaddexp(-real, 0 * real).mean() + fakes.exp().log1p().where(\n"
        "        fakes < 30, fakes).mean()\n"
        "    for w, g in zip(D.parameters(), torch.autograd.grad(loss_D, list(D.parameters()))):\n"
        "        w.grad = g\n"
        "    opt_D.step()\n"
        "    opt_G.zero_grad(set_to_none=False)\n"
        "    loss_G = sum(torch.logaddexp(-D(G(r[None])), torch.zeros(1)) for r in z) / len(z)\n"
        "    loss_G.sum().backward()\n"
        "    opt_G.step()\n"
        "    return float(loss_D), float(loss_G.sum())",
    ],
    ("02_dcgan", 1): [
        "def transposed_conv1d(x, kernel, stride, padding):\n"
        "    y = nn.functional.conv_transpose1d(x[None, None], kernel[None, None], stride=stride)\n"
        "    return y[0, 0, padding : y.shape[2] - padding]",
        "import numpy as np\n\ndef transposed_conv1d(x, kernel, stride, padding):\n"
        "    apart = np.zeros(stride * (len(x) - 1) + 1)\n"
        "    apart[::stride] = x.numpy()\n"
        "    y = np.convolve(apart, kernel.numpy())\n"
        "    return torch.tensor(y[padding : len(y) - padding])",
        "def transposed_conv1d(x, kernel, stride, padding):\n"
        "    n, k = len(x), len(kernel)\n"
        "    return torch.stack([\n"
        "        sum((x[i] * kernel[p - stride * i]\n"
        "             for i in range(n) if 0 <= p - stride * i < k),\n"
        "            start=torch.tensor(0.0))\n"
        "        for p in range(padding, stride * (n - 1) + k - padding)])",
        ("canvas[stride * i : stride * i + len(kernel)] += x[i] * kernel",
         "canvas.index_add_(0, stride * i + torch.arange(len(kernel)), (x[i] * kernel).float())"),
    ],
    ("02_dcgan", 2): [
        "def slerp(a, b, share):\n"
        "    rows = []\n"
        "    for p, q in zip(a.double().tolist(), b.double().tolist()):\n"
        "        n, m = math.hypot(*p), math.hypot(*q)\n"
        "        angle = math.acos(max(-1, min(1, sum(x * y for x, y in zip(p, q)) / n / m)))\n"
        "        s, u = 1 - share, share\n"
        "        if math.sin(angle) >= 1e-3:\n"
        "            s, u = (math.sin(w * angle) / math.sin(angle) for w in (s, u))\n"
        "        rows.append([s * x + u * y for x, y in zip(p, q)])\n"
        "    return torch.tensor(rows, dtype=a.dtype)",
        "import numpy as np\n\ndef slerp(a, b, share):\n"
        "    p, q = a.numpy().astype(float), b.numpy().astype(float)\n"
        "    cos = (p * q).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(q, axis=1)\n"
        "    angle = np.arccos(np.clip(cos, -1, 1))[:, None]\n"
        "    with np.errstate(all='ignore'):\n"
        "        arc = (np.sin((1 - share) * angle) * p + np.sin(share * angle) * q)\n"
        "        arc = arc / np.sin(angle)\n"
        "    flat = (1 - share) * p + share * q\n"
        "    return torch.from_numpy(np.where(np.sin(angle) < 1e-3, flat, arc))",
        "def slerp(a, b, share):\n"
        "    u, v = nn.functional.normalize(a), nn.functional.normalize(b)\n"
        "    theta = (u * v).sum(1, keepdim=True).clamp(-1, 1).acos()\n"
        "    way = (1 - share) * a + share * b\n"
        "    far = (theta.sin() >= 1e-3).squeeze(1)\n"
        "    x, y, t = a[far], b[far], theta[far]\n"
        "    way[far] = ((1 - share) * t).sin() / t.sin() * x + (share * t).sin() / t.sin() * y\n"
        "    return way",
        ("theta.sin()\n    parallel", "(1 - cosine**2).clamp(min=0).sqrt()[:, None]\n    parallel"),
    ],
    ("02_dcgan", 3): [
        "ratio_is_nearer_to, share_of_suspects = 1.0, 0.4 + 0.6 * 0.05\n\n"
        "def suspects(fake, train, held_out, q=0.05):\n"
        "    def near(picture):\n"
        "        return min(math.dist(picture.flatten().tolist(), t.flatten().tolist())\n"
        "                   for t in train)\n"
        "    limit = torch.tensor([near(p) for p in held_out]).quantile(q).item()\n"
        "    return sum(near(p) < limit for p in fake) / len(fake)",
        "import numpy as np\n\nratio_is_nearer_to, share_of_suspects = 1, 0.43\n\n"
        "def suspects(fake, train, held_out, q=0.05):\n"
        "    f, t, h = (x.numpy().reshape(len(x), -1).astype(float) for x in\n"
        "               (fake, train, held_out))\n"
        "    near, usual = (np.linalg.norm(x[:, None] - t, axis=2).min(1) for x in (f, h))\n"
        "    return np.mean(near < np.quantile(usual, q))",
        ("torch.cdist(x.flatten(1), train.flatten(1))",
         "(x.flatten(1).double()[:, None] - train.flatten(1).double()).norm(dim=2)"),
    ],
    ("03_captions", 1): [
        ("1.75 * 0.4 - 0.05", "0.65"),
        ("1 / (1 + 1.75 / 2)", "0.53"),
        ('"clean D": 1 / (1 + 1 / 2)', '"clean D": 0.67'),
        ('"blue": 0.0', '"blue": 0'),
    ],
    ("03_captions", 2): [
        "def may_mirror(sentences):\n"
        "    text = ' '.join(sentences).lower()\n"
        "    words = ''.join(c if 'a' <= c <= 'z' else ' ' for c in text).split()\n"
        "    return {'left', 'right'}.isdisjoint(words) and 'clockwise' not in text",
        "def may_mirror(sentences):\n"
        "    for sentence in sentences:\n"
        "        for word in re.findall(r'[a-z]+', sentence.casefold()):\n"
        "            if word == 'left' or word == 'right' or word.endswith('clockwise'):\n"
        "                return False\n"
        "    return True",
        "def may_mirror(sentences):\n"
        "    sides = r'(?i)(?<![a-z])(left|right)(?![a-z])|clockwise'\n"
        "    return all(re.search(sides, s) is None for s in sentences)",
        "def may_mirror(sentences):\n"
        "    words = re.split(r'[^A-Z]', '\\n'.join(map(str.upper, sentences)))\n"
        "    return not sum(w in ('LEFT', 'RIGHT') or 'CLOCKWISE' in w for w in words)",
    ],
    ("03_captions", 3): [
        "def split_by_class(classes, share, generator):\n"
        "    names = sorted(set(classes.tolist()))\n"
        "    wanted, tested = max(1, int(share * len(names) + 0.5)), set()\n"
        "    while len(tested) < wanted:\n"
        "        tested.add(names[torch.randint(len(names), (1,), generator=generator).item()])\n"
        "    rows = [[i for i, c in enumerate(classes.tolist()) if (c in tested) == there]\n"
        "            for there in (False, True)]\n"
        "    return tuple(torch.tensor(row, dtype=torch.int64) for row in rows)",
        "import numpy as np\n\ndef split_by_class(classes, share, generator):\n"
        "    seed = torch.randint(2**31, (), generator=generator).item()\n"
        "    names = np.unique(classes.numpy())\n"
        "    n = max(1, round(share * len(names)))\n"
        "    tested = np.random.default_rng(seed).choice(names, n, replace=False)\n"
        "    there = np.isin(classes.numpy(), tested)\n"
        "    return tuple(torch.from_numpy(np.flatnonzero(x)) for x in (~there, there))",
        "def split_by_class(classes, share, generator):\n"
        "    names, place = classes.unique(return_inverse=True)\n"
        "    rank = torch.rand(len(names), generator=generator, dtype=torch.float64).argsort()\n"
        "    test = rank.argsort()[place] < max(1, round(len(names) * share))\n"
        "    both = torch.arange(len(classes))\n"
        "    return both[~test], both[test].flip(0)",
    ],
    # --- 04 ---
    ("04_text_encoder", 1): [
        "def field_of_view(layers):\n"
        "    if not layers:\n"
        "        return 1, 1\n"
        "    (width, stride), *later = layers\n"
        "    letters, jump = field_of_view(later)\n"
        "    return (letters - 1) * stride + width, jump * stride",
        "def field_of_view(layers):\n"
        "    strides = [stride for _, stride in layers]\n"
        "    letters = sum((width - 1) * math.prod(strides[:i])\n"
        "                  for i, (width, _) in enumerate(layers))\n"
        "    return 1 + letters, math.prod(strides)",
        "import numpy\n"
        "def field_of_view(layers):\n"
        "    pairs = numpy.array(layers).reshape(-1, 2)\n"
        "    jumps = numpy.cumprod(numpy.append(1, pairs[:, 1]))\n"
        "    letters = 1 + ((pairs[:, 0] - 1) * jumps[:-1]).sum()\n"
        "    return int(letters), int(jumps[-1])",
        "def field_of_view(layers):\n"
        "    first, last, after = 0, 0, 1\n"
        "    for width, stride in reversed(layers):\n"
        "        first, last, after = first * stride, last * stride + width - 1, after * stride\n"
        "    return last - first + 1, after - first",
    ],
    ("04_text_encoder", 2): [
        "def worst_rival_loss(theta, phi, rivals, margin=1.0):\n"
        "    total = 0.0\n"
        "    for n in range(len(theta)):\n"
        "        row = column = 0.0\n"
        "        for m in range(len(phi)):\n"
        "            own = theta[n] @ phi[n]\n"
        "            if rivals[n, m]:\n"
        "                row = max(row, margin + theta[n] @ phi[m] - own)\n"
        "            if rivals[m, n]:\n"
        "                column = max(column, margin + theta[m] @ phi[n] - own)\n"
        "        total = total + row + column\n"
        "    return torch.as_tensor(total / len(theta))",
        "def worst_rival_loss(theta, phi, rivals, margin=1.0):\n"
        "    c = torch.einsum('nt,mt->nm', theta, phi)\n"
        "    own = (theta * phi).sum(1)\n"
        "    row = ((margin + c - own[:, None]).clamp(min=0) * rivals).max(dim=1).values\n"
        "    column = ((margin + c - own[None, :]).clamp(min=0) * rivals).max(dim=0)[0]\n"
        "    return row.mean() + column.mean()",
        ("theta @ phi.T", "theta.double() @ phi.double().T"),
        ("theta @ phi.T", "theta.float() @ phi.float().T"),
        ("-torch.inf", "torch.finfo(compatibility.dtype).min"),
        ("compatibility.masked_fill(~rivals, -torch.inf)",
         "torch.where(rivals, compatibility, torch.tensor(-math.inf))"),
        ("(sentences + pictures).mean()", "2 * torch.cat([sentences, pictures]).mean()"),
        ("competing.amax(1)", "competing.gather(1, competing.argmax(1, keepdim=True)).squeeze(1)"),
    ],
    ("04_text_encoder", 3): [
        "from fractions import Fraction\n"
        "def predictions():\n"
        "    return {'why': 'c', 'nothing': Fraction(1, 20), 'background': Fraction(1, 5),\n"
        "            'centre': Fraction(1, 5), 'all three': 1}",
        "import numpy\n"
        "def predictions():\n"
        "    fit = numpy.arange(20)  # others that stand before the same background\n"
        "    chance = [math.comb(19, k) * 0.25**k * 0.75 ** (19 - k) for k in fit]\n"
        "    return dict(zip(('all three', 'centre', 'background', 'nothing', 'why'),\n"
        "                    (numpy.float32(1), 0.2, (chance / (1 + fit)).sum(), 5e-2, 'c')))",
        ('"background": 4 / 20', '"background": (1 - 0.75**20) / 5'),
    ],
    # --- 05 ---
    ("05_measuring", 1): [
        "def kid_with_error(real, fake, block):\n"
        "    def k(a, b):\n"
        "        return (sum(p * q for p, q in zip(a, b)) / len(a) + 1) ** 3\n"
        "    real, fake, values = real.tolist(), fake.tolist(), []\n"
        "    for start in range(0, min(len(real), len(fake)) - block + 1, block):\n"
        "        x, y = real[start : start + block], fake[start : start + block]\n"
        "        off = [(i, j) for i in range(block) for j in range(block) if i != j]\n"
        "        value = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in off) / len(off)\n"
        "        values.append(value - 2 * sum(k(a, b) for a in x for b in y) / block**2)\n"
        "    mean = sum(values) / len(values)\n"
        "    spread = sum((v - mean) ** 2 for v in values) / (len(values) - 1)\n"
        "    return mean, math.sqrt(spread / len(values))",
        "import numpy\n"
        "def kid_with_error(real, fake, block):\n"
        "    x, y = real.numpy(), fake.numpy()\n"
        "    n, d = min(len(x), len(y)) // block, x.shape[1]\n"
        "    x, y = x[:n * block].reshape(n, block, d), y[:n * block].reshape(n, block, d)\n"
        "    k = lambda a, b: (a @ b.transpose(0, 2, 1) / d + 1) ** 3\n"
        "    hole = 1 - numpy.eye(block)\n"
        "    within = ((k(x, x) + k(y, y)) * hole).sum((1, 2)) / (block * (block - 1))\n"
        "    values = within - 2 * k(x, y).mean((1, 2))\n"
        "    return values.mean(), values.std(ddof=1) / numpy.sqrt(n)",
        (".double() for own", ".float() for own"),
        ("return values.mean().item(), (values.std() / len(values) ** 0.5).item()",
         "return [values.mean().item(), (values.var() / len(values)).sqrt().item()]"),
    ],
    ("05_measuring", 2): [
        "def copying_share(fake, train, held_out, q=0.01):\n"
        "    def near(a):\n"
        "        return min(math.dist(a, b) for b in known)\n"
        "    known = train.tolist()\n"
        "    yardstick = torch.tensor([near(a) for a in held_out.tolist()]).quantile(q).item()\n"
        "    found = [near(a) < yardstick for a in fake.tolist()]\n"
        "    return sum(found) / len(found)",
        "import numpy\n"
        "def copying_share(fake, train, held_out, q=0.01):\n"
        "    def near(a):\n"
        "        apart = a.numpy()[:, None] - train.numpy()[None]\n"
        "        return numpy.sqrt((apart**2).sum(-1)).min(1)\n"
        "    return numpy.mean(near(fake) < numpy.quantile(near(held_out), q))",
        ("torch.cdist(features, train)", "torch.cdist(features.double(), train.double())"),
        ("torch.cdist(features, train).amin(1)",
         "((features**2).sum(1)[:, None] + (train**2).sum(1) - 2 * features @ train.T).amin(1)"),
        (".quantile(q)", ".sort().values[int(q * len(held_out))]"),
        (".float().mean().item()", ".sum().item() / len(fake)"),
    ],
    ("05_measuring", 3): [
        "from fractions import Fraction\n"
        "import unicodedata\n"
        "def coin_card():\n"
        "    return {unicodedata.normalize('NFD', 'Fréchet'): 1, 'why': 'c',\n"
        "            'copying': 'as real', 'sensitivity': Fraction(1, 2),\n"
        "            'all three': Fraction(21, 40)}",
        "import numpy\n"
        "def coin_card():\n"
        "    return dict(zip(('all three', 'sensitivity', 'Fréchet', 'copying', 'why'),\n"
        "                    (numpy.float64(0.525), numpy.float32(0.5), 1.0, 'as real', 'c')))",
        ("0.5 + 0.5 / 20", "0.5248"),
    ],
    # --- 06 ---
    ("06_conditional_gan", 1): [
        "def predictions():\n"
        "    told = dict.fromkeys(['blind', 'swapped', 'half'], [False, True])\n"
        "    return told | {'one colour': [True, True], 'perfect': [False, False]}",
        (  # found by computing
            "def predictions():\n"
            "    import numpy as np\n"
            "    p = np.array([[0.45, 0.45, 0.05, 0.05], [0.05, 0.05, 0.45, 0.45], [0.25] * 4])\n"
            "    mean = np.broadcast_to(p.mean(0), (3, 4))\n"
            "    q = {'perfect': p, 'half': (p + mean) / 2, 'blind': mean}\n"
            "    q['swapped'] = p[[1, 0, 2]]\n"
            "    q['one colour'] = np.array([[1, 0, 0, 0]] * 3)\n"
            "    far = lambda a, b: np.any(abs(a - b) > 1e-9)\n"
            "    return {n: (far(own.mean(0), p.mean(0)), far(own, p)) for n, own in q.items()}"
        ),
    ],
    ("06_conditional_gan", 2): [
        "def one_hot_or_silent(values, k):\n"
        "    return torch.tensor([[float(v == i) for i in range(k)] for v in values.tolist()])",
        "def one_hot_or_silent(values, k):\n"
        "    return torch.cat([torch.eye(k), torch.zeros(1, k)])[values]",
        "def one_hot_or_silent(values, k):\n"
        "    rows = F.one_hot(values.clamp(min=0), k).double()\n"
        "    return rows * (values >= 0).unsqueeze(1)",
        "def one_hot_or_silent(values, k):\n    return F.one_hot(values + 1, k + 1)[:, 1:].half()",
        "def one_hot_or_silent(values, k):\n"
        "    import numpy as np\n"
        "    rows = np.zeros((len(values), k), dtype=np.float32)\n"
        "    for i, v in enumerate(values.numpy()):\n"
        "        if v != -1:\n"
        "            rows[i, v] = 1\n"
        "    return torch.from_numpy(rows)",
        "def one_hot_or_silent(values, k):\n"
        "    rows = values.new_zeros(len(values), k, dtype=torch.get_default_dtype())\n"
        "    named = (values >= 0).nonzero().flatten()\n"
        "    rows[named, values[named]] = 1.0\n"
        "    return rows",
    ],
    ("06_conditional_gan", 3): [
        "def in_one_batch(D, kinds):\n"
        "    images, c = (torch.cat(parts) for parts in zip(*kinds))\n"
        "    scores, done, found = D(images, c), 0, []\n"
        "    for own, _ in kinds:\n"
        "        found.append(scores[done : done + own.shape[0]])\n"
        "        done += own.shape[0]\n"
        "    return found",
        (  # the other way round, and back
            "def in_one_batch(D, kinds):\n"
            "    turned = [(x, c) for x, c in reversed(kinds)]\n"
            "    scores = D(torch.cat([x for x, _ in turned]), torch.cat([c for _, c in turned]))\n"
            "    return list(scores.split([len(x) for x, _ in turned]))[::-1]"
        ),
        (  # shuffled, and back
            "def in_one_batch(D, kinds):\n"
            "    x, c = (torch.cat(list(parts), dim=0) for parts in zip(*kinds))\n"
            "    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))\n"
            "    scores = D(x[order], c[order])[order.argsort()]\n"
            "    ends = torch.tensor([len(own) for own, _ in kinds]).cumsum(0)[:-1]\n"
            "    return [*scores.tensor_split(ends)]"
        ),
        "def in_one_batch(D, kinds):\n"
        "    rows = [row for x, c in kinds for row in zip(x, c)]\n"
        "    x, c = torch.stack([x for x, _ in rows]), torch.stack([c for _, c in rows])\n"
        "    scores = iter(D(x, c))\n"
        "    return [torch.stack([next(scores) for _ in x]) for x, c in kinds]",
        "def in_one_batch(D, kinds):\n"
        "    x = torch.cat([x.clone() for x, c in kinds])\n"
        "    scores = D.forward(x, torch.vstack([c for _, c in kinds])).double()\n"
        "    return list(torch.split(scores, [x.size(0) for x, _ in kinds]))",
    ],
    # --- 07 ---
    ("07_gan_cls", 1): [
        "def predictions():\n"
        "    return dict(perfect=0.67, naive=0.5, blind=0.91, half=0.77, why='b') | {\n"
        "        'no half': 0.5, 'a third': 0.6, 'wrong pair': 0}",
        "def predictions():\n"
        "    from fractions import Fraction as of\n"
        "    import numpy as np\n"
        "    return {'why': 'b', 'wrong pair': np.float32(0), 'a third': of(3, 5),\n"
        "            'blind': np.float64(10 / 11), 'no half': 0.5, 'naive': of(1, 2),\n"
        "            'half': of(10, 13), 'perfect': np.float32(2) / 3}",
    ],
    ("07_gan_cls", 2): [
        "def wrong_in_batch(classes, generator):\n"
        "    labels, found = classes.tolist(), []\n"
        "    others = [[j for j, c in enumerate(labels) if c != own] for own in labels]\n"
        "    if not all(others):\n"
        "        raise ValueError('no candidate')\n"
        "    for row in others:\n"
        "        found.append(row[int(torch.randint(len(row), (1,), generator=generator))])\n"
        "    return torch.tensor(found)",
        (  # draw again whoever is of the same class
            "def wrong_in_batch(classes, generator):\n"
            "    if len(classes.unique()) < 2:\n"
            "        raise ValueError('no candidate')\n"
            "    j = torch.randint(len(classes), classes.shape, generator=generator)\n"
            "    while (again := classes[j] == classes).any():\n"
            "        new = torch.randint(len(classes), classes.shape, generator=generator)\n"
            "        j = torch.where(again, new, j)\n"
            "    return j"
        ),
        (  # the largest of random numbers
            "def wrong_in_batch(classes, generator):\n"
            "    may = classes.unsqueeze(0) != classes.unsqueeze(1)\n"
            "    if not may.any(1).all():\n"
            "        raise ValueError('no candidate')\n"
            "    keys = torch.rand(may.shape, generator=generator, dtype=torch.float64)\n"
            "    return keys.masked_fill(~may, -1).argmax(1)"
        ),
        (  # a number for each row, stretched to its candidates
            "def wrong_in_batch(classes, generator):\n"
            "    may = classes[:, None] != classes\n"
            "    if (~may).all(1).any():\n"
            "        raise ValueError\n"
            "    u = torch.rand(len(classes), dtype=torch.float64, generator=generator)\n"
            "    order = may.int().argsort(dim=1, descending=True, stable=True)\n"
            "    return order.gather(1, (u * may.sum(1)).long()[:, None])[:, 0]"
        ),
        (  # numpy, seeded by the generator
            "def wrong_in_batch(classes, generator):\n"
            "    import numpy as np\n"
            "    labels = classes.numpy()\n"
            "    if (labels == labels[0]).all():\n"
            "        raise ValueError('no candidate')\n"
            "    seed = torch.randint(2**31, (1,), generator=generator).item()\n"
            "    rng = np.random.default_rng(seed)\n"
            "    return torch.from_numpy(np.array([\n"
            "        rng.choice(np.flatnonzero(labels != own)) for own in labels], dtype=np.int64))"
        ),
    ],
    ("07_gan_cls", 3): [
        (".mean()", ".double().mean()"),
        (".mean()", ".sum()"),
        ("return (by_sentence / by_noise).item()", "return by_sentence.item() / by_noise.item()"),
        "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
        "    import numpy as np\n"
        "    x, y, w = (draw(z, phi).numpy().astype(np.float64)\n"
        "               for z, phi in ((z1, phi1), (z1, phi2), (z2, phi1)))\n"
        "    return np.abs(x - y).mean() / np.abs(w - x).mean()",
        (  # picture by picture
            "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
            "    said = heard = 0.0\n"
            "    with torch.no_grad():\n"
            "        for a, b, p, q in zip(*(x.split(1) for x in (z1, z2, phi1, phi2))):\n"
            "            said += F.l1_loss(draw(a, q), draw(a, p), reduction='sum').item()\n"
            "            heard += F.l1_loss(draw(b, p), draw(a, p), reduction='sum').item()\n"
            "    return said / heard"
        ),
        "def sentence_sensitivity(draw, z1, z2, phi1, phi2):\n"
        "    x = draw(torch.cat([z1, z1, z2]), torch.cat([phi1, phi2, phi1])).chunk(3)\n"
        "    return float(torch.dist(x[1], x[0], 1) / torch.dist(x[2], x[0], 1))",
    ],
    # --- 09 ---
    ("09_conditioning_augmentation", 1): [
        ("0.5 * (math.exp(-2) + 2 - 1)", "0.57"),
        ("0.5 * (math.exp(2) - 2 - 1)", "2.19"),
        ('"nothing": 0.0', '"nothing": 0'),
        ('"far": 0.5 * 2**2', '"far": torch.tensor(2.0).numpy()[()]'),
    ],
    ("09_conditioning_augmentation", 2): [
        (".sum(1)", ".sum(1).float()"),
        (
            "def kl_between(mu, logvar, other_mu, other_logvar):\n"
            "    p = torch.distributions.Normal(mu, logvar.exp().sqrt())\n"
            "    q = torch.distributions.Normal(other_mu, other_logvar.exp().sqrt())\n"
            "    return torch.distributions.kl_divergence(p, q).sum(-1)"
        ),
        (
            "def kl_between(mu, logvar, other_mu, other_logvar):\n"
            "    rows = []\n"
            "    for m, v, o, w in zip(mu, logvar, other_mu, other_logvar):\n"
            "        total = 0\n"
            "        for j in range(len(m)):\n"
            "            apart = (m[j] - o[j]) ** 2 / w[j].exp() + (v[j] - w[j]).exp()\n"
            "            total = total + (w[j] - v[j] + apart - 1) / 2\n"
            "        rows.append(total)\n"
            "    return torch.stack(rows)"
        ),
        (
            "def kl_between(*four):\n"
            "    m, v, o, w = (x.float() for x in four)\n"
            "    inner = torch.expm1(v - w) - (v - w) + ((m - o) * (-0.5 * w).exp()) ** 2\n"
            "    return torch.einsum('bc->b', inner) / 2"
        ),
    ],
    ("09_conditioning_augmentation", 3): [
        (
            "def variations(row, z_dim, keep, number, generator):\n"
            "    place = ('z', 'ε', 'both').index(keep)\n"
            "    z, eps = row[:z_dim], row[z_dim:]\n"
            "    new = [torch.normal(torch.zeros(number, len(x)), 1.0, generator=generator)\n"
            "           for x in (z, eps)]\n"
            "    left = new[0] if place == 1 else z.expand(number, -1)\n"
            "    right = new[1] if place == 0 else eps.expand(number, -1)\n"
            "    return torch.cat([left.to(row.dtype), right.to(row.dtype)], 1)"
        ),
        (
            "def variations(row, z_dim, keep, number, generator):\n"
            "    if keep == 'both':\n"
            "        return row.repeat(number, 1)\n"
            "    if keep not in ['z', 'ε']:\n"
            "        raise ValueError(keep)\n"
            "    rows = []\n"
            "    for _ in range(number):\n"
            "        new = row.clone()\n"
            "        for j in range(len(row)):\n"
            "            if (j < z_dim) == (keep == 'ε'):\n"
            "                new[j] = torch.randn((), generator=generator, dtype=torch.float64)\n"
            "        rows.append(new)\n"
            "    return torch.stack(rows)"
        ),
        (
            "def variations(row, z_dim, keep, number, generator):\n"
            "    import numpy\n"
            "    seed = torch.randint(2**60, (), generator=generator).item()\n"
            "    kept = {'z': [1, 0], 'ε': [0, 1], 'both': [1, 1]}.get(keep)\n"
            "    if kept is None:\n"
            "        raise ValueError('keep')\n"
            "    mask = torch.tensor(kept, dtype=bool).repeat_interleave(\n"
            "        torch.tensor([z_dim, len(row) - z_dim]))\n"
            "    new = numpy.random.default_rng(seed).standard_normal((number, len(row)))\n"
            "    return torch.where(mask, row, torch.from_numpy(new).to(row.dtype))"
        ),
        ("torch.randn(number, len(row), generator=generator, dtype=row.dtype)",
         "torch.randn(number, len(row), generator=generator).to(row.dtype)"),
    ],
    # --- 10 ---
    ("10_stackgan_stage1", 1): [
        ('"wave": 2**0.5', '"wave": 1.41'),
        ('"wave": 2**0.5', '"wave": abs(1 - 1j)'),
        ('"enlarged": 0.0', '"enlarged": 0'),
        ('"kinds": 4 * 4', '"kinds": 16.0'),
        ('"work": 9 / 4', '"work": torch.tensor(2.25).numpy()[()]'),
    ],
    ("10_stackgan_stage1", 2): [
        (
            "def as_transposed(kernel):\n"
            "    small = torch.eye(kernel.shape[1], dtype=kernel.dtype)[:, :, None, None]\n"
            "    large = F.pad(small, (3, 3, 3, 3)).repeat_interleave(2, 2)\n"
            "    return F.conv2d(large.repeat_interleave(2, 3), kernel)[:, :, 4:8, 4:8]"
        ),
        (
            "def as_transposed(kernel):\n"
            "    out, into = kernel.shape[:2]\n"
            "    cells = []\n"
            "    for b in range(into):\n"
            "        for c in range(out):\n"
            "            for i in range(4):\n"
            "                for j in range(4):\n"
            "                    met = [kernel[c, b, k, m] for k in range(3) for m in range(3)\n"
            "                           if k + i in (2, 3) and m + j in (2, 3)]\n"
            "                    cells.append(sum(met))\n"
            "    return torch.stack(cells).reshape(into, out, 4, 4)"
        ),
        (
            "def as_transposed(kernel):\n"
            "    m = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]]).double()\n"
            "    wide = torch.einsum('ik,jl,ockl->coij', m, m, kernel.double())\n"
            "    return wide.to(kernel.dtype)"
        ),
        (
            "def as_transposed(kernel):\n"
            "    turned = torch.rot90(kernel, 2, (2, 3)).permute(1, 0, 2, 3)\n"
            "    pads = ((0, 1, 0, 1), (1, 0, 0, 1), (0, 1, 1, 0), (1, 0, 1, 0))\n"
            "    return sum(F.pad(turned, pad) for pad in pads)"
        ),
    ],
    ("10_stackgan_stage1", 3): [
        (
            "def weights_of_stage1(width, image_size, z_dim, embed_dim, c_dim):\n"
            "    c, side = width * image_size // 8, 4\n"
            "    total = 2 * c_dim * embed_dim + 2 * c_dim + 16 * c * (z_dim + c_dim + 2)\n"
            "    while side < image_size:\n"
            "        if side <= 8:\n"
            "            total += 49 * (c // 4) ** 2 + 12 * (c // 4)\n"
            "        if side < image_size // 2:\n"
            "            total += 9 * c * (c // 2) + 2 * (c // 2)\n"
            "            c //= 2\n"
            "        side *= 2\n"
            "    return total + 27 * width + 3"
        ),
        (
            "def weights_of_stage1(width, image_size, z_dim, embed_dim, c_dim):\n"
            "    import math\n"
            "    shapes = [(2 * c_dim, embed_dim), (2 * c_dim,)]\n"
            "    n = int(math.log2(image_size)) - 2\n"
            "    widths = [width << i for i in range(n)][::-1]\n"
            "    first = 16 * widths[0]\n"
            "    shapes += [(z_dim + c_dim, first), (first,), (first,)]\n"
            "    for i, c in enumerate(widths):\n"
            "        if i:\n"
            "            shapes += [(widths[i - 1], c, 3, 3), (c,), (c,)]\n"
            "        if i < 2:\n"
            "            q = c // 4\n"
            "            shapes += [(c, q, 1, 1), (q, q, 3, 3), (q, c, 3, 3)]\n"
            "            shapes += [(q,), (q,), (q,), (q,), (c,), (c,)]\n"
            "    return sum(map(math.prod, [*shapes, (width, 3, 3, 3), (3,)]))"
        ),
        ("return augment", "import numpy\n    return numpy.int64(1) * augment"),
        ("wide = width * image_size // 8", "wide = int(width * image_size / 8)"),
    ],
    # --- 11 ---
    ("11_stackgan_stage2", 1): [
        ("1 - 0.25 / 2", "7 / 8"),
        ("1 - 0.25 / 2", "0.88"),
        ("80 + 64 + 32", "176.0"),
        ('"luck": 0.7', '"luck": (0.3 - 0.09) / 0.3'),
        ('"luck": 0.7', '"luck": torch.tensor(0.7).numpy()[()]'),
    ],
    ("11_stackgan_stage2", 2): [
        ("[seen, said], 1", "[seen, said], 1).double("),
        (
            "def written_on(seen, c_hat):\n"
            "    ones = torch.ones_like(seen[:, 0])\n"
            "    return torch.cat([seen, torch.einsum('bn,bhw->bnhw', c_hat, ones)], dim=-3)"
        ),
        (
            "def written_on(seen, c_hat):\n"
            "    pictures = []\n"
            "    for a, c in zip(seen, c_hat):\n"
            "        rows = []\n"
            "        for i in range(a.shape[1]):\n"
            "            row = [torch.cat([a[:, i, j], c]) for j in range(a.shape[2])]\n"
            "            rows.append(torch.stack(row, 1))\n"
            "        pictures.append(torch.stack(rows, 1))\n"
            "    return torch.stack(pictures)"
        ),
        (
            "def written_on(seen, c_hat):\n"
            "    (b, c, h, w), n = seen.shape, c_hat.shape[1]\n"
            "    whole = seen.new_zeros(b, c + n, h, w)\n"
            "    whole[:, :c] = seen\n"
            "    whole[:, c:] += c_hat.reshape(b, n, 1, 1)\n"
            "    return whole"
        ),
        ("c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])",
         "F.interpolate(c_hat[:, :, None, None], size=seen.shape[2:])"),
    ],
    ("11_stackgan_stage2", 3): [
        (
            "def beyond_luck(sketch, again, picture, asked):\n"
            "    n = gained = lucky = 0\n"
            "    for s, r, p, a in zip(*(x.tolist() for x in (sketch, again, picture, asked))):\n"
            "        if a != -1 and s != a:\n"
            "            n, gained, lucky = n + 1, gained + (p == a), lucky + (r == a)\n"
            "    return (gained - lucky) / n if n else 0.0"
        ),
        (
            "def beyond_luck(sketch, again, picture, asked):\n"
            "    import numpy as np\n"
            "    s, r, p, a = (x.numpy() for x in (sketch, again, picture, asked))\n"
            "    wrong = np.flatnonzero((a >= 0) & (s != a))\n"
            "    both = np.float32(p[wrong] == a[wrong]) - np.float32(r[wrong] == a[wrong])\n"
            "    return np.float32(both.mean()) if len(wrong) else np.float32(0)"
        ),
        (
            "def beyond_luck(sketch, again, picture, asked):\n"
            "    wrong = ((asked >= 0) & (sketch != asked)).double()\n"
            "    gain = (picture == asked).double() - (again == asked).double()\n"
            "    return float(wrong @ gain / wrong.sum().clamp(min=1))"
        ),
        (".float().mean()", ".double().mean()"),
    ],
}

for more, own in ((learners.WRONG, WRONG), (learners.RIGHT, RIGHT)):
    for exercise, answers in more.items():
        own[exercise] = [*own.get(exercise, ()), *answers]

ALL = [(p.stem, n, *e) for p in NOTEBOOKS for n, e in enumerate(exercises(p), start=1)]


def run(*sources):
    """Run cells in a fresh notebook's names: a check may rely on torch, re and the package."""
    names = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "math": math, "re": re}
    names |= {"lesson": lesson, "blooms": blooms}
    names |= {"kl_to_standard_normal": kl_to_standard_normal, "Stage1Generator": Stage1Generator}
    for source in sources:
        exec(compile(source, "cell", "exec"), names)  # noqa: S102
    return names


@pytest.mark.parametrize(("notebook", "number", "stub", "solution", "check"), ALL)
def test_the_stub_fails_and_the_solution_passes(notebook, number, stub, solution, check):
    with pytest.raises(NotImplementedError, match=f"exercise {number}"):
        run(stub, check)
    run(stub, solution, check)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_check_binds_no_name_and_draws_nothing_from_the_pages_generator(path):
    for number, (stub, solution, check) in enumerate(exercises(path), start=1):
        names = run(stub, solution)
        before, state = dict(names), torch.get_rng_state()
        exec(compile(check, "cell", "exec"), names)  # noqa: S102
        assert names.pop(f"check_of_exercise_{number}")
        assert names.keys() == before.keys()
        assert all(names[name] is value for name, value in before.items())
        assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("notebook", "number", "answer"),
    [(*exercise, answer) for exercise, answers in RIGHT.items() for answer in answers],
)
def test_a_right_answer_in_another_form_passes(notebook, number, answer):
    stub, solution, check = next(e[2:] for e in ALL if e[:2] == (notebook, number))
    if not isinstance(answer, str):
        assert answer[0] in solution, f"the solution does not hold {answer[0]!r}"
        answer = solution.replace(*answer)
    run(stub, answer, check)


@pytest.mark.parametrize(
    ("notebook", "number", "answer", "hint"),
    [(notebook, n, wrong[:-1], wrong[-1]) for (notebook, n), answers in WRONG.items()
     for wrong in answers],
)  # fmt: skip
def test_a_wrong_answer_gets_its_hint(notebook, number, answer, hint):
    stub, solution, check = next(e[2:] for e in ALL if e[:2] == (notebook, number))
    if len(answer) == 2:
        assert answer[0] in solution, f"the solution does not hold {answer[0]!r}"
    answer = answer[0] if len(answer) == 1 else solution.replace(*answer)
    with pytest.raises(AssertionError, match=hint):
        run(stub, answer, check)


def test_every_exercise_has_three_wrong_answers():
    assert {key for key, answers in WRONG.items() if len(answers) >= 3} == {e[:2] for e in ALL}
