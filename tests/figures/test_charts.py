"""Curves, bars, points and numbers, read back from what is drawn: data, colours, marks."""

import inspect

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from t2i_utils import figures


def test_curves_draw_the_running_mean_in_front_of_the_raw_values():
    values = torch.randn(100, generator=torch.Generator().manual_seed(0))
    axes = figures.curves({"loss_D": values}, "loss_D", smooth=5).axes[0]
    raw, smooth = axes.lines
    assert raw.get_alpha() < 0.3 < 1.5 < smooth.get_linewidth()
    assert np.allclose(raw.get_ydata(), values)
    expected = [values[max(0, i - 2) : i + 3].mean().item() for i in range(100)]
    assert np.allclose(smooth.get_ydata(), expected, atol=1e-6)
    assert smooth.get_xdata()[[0, -1]].tolist() == [1, 100]


def test_smoothing_never_moves_a_constant_or_asks_for_more_than_there_is():
    for window in (1, 2, 7, 1000, None):
        axes = figures.curves({"a": torch.full((9,), 3.0)}, ["a"], smooth=window).axes[0]
        assert np.allclose(axes.lines[-1].get_ydata(), 3.0)
        assert len(axes.lines[-1].get_ydata()) == 9


def test_steps_without_a_value_are_left_out():
    values = torch.tensor([torch.nan, 1.0, torch.nan, 3.0])
    line = figures.curves({"a": values}, "a", smooth=1).axes[0].lines[-1]
    assert line.get_xdata().tolist() == [2, 4] and line.get_ydata().tolist() == [1, 3]
    with pytest.raises(ValueError, match="a has no value"):
        figures.curves({"a": torch.full((3,), torch.nan)}, "a")


def test_roles_keep_their_colours_and_their_dashes():
    names = {"s_r": "real", "s_w": "wrong", "s_f": "fake", "loss_real": "real", "D_fake": "fake"}
    history = {name: torch.zeros(5) for name in [*names, "loss_G", "loss_D"]}
    figure = figures.curves(history, list(history))
    lines = {line.get_label().split(" ")[0]: line for line in figure.axes[0].lines}
    for name, role in names.items():
        assert to_hex(lines[name].get_color()).upper() == figures.ROLES[role]
    assert len({lines[name].get_linestyle() for name in ("s_r", "s_w", "s_f")}) > 1
    others = {to_hex(lines[name].get_color()).upper() for name in ("loss_G", "loss_D")}
    assert len(others) == 2 and not others & set(figures.ROLES.values())
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["s_r (real)", "s_w (wrong)", "s_f (fake)"]


def test_scores_are_drawn_as_probabilities():
    logits = torch.tensor([-100.0, -1.0, 0.0, 1.0, 100.0])
    figure = figures.curves({"s_r": logits}, "s_r", smooth=1, probability=True)
    assert np.allclose(figure.axes[0].lines[0].get_ydata(), torch.sigmoid(logits))
    # the mean is of probabilities: sigmoid of a mean of logits would say 0.5 to 100 and -10
    figure = figures.curves({"s_r": torch.tensor([100.0, -100.0, 100.0])}, "s_r", 3, None, True)
    assert figure.axes[0].lines[1].get_ydata()[1] == pytest.approx(2 / 3)


def test_what_the_history_lacks_is_named():
    history = {"s_r": torch.zeros(3), "odd": torch.zeros(3, 2)}
    with pytest.raises(ValueError, match="'s_x'; the history holds odd, s_r"):
        figures.curves(history, ["s_x"])
    with pytest.raises(ValueError, match=r"odd has the shape \(3, 2\); expected \[steps\]"):
        figures.curves(history, ["odd"])
    with pytest.raises(ValueError, match="smooth is 0"):
        figures.curves(history, ["s_r"], smooth=0)


def test_lines_draw_their_functions_in_the_colours_of_their_roles():
    x = torch.linspace(0, 1, 5)
    figure = figures.lines(x, {"p, real": x, "D": 1 - x}, "x", "density", log="y")
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    assert drawn["p, real"].get_ydata().tolist() == x.tolist()
    assert to_hex(drawn["p, real"].get_color()) == figures.ROLES["real"].lower()
    assert to_hex(drawn["D"].get_color()) not in {c.lower() for c in figures.ROLES.values()}
    assert figure.axes[0].get_yscale() == "log" and figure.axes[0].get_xscale() == "linear"
    with pytest.raises(ValueError, match="D has 4 values; expected 5"):
        inspect.unwrap(figures.lines)(x, {"D": x[1:]}, "x", "y")


