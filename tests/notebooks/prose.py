"""The words that people read: of markdown, comments, docstrings, and sentences in code's strings.

What is code, an address or a formula is left out; so is a string without a space, which is a name.
"""

import ast
import io
import re
import tokenize

import nbformat

SENTENCE = re.compile(r"[^\W\d_],? [^\W\d_]")  # two words beside each other
LEFT_OUT = re.compile(
    r"""```.*?```|`[^`\n]*`            # code
    |\#\ ?(?:fmt|noqa):?\ ?\w*         # what a comment tells a tool
    |\$\$.*?\$\$|\$[^$\n]*\$           # formulas
    |<!--.*?-->|<[a-z/][^<>\n]*>?      # tags, whole or cut off by a string's end
    |\]\([^)\s]*\)|https?://\S+        # addresses
    |\\[A-Za-z]+                       # a formula's command without dollars
    |\b\w*[\w)\]]\([^()\n]*\)          # a call
    |[\w.{}-]*[_={}\d][\w./{}-]*       # names_with_a_dash, settings, 64x64
    |\.?[\w-]*/[\w.-]*/[\w./-]*        # paths
    |\b[a-z]+/[A-Z][\w-]*              # owner/Repository
    |\w+(?:\.\w+)+                     # a.dotted.name, and files
    |(?<![\w-])--?[a-z][\w-]*          # options
    |\b\w*[a-z][A-Z]\w*                # CamelCase
    |\b[\dA-Z]{2,}s?\b""",  # GAN, and GANs
    re.DOTALL | re.VERBOSE,
)


def of_notebook(notebook: nbformat.NotebookNode) -> str:
    """Its prose: no outputs, and not the set-up cell and badges, which are the package's."""
    parts = []
    for cell in notebook.cells:
        if not {"setup", "badges"} & set(cell.metadata.get("tags", [])):
            parts.append(of_python(cell.source) if cell.cell_type == "code" else cell.source)
    return without_code("\n\n".join(parts))


def of_python(source: str) -> str:
    """Comments, docstrings, and strings of two words or more."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    parts = [token.string for token in tokens if token.type == tokenize.COMMENT]
    tree = ast.parse(source)
    places = {id(node.value) for node in ast.walk(tree) if getattr(node, "arg", "") == "loc"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if SENTENCE.search(node.value) and id(node) not in places:  # loc="upper center"
                parts.append(node.value)
    return "\n".join(parts)


def without_code(text: str) -> str:
    return LEFT_OUT.sub(" ", text)


def words_of(text: str) -> set[str]:
    """The words as they are written, without a possessive's s."""
    found = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text)
    return {re.sub(r"['’]s?$", "", word).replace("’", "'") for word in found}
