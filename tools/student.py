"""The series as learners get it, without solutions: what `make student` calls.

`student.py --only 07` writes `student/07_gan_cls.ipynb`. A file there that somebody has worked in
is kept as it is.
"""

import argparse
import ast
import copy
import dis
import hashlib
import html
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor, TagRemovePreprocessor

from series import ROOT, Refusal, notebooks, read, tagged, writable
from t2i_utils import files, lesson

STUDENT = ROOT / "student"
MARK = "t2i_student"  # in a file's metadata: a hash of the cells as they were written
OPEN = "raises-exception"  # the tag with which Jupyter goes on after a cell that fails
KEPT = ("kernelspec", "language_info", "accelerator", "colab")  # of a notebook's metadata
SHORT = 12  # characters, blanks aside: what is shorter tells nothing
BRACKETS = ("()", "[]", "{}")
LONG = 30  # what is as long tells something with its brackets open, too

# What the pages say of folded solutions, and what stands in its place.
SENTENCES = (
    (re.compile(r", a folded solution, and a check\b"), " and a folded check"),
    (re.compile(r", \*\*skip the solution\*\*"), ""),
    (
        re.compile(r"it answers with a hint\."),
        "it answers with a hint. *Run all* goes on past an exercise that is still open: its check "
        "and the cells that use its answer end in an error, and the others run.",
    ),
)
SPEAKS_OF_THEM = re.compile(
    r"folded solution|skip the solution|#@title Solution"
    r"|\bsolution (cell|below|above|stands|is folded|is hidden)|\b(open|unfold) the solution",
    re.IGNORECASE,
)


# --- the student's version -----------------------------------------------------------------------