def test_the_game_draws_densities_d_and_where_z_goes():
    x = torch.linspace(-1, 1, 21)
    one = {"p_g": x.abs(), "D": 0.5 + 0 * x, "G": torch.tensor([-0.5, 0.0, 0.5])}
    figure = figures.game(x, 1 - x.abs(), {"step 0": one, "step 9": one | {"p_g": 0 * x}})
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["step 0", "step 9"]
    for panel, p_g in zip(figure.axes, (x.abs(), 0 * x), strict=True):
        curves = {line.get_label(): [*map(float, line.get_ydata())] for line in panel.lines}
        assert curves["generator $p_g$ (fake)"] == p_g.tolist()
        assert curves["data $p$ (real)"] == (1 - x.abs()).tolist()
        assert curves["$D(x)$"] == one["D"].tolist()
        ways = [tuple(line.get_xdata()) for line in panel.lines if line.get_alpha() == 0.5]
        assert ways == [(-1, -0.5), (0, 0), (1, 0.5)]


def test_paths_show_the_walk_its_ends_and_the_field():
    walk = torch.tensor([[1.0, 0.0], [0.0, 0.5], [-0.5, 0.0]])
    figure = figures.paths({"a": (walk, lambda x, y: (-y, x)), "b": (walk, lambda x, y: (x, y))},
                           2.0, "θ", "ψ")  # fmt: skip
    for panel, sign in zip(figure.axes, (-1, 1), strict=True):
        path, start, end, _ = panel.lines
        assert path.get_xydata().tolist() == walk.tolist()
        assert start.get_xydata().tolist() == [[1.0, 0.0]] and start.get_marker() == "o"
        assert end.get_xydata().tolist() == [[-0.5, 0.0]] and end.get_marker() == "s"
        arrows = panel.collections[0]
        assert arrows.U[0] * sign < 0 and len(arrows.U) == 169  # at the corner (−, −)
        assert panel.get_xlabel() == "θ" and panel.get_ylim() == (-2.0, 2.0)


def test_clouds_show_every_point_and_every_ring():
    centres = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    panels = {"bad": torch.zeros(7, 2), "good": torch.ones(3, 2)}
    figure = figures.clouds(panels, centres, radius=0.3)
    for panel, points in zip(figure.axes, panels.values(), strict=True):
        assert panel.collections[0].get_offsets().tolist() == points.tolist()
        assert [(tuple(ring.center), ring.radius) for ring in panel.patches] == [
            ((1.0, 0.0), 0.3), ((0.0, 2.0), 0.3)]  # fmt: skip
        assert panel.get_xlim()[1] > 2 and panel.get_ylim()[1] > 2


def test_tables_write_every_number_in_its_place():
    values = torch.tensor([[1.0, 2.5], [0.0, -3.0], [4.0, 4.0]])
    panel = figures.tables({"x": values, "y": values[:1]}).axes[0]
    written = {text.get_position(): text.get_text() for text in panel.texts}
    assert written == {(c, r): f"{values[r, c]:g}" for r in range(3) for c in range(2)}


