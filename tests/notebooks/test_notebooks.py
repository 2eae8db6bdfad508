"""The rules of `rules.py` on every notebook; and each rule broken once, on a notebook made here."""

import base64
import copy
import json

import nbformat
import publish
import pytest
import rules
import study
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import series
from t2i_utils.lesson import RECORD_MIME, ROOT, STUDY_FORMAT, badges, setup_cell

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


# --- the series ----------------------------------------------------------------------------------


def test_there_are_notebooks():
    assert NOTEBOOKS, "notebooks/ is empty"


@every_notebook
def test_it_is_built_as_all_are(path):
    assert path in series.notebooks(), f"{path.name} is no NN_name.ipynb"
    notebook = series.read(path)
    nbformat.validate(notebook)
    rules.has_its_badges(notebook, path.stem)
    rules.has_the_set_up_cell(notebook)
    rules.has_one_parameters_cell(notebook)
    rules.exercises_are_three_neighbours(notebook)


@every_notebook
def test_taught_code_is_package_code(path):
    rules.taught_code_is_package_code(series.read(path))


@every_notebook
def test_its_study_is_of_this_code(path):
    notebook = series.read(path)
    rules.what_records_is_part_of_the_study(notebook)
    rules.studies_that_it_reads_are_stored(notebook)
    rules.its_study_is_of_this_code(notebook, path.stem)


def test_every_stored_study_is_of_a_notebook():
    there = {path.stem[:2] for path in NOTEBOOKS}
    for path in (ROOT / "data" / "studies").glob("*.json"):
        assert path.stem in there, f"data/studies/{path.name} is of no notebook"


@every_notebook
def test_the_stored_outputs_are_of_this_code(path):
    notebook = series.read(path)
    rules.is_small(path)
    rules.ran_through_without_an_error(notebook)
    rules.stamp_is_of_this_code(notebook)
    rules.claims_held(notebook)
    rules.shows_no_machine(notebook)
    rules.keeps_no_run_notes(notebook)


@every_notebook
def test_the_pictures_have_words(path, tmp_path):
    notebook = series.read(path)
    rules.pictures_have_words(notebook)
    rules.pictures_have_words_on_the_page(notebook, tmp_path)


@every_notebook
def test_an_edit_without_a_refresh_is_noticed(path, tmp_path):
    copied = tmp_path / path.name
    copied.write_bytes(path.read_bytes())
    notebook = series.read(copied)
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    last.source += "\n# edited"
    nbformat.write(notebook, copied)
    with pytest.raises(AssertionError, match="make refresh"):
        rules.stamp_is_of_this_code(series.read(copied))


# --- the rules -----------------------------------------------------------------------------------


def code(source, *tags, **metadata):
    cell = new_code_cell(source, execution_count=1)
    if tags:
        cell.metadata["tags"] = list(tags)
    cell.metadata.update(metadata)
    return cell


def exercise(number, name):
    return [
        code(f'def {name}():\n    """Do it."""\n    raise NotImplementedError', "exercise"),
        code(
            f"#@title Solution\ndef {name}():\n    return 1",
            "solution",
            cellView="form",
            jupyter={"source_hidden": True},
        ),
        code(
            f"#@title Check of exercise {number}\ndef check_of_exercise_{number}():\n"
            f'    __tracebackhide__ = True\n    assert {name}() == 1, "one"\n\n\n'
            f"with lesson.hints():\n    check_of_exercise_{number}()",
            "check",
            cellView="form",
            jupyter={"source_hidden": True},
        ),
    ]


def picture(alt="a red flower"):
    image = f'<img alt="{alt}" src="data:image/png;base64,{PIXEL}">'
    return new_output("display_data", {"text/html": image, "text/plain": alt})


def claim(held):
    bundle = {series.CLAIM_MIME: {"text": "so", "held": held, "found": ""}, "text/plain": "so"}
    return new_output("display_data", bundle)


def record(name, value):
    bundle = {RECORD_MIME: {"name": name, "value": value, "modules": []}, "text/plain": name}
    return new_output("display_data", bundle)


