"""Everything touched, pressed as a reader would press it, in a notebook that is only pretended."""

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
        monkeypatch.setattr(widgets, "_in_notebook", lambda what: True)
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
    assert widgets._in_notebook("It")
    monkeypatch.setattr(IPython, "get_ipython", lambda: types.SimpleNamespace())
    assert not widgets._in_notebook("It")


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
        monkeypatch.setattr(widgets, "_in_notebook", lambda what: True)
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


# ---- the blind test -----------------------------------------------------------------------------


def question(answer=1, asks="which sentence?", pictures=1):
    choices = ["a red flower", "a blue flower", "a <white> flower", "a flower"]
    return figures.Question(torch.zeros(pictures, 3, 8, 8), choices, answer, asks)


@pytest.fixture
def clock(monkeypatch):
    now = types.SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(widgets.time, "monotonic", lambda: now.seconds)
    return now


@pytest.fixture
def blind(monkeypatch, clock):
    """Opens a blind test; gives its tally, what it shows and its buttons."""

    def open_test(questions, **options):
        displayed = []
        monkeypatch.setattr(widgets, "_in_notebook", lambda what: True)
        monkeypatch.setattr("IPython.display.display", displayed.append)
        tally = widgets.blind_test(questions, **options)
        shown, buttons = displayed[0].children
        return tally, shown, buttons

    return open_test


def test_right_answers_are_counted_by_kind(blind):
    tally, shown, buttons = blind([question(1), question(2), question(0, "which is real?")])
    assert [b.description for b in buttons.children] == ["start"] and "<img" not in shown.value
    buttons.children[0].click()
    for choice in (1, 1, 0):
        assert "<img" in shown.value and len(buttons.children) == 4
        buttons.children[choice].click()
    assert tally.right == {"which sentence?": 1, "which is real?": 1}
    assert tally.asked == {"which sentence?": 2, "which is real?": 1}
    assert not buttons.children and "1 of 2 right (50%" in shown.value


def test_what_is_shown_does_not_tell(blind):
    seen = []
    for answer in range(4):
        _, shown, buttons = blind([question(answer)])
        buttons.children[0].click()
        seen.append((shown.value, *(b.description for b in buttons.children)))
    assert len(set(seen)) == 1


def test_the_answer_after_the_time_is_the_last(blind, clock):
    tally, shown, buttons = blind([question()] * 9, seconds=60)
    clock.seconds = 500  # reading the page before the start costs nothing
    buttons.children[0].click()
    clock.seconds += 60
    buttons.children[1].click()
    clock.seconds += 1
    buttons.children[1].click()
    assert tally.asked == {"which sentence?": 2} and not buttons.children
    assert "Your tally" in shown.value


def test_a_second_click_does_not_answer_the_next_question(blind):
    tally, _, buttons = blind([question(1), question(1)])
    buttons.children[0].click()
    first = buttons.children[0]
    for _ in range(3):
        first.click()
    assert tally.asked == {"which sentence?": 1}
    buttons.children[1].click()
    assert tally.right == {"which sentence?": 1} and tally.asked == {"which sentence?": 2}


@pytest.mark.parametrize("questions", [2, 9])
def test_nothing_is_counted_once_it_is_over(questions, blind, clock):
    tally, shown, buttons = blind([question(1)] * questions, seconds=60)
    buttons.children[0].click()
    buttons.children[1].click()
    clock.seconds += 61
    last = buttons.children[1]
    last.click()
    ended = shown.value
    assert "2 of 2 right" in ended
    last.click()
    assert tally.asked == tally.right == {"which sentence?": 2} and shown.value == ended


def test_a_long_sentence_is_whole_on_its_button(blind):
    choices = [f"{i} " + "a sentence of many words " * 6 for i in range(4)]
    _, shown, buttons = blind([figures.Question(torch.zeros(1, 3, 8, 8), choices, 0, "which?")])
    buttons.children[0].click()
    for button, choice in zip(buttons.children, choices, strict=True):
        assert button.description == button.tooltip == choice and button.layout.height == "auto"
        (name,) = button._dom_classes
        style = re.search(rf"<style>\.jupyter-button\.{name} {{(.*?)}}", shown.value, re.DOTALL)
        assert "white-space: normal" in style[1]


@pytest.mark.parametrize("kernel", [True, False])
def test_what_cannot_be_asked_is_named_before_the_start(kernel, monkeypatch):
    monkeypatch.setattr(widgets, "_in_notebook", lambda what: kernel)
    with pytest.raises(ValueError, match="found no questions"):
        widgets.blind_test([])
    bright = figures.Question(torch.full((1, 3, 8, 8), 255.0), ["a", "b"], 0, "which?")
    with pytest.raises(ValueError, match="pictures of 'which[?]' are from 255"):
        widgets.blind_test([question(), bright])


def test_chance_and_the_judge_stand_beside(blind):
    tally, shown, buttons = blind([question()], judge={"which sentence?": 0.83})
    assert str(tally) == "nothing asked yet"
    buttons.children[0].click()
    buttons.children[0].click()
    assert "0 of 1 right (0% ± 0%; by chance 25%; the judge 83%)" in str(tally)
    assert str(tally) in shown.value


def test_a_tally_says_its_shares_with_their_errors_and_chance_a_kind():
    tally = widgets.Tally({"which is real?": 0.5})
    pair = figures.Question(torch.zeros(2, 3, 8, 8), ["left", "right"], 0, "which is real?")
    for choice in (0, 0, 0, 1):
        tally.add(pair, choice)
        tally.add(question(1), choice)
    assert str(tally).split("\n") == [
        "which is real? 3 of 4 right (75% ± 22%; by chance 50%; the judge 50%)",
        "which sentence? 1 of 4 right (25% ± 22%; by chance 25%)",
    ]


def test_without_a_notebook_the_blind_test_says_so(capsys):
    assert widgets.blind_test([question()]).asked == {}
    assert "needs a notebook" in capsys.readouterr().out


def test_a_question_has_its_answer_among_its_choices():
    with pytest.raises(ValueError, match="the answer is 4; expected 0 to 3"):
        question(4)
