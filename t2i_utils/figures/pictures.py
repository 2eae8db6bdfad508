"""Pictures in grids: with their captions, or one row a model and one column a sentence."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor

from t2i_utils.data.captioned import to_bytes
from t2i_utils.figures.page import DPI, STYLE, WIDTH, lines_high, wrapped


def pixels_of(images: Tensor | np.ndarray, what: str = "images") -> np.ndarray:
    """uint8 [N, S, S, 3] for imshow. Raises ValueError on any other shape, type or range."""
    shape, dtype = tuple(images.shape), str(images.dtype)
    if len(shape) != 4 or shape[1] != 3 or 0 in shape:
        raise ValueError(f"{what} have the shape {shape}; expected [N, 3, S, S], N at least 1")
    if not dtype.endswith("uint8"):
        if not isinstance(images, Tensor) or not images.is_floating_point():
            raise ValueError(f"{what} are {dtype}; expected uint8, or a float tensor in [-1, 1]")
        images = images.detach().float().cpu()
        low, high = images.min().item(), images.max().item()
        if not (low >= -1.01 and high <= 1.01):  # false for NaN, too
            raise ValueError(f"{what} are from {low:.3g} to {high:.3g}; expected [-1, 1]")
        images = to_bytes(images.clamp(-1, 1))
    if isinstance(images, Tensor):
        images = images.cpu().numpy()
    return np.asarray(images).transpose(0, 2, 3, 1)


class Page:
    """A figure filled from the top, measured in inches, so that text never meets a picture."""

    def __init__(self, height: float, title: str | None):
        title = wrapped(title or "", WIDTH - 1)
        self.top = 0.08 + (lines_high([title]) + 0.08 if title else 0)  # of what comes next
        self.height = height + self.top
        self.figure = Figure(figsize=(WIDTH, self.height), dpi=DPI)
        if title:
            self.text(0.1, 0.08, title, weight="bold", va="top")

    def text(self, left: float, top: float, text: str, **style) -> None:
        place = (left / WIDTH, 1 - top / self.height)
        self.figure.text(*place, text, parse_math=False, linespacing=1.15, **style)

    def picture(self, left: float, top: float, side: float, pixels: np.ndarray) -> None:
        place = (left / WIDTH, 1 - (top + side) / self.height)
        axes = self.figure.add_axes((*place, side / WIDTH, side / self.height))
        enlarged = len(pixels) < side * DPI  # then its own pixels show, unblurred
        axes.imshow(pixels, aspect="auto", interpolation="nearest" if enlarged else None)
        axes.set_axis_off()


@rc_context(STYLE)
def grid(
    images: Float[Tensor, "N 3 S S"] | UInt8[Tensor, "N 3 S S"] | UInt8[np.ndarray, "N 3 S S"],
    captions: Sequence[str] | None = None,
    columns: int = 8,
    title: str | None = None,
) -> Figure:
    """Pictures in rows, each with its caption beneath.

    images: float in [-1, 1] or uint8. Raises ValueError on another shape or range, on a number of
    captions that is not the number of images, and on fewer than one column.
    """
    pictures = pixels_of(images)
    captions = [""] * len(pictures) if captions is None else captions
    if len(captions) != len(pictures):
        raise ValueError(f"captions are {len(captions)}; expected {len(pictures)}, one an image")
    if columns < 1:
        raise ValueError(f"columns is {columns}; expected at least 1")
    columns = min(columns, len(pictures))
    pitch = min((WIDTH - 0.1) / columns, 2.2)  # from one picture to the next
    captions = [wrapped(caption, pitch - 0.12) for caption in captions]
    rows = [range(r, min(r + columns, len(pictures))) for r in range(0, len(pictures), columns)]
    below = [lines_high([captions[i] for i in row]) for row in rows]
    gaps = [0.18 if text else 0.06 for text in below]
    page = Page(len(rows) * (pitch - 0.06) + sum(below) + sum(gaps), title)
    for row, text, gap in zip(rows, below, gaps, strict=True):
        for column, i in enumerate(row):
            left = 0.08 + column * pitch
            page.picture(left, page.top, pitch - 0.06, pictures[i])
            page.text(left, page.top + pitch - 0.02, captions[i], va="top")
        page.top += pitch - 0.06 + text + gap
    return page.figure


@rc_context(STYLE)
def compare(
    rows: Mapping[str, Tensor | np.ndarray],
    sentences: Sequence[str],
    title: str | None = None,
    ticked: Mapping[str, Sequence[bool]] | None = None,
) -> Figure:
    """One row of pictures a model, one column a sentence: what did each make of the same words?

    rows: name → images as in `grid`, one a sentence. ticked: name → which of its pictures get a
    tick. Raises ValueError, naming the row, where there are more or fewer, and where there are no
    rows or no sentences.
    """
    if not rows or not sentences:
        raise ValueError(f"found {len(rows)} rows and {len(sentences)} sentences; expected at "
                         "least one of each")
    pictures = {name: pixels_of(images, f"images of {name!r}") for name, images in rows.items()}
    for name, row in pictures.items():
        if len(row) != len(sentences):
            raise ValueError(f"images of {name!r} are {len(row)}; expected {len(sentences)}, one a "
                             "sentence")
    margin = 1.25
    pitch = min((WIDTH - margin - 0.1) / len(sentences), 2.2)
    sentences = [wrapped(sentence, pitch - 0.12) for sentence in sentences]
    names = [wrapped(name, margin - 0.35) for name in rows]  # bold runs wider
    above, height = lines_high(sentences) + 0.06, max(pitch, lines_high(names) + 0.06)
    page = Page(above + len(rows) * height, title)
    page.top += above
    for column, sentence in enumerate(sentences):
        page.text(margin + column * pitch, page.top - 0.06, sentence, va="bottom")
    halo = [withStroke(linewidth=3, foreground="white")]
    for name, (key, row) in zip(names, pictures.items(), strict=True):
        page.text(0.1, page.top + (pitch - 0.06) / 2, name, va="center", weight="bold")
        for column, pixels in enumerate(row):
            left = margin + column * pitch
            page.picture(left, page.top, pitch - 0.06, pixels)
            if ticked and ticked[key][column]:
                page.text(left + 0.05, page.top + 0.05, "✓", va="top", size=16, path_effects=halo)
        page.top += height
    return page.figure
