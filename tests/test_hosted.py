"""The set-up cell on Colab and Kaggle.

The cell is run for real in a fresh interpreter. On a hosted machine the package is not installed;
git and pip are stood in for by subprocess.run, which writes down what was asked.
"""

import os
import shutil
import subprocess
import sys

import pytest

from t2i_utils import lesson

STAND_IN = """
import os, shutil, subprocess, sys
from pathlib import Path
project = os.environ["PROJECT"]
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in str(f).lower()]
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(project)]
def run(command, **options):
    if command[0] == "git":
        assert options["check"]
        shutil.copytree(project + "/t2i_utils", command[-1] + "/t2i_utils")
        shutil.copy(project + "/pyproject.toml", command[-1])
    print("RUN", *command)
    failing = bool("pip" in command and failures and failures.pop())
    return subprocess.CompletedProcess(command, int(failing), "", "no network" if failing else "")
failures = [True] * int(os.environ.get("FAILURES", 0))
subprocess.run = run
"""


AGAIN = "exec(os.environ['CELL'])"


def hosted(tmp_path, *lines, **environment):
    """Run the set-up cell as a hosted notebook does, and these lines after it."""
    return hosted_in(tmp_path, [AGAIN, *lines], **environment)


def hosted_in(tmp_path, lines, **environment):
    """Run lines in a fresh interpreter; those that are AGAIN run the cell."""
    cell = lesson.setup_cell().replace("/kaggle/input", str(tmp_path / "input"))
    names = ("PYTHONPATH", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    environment = {"PROJECT": str(lesson.ROOT), "CELL": cell, "OMP_NUM_THREADS": "1"} | environment
    (tmp_path / "working").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", "\n".join([STAND_IN, *lines])],
        cwd=tmp_path / "working",
        env=clean | environment,
        capture_output=True,
        text=True,
    )


def ran(done):
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("RUN")]


@pytest.fixture
def attached(tmp_path):
    """A data set as `make kaggle` builds it, attached."""
    project = tmp_path / "input" / "set" / "text-to-image-gans"
    shutil.copytree(lesson.ROOT / "t2i_utils", project / "t2i_utils")
    shutil.copy(lesson.ROOT / "pyproject.toml", project)
    (project.parent / "wheels").mkdir()
    return project


def test_on_colab_the_set_up_cell_clones_and_keeps_torch(tmp_path, attached):
    done = hosted(
        tmp_path, AGAIN, "print(lesson.__file__)", "print(os.environ['PYTHONPATH'])",
        COLAB_RELEASE_TAG="release-colab",
    )  # fmt: skip
    clone, pip = ran(done)  # a second run of the cell has nothing to fetch, and Kaggle is not here
    place = tmp_path / "working" / lesson.home().split("/")[1]
    assert clone == f"RUN git clone --depth=1 https://github.com/{lesson.home()} {place}"
    assert f" torch=={lesson.metadata.version('torch')} " in pip
    assert "--no-index" not in pip and "--upgrade" not in pip
    assert "jaxtyping>=" in pip
    assert str(place / "t2i_utils" / "lesson.py") in done.stdout
    assert done.stdout.splitlines()[-1].split(os.pathsep)[0] == str(place)


@pytest.mark.parametrize("kaggle", [{}, {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}])
def test_the_cell_completes_what_failed_half_way(tmp_path, kaggle):
    first = """
import contextlib
try:
    exec(os.environ["CELL"])
    print("went through")
except RuntimeError as error:
    print("FAILED", "no network" in str(error))
"""
    code = [first, AGAIN, "print(lesson.__file__)", AGAIN]
    done = hosted_in(tmp_path, code, COLAB_RELEASE_TAG="release-colab", FAILURES="1", **kaggle)
    assert "FAILED True" in done.stdout, done.stdout + done.stderr
    clone, failed, repeated = ran(done)
    assert "git clone" in clone and failed == repeated and " pip install " in failed


def test_a_failed_clone_is_repeated(tmp_path):
    working = tmp_path / "working"
    first = f"""
import subprocess
honest = subprocess.run
def fails(command, **options):
    raise subprocess.CalledProcessError(128, command)
subprocess.run = fails
try:
    exec(os.environ["CELL"])
except subprocess.CalledProcessError:
    assert not list(Path({str(working)!r}).iterdir())
subprocess.run = honest
"""
    assert len(ran(hosted_in(tmp_path, [first, AGAIN], COLAB_RELEASE_TAG="x"))) == 2


# Kaggle's image is made from Colab's, and may carry its mark, too.
@pytest.mark.parametrize("marks", [{}, {"COLAB_RELEASE_TAG": "release-colab"}])
@pytest.mark.parametrize("folder", ["set", "datasets/owner/set"])
def test_on_kaggle_the_set_up_cell_takes_the_attached_data_set(tmp_path, attached, folder, marks):
    place = tmp_path / "input" / folder
    if place != attached.parent:
        place.parent.mkdir(parents=True)
        attached.parent.rename(place)
    environment = {"KAGGLE_KERNEL_RUN_TYPE": "Interactive", **marks}
    done = hosted(tmp_path, "print(lesson.__file__)", **environment)
    (pip,) = ran(done)
    assert f"--no-index --find-links {place / 'wheels'}" in pip
    assert f" torch=={lesson.metadata.version('torch')} " in pip
    assert str(place / "text-to-image-gans" / "t2i_utils" / "lesson.py") in done.stdout


@pytest.mark.parametrize("checkout", [True, False])
def test_a_hosted_machine_that_has_the_project_fetches_nothing(tmp_path, checkout):
    """Installed from a checkout, what is lacking is seen to; a plain package came with it."""
    shutil.copytree(lesson.ROOT / "t2i_utils", tmp_path / "here" / "t2i_utils")
    if checkout:
        shutil.copy(lesson.ROOT / "pyproject.toml", tmp_path / "here")
    first = f"sys.path.insert(0, {str(tmp_path / 'here')!r})"
    asked = ran(hosted_in(tmp_path, [first, AGAIN], COLAB_RELEASE_TAG="x"))
    assert [line.split()[4] for line in asked] == (["install"] if checkout else [])


def test_where_nothing_is_hosted_the_set_up_cell_fetches_nothing(tmp_path):
    done = hosted(tmp_path)
    assert "No module named 't2i_utils'" in done.stderr
    assert "RUN" not in done.stdout


def test_pip_that_fails_is_quoted(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: no matching distribution for x\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(RuntimeError, match=r"make kaggle[\s\S]*no matching distribution for x"):
        lesson.install_requirements()
