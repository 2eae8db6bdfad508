"""Execute the series, and store its outputs: what `make run` and `make refresh` call.

`series.py run` and `refresh` take `--profile laptop` and `--only 07`, `run` also `-p name value`.
"""

import argparse
import ast
import errno
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import processes

from t2i_utils import files

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
CLAIM_MIME = "application/vnd.t2i.claim+json"
MAX_BYTES = 1_500_000  # of a stored notebook

# nbconvert's page with solutions folded.
PAGE = """\
{% extends 'lab/index.html.j2' %}
{% block input_group scoped %}
{% if 'solution' in cell.metadata.get('tags', []) %}
<details><summary>Solution</summary>{{ super() }}</details>
{% else %}{{ super() }}{% endif %}
{% endblock %}
"""


class Refusal(Exception):
    """A request that names something that is not there; printed without a traceback."""


# --- notebooks -----------------------------------------------------------------------------------


def notebooks(only: str = "", folder: Path = ROOT / "notebooks") -> list[Path]:
    """The notebooks in order, or those that `only` names: numbers or names, separated by commas."""
    everything = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not everything:
        raise Refusal(f"no notebooks in {folder.name}/")
    chosen: set[Path] = set()
    names = [part.strip() for part in only.split(",") if part.strip()]
    if only and not names:
        raise Refusal(f"ONLY={only}: names no notebook; there are {names_of(everything)}")
    for name in names:
        stem = Path(name).stem
        found = [p for p in everything if p.stem == stem or p.stem.split("_")[0] == stem.zfill(2)]
        if not found:
            raise Refusal(f"ONLY={name}: no such notebook; there are {names_of(everything)}")
        chosen.update(found)
    return sorted(chosen) or everything