@pytest.fixture
def good():
    """A notebook that keeps every rule."""
    shown = code("show()")
    shown.outputs = [picture(), claim(True), new_output("stream", text="mean 3.1\n")]
    measures = code('course.record("right", 0.5)\nlesson.study("07")', "study")
    measures.outputs = [record("right", 0.5)]
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# A title\n![a diagram](x.png)"),
            new_markdown_cell(badges("07_gan_cls"), metadata={"tags": ["badges"]}),
            code(setup_cell(), "setup"),
            code('profile = "auto"\nseed = 0\nsteps = None\nrate = -2e-4', "parameters"),
            code("def double(x: int) -> int:\n    return 2 * x", "taught"),
            shown,
            measures,
            *exercise(1, "one"),
            *exercise(2, "two"),
            *exercise(3, "three"),
        ]
    )
    notebook.metadata["t2i"] = {
        "profile": "laptop",
        "device": "cpu",
        "versions": {"python": "3", "torch": "2", "t2i_utils": "0"},
        "seconds": 1.0,
        "peak_memory_mb": 1,
        "code_hash": series.code_hash(notebook),
    }
    return notebook


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "t2i_utils" / "models"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text('def double(x: int) -> int:\n    """Two x."""\n    return 2 * x')
    (folder / "b.py").write_text("class double:\n    pass\n")
    return tmp_path / "t2i_utils"


@pytest.fixture
def studies(good, tmp_path, monkeypatch):
    """A folder with the study of the good notebook."""
    monkeypatch.setitem(study.PLANS, "07", [{"seed": 0}, {"seed": 1, "steps": 9}])
    stored = {
        "format": STUDY_FORMAT,
        "notebook": "07_gan_cls",
        "profile": "laptop",
        "study_hash": study.study_hash(good),
        "runs": [
            {"parameters": study.settings(good, changes), "records": {"right": 0.5}}
            for changes in study.PLANS["07"]
        ],
    }
    study.write(tmp_path / "studies" / "07.json", stored)
    return tmp_path / "studies"


def test_a_good_notebook_keeps_every_rule(good, package, studies, tmp_path):
    nbformat.validate(good)
    rules.has_its_badges(good, "07_gan_cls")
    rules.has_the_set_up_cell(good)
    rules.has_one_parameters_cell(good)
    rules.exercises_are_three_neighbours(good)
    rules.taught_code_is_package_code(good, package)
    rules.what_records_is_part_of_the_study(good)
    rules.studies_that_it_reads_are_stored(good, studies)
    rules.its_study_is_of_this_code(good, "07_gan_cls", studies)
    rules.ran_through_without_an_error(good)
    rules.stamp_is_of_this_code(good)
    rules.claims_held(good)
    rules.shows_no_machine(good)
    rules.keeps_no_run_notes(good)
    rules.pictures_have_words(good)
    rules.pictures_have_words_on_the_page(good, tmp_path)


def cell_of(notebook, tag, number=0):
    return series.tagged(notebook, tag)[number]


def set_source(tag, source):
    return lambda notebook: cell_of(notebook, tag).update(source=source)


def replace(tag, old, new):
    def edit(notebook):
        cell = cell_of(notebook, tag)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return edit


def drop(tag, number=0):
    return lambda notebook: notebook.cells.remove(cell_of(notebook, tag, number))


def unset(tag, key):
    return lambda notebook: cell_of(notebook, tag).metadata.pop(key)


def shown_in(notebook):
    return notebook.cells[5]


def add_output(output):
    return lambda notebook: shown_in(notebook).outputs.append(output)


def say(text):
    return add_output(new_output("stream", text=text))


def set_stamp(**values):
    return lambda notebook: notebook.metadata["t2i"].update(values)


def badge_rule(notebook):
    rules.has_its_badges(notebook, "07_gan_cls")


