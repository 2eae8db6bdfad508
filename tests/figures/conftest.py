"""What the tests of figures share: what is drawn where, and that nothing lies on anything."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg


@pytest.fixture
def long():
    """A sentence of 121 letters."""
    return (
        "this flower has seven large pointed petals of a deep velvet red around a yellow centre, "
        "and it stands before a blue sky."
    )


@pytest.fixture
def extents():
    """Of a figure: every text and every picture with the pixels it covers."""

    def found(figure):
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        texts = [*figure.texts, *itertools.chain(*(axes.texts for axes in figure.axes))]
        texts = [text for text in texts if text.get_text()]
        pictures = [axes for axes in figure.axes if axes.images]
        return [(artist, artist.get_window_extent(renderer)) for artist in (*texts, *pictures)]

    return found


@pytest.fixture
def assert_off_each_other():
    """Of pairs of an artist and the pixels it covers, no two overlap."""

    def check(found):
        for (a, one), (b, two) in itertools.combinations(found, 2):
            wide = min(one.x1, two.x1) - max(one.x0, two.x0)
            high = min(one.y1, two.y1) - max(one.y0, two.y0)
            assert min(wide, high) <= 0.5, f"{a} and {b} overlap"

    return check


@pytest.fixture
def assert_apart(extents, assert_off_each_other):
    """Every text and picture of a figure is on the page and off the others."""

    def check(figure):
        found, page = extents(figure), figure.bbox
        for artist, box in found:
            inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1
            assert inside, f"{artist} leaves the page: {box}"
        assert_off_each_other(found)

    return check
