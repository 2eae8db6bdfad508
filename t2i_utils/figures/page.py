"""The page: the house style, a figure as PNG, and its alt text, which reaches every reader."""

import base64
import html
import io
import sys
import textwrap
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from PIL import Image

# Chosen to stay apart under every colour blindness (tests/figures/test_palette.py measures it);
# real, wrong and fake also differ in their line style, so that a curve can be told in grey print.
ROLES = {"real": "#10A97C", "wrong": "#DC5500", "fake": "#0A4BA0"}
DASHES = {"real": "-", "wrong": (0, (5, 1.5)), "fake": (0, (5, 1.5, 1, 1.5))}
NEUTRAL = ("#222222", "#9B78D7", "#55320A", "#5F5F5F")  # curves that have no role
SCORES = {"s_r": "real", "s_w": "wrong", "s_f": "fake"}
INK, PALE, LIT = "#222222", "#666666", "#FFE9A3"
DPI, WIDTH, SIZE = 110, 9.0, 9.0  # dots per inch, inches, points
LINE = SIZE * 1.2 / 72  # inches from one line of text to the next
STYLE = {
    "font.family": "DejaVu Sans", "font.size": SIZE, "mathtext.fontset": "dejavusans",
    "text.usetex": False, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": "#999999",
    "axes.facecolor": "white", "axes.titlesize": SIZE + 1, "axes.labelsize": SIZE,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "#E6E6E6", "grid.linewidth": 0.8, "grid.linestyle": "-",
    "xtick.labelsize": SIZE, "ytick.labelsize": SIZE, "xtick.color": PALE, "ytick.color": PALE,
    "legend.frameon": False, "legend.fontsize": SIZE, "lines.linewidth": 1.8, "lines.marker": "",
    "figure.facecolor": "white", "savefig.bbox": "standard", "savefig.facecolor": "white",
}  # fmt: skip


@rc_context(STYLE)
def png(figure: Figure) -> bytes:
    """The figure as PNG, colours rounded to fives: half the bytes, and no eye sees it.

    A palette of 256 would halve them again, but bands a GAN's skies and dulls the one blue flower.
    """
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    fives = [5 * round(value / 5) for value in range(256)]
    pixels = Image.open(buffer).convert("RGB").point(fives * 3)
    pixels.save(small, format="PNG", optimize=True)
    return small.getvalue()


def img(figure: Figure, alt: str) -> str:
    """The figure as an HTML image with its alt text; a page may be narrower than the figure.

    Raises ValueError where alt says nothing.
    """
    if not alt.strip():
        raise ValueError(f"alt is {alt!r}; expected a sentence that says what the figure shows")
    source = f"data:image/png;base64,{base64.b64encode(png(figure)).decode()}"
    return f'<img style="max-width: 100%" alt="{html.escape(alt)}" src="{source}">'


def show(figure: Figure, alt: str) -> None:
    """Displays the figure with its alt text, for whatever reads the notebook, and closes it.

    Outside IPython nothing is displayed. Raises ValueError where alt says nothing.
    """
    image = img(figure, alt)
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from IPython.display import display

        # As HTML, for JupyterLab drops the alt text of an image/png. Not as both: the picture
        # would stand in the file twice.
        display({"text/html": image, "text/plain": alt}, raw=True)
    if "matplotlib.pyplot" in sys.modules:  # a reader's own pyplot figure would show twice
        sys.modules["matplotlib.pyplot"].close(figure)
    figure.clear()


def wrapped(text: str, inches: float) -> str:
    """The text in lines that measure no more than `inches` in the house font; breaks are kept."""

    def fits(line: str) -> bool:
        font = FontProperties(family="DejaVu Sans", size=SIZE)
        return text_to_path.get_text_width_height_descent(line, font, False)[0] <= inches * 72

    for characters in range(max(int(inches * 72 / SIZE * 2.5), 2), 1, -1):
        lines = [
            line for part in text.split("\n") for line in textwrap.wrap(part, characters) or [""]
        ]
        if all(map(fits, lines)):
            break
    return "\n".join(lines)


def lines_high(texts: Sequence[str]) -> float:
    """Inches that the tallest of the wrapped texts needs."""
    return max((text.count("\n") + 1 for text in texts if text), default=0) * LINE
