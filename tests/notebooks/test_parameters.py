"""Every parameter of every notebook has a type and a comment, and papermill shows both."""

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import series
from t2i_utils.lesson import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TYPES = {"str": str, "int": int, "float": float, "bool": bool}


def said_of(path):
    """What `papermill --help-notebook` says of each parameter: name → (type, comment)."""
    found = papermill.inspect_notebook(path)
    return {name: (it["inferred_type_name"], it["help"]) for name, it in found.items()}


def the_parameters_explain_themselves(path):
    values, said = series.parameters(series.read(path)), said_of(path)
    assert values and list(said) == list(values), f"papermill sees {list(said)}"
    for name, value in values.items():
        kind, comment = said[name]
        assert kind in TYPES, f"{name} has the type {kind}, expected one of {list(TYPES)}"
        fits = value is None or type(value) is TYPES[kind]
        assert fits, f"{name} is said to be {kind}, but its default is {value!r}"
        assert comment.strip(), f"{name}: no comment"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_parameters_explain_themselves(path):
    the_parameters_explain_themselves(path)


@pytest.mark.parametrize(("line", "message"), [
    ("steps: int = 3  # of each run", None),
    ("steps: int = None  # of each run", None),
    ("steps = 3  # of each run", "steps has the type None"),
    ("steps: int = 3", "steps: no comment"),
    ("steps: int = 3  #  ", "steps: no comment"),
    ("# of each run\nsteps: int = 3", "steps: no comment"),
    ("steps: int = 3.0  # of each run", "steps is said to be int, but its default is 3.0"),
    ("steps: int = True  # of each run", "steps is said to be int, but its default is True"),
    ("rate: float = 1  # of learning", "rate is said to be float, but its default is 1"),
    ("rate: float | None = None  # of learning", r"papermill sees \[\]"),
    ("steps: int = 3; width: int = 2  # of each run", r"papermill sees \[\]"),
])  # fmt: skip
def test_what_explains_nothing_is_noticed(tmp_path, line, message):
    path = tmp_path / "01_x.ipynb"
    cell = new_code_cell(line, metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": kernel}), path)
    if message is None:
        the_parameters_explain_themselves(path)
        return
    with pytest.raises(AssertionError, match=message):
        the_parameters_explain_themselves(path)
