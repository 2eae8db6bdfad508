"""The project around the code: its metadata, its home in one place, its commands, its costs."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import install
import nbformat
import publish
import pytest
import yaml

from t2i_utils import lesson

ROOT = lesson.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SKIPPED = {".git", ".venv", "build", "dist", "runs", "__pycache__", ".pytest_cache", ".ruff_cache"}


def texts() -> list[Path]:
    """The project's text files, notebooks aside."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED and "egg-info" not in name]
        found += [Path(folder) / name for name in files]
    kinds = {".py", ".md", ".toml", ".yml", ".yaml", ".txt", ".json", ""}
    return [path for path in sorted(found) if path.suffix in kinds]


def test_the_home_stands_in_one_place():
    owner_and_name = lesson.home()
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in texts()
        if owner_and_name in path.read_text(encoding="utf-8")
    }
    assert naming == {"pyproject.toml", "README.md"}
    assert (ROOT / "pyproject.toml").read_text().count(owner_and_name) == 1


def test_every_link_of_the_readme_leads_home():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [match[0].split("/", 1)[1] for match in publish.HOME_LINK.finditer(readme)]
    assert links and set(links) == {lesson.home()}


def test_the_readmes_links_lead_to_files_that_are_there():
    for page in (ROOT / "README.md", ROOT / "data" / "README.md"):
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links {target}"


def test_the_readme_lists_every_notebook():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        assert f"notebooks/{path.name}" in readme, f"README.md does not link {path.name}"


def rows_of_the_map(text: str) -> dict[str, tuple[str, str]]:
    """Of a table of the series: for each notebook's number its name and its minutes."""
    row = r"^\|(?: ●? ?\|)? (?:\*\*)?(\d\d)(?:\*\*)? \| \W*(\w+).* \| ([\w ]+) \|$"
    return {number: (name, cost) for number, name, cost in re.findall(row, text, re.MULTILINE)}


def test_the_map_of_00_says_what_the_readme_says():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    notebook = nbformat.read(ROOT / "notebooks" / "00_text_to_image.ipynb", 4)
    (page,) = [cell.source for cell in notebook.cells if "| core | no. |" in cell.source]
    series, own = rows_of_the_map(readme), rows_of_the_map(page)
    assert len(series) == 15 and own == {n: row for n, row in series.items() if n != "00"}
    there = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    for number, (name, cost) in series.items():
        assert (cost != "to come") == (f"{number}_{name}" in there), f"{number}: {cost}"
    core = re.findall(r"^\| ● \| (\d\d)", page, re.MULTILINE)
    minutes = sum(int(series[number][1]) for number in core)
    assert f"{minutes} minutes of computing" in page
    words = " ".join(readme.split())
    assert f"is {', '.join(core)}: {minutes} minutes of computing" in words


def test_an_installation_has_every_room_and_the_shipped_weights():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    tool = tool["setuptools"]
    rooms = {str(path.parent.relative_to(ROOT)).replace(os.sep, ".")
             for path in (ROOT / "t2i_utils").rglob("__init__.py")}  # fmt: skip
    assert set(tool["packages"]) == rooms | {"t2i_utils.pretrained"}
    assert tool["package-dir"] == {"t2i_utils.pretrained": "data/pretrained"}
    weights = [*(ROOT / "data" / "pretrained").iterdir()]
    kinds = {path.suffix for path in weights}
    assert kinds == {Path(kind).suffix for kind in tool["package-data"]["t2i_utils.pretrained"]}


def test_requirements_have_lower_bounds_only():
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    for requirement in wanted:
        assert re.fullmatch(r"[A-Za-z0-9_-]+>=[\d.]+", requirement), requirement
    assert PROJECT["requires-python"] == ">=3.11"


def test_constraints_are_names_and_versions():
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {}
    for line in lines:
        name, version = re.fullmatch(r"([A-Za-z0-9._-]+)==([\w.]+)", line).groups()
        pinned[re.sub(r"[-_.]+", "-", name).lower()] = version
    assert not [name for name in pinned if name.startswith(("nvidia", "cuda", "triton", "t2i"))]
    for requirement in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]:
        assert requirement.split(">=")[0].lower() in pinned, f"{requirement} was not tested"


