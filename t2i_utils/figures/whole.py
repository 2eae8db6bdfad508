"""The one picture of the whole series: sentence to picture to scores."""

from collections.abc import Collection

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from matplotlib.patheffects import withStroke

from t2i_utils.figures.page import DPI, INK, LIT, PALE, ROLES, SCORES, STYLE, WIDTH

# part → its boxes (left, bottom, width, height, heading, body), in hundredths of the figure's width
WHOLE = {
    "sentence": [(1, 38, 17, 10, "sentence $t$", "“a red flower\non blue”")],
    "encoder": [(24, 20, 13, 28, "encoder $\\varphi$", "characters\nto a vector")],
    "embedding": [(39.5, 40.7, 7, 4.6, "", "$\\varphi(t)$")],
    "augmentation": [(49, 38, 14, 10, "augmentation", "$\\mu,\\ \\sigma\\ \\to\\ \\hat{c}$")],
    "noise": [(67.5, 52.6, 12, 4.6, "", "noise $z$")],
    "generator": [(67, 38, 13, 10, "generator $G$", "$\\hat{c},\\ z\\ \\to\\ \\hat{x}$")],
    "picture": [(84, 38, 15, 10, "picture $\\hat{x}$", "flower")],
    "real": [
        (1, 2, 17, 10, "real picture $x$", "flower"),
        (49, 11.5, 20, 6.6, "", "real pair: $x$ with $\\varphi(t)$"),
    ],
    "wrong": [
        (1, 20, 17, 10, "wrong sentence $\\hat{t}$", "“a white flower\non green”"),
        (49, 3, 20, 6.6, "", "wrong pair: $x$ with $\\varphi(\\hat{t})$"),
    ],
    "fake": [(49, 20, 20, 6.6, "", "fake pair: $\\hat{x}$ with $\\varphi(t)$")],
    "discriminator": [(74, 3, 15, 23.6, "discriminator $D$", "real? and do the\nwords fit?")],
    "scores": [(93, y, 6, 4.6, "", f"$s_{s}$") for y, s in ((21, "f"), (12.5, "r"), (4, "w"))],
}
# (from part, to part, role or "", corners); the later ones cross over the earlier
ARROWS = [
    ("sentence", "encoder", "", [(18, 43), (24, 43)]),
    ("encoder", "embedding", "", [(37, 43), (39.5, 43)]),
    ("embedding", "augmentation", "", [(46.5, 43), (49, 43)]),
    ("embedding", "fake", "", [(43, 40.7), (43, 23.3), (49, 23.3)]),
    ("embedding", "real", "", [(43, 40.7), (43, 16.3), (49, 16.3)]),
    ("augmentation", "generator", "", [(63, 43), (67, 43)]),
    ("noise", "generator", "", [(73.5, 52.6), (73.5, 48)]),
    ("generator", "picture", "", [(80, 43), (84, 43)]),
    ("real", "wrong", "real", [(18, 4.8), (49, 4.8)]),
    ("real", "real", "real", [(18, 4.8), (34, 4.8), (34, 13.3), (49, 13.3)]),
    ("wrong", "encoder", "wrong", [(18, 25), (24, 25)]),
    ("encoder", "wrong", "wrong", [(37, 25), (40, 25), (40, 7.8), (49, 7.8)]),
    ("picture", "fake", "fake", [(91.5, 38), (91.5, 32), (59, 32), (59, 26.6)]),
    *((role, "discriminator", role, [(69, y), (74, y)])
      for role, y in (("fake", 23.3), ("real", 14.8), ("wrong", 6.3))),
    *(("discriminator", "scores", role, [(89, y), (93, y)])
      for role, y in (("fake", 23.3), ("real", 14.8), ("wrong", 6.3))),
]  # fmt: skip
# Where embedding and generator are lit and the augmentation is not, one goes straight to the other.
STRAIGHT = ("embedding", "generator", "", [(43, 45.3), (43, 50.3), (70, 50.3), (70, 48)])


