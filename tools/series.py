"""Execute the series, store its outputs, publish it elsewhere: what the Makefile calls.

`series.py run` and `refresh` take `--profile laptop` and `--only 07`, `run` also `-p name value`;
`series.py home` and `kaggle` take nothing.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil

ROOT = Path(__file__).resolve().parents[1]
CLAIM_MIME = "application/vnd.t2i.claim+json"
MAX_BYTES = 1_500_000  # of a stored notebook

# nbconvert's page, with the alternative text of pictures (its own template drops it) and with
# solutions folded.
PAGE = """\
{% extends 'lab/index.html.j2' %}
{% block data_png scoped %}
<div class="jp-RenderedImage jp-OutputArea-output">
<img src="data:image/png;base64,{{ output.data['image/png'] }}"
     alt="{{ (output | get_metadata('alt', 'image/png') or '') | escape_html }}">
</div>
{% endblock %}
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
    for name in filter(None, (part.strip() for part in only.split(","))):
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

    @property
    def failed(self) -> bool:
        return bool(self.error) or False in self.verdicts

    @property
    def words(self) -> str:
        if self.error:
            return f"failed: {self.error}"
        if not self.verdicts:
            return "none made"
        if None in self.verdicts:
            return "not judged"
        return f"{sum(map(bool, self.verdicts))}/{len(self.verdicts)}"


def own_kernel(folder: Path) -> None:
    """Write a kernel called python3 that is this very Python, whatever else is registered."""
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3 (ipykernel)", "language": "python"})
    )


def execute(source: Path, target: Path, profile: str, options: list[str]) -> Outcome:
    """Execute one notebook by papermill, in processes of its own, from the repository's root."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    log = target.with_suffix(".log")
    with tempfile.TemporaryDirectory() as folder:
        own_kernel(Path(folder))
        environment = os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        environment["JUPYTER_PATH"] = os.pathsep.join(
            filter(None, [folder, os.environ.get("JUPYTER_PATH")])
        )
        if profile:
            environment["T2I_PROFILE"] = profile
        command = [sys.executable, "-m", "papermill", str(source), str(target)]
        command += ["-k", "python3", "-l", "python", "--cwd", str(ROOT)]
        command += ["--log-level", "ERROR", *options]
        start = time.monotonic()
        with open(log, "wb") as stream:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT
            )
            try:
                peak = watch(process, log, source.stem)
            except BaseException:
                process.terminate()  # papermill ends its kernel
                process.wait()
                raise
        seconds = time.monotonic() - start
    notebook = read(target) if target.is_file() else nbformat.v4.new_notebook()
    error = first_error(notebook)
    if process.returncode and not error:
        lines = log.read_text(errors="replace").split()
        error = f"papermill ended with {process.returncode}: {' '.join(lines)[-300:]}"
    if not process.returncode:
        log.unlink()
    return Outcome(source.stem, seconds, peak, claims(notebook), error)


def watch(process: subprocess.Popen, log: Path, name: str) -> float:
    """Wait for a process, showing its progress; the peak memory of its descendants, in MB."""
    peak = 0.0
    while process.poll() is None:
        memory = 0
        try:
            for child in psutil.Process(process.pid).children(recursive=True):
                memory += child.memory_info().rss
        except psutil.Error:  # one ended meanwhile
            pass
        peak = max(peak, memory / 2**20)
        if sys.stderr.isatty():
            bar = re.split(r"[\r\n]", log.read_text(errors="replace"))[-1]
            print(f"\r\033[K{name}  {bar}"[:110], end="", file=sys.stderr, flush=True)
        time.sleep(0.2)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return peak


def write_html(notebook: nbformat.NotebookNode, target: Path) -> None:
    """Write a notebook as a web page."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    exporter.raw_template = PAGE
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": target.stem}})
    target.write_text(page, encoding="utf-8")


def table(outcomes: list[Outcome]) -> str:
    """The closing table: notebook, seconds, peak memory, claims held."""
    width = max(len("notebook"), *(len(outcome.name) for outcome in outcomes))
    lines = [f"{'notebook':<{width}}  seconds  peak memory  claims held"]
    for one in outcomes:
        memory = f"{one.peak_mb:,.0f} MB"
        lines.append(f"{one.name:<{width}}  {one.seconds:>7.1f}  {memory:>11}  {one.words}")
    return "\n".join(lines)


