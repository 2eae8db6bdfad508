"""The series executed and stored: failures, full disks, interrupts, and runs at once."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import processes
import psutil
import pytest
import rules
from nbformat.v4 import new_code_cell, new_notebook, new_output

import series
from t2i_utils.lesson import ROOT

PARAMETERS = 'profile = "auto"\nwhat = "blooms"\nn = 3'
REPORT = """\
import os, pathlib
from IPython.display import display
display({"text/plain": "claim", "application/vnd.t2i.claim+json":
         {"text": "so", "held": %s, "found": ""}}, raw=True)
print(os.environ.get("T2I_PROFILE"), what, n, pathlib.Path("pyproject.toml").exists())"""
FALSE_CLAIM = """\
from t2i_utils import lesson
lesson.start(profile).claim("it learned", False, "0 of 3", trained=%s)"""


def little(folder, name, *sources, held="True"):
    notebook = new_notebook(
        cells=[
            new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
            new_code_cell(REPORT % held),
            *map(new_code_cell, sources),
        ]
    )
    notebook.metadata["kernelspec"] = {"name": "somebody-elses", "display_name": "x"}
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def build(tmp_path):
    return tmp_path / "build"


@pytest.fixture
def shelf(tmp_path, build, monkeypatch):
    """A folder of notebooks that series.py takes for the series, with a build folder of its own."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for function, defaults in {
        "notebooks": ("", folder),
        "run": (build,),
        "refresh": (folder, build),
    }.items():
        monkeypatch.setattr(getattr(series, function), "__defaults__", defaults)
    return folder


def rows(text):
    return {line.split()[0]: line for line in text.splitlines() if line}


# --- runs ----------------------------------------------------------------------------------------


def test_a_run_goes_on_after_failures_and_ends_non_zero(shelf, build, capfd):
    little(shelf, "01_good")
    little(shelf, "02_raises", "1 / 0")
    little(shelf, "03_dies", "import os; os._exit(3)")
    assert series.run("smoke", "", []) == 1
    shown = capfd.readouterr().out
    lines = rows(shown.split("\n\n")[1])
    assert lines["01_good"].endswith("1/1")
    name, seconds, peak, *_ = lines["01_good"].split()
    assert 0 < float(seconds) < 60 and float(peak) > 10
    assert "smoke blooms 3 True" in (build / "01_good.html").read_text()
    for name, error in {
        "02_raises": "failed: In [3]: ZeroDivisionError: division by zero",
        "03_dies": "DeadKernelError: Kernel died",
    }.items():
        assert error in shown
        assert f"{name}: papermill's log is {build / name}.log" in shown
        assert (build / f"{name}.log").stat().st_size
    kinds = [".html", ".ipynb", ".log"]
    there = sorted(path.name for path in build.iterdir())
    assert there == ["01_good.html", "01_good.ipynb", *(
        name + kind for name in ("02_raises", "03_dies") for kind in kinds
    )]  # fmt: skip


def test_build_holds_what_the_last_run_gave(shelf, build):
    build.mkdir()
    (build / "01_x.log").write_text("of an earlier failure")
    path = little(shelf, "01_x")
    assert series.run("smoke", "", []) == 0
    assert not (build / "01_x.log").exists() and (build / "01_x.html").exists()
    path.write_text("{no notebook")
    with pytest.MonkeyPatch.context() as patch:  # the source goes bad while nobody looks
        patch.setattr(series, "parameters", lambda notebook: {})
        assert series.run("smoke", "", []) == 1
    assert [path.name for path in build.iterdir()] == ["01_x.log"]


@pytest.mark.parametrize(
    "verdicts, error, words, failed",
    [
        ([True, True], "", "2/2", False),
        ([True, False], "", "1/2", True),
        ([None, None], "", "not judged", False),
        ([True, None, True, None, None], "", "2/2, 3 not judged", False),
        ([None, False], "", "0/1, 1 not judged", True),
        ([], "", "none made", False),
        ([True], "cell 3: E: x", "failed: cell 3: E: x", True),
    ],
)
def test_the_table_says_what_became_of_the_claims(verdicts, error, words, failed):
    outcome = series.Outcome("01_x", 1.25, 1234.5, verdicts, error)
    assert (outcome.words, outcome.failed) == (words, failed)
    assert series.table([outcome]).splitlines()[1].endswith(f"1,234 MB  {words}")


