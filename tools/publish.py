"""Publish the series elsewhere: what `make home` and `make kaggle` call."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat

from series import ROOT, code_hash, read, tagged
from t2i_utils import files, lesson

HOME_LINK = re.compile(r"(?<![.\w])(github(?:\.com)?/)[\w.-]+/[\w.-]*\w")


def rehome(root: Path = ROOT) -> list[Path]:
    """Rewrite what follows from the publishing home; the files that changed.

    The set-up cell does nothing where outputs are made, so a stamp that was right stays right.
    """
    changed = []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = read(path)
        stamped = notebook.metadata.get("t2i", {}).get("code_hash") == code_hash(notebook)
        before = nbformat.writes(notebook)
        for cell in tagged(notebook, "setup"):
            cell.source = lesson.setup_cell()
        for cell in tagged(notebook, "badges"):
            cell.source = lesson.badges(path.stem)
        if stamped:
            notebook.metadata["t2i"]["code_hash"] = code_hash(notebook)
        if nbformat.writes(notebook) != before:
            with files.whole(path) as draft:
                draft.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
            changed.append(path)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    if (new := HOME_LINK.sub(rf"\g<1>{lesson.home()}", text)) != text:
        with files.whole(readme) as draft:
            draft.write_text(new, encoding="utf-8")
        changed.append(readme)
    return changed


# What Kaggle's image lacks; everything pure Python, so that any of its Pythons can install it.
KAGGLE_LACKS = ("jaxtyping", "wadler-lindig", "torchmetrics", "lightning-utilities")


def kaggle(build: Path = ROOT / "build" / "kaggle") -> None:
    """Build the folder to upload as a Kaggle data set: the project, and the wheels it needs."""
    shutil.rmtree(build, ignore_errors=True)
    project = build / lesson.home().split("/")[1]
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
    about = {
        "id": lesson.home(),
        "title": lesson.home().split("/")[1],
        "licenses": [{"name": "other"}],
    }
    (build / "dataset-metadata.json").write_text(json.dumps(about, indent=2) + "\n")
    print(f"{build.relative_to(ROOT)}/ is ready: upload it as a data set and attach it")


def main(arguments: list[str]) -> int:
    if arguments == ["kaggle"]:
        kaggle()
    elif arguments == ["home"]:
        print("\n".join(str(path.relative_to(ROOT)) for path in rehome()) or "nothing to do")
    else:
        print(f"publish: found {arguments}, expected home or kaggle", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