def run(profile: str, only: str, options: list[list[str]], build: Path = ROOT / "build") -> int:
    """Execute notebooks one after the other, going on after a failure; 1 if any failed."""
    chosen = notebooks(only)
    for _, name, _ in options:
        lacking = [path for path in chosen if name not in parameters(read(path))]
        if lacking:
            raise Refusal(
                f"-p {name}: no such parameter in {names_of(lacking)}; there are "
                f"{', '.join(parameters(read(lacking[0])))} (ONLY= chooses notebooks)"
            )
    outcomes = []
    for path in chosen:
        print(f"{path.stem} …", flush=True)
        target = build / path.name
        outcomes.append(execute(path, target, profile, [word for opt in options for word in opt]))
        if target.is_file():
            write_html(read(target), target.with_suffix(".html"))
    print(f"\n{table(outcomes)}")
    return int(any(outcome.failed for outcome in outcomes))


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


def refresh(profile: str, only: str, folder: Path = ROOT / "notebooks") -> int:
    """Execute notebooks and store their outputs with a stamp; an unfit run is not stored."""
    if profile not in ("laptop", "gpu"):
        raise Refusal(f"PROFILE={profile}: stored outputs come from laptop or gpu")
    outcomes = []
    for path in notebooks(only, folder):
        print(f"{path.stem} …", flush=True)
        before = code_hash(read(path))
        target = ROOT / "build" / path.name
        outcome = execute(path, target, profile, [])
        outcomes.append(outcome)
        if outcome.failed:
            continue
        notebook = cleaned(read(target))
        hits = machine_paths(notebook)
        text = ""
        if hits:
            outcome.error = f"outputs show this machine's paths: {'; '.join(hits[:3])}"
        elif before != code_hash(read(path)):
            outcome.error = "the notebook was edited while it ran"
        else:
            notebook.metadata["t2i"] = stamp(outcome, profile, notebook)
            text = nbformat.writes(notebook) + "\n"
            if len(text.encode()) >= MAX_BYTES:
                outcome.error = f"{len(text.encode()):,} bytes; under {MAX_BYTES:,} are allowed"
        if not outcome.error:
            draft = path.with_suffix(".tmp")
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
    print(f"\n{table(outcomes)}")
    for outcome in outcomes:
        if outcome.failed:
            print(f"{outcome.name}: not stored", file=sys.stderr)
    return int(any(outcome.failed for outcome in outcomes))


# --- the publishing home -------------------------------------------------------------------------

HOME_LINK = re.compile(r"(?<![.\w])(github(?:\.com)?/)[\w.-]+/[\w.-]*\w")


def rehome(root: Path = ROOT) -> list[Path]:
    """Rewrite what follows from the publishing home; the files that changed.

    The set-up cell does nothing where outputs are made, so a stamp that was right stays right.
    """
    from t2i_utils.lesson import badges, home, setup_cell

    changed = []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = read(path)
        stamped = notebook.metadata.get("t2i", {}).get("code_hash") == code_hash(notebook)
        before = nbformat.writes(notebook)
        for cell in tagged(notebook, "setup"):
            cell.source = setup_cell()
        for cell in tagged(notebook, "badges"):
            cell.source = badges(path.stem)
        if stamped:
            notebook.metadata["t2i"]["code_hash"] = code_hash(notebook)
        if nbformat.writes(notebook) != before:
            path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
            changed.append(path)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    if (new := HOME_LINK.sub(rf"\g<1>{home()}", text)) != text:
        readme.write_text(new, encoding="utf-8")
        changed.append(readme)
    return changed


# What Kaggle's image lacks; everything pure Python, so that any of its Pythons can install it.
KAGGLE_LACKS = ("jaxtyping", "wadler-lindig", "torchmetrics", "lightning-utilities")


def kaggle(build: Path = ROOT / "build" / "kaggle") -> None:
    """Build the folder to upload as a Kaggle data set: the project, and the wheels it needs."""
    from t2i_utils.lesson import home

    shutil.rmtree(build, ignore_errors=True)
    project = build / home().split("/")[1]
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ipynb_checkpoints")
    for name in ("t2i_utils", "data/pretrained", "data/studies"):  # photographs stay here
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, project / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project / name)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [next((d for d in needed["dependencies"] if d.startswith(n)), n) for n in KAGGLE_LACKS]
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:"]
    command += ["-c", str(ROOT / "constraints.txt"), "-d", str(build / "wheels"), *asked]
    subprocess.run(command, check=True)
    about = {"id": home(), "title": home().split("/")[1], "licenses": [{"name": "other"}]}
    (build / "dataset-metadata.json").write_text(json.dumps(about, indent=2) + "\n")
    print(f"{build.relative_to(ROOT)}/ is ready: upload it as a data set and attach it")


# --- the command line ----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("action", choices=("run", "refresh", "home", "kaggle"))
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
        if asked.action == "refresh":
            return refresh(asked.profile or "laptop", asked.only)
        if asked.action == "kaggle":
            kaggle()
        else:
            print("\n".join(str(path.relative_to(ROOT)) for path in rehome()) or "nothing to do")
        return 0
    except Refusal as refusal:
        print(f"series: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