@pytest.mark.parametrize(
    "rule, edit, message",
    [
        (badge_rule, drop("badges"), "0 cells tagged `badges`"),
        (badge_rule, replace("badges", "/blob/main", "/blob/dev"), "make home"),
        (badge_rule, set_source("badges", badges("00_text_to_image")), "make home"),
        (rules.has_the_set_up_cell, drop("setup"), "0 cells tagged `setup`"),
        (rules.has_the_set_up_cell, replace("setup", "--depth=1", "--depth=2"), "make home"),
        (rules.has_the_set_up_cell, lambda n: n.cells.insert(0, code("1")), "not the first"),
        (rules.has_one_parameters_cell, drop("parameters"), "0 cells tagged `parameters`"),
        (
            rules.has_one_parameters_cell,
            lambda n: n.cells.append(code("a = 1", "parameters")),
            "2 cells tagged",
        ),
        (rules.has_one_parameters_cell, set_source("parameters", "n = 2 * k"), "no literal"),
        (rules.has_one_parameters_cell, set_source("parameters", "import os"), "no plain assign"),
        (
            rules.has_one_parameters_cell,
            replace("parameters", '"auto"', '"smoke"'),
            'profile = "auto"',
        ),
        (rules.exercises_are_three_neighbours, drop("solution", 1), "not neighbours"),
        (
            rules.exercises_are_three_neighbours,
            lambda n: n.cells.insert(-1, new_markdown_cell("x")),
            "not neighbours",
        ),
        (rules.exercises_are_three_neighbours, drop("exercise", 2), "2 exercises"),
        (
            rules.exercises_are_three_neighbours,
            lambda n: n.cells.append(code("1", "check")),
            "`check` cell stands",
        ),
        (
            rules.exercises_are_three_neighbours,
            replace("exercise", "raise NotImplementedError", "pass"),
            "stub raises nothing",
        ),
        (
            rules.exercises_are_three_neighbours,
            replace("exercise", '"""Do it."""', "1"),
            "no docstring",
        ),
        (rules.exercises_are_three_neighbours, replace("solution", "#@title ", "# "), "#@title"),
        (rules.exercises_are_three_neighbours, unset("solution", "cellView"), "in Colab"),
        (rules.exercises_are_three_neighbours, unset("solution", "jupyter"), "in JupyterLab"),
        (rules.exercises_are_three_neighbours, replace("check", ', "one"', ""), "without a hint"),
        (rules.exercises_are_three_neighbours, unset("check", "cellView"), "check is not folded"),
        (rules.exercises_are_three_neighbours, unset("check", "jupyter"), "check is not folded"),
        (
            rules.exercises_are_three_neighbours,
            replace("check", "    assert", "    global found\n    assert"),
            "binds",
        ),
        (
            rules.exercises_are_three_neighbours,
            replace("check", "\n\n\n", "\nfound = 1\n"),
            "nothing else",
        ),
        (
            rules.what_records_is_part_of_the_study,
            set_source("taught", "course.record('n', value=3)"),
            "cell 4 records and is not tagged `study`",
        ),
        (
            rules.what_records_is_part_of_the_study,
            lambda n: cell_of(n, "study").metadata.pop("tags"),
            "cell 6 records and is not tagged `study`",
        ),
        (
            rules.what_records_is_part_of_the_study,
            add_output(record("right", 0.25)),
            "In [1] records 'right', as In [1] did before",
        ),
        (rules.ran_through_without_an_error, lambda n: shown_in(n).update(execution_count=None),
         "cell 5 was not executed"),
        (rules.ran_through_without_an_error,
         add_output(new_output("error", ename="NameError", evalue="x", traceback=[])),
         "In [1]: NameError: x"),
        (rules.stamp_is_of_this_code, lambda n: n.metadata.pop("t2i"), "no stamp"),
        (rules.stamp_is_of_this_code, lambda n: n.metadata["t2i"].pop("device"), "the stamp has"),
        (rules.stamp_is_of_this_code, set_stamp(profile="smoke"), "a smoke run"),
        (rules.stamp_is_of_this_code, replace("taught", "2 * x", "3 * x"), "make refresh"),
        (rules.stamp_is_of_this_code, lambda n: n.cells.insert(6, code("x = 1")), "make refresh"),
        (rules.claims_held, add_output(claim(False)), "stored claims"),
        (rules.claims_held, add_output(claim(None)), "stored claims"),
        (rules.claims_held, lambda n: shown_in(n).outputs.clear(), "claims nothing"),
        (rules.shows_no_machine, say("saved to /home/ada/runs"), "cell 5: /home/ada"),
        (rules.shows_no_machine, say("in /Users/ada/x.py:3"), "/Users/ada"),
        (rules.shows_no_machine, say(r"C:\Users\ada"), "Users"),
        (rules.shows_no_machine, say(f"{ROOT}/t2i_utils/x.py:1: UserWarning"), "machine's paths"),
        (rules.keeps_no_run_notes, lambda n: n.metadata.update(papermill={}), "papermill"),
        (
            rules.keeps_no_run_notes,
            lambda n: n.cells.append(code("1", "injected-parameters")),
            "injected",
        ),
        (
            rules.keeps_no_run_notes,
            lambda n: shown_in(n).metadata.update(execution={}),
            "keeps execution",
        ),
        (rules.pictures_have_words, add_output(picture(" ")), "cell 5: a picture without"),
        (
            rules.pictures_have_words,
            add_output(new_output("display_data", {"image/png": PIXEL})),
            "cell 5: found image/png",
        ),
        (
            rules.pictures_have_words,
            lambda n: n.cells.append(new_markdown_cell("![](x.png)")),
            "linked picture",
        ),
    ],
)  # fmt: skip
def test_a_broken_rule_is_noticed(good, rule, edit, message):
    rule(good)
    edit(good)
    with pytest.raises(AssertionError) as raised:
        rule(good)
    assert message in str(raised.value)


