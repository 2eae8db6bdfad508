"""The project around the code: its metadata, its home in one place, its commands, its costs."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import series
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
    links = [match[0].split("/", 1)[1] for match in series.HOME_LINK.finditer(readme)]
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
    order = ["files", "lesson", "checkpoints", "data", "models", "objectives", "training", "metrics"]
    order += ["figures", "widgets", "__main__"]
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
        (["test"], "T2I_PROFILE=smoke"),
        (["test", "PROFILE=gpu"], "T2I_PROFILE=gpu"),
        (["test"], "--jaxtyping-packages=t2i_utils,beartype.beartype"),
        (["lab"], "jupyter lab --notebook-dir=notebooks"),
    ],
)  # fmt: skip
def test_make_passes_on_what_it_is_given(options, expected):
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "PROFILE")}
    done = subprocess.run(
        ["make", "--dry-run", *options], cwd=ROOT, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs make")
def test_make_names_the_python_that_it_lacks(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(["make", "run", "PYTHON="], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no Python 3.11 to 3.13" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_make_test():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert ".ci/run" in (ROOT / ".github/workflows/cpu.yml").read_text()
    assert "make test PROFILE=gpu" in (ROOT / ".github/workflows/gpu.yml").read_text()
