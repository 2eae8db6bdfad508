"""Everything touched: a box for a sentence, a slider through pictures, a blind test of people."""

import html
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from matplotlib.figure import Figure

from t2i_utils.figures import Question, grid, img
from t2i_utils.figures.pictures import pixels_of

# A button of ipywidgets has one line and cuts the rest off; a sentence needs two.
WRAPPED = """<style>.jupyter-button.t2i-choice {
    white-space: normal; height: auto; line-height: 1.4; padding: 4px 10px; text-align: left;
}</style>"""


def _in_notebook(what: str) -> bool:
    with suppress(ImportError):
        import ipywidgets  # noqa: F401
        from IPython import get_ipython

        if hasattr(get_ipython(), "kernel"):  # IPython in a terminal has none
            return True
    print(f"{what} needs a notebook with ipywidgets; the figures beside it do not.")
    return False


def sentence_box(draw: Callable[[str], Figure], sentence: str = "") -> None:
    """A text box and a button; what `draw` makes of the sentence is shown beneath.

    Errors and warnings of `draw` stand there as text. Where ipywidgets (7.7 or newer) or a
    notebook is missing, one line is printed and nothing is drawn.
    """
    if not _in_notebook("The sentence box"):
        return
    import ipywidgets
    from IPython.display import display

    text = ipywidgets.Text(sentence, description="sentence", layout={"width": "70%"})
    button = ipywidgets.Button(description="draw")
    # HTML, not Output: the same in ipywidgets 7 and 8, in any front end, and it keeps alt text.
    result = ipywidgets.HTML()

    def on_draw(_: object) -> None:
        button.disabled = True
        said, picture = [], ""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                picture = img(draw(text.value), f"what the model draws for: {text.value}")
            except Exception as error:  # whatever it is, the reader should see it here
                said.append(f"{type(error).__name__}: {error}")
        said = [str(warning.message) for warning in caught] + said
        result.value = "".join(f"<p>{html.escape(line)}</p>" for line in said) + picture
        button.disabled = False

    button.on_click(on_draw)
    with warnings.catch_warnings():  # deprecated in ipywidgets 8, but Return should draw
        warnings.simplefilter("ignore", DeprecationWarning)
        text.on_submit(on_draw)
    display(ipywidgets.VBox([ipywidgets.HBox([text, button]), result]))


def slider(draw: Callable[[int], Figure], labels: Sequence[str], description: str = "step") -> None:
    """A slider over the labels; what `draw` makes of the place chosen is shown beneath.

    Every picture is drawn once, when it is first asked for. Where ipywidgets (7.7 or newer) or a
    notebook is missing, one line is printed and nothing is drawn.
    """
    if not _in_notebook("The slider"):
        return
    import ipywidgets
    from IPython.display import display

    drawn: dict[int, str] = {}
    choice = ipywidgets.SelectionSlider(
        options=[(label, place) for place, label in enumerate(labels)], description=description,
        continuous_update=False, layout={"width": "90%"})
    result = ipywidgets.HTML()

    def on_move(_: object = None) -> None:
        place = choice.value
        if place not in drawn:
            drawn[place] = img(draw(place), f"{description} {labels[place]}")
        result.value = drawn[place]

    choice.observe(on_move, names="value")
    on_move()
    display(ipywidgets.VBox([choice, result]))


class Tally:
    """How many questions of each kind were asked and answered rightly, chance and judge beside."""

    def __init__(self, judge: Mapping[str, float] | None = None):
        self.right: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.chance: dict[str, float] = {}
        self.judge = dict(judge or {})

    def add(self, question: Question, choice: int) -> None:
        kind, before = question.asks, self.asked.get(question.asks, 0)
        chances = self.chance.get(kind, 0) * before + 1 / len(question.choices)
        self.chance[kind] = chances / (before + 1)
        self.asked[kind] = before + 1
        self.right[kind] = self.right.get(kind, 0) + int(choice == question.answer)

    def __str__(self) -> str:
        lines = []
        for kind, n in self.asked.items():
            p = self.right[kind] / n
            error = (p * (1 - p) / n) ** 0.5
            line = f"{kind} {self.right[kind]} of {n} right ({p:.0%} ± {error:.0%}"
            line += f"; by chance {self.chance[kind]:.0%}"
            line += f"; the judge {self.judge[kind]:.0%})" if kind in self.judge else ")"
            lines.append(line)
        return "\n".join(lines) or "nothing asked yet"


def blind_test(
    questions: Sequence[Question],
    seconds: float | int = 60,
    judge: Mapping[str, float] | None = None,
) -> Tally:
    """Questions one after another, a button a choice, until the time is over; returns the tally.

    The clock starts at the button "start"; the answer given after `seconds` is the last. `judge`
    says for each kind which share somebody else had right. Where ipywidgets (7.7 or newer) or a
    notebook is missing, one line is printed, and the tally stays empty. Raises ValueError where
    there is no question, and for pictures that cannot be shown.
    """
    if not questions:
        raise ValueError("found no questions; expected one or more")
    for question in questions:  # an error at the press of a button would be seen by nobody
        pixels_of(question.pictures, f"pictures of {question.asks!r}")
    tally = Tally(judge)
    if not _in_notebook("The blind test"):
        return tally
    import ipywidgets
    from IPython.display import display

    shown = ipywidgets.HTML()
    buttons, state = ipywidgets.VBox([]), {"next": 0, "from": 0.0}

    def ask() -> None:
        question = questions[state["next"]]
        figure = grid(question.pictures, columns=len(question.pictures))
        picture = img(figure, "the picture of the question" if len(question.pictures) == 1 else
                      "the pictures of the question, side by side")  # fmt: skip
        shown.value = f"{WRAPPED}{picture}<p><b>{html.escape(question.asks)}</b></p>"
        row = []
        for place, choice in enumerate(question.choices):
            wide = {"width": "95%", "height": "auto"}
            button = ipywidgets.Button(description=choice, tooltip=choice, layout=wide)
            button.add_class("t2i-choice")
            button.on_click(lambda _, asked=state["next"], place=place: answer(asked, place))
            row.append(button)
        buttons.children = row

    def answer(asked: int, place: int) -> None:
        if asked != state["next"]:  # a second click: its question is gone, the next one unseen
            return
        tally.add(questions[state["next"]], place)
        state["next"] += 1
        if state["next"] == len(questions) or time.monotonic() - state["from"] > seconds:
            buttons.children = []
            lines = html.escape(str(tally)).replace("\n", "<br>")
            shown.value = f"<p><b>Your tally</b><br>{lines}</p>"
        else:
            ask()

    def start(_: object) -> None:
        state["from"] = time.monotonic()
        ask()

    first = ipywidgets.Button(description="start")
    first.on_click(start)
    buttons.children = [first]
    shown.value = f"<p>{len(questions)} questions, {seconds:g} seconds.</p>"
    display(ipywidgets.VBox([shown, buttons]))
    return tally
