"""Everything drawn: captioned grids, comparisons, curves, and the one picture of the whole series.

Every function returns a matplotlib Figure that pyplot does not know, so none is left open and
none is displayed twice; `show` puts it under the cell, together with its alt text.
"""

from t2i_utils.figures.cards import report_card
from t2i_utils.figures.charts import bars, clouds, curves, game, lines, paths, plane, spread, tables
from t2i_utils.figures.page import DASHES, DPI, INK, LIT, NEUTRAL, ROLES, img, png, show
from t2i_utils.figures.pictures import compare, grid
from t2i_utils.figures.questions import Question, blind_test
from t2i_utils.figures.whole import ARROWS, WHOLE, the_whole