def test_no_file_names_somebodys_machine():
    pattern = re.compile(r"(?<![\w.])/(?:home|Users|work|root)/\w+")
    own = {"tests/notebooks/test_notebooks.py"}  # shows such paths to the rule against them
    for path in texts():
        if path.relative_to(ROOT).as_posix() not in own:
            hit = pattern.search(path.read_text(encoding="utf-8"))
            assert hit is None, f"{path.relative_to(ROOT)}: {hit[0]}"


def python(code: str, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *options, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )


def test_importing_the_package_costs_next_to_nothing():
    done = python("import torch, t2i_utils", "-X", "importtime")
    (line,) = [line for line in done.stderr.splitlines() if line.endswith(" t2i_utils")]
    assert int(line.split("|")[1]) < 300_000, line  # microseconds, with all that it imports


def test_a_lesson_is_imported_before_anything_is_installed():
    """On a hosted machine this room runs first: torch, numpy and the standard library only."""
    lacking = "jaxtyping accelerate torchmetrics torchvision matplotlib tensorboard safetensors"
    block = f"import sys, torch; sys.modules.update(dict.fromkeys({lacking.split()!r}))"
    python(f"{block}; import t2i_utils.lesson; print('ok')")


def test_imports_run_one_way():
    """lesson ← anything; data → models → objectives → training → metrics → figures."""
    order = ["files", "lesson", "sources", "checkpoints", "runs", "logs", "interrupts", "data"]
    order += ["models", "pairs", "objectives", "training", "metrics", "figures", "widgets"]
    order += ["profiles", "trainer", "sampling", "__main__"]
    for path in sorted((ROOT / "t2i_utils").rglob("*.py")):
        room = path.relative_to(ROOT / "t2i_utils").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        assert room in order, f"{path.name} is no room of the house"
        source = path.read_text(encoding="utf-8")
        imports = re.compile(r"^\s*(?:from|import) t2i_utils(?:\.| import )(\w+)", re.MULTILINE)
        for other in set(imports.findall(source)) - {"__version__"}:
            assert order.index(other) <= order.index(room), f"{room} imports {other}"