def student_version(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """A notebook without solutions and outputs; the one given stays as it is.

    What needs an answer is tagged `raises-exception`: Jupyter runs all of the rest.
    """
    needy = {cell.id for cell in needs_an_answer(notebook)}
    made = copy.deepcopy(notebook)
    made, _ = TagRemovePreprocessor(remove_cell_tags={"solution"}).preprocess(made, {})
    made, _ = ClearOutputPreprocessor().preprocess(made, {})
    made.metadata = nbformat.from_dict({k: v for k, v in made.metadata.items() if k in KEPT})
    for cell in tagged(made, "badges"):
        cell.source = lesson.badges(name, STUDENT.name)
    for cell in made.cells:
        if cell.id in needy:
            cell.metadata.setdefault("tags", []).append(OPEN)
        if cell.cell_type == "markdown":
            for pattern, words in SENTENCES if SPEAKS_OF_THEM.search(cell.source) else ():
                cell.source = pattern.sub(words, cell.source)
    made.metadata[MARK] = written(made)
    return made


def needs_an_answer(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells that may fail while exercises are open.

    The checks; and what uses a name that an exercise, a solution or such a cell has bound.
    """
    waiting: set[str] = set()
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        tags = tags_of(cell)
        bound, taken = names_in(cell.source)
        if "exercise" in tags or "solution" in tags:
            waiting |= bound
        elif "check" in tags or taken & waiting:
            found.append(cell)
            waiting |= bound | changed_in(cell.source)
        else:
            waiting -= bound
    return found


def names_in(source: str) -> tuple[set[str], set[str]]:
    """The global names that a cell binds, and those that it takes from elsewhere.

    A name that it binds before it uses it is not taken.
    """
    bound, taken = set(), set()
    for step in dis.get_instructions(compile(source, "cell", "exec")):
        if step.opname in ("STORE_NAME", "STORE_GLOBAL"):
            bound.add(step.argval)
        elif step.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
            taken |= {step.argval} - bound
        elif isinstance(step.argval, CodeType):  # a function's body, or a comprehension's
            taken |= globals_of(step.argval) - bound
    return bound, taken


def changed_in(source: str) -> set[str]:
    """The names of which a cell sets an item or an attribute: `results` of `results["a"] = 1`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            while isinstance(node, ast.Subscript | ast.Attribute):
                node = node.value
            names |= {node.id} if isinstance(node, ast.Name) else set()
    return names


def globals_of(code: CodeType) -> set[str]:
    """The global names that a function's body takes."""
    names = set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(step.argval)
        elif isinstance(step.argval, CodeType):
            names |= globals_of(step.argval)
    return names


# --- does it tell? -------------------------------------------------------------------------------


def leaks(made: nbformat.NotebookNode, notebook: nbformat.NotebookNode) -> list[str]:
    """What a student's version tells of the solutions of its notebook, a line for each.

    A line of a solution may stand in its check, which knows the answers, and where a cell tagged
    `taught` or `study` above the exercise has taught it; as often as in the notebook, and in no
    output. (Stubs show the lines that they share with their solution.)
    """
    found = [f"cell {cell.id} is a solution" for cell in tagged(made, "solution")]
    for cell in made.cells:
        if cell.cell_type == "markdown" and (hit := SPEAKS_OF_THEM.search(cell.source)):
            found.append(f"cell {cell.id} speaks of solutions: {hit[0]!r}")
    texts = [(cell.id, squeezed(*strings(cell))) for cell in made.cells]
    texts.append(("metadata", squeezed(*strings(made.metadata))))
    before = {cell.id: squeezed(cell.source) for cell in notebook.cells}
    taught = ""
    for stub, cell, check in zip(*(notebook.cells[i:] for i in range(3)), strict=False):
        if {"taught", "study"} & set(tags_of(stub)):
            taught += before[stub.id]
        if "solution" not in tags_of(cell):
            continue
        for line in lines_of(cell.source):
            short = squeezed(line)
            for name, text in texts if short not in before[stub.id] else ():
                known = short in taught or name == check.id
                if text.count(short) > (before.get(name, "").count(short) if known else 0):
                    found.append(f"cell {name} holds {line!r} of a solution")
    return found


def tags_of(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def lines_of(source: str) -> list[str]:
    """The lines of code that are long enough to tell something, without comments and docstrings.

    Whole statements and, of one over several lines, each that is very long or closes its brackets.
    """
    lines, statement, found = [""] * (source.count("\n") + 2), "", []
    fresh = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            found.append(statement)
            statement, fresh = "", True
        elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            if fresh and token.string.endswith(('"""', "'''")):
                continue  # a docstring
            fresh = False
            gap = " " if token.line[token.start[1] - 1 : token.start[1]] == " " else ""
            statement += gap + token.string
            lines[token.start[0]] += gap + token.string
    for line in lines:
        closed = all(line.count(a) == line.count(b) for a, b in BRACKETS)
        found += [line] if closed or len(squeezed(line)) >= LONG else []
    known = {squeezed(line): line.strip().rstrip(",") for line in found}
    return [line for short, line in known.items() if len(short) >= SHORT]


def squeezed(*texts: str) -> str:
    """Texts without what may differ between two ways to write the same: blanks, quotes, colours."""
    text = re.sub(r"\x1b\[[\d;]*m", "", html.unescape("\n".join(texts)))
    return re.sub(r"\s|,(?=\s*[)\]}])", "", text).replace("'", '"')


def strings(node: object) -> Iterator[str]:
    """All strings within a cell, an output or metadata."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from strings(key)
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


# --- files ---------------------------------------------------------------------------------------


def written(notebook: nbformat.NotebookNode) -> str:
    """SHA-256 over the cells' sources: who writes an answer or a note changes it."""
    sources = [[cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def place(made: nbformat.NotebookNode, target: Path) -> str:
    """Write a student's version where nobody's work is; what was done, in words."""
    data = f"{nbformat.writes(made)}\n".encode()
    words = "written"
    if target.is_symlink() or target.exists():
        try:
            there = read(target)
            untouched = there.metadata.get(MARK) == written(there)
            same = there.metadata.get(MARK) == made.metadata[MARK]
        except Exception:  # whatever a file that is no notebook raises
            return "KEPT: it is no notebook that can be read; move it to get a new one"
        if not untouched and same:
            return "kept: somebody has worked in it, and the page is still the same"
        if not untouched:
            return "KEPT: somebody has worked in it; move it to get the page as it is now"
        if same:
            return "is there already, and is the page as it is now"
        words = "written anew: nobody had worked in it"
    with files.whole(target, len(data)) as draft:
        draft.write_bytes(data)
    return words


def build(only: str = "", folder: Path = STUDENT, source: Path = ROOT / "notebooks") -> int:
    """Write the student's versions into `folder`; Refusal where one would tell a solution."""
    chosen = notebooks(only, source)
    writable(folder)
    for path in chosen:
        notebook = read(path)
        made = student_version(notebook, path.stem)
        if told := leaks(made, notebook):
            raise Refusal(f"{path.stem} would tell a solution: {'; '.join(told[:3])}")
        print(f"{folder.name}/{path.name}  {place(made, folder / path.name)}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", default="", help="numbers or names, separated by commas")
    asked = parser.parse_args(arguments)
    try:
        return build(asked.only)
    except (Refusal, OSError) as refusal:
        print(f"student: {refusal}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
