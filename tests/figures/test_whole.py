"""The one picture of the series: what is lit, where the arrows go, where the words stand."""

import ast
import itertools

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch

import series
from t2i_utils import figures


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


def test_no_text_of_the_whole_leaves_its_box_or_meets_another(extents, assert_apart):
    figure = figures.the_whole(set(figures.WHOLE))  # lit: the widest edges, and the legend
    assert_apart(figure)
    found = [(text, box) for text, box in extents(figure) if "notebook" not in text.get_text()]
    frames = [box.get_window_extent() for box in boxes(figure)]
    for text, box in found:
        around = [f for f in frames if f.x0 + 3 < box.x0 and box.x1 < f.x1 - 3
                  and f.y0 + 2 < box.y0 and box.y1 < f.y1 - 2]  # fmt: skip
        assert len(around) == 1, f"{text.get_text()!r} is in {len(around)} boxes"
        assert text.get_fontsize() >= 9


def arrows(figure):
    """Of each arrow: whether it is lit, and the parts at whose boxes' edges it starts and ends."""
    edges = [(part, x, round(x + w, 6), y, round(y + h, 6))
             for part, rows in figures.WHOLE.items() for x, y, w, h, *_ in rows]  # fmt: skip

    def at(px, py):
        found = {
            part
            for part, x0, x1, y0, y1 in edges
            if px in (x0, x1) and y0 <= py <= y1 or py in (y0, y1) and x0 <= px <= x1
        }
        assert len(found) == 1, f"an arrow has an end at {px, py}: at {found or 'no box'}"
        return found.pop()

    thin, thick = 1.4, 2.6
    for line in figure.axes[0].lines:
        assert line.get_linewidth() in (thin, thick)
        yield line.get_linewidth() == thick, at(*line.get_xydata()[0]), at(*line.get_xydata()[-1])


def lit_by_notebooks():
    """What each notebook of the series lights up."""
    for path in series.notebooks():
        for cell in series.read(path).cells:
            for node in ast.walk(ast.parse(cell.source if cell.cell_type == "code" else "")):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "figures.the_whole":
                    yield ast.literal_eval(node.args[0]) if node.args else set()


@pytest.mark.parametrize("changed", [
    *lit_by_notebooks(), *map(set, itertools.combinations(figures.WHOLE, 2)), set(figures.WHOLE),
    {"embedding", "generator", "discriminator", "real", "fake"},
    {"embedding", "augmentation", "generator", "picture"},
], ids=lambda changed: "+".join(sorted(changed)))  # fmt: skip
def test_an_arrow_is_lit_from_one_lit_box_to_another(changed):
    found = list(arrows(figures.the_whole(changed)))
    for lit, source, target in found:
        assert lit == ({source, target} <= changed), f"{source} to {target}"
    assert len(found) >= len(figures.ARROWS)
    strong = {"#222222", *figures.ROLES.values()}
    for line in figures.the_whole(changed).axes[0].lines:  # an arrow in a strong colour looks lit
        assert (to_hex(line.get_color()).upper() in strong) == (line.get_linewidth() == 2.6)


def test_a_map_keeps_the_colours_of_its_arrows():
    colours = {to_hex(line.get_color()).upper() for line in figures.the_whole().axes[0].lines}
    assert colours == {"#222222", *figures.ROLES.values()}


def test_without_the_augmentation_the_embedding_goes_straight_to_the_generator():
    def straight(*changed):
        return (True, "embedding", "generator") in arrows(figures.the_whole(changed))

    assert straight("embedding", "generator") and straight("embedding", "generator", "noise")
    assert not straight("embedding", "generator", "augmentation") and not straight("generator")
    assert len(list(arrows(figures.the_whole()))) == len(figures.ARROWS)


def test_an_unknown_part_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"\['genrator'\].*generator.*discriminator"):
        figures.the_whole({"genrator", "encoder"})
    assert to_hex(
        next(b for b in boxes(figures.the_whole("encoder")) if b.get_gid() == "encoder")
        .get_facecolor()
    ).upper() == figures.LIT  # fmt: skip
