"""Studies: the plan, the runs of a notebook and what they record, in parts and as a whole."""

import json
import os
import subprocess

import nbformat
import pytest
import study
from nbformat.v4 import new_code_cell, new_notebook, new_output

import series
from t2i_utils import lesson

RECORD = """\
from t2i_utils import lesson
course = lesson.start(profile, seed)
course.record("right", seed + rate)
course.record("each", {"petals": seed})
course.claim("it is small", seed < 2, str(seed))"""


def little(folder, name):
    """A notebook with a parameters cell and two cells tagged `study`."""
    parameters = 'profile = "auto"\nseed = 0\nrate = 0.5\nword = "a"\ndata_dir = None'
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(s, metadata={"tags": ["study"]}) for s in (RECORD, "2")]
    cells.append(new_code_cell("print('a figure')"))
    path = folder / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of notebooks, with studies and builds of its own and a plan of three runs."""
    for name, folder in {"NOTEBOOKS": "notebooks", "STUDIES": "studies", "BUILD": "build"}.items():
        monkeypatch.setattr(study, name, tmp_path / folder)
    plan = [{"seed": 0}, {"seed": 3}, {"seed": 0, "rate": 1e-05, "word": "7"}]
    monkeypatch.setattr(study, "PLANS", {"01": plan, "02": plan})
    (tmp_path / "notebooks").mkdir()
    return tmp_path / "notebooks"


@pytest.fixture
def pretended(monkeypatch):
    """Runs that end at once; the list of what they were asked for, and what to do beside."""
    asked, beside = [], []

    def execute(source, target, profile, options):
        asked.append(study.yaml.safe_load(options[1]))
        notebook = series.read(source)
        values = {**series.parameters(notebook), **asked[-1]}
        bundle = {"name": "right", "value": values["seed"], "modules": ["t2i_utils.lesson"]}
        claim = {"text": "it is small", "held": values["seed"] < 2, "found": "so"}
        bundles = {lesson.RECORD_MIME: bundle}, {lesson.CLAIM_MIME: claim}
        notebook.cells[1].outputs = [new_output("display_data", data) for data in bundles]
        for do in beside:
            do(notebook)
        return series.Outcome(source.stem, 1.25, 1.0, series.claims(notebook), "", notebook)

    monkeypatch.setattr(series, "execute", execute)
    return asked, beside


def stored(number="01"):
    return json.loads((study.STUDIES / f"{number}.json").read_text())


# --- the whole of it ------------------------------------------------------------------------------


def test_a_study_is_made_in_parts_and_read_by_a_page(shelf, capsys, monkeypatch, tmp_path):
    """The one test that executes notebooks: the others pretend."""
    path = little(shelf, "01_little")
    study.PLANS["01"] = [{"seed": 3}, {"seed": 0, "rate": 1e-05, "word": "7"}]
    assert study.main(["--only", "01", "--seeds", "0"]) == 0
    assert "not stored, still to run: seed 3" in capsys.readouterr().out
    assert not study.STUDIES.exists()

    assert study.main(["--only", "01"]) == 0
    shown = capsys.readouterr().out
    assert "01_little, seed 3 ..." in shown and "01_little, seed 0" not in shown
    assert "1/1 (kept)" in shown
    assert "seed 3: did not hold: it is small (3)" in shown
    assert "2 runs stored in data/studies/01.json" in shown
    whole = stored()
    assert (whole["format"], whole["notebook"]) == (lesson.STUDY_FORMAT, "01_little")
    assert whole["study_hash"] == study.study_hash(series.read(path))
    assert whole["profile"] == "laptop"
    assert {name: whole[name] for name in ("device", "versions")} == series.machine()
    code = study.package_code()
    loaded = ("t2i_utils", "t2i_utils.files", "t2i_utils.lesson")
    assert whole["modules"] == {name: code[name] for name in loaded}
    first, second = whole["runs"]
    assert first["parameters"] == {"seed": 3, "rate": 0.5, "word": "a"}
    assert second["parameters"] == {"seed": 0, "rate": 1e-05, "word": "7"}  # types are kept
    assert first["records"] == {"right": 3.5, "each": {"petals": 3}}
    assert first["claims"] == [{"text": "it is small", "held": False, "found": "3"}]
    assert 0 < first["seconds"] < 60

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "studies").symlink_to(study.STUDIES)
    monkeypatch.setattr(lesson, "ROOT", tmp_path)
    assert lesson.study("01").values("right") == [3.5, 1e-05]


def test_a_run_that_fails_is_a_row_and_the_others_go_on(shelf, pretended, monkeypatch, capsys):
    little(shelf, "01_little")
    execute = series.execute

    def failing(source, target, profile, options):
        if "seed: 3" in options[1]:
            return series.Outcome(source.stem, 1.0, 1.0, [True], "In [3]: ValueError: x")
        return execute(source, target, profile, options)

    monkeypatch.setattr(series, "execute", failing)
    assert study.main(["--only", "1"]) == 1
    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert lines["seed 3"].endswith("failed: In [3]: ValueError: x")
    assert lines["seed 0"].endswith("1/1")
    assert lines["01_little: not stored, still to run: seed 3"]
    assert len(list(study.BUILD.rglob("*.json"))) == 2 and not study.STUDIES.exists()
    monkeypatch.setattr(series, "execute", execute)
    assert study.main(["--only", "1"]) == 0
    assert len(pretended[0]) == 3  # the failed run alone was repeated


# --- what is kept, and what is made anew ---------------------------------------------------------


def test_what_is_there_is_not_run_again(shelf, pretended):
    asked, _ = pretended
    path = little(shelf, "01_little")
    assert study.main(["--only", "01"]) == 0
    before = (study.STUDIES / "01.json").read_bytes()
    assert len(asked) == 3
    assert study.main(["--only", "01"]) == 0
    assert len(asked) == 3
    for part in study.BUILD.rglob("*.json"):  # a fresh clone has the stored study alone
        part.unlink()
    assert study.main(["--only", "01"]) == 0
    assert len(asked) == 3
    assert (study.STUDIES / "01.json").read_bytes() == before
    study.PLANS["01"] = [*study.PLANS["01"], {"seed": 9}]
    assert study.main(["--only", "01"]) == 0
    assert asked[3:] == [{"seed": 9}]
    assert [run["records"]["right"] for run in stored()["runs"]] == [0, 3, 0, 9]
    assert study.main(["--only", "01", "--profile", "gpu"]) == 0
    assert len(asked) == 8 and stored()["profile"] == "gpu"

    notebook = series.read(path)
    notebook.cells[-1].source = "print('another figure')"
    nbformat.write(notebook, path)
    assert study.main(["--only", "01", "--profile", "gpu"]) == 0
    assert len(asked) == 8
    notebook.cells[1].source += "\n# another measurement"
    nbformat.write(notebook, path)
    assert study.main(["--only", "01", "--profile", "gpu"]) == 0
    assert len(asked) == 12 and stored()["study_hash"] == study.study_hash(notebook)


def test_what_is_tried_is_kept_apart(shelf, pretended, capsys):
    asked, _ = pretended
    little(shelf, "01_little")
    for words in (["-p", "rate", "-7"], ["--profile", "smoke"], ["-p", "seed", "5"]):
        assert study.main(["--only", "01", *words]) == 0
        assert "tried, not stored" in capsys.readouterr().out
        assert not study.STUDIES.exists()
    assert asked[0] == {"seed": 0, "rate": -7}
    assert len(asked) == 3 + 3 + 2  # runs that become the same are one
    assert study.main(["--only", "01"]) == 0
    assert len(stored()["runs"]) == 3 and stored()["profile"] == "laptop"


def test_a_folder_is_used_and_not_told(shelf, pretended, tmp_path):
    asked, _ = pretended
    little(shelf, "01_little")
    assert study.main(["--only", "01", "-p", "data_dir", str(tmp_path)]) == 0
    assert asked[0] == {"seed": 0, "data_dir": str(tmp_path)}
    assert str(tmp_path) not in (study.STUDIES / "01.json").read_text()
    assert all("data_dir" not in run["parameters"] for run in stored()["runs"])
    assert study.main(["--only", "01"]) == 0
    assert len(asked) == 3


def test_a_parameter_may_hold_a_space(shelf, pretended):
    little(shelf, "01_little")
    assert study.main(["--only", "01", "-p", "word", "a red flower", "--seeds", "3"]) == 0
    assert pretended[0] == [{"seed": 3, "word": "a red flower"}]


def test_two_studies_at_once_make_one_whole(shelf, pretended):
    """Another `make study` makes its part while this one runs."""
    asked, beside = pretended
    little(shelf, "01_little")

    def other(notebook):
        beside.clear()
        assert study.main(["--only", "01", "--seeds", "0"]) == 0

    beside.append(other)
    assert study.main(["--only", "01", "--seeds", "3"]) == 0
    assert len(asked) == 3 and len(stored()["runs"]) == 3


def test_code_of_the_package_that_changed_is_named(shelf, pretended, monkeypatch, capsys):
    little(shelf, "01_little")
    now = study.package_code()
    monkeypatch.setattr(study, "package_code", lambda: {**now, "t2i_utils.lesson": "older"})
    assert study.main(["--only", "01", "--seeds", "3"]) == 0
    monkeypatch.setattr(study, "package_code", lambda: now)
    monkeypatch.setattr(series, "machine", lambda: {"device": "A card", "versions": {"torch": "9"}})
    capsys.readouterr()
    assert study.main(["--only", "01"]) == 0
    assert "edited since the kept runs: t2i_utils.lesson; to measure" in capsys.readouterr().out
    both = stored()
    assert both["modules"] == {"t2i_utils.lesson": f"{now['t2i_utils.lesson']} and older"}
    assert both["device"].startswith("A card and ")
    assert both["versions"]["torch"].startswith(("2.", "9 and ")) and "python" in both["versions"]
    assert study.main(["--only", "01"]) == 0
    assert stored() == both


def test_the_packages_modules_are_told_apart():
    code = study.package_code()
    assert {"t2i_utils", "t2i_utils.lesson", "t2i_utils.data", "t2i_utils.data.blooms"} <= set(code)
    assert not [name for name in code if "figures" in name or "widgets" in name]
    assert all(len(digest) == 12 for digest in code.values())


@pytest.mark.parametrize("place", ["build", "studies"])
def test_a_full_disk_is_named_and_what_ran_is_kept(
    shelf, pretended, disk, monkeypatch, place, capsys
):
    small = disk("64k")
    monkeypatch.setattr(study, {"build": "BUILD", "studies": "STUDIES"}[place], small / "here")
    little(shelf, "01_little")
    (small / "filler").write_bytes(bytes(64 * 1024))
    assert study.main(["--only", "01"]) == 1
    shown = capsys.readouterr().out
    assert shown.count("disk full: ") == (3 if place == "build" else 1)
    assert "bytes needed" in shown and "bytes free: " + str(small / "here") in shown
    assert not [path for path in small.rglob("*") if path.is_file() and path.name != "filler"]
    if place == "build":  # the runs are in the study itself
        assert len(stored()["runs"]) == 3
    (small / "filler").unlink()
    assert study.main(["--only", "01"]) == 0
    assert len(stored()["runs"]) == 3 and len(pretended[0]) == 3


# --- what is no study ----------------------------------------------------------------------------


def add_record(notebook):
    notebook.cells[2].outputs = [*notebook.cells[1].outputs]
    notebook.cells[1].execution_count, notebook.cells[2].execution_count = 4, 6


def edit_meanwhile(notebook):
    notebook.cells[1].source += "\n# edited"


def forget(notebook):
    notebook.cells[1].outputs = []


@pytest.mark.parametrize(
    "do, message",
    [
        (add_record, "failed: In [6] records 'right', as In [4] did before"),
        (edit_meanwhile, "failed: the notebook was edited while its study ran"),
        (forget, "failed: the notebook recorded nothing"),
    ],
)
def test_a_run_that_is_no_measurement_is_not_kept(shelf, pretended, capsys, do, message):
    little(shelf, "01_little")
    pretended[1].append(do)
    assert study.main(["--only", "01"]) == 1
    assert message in capsys.readouterr().out
    assert not list(study.BUILD.rglob("*.json")) and not study.STUDIES.exists()


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "say which one, ONLY=04"),
        (["--only", "09"], "ONLY=09: no such notebook"),
        (["--only", "01,05"], "05_more: no plan in tools/study.py; PLANS has 01, 02"),
        (["--only", "01,02"], "02_plain: no cell is tagged `study`"),
        (["--only", "01", "--seeds", "0,4"], "SEEDS=4: not in the plan; there are 0, 3"),
        (["--only", "01", "--seeds", ","], "SEEDS=,: names no seed"),
        (["--only", ","], "ONLY=,: names no notebook; there are 01_little, 02_plain, 05_more"),
        (["--only", "01", "-p", "sed", "1"], "cannot change 'sed'; there are seed, rate, word"),
        (["--only", "01", "-p", "profile", "gpu"], "PROFILE= chooses the profile"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(
    shelf, pretended, capsys, words, message
):
    little(shelf, "01_little")
    plain = series.read(little(shelf, "02_plain"))
    for cell in plain.cells[1:]:
        cell.metadata.clear()
    nbformat.write(plain, shelf / "02_plain.ipynb")
    little(shelf, "05_more")
    assert study.main(words) == 2
    assert message in capsys.readouterr().err
    assert pretended[0] == []


def test_a_build_that_is_a_file_is_refused(shelf, pretended, capsys):
    little(shelf, "01_little")
    study.BUILD.write_text("")
    assert study.main(["--only", "01"]) == 2
    shown = capsys.readouterr().err
    assert str(study.BUILD) in shown and "expected a folder" in shown
    assert pretended[0] == []


def test_an_unknown_profile_is_named(capsys):
    with pytest.raises(SystemExit):
        study.main(["--only", "04", "--profile", "fast"])
    assert "PROFILE=fast: expected laptop or gpu" in capsys.readouterr().err


@pytest.mark.parametrize(
    "word, value",
    [("3", 3), ("-7", -7), ("1e-3", 1e-3), ("None", None), ("flowers", "flowers"), ("a b", "a b")],
)
def test_values_are_read_as_the_parameters_cell_would_hold_them(word, value):
    assert study.literal(word) == value


# --- the plans of the series, and make -----------------------------------------------------------


def test_the_plans_are_of_notebooks_and_their_parameters():
    for number, runs in study.PLANS.items():
        (path,) = series.notebooks(number)
        there = series.parameters(series.read(path))
        notebook = series.read(path)
        assert len({study.key(study.settings(notebook, run)) for run in runs}) == len(runs)
        for name in {name for run in runs for name in run}:
            assert name in there and name != "profile", f"{path.stem} has no parameter {name}"


@pytest.mark.skipif(os.name == "nt", reason="needs make")
def test_make_passes_on_what_it_is_given():
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "PROFILE")}
    words = ["ONLY=04", "PROFILE=gpu", "SEEDS=0,1", "PARAMS=-p steps 3"]
    done = subprocess.run(
        ["make", "--dry-run", "study", *words],
        cwd=lesson.ROOT, env=clean, capture_output=True, text=True,
    )  # fmt: skip
    expected = 'tools/study.py --profile "gpu" --only "04" --seeds "0,1" -p steps 3'
    assert expected in done.stdout, done.stderr


@pytest.mark.skipif(not (lesson.ROOT / ".git").exists(), reason="needs a checkout")
def test_studies_are_part_of_the_project():
    done = subprocess.run(["git", "check-ignore", "-q", "data/studies/04.json"], cwd=lesson.ROOT)
    assert done.returncode == 1