def test_bars_are_as_long_as_the_mean_and_show_each_value():
    figure = figures.bars({"full": [1.0, 1.0], "broken": [1.5, 2.5]}, "ratio", reference=1.0)
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [1.0, 2.0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["full", "broken"]
    assert [list(line.get_xdata()) for line in axes.lines][:2] == [[1.0, 1.0], [1.5, 2.5]]


def marks(figure, marker):
    """Of every line with that marker: row → x, sorted."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() == marker]
    return {int(line.get_ydata()[0]): sorted(line.get_xdata()) for line in lines}


def upright(figure):
    """Dashed lines: x and both ends, in rows, or in shares of the height where they are whole."""
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    return sorted((line.get_xdata()[0], *map(float, line.get_ydata())) for line in lines)


def test_a_spread_shows_other_seeds_and_the_own_run_in_one_row():
    stored = {"shape": [0.5, 0.4, 0.6], "colour": [0.9], "rim": [], "size": [0.7, 0.8]}
    figure = figures.spread(stored, {"shape": 0.55, "rim": 0.3}, xlabel="share", title="seeds")
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(stored)
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first row is on top"
    assert marks(figure, "o") == {0: [0.4, 0.5, 0.6], 1: [0.9], 3: [0.7, 0.8]}
    assert marks(figure, "D") == {0: [0.55], 2: [0.3]}
    assert marks(figure, "") == {0: [0.4, 0.6], 1: [0.9, 0.9], 3: [0.7, 0.8]}
    assert axes.get_xlabel() == "share" and axes.get_title(loc="left") == "seeds"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["other seeds", "this run"]


def test_the_own_run_is_told_without_colour():
    axes = figures.spread({"a": [1.0, 2.0]}, {"a": 1.5}).axes[0]
    circle, diamond = (next(line for line in axes.lines if line.get_marker() == m) for m in "oD")
    assert to_hex(circle.get_markerfacecolor()) == "#ffffff"
    assert to_hex(diamond.get_markerfacecolor()) == figures.INK
    assert diamond.get_zorder() > circle.get_zorder()
    for line in axes.lines:
        red, green, blue = bytes.fromhex(to_hex(line.get_color())[1:])
        assert red == green == blue


def test_a_spread_without_an_own_run_and_with_nothing_but_one():
    assert marks(figures.spread({"a": [1.0, 2.0]}), "D") == {}
    figure = figures.spread({"a": [], "b": [np.nan, 3.0]}, {"a": 4.0, "b": np.nan})
    assert marks(figure, "o") == {1: [3]} and marks(figure, "")[1] == [3, 3]
    assert marks(figure, "D")[0] == [4] and np.isnan(marks(figure, "D")[1][0])
    assert figures.png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(("floor", "ceiling"), [(0.25, 1.0), (0.25, None), (None, 1.0), (9.0, 8.9),
                                                (0.25, 0.26), (0.5, 0.5)])  # fmt: skip
def test_floor_and_ceiling_are_lines_with_their_words_beside_them(
    floor, ceiling, extents, assert_apart
):
    stored = {"one": [0.3, 0.5], "two": [0.4]}
    figure = figures.spread(stored, floor=floor, ceiling=ceiling, title="between the two")
    axes, given = figure.axes[0], {"floor": floor, "ceiling": ceiling}
    expected = {name: end for name, end in given.items() if end is not None}
    assert upright(figure) == sorted((end, 0.0, 1.0) for end in expected.values())
    assert {text.get_text().strip(): text.get_position()[0] for text in axes.texts} == expected
    assert_apart(figure)
    low, high = sorted(axes.get_xlim())
    assert all(low < end < high for end in expected.values())
    top = axes.transData.transform((0, -0.36))[1]  # where the first row's marks end
    assert all(box.y0 >= top for artist, box in extents(figure) if artist in axes.texts)


def test_rows_may_have_ends_of_their_own():
    stored = {"colour": [0.9], "rim": [0.8], "size": []}
    figure = figures.spread(stored, floor={"size": 0.5, "colour": 0.14}, ceiling={"rim": 0.97})
    found = [(x, round((a + b) / 2), b - a) for x, a, b in upright(figure)]
    assert [(x, row) for x, row, _ in found] == [(0.14, 0), (0.5, 2), (0.97, 1)]
    assert all(0.5 < height < 1 for *_, height in found), "ticks of neighbours do not touch"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["other seeds", "floor", "ceiling"]
    dashes = {line.get_label(): line._dash_pattern for line in figure.axes[0].lines
              if line.get_linestyle() == "--"}  # fmt: skip
    assert dashes["floor"] != dashes["ceiling"]


def test_long_labels_of_a_spread_stay_off_each_other_and_on_the_page(
    assert_off_each_other, assert_apart, long
):
    stored = {long: [0.2, 0.3], "m" * 30: [0.1], "short": [], **{f"row {i}": [1.0] for i in "abc"}}
    figure = figures.spread(stored, {"short": 0.9}, floor=0.1, ceiling=1.0, title=long * 2)
    assert_apart(figure)
    renderer, axes = FigureCanvasAgg(figure).get_renderer(), figure.axes[0]
    texts = [*axes.get_yticklabels(), axes._left_title, *figure.legends[0].get_texts(), *axes.texts]
    found = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    assert_off_each_other(found)
    for text, box in found:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1, f"{text} leaves the page"
        assert box.y1 <= figure.bbox.y1 + 0.5, f"{text} leaves the page"
    assert axes.get_window_extent(renderer).width > 0.5 * figure.bbox.width


def test_a_label_that_the_stored_runs_lack_is_named():
    for given in ({"own": {"odd": 1.0}}, {"floor": {"odd": 1.0}}, {"ceiling": {"odd": 1.0}}):
        with pytest.raises(ValueError, match=f"{[*given][0]} has 'odd'; stored holds a, b"):
            figures.spread({"a": [1.0], "b": []}, **given)


def test_the_plane_shows_every_point_and_each_name_amid_its_own():
    groups = {"red": torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 5.0]]),
              "else": torch.ones(4, 2) * 9}  # fmt: skip
    axes = figures.plane(groups).axes[0]
    drawn = {tuple(map(tuple, dots.get_offsets().data.tolist())) for dots in axes.collections}
    assert drawn == {tuple(map(tuple, points.tolist())) for points in groups.values()}
    assert {text.get_text(): text.get_position() for text in axes.texts} == {
        "red": (1, 1), "else": (9, 9)}  # fmt: skip
    assert to_hex(axes.collections[0].get_facecolor()[0]) == to_hex("red")
    marks = {dots.get_paths()[0].vertices.tobytes() for dots in axes.collections}
    assert len(marks) == 2, "groups are told apart without colour, too"
