"""What every notebook of the series keeps to.

A rule takes a notebook as nbformat reads it, and raises AssertionError naming what breaks it.
`test_notebooks.py` applies all rules to all notebooks, and breaks each once to see it noticed.
"""

import ast
import difflib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import study

import series
from t2i_utils.lesson import ROOT, STUDY_FORMAT, badges, setup_cell

EXERCISE = ("exercise", "solution", "check")
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def outputs(notebook) -> Iterator[tuple[int, dict]]:
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            yield number, output


# --- how a notebook is built ---------------------------------------------------------------------


def has_its_badges(notebook, name):
    cells = series.tagged(notebook, "badges")
    assert len(cells) == 1, f"{len(cells)} cells tagged `badges`; expected one"
    assert cells[0].cell_type == "markdown", "the badges cell is no markdown cell"
    assert cells[0].source == badges(name), "badges are not lesson.badges(): run make home"


def has_the_set_up_cell(notebook):
    cells = series.tagged(notebook, "setup")
    assert len(cells) == 1, f"{len(cells)} cells tagged `setup`; expected one"
    assert cells[0].cell_type == "code", "the set-up cell is no code cell"
    assert cells[0].source == setup_cell(), "set-up is not lesson.setup_cell(): run make home"
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first is cells[0], "the set-up cell is not the first code cell"


def has_one_parameters_cell(notebook):
    cells = series.tagged(notebook, "parameters")
    assert len(cells) == 1, f"{len(cells)} cells tagged `parameters`; expected one"
    try:
        values = series.parameters(notebook)
    except ValueError as error:
        raise AssertionError(str(error)) from None
    assert values.get("profile") == "auto", 'the parameters cell does not say profile = "auto"'


def exercises_are_three_neighbours(notebook):
    cells = notebook.cells
    kinds = [next((kind for kind in EXERCISE if kind in tags(cell)), None) for cell in cells]
    starts = [i for i, kind in enumerate(kinds) if kind == "exercise"]
    assert len(starts) >= 3, f"{len(starts)} exercises; expected three"
    for i in starts:
        assert tuple(kinds[i : i + 3]) == EXERCISE, (
            f"cell {i}: exercise, solution and check are not neighbours: {kinds[i : i + 3]}"
        )
    for kind in EXERCISE[1:]:
        assert kinds.count(kind) == len(starts), f"a `{kind}` cell stands without its exercise"
    for i in starts:
        exercise, solution, check = cells[i : i + 3]
        assert "NotImplementedError" in exercise.source, f"cell {i}: the stub raises nothing"
        assert ast.get_docstring(_definition(exercise)), f"cell {i}: the stub has no docstring"
        assert solution.source.startswith("#@title Solution"), (
            f"cell {i + 1}: the solution does not start with '#@title Solution' (Colab)"
        )
        assert solution.metadata.get("cellView") == "form", (
            f"cell {i + 1}: the solution is not folded in Colab (cellView: form)"
        )
        assert solution.metadata.get("jupyter", {}).get("source_hidden") is True, (
            f"cell {i + 1}: the solution is not folded in JupyterLab (jupyter.source_hidden)"
        )
        _hides_what_it_looks_for(check, i + 2, starts.index(i) + 1)


def _hides_what_it_looks_for(check, i, number):
    """A check is a folded function that is called: it binds no other name of the page, and its
    asserts, each with a hint, depend on nothing that a page could bind anew by accident."""
    name = f"check_of_exercise_{number}"
    title = f"#@title Check of exercise {number}\ndef {name}():\n    __tracebackhide__ = True"
    assert check.source.startswith(title), f"cell {i}: the check does not begin with {title!r}"
    body = ast.parse(check.source).body
    assert len(body) == 2 and ast.unparse(body[1]) == f"with lesson.hints():\n    {name}()", (
        f"cell {i}: {name} is not defined and called with lesson.hints(), and nothing else"
    )
    for line in ast.walk(body[0]):
        assert not isinstance(line, ast.Global), f"cell {i}: a check binds {line.names}"
        assert not (isinstance(line, ast.Assert) and line.msg is None), (
            f"cell {i}: a check without a hint: {ast.unparse(line)}"
        )
    assert check.metadata.get("cellView") == "form", f"cell {i}: the check is not folded in Colab"
    assert check.metadata.get("jupyter", {}).get("source_hidden") is True, (
        f"cell {i}: the check is not folded in JupyterLab"
    )


