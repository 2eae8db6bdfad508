"""The report card and the blind test on paper."""

import itertools

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from t2i_utils import figures
from t2i_utils.figures.cards import MARKS
from t2i_utils.figures.charts import ENDS

NAN = float("nan")


def column(shift):
    return {
        "petal_colour": (0.5 + shift, 0.02),
        "stamens, named − not": (-0.1 + shift, NAN),
        "R-precision by θ": (NAN, NAN),
        "Fréchet distance": (100 + 50 * shift, 3.0),
        "KID": (-4.0 + 20 * shift, 2.0),
    }


FIVE = ("mine", "another", "a third", "a fourth", "a fifth")


@pytest.fixture
def columns():
    names = (*FIVE, "blind", "parrot", "ceiling")
    return {name: column(0.1 * i) for i, name in enumerate(names)}


@pytest.fixture
def drawn(columns):
    return figures.report_card(columns, "who?", "64 px, 256 sentences")


def words(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def look(line):
    return line.get_marker(), to_hex(line.get_color()), line._unscaled_dash_pattern


def keys(figure):
    """How each column is drawn, by the legend."""
    (legend,) = figure.legends
    names = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    return {name: look(line) for name, line in zip(names, legend.get_lines(), strict=True)}


def marks(figure):
    """(column, row) → every (value, height in the row) that is drawn with the column's mark."""
    names, found = {style: name for name, style in keys(figure).items()}, {}
    for axes in figure.axes:
        for line in axes.lines:
            x, y = line.get_xdata(), line.get_ydata()
            middle = sum(y) / len(y)
            if look(line) in names and len(set(x)) == 1:
                where = names[look(line)], words(axes)[round(middle)]
                found.setdefault(where, []).append((x[0], middle - round(middle)))
    return found


def test_shares_stand_above_and_each_distance_beneath_on_its_own_axis(drawn, columns):
    above, frechet, kid = drawn.axes
    assert words(above) == ["petal_colour", "stamens, named − not", "R-precision by θ"]
    assert words(frechet) == ["Fréchet distance"] and words(kid) == ["KID"]
    assert above.get_xscale() == "linear" and frechet.get_xscale() == "log"
    assert kid.get_xscale() == "symlog", "KID may be below 0"
    far = {name: own | {"KID": (5.0, 1.0)} for name, own in columns.items()}
    assert figures.report_card(far).axes[2].get_xscale() == "log"


def test_every_number_has_one_mark_where_it_is_and_nan_has_none(drawn, columns):
    expected = {(name, row): value for name, own in columns.items()
                for row, (value, _) in own.items() if value == value}  # fmt: skip
    found = marks(drawn)
    assert {where: [x for x, _ in places] for where, places in found.items()} == {
        where: [value] for where, value in expected.items()}  # fmt: skip
    for axes in drawn.axes:
        low, high = axes.get_xlim()
        assert all(low < line.get_xdata()[0] < high for line in axes.lines if look(line) in
                   keys(drawn).values())  # fmt: skip


def test_equal_numbers_do_not_hide_one_another():
    names = (*FIVE, "parrot")
    figure = figures.report_card({name: {"size": (0.5, 0.1)} for name in names})
    heights = [places[0][1] for places in marks(figure).values()]
    assert len(heights) == 6 and max(map(abs, heights)) < 0.4
    for one, two in itertools.pairwise(sorted(heights)):
        assert two - one > 0.1


def test_a_row_of_any_column_is_drawn_and_what_lacks_it_has_no_mark(columns):
    rows = dict.fromkeys(columns["mine"], (NAN, NAN))
    figure = figures.report_card({"mine": {"size": (0.1, 0.1)}, "another": rows | {
        "recall": (0.2, 0.1)}})  # fmt: skip
    assert list(marks(figure)) == [("mine", "size"), ("another", "recall")]
    assert figures.png(figure).startswith(b"\x89PNG")


def test_generators_differ_in_mark_and_colour_and_take_no_role(drawn):
    own = [keys(drawn)[name] for name in FIVE]
    assert len({mark for mark, _, _ in own}) == len({colour for _, colour, _ in own}) == 5
    assert {mark for mark, _, _ in own} <= set(MARKS)
    taken = {figures.ROLES[role].lower() for role in ("real", "wrong")}
    assert not taken & {colour for _, colour, _ in own}


def test_beside_stand_the_dashes_of_floor_and_ceiling_and_a_cross(drawn):
    assert list(keys(drawn)) == [*FIVE, "blind", "parrot", "ceiling"]
    assert keys(drawn)["blind"][2] == ENDS["floor"]
    assert keys(drawn)["ceiling"][2] == ENDS["ceiling"]
    assert keys(drawn)["parrot"][0] == "x"


def test_bars_are_two_standard_errors_and_unknown_ones_are_not_drawn():
    figure = figures.report_card({"mine": {"size": (0.5, 0.02), "layers": (0.3, NAN)}})
    bars = [line for line in figure.axes[0].lines if line.get_marker() == ""]
    assert [list(line.get_xdata()) for line in bars] == [pytest.approx([0.46, 0.54])]
    assert list(bars[0].get_ydata()) == [0, 0]


def test_any_name_is_in_the_legend_as_it_is_written():
    names = ["_mine", r"$\frac{$", "a_b"]
    figure = figures.report_card({name: column(0.1) for name in names}, title=r"$5 \frac{ $6")
    assert list(keys(figure)) == names and figures.png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("generators", [0, 1, 5])
def test_the_face_stands_beneath_and_everything_is_apart(
    generators, columns, long, assert_off_each_other
):
    names = (*FIVE[:generators], "blind", "parrot", "ceiling")
    columns = {f"{name}, seventh run, averaged weights": columns[name] for name in names}
    figure = figures.report_card(columns, long, " ".join([long] * 4))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    (face,) = figure.texts
    assert face.get_text().replace("\n", " ") == " ".join([long] * 4)
    found = [(part, part.get_tightbbox(renderer)) for part in (face, *figure.legends, *figure.axes)]
    assert_off_each_other(found)
    assert found[0][1].y1 < min(box.y0 for _, box in found[1:])
    for part, box in found:
        assert 0 <= box.x0 and 0 <= box.y0, f"{part} leaves the page"
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, f"{part} leaves the page"


def test_no_column_is_an_error():
    with pytest.raises(ValueError, match="found no columns"):
        figures.report_card({})


def question(pictures=1, answer=0):
    return figures.Question(torch.rand(pictures, 3, 8, 8), ["a red one", "a blue one"], answer,
                            "which?")  # fmt: skip


def test_a_question_shows_its_pictures_and_its_choices():
    figure = figures.blind_test([question(), question(2)])
    assert len(figure.axes) == 3
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("which?") == 2 and texts.count("1. a red one\n2. a blue one") == 2


def test_the_answers_are_not_shown():
    torch.manual_seed(0)
    first = figures.blind_test([question(answer=0)])
    second = figures.blind_test([question(answer=1)])
    for a, b in zip(first.texts, second.texts, strict=True):
        assert a.get_text() == b.get_text() and a.get_color() == b.get_color()
    with pytest.raises(ValueError, match="found no questions"):
        figures.blind_test([])


@pytest.mark.parametrize("pictures", [1, 2, 7])
def test_long_sentences_stay_off_the_pictures_and_on_the_page(pictures, long, assert_apart):
    long = f"{long} It is one flower and no more."  # 150 letters, more or less
    images = torch.rand(pictures, 3, 8, 8)
    questions = [figures.Question(images, [long] * 4, 2, long) for _ in range(2)]
    assert_apart(figures.blind_test([*questions, question(2)]))
