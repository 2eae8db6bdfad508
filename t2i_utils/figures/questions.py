"""A blind test on paper: pictures with numbered choices, and no answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from t2i_utils.figures.page import STYLE, WIDTH, lines_high, wrapped
from t2i_utils.figures.pictures import Page, pixels_of


@dataclass(frozen=True, eq=False)
class Question:
    """Pictures [k, 3, S, S] in [−1, 1], what to choose from, and which choice is right.

    `asks` is the question, and the kind under which it is counted. Raises ValueError where there
    is no such choice.
    """

    pictures: Float[Tensor, "k 3 s s"]
    choices: Sequence[str]
    answer: int
    asks: str

    def __post_init__(self):
        if not 0 <= self.answer < len(self.choices):
            raise ValueError(f"the answer is {self.answer}; expected 0 to {len(self.choices) - 1}")


@rc_context(STYLE)
def blind_test(questions: Sequence[Question]) -> Figure:
    """A row a question: its pictures, and beside them what it asks and its choices, numbered.

    The answers are not shown. Raises ValueError where there is no question.
    """
    if not questions:
        raise ValueError("found no questions; expected one or more")
    most, texts = max(len(question.pictures) for question in questions), []
    side = min(1.3, WIDTH / 2 / most - 0.06)  # half of the page is for the words
    left = 0.3 + most * (side + 0.06)
    for question in questions:
        choices = [f"{i}. {choice}" for i, choice in enumerate(question.choices, start=1)]
        asks = wrapped(question.asks, 0.8 * (WIDTH - left))  # bold runs wider
        texts.append([asks, *(wrapped(line, WIDTH - left - 0.4) for line in choices)])
    heights = [max(side, lines_high(["\n".join(text)])) + 0.2 for text in texts]
    page = Page(sum(heights), None)
    for question, text, height in zip(questions, texts, heights, strict=True):
        for i, pixels in enumerate(pixels_of(question.pictures)):
            page.picture(0.1 + i * (side + 0.06), page.top, side, pixels)
        page.text(left, page.top, text[0], va="top", weight="bold")
        below = page.top + lines_high([text[0]])
        page.text(left, below, "\n".join(text[1:]), va="top")
        page.top += height
    return page.figure
