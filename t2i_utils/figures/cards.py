"""The report card as a figure: shares above, distances beneath."""

from collections.abc import Mapping

from matplotlib import rc_context
from matplotlib.figure import Figure

from t2i_utils.figures.page import DPI, INK, NEUTRAL, PALE, ROLES, STYLE, WIDTH, wrapped

# Told apart by their shapes in grey print, too. Who stands beside has a line for a mark.
MARKS = ("D", "o", "s", "^", "v", "P", "X")
COLOURS = (INK, ROLES["fake"], NEUTRAL[1], NEUTRAL[2], ROLES["wrong"], ROLES["real"], NEUTRAL[3])
BESIDE = {"blind": (0, (4, 2)), "ceiling": (0, (1.5, 1.5))}  # floor and ceiling, as in `spread`
Measures = Mapping[str, tuple[float, float]]  # row → value and standard error


@rc_context(STYLE)
def report_card(columns: Mapping[str, Measures], title: str | None = None) -> Figure:
    """A row a measure, a mark a column (`Card.columns`), bars of two standard errors.

    Above the shares, beneath, on a logarithmic axis, the Fréchet distance, and KID where it is
    above 0. "blind", the floor, and "ceiling" are dashed ticks, "parrot" is a cross. NaN is not
    drawn. Raises ValueError where there is no column.
    """
    if not columns:
        raise ValueError("found no columns; expected one or more")
    rows = list(next(iter(columns.values())))
    far = [row for row in rows if row.startswith(("Fréchet", "KID"))]
    parts = [part for part in ([row for row in rows if row not in far], far) if part]
    height = 1.2 + 0.3 * len(rows) + 0.5 * len(parts)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    ratios = [len(part) + 1 for part in parts]
    panels = figure.subplots(len(parts), 1, height_ratios=ratios, squeeze=False)
    for axes, part in zip(panels.flat, parts, strict=True):
        for mark, (name, measures) in enumerate(columns.items()):
            _draw_column(axes, name, mark, [measures.get(row, (float("nan"),) * 2) for row in part])
        axes.set_yticks(range(len(part)), part)
        axes.set_ylim(len(part) - 0.4, -0.6)
        axes.grid(False, axis="y")
        axes.set_xscale("log" if part is far else "linear")
        axes.set_xlabel("distance" if part is far else "share")
    if title:
        panels[0, 0].set_title(wrapped(title, WIDTH - 3), loc="left", weight="bold")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, handlelength=2.4)
    return figure


def _draw_column(axes, name: str, mark: int, measures: list[tuple[float, float]]) -> None:
    """One column's marks in one panel; the errors as thin bars."""
    if name in BESIDE:
        style = {"color": PALE, "linewidth": 1.4, "linestyle": BESIDE[name]}
        for y, (value, _) in enumerate(measures):
            label = None if y else name
            axes.plot([value] * 2, [y - 0.38, y + 0.38], label=label, zorder=2.5, **style)
        return
    parrot = name == "parrot"
    colour = PALE if parrot else COLOURS[mark % len(COLOURS)]
    values = [value for value, _ in measures]
    errors = [2 * error if error == error else 0.0 for _, error in measures]
    axes.errorbar(
        values, range(len(values)), xerr=errors, label=name, fmt="x" if parrot else
        MARKS[mark % len(MARKS)], color=colour, markersize=7, markeredgecolor=colour if parrot else
        "white", elinewidth=1, zorder=3,
    )  # fmt: skip