def test_a_run_of_held_claims_ends_with_zero_and_takes_parameters(shelf, build):
    little(shelf, "01_good")
    little(shelf, "02_raises", "1 / 0")
    words = ["-p", "what", "a red flower: “two”", "-p", "n", "-7"]
    assert series.main(["run", "--profile", "laptop", "--only", "01", *words]) == 0
    executed = "".join(series.read(build / "01_good.ipynb").cells[2].outputs[1].text)
    assert executed == "laptop a red flower: “two” -7 True\n"
    assert not (build / "02_raises.ipynb").exists()


def test_what_is_not_there_is_named(shelf, capsys):
    little(shelf, "01_good")
    little(shelf, "07_gan_cls")
    assert [p.stem for p in series.notebooks("7, 01_good,")] == ["01_good", "07_gan_cls"]
    assert series.main(["run", "--only", "07,09"]) == 2
    assert "ONLY=09: no such notebook; there are 01_good, 07_gan_cls" in capsys.readouterr().err
    for nothing in (",", " ", " , ,"):
        assert series.main(["run", "--only", nothing]) == 2
        assert f"ONLY={nothing}: names no notebook; there are 01_good" in capsys.readouterr().err
    assert series.main(["run", "-p", "datset", "flowers"]) == 2
    shown = capsys.readouterr().err
    assert "-p datset: no such parameter in 01_good, 07_gan_cls; there are profile, what" in shown
    with pytest.raises(SystemExit):
        series.main(["run", "--profile", "fast"])
    assert "PROFILE=fast" in capsys.readouterr().err
    assert series.main(["refresh", "--profile", "smoke"]) == 2


# --- claims --------------------------------------------------------------------------------------


@pytest.fixture
def nbval():
    """Run the very command by which `make test` executes notebooks, on another folder of them."""

    def run(folder, profile):
        words = ["make", "--dry-run", "test", f"PROFILE={profile}", f"BIN={sys.prefix}/bin"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PROFILE"))}
        asked = subprocess.run(words, cwd=ROOT, env=clean, capture_output=True, text=True)
        command = "T2I_PROFILE=" + asked.stdout.rpartition("T2I_PROFILE=")[2]
        start, place = command.rstrip().rsplit(" ", 1)
        assert place == "notebooks", asked
        command = f"{start} -p no:cacheprovider {folder}"
        return subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=clean, capture_output=True, text=True
        )

    return run


@pytest.mark.skipif(os.name == "nt", reason="needs make")
@pytest.mark.parametrize(
    "profile, trained, fails",
    [("gpu", True, True), ("laptop", True, True), ("smoke", True, False), ("smoke", False, True)],
)
def test_a_claim_that_fails_makes_test_and_run_fail(shelf, nbval, capsys, profile, trained, fails):
    little(shelf, "01_claims", FALSE_CLAIM % trained, "after = 1")
    done = nbval(shelf, profile)
    assert done.returncode == int(fails), done.stdout + done.stderr
    assert ("A claim did not hold" in done.stdout) == fails
    assert ("it learned (0 of 3)" in done.stdout) == fails
    assert f"{3 if fails else 4} passed" in done.stdout  # the cell after it is executed
    if profile != "gpu":  # warns on a CPU and takes as long
        assert series.main(["run", "--profile", profile]) == int(fails)
        words = "1/2" if fails else "1/1, 1 not judged"
        assert rows(capsys.readouterr().out.split("\n\n")[1])["01_claims"].endswith(words)


# --- stored outputs ------------------------------------------------------------------------------


def test_refresh_stores_outputs_and_a_stamp(shelf):
    path = little(shelf, "01_good")
    assert series.main(["refresh"]) == 0
    stored = series.read(path)
    rules.stamp_is_of_this_code(stored)
    rules.ran_through_without_an_error(stored)
    rules.keeps_no_run_notes(stored)
    rules.claims_held(stored)
    assert stored.metadata.kernelspec.name == "python3"
    assert "laptop blooms 3 True" in json.dumps(stored)
    assert list(shelf.iterdir()) == [path]
    stored.cells[0].source += "\nm = 4"
    with pytest.raises(AssertionError, match="make refresh"):
        rules.stamp_is_of_this_code(stored)


def pretended(monkeypatch, *outputs, beside=lambda source: None):
    """A run that ends with a cell of these outputs; `beside` is done meanwhile."""

    def execute(source, target, profile, options):
        notebook = series.read(source)
        for output in outputs:
            notebook.cells[-1].outputs = [output]
        beside(source)
        error, verdicts = series.first_error(notebook), series.claims(notebook)
        return series.Outcome(source.stem, 1.0, 1.0, verdicts, error, notebook)

    monkeypatch.setattr(series, "execute", execute)