def names_of(paths: list[Path]) -> str:
    return ", ".join(path.stem for path in paths)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    """The cells of a notebook that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def parameters(notebook: nbformat.NotebookNode) -> dict[str, object]:
    """Names and values of the parameters cell; ValueError where it holds more than literals."""
    values = {}
    for cell in tagged(notebook, "parameters"):
        for line in ast.parse(cell.source).body:
            annotated = isinstance(line, ast.AnnAssign)
            targets = [line.target] if annotated else getattr(line, "targets", [])
            if len(targets) != 1 or getattr(line, "value", None) is None:
                raise ValueError(f"parameters cell: {ast.unparse(line)!r} is no plain assignment")
            try:
                values[ast.unparse(targets[0])] = ast.literal_eval(line.value)
            except ValueError:
                raise ValueError(
                    f"parameters cell: {ast.unparse(line)!r} is no literal; papermill and the "
                    "reader should see the value itself"
                ) from None
    return values


def code_hash(notebook: nbformat.NotebookNode) -> str:
    """SHA-256 over the sources of the code cells, in order."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def claims(notebook: nbformat.NotebookNode) -> list[bool | None]:
    """The verdicts of an executed notebook's claims: True, False, or None where not judged."""
    return [
        output.data[CLAIM_MIME]["held"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if CLAIM_MIME in output.get("data", {})
    ]


def first_error(notebook: nbformat.NotebookNode) -> str:
    """The first error among the outputs, in one line; empty where there is none."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                words = " ".join(f"{output.ename}: {output.evalue}".split())
                return f"In [{cell.execution_count}]: {words}"
    return ""


def machine_paths(notebook: nbformat.NotebookNode, root: Path = ROOT) -> list[str]:
    """Paths of somebody's machine in the outputs (pictures aside): the cell and the path."""
    own = {str(root), str(Path.home()), sys.prefix, sys.base_prefix} - {"/", "/usr"}
    pattern = re.compile(
        "|".join(rf"{re.escape(path)}(?![\w.-])" for path in sorted(own, key=len, reverse=True))
        + r"|/(?:home|Users|root)/[\w.-]+|[A-Z]:\\+Users\\+\w+"
    )
    found = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            texts = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
            rest = [output.get(key, "") for key in ("text", "evalue", "traceback")]
            text = json.dumps([texts, rest])
            text = re.sub(r"base64,[\w+/=]+", "base64,", text)
            found += [f"cell {number}: {hit}" for hit in pattern.findall(text)]
    return found


# --- execution -----------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of one notebook."""

    name: str
    seconds: float
    peak_mb: float
    verdicts: list[bool | None]
    error: str
    notebook: nbformat.NotebookNode | None = None  # as executed; None where nothing was written
    log: Path | None = None  # papermill's, where it failed

    @property
    def failed(self) -> bool:
        return bool(self.error) or False in self.verdicts

    @property
    def words(self) -> str:
        if self.error:
            return f"failed: {self.error}"
        if not self.verdicts:
            return "none made"
        judged = [verdict for verdict in self.verdicts if verdict is not None]
        held, rest = f"{sum(judged)}/{len(judged)}", len(self.verdicts) - len(judged)
        return (f"{held}, {rest} not judged" if rest else held) if judged else "not judged"


@contextmanager
def as_a_row(outcome: Outcome) -> Iterator[None]:
    """What the disk refuses inside becomes the outcome's error: the other notebooks go on."""
    try:
        yield
    except OSError as error:
        words = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        outcome.error = outcome.error or words


def writable(folder: Path) -> None:
    """Make the folder; Refusal that names it where nothing can be written in it."""
    try:
        with files.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryDirectory(dir=folder).cleanup()
    except OSError as error:
        raise Refusal(f"{folder}: {error.strerror}; expected a folder to write in") from None


@contextmanager
def own_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` for one run alone; removed at the end, whatever the end is."""
    folder = files.room_beside(target)
    with files.explained(target):
        files.swept(target)
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def execute(source: Path, target: Path, profile: str, options: list[str]) -> Outcome:
    """Execute one notebook by papermill, in processes and a folder of its own.

    What was executed is moved to `target` when it is whole, and papermill's log beside it where it
    failed: two runs at once never mix. What the disk refuses is an outcome as well.
    """
    outcome, start = Outcome(source.stem, 0.0, 0.0, [], ""), time.monotonic()
    with (
        as_a_row(outcome),
        tempfile.TemporaryDirectory() as jupyter,
        own_folder(target) as folder,
        files.explained(target, needed=source.stat().st_size),  # a guess: the outputs of before
    ):
        executed, log = folder / target.name, folder / "log"
        command = [sys.executable, "-m", "papermill", str(source), str(executed)]
        command += ["-k", "python3", "-l", "python", "--cwd", str(ROOT)]
        command += ["--log-level", "ERROR", *options]
        around = environment(profile, Path(jupyter))
        code, outcome.peak_mb = processes.run(command, ROOT, around, log, source.stem)
        notebook = readable(executed)
        outcome.verdicts = claims(notebook) if notebook else []
        outcome.error = first_error(notebook) if notebook else ""
        if code and not outcome.error:
            outcome.error = reason(code, log, source)
        keep(executed if notebook else None, target)
        outcome.log = keep(log if code else None, target.with_suffix(".log"))
        outcome.notebook = notebook
    outcome.seconds = time.monotonic() - start
    return outcome


def readable(path: Path) -> nbformat.NotebookNode | None:
    """The notebook that papermill wrote; None for half of one, where it was killed, or for none."""
    if path.is_file():
        with suppress(ValueError):
            return read(path)
    return None


def reason(code: int, log: Path, source: Path) -> str:
    """Why papermill failed where no cell did; OSError where the disk is full."""
    said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
    if "No space left" in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(log))
    # Raises, too, where there was no room for papermill's words.
    log.with_name("room").write_bytes(bytes(source.stat().st_size))
    return f"papermill ended with {code}: {said[-300:]}"


def keep(made: Path | None, place: Path) -> Path | None:
    """Move what a run made to its place; without it, remove what an earlier run left there."""
    if made is None:
        place.unlink(missing_ok=True)
        return None
    os.replace(made, place)
    return place


def environment(profile: str, folder: Path) -> dict[str, str]:
    """The variables of a run, whose kernel `python3` is this very Python, whatever is registered.

    What Jupyter needs for the run alone lies in `folder`.
    """
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3 (ipykernel)", "language": "python"})
    )
    around = os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONIOENCODING": "utf-8"}
    around["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    paths = [str(folder), os.environ.get("JUPYTER_PATH")]
    around["JUPYTER_PATH"] = os.pathsep.join(filter(None, paths))
    if profile:
        around["T2I_PROFILE"] = profile
    return around


def write_html(notebook: nbformat.NotebookNode, target: Path) -> None:
    """Write a notebook as a web page."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    exporter.raw_template = PAGE
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": target.stem}})
    data = page.encode()
    with files.whole(target, len(data)) as draft:
        draft.write_bytes(data)


def table(outcomes: list[Outcome]) -> str:
    """The closing table: notebook, seconds, peak memory, claims held."""
    width = max(len("notebook"), *(len(outcome.name) for outcome in outcomes))
    lines = [f"{'notebook':<{width}}  seconds  peak memory  claims held"]
    for one in outcomes:
        memory = f"{one.peak_mb:,.0f} MB"
        lines.append(f"{one.name:<{width}}  {one.seconds:>7.1f}  {memory:>11}  {one.words}")
    lines += [f"{one.name}: papermill's log is {one.log}" for one in outcomes if one.log]
    return "\n".join(lines)


def run(profile: str, only: str, options: list[list[str]], build: Path = BUILD) -> int:
    """Execute notebooks one after the other, going on after a failure; 1 if any failed."""
    chosen = notebooks(only)
    for _, name, _ in options:
        lacking = [path for path in chosen if name not in parameters(read(path))]
        if lacking:
            raise Refusal(
                f"-p {name}: no such parameter in {names_of(lacking)}; there are "
                f"{', '.join(parameters(read(lacking[0])))} (ONLY= chooses notebooks)"
            )
    writable(build)
    outcomes = []
    for path in chosen:
        words = [word for option in options for word in option]
        outcomes.append(execute_and_show(path, build, profile, words))
    print(f"\n{table(outcomes)}")
    return int(any(outcome.failed for outcome in outcomes))


def execute_and_show(path: Path, build: Path, profile: str, options: list[str]) -> Outcome:
    """Execute a notebook into `build`, and write its web page beside it."""
    print(f"{path.stem} ...", flush=True)
    outcome = execute(path, build / path.name, profile, options)
    page = build / f"{path.stem}.html"
    with as_a_row(outcome):
        page.unlink(missing_ok=True)  # that of an earlier run
        if outcome.notebook:
            write_html(outcome.notebook, page)
    return outcome


# --- stored outputs ------------------------------------------------------------------------------


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An executed notebook without what changes from run to run: papermill's and Jupyter's notes.

    Edits and returns the notebook.
    """
    injected = tagged(notebook, "injected-parameters")
    notebook.cells = [cell for cell in notebook.cells if cell not in injected]
    notebook.metadata.pop("papermill", None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if cell.cell_type == "code":  # a progress bar is a live thing: stored, it stays at 0 %
            cell.outputs = [output for output in cell.outputs if not is_progress_bar(output)]
    return notebook


def is_progress_bar(output: nbformat.NotebookNode) -> bool:
    """Whether an output is tqdm's widget."""
    data = output.get("data", {})
    words = "".join(data.get("text/plain", ""))
    return "application/vnd.jupyter.widget-view+json" in data and bool(re.search(r"\d%\|", words))


def machine() -> dict:
    """The device and the versions that this machine runs the series with."""
    import torch

    import t2i_utils
    from t2i_utils.lesson import working_device

    device = working_device()
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "versions": {
            "python": ".".join(map(str, sys.version_info[:3])),
            "torch": torch.__version__,
            "t2i_utils": t2i_utils.__version__,
        },
    }


def stamp(outcome: Outcome, profile: str, notebook: nbformat.NotebookNode) -> dict:
    """What a stored notebook says of the run that made its outputs."""
    return {
        "profile": profile,
        **machine(),
        "seconds": round(outcome.seconds, 1),
        "peak_memory_mb": round(outcome.peak_mb),
        "code_hash": code_hash(notebook),
    }


def refresh(profile: str, only: str, folder: Path = ROOT / "notebooks", build: Path = BUILD) -> int:
    """Execute notebooks and store their outputs with a stamp; an unfit run is not stored."""
    if profile not in ("laptop", "gpu"):
        raise Refusal(f"PROFILE={profile}: stored outputs come from laptop or gpu")
    chosen = notebooks(only, folder)
    writable(build)
    outcomes = []
    for path in chosen:
        outcomes.append(execute_and_show(path, build, profile, []))
        if not outcomes[-1].failed:
            with as_a_row(outcomes[-1]):
                store(path, outcomes[-1], profile)
    print(f"\n{table(outcomes)}")
    for outcome in outcomes:
        if outcome.failed:
            print(f"{outcome.name}: not stored", file=sys.stderr)
    return int(any(outcome.failed for outcome in outcomes))


def store(path: Path, outcome: Outcome, profile: str) -> None:
    """Put an executed notebook in place of its source, or say in the outcome why not."""
    notebook = cleaned(outcome.notebook)
    hits = machine_paths(notebook)
    notebook.metadata["t2i"] = stamp(outcome, profile, notebook)
    data = f"{nbformat.writes(notebook)}\n".encode()
    if hits:
        outcome.error = f"outputs show this machine's paths: {'; '.join(hits[:3])}"
    elif [cell.source for cell in notebook.cells] != [cell.source for cell in read(path).cells]:
        outcome.error = "the notebook was edited while it ran"
    elif len(data) >= MAX_BYTES:
        outcome.error = f"{len(data):,} bytes; under {MAX_BYTES:,} are allowed"
    else:
        with files.whole(path, len(data)) as draft:
            draft.write_bytes(data)


# --- the command line ----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("action", choices=("run", "refresh"))
    parser.add_argument("--profile", default="")
    parser.add_argument("--only", default="", help="numbers or names, separated by commas")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    asked = parser.parse_args(arguments)
    if asked.profile not in ("", "auto", "smoke", "laptop", "gpu"):
        parser.error(f"PROFILE={asked.profile}: expected smoke, laptop, gpu or auto")
    if asked.p and asked.action != "run":
        parser.error("-p is for run: stored outputs come from the notebooks' own parameters")
    try:
        if asked.action == "run":
            return run(asked.profile, asked.only, [["-p", *pair] for pair in asked.p])
        return refresh(asked.profile or "laptop", asked.only)
    except Refusal as refusal:
        print(f"series: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    processes.stoppable()
    sys.exit(main())