@pytest.mark.skipif(os.name == "nt", reason="needs make")
@pytest.mark.parametrize(
    "options, expected",
    [
        (["run", "ONLY=07", "PROFILE=smoke", "PARAMS=-p n 3"],
         'tools/series.py run --profile "smoke" --only "07" -p n 3'),
        (["refresh", "ONLY=07"], 'tools/series.py refresh --profile "" --only "07"'),
        (["home"], "tools/publish.py home"),
        (["test"], "-p tools.claims"),
        (["test"], "T2I_PROFILE=smoke"),
        (["test", "PROFILE=gpu"], "T2I_PROFILE=gpu"),
        (["test"], "--jaxtyping-packages=t2i_utils,beartype.beartype"),
        (["lab", "FOLDER=notebooks"], 'jupyter lab --notebook-dir="notebooks"'),
        (["student", "ONLY=07"], 'tools/student.py --only "07"'),
    ],
)  # fmt: skip
def test_make_passes_on_what_it_is_given(options, expected):
    clean = {k: v for k, v in os.environ.items() if k != "PROFILE"}
    done = subprocess.run(
        ["make", "--dry-run", *options], cwd=ROOT, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs make")
@pytest.mark.parametrize("target", ["run", "study"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_make_passes_on_a_parameter_with_a_space(target, quote):
    words = [f"PARAMS=-p sentence {quote}a red flower{quote} -p n 3", "ONLY=00, 03"]
    done = subprocess.run(
        ["make", "--dry-run", target, *words], cwd=ROOT, capture_output=True, text=True
    )
    given = shlex.split(done.stdout.strip().splitlines()[-1])
    assert given[-6:] == ["-p", "sentence", "a red flower", "-p", "n", "3"]
    assert given[given.index("--only") + 1] == "00, 03"


@pytest.mark.skipif(os.name == "nt", reason="needs make")
def test_make_names_the_python_that_it_lacks(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(["make", "run", "PYTHON="], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no Python 3.11 to 3.13" in done.stdout
    assert not (tmp_path / ".venv").exists()


# --- installing ----------------------------------------------------------------------------------

# A stand-in for pip: it prints what pip prints, waits, and ends as it is told.
PIP = """
import os, sys, time
print("Collecting torch>=2.6 (from t2i-utils==0.1.0)")
print("  Downloading https://example.org/torch-2.9.0-cp311-manylinux.whl (902.1 MB)")
print("  Downloading nvidia_cudnn-9.1-py3.whl (1.2 GB)")
print("Requirement already satisfied: numpy in ./lib")
print("  Using cached scipy-1.11-cp311.whl (35.0 MB)")
print("  Downloading tqdm-4.66-py3.whl (78 kB)", flush=True)
print("Installing collected packages: torch, numpy, tqdm", flush=True)
time.sleep(float(os.environ["WAIT"]))
sys.exit(print("ERROR: No space left on device", flush=True) or int(os.environ["CODE"]))
"""


def test_an_installation_shows_that_it_goes_on(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(install, "QUIET", 0.5)
    monkeypatch.setenv("WAIT", "1.5")
    monkeypatch.setenv("CODE", "0")
    log = tmp_path / "install.log"
    assert install.install(["-e", "."], log, [sys.executable, "-c", PIP]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[1:5] == [
        "  downloading torch, 902.1 MB", "  downloading nvidia_cudnn, 1.2 GB",
        "  using cached scipy, 35.0 MB", "  installing 3 packages",
    ]  # fmt: skip
    assert 1 <= len(lines[5:-1]) <= 3
    assert all(re.fullmatch(r"  going on, 0:0\d minutes", line) for line in lines[5:-1])
    assert re.fullmatch(r"installed in 0:0\d minutes", lines[-1])
    assert "Requirement already satisfied" in log.read_text()


@pytest.mark.skipif(os.name == "nt", reason="needs make")
@pytest.mark.parametrize("code", [0, 1])
def test_an_installation_that_fails_is_loud_and_not_ready(tmp_path, code):
    """By make, with pip stood in for, in a folder of which an earlier installation went well."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tools/install.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "fake" / "pip").mkdir(parents=True)
    (tmp_path / "fake" / "pip" / "__main__.py").write_text(PIP)
    (tmp_path / "fake" / "pip" / "__init__.py").touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    ready = tmp_path / ".venv" / ".ready"
    ready.touch()
    os.utime(ready, (0, 0))
    around = {"WAIT": "0", "CODE": str(code), "PYTHONPATH": str(tmp_path / "fake")}
    done = subprocess.run(
        ["make", ".venv/.ready"], cwd=tmp_path, env=os.environ | around, capture_output=True,
        text=True,
    )  # fmt: skip
    assert ready.exists() == (code == 0), done.stderr
    assert (done.returncode == 0) == (code == 0)
    assert "downloading torch, 902.1 MB" in done.stdout
    assert ("ERROR: No space left on device" in done.stderr) == (code == 1)
    assert ("all it said is in .venv/install.log" in done.stderr) == (code == 1)
    assert "tqdm" in (tmp_path / ".venv" / "install.log").read_text()


# --- in CI ---------------------------------------------------------------------------------------


def workflow(name: str) -> tuple[list[str], int]:
    """The commands of a workflow's one job, in order, and its limit in minutes."""
    (job,) = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())["jobs"].values()
    assert not [step for step in job["steps"] if step.get("continue-on-error")]
    return [step["run"] for step in job["steps"] if "run" in step], job["timeout-minutes"]


def test_ci_tests_and_runs_the_series():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert workflow("cpu.yml")[0] == [".ci/run", "make run PROFILE=smoke"]
    commands, minutes = workflow("gpu.yml")
    assert commands == ["make test PROFILE=gpu", "make run PROFILE=gpu"]
    # Half an hour a notebook on a T4, in each of the commands: the table of README.md has them all.
    series = re.findall(r"^\| \d\d \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert minutes >= 2 * 30 * len(series) >= 900
