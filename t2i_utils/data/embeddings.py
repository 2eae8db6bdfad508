"""StackGAN's folders of sentence embeddings: pickles of Python 2, read without running them.

A pickle is a program: one that names any function and calls it. The reader below admits what
numpy's arrays need and refuses the rest by name. Embeddings and layout: Zhang et al. 2017.
"""

import hashlib
import io
import math
import os
import pickle
import pickletools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from t2i_utils import files
from t2i_utils.data.photographs import SENTENCES, place, signature_of
from t2i_utils.data.texts import in_its_place
from t2i_utils.lesson import cache_advice, cache_dir

FILES = ("char-CNN-RNN-embeddings.pickle", "filenames.pickle", "class_info.pickle")
# Plain data, REDUCE and BUILD; INST too, so that what it asks for is named. Not: dicts and sets,
# which hash what a file makes up; extension codes and persistent ids, which ask for a thing
# without naming it; other ways to make objects; buffers that are not in the file.
OPCODES = """PROTO FRAME MARK STOP POP POP_MARK DUP GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT
MEMOIZE NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING
BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES
BINBYTES8 BYTEARRAY8 LIST EMPTY_LIST APPEND APPENDS TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 GLOBAL
STACK_GLOBAL INST REDUCE BUILD""".split()


class UnsafePickle(pickle.UnpicklingError, ValueError):
    """A pickle asks for more than arrays, lists, tuples, strings and numbers."""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The embeddings of ten sentences for each of N pictures, the pictures' names and classes."""

    embeddings: Float[Tensor, "N 10 T"]  # float32
    file_names: list[str]  # "002.Laysan_Albatross/Laysan_Albatross_0002_1027": no ".jpg"
    classes: Int64[Tensor, " N"]

    def __repr__(self) -> str:  # the generated one writes out all the names
        return f"Embeddings({list(self.embeddings.shape)}, {self.file_names[0]!r} and so on)"


def load_embeddings(folder: str | os.PathLike) -> Embeddings:
    """The embeddings, float32, in StackGAN's folder `train` or `test`.

    Raises FileNotFoundError naming missing files, UnsafePickle naming what a file wanted to load,
    ValueError naming the file that is broken, what was found and what is expected.
    """
    arrays_path, names_path, classes_path = paths = [place(folder) / file for file in FILES]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"embeddings: {', '.join(missing)} missing in {paths[0].parent}, "
                                f"expected StackGAN's folder train or test with {', '.join(FILES)}")
    arrays, names, classes = map(read_pickle, paths)
    _require(type(arrays) is list and len(arrays) > 0, arrays_path,
             _kind(arrays), f"a list of arrays [{SENTENCES}, T]")
    width = getattr(arrays[0], "size", 0) // SENTENCES
    for i, array in enumerate(arrays):
        _require(isinstance(array, np.ndarray) and array.dtype.kind == "f"
                 and array.shape == (SENTENCES, width) and width > 0,
                 arrays_path, f"{_kind(array)} for picture {i}",
                 f"floats of shape ({SENTENCES}, T), the same T for all")
    # one array named again and again would make a small file fill the memory
    _require(len({id(array) for array in arrays}) == len(arrays), arrays_path,
             "one array for several pictures", "an array for each")
    embeddings = torch.from_numpy(np.stack(arrays, dtype=np.float32))
    finite = embeddings.isfinite().all(2).all(1)
    _require(bool(finite.all()), arrays_path,
             f"nan or infinity for picture {int(finite.int().argmin())}", "finite float32")
    n, classes = len(arrays), getattr(classes, "tolist", lambda: classes)()  # or an array of them
    _require(type(names) is list and len(names) == n and all(type(x) is str for x in names)
             and len(set(names)) == n, names_path, _kind(names), f"a list of {n} different strings")
    _require(type(classes) is list and len(classes) == n
             and all(type(x) is int and abs(x) < 2**63 for x in classes),
             classes_path, _kind(classes), f"a list of {n} whole numbers")
    return Embeddings(embeddings, names, torch.tensor(classes, dtype=torch.int64))


