"""What the figures draw, read back from their artists: data, colours, places of the text."""

import base64
import inspect
import io
import itertools
from html.parser import HTMLParser

import matplotlib
import nbclient
import nbformat
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch
from nbconvert import HTMLExporter
from PIL import Image

import series
from t2i_utils import figures

LONG = (
    "this flower has seven large pointed petals of a deep velvet red around a yellow centre, and "
    "it stands before a blue sky."
)
assert len(LONG) >= 120


def unchecked(function):
    """The function without the shape checks that these tests run under: a reader has none."""
    return inspect.unwrap(function)


def extents(figure):
    """Every text and every picture of the figure with the pixels it covers."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [*figure.texts, *itertools.chain(*(axes.texts for axes in figure.axes))]
    texts = [text for text in texts if text.get_text()]
    pictures = [axes for axes in figure.axes if axes.images]
    return [(artist, artist.get_window_extent(renderer)) for artist in (*texts, *pictures)]


def overlap(a, b) -> bool:
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5


def assert_apart(figure):
    found = extents(figure)
    page = figure.bbox
    for artist, box in found:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1
        assert inside, f"{artist} leaves the page: {box}"
    for (a, box_a), (b, box_b) in itertools.combinations(found, 2):
        assert not overlap(box_a, box_b), f"{a} and {b} overlap"


def images_of(figure):
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


# --- pictures ------------------------------------------------------------------------------------
def test_grid_shows_every_picture_with_its_own_caption():
    bytes_ = torch.randint(0, 256, (10, 3, 8, 8), dtype=torch.uint8)
    captions = [f"flower number {i}" for i in range(10)]
    figure = figures.grid(bytes_, captions, columns=4, title="ten of them")
    shown = images_of(figure)
    assert len(shown) == 10
    for pixels, picture in zip(shown, bytes_, strict=True):
        assert np.array_equal(pixels, picture.permute(1, 2, 0).numpy())
    texts = [text.get_text().replace("\n", " ") for text in figure.texts]
    assert texts == ["ten of them", *captions]
    places = [axes.get_position() for axes in figure.axes]
    assert len({round(place.x0, 4) for place in places}) == 4
    assert len({round(place.y0, 4) for place in places}) == 3
    assert all(place.width * figure.get_figwidth() == pytest.approx(
        place.height * figure.get_figheight()) for place in places)  # fmt: skip


def test_floats_and_bytes_give_the_same_picture():
    images = torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    (pixels,) = images_of(figures.grid(images))
    assert pixels[0, 0].tolist() in ([0, 127, 255], [0, 128, 255])
    (half,) = images_of(figures.grid(images.bfloat16()))
    assert np.array_equal(half, pixels)
    (array,) = images_of(figures.grid(pixels.transpose(2, 0, 1)[None]))
    assert np.array_equal(array, pixels)


@pytest.mark.parametrize("columns", [1, 3, 8])
def test_long_sentences_stay_off_each_other_in_a_grid(columns):
    images = torch.zeros(columns + 1, 3, 8, 8)
    captions = [LONG, "m" * 40, *["short"] * (columns - 1)]
    assert_apart(figures.grid(images, captions, columns=columns, title=LONG))


@pytest.mark.parametrize("columns", [1, 3, 8])
def test_long_sentences_stay_off_each_other_in_a_comparison(columns):
    images = torch.zeros(columns, 3, 8, 8)
    rows = {"GAN-CLS": images, "averaged weights, without any of the wrong pairs": images}
    assert_apart(figures.compare(rows, [LONG] * columns, title=LONG))


def test_dollars_and_backslashes_are_letters_not_formulas():
    words = r"costs $5 \frac{ and $6"
    figure = figures.grid(torch.zeros(1, 3, 8, 8), [words], title=words)
    assert figures.png(figure).startswith(b"\x89PNG")
    assert_apart(figure)
    figures.png(figures.curves({"a": torch.ones(3)}, "a", title=words))


def test_compare_puts_models_in_rows_and_sentences_in_columns():
    rows = {"one": torch.full((3, 3, 4, 4), -1.0), "two": torch.full((3, 3, 4, 4), 1.0)}
    figure = figures.compare(rows, ["a", "b", "c"])
    places = [axes.get_position() for axes in figure.axes]
    values = [pixels.mean() for pixels in images_of(figure)]
    assert values == [0, 0, 0, 255, 255, 255]
    assert len({round(place.x0, 4) for place in places}) == 3
    above = [place.y0 for place, value in zip(places, values, strict=True) if value == 0]
    below = [place.y0 for place, value in zip(places, values, strict=True) if value == 255]
    assert min(above) > max(below)
    label = {text.get_text(): text.get_position()[1] for text in figure.texts}
    assert label["a"] > label["one"] > label["two"]


def test_ticks_stand_on_the_pictures_that_are_ticked():
    rows = {"one": torch.zeros(3, 3, 4, 4), "two": torch.ones(3, 3, 4, 4)}
    ticked = {"one": [False, True, False], "two": [True, False, False]}
    figure = figures.compare(rows, ["a", "b", "c"], ticked=ticked)
    places = [axes.get_position() for axes in figure.axes]
    ticks = [text.get_position() for text in figure.texts if text.get_text() == "✓"]
    found = [[place.contains(*tick) for place in places].index(True) for tick in ticks]
    assert found == [1, 3]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(3, 8, 8), [r"\(3, 8, 8\)", r"expected \[N, 3, S, S\]"]),
        (torch.zeros(2, 1, 8, 8), [r"\(2, 1, 8, 8\)", "expected"]),
        (torch.zeros(0, 3, 8, 8), [r"\(0, 3, 8, 8\)", "at least 1"]),
        (torch.zeros(2, 3, 8, 8).long(), ["int64", "expected uint8, or a float"]),
        (np.zeros((2, 3, 8, 8)), ["float64", "expected uint8, or a float tensor"]),
        (torch.full((2, 3, 8, 8), 255.0), ["255", r"expected \[-1, 1\]"]),
        (torch.full((2, 3, 8, 8), torch.nan), ["nan", r"expected \[-1, 1\]"]),
    ],
)
def test_pictures_of_another_kind_are_named(images, words):
    for word in words:
        with pytest.raises(ValueError, match=word):
            unchecked(figures.grid)(images)
        with pytest.raises(ValueError, match=f"images of 'mine'.*{word}"):
            unchecked(figures.compare)({"mine": images}, ["a sentence"])


def test_wrong_numbers_of_captions_rows_columns_are_named():
    images = torch.zeros(3, 3, 8, 8)
    with pytest.raises(ValueError, match="captions are 2; expected 3"):
        figures.grid(images, ["a", "b"])
    with pytest.raises(ValueError, match="columns is 0"):
        figures.grid(images, columns=0)
    with pytest.raises(ValueError, match="'mine' are 3; expected 2"):
        figures.compare({"mine": images}, ["a", "b"])
    with pytest.raises(ValueError, match="0 rows and 1 sentences"):
        figures.compare({}, ["a"])


# --- curves --------------------------------------------------------------------------------------
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


# --- the one picture of the series ---------------------------------------------------------------
def boxes(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


@pytest.mark.parametrize("changed", [(), *({part} for part in figures.WHOLE), set(figures.WHOLE)])
def test_only_what_changes_is_lit(changed):
    figure = figures.the_whole(changed)
    for box in boxes(figure):
        lit = to_hex(box.get_facecolor()).upper() == figures.LIT
        assert lit == (box.get_gid() in changed), box.get_gid()
        if box.get_gid() in figures.ROLES:
            assert to_hex(box.get_edgecolor()).upper() == figures.ROLES[box.get_gid()]
    assert {box.get_gid() for box in boxes(figure)} == set(figures.WHOLE)


def test_no_text_of_the_whole_leaves_its_box_or_meets_another():
    figure = figures.the_whole(set(figures.WHOLE))  # lit: the widest edges, and the legend
    assert_apart(figure)
    found = [(text, box) for text, box in extents(figure) if "notebook" not in text.get_text()]
    frames = [box.get_window_extent() for box in boxes(figure)]
    for text, box in found:
        around = [f for f in frames if f.x0 + 3 < box.x0 and box.x1 < f.x1 - 3
                  and f.y0 + 2 < box.y0 and box.y1 < f.y1 - 2]  # fmt: skip
        assert len(around) == 1, f"{text.get_text()!r} is in {len(around)} boxes"
        assert text.get_fontsize() >= 9


def test_arrows_start_and_end_at_boxes():
    edges = [(x, y, x + w, y + h) for rows in figures.WHOLE.values() for x, y, w, h, *_ in rows]

    def on_edge(px, py):
        return any(
            x0 <= px <= x1 and y0 <= py <= y1 and (px in (x0, x1) or py in (y0, y1))
            for x0, y0, x1, y1 in edges
        )

    for part, corners in figures.ARROWS:
        assert part in figures.WHOLE
        assert on_edge(*corners[-1]), f"an arrow of {part} ends at {corners[-1]}, at no box"


def test_an_unknown_part_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"\['genrator'\].*generator.*discriminator"):
        figures.the_whole({"genrator", "encoder"})
    assert to_hex(
        next(b for b in boxes(figures.the_whole("encoder")) if b.get_gid() == "encoder")
        .get_facecolor()
    ).upper() == figures.LIT  # fmt: skip


# --- on the page ---------------------------------------------------------------------------------
def test_a_notebook_of_ten_figures_stays_small():
    noise = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(16, 3, 6, 6, generator=noise) * 2 - 1, size=64, mode="bicubic"
    ).clamp(-1, 1)
    smooth = (smooth + 0.03 * torch.randn(smooth.shape, generator=noise)).clamp(-1, 1)
    picture = figures.png(figures.grid(smooth, ["a red flower with round petals"] * 16))
    assert len(picture) < 200_000  # three of these and seven diagrams, in base64: 1.2 MB
    assert len(figures.png(figures.the_whole({"encoder"}))) < 60_000


def test_png_keeps_every_colour():
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    figure, exact = figures.grid(images), io.BytesIO()
    figure.savefig(exact, format="png", dpi=figures.DPI)
    exact = np.asarray(Image.open(exact).convert("RGB")).astype(int)
    small = np.asarray(Image.open(io.BytesIO(figures.png(figure))).convert("RGB")).astype(int)
    assert np.abs(small - exact).max() <= 2
    assert small[0, 0].tolist() == [255, 255, 255]


def test_neither_style_nor_pyplot_is_touched():
    before = dict(matplotlib.rcParams)
    open_before = pyplot.get_fignums()
    history = {"s_r": torch.randn(50)}
    with matplotlib.rc_context({"text.color": "red", "font.size": 30}):
        figure = figures.curves(history, "s_r", title="t")
        assert figure.axes[0].get_title(loc="left") == "t"
        assert figure.axes[0]._left_title.get_fontsize() <= 12
    for one in (figure, figures.the_whole(), figures.grid(torch.zeros(1, 3, 4, 4))):
        figures.show(one, "a figure")
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == open_before


@pytest.mark.parametrize("alt", ["", " \n"])
def test_show_refuses_an_empty_alt(alt):
    with pytest.raises(ValueError, match="alt is"):
        figures.show(figures.the_whole(), alt)


def test_show_does_nothing_in_a_script_but_close(capsys):
    figure = pyplot.figure()
    figures.show(figure, "an empty figure")
    assert capsys.readouterr().out == ""
    assert not pyplot.fignum_exists(figure.number)


class Alts(HTMLParser):
    """Collects the alt text of every picture of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.found.append(dict(attributes).get("alt"))


