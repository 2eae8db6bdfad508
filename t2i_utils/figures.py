"""Everything drawn: captioned grids, comparisons, curves, and the one picture of the whole series.

Every function returns a matplotlib Figure that pyplot does not know, so none is left open and
none is displayed twice; `show` puts it under the cell, together with its alt text.
"""

import base64
import io
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import rc_context
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path
from PIL import Image
from torch import Tensor

from t2i_utils.data.captioned import to_bytes

# Okabe and Ito's colours; real, wrong and fake also differ in their line style, so that a curve
# can be told in grey print too.
ROLES = {"real": "#009E73", "wrong": "#D55E00", "fake": "#0072B2"}
DASHES = {"real": "-", "wrong": (0, (5, 1.5)), "fake": (0, (5, 1.5, 1, 1.5))}
NEUTRAL = ("#222222", "#CC79A7", "#7F5A2B", "#767676")  # curves that have no role
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


# --- on the page ---------------------------------------------------------------------------------
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


def show(figure: Figure, alt: str) -> None:
    """Displays the figure with its alt text, which exported HTML keeps, and closes it.

    Outside IPython nothing is displayed. Raises ValueError where alt says nothing.
    """
    if not alt.strip():
        raise ValueError(f"alt is {alt!r}; expected a sentence that says what the figure shows")
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from IPython.display import display

        # As a bundle, because IPython.display.Image of Colab's IPython 7.34 takes no alt.
        bundle = {"image/png": base64.b64encode(png(figure)).decode(), "text/plain": alt}
        display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)
    if "matplotlib.pyplot" in sys.modules:  # a reader's own pyplot figure would show twice
        sys.modules["matplotlib.pyplot"].close(figure)
    figure.clear()


# --- pictures ------------------------------------------------------------------------------------
def _pictures(images: Tensor | np.ndarray, what: str = "images") -> np.ndarray:
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


def _wrap(text: str, inches: float) -> str:
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


def _lines(texts: Sequence[str]) -> float:
    """Inches that the tallest of the wrapped texts needs."""
    return max((text.count("\n") + 1 for text in texts if text), default=0) * LINE


class _Page:
    """A figure filled from the top, measured in inches, so that text never meets a picture."""

    def __init__(self, height: float, title: str | None):
        title = _wrap(title or "", WIDTH - 1)
        self.top = 0.08 + (_lines([title]) + 0.08 if title else 0)  # of what comes next
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
    pictures = _pictures(images)
    captions = [""] * len(pictures) if captions is None else captions
    if len(captions) != len(pictures):
        raise ValueError(f"captions are {len(captions)}; expected {len(pictures)}, one an image")
    if columns < 1:
        raise ValueError(f"columns is {columns}; expected at least 1")
    columns = min(columns, len(pictures))
    pitch = min((WIDTH - 0.1) / columns, 2.2)  # from one picture to the next
    captions = [_wrap(caption, pitch - 0.12) for caption in captions]
    rows = [range(r, min(r + columns, len(pictures))) for r in range(0, len(pictures), columns)]
    below = [_lines([captions[i] for i in row]) for row in rows]
    gaps = [0.18 if text else 0.06 for text in below]
    page = _Page(len(rows) * (pitch - 0.06) + sum(below) + sum(gaps), title)
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
        raise ValueError(
            f"found {len(rows)} rows and {len(sentences)} sentences; expected at least one of each"
        )
    pictures = {name: _pictures(images, f"images of {name!r}") for name, images in rows.items()}
    for name, row in pictures.items():
        if len(row) != len(sentences):
            raise ValueError(
                f"images of {name!r} are {len(row)}; expected {len(sentences)}, one a sentence"
            )
    margin = 1.25
    pitch = min((WIDTH - margin - 0.1) / len(sentences), 2.2)
    sentences = [_wrap(sentence, pitch - 0.12) for sentence in sentences]
    names = [_wrap(name, margin - 0.35) for name in rows]  # bold runs wider
    above, height = _lines(sentences) + 0.06, max(pitch, _lines(names) + 0.06)
    page = _Page(above + len(rows) * height, title)
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


# --- curves --------------------------------------------------------------------------------------
def _axes(height: float, title: str | None, **settings):
    """A figure of that height, in inches, with one pair of axes and their title."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot(**settings)
    if title:
        axes.set_title(_wrap(title, WIDTH - 2), loc="left", weight="bold", parse_math=False)
    return figure, axes


def _role_of(name: str) -> str | None:
    """The role of a curve by its name: a score's, or what the name ends in."""
    return SCORES.get(name) or next((role for role in ROLES if name.endswith(role)), None)