def _definition(cell) -> ast.AST:
    found = [line for line in ast.parse(cell.source).body if isinstance(line, DEFINITIONS)]
    return found[0] if found else ast.parse("")


# --- taught code is package code -----------------------------------------------------------------


def taught_code_is_package_code(notebook, package: Path = ROOT / "t2i_utils"):
    for number, cell in enumerate(notebook.cells):
        if "taught" not in tags(cell):
            continue
        taught = [line for line in ast.parse(cell.source).body if isinstance(line, DEFINITIONS)]
        assert taught, f"cell {number} is tagged `taught` and defines nothing"
        for definition in taught:
            here = _skeleton(definition)
            there = list(_in_package(definition.name, package))
            assert there, f"cell {number}: the package defines no {definition.name}"
            if not any(here == other for _, other in there):
                module, other = there[0]
                difference = difflib.unified_diff(
                    other.splitlines(), here.splitlines(), module, f"cell {number}", lineterm=""
                )
                raise AssertionError("\n".join(difference))


def _in_package(name: str, package: Path) -> Iterator[tuple[str, str]]:
    """Module and code of every top-level definition of that name in the package."""
    for path in sorted(package.rglob("*.py")):
        for line in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(line, DEFINITIONS) and line.name == name:
                yield path.relative_to(package.parent).as_posix(), _skeleton(line)


def _skeleton(definition: ast.AST) -> str:
    """A definition as its syntax tree says it: annotations and all, without docstrings."""
    tree = ast.parse(ast.unparse(definition))
    for node in ast.walk(tree):
        if isinstance(node, DEFINITIONS) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


# --- studies -------------------------------------------------------------------------------------


def what_records_is_part_of_the_study(notebook):
    for number, cell in enumerate(notebook.cells):
        for call in _calls(cell, "record"):
            # Two arguments, a name and a value: an event of torch.cuda is recorded without.
            if len(call.args) + len(call.keywords) >= 2:
                assert "study" in tags(cell), (
                    f"cell {number} records and is not tagged `study`: an edit of what it measures "
                    "would not be noticed"
                )
    try:
        study.records(notebook)
    except ValueError as error:
        raise AssertionError(str(error)) from None


def studies_that_it_reads_are_stored(notebook, folder: Path = ROOT / "data" / "studies"):
    for number, cell in enumerate(notebook.cells):
        for call in _calls(cell, "study"):
            word = getattr(call.args[0], "value", None) if call.args else None
            assert word is not None, f"cell {number}: {ast.unparse(call)} names no notebook"
            name = f"{int(word):02}"
            assert (folder / f"{name}.json").is_file(), (
                f"cell {number} reads the study of {name}, and there is no "
                f"data/studies/{name}.json: run make study ONLY={name}"
            )


def its_study_is_of_this_code(notebook, name, folder: Path = ROOT / "data" / "studies"):
    path = folder / f"{name[:2]}.json"
    if not path.is_file():
        return
    stored = json.loads(path.read_text(encoding="utf-8"))
    again = f"run make study ONLY={name[:2]}"
    assert stored["format"] == STUDY_FORMAT, f"{path.name} has the format {stored['format']!r}"
    assert stored["notebook"] == name, f"{path.name} is a study of {stored['notebook']}"
    assert stored["profile"] in ("laptop", "gpu"), f"a study of a {stored['profile']} run"
    assert stored["study_hash"] == study.study_hash(notebook), (
        f"the cells that train or measure were edited after the study was made: {again}"
    )
    try:
        plan = list(study.planned(notebook, name))
    except series.Refusal as refusal:
        raise AssertionError(str(refusal)) from None
    ran = [study.key(run["parameters"]) for run in stored["runs"]]
    assert ran == plan, (
        f"the {len(ran)} runs of {path.name} are not the {len(plan)} of its plan: {again}"
    )