def _flower(axes, x: float, y: float, grey: bool) -> None:
    colours = ("#DDDDDD", "#AAAAAA", "#CCCCCC") if grey else ("#7FB2DC", "#B5302A", "#F2D24B")
    sky, petal, centre = colours
    axes.add_patch(Rectangle((x - 5, y - 2.7), 10, 5.4, color=sky, zorder=3))
    for turn in np.arange(5) * 2 * np.pi / 5:
        place = (x + 1.25 * np.sin(turn), y + 1.25 * np.cos(turn))
        axes.add_patch(Circle(place, 1.05, color=petal, zorder=3))
    axes.add_patch(Circle((x, y), 0.8, color=centre, zorder=3))


def _draw_arrow(axes, corners: list[tuple], colour: str, width: float) -> None:
    halo = [withStroke(linewidth=width + 4, foreground="white")]
    axes.plot(*zip(*corners, strict=True), color=colour, linewidth=width, path_effects=halo)
    head = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", corners[-1], corners[-2], arrowprops=head)


def _draw_box(axes, part: str, box: tuple, lit: bool, ink: str, grey: bool) -> None:
    """A box of WHOLE with its words in `ink`; the edge of a role's box has the role's colour."""
    left, bottom, width, height, heading, body = box
    role = part if part in ROLES else SCORES.get(body.strip("$"))
    style = {"facecolor": LIT if lit else "white", "linewidth": 2.6 if lit else 1.2}
    style |= {"edgecolor": ROLES[role] if role else ink, "gid": part, "zorder": 3}
    corner = (left + 0.5, bottom + 0.5)
    shape = "round,pad=0.5"
    axes.add_patch(FancyBboxPatch(corner, width - 1, height - 1, boxstyle=shape, **style))
    x, y = left + width / 2, bottom + height / 2
    style = {"color": ink, "size": 10, "ha": "center", "va": "center"}
    if body == "flower":
        _flower(axes, x, y - 1.6, grey)
    else:
        axes.text(x, y - 1.6 * bool(heading), body, **style)
    if heading:
        axes.text(x, y + (3 if height == 10 else 4), heading, weight="bold", **style)


@rc_context(STYLE)
def the_whole(
    changed: str | Collection[str] = (), legend: str = "what this notebook changes"
) -> Figure:
    """The one picture of the series: from a sentence to a picture to three scores.

    changed: the parts that this notebook changes; they are lit, as `legend` says, with the arrows
    from one of them to another, and the others grey. With none the whole is drawn in ink, as a map.
    The boxes of real, wrong and fake keep their colours throughout, their arrows unless they are
    grey: a coloured arrow out of a lit box would look lit. Raises ValueError for a part that is not
    in WHOLE.
    """
    changed = {changed} if isinstance(changed, str) else set(changed)
    if unknown := changed - WHOLE.keys():
        raise ValueError(f"parts are {sorted(unknown)}; expected some of {', '.join(WHOLE)}")
    figure = Figure(figsize=(WIDTH, WIDTH * 0.59), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 100), ylim=(0, 59))
    axes.set_axis_off()
    rest = PALE if changed else INK  # the colour of what is not lit
    straight = {"embedding", "generator"} <= changed and "augmentation" not in changed
    arrows = [({source, target} <= changed, role, corners)
              for source, target, role, corners in [*ARROWS, *[STRAIGHT] * straight]]  # fmt: skip
    for lit, role, corners in sorted(arrows, key=lambda arrow: arrow[0]):  # the lit ones on top
        ink = ROLES.get(role, INK) if lit or not changed else rest
        _draw_arrow(axes, corners, ink, 2.6 if lit else 1.4)
    for part, boxes in WHOLE.items():
        lit = part in changed
        for box in boxes:
            _draw_box(axes, part, box, lit, INK if lit else rest, grey=bool(changed) and not lit)
    if changed:
        axes.add_patch(Rectangle((1, 54.1), 2.4, 1.8, facecolor=LIT, edgecolor=INK))
        axes.text(4.4, 55, legend, va="center", size=10)
    return figure