def _style_of(name: str, neutral: int) -> dict:
    """Colour and dash of a curve: its role's, else the neutral-th colour that has none."""
    role = _role_of(name)
    colour = ROLES[role] if role else NEUTRAL[neutral % len(NEUTRAL)]
    return {"color": colour, "linestyle": DASHES.get(role, "-")}


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of the `window` values around each one; at the ends, of those there are."""
    box, half = np.ones(window), window // 2
    padded = np.convolve(values, box), np.convolve(np.ones(len(values)), box)
    return (padded[0] / padded[1])[half : half + len(values)]


@rc_context(STYLE)
def curves(
    history: Mapping[str, Tensor],
    names: str | Sequence[str],
    smooth: int | None = None,
    title: str | None = None,
    probability: bool = False,
) -> Figure:
    """Curves over the steps: a running mean of `smooth` steps, the raw values faint behind it.

    history: name → 1-D tensor, one value a step, NaN where there was none. smooth: None for a
    fiftieth of the run, 1 for none. probability: the values are logits and drawn as sigmoid(s).
    Names that end in real, wrong or fake, and s_r, s_w, s_f, have their role's colour. Raises
    ValueError for a name that the history does not hold, values not 1-D, a window below 1.
    """
    figure, axes = _axes(3.2, title, xlabel="step")
    neutral = 0
    for name in [names] if isinstance(names, str) else names:
        if name not in history:
            raise ValueError(f"name is {name!r}; the history holds {', '.join(sorted(history))}")
        values = history[name].detach().double().cpu()
        if values.ndim != 1:
            raise ValueError(f"{name} has the shape {tuple(values.shape)}; expected [steps]")
        values = (values.sigmoid() if probability else values).numpy()
        steps = 1 + np.flatnonzero(~np.isnan(values))  # NaN: this step measured nothing
        values = values[steps - 1]
        if len(values) == 0:
            raise ValueError(f"{name} has no value that is a number; expected at least one")
        window = max(1, len(values) // 50) if smooth is None else min(smooth, len(values))
        if window < 1:
            raise ValueError(f"smooth is {smooth}; expected a number of steps, at least 1")
        role, style = _role_of(name), _style_of(name, neutral)
        neutral += not role
        if window > 1:
            axes.plot(steps, values, color=style["color"], alpha=0.16, linewidth=0.7)
        label = f"{name} ({role})" if name in SCORES else name
        axes.plot(steps, _running_mean(values, window), label=label, **style)
    if probability:
        axes.axhline(0.5, color="#999999", linewidth=0.8, zorder=0.5)
        axes.set(ylim=(-0.02, 1.02), ylabel="probability, sigmoid(s)")
    elif all(name in SCORES for name in names):
        axes.set(ylabel="score (logit)")
    figure.legend(loc="outside right upper", handlelength=2.8)
    return figure


# --- functions, distributions, numbers -----------------------------------------------------------
def _panels(titles: Sequence[str], columns: int, height: float, title: str | None):
    """A figure with a row of axes for every `columns` titles, and the axes, one a title."""
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(WIDTH, height * rows), dpi=DPI, layout="constrained")
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(len(titles))]
    for panel, name in zip(axes, titles, strict=True):
        panel.set_title(_wrap(name, WIDTH / columns - 0.3), loc="left", parse_math=False)
    if title:
        figure.suptitle(_wrap(title, WIDTH - 1), x=0.01, ha="left", weight="bold", size=SIZE + 1)
    return figure, axes


@rc_context(STYLE)
def lines(
    x: Float[Tensor, " n"],
    curves: Mapping[str, Float[Tensor, " n"]],
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    log: str = "",
) -> Figure:
    """Functions of one variable. log: "x", "y" or "xy" for logarithmic axes.

    Names that end in real, wrong or fake have their role's colour. Raises ValueError for a curve
    whose length is not that of x.
    """
    figure, axes = _axes(3.2, title, xlabel=xlabel, ylabel=ylabel)
    for i, (name, y) in enumerate(curves.items()):
        if y.shape != x.shape:
            raise ValueError(f"{name} has {len(y)} values; expected {len(x)}, one for each x")
        style = _style_of(name, i)
        style["linestyle"] = style["linestyle"] if i % 2 == 0 else (0, (6, 3))  # lines may coincide
        axes.plot(x.detach().cpu(), y.detach().cpu(), label=name, **style)
    axes.set(xscale="log" if "x" in log else "linear", yscale="log" if "y" in log else "linear")
    figure.legend(loc="outside right upper", handlelength=2.8)
    return figure


@rc_context(STYLE)
def game(
    x: Float[Tensor, " n"],
    p_data: Float[Tensor, " n"],
    frames: Mapping[str, Mapping[str, Tensor]],
    title: str | None = None,
) -> Figure:
    """The game in one dimension, one panel a frame, after figure 1 of Goodfellow et al. 2014.

    frames: title → p_g [n] and D [n] on x, and G: the places [m] to which evenly spaced z go.
    Above, the densities and D; beneath, lines from z to G(z).
    """
    figure, axes = _panels(list(frames), 3, 2.9, title)
    top = 1.35 * max(1.0, p_data.max().item())
    for panel, frame in zip(axes, frames.values(), strict=True):
        panel.fill_between(x, p_data, color=ROLES["real"], alpha=0.18, linewidth=0)
        panel.plot(x, p_data, color=ROLES["real"], label="data $p$ (real)")
        panel.plot(x, frame["p_g"], color=ROLES["fake"], linestyle=DASHES["fake"],
                   label="generator $p_g$ (fake)")  # fmt: skip
        panel.plot(x, frame["D"], color=INK, linewidth=1.2, linestyle=":", label="$D(x)$")
        places, low, high = frame["G"], x.min().item(), x.max().item()
        start = np.linspace(low, high, len(places))
        for z, place in zip(start, places.tolist(), strict=True):
            panel.plot([z, place], [-0.6, -0.12], color=ROLES["fake"], alpha=0.5, linewidth=0.7,
                       clip_on=True)  # fmt: skip
        panel.set(xlim=(low, high), ylim=(-0.68, top), yticks=[0, 0.5, 1])
        panel.grid(False)
        panel.axhline(0, color="#999999", linewidth=0.8)
        panel.text(low, -0.6, " z", va="bottom", color=PALE)
        panel.text(low, -0.12, " x", va="top", color=PALE)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=2.8)
    return figure


@rc_context(STYLE)
def clouds(
    panels: Mapping[str, Float[Tensor, "n 2"]],
    centres: Float[Tensor, "m 2"],
    radius: float,
    columns: int = 5,
    title: str | None = None,
) -> Figure:
    """Points of the plane, one panel a name; rings of that radius show where they should be."""
    height = WIDTH / min(columns, len(panels)) + 0.12
    figure, axes = _panels(list(panels), columns, height, title)
    reach = 1.35 * centres.abs().max().item()
    for panel, points in zip(axes, panels.values(), strict=True):
        for centre in centres.tolist():
            panel.add_patch(Circle(centre, radius, fill=False, edgecolor=ROLES["real"]))
        panel.scatter(*points.T.cpu(), s=2, color=ROLES["fake"], linewidths=0, alpha=0.6)
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    return figure


@rc_context(STYLE)
def plane(
    groups: Mapping[str, Float[Tensor, "n 2"]], xlabel="", ylabel="", title: str | None = None
) -> Figure:
    """Points of the plane in named groups, each with a mark of its own; "red" is drawn in red.

    Each name stands at the middle (the median) of its group. The axes have names and no numbers.
    """
    figure, axes = _axes(5.2, title, xticks=[], yticks=[], xlabel=xlabel, ylabel=ylabel)
    for i, (name, points) in enumerate(groups.items()):
        x, y = points.detach().cpu().T
        colour = name if is_color_like(name) else NEUTRAL[i % len(NEUTRAL)]
        style = {"color": colour, "marker": "osD^vPX*<"[i % 9], "edgecolors": INK}
        axes.scatter(x, y, s=22, linewidths=0.4, **style)
        axes.text(x.median(), y.median(), name, weight="bold", ha="center", size=SIZE + 2,
                  path_effects=[withStroke(linewidth=4, foreground="white")])  # fmt: skip
    return figure


@rc_context(STYLE)
def tables(
    panels: Mapping[str, Float[Tensor, "r c"]], height: float = 2.6, title: str | None = None
) -> Figure:
    """Small matrices as shaded squares with their numbers written in, one panel a name."""
    figure, axes = _panels(list(panels), len(panels), height, title)
    for panel, values in zip(axes, panels.values(), strict=True):
        values = values.detach().cpu().numpy()
        low, high = float(values.min()), float(values.max())
        panel.imshow(values, cmap="Blues", vmin=low, vmax=high + 0.6 * (high - low + 1e-9))
        for (row, column), value in np.ndenumerate(values):
            shown = f"{value + 0.0:g}"  # −0 is 0
            panel.text(column, row, shown, ha="center", va="center", size=SIZE - 2)
        panel.set(xticks=[], yticks=[])
        panel.grid(False)
    return figure


@rc_context(STYLE)
def bars(
    values: Mapping[str, Sequence[float]],
    xlabel: str,
    reference: float | None = None,
    title: str | None = None,
) -> Figure:
    """One bar a name, as long as the mean of its values; each value is a dot on it.

    reference: where a line is drawn to compare with.
    """
    figure, axes = _axes(0.6 + 0.36 * len(values), title, xlabel=xlabel)
    for place, found in enumerate(values.values()):
        axes.barh(place, np.mean(found), height=0.62, color="#BBD3E8")
        axes.plot(found, [place] * len(found), "o", color=INK, markersize=4)
        axes.text(max(found), place, f"  {np.mean(found):.2f}", va="center", color=INK)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, 1.12 * max(max(found) for found in values.values()))
    if reference is not None:
        axes.axvline(reference, color=PALE, linewidth=1, linestyle="--")
    return figure


ENDS = {"floor": (0, (4, 2)), "ceiling": (0, (1.5, 1.5))}  # two dashes: told apart in grey, too


@rc_context(STYLE)
def spread(
    stored: Mapping[str, Sequence[float]],
    own: Mapping[str, float] | None = None,
    *,
    floor: float | Mapping[str, float] | None = None,
    ceiling: float | Mapping[str, float] | None = None,
    xlabel: str = "",
    title: str | None = None,
) -> Figure:
    """One row a label: open circles are the values of several seeds, a diamond is the own run.

    A thin line joins the least and the largest of `stored`, of which there may be none. floor,
    ceiling: a dashed line with its word, or ticks in the rows that they name. NaN is not drawn.
    Raises ValueError for a label that `stored` does not hold.
    """
    places = {label: place for place, label in enumerate(stored)}
    ends = {"floor": floor, "ceiling": ceiling}
    for name, values in {"own": own, **ends}.items():
        for label in values if isinstance(values, Mapping) else ():
            if label not in places:
                raise ValueError(f"{name} has {label!r}; stored holds {', '.join(stored)}")
    labels = [_wrap(label, 2.2) for label in stored]
    title = _wrap(title or "", WIDTH - 3.8)  # what long labels leave, in bold
    height = 1.0 + _lines([title]) + max(0.3, _lines(labels) + 0.12) * len(labels)
    figure, axes = _axes(height, title, xlabel=xlabel)
    for label, values in stored.items():
        if values := [value for value in values if not np.isnan(value)]:
            y = [places[label]] * len(values)
            axes.plot([min(values), max(values)], y[:1] * 2, color=PALE, linewidth=0.9)
            axes.plot(values, y, "o", label="other seeds", color=PALE, markersize=6,
                      markerfacecolor="white", zorder=3)  # fmt: skip
    for label, value in (own or {}).items():
        axes.plot([value], [places[label]], "D", label="this run", color=INK, markersize=8,
                  markeredgecolor="white", zorder=4)  # fmt: skip
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(False, axis="y")
    _draw_ends(axes, ends, places)
    named = {line.get_label(): line for line in axes.lines}
    handles = [line for name, line in named.items() if not name.startswith("_")]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=2.8)
    return figure


def _draw_ends(axes, ends: Mapping, places: Mapping[str, int]) -> None:
    """Floor and ceiling: ticks in the rows of their labels, or one line with its word beside it."""
    lines = {name: end for name, end in ends.items() if isinstance(end, float | int)}
    for name, end in ends.items():
        style = {"color": PALE, "linewidth": 1.2, "linestyle": ENDS[name], "zorder": 2.5}
        for label, value in end.items() if isinstance(end, Mapping) else ():
            y = places[label]
            axes.plot([value, value], [y - 0.36, y + 0.36], label=name, **style)
        if name in lines:
            axes.axvline(end, **style)
    if lines:  # a band for the words, above the first row
        axes.set_ylim(top=-1.0)
    order, sides = sorted(lines, key=lines.get), {"floor": "left", "ceiling": "right"}
    if len(order) == 2:  # both words between the two lines where there is room, else outside
        room = lines[order[1]] - lines[order[0]] > 0.25 * np.ptp(axes.get_xlim())
        sides = dict(zip(order, ("left", "right") if room else ("right", "left"), strict=True))
    for name, end in lines.items():
        axes.text(end, -0.58, f" {name} ", ha=sides[name], color=PALE)


# --- the one picture of the series ---------------------------------------------------------------
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
# (part, corners of the arrow); the later ones cross over the earlier
ARROWS = [
    ("sentence", [(18, 43), (24, 43)]),
    ("embedding", [(37, 43), (49, 43)]),
    ("embedding", [(43, 43), (43, 23.3), (49, 23.3)]),
    ("embedding", [(43, 43), (43, 16.3), (49, 16.3)]),
    ("augmentation", [(63, 43), (67, 43)]),
    ("noise", [(73.5, 52.6), (73.5, 48)]),
    ("generator", [(80, 43), (84, 43)]),
    ("real", [(18, 4.8), (49, 4.8)]),
    ("real", [(34, 4.8), (34, 13.3), (49, 13.3)]),
    ("wrong", [(18, 25), (24, 25)]),
    ("wrong", [(37, 25), (40, 25), (40, 7.8), (49, 7.8)]),
    ("fake", [(91.5, 38), (91.5, 32), (59, 32), (59, 26.6)]),
    *(("fake", [(x, 23.3), (x + d, 23.3)]) for x, d in ((69, 5), (89, 4))),
    *(("real", [(x, 14.8), (x + d, 14.8)]) for x, d in ((69, 5), (89, 4))),
    *(("wrong", [(x, 6.3), (x + d, 6.3)]) for x, d in ((69, 5), (89, 4))),
]


def _flower(axes, x: float, y: float, grey: bool) -> None:
    colours = ("#DDDDDD", "#AAAAAA", "#CCCCCC") if grey else ("#7FB2DC", "#B5302A", "#F2D24B")
    sky, petal, centre = colours
    axes.add_patch(Rectangle((x - 5, y - 2.7), 10, 5.4, color=sky, zorder=3))
    for turn in np.arange(5) * 2 * np.pi / 5:
        place = (x + 1.25 * np.sin(turn), y + 1.25 * np.cos(turn))
        axes.add_patch(Circle(place, 1.05, color=petal, zorder=3))
    axes.add_patch(Circle((x, y), 0.8, color=centre, zorder=3))


@rc_context(STYLE)
def the_whole(
    changed: str | Collection[str] = (), legend: str = "what this notebook changes"
) -> Figure:
    """The one picture of the series: from a sentence to a picture to three scores.

    changed: the parts that this notebook changes; they are lit, as `legend` says, and the others
    grey. With none the whole is drawn in ink, as a map. Real, wrong and fake keep their colours
    throughout. Raises ValueError for a part that is not in WHOLE.
    """
    changed = {changed} if isinstance(changed, str) else set(changed)
    if unknown := changed - WHOLE.keys():
        raise ValueError(f"parts are {sorted(unknown)}; expected some of {', '.join(WHOLE)}")
    figure = Figure(figsize=(WIDTH, WIDTH * 0.59), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 100), ylim=(0, 59))
    axes.set_axis_off()
    rest = PALE if changed else INK  # the colour of what is not lit
    for part, corners in ARROWS:
        lit = part in changed
        colour, width = ROLES.get(part, INK if lit else rest), 2.6 if lit else 1.4
        halo = [withStroke(linewidth=width + 4, foreground="white")]
        axes.plot(*zip(*corners, strict=True), color=colour, linewidth=width, path_effects=halo)
        head = {"arrowstyle": "-|>", "color": colour, "linewidth": width}
        axes.annotate("", corners[-1], corners[-2], arrowprops={**head, "shrinkA": 0, "shrinkB": 0})
    for part, boxes in WHOLE.items():
        lit = part in changed
        for left, bottom, width, height, heading, body in boxes:
            role = part if part in ROLES else SCORES.get(body.strip("$"))
            box = FancyBboxPatch(
                (left + 0.5, bottom + 0.5), width - 1, height - 1, boxstyle="round,pad=0.5",
                facecolor=(LIT if lit else "white"), linewidth=2.6 if lit else 1.2,
                edgecolor=ROLES[role] if role else INK if lit else rest, gid=part, zorder=3,
            )  # fmt: skip
            axes.add_patch(box)
            x, y = left + width / 2, bottom + height / 2
            style = {"color": INK if lit else rest, "size": 10, "ha": "center", "va": "center"}
            if body == "flower":
                _flower(axes, x, y - 1.6, grey=bool(changed) and not lit)
            else:
                axes.text(x, y - 1.6 * bool(heading), body, **style)
            if heading:
                top = y + 3 if height == 10 else y + 4
                axes.text(x, top, heading, weight="bold", **style)
    if changed:
        axes.add_patch(Rectangle((1, 54.1), 2.4, 1.8, facecolor=LIT, edgecolor=INK))
        axes.text(4.4, 55, legend, va="center", size=10)
    return figure