def claim(held):
    bundle = {series.CLAIM_MIME: {"text": "so", "held": held, "found": ""}, "text/plain": "so"}
    return new_output("display_data", bundle)


@pytest.mark.parametrize(
    "output, message",
    [
        (new_output("stream", text=f"{ROOT}/t2i_utils/x.py:3: UserWarning"), "machine's paths"),
        (new_output("error", ename="NameError", evalue="x", traceback=[]), "NameError: x"),
        (claim(False), "0/1"),
        (new_output("stream", text="x" * series.MAX_BYTES), "are allowed"),
    ],
)
def test_a_run_that_is_not_fit_is_not_stored(shelf, monkeypatch, output, message, capfd):
    path = little(shelf, "99_bad")
    before = path.read_bytes()
    pretended(monkeypatch, output)
    assert series.refresh("laptop", "") == 1
    assert path.read_bytes() == before
    shown = capfd.readouterr()
    assert message in shown.out and "99_bad: not stored" in shown.err
    pretended(monkeypatch, claim(True))
    assert series.refresh("laptop", "") == 0
    assert path.read_bytes() != before


@pytest.mark.parametrize("kind", ["code", "markdown"])
def test_an_edit_while_it_runs_is_not_lost(shelf, monkeypatch, kind, capfd):
    path = little(shelf, "01_edited")

    def edit(source):
        notebook = series.read(source)
        notebook.cells.append(getattr(nbformat.v4, f"new_{kind}_cell")("more"))
        nbformat.write(notebook, source)

    pretended(monkeypatch, claim(True), beside=edit)
    assert series.refresh("laptop", "") == 1
    assert "the notebook was edited while it ran" in capfd.readouterr().out
    assert series.read(path).cells[-1].source == "more"


# --- runs at once --------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["while it runs", "before its outputs are read"])
def test_runs_at_once_never_take_each_others_outputs(shelf, build, monkeypatch, other):
    """A `run` in smoke begins and ends in the middle of a `refresh` of the same notebook."""
    path = little(shelf, "01_both")
    inside, (module, name) = [], {
        "while it runs": (processes, "watch"),
        "before its outputs are read": (series, "execute"),
    }[other]  # fmt: skip
    original = getattr(module, name)

    def interrupted(*arguments):
        result = original(*arguments) if module is series else None
        if not inside:
            inside.append(True)
            assert series.run("smoke", "", []) == 0
            assert "smoke blooms 3" in (build / "01_both.ipynb").read_text()
        return result or original(*arguments)

    monkeypatch.setattr(module, name, interrupted)
    assert series.refresh("laptop", "") == 0
    stored = path.read_text()
    assert "laptop blooms 3 True" in stored and "smoke blooms" not in stored
    rules.stamp_is_of_this_code(series.read(path))
    assert sorted(path.name for path in build.iterdir()) == ["01_both.html", "01_both.ipynb"]


# --- interrupts ----------------------------------------------------------------------------------

PROGRAM = """
import signal, sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.insert(0, "tools")
import processes, series, study
series.notebooks.__defaults__ = ("", folder / "notebooks")
series.run.__defaults__ = (folder / "build",)
series.refresh.__defaults__ = (folder / "notebooks", folder / "build")
study.NOTEBOOKS, study.BUILD = folder / "notebooks", folder / "build"
study.STUDIES, study.PLANS = folder / "studies", {"01": [{"n": 3}]}
for number in (signal.SIGHUP, signal.SIGTERM) if sys.platform != "win32" else ():
    signal.signal(number, signal.SIG_DFL)  # nohup had these tests ignore it, and all their children
processes.stoppable()
words = sys.argv[2:]
sys.exit(study.main(words[1:]) if words[0] == "study" else series.main(words))
"""
WAITS = """\
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open({path!r} + "x", "w") as file:
    print(os.getpid(), child.pid, file=file)
os.rename({path!r} + "x", {path!r})
time.sleep(600)"""


