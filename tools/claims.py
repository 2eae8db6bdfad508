"""A pytest plugin beside nbval: a notebook's cell fails where a claim that it makes does not hold.

A claim does not raise, so that a reader sees all of them; `make test` loads this to see them, too.
"""

import pytest
from nbval.plugin import IPyNbCell

from t2i_utils.lesson import CLAIM_MIME


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    result = yield
    if isinstance(item, IPyNbCell):
        shown = [output.get("data", {}) for output in item.test_outputs]
        claims = [data[CLAIM_MIME] for data in shown if CLAIM_MIME in data]
        missed = [claim for claim in claims if claim["held"] is False]
        if missed:
            words = [f"{claim['text']} ({claim['found']})" for claim in missed]
            item.raise_cell_error("A claim did not hold", "\n".join(words))
    return result