def load_parts(train: Path, test: Path) -> dict[str, np.ndarray]:
    """"names", "classes" and the "table" of both folders, float16, and of how many are "train".

    Pickles are slow to read: what they hold is cached, by their dates, bytes and this code. Raises
    as `load_embeddings` does, ValueError where the two do not go together or do not fit float16,
    OSError that says what would help where the cache cannot be written.
    """
    paths = [folder / file for folder in (train, test) for file in FILES]
    marks = [files.fingerprint(path) for path in paths if path.is_file()]
    marks.append(signature_of(*paths, code=__name__, few=True))
    key = hashlib.sha256("".join(marks).encode()).hexdigest()[:16]
    cached = cache_dir("embeddings") / f"table-{key}.npz"

    def write():
        parts = [load_embeddings(folder) for folder in (train, test)]
        _require(len(parts[0].classes.unique()) > 1, train / FILES[2], "one class", "two")
        widths = sorted({part.embeddings.shape[-1] for part in parts})
        _require(len(widths) == 1, train.parent, f"widths {widths} in train and test", "one")
        table = torch.cat([part.embeddings for part in parts]).half()
        _require(table.isfinite().all(), train.parent, "values over 65,504", "float16's")
        with files.whole(cached, table.nbytes, cache_advice()) as draft, open(draft, "wb") as file:
            np.savez(file, table=table.numpy(), train=len(parts[0].file_names),
                     names=np.array([name for part in parts for name in part.file_names]),
                     classes=torch.cat([part.classes for part in parts]).numpy())

    def read() -> dict[str, np.ndarray]:
        with np.load(cached) as held:
            return dict(held)

    return files.made_once(cached, write, cache_advice(), read)


def read_pickle(path: Path) -> Any:
    """What a pickle of Python 2 or 3 holds, its byte strings as text by latin-1.

    Admits numpy arrays of numbers, lists, tuples, strings and numbers, and takes no more memory
    for arrays than the file has bytes, and time in proportion to them. Line ends that a transfer
    in text mode has changed are changed back where the pickle is text, which has no others.
    Raises UnsafePickle or ValueError, naming the file.
    """
    data, changed = b"", False
    try:
        data = path.read_bytes()
        changed = b"\r\n" in data and data.count(b"\n") == data.count(b"\r\n")
        if b"\0" not in data and data[:1] not in b"\x80]":  # text: it escapes its own line ends
            data = re.sub(rb"\r+\n", b"\n", data) if b"\n" in data else data.replace(b"\r", b"\n")
        whole = _ArrayUnpickler(data)
        found = whole.load()
        if whole.rest.read().strip(b"\r\n\x1a\0"):
            raise ValueError("more behind its end")
        return found
    except Exception as error:  # a broken file can provoke nearly any
        kind, expected = ValueError, "a whole pickle"
        found = f"{type(error).__name__} ({error!s:.200}) while reading"
        if isinstance(error, UnsafePickle):
            kind, found = UnsafePickle, f"{error!s:.200}"
            expected = "only what arrays of numbers, lists, tuples, strings and numbers need"
        found += "; line ends were changed: fetch it again, in binary mode" * changed
        found = in_its_place(path) or found
        raise kind(f"embeddings: {path}: found {found}, expected {expected}") from error


class _Opcodes(dict):
    def __missing__(self, code: int):
        known = pickletools.code2op.get(chr(code))
        raise UnsafePickle(f"opcode {known.name if known else code}")


