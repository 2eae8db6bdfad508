"""Everything touched: a box to type a sentence into, a slider to move through pictures."""

import html
import warnings
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from t2i_utils.figures import img


def _in_notebook() -> bool:
    try:
        import ipywidgets  # noqa: F401
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")  # IPython in a terminal has none


def sentence_box(draw: Callable[[str], Figure], sentence: str = "") -> None:
    """A text box and a button; what `draw` makes of the sentence is shown beneath.

    Errors and warnings of `draw` stand there as text. Where ipywidgets (7.7 or newer) or a
    notebook is missing, one line is printed and nothing is drawn.
    """
    if not _in_notebook():
        print("The sentence box needs a notebook with ipywidgets; the figures beside it do not.")
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
    if not _in_notebook():
        print("The slider needs a notebook with ipywidgets; the figures beside it do not.")
        return
    import ipywidgets
    from IPython.display import display

    drawn: dict[int, str] = {}
    choice = ipywidgets.SelectionSlider(
        options=[(label, place) for place, label in enumerate(labels)],
        description=description,
        continuous_update=False,
        layout={"width": "90%"},
    )
    result = ipywidgets.HTML()

    def on_move(_: object = None) -> None:
        place = choice.value
        if place not in drawn:
            drawn[place] = img(draw(place), f"{description} {labels[place]}")
        result.value = drawn[place]

    choice.observe(on_move, names="value")
    on_move()
    display(ipywidgets.VBox([choice, result]))