EDITED = "the cells that train or measure were edited after the study was made"


@pytest.mark.parametrize(
    "edit, message",
    [
        (replace("study", "0.5", "0.25"), f"{EDITED}: run make study ONLY=07"),
        (replace("parameters", "-2e-4", "-1e-4"), EDITED),
        (drop("study"), EDITED),
        (lambda n: n.cells.append(code("1", "study")), EDITED),
        (lambda n: cell_of(n, "taught").metadata["tags"].append("study"), EDITED),
    ],
)
def test_an_edit_of_what_was_studied_is_noticed(good, studies, edit, message):
    edit(good)
    with pytest.raises(AssertionError) as raised:
        rules.its_study_is_of_this_code(good, "07_gan_cls", studies)
    assert message in str(raised.value)


def test_words_figures_and_exercises_may_change_beside_a_study(good, studies):
    good.cells.insert(0, new_markdown_cell("more words"))
    shown_in(good).source += "\nshow(again=True)"
    set_source("solution", "#@title Solution\ndef one():\n    return True")(good)
    good.cells.append(code("seed = 1", "injected-parameters"))
    rules.its_study_is_of_this_code(good, "07_gan_cls", studies)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.update(format="t2i study 0"), "has the format 't2i study 0'"),
        (lambda s: s.update(notebook="07_other"), "07.json is a study of 07_other"),
        (lambda s: s.update(profile="smoke"), "a study of a smoke run"),
        (lambda s: s["runs"].pop(), "the 1 runs of 07.json are not the 2 of its plan"),
        (lambda s: s["runs"][0]["parameters"].update(seed=5), "run make study ONLY=07"),
        (lambda s: study.PLANS.pop("07"), "no plan in tools/study.py"),
    ],
)
def test_a_study_that_is_not_its_plan_is_noticed(good, studies, change, message):
    stored = json.loads((studies / "07.json").read_text())
    change(stored)
    study.write(studies / "07.json", stored)
    with pytest.raises(AssertionError) as raised:
        rules.its_study_is_of_this_code(good, "07_gan_cls", studies)
    assert message in str(raised.value)


def test_a_study_that_is_read_and_not_there_is_noticed(good, studies):
    (studies / "07.json").unlink()
    rules.its_study_is_of_this_code(good, "07_gan_cls", studies)  # none is stored, none disagrees
    with pytest.raises(AssertionError, match="cell 6 reads the study of 07.*ONLY=07"):
        rules.studies_that_it_reads_are_stored(good, studies)
    set_source("study", "lesson.study(number)")(good)
    with pytest.raises(AssertionError, match="names no notebook"):
        rules.studies_that_it_reads_are_stored(good, studies)


def test_a_clock_of_the_gpu_is_no_record(good):
    set_source("taught", "torch.cuda.Event().record()\nstart.record(stream)")(good)
    rules.what_records_is_part_of_the_study(good)


