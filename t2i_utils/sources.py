"""The source of a step function: what it is, in words, so that an edited one can be told.

A function is its syntax without comments, docstrings and layout, what it uses of its own module,
and what all that was set to.
"""

import ast
import dis
import functools
import hashlib
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
PLAIN = (bool, int, float, str, type(None))
SETTINGS = (*PLAIN, list, tuple, set, frozenset, Mapping, Tensor)
CHANGING = ("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove",
            "setdefault", "update")  # fmt: skip


def sources(function: Callable) -> dict[str, str]:
    """The source of a function (under "") and of what it uses of its own module, by name.

    Functions, classes, and what they are set to: numbers, strings, dicts and objects of them,
    values of default arguments; and so on from there, without comments, docstrings and layout.
    Left out is what cannot be read (built-in, typed at a prompt), and what one of them changes,
    a counter for instance: it says where the run is, not what.
    """
    found: dict[str, str] = {}
    changed: set[str] = set()
    _collect(function, "", found, changed)
    return {name: text for name, text in found.items() if name not in changed}


def plain(value: Any) -> Any:
    """A setting as JSON holds it, the same in every process."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(repr(plain(item)) for item in value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value if isinstance(value, PLAIN) else ADDRESS.sub("", repr(value))


def unwrapped(thing: Any) -> Any:
    """The function or class behind what can be called; of other objects the class."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    thing = inspect.unwrap(getattr(thing, "__func__", thing))
    return thing if isinstance(thing, types.FunctionType | type) else type(thing)


def _collect(thing: Any, name: str, found: dict[str, str], changed: set[str]) -> None:
    if name in found:
        return
    while isinstance(thing, functools.partial):
        _keep(found, name + "({})", dict(enumerate(thing.args)) | thing.keywords)
        thing = thing.func
    owner, thing = getattr(thing, "__self__", thing), unwrapped(thing)
    if (tree := _tree(thing)) is not None:
        found[name] = ast.unparse(tree)
        changed |= _changed_in(tree)
    if not isinstance(owner, types.FunctionType | type):
        _keep(found, name + ".{}", _held(owner))
    if isinstance(thing, types.FunctionType):
        defaults = inspect.signature(thing, follow_wrapped=False).parameters.values()
        _keep(found, name + "({})", {p.name: p.default for p in defaults})
        for other, value in _used_by(thing):
            if unwrapped(value).__module__ == thing.__module__:
                _collect(value, other, found, changed)
            elif isinstance(value, types.SimpleNamespace | nn.Module):
                _keep(found, other + ".{}", _held(value))
            else:
                _keep(found, "{}", {other: value})


def _keep(found: dict[str, str], place: str, values: Mapping[Any, Any]) -> None:
    """Add the settings among the values, in words; an embedding or a data set is none."""
    for name, value in values.items():
        if isinstance(value, SETTINGS) and not (isinstance(value, Tensor) and value.numel() > 100):
            text = repr(plain(value))
            digest = hashlib.sha256(text.encode()).hexdigest()[:12]
            text = text if len(text) < 10_000 else f"{len(text)} characters, {digest}"
            found.setdefault(place.format(name), text)


def _held(owner: Any) -> dict[str, Any]:
    """What an object was set to, by name; nothing where a method changes it as time goes on."""
    held = dict(getattr(owner, "__dict__", {}))
    if isinstance(owner, types.SimpleNamespace):
        return held
    if (tree := _tree(type(owner))) is None:
        return {}
    methods = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    if any("self" in _changed_in(method) for method in methods if method.name != "__init__"):
        return {}
    if isinstance(owner, nn.Module):
        own = {key: value for key, value in held.items() if key[0] != "_" and key != "training"}
        return own | {"as it prints": str(owner)}
    return held


def _used_by(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The outer names that a function reads and never sets, with what they hold now."""
    codes, reads, sets = [function.__code__], set(function.__code__.co_freevars), set()
    while codes:
        code = codes.pop()
        codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                reads.add(instruction.argval)
            elif instruction.opname in ("STORE_GLOBAL", "STORE_DEREF"):
                sets.add(instruction.argval)
    inside = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for name in sorted(reads - sets):
        if name in inside:
            try:
                yield name, inside[name].cell_contents
            except ValueError:  # not yet given a value
                continue
        elif name in function.__globals__:
            yield name, function.__globals__[name]


def _changed_in(tree: ast.AST) -> set[str]:
    """The names whose contents a function changes: by assignment to a part, or by a method."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Global | ast.Nonlocal):
            names.update(node.names)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            part = node.func if node.func.attr in CHANGING else None
        else:
            loads = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
            part = None if loads else node
        while isinstance(part, ast.Subscript | ast.Attribute):
            part = part.value
            if isinstance(part, ast.Name):
                names.add(part.id)
    return names


def source(thing: Any) -> str | None:
    """The source of one function or class, by itself; None where it cannot be read."""
    return ast.unparse(tree) if (tree := _tree(thing)) is not None else None


def _tree(thing: Any) -> ast.AST | None:
    """The syntax of a function or class, without docstrings; None where it cannot be read."""
    try:
        if getattr(thing, "__name__", "") == "<lambda>":
            return _lambda(thing)
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _lambda(thing: types.FunctionType) -> ast.AST | None:
    """A lambda's own syntax, and not the lines on which it stands."""
    spots = [((top, left), (bottom, right))
             for top, bottom, left, right in thing.__code__.co_positions() if right]  # fmt: skip
    inside = [node for node in ast.walk(ast.parse("".join(inspect.findsource(thing)[0])))
              if isinstance(node, ast.Lambda)
              and all((node.lineno, node.col_offset) <= begin and
                      end <= (node.end_lineno, node.end_col_offset) for begin, end in spots)]
    return min(inside, key=lambda node: len(ast.unparse(node)), default=None)