def test_alt_text_reaches_exported_html(tmp_path):
    alt = 'from a sentence to a picture, "lit": the encoder & <D>'
    source = (
        "from t2i_utils.figures import show, the_whole\n"
        f"show(the_whole({{'encoder'}}), alt={alt!r})"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    (output,) = notebook.cells[0].outputs
    assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")
    assert output.data["text/plain"] == alt  # what a terminal and a plain-text export say
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    assert Alts(page).found == [alt]
    series.write_html(notebook, tmp_path / "page.html")  # the project's own page
    assert Alts((tmp_path / "page.html").read_text(encoding="utf-8")).found == [alt]


# --- functions, distributions, numbers ---
def test_lines_draw_their_functions_in_the_colours_of_their_roles():
    x = torch.linspace(0, 1, 5)
    figure = figures.lines(x, {"p, real": x, "D": 1 - x}, "x", "density", log="y")
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    assert drawn["p, real"].get_ydata().tolist() == x.tolist()
    assert to_hex(drawn["p, real"].get_color()) == figures.ROLES["real"].lower()
    assert to_hex(drawn["D"].get_color()) not in {c.lower() for c in figures.ROLES.values()}
    assert figure.axes[0].get_yscale() == "log" and figure.axes[0].get_xscale() == "linear"
    with pytest.raises(ValueError, match="D has 4 values; expected 5"):
        unchecked(figures.lines)(x, {"D": x[1:]}, "x", "y")


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
def test_floor_and_ceiling_are_lines_with_their_words_beside_them(floor, ceiling):
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


def test_long_labels_of_a_spread_stay_off_each_other_and_on_the_page():
    stored = {LONG: [0.2, 0.3], "m" * 30: [0.1], "short": [], **{f"row {i}": [1.0] for i in "abc"}}
    figure = figures.spread(stored, {"short": 0.9}, floor=0.1, ceiling=1.0, title=LONG * 2)
    assert_apart(figure)
    renderer, axes = FigureCanvasAgg(figure).get_renderer(), figure.axes[0]
    texts = [*axes.get_yticklabels(), axes._left_title, *figure.legends[0].get_texts(), *axes.texts]
    found = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    for (a, box_a), (b, box_b) in itertools.combinations(found, 2):
        assert not overlap(box_a, box_b), f"{a} and {b} overlap"
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
