"""Curves and bars: what was measured over the steps, functions, points, numbers, several seeds."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib import rc_context
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from torch import Tensor

from t2i_utils.figures.page import (
    DASHES,
    DPI,
    INK,
    NEUTRAL,
    PALE,
    ROLES,
    SCORES,
    SIZE,
    STYLE,
    WIDTH,
    lines_high,
    wrapped,
)  # fmt: skip


# --- curves --------------------------------------------------------------------------------------
def _axes(height: float, title: str | None, **settings):
    """A figure of that height, in inches, with one pair of axes and their title."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot(**settings)
    if title:
        axes.set_title(wrapped(title, WIDTH - 2), loc="left", weight="bold", parse_math=False)
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
        panel.set_title(wrapped(name, WIDTH / columns - 0.3), loc="left", parse_math=False)
    if title:
        figure.suptitle(wrapped(title, WIDTH - 1), x=0.01, ha="left", weight="bold", size=SIZE + 1)
    return figure, axes


@rc_context(STYLE)
def lines(
    x: Float[Tensor, " n"] | Int[Tensor, " n"],
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
    far = centres.abs().max().item()
    reach = max(1.35 * far, far + 1.4 * radius)
    for panel, points in zip(axes, panels.values(), strict=True):
        for centre in centres.tolist():
            panel.add_patch(Circle(centre, radius, fill=False, edgecolor=ROLES["real"]))
        panel.scatter(*points.T.cpu(), s=2, color=ROLES["fake"], linewidths=0, alpha=0.6)
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    return figure


@rc_context(STYLE)
def paths(
    panels: Mapping[str, tuple[Float[Tensor, "n 2"], Callable]],
    reach: float,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
) -> Figure:
    """Walks in the plane, one panel a name, each with the field that it follows as small arrows.

    panels: title → the places [n, 2], from a ring to a square, and the field: x, y [k, k] to the
    two components [k, k]. Both axes go from −reach to reach; a cross stands at 0.
    """
    figure, axes = _panels(list(panels), 3, WIDTH / min(3, len(panels)) + 0.3, title)
    x, y = torch.meshgrid(2 * [torch.linspace(-0.9 * reach, 0.9 * reach, 13)], indexing="xy")
    for panel, (places, field) in zip(axes, panels.values(), strict=True):
        panel.quiver(x, y, *field(x, y), color=PALE, width=0.004, scale_units="xy", angles="xy")
        panel.plot(*places.T.cpu(), color=ROLES["fake"], linewidth=0.9)
        panel.plot(*places[0].tolist(), "o", color=INK, fillstyle="none")
        panel.plot(*places[-1].tolist(), "s", color=INK)
        panel.plot(0, 0, "+", color=INK)
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel=xlabel,
                  ylabel=ylabel)  # fmt: skip
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
    labels = [wrapped(label, 2.2) for label in stored]
    title = wrapped(title or "", WIDTH - 3.8)  # what long labels leave, in bold
    height = 1.0 + lines_high([title]) + max(0.3, lines_high(labels) + 0.12) * len(labels)
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