def test_outputs_do_not_change_the_hash(good):
    before = series.code_hash(good)
    shown_in(good).outputs.clear()
    good.cells.append(new_markdown_cell("more words"))
    assert series.code_hash(good) == before


def test_pictures_are_no_text_of_the_machine(good):
    data = base64.b64encode(b"x").decode() + "/root/abc/"
    shown_in(good).outputs.append(new_output("display_data", {"image/png": data}))
    rules.shows_no_machine(good)


def test_a_page_without_words_for_a_picture_is_noticed(good, tmp_path):
    add_output(picture(""))(good)
    with pytest.raises(AssertionError, match="on the page"):
        rules.pictures_have_words_on_the_page(good, tmp_path)


def test_a_page_says_what_the_pictures_say_and_folds_solutions(good, tmp_path):
    series.write_html(good, tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert 'alt="a red flower"' in page
    assert page.count("<details><summary>Solution</summary>") == 3


@pytest.mark.parametrize(
    "source, message",
    [
        ("def double(x: int) -> int:\n    return x + x", "x + x"),
        ("def double(x: float) -> int:\n    return 2 * x", "x: float"),
        ("def double(x):\n    return 2 * x", "def double(x):"),
        ("def treble(x):\n    return 3 * x", "the package defines no treble"),
        ("double = 2", "defines nothing"),
    ],
)
def test_taught_code_that_drifts_is_noticed(good, package, source, message):
    set_source("taught", source)(good)
    with pytest.raises(AssertionError) as raised:
        rules.taught_code_is_package_code(good, package)
    assert message in str(raised.value)


def test_taught_code_may_differ_in_docstrings_and_comments(good, package):
    source = 'def double(x: int) -> int:\n    "Doubled."\n    return 2 * x  # twice'
    set_source("taught", source)(good)
    rules.taught_code_is_package_code(good, package)


def test_a_large_notebook_is_noticed(tmp_path):
    (tmp_path / "x.ipynb").write_bytes(bytes(series.MAX_BYTES))
    with pytest.raises(AssertionError, match="1,500,000 bytes"):
        rules.is_small(tmp_path / "x.ipynb")


def test_cleaning_removes_what_papermill_injects(good):
    before = copy.deepcopy(good)
    good.cells.insert(4, code("n = 4", "injected-parameters"))
    good.metadata["papermill"] = {"start_time": "now"}
    for cell in good.cells:
        cell.metadata["papermill"] = {"duration": 1}
        cell.metadata["execution"] = {"iopub.execute_input": "now"}
        cell.metadata.setdefault("tags", [])
    cleaned = series.cleaned(good)
    assert cleaned.cells == before.cells
    assert "papermill" not in cleaned.metadata


# --- the publishing home -------------------------------------------------------------------------


def test_a_new_home_reaches_notebooks_and_readme(good, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "07_gan_cls.ipynb"
    nbformat.write(good, path)
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    monkeypatch.setattr("t2i_utils.lesson.home", lambda: "ada/engine")
    assert len(publish.rehome(tmp_path)) == 2
    moved = series.read(path)
    assert "ada/engine" in cell_of(moved, "setup").source
    assert "ada/engine" in cell_of(moved, "badges").source
    rules.stamp_is_of_this_code(moved)  # the set-up cell does nothing where outputs are made
    readme = (tmp_path / "README.md").read_text()
    assert {match[0] for match in publish.HOME_LINK.finditer(readme)} <= {
        "github.com/ada/engine", "github/ada/engine"
    }  # fmt: skip
    assert publish.rehome(tmp_path) == []


def test_a_new_home_does_not_hide_an_edit(good, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "07_gan_cls.ipynb"
    replace("taught", "2 * x", "3 * x")(good)
    nbformat.write(good, path)
    (tmp_path / "README.md").write_text("")
    monkeypatch.setattr("t2i_utils.lesson.home", lambda: "ada/engine")
    publish.rehome(tmp_path)
    with pytest.raises(AssertionError, match="make refresh"):
        rules.stamp_is_of_this_code(series.read(path))
