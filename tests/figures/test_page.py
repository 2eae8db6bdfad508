"""What reaches the page: small pictures with every colour, and the words that stand for them."""

import base64
import io
import re
from html.parser import HTMLParser

import matplotlib
import nbclient
import nbformat
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from nbconvert import HTMLExporter
from PIL import Image

import series
from t2i_utils import figures


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
    assert output.data["text/plain"] == alt  # what a terminal and a plain-text export say
    # The picture stands there once: twice, a notebook would pass its 1.5 MB.
    assert set(output.data) == {"text/html", "text/plain"}
    picture = re.fullmatch(
        '<img [^<>]* src="data:image/png;base64,(.*)">', output.data["text/html"]
    )
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")
    for template in ("classic", "lab"):
        page, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
        assert Alts(page).found == [alt]
    series.write_html(notebook, tmp_path / "page.html")  # the project's own page
    assert Alts((tmp_path / "page.html").read_text(encoding="utf-8")).found == [alt]