def _calls(cell, method: str) -> Iterator[ast.Call]:
    """The calls of anything's method of that name in a code cell."""
    if cell.cell_type == "code":
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr == method:
                    yield node


# --- what is stored ------------------------------------------------------------------------------


def is_small(path: Path):
    size = path.stat().st_size
    assert size < series.MAX_BYTES, f"{size:,} bytes; under {series.MAX_BYTES:,} are allowed"


def ran_through_without_an_error(notebook):
    assert not series.first_error(notebook), series.first_error(notebook)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.source.strip():
            assert cell.execution_count is not None, f"cell {number} was not executed"


def stamp_is_of_this_code(notebook):
    stamp = notebook.metadata.get("t2i")
    assert stamp, "no stamp: outputs come from make refresh"
    expected = {"profile", "device", "versions", "seconds", "peak_memory_mb", "code_hash"}
    assert set(stamp) == expected, f"the stamp has {sorted(stamp)}"
    assert set(stamp["versions"]) == {"python", "torch", "t2i_utils"}
    assert stamp["profile"] in ("laptop", "gpu"), f"outputs of a {stamp['profile']} run"
    assert stamp["code_hash"] == series.code_hash(notebook), (
        "the code was edited after the outputs were made: run make refresh"
    )


def claims_held(notebook):
    verdicts = series.claims(notebook)
    assert verdicts, "the notebook claims nothing"
    assert all(verdicts), f"stored claims: {verdicts}"


def shows_no_machine(notebook):
    hits = series.machine_paths(notebook)
    assert not hits, f"outputs show a machine's paths: {hits}"


def keeps_no_run_notes(notebook):
    assert "papermill" not in notebook.metadata, "the notebook keeps papermill's notes"
    for number, cell in enumerate(notebook.cells):
        assert "injected-parameters" not in tags(cell), f"cell {number} was injected by papermill"
        for key in ("papermill", "execution"):
            assert key not in cell.metadata, f"cell {number} keeps {key}"


def pictures_have_words(notebook):
    for number, output in outputs(notebook):
        for mime, shown in output.get("data", {}).items():
            alts = alternatives(shown) if mime == "text/html" else []
            assert all(map(str.strip, alts)), f"cell {number}: a picture without alternative text"
            assert not mime.startswith("image/"), (
                f"cell {number}: found {mime}, of which JupyterLab shows no alternative text; "
                "expected what figures.img makes"
            )
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for alt in re.findall(r"!\[([^\]]*)\]\(", cell.source):
                assert alt.strip(), f"cell {number}: a linked picture without alternative text"


def pictures_have_words_on_the_page(notebook, tmp_path):
    page = tmp_path / "page.html"
    series.write_html(notebook, page)
    alts = alternatives(page.read_text(encoding="utf-8"))
    stored = 0
    for _, output in outputs(notebook):
        for mime, shown in output.get("data", {}).items():
            stored += len(alternatives(shown)) if mime == "text/html" else 0
    assert len(alts) >= stored, f"{len(alts)} pictures on the page, {stored} stored"
    for alt in alts:
        assert alt.strip() and "No description" not in alt, f"alternative text {alt!r} on the page"


def alternatives(page: str) -> list[str]:
    """The alternative text of every picture of an HTML page, empty where there is none."""
    parser = _Pictures()
    parser.feed(page)
    return parser.alts


class _Pictures(HTMLParser):
    def __init__(self):
        super().__init__()
        self.alts: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.alts.append(dict(attributes).get("alt") or "")
