"""The colours stay apart for every eye, in so far as a simulation can tell."""

import itertools
import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from t2i_utils import figures, lesson

# What an eye sees of linear RGB: Machado, Oliveira and Fernandes 2009, table 1, severity 1.0.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
    "grey print": [[0.2126, 0.7152, 0.0722]] * 3,
}  # fmt: skip
XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
# A just noticeable difference is about 1 to 2. In grey print the roles' dashes help.
FLOORS = {"all cones": 19, "protanopia": 18, "deuteranopia": 18, "tritanopia": 18, "grey print": 3}
CLAIM_FLOOR = 11  # between a claim's words and everything else; they also say ✓ or ✗


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colour, eye):
    """CIELAB of a colour as that eye sees it."""
    seen = np.clip(np.array(EYES[eye]) @ linear(colour), 0, 1)
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116
               for v in XYZ @ seen / XYZ.sum(1))  # fmt: skip
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one, two):
    """CIEDE2000 between two CIELAB colours, after Sharma, Wu and Dalal 2005."""
    (l1, a1, b1), (l2, a2, b2) = one, two

    def seventh(chroma):
        return np.sqrt(chroma**7 / (chroma**7 + 25**7))

    stretch = 1.5 - 0.5 * seventh((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    light, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, h1 + turn / 2

    def wave(times, shift):
        return np.cos(np.radians(times * hue + shift))

    t = 1 - 0.17 * wave(1, -30) + 0.24 * wave(2, 0) + 0.32 * wave(3, 6) - 0.2 * wave(4, -63)
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    bend = np.sin(np.radians(60 * np.exp(-(((hue % 360 - 275) / 25) ** 2))))
    return np.sqrt(dl**2 + dc**2 + dh**2 - 2 * seventh(chroma) * bend * dc * dh)


def least(pairs, eye):
    """The pair that this eye tells least, and by how much."""
    return min((float(difference(lab(a, eye), lab(b, eye))), a, b) for a, b in pairs)


@pytest.fixture
def claims(monkeypatch):
    """The colours in which a claim that held and one that did not are written."""
    shown = []
    monkeypatch.setattr(lesson, "_display", lambda bundle: shown.append(bundle["text/html"]))
    for held in (True, False):
        lesson.Lesson("laptop", torch.device("cpu"), 0).claim("so it is", held)
    return [re.search(r"color: (#\w{6})", words)[1] for words in shown]


@pytest.mark.parametrize("one, two, expected", [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (58, 24, 15), 19.4535),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
])  # fmt: skip
def test_the_difference_is_that_of_the_published_table(one, two, expected):
    assert difference(one, two) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("eye", EYES)
def test_every_eye_tells_what_is_drawn(eye):
    drawn = [*figures.ROLES.values(), *figures.NEUTRAL]
    found = least(itertools.combinations(drawn, 2), eye)
    assert found[0] >= FLOORS[eye], f"{eye}: {found}"


@pytest.mark.parametrize("eye", [eye for eye in EYES if eye != "grey print"])
def test_every_eye_tells_whether_a_claim_held(eye, claims):
    drawn = [*figures.ROLES.values(), *figures.NEUTRAL]
    found = least([tuple(claims), *itertools.product(claims, drawn)], eye)
    assert found[0] >= CLAIM_FLOOR, f"{eye}: {found}"


def test_every_colour_stands_out_from_the_page(claims):
    for colours, expected in (([*figures.ROLES.values(), *figures.NEUTRAL], 3.0), (claims, 4.5)):
        for colour in colours:  # WCAG 2: 3 to 1 for lines, 4.5 to 1 for text
            contrast = 1.05 / (XYZ[1] @ linear(colour) + 0.05)
            assert contrast >= expected, f"{colour}: {contrast:.2f} to 1 on white"


def test_prose_may_name_the_roles_colours():
    hue = {role: np.degrees(np.arctan2(*lab(colour, "all cones")[:0:-1])) % 360
           for role, colour in figures.ROLES.items()}  # fmt: skip
    assert 140 < hue["real"] < 175, "green"
    assert 45 < hue["wrong"] < 75, "orange"
    assert 250 < hue["fake"] < 300, "blue"