def program(folder, *words, **around):
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONIOENCODING", "LC_ALL")}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), *words],
        cwd=ROOT, env=clean | around, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize(
    "words, number, code",
    [
        (["run"], signal.SIGTERM, 143),
        (["run"], signal.SIGINT, 130),
        (["refresh"], signal.SIGHUP, 129),
        (["study", "--only", "01"], signal.SIGTERM, 143),
    ],
)
def test_a_signal_ends_all_that_was_started(shelf, build, tmp_path, words, number, code):
    path = little(shelf, "01_waits", WAITS.format(path=str(tmp_path / "pids")))
    notebook = series.read(path)
    notebook.cells[2].metadata["tags"] = ["study"]
    nbformat.write(notebook, path)
    before = path.read_bytes()
    running = program(tmp_path, *words)
    try:
        for _ in range(600):
            if (tmp_path / "pids").exists() or running.poll() is not None:
                break
            time.sleep(0.1)
        started = psutil.Process(running.pid).children(recursive=True)
        pids = {int(word) for word in (tmp_path / "pids").read_text().split()}
        assert pids < {process.pid for process in started}  # kernel and child; papermill, too
        running.send_signal(number)
        running.communicate(timeout=30)
        assert running.returncode == code
        assert [process for process in started if process.is_running()] == []
    finally:
        running.kill()
    assert list(build.rglob("*.*")) == [] and path.read_bytes() == before
    assert list(shelf.iterdir()) == [path]


def test_what_a_notebook_leaves_running_is_ended(shelf, tmp_path):
    leave = WAITS.rpartition("\n")[0].replace('600)"]', '600)"], start_new_session=True')
    little(shelf, "01_leaves", leave.format(path=str(tmp_path / "pids")), "time.sleep(1)")
    assert series.run("smoke", "", []) == 0
    for word in (tmp_path / "pids").read_text().split():
        assert not psutil.pid_exists(int(word))


# --- terminals, folders and disks that refuse ----------------------------------------------------


PLAIN_C = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("around", [{"PYTHONIOENCODING": "ascii"}, PLAIN_C])
def test_a_terminal_without_utf_8_is_enough(shelf, build, tmp_path, around):
    little(shelf, "01_raises", "print('größer …', flush=True)\nraise ValueError('größer …')")
    done = program(tmp_path, "run", **around)
    shown, errors = done.communicate(timeout=60)
    assert done.returncode == 1, errors
    assert rows(shown)["01_raises:"].isascii()  # the row of the log, after all others
    assert "ValueError: gr\\xf6\\xdfer \\u2026" in shown
    assert "größer …" in (build / "01_raises.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [["run"], ["refresh"]])
def test_a_build_that_is_a_file_is_refused(shelf, build, words, capsys):
    path = little(shelf, "01_x")
    before = path.read_bytes()
    build.write_text("")
    assert series.main(words) == 2
    shown = capsys.readouterr().err
    assert str(build) in shown and "expected a folder" in shown
    assert path.read_bytes() == before


def test_a_build_that_cannot_be_written_is_refused(shelf, disk, monkeypatch, capsys):
    little(shelf, "01_x")
    folder = disk("1m")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    for build in (folder, folder / "deeper"):
        monkeypatch.setattr(series.run, "__defaults__", (build,))
        assert series.main(["run"]) == 2
        shown = capsys.readouterr().err
        assert f"{build}: cannot be written (Read-only file system)" in shown


BIG = "print('x' * 4_000_000)"


def test_a_full_disk_is_a_row_of_a_run(shelf, disk, monkeypatch, capsys):
    build = disk("2m")
    monkeypatch.setattr(series.run, "__defaults__", (build,))
    little(shelf, "01_big", BIG)
    little(shelf, "02_page", "print('x' * 1_100_000)")  # its page is as large again
    little(shelf, "03_good")
    assert series.main(["run", "--profile", "smoke"]) == 1
    lines = rows(capsys.readouterr().out.split("\n\n")[1])
    for name, place in {"01_big": "01_big.ipynb", "02_page": "02_page.html"}.items():
        assert "failed: disk full: " in lines[name] and " bytes needed, " in lines[name]
        assert lines[name].endswith(f" bytes free: {build / place}")
    assert lines["03_good"].endswith("1/1")
    there = sorted(path.name for path in build.iterdir())
    assert there == ["02_page.ipynb", "03_good.html", "03_good.ipynb"]


def test_a_full_disk_is_a_row_of_a_refresh(shelf, disk, build, monkeypatch, capsys):
    folder = disk("400k")
    monkeypatch.setattr(series.refresh, "__defaults__", (folder, build))
    monkeypatch.setattr(series.notebooks, "__defaults__", ("", folder))
    big = little(folder, "01_big", "print('x' * 900_000)")
    before = big.read_bytes()
    good = little(folder, "02_good")
    assert series.main(["refresh"]) == 1
    lines = rows(capsys.readouterr().out.split("\n\n")[1])
    assert "failed: disk full: 90" in lines["01_big"]
    assert lines["01_big"].endswith(f" bytes free: {big}")
    assert lines["02_good"].endswith("1/1")
    assert big.read_bytes() == before
    rules.stamp_is_of_this_code(series.read(good))
    assert sorted(folder.iterdir()) == [big, good]
