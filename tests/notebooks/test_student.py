"""The student's version: it tells nothing, runs with open exercises, and overwrites no answer."""

import copy
import re

import nbformat
import pytest
import student
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import series
from t2i_utils.lesson import ROOT, badges

every_notebook = pytest.mark.parametrize("path", series.notebooks(), ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def versions():
    """Each notebook with its student's version, made once."""
    made = {}

    def of(path):
        if path not in made:
            notebook = series.read(path)
            made[path] = notebook, student.student_version(notebook, path.stem)
        return made[path]

    return of


def lines_of_solutions(notebook):
    """The lines that may not be told: those that a stub does not show."""
    lines = set()
    for stub, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if "solution" in student.tags_of(cell):
            shown = student.squeezed(stub.source)
            lines |= {one for one in student.lines_of(cell.source)
                      if student.squeezed(one) not in shown}  # fmt: skip
    return lines


# --- every notebook ------------------------------------------------------------------------------


@every_notebook
def test_a_students_version_tells_no_solution(path, versions):
    notebook, made = versions(path)
    nbformat.validate(made)
    assert student.leaks(made, notebook) == []
    assert "*Run all* goes on past" in "".join(c.source for c in made.cells)
    assert len(lines_of_solutions(notebook)) > 3  # the scan has something to look for
    assert not [c.id for c in made.cells if c.get("outputs") or c.get("execution_count")]
    assert set(made.metadata) <= {*student.KEPT, student.MARK}
    assert [c.source for c in series.tagged(made, "badges")] == [badges(path.stem, "student")]
    assert "/blob/main/student/" in badges(path.stem, "student")
    kept = [cell.id for cell in notebook.cells if "solution" not in student.tags_of(cell)]
    assert [cell.id for cell in made.cells] == kept
    checks = series.tagged(made, "check")
    assert len(checks) == len(series.tagged(notebook, "solution"))
    for check in checks:
        assert student.OPEN in check.metadata.tags
        assert check.metadata.jupyter.source_hidden and check.metadata.cellView == "form"
        compile(check.source, "check", "exec")


PLANTS = {
    "a code cell": lambda cell, text: cell.update(source=f"{cell.source}\n{text}"),
    "a comment": lambda cell, text: cell.update(
        source=cell.source + "".join(f"\n#   {line}  # so" for line in text.splitlines())
    ),
    "an output": lambda cell, text: cell.outputs.append(new_output("stream", text=text)),
    "a coloured traceback": lambda cell, text: cell.outputs.append(
        new_output("error", ename="E", evalue="", traceback=[text.replace("(", "\x1b[31m(\x1b[0m")])
    ),
    "a page in an output": lambda cell, text: cell.outputs.append(
        new_output("display_data", {"text/html": text.replace("<", "&lt;").replace('"', "&quot;")})
    ),
    "metadata": lambda cell, text: cell.metadata.update(note=[text]),
    "other blanks and quotes": lambda cell, text: cell.update(
        source=text.replace('"', "'").replace(" ", "  ").replace(", ", " ,\n")
    ),
}


@every_notebook
def test_a_line_that_is_put_back_is_found(path, versions):
    """Each line of each solution, long or short, also where the page teaches it elsewhere."""
    notebook, made = versions(path)
    lines = lines_of_solutions(notebook)
    broken = copy.deepcopy(made)
    cells = [cell for cell in broken.cells if cell.cell_type == "code"]
    for cell, plant in zip(cells, PLANTS.values(), strict=False):
        plant(cell, "\n".join(sorted(lines)))
    told = set(student.leaks(broken, notebook))
    for cell, place in zip(cells, PLANTS, strict=False):
        said = "cell {} holds {!r} of a solution"
        missed = {line for line in lines if said.format(cell.id, line) not in told}
        assert not missed, place


@every_notebook
def test_a_solution_that_is_put_back_is_found(path, versions):
    notebook, made = versions(path)
    for where, number in ((-1, 0), (0, -1)):  # in words above all, and in the last cell
        broken = copy.deepcopy(made)
        solution = series.tagged(notebook, "solution")[number]
        broken.cells[where].source += f"\n\n{solution.source}"
        assert f"cell {broken.cells[where].id} holds" in "\n".join(student.leaks(broken, notebook))
    broken = copy.deepcopy(made)
    broken.cells.append(copy.deepcopy(solution))
    assert f"cell {solution.id} is a solution" in student.leaks(broken, notebook)


@every_notebook
def test_a_line_in_the_page_itself_is_found(path, versions):
    """As an author would leave it: in a cell below, or in words above, of the notebook."""
    notebook, _ = versions(path)
    for where in (0, -1):
        told = copy.deepcopy(notebook)
        lines = lines_of_solutions(notebook)
        line = max(lines, key=len)
        told.cells[where].source += f"\n{line}"
        found = student.leaks(student.student_version(told, path.stem), told)
        assert found and repr(line) in found[0]


def test_words_about_solutions_are_found(versions):
    notebook, made = versions(series.notebooks("01")[0])
    assert "folded solution" in "".join(cell.source for cell in notebook.cells)
    assert "goes on past an exercise that is still open" in "".join(c.source for c in made.cells)
    broken = copy.deepcopy(made)
    broken.cells.append(new_markdown_cell("Now open the solution below."))
    assert "speaks of solutions: 'open the solution'" in student.leaks(broken, notebook)[-1]


# --- a small notebook ----------------------------------------------------------------------------


def code(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


@pytest.fixture
def small():
    return new_notebook(
        cells=[
            new_markdown_cell(
                "Each is a stub to fill in, a folded solution, and a check. Write over the stub, "
                "run it, **skip the solution**, run the check: it answers with a hint."
            ),
            new_markdown_cell(badges("07_gan_cls"), metadata={"tags": ["badges"]}),
            code("import math\nfrom t2i_utils import lesson\nresults, found, rows = {}, 1, [1]"),
            code('def area(r):\n    """Of a disc."""\n    raise NotImplementedError("exercise 1")',
                 "exercise"),
            code("#@title Solution\ndef area(r):\n    return math.pi * r**2", "solution"),
            code("def check_of_exercise_1():\n    __tracebackhide__ = True\n    found = area(2)\n"
                 '    assert abs(found - 12.566) < 0.01, f"π r²: not {found}"\n'
                 '    print("exercise 1 holds")\n\n\n'
                 "with lesson.hints():\n    check_of_exercise_1()", "check"),
            code("results['two'] = area(2)"),
            code("print(results)"),
            code("def of_disc():\n    return area(1)"),
            code("print(of_disc())"),
            code("results = {}"),
            code("print(results, found, [area for area in rows])"),
            code("def other(area):\n    return area + 1\nprint(other(1))"),
        ]
    )  # fmt: skip


def test_what_needs_an_answer_is_found(small):
    needy = student.needs_an_answer(small)
    # the check, a use that sets an item of `results`, their reader, a function that uses the
    # answer, what calls it
    assert [small.cells.index(cell) for cell in needy] == [5, 6, 7, 8, 9]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs all cells as Jupyter does, in `smoke`; each code cell's error, or ''."""
    for name, value in series.environment("smoke", tmp_path / "jupyter").items():
        monkeypatch.setenv(name, value)

    def all_cells(notebook):
        where = {"metadata": {"path": str(ROOT / "notebooks")}}
        NotebookClient(notebook, kernel_name="python3", timeout=600, resources=where).execute()
        errors = {}
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                assert cell.execution_count, f"cell {number} did not run"
                said = [f"{o.ename}: {o.evalue}" for o in cell.outputs if o.output_type == "error"]
                errors[number] = "".join(said)
        return errors

    return all_cells


def test_run_all_goes_on_past_an_open_exercise(small, run):
    made = student.student_version(small, "07_gan_cls")
    errors = run(made)
    open_one = "NotImplementedError: exercise 1"
    assert {n: words for n, words in errors.items() if words} == {
        4: open_one, 5: open_one, 8: open_one
    }  # fmt: skip
    assert made.cells[11].outputs[0].text == "2\n"


def test_a_check_passes_on_an_answer_and_overwrites_nothing(small, run):
    made = student.student_version(small, "07_gan_cls")
    made.cells[3].source = small.cells[4].source
    assert not any(run(made).values())
    assert made.cells[4].outputs[0].text == "exercise 1 holds\n"
    assert made.cells[8].outputs[0].text == "3.141592653589793\n"
    assert made.cells[10].outputs[0].text == "{} 1 [1]\n"


def test_a_check_shows_a_wrong_answer_the_hint_and_no_line_of_its_own(small, run):
    made = student.student_version(small, "07_gan_cls")
    made.cells[3].source = "def area(r):\n    return 2 * r"
    assert run(made)[4] == "Hint: π r²: not 4"
    assert made.cells[4].outputs[0].traceback == ["Not yet: π r²: not 4"]
    made.cells[3].source = "def area(r):\n    return 2 * p"
    assert run(made)[4] == "NameError: name 'p' is not defined"
    shown = "\n".join(made.cells[4].outputs[0].traceback)
    assert "2 * p" in re.sub(r"\x1b\[[\d;]*m", "", shown) and "12.566" not in shown


def test_a_page_runs_with_open_exercises(run, versions):
    made = copy.deepcopy(versions(series.notebooks("03")[0])[1])
    for number, words in run(made).items():
        needy = student.OPEN in student.tags_of(made.cells[number])
        assert bool(words) == needy and ("exercise" in words or not words), f"{number}: {words}"


# --- files ---------------------------------------------------------------------------------------


@pytest.fixture
def folders(small, tmp_path):
    """A folder of notebooks with one page, and an empty one for students."""
    (tmp_path / "notebooks").mkdir()
    nbformat.write(small, tmp_path / "notebooks" / "07_gan_cls.ipynb")
    return {"folder": tmp_path / "student", "source": tmp_path / "notebooks"}


def edit(path, change):
    notebook = series.read(path)
    change(notebook.cells)
    nbformat.write(notebook, path)


def answer(cells):
    cells[3].source = "def area(r):\n    return 3.14 * r * r"


def test_a_file_with_answers_is_kept_and_named(folders, capsys):
    page, mine = folders["source"] / "07_gan_cls.ipynb", folders["folder"] / "07_gan_cls.ipynb"
    student.build(**folders)
    assert capsys.readouterr().out == "student/07_gan_cls.ipynb  written\n"
    student.build(**folders)
    assert "is the page as it is now" in capsys.readouterr().out

    edit(mine, answer)
    kept = mine.read_bytes()
    student.build(**folders)
    assert "kept: somebody has worked in it, and the page is still" in capsys.readouterr().out
    edit(page, lambda cells: cells[0].update(source="# New words"))
    student.build(**folders)
    assert "KEPT: somebody has worked in it; move it" in capsys.readouterr().out
    assert mine.read_bytes() == kept
    assert [path.name for path in folders["folder"].iterdir()] == [mine.name]  # no drafts


@pytest.mark.parametrize("work", [
    lambda cells: cells[0].update(source="My note."),
    lambda cells: cells.append(code("print(1)")),
    lambda cells: cells.pop(),
])  # fmt: skip
def test_any_work_is_kept(folders, work):
    mine = folders["folder"] / "07_gan_cls.ipynb"
    student.build(**folders)
    edit(mine, work)
    kept = mine.read_bytes()
    edit(folders["source"] / mine.name, lambda cells: cells[0].update(source="# New words"))
    student.build(**folders)
    assert mine.read_bytes() == kept


def test_a_file_that_was_only_run_is_made_anew(folders, capsys):
    mine = folders["folder"] / "07_gan_cls.ipynb"
    student.build(**folders)
    edit(mine, lambda cells: cells[2].update(execution_count=1))
    edit(folders["source"] / mine.name, lambda cells: cells[0].update(source="# New words"))
    student.build(**folders)
    assert "written anew: nobody had worked in it" in capsys.readouterr().out
    assert series.read(mine).cells[0].source == "# New words"


@pytest.mark.parametrize("there", ["", "{", "[]", '{"cells": 3}', "my notes"])
def test_what_is_no_notebook_is_kept(folders, capsys, there):
    mine = folders["folder"] / "07_gan_cls.ipynb"
    mine.parent.mkdir()
    mine.write_text(there)
    student.build(**folders)
    assert "KEPT: it is no notebook" in capsys.readouterr().out
    assert mine.read_text() == there


def test_a_page_that_tells_is_not_written(folders):
    page = folders["source"] / "07_gan_cls.ipynb"
    edit(page, lambda cells: cells[-1].update(source="# return math.pi * r ** 2"))
    with pytest.raises(series.Refusal, match=r"07_gan_cls would tell a solution: .*math\.pi"):
        student.build(**folders)
    assert not list(folders["folder"].iterdir())


def test_cleaning_leaves_the_folder_alone():
    recipe = (ROOT / "Makefile").read_text().split("\nclean:\n")[1]
    assert recipe.strip() == "@rm -rf build" and not student.STUDENT.is_relative_to(series.BUILD)
