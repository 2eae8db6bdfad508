"""Spelling, of all that a reader of the project reads: British, and no unknown word.

Two tools, both offline. `typos` knows common misspellings and American forms; `pyspellchecker`
knows words, and shows those that it does not know. `words.txt` holds what is right all the same, a
word a line: one in small letters however it is written, one with a capital as it stands (a name,
or a word of a title). Neither tool sees a right word in a wrong place ("form" for "from"), nor what
`prose.py` leaves out: code, formulas, what cells print. A word that is not all ASCII ("Fréchet") is
looked at for common misspellings only.
"""

import json
import subprocess
import sysconfig
from pathlib import Path

import nbformat
import prose
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from spellchecker import SpellChecker

from t2i_utils.lesson import ROOT

PAGES = [*sorted((ROOT / "notebooks").glob("*.ipynb")), ROOT / "README.md",
         *sorted((ROOT / "data").rglob("*.md"))]  # fmt: skip
MODULES = [path for room in ("t2i_utils", "tools") for path in sorted((ROOT / room).rglob("*.py"))]
LIST = Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split()
TYPOS = [Path(sysconfig.get_path("scripts")) / "typos", "--isolated", "--locale", "en-gb"]
KNOWN = SpellChecker(distance=1)


def prose_of(path: Path) -> str:
    if path.suffix == ".ipynb":
        return prose.of_notebook(nbformat.read(path, 4))
    text = path.read_text(encoding="utf-8")
    return prose.without_code(prose.of_python(text) if path.suffix == ".py" else text)


def wrong(text: str) -> dict[str, str]:
    """For each word that one of the two tools rejects, and the list lacks, what it says of it."""
    found = {}
    given = {"input": text, "capture_output": True, "encoding": "utf-8"}
    done = subprocess.run([*TYPOS, "--format", "json", "-"], **given)
    assert done.returncode in (0, 2), done.stderr  # 2: it found something
    for line in map(json.loads, done.stdout.splitlines()):
        found[line["typo"]] = f"typos: {', '.join(line['corrections'])}"
    for word in sorted(prose.words_of(text)):
        if word.isascii() and len(word) > 1 and KNOWN.unknown([word]):
            found.setdefault(word, "unknown")
    return {word: said for word, said in found.items() if not {word, word.lower()} & set(LIST)}


@pytest.mark.parametrize(
    "path", PAGES + MODULES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_it_is_spelled_right(path):
    found = wrong(prose_of(path))
    assert not found, f"mend these, or add them to tests/notebooks/words.txt: {found}"


# --- the check itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, word",
    [
        ("The generator recieves the noise.", "recieves"),  # a common misspelling
        ("The generator drews a flower.", "drews"),  # an uncommon one
        ("The color of the petals.", "color"),  # American
        ("It learns to *recognize* it.", "recognize"),
        ("A *wrnog* pair", "wrnog"),
        ("as goodfellow writes", "goodfellow"),  # a name begins with a capital
    ],
)
def test_a_misspelled_word_is_found(text, word):
    assert set(wrong(text)) == {word}


def test_what_is_right_passes():
    right = "The generator's colours: petals, centre. Goodfellow et al. don't write `colr`, $xzq$."
    assert not wrong(prose.without_code(right))


def test_every_place_of_a_notebook_is_read():
    code = 'def a():\n    """A docstrnig."""\n    # a commment\n    print(f"some alt txet {b}")'
    cells = [new_markdown_cell("a senntence `colr`"), new_code_cell("colr = torch.arange(3)")]
    cells += [new_code_cell(code, outputs=[new_output("stream", text="some prinnted words")])]
    found = wrong(prose.of_notebook(new_notebook(cells=cells)))
    assert set(found) == {"docstrnig", "commment", "txet", "senntence"}


def test_the_list_is_in_order():
    assert LIST == sorted(set(LIST), key=lambda word: (word.lower(), word))
    assert not [word for word in LIST if word != word.lower() and word.lower() in LIST]
