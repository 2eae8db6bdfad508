"""The report card as a figure: shares above, distances beneath."""

from collections.abc import Mapping, Sequence
from math import ceil, log10, nan

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from t2i_utils.figures.charts import ENDS
from t2i_utils.figures.page import (
    DPI,
    LINE,
    NEUTRAL,
    PALE,
    ROLES,
    SIZE,
    STYLE,
    WIDTH,
    lines_high,
    wrapped,
)

MARKS = ("D", "o", "s", "^", "v", "P", "*")  # told apart by their shapes in grey print, too
COLOURS = (*NEUTRAL, ROLES["fake"])  # what a generator draws is fake: green and orange are taken
BESIDE = {"blind": ENDS["floor"], "ceiling": ENDS["ceiling"]}
SMALL = SIZE - 2
Measures = Mapping[str, tuple[float, float]]  # row → value and standard error


@rc_context(STYLE)
def report_card(
    columns: Mapping[str, Measures], title: str | None = None, face: str | None = None
) -> Figure:
    """A row a measure, a mark a column (`Card.columns`), bars of two standard errors.

    Above the shares; beneath the Fréchet distance and KID, logarithmic, but linear about 0 where
    a value is not above it. "blind", the floor, and "ceiling" are dashed ticks, "parrot" is a
    cross; the others stand beneath one another in their row, so that none hides another. NaN is
    not drawn. `face` (`Card.face`) stands beneath. Raises ValueError where there is no column.
    """
    if not columns:
        raise ValueError("found no columns; expected one or more")
    rows = list(dict.fromkeys(row for measures in columns.values() for row in measures))
    far = [row for row in rows if row.startswith(("Fréchet", "KID"))]
    parts = [part for part in ([row for row in rows if row not in far], *zip(far)) if part]
    styles, places = _styles(columns), _places(columns)
    face = wrapped(face or "", (WIDTH - 0.9) * SIZE / SMALL)  # small letters run wider
    names = [wrapped(name, 1.2) for name in columns]  # five in a line of the legend
    keys = -(-len(names) // 5) * (lines_high(names) + 0.5 * LINE) + 0.1
    beneath = lines_high([face]) + keys + 0.1
    row = 0.24 + 0.02 * len(places)
    height = row * len(rows) + 0.55 * len(parts) + 3 * LINE + beneath
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(rect=(0, beneath / height, 1, 1 - beneath / height))
    ratios = [len(part) + 0.2 for part in parts]
    panels = figure.subplots(len(parts), 1, height_ratios=ratios, squeeze=False)[:, 0]
    for axes, part in zip(panels, parts, strict=True):
        if part[0] in far:
            _scale(axes, [measures.get(part[0], (nan, nan)) for measures in columns.values()])
        for name, measures in columns.items():
            found = [measures.get(row, (nan, nan)) for row in part]
            _draw_column(axes, found, styles[name], places.get(name))
        axes.set_yticks(range(len(part)), part, parse_math=False)
        axes.set_ylim(len(part) - 0.5, -0.5)
        axes.grid(False, axis="y")
        for y in range(1, len(part), 2):
            axes.axhspan(y - 0.5, y + 0.5, color="#F5F5F5", zorder=0)
        axes.set_xlabel("distance" if part[0] in far else "share")
    if title:
        title = wrapped(title, WIDTH - 3)
        panels[0].set_title(title, loc="left", weight="bold", parse_math=False)
    handles = [Line2D([], [], **({"linestyle": ""} | style)) for style in styles.values()]
    legend = figure.legend(
        handles, names, loc="upper center", bbox_to_anchor=(0.5, beneath / height),
        borderaxespad=0.3, ncols=5, handlelength=2.4, columnspacing=1,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.text(0.15 / WIDTH, 0.08 / height, face, size=SMALL, color=PALE, parse_math=False)
    return figure


def _styles(columns: Mapping[str, Measures]) -> dict[str, dict]:
    """Of every column, how it is drawn: a dashed tick, a cross, or a filled mark of its own."""
    styles, generators = {}, 0
    for name in columns:
        if name in BESIDE:
            styles[name] = {"color": PALE, "linewidth": 1.4, "linestyle": BESIDE[name]}
        elif name == "parrot":
            styles[name] = {"color": PALE, "marker": "x", "markersize": 6, "markeredgewidth": 1.6}
        else:
            styles[name] = {"color": COLOURS[generators % len(COLOURS)], "markersize": 6,
                            "marker": MARKS[generators % len(MARKS)],
                            "markeredgecolor": "white", "markeredgewidth": 0.5}  # fmt: skip
            generators += 1
    return styles


def _places(columns: Mapping[str, Measures]) -> dict[str, float]:
    """Of every column with a mark, how far below the middle of a row it stands."""
    names = [name for name in columns if name not in BESIDE]
    step = 0.6 / max(len(names) - 1, 1)
    return {name: (i - (len(names) - 1) / 2) * step for i, name in enumerate(names)}


def _draw_column(axes, measures: Sequence[tuple[float, float]], style: Mapping, below) -> None:
    """One column in one panel, a mark a row that is known; its errors as thin bars."""
    for y, (value, error) in enumerate(measures):
        if value != value:
            continue
        if below is None:
            axes.plot([value] * 2, [y - 0.42, y + 0.42], zorder=2.5, **style)
            continue
        if error == error:
            ends = [value - 2 * error, value + 2 * error]
            axes.plot(ends, [y + below] * 2, color=style["color"], linewidth=1)
        axes.plot([value], [y + below], linestyle="", zorder=3, **style)


def _scale(axes, measures: Sequence[tuple[float, float]]) -> None:
    """A logarithmic axis; where a bar reaches 0 or less, linear about 0 as far as that goes."""
    known = [(value, 2 * error if error == error else 0.0) for value, error in measures]
    known = [(value, error) for value, error in known if value == value] or [(1.0, 0.0)]
    least, most = (min(v - e for v, e in known), max(v + e for v, e in known))
    if least > 0:
        axes.set_xscale("log", subs=[])
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 300 * least else (1,)))
    elif least < 0:
        axes.set_xscale("symlog", linthresh=10.0 ** ceil(log10(-least)))
        axes.axvline(0, color="#999999", linewidth=0.8, zorder=0.5)
    axes.xaxis.set_major_formatter(
        lambda x, _: (f"{x:,.0f}" if abs(x) >= 1 else f"{x:g}").replace("-", "−")
    )
    axes.xaxis.set_minor_formatter("")
