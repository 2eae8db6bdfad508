"""The sentence box: pressed as a reader would press it, in a notebook that is only pretended."""

import base64
import builtins
import re
import types
import warnings

import IPython
import pytest
import torch

from t2i_utils import figures, widgets


@pytest.fixture
def box(monkeypatch):
    """Opens a sentence box; gives its text, its button and what stands beneath."""

    def open_box(draw, sentence=""):
        displayed = []
        monkeypatch.setattr(widgets, "_in_notebook", lambda: True)
        monkeypatch.setattr("IPython.display.display", displayed.append)
        widgets.sentence_box(draw, sentence)
        (row, result) = displayed[0].children
        text, button = row.children
        return text, button, result

    return open_box


def test_a_click_draws_the_sentence_that_stands_there(box):
    asked = []

    def draw(sentence):
        asked.append(sentence)
        return figures.grid(torch.zeros(1, 3, 8, 8), [sentence])

    text, button, result = box(draw, "a red flower")
    assert text.value == "a red flower" and result.value == "" and asked == []
    button.click()
    text.value = 'a <b>"blue"</b> flower'
    button.click()
    assert asked == ["a red flower", 'a <b>"blue"</b> flower']
    data = re.search(r'src="data:image/png;base64,([^"]+)"', result.value).group(1)
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert 'alt="what the model draws for: a &lt;b&gt;&quot;blue' in result.value
    assert not button.disabled


def test_return_draws_too(box):
    asked = []
    text, _, _ = box(lambda sentence: asked.append(sentence) or figures.the_whole(), "a flower")
    text._handle_string_msg(text, {"event": "submit"}, [])
    assert asked == ["a flower"]


def test_errors_and_warnings_stand_beneath_as_text(box):
    def draw(sentence):
        warnings.warn("dropped: <é>", stacklevel=2)
        if not sentence:
            raise ValueError("the sentence is empty; expected some words")
        return figures.the_whole()

    text, button, result = box(draw)
    button.click()
    assert "<p>dropped: &lt;é&gt;</p>" in result.value
    assert "ValueError: the sentence is empty; expected some words" in result.value
    assert "<img" not in result.value and not button.disabled
    for _ in range(2):  # Python shows a warning once a place; the box shows it every time
        text.value = "é"
        button.click()
        assert "dropped" in result.value and "<img" in result.value
        assert "ValueError" not in result.value


def test_without_a_notebook_one_line_is_printed(capsys):
    widgets.sentence_box(lambda sentence: pytest.fail("nothing is to be drawn"), "a flower")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_kernel_is_a_notebook_and_a_terminal_is_none(monkeypatch):
    monkeypatch.setattr(IPython, "get_ipython", lambda: types.SimpleNamespace(kernel=object()))
    assert widgets._in_notebook()
    monkeypatch.setattr(IPython, "get_ipython", lambda: types.SimpleNamespace())
    assert not widgets._in_notebook()


def test_without_ipywidgets_one_line_is_printed(monkeypatch, capsys):
    load = builtins.__import__

    def lacking(name, *rest, **more):
        if name.startswith("ipywidgets"):
            raise ImportError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(IPython, "get_ipython", lambda: types.SimpleNamespace(kernel=object()))
    monkeypatch.setattr(builtins, "__import__", lacking)
    widgets.sentence_box(lambda sentence: pytest.fail("nothing is to be drawn"))
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.fixture
def moved(monkeypatch):
    """Opens a slider; gives the slider itself and what stands beneath."""

    def open_slider(draw, labels):
        displayed = []
        monkeypatch.setattr(widgets, "_in_notebook", lambda: True)
        monkeypatch.setattr("IPython.display.display", displayed.append)
        widgets.slider(draw, labels)
        return displayed[0].children

    return open_slider


def test_the_slider_shows_the_picture_of_its_place_and_draws_each_once(moved):
    asked = []

    def draw(place):
        asked.append(place)
        return figures.grid(torch.full((1, 3, 8, 8), place / 10), [f"place {place}"])

    choice, result = moved(draw, ["0", "50", "200"])
    first = result.value
    assert asked == [0] and 'alt="step 0"' in first
    choice.value = 2
    assert 'alt="step 200"' in result.value and result.value != first
    choice.value = 0
    assert result.value == first and asked == [0, 2]


def test_without_a_notebook_the_slider_says_so(capsys):
    widgets.slider(lambda place: pytest.fail("drawn"), ["0"])
    assert "needs a notebook" in capsys.readouterr().out