class _ArrayUnpickler(pickle._Unpickler):
    """The unpickler written in Python, with a short list of opcodes and one of names.

    A name stands for a function of this module, never for numpy's own: whatever a file calls, and
    by whatever opcode, is one of four below. The unpickler in C has no table of opcodes to
    shorten, takes extension codes from a cache without asking, and allocates up to any memo index.
    """

    def __init__(self, data: bytes):
        self.rest = io.BytesIO(data)
        super().__init__(self.rest, encoding="latin1")
        self.room = len(data)  # bytes that all arrays together may take

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise UnsafePickle(f"{module}.{name}")
        return self.frombuffer if name == "_frombuffer" else _NAMES[module, name]

    def frombuffer(self, data, dtype, shape, order, axes=None) -> np.ndarray:
        """An array as numpy writes it at protocol 5."""
        if not isinstance(dtype, np.dtype) or order not in ("C", "F") or axes is not None:
            raise UnsafePickle("numpy's _frombuffer with other than a dtype and an order, C or F")
        return self.filled(np.empty(0, np.uint8), shape, dtype, order == "F", data)

    def load_build(self):
        """Gives an array or a dtype its state: parts that numpy would trust are checked first."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, np.dtype):
            _, order, *rest = state
            if order not in ("<", ">", "|", "=") or rest != [None, None, None, -1, -1, 0]:
                raise UnsafePickle("numpy.dtype with another state than a number's")
            target.__setstate__((3, order, *rest))
        elif isinstance(target, np.ndarray):
            self.filled(target, *state[1:])
        else:
            raise UnsafePickle(f"a state for {type(target).__name__}")

    def filled(self, target: np.ndarray, shape, dtype, fortran, data) -> np.ndarray:
        """The array with its shape and numbers: as many as there are bytes, each counted once."""
        if not (isinstance(dtype, np.dtype) and len(shape) <= 32
                and all(type(n) is int and 0 <= n < 2**63 for n in shape)):
            raise ValueError("an array without a shape and dtype")
        data = _as_bytes(data, math.prod(shape) * dtype.itemsize)
        self.room -= len(data)
        if self.room < 0:
            raise ValueError(f"an array of shape {shape} and {dtype} in {len(data)} bytes, "
                             f"{max(self.room, 0)} left in the file")
        target.__setstate__((1, tuple(shape), dtype, bool(fortran), data))
        return target

    dispatch = _Opcodes({code: pickle._Unpickler.dispatch[code]
                         for code in (getattr(pickle, name)[0] for name in OPCODES)})
    dispatch[pickle.BUILD[0]] = load_build
    # its own takes memory for as many bytes as a file says; this one reads those that are there
    dispatch[pickle.BYTEARRAY8[0]] = pickle._Unpickler.load_binbytes8


def _array(subtype, shape, code) -> np.ndarray:
    if subtype != _NDARRAY:
        raise UnsafePickle(f"an array of type {_shown(subtype)}")
    return np.empty(0, np.uint8)  # its state comes by BUILD


def _dtype(code, align=False, copy=True) -> np.dtype:
    if code not in _NUMBERS:  # "O" among them: objects would be anything
        raise UnsafePickle(f"numpy.dtype({_shown(code)})")
    return np.dtype(code, copy=True)  # a copy, as its state comes by BUILD


def _scalar(dtype, data) -> bool | int | float:
    if not isinstance(dtype, np.dtype):
        raise UnsafePickle(f"a scalar of {_shown(dtype)}")
    return np.frombuffer(_as_bytes(data, dtype.itemsize), dtype, count=1).item()


def _encode(text, codec) -> str:
    if codec not in ("latin1", "latin-1"):
        raise UnsafePickle(f"_codecs.encode to {_shown(codec)}")
    return text  # `_as_bytes` encodes, where the length is checked


def _as_bytes(data, size: int) -> bytes:
    """`size` bytes, refused by their number before any is copied."""
    if not isinstance(data, str | bytes):  # a number would be taken for a size, a list for objects
        raise UnsafePickle(f"{type(data).__name__} for the bytes of numbers")
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes for numbers that take {size}")
    return data.encode("latin1") if isinstance(data, str) else data


def _shown(x: Any) -> str:
    # only strings as they are: lists that hold each other often take forever to write out
    return repr(x[:80]) if isinstance(x, str) else type(x).__name__


def _kind(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"{x.dtype} of shape {x.shape}"
    if isinstance(x, list):
        return f"a list of {len(x)} ({', '.join(sorted({type(e).__name__ for e in x}))})"
    return type(x).__name__


def _require(held: Any, path: Path, found: str, expected: str):
    if not held:
        raise ValueError(f"embeddings: {path}: found {found}, expected {expected}")


_NUMBERS = "b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split()
_NDARRAY = "numpy.ndarray"  # as text: the type itself could be called, for memory without end
_NAMES = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,  # how Python 3 writes bytes at protocols 0 to 2
    **{(f"numpy.{core}.multiarray", name): function for core in ("core", "_core")
       for name, function in (("_reconstruct", _array), ("scalar", _scalar))},
    **{(f"numpy.{core}.numeric", "_frombuffer"): None for core in ("core", "_core")},
}
