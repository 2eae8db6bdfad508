"""StackGAN's embeddings: Python 2's pickles read to the bit, hostile and broken ones refused."""

import copyreg
import os
import pickle
import struct
import time

import numpy as np
import pytest
import torch

from t2i_utils.data.embeddings import FILES, UnsafePickle, load_embeddings
from t2i_utils.data.embeddings import read_pickle as read

NAMES = ["002.Laysan_Albatross/Laysan_Albatross_0002_1027", "007.P\xe9trel/it's a \\ _3", "9/b"]


class Python2:
    """The opcodes that Python 2 writes, which Python 3 does not: byte strings among them."""

    def __init__(self, protocol):
        self.protocol, self.memo = protocol, {}

    def dumps(self, items):
        start = b"\x80\x02" if self.protocol else b""
        return start + self.list(items) + b"."

    def list(self, items):
        if not self.protocol:
            return b"(l" + self.put() + b"".join(self.any(item) + b"a" for item in items)
        return b"]" + self.put() + b"(" + b"".join(map(self.any, items)) + b"e"

    def any(self, x):
        if isinstance(x, np.ndarray):
            return self.array(x)
        return self.number(x) if isinstance(x, int) else self.string(x) + self.put()

    def put(self, key=None):
        number = len(self.memo)
        self.memo[key or number] = number
        return self.named(number, b"p", b"q", b"r")

    def once(self, key, code):
        """Written the first time, by its number in the memo from then on."""
        if key in self.memo:
            return self.named(self.memo[key], b"g", b"h", b"j")
        return code() + self.put(key)

    def named(self, number, text, short, long):
        if not self.protocol:
            return text + b"%d\n" % number
        return short + bytes([number]) if number < 256 else long + struct.pack("<I", number)

    def number(self, n):
        if not self.protocol:
            return b"I%d\n" % n
        return b"K" + bytes([n]) if 0 <= n < 256 else b"J" + struct.pack("<i", n)

    def string(self, s):
        s = s.encode("latin1") if isinstance(s, str) else s
        if not self.protocol:
            return b"S" + repr(s)[1:].encode() + b"\n"
        short = b"U" + bytes([len(s)]) if len(s) < 256 else b"T" + struct.pack("<i", len(s))
        return short + s

    def tuple(self, *codes):
        return b"(" + b"".join(codes) + b"t"

    def dtype(self, dtype):
        order, code = dtype.str[0], dtype.str[1:]
        called = self.tuple(self.string(code), self.number(0), self.number(1)) + b"R"
        state = self.tuple(self.number(3), self.string(order), b"NNN", self.number(-1) * 2,
                           self.number(0))
        return self.once("numpy.dtype", lambda: b"cnumpy\ndtype\n") + called, state + b"b"

    def array(self, x):
        code = self.once("reconstruct", lambda: b"cnumpy.core.multiarray\n_reconstruct\n")
        code += self.tuple(self.once("ndarray", lambda: b"cnumpy\nndarray\n"),
                           self.tuple(self.number(0)), self.string(b"b")) + b"R" + self.put()
        code += b"(" + self.number(1) + self.tuple(*map(self.number, x.shape))
        if ("dtype", x.dtype) in self.memo:
            code += self.once(("dtype", x.dtype), bytes)
        else:  # as Python 2 does: into the memo between the call and the state
            called, state = self.dtype(x.dtype)
            code += self.once(("dtype", x.dtype), lambda: called) + state
        false = b"\x89" if self.protocol else b"I00\n"
        return code + false + self.string(x.tobytes()) + b"tb"


def arrays(n=3, t=1024, dtype="<f4"):
    generator = np.random.default_rng(7)
    return [generator.normal(size=(10, t)).astype(dtype) for _ in range(n)]


def write(folder, embeddings, names=NAMES, classes=(2, 7, 9), protocol=2):
    folder.mkdir(exist_ok=True)
    for file, items in zip(FILES, (embeddings, names, classes), strict=True):
        (folder / file).write_bytes(Python2(protocol).dumps(items))


@pytest.fixture
def folder(tmp_path):
    """A whole folder of three pictures, its embeddings [10, 4]."""
    write(tmp_path / "train", arrays(t=4))
    return tmp_path / "train"


# What is whole is read to the bit

@pytest.mark.parametrize("protocol", [0, 2])
def test_python_2s_pickles_are_read_exactly(tmp_path, protocol):
    written = arrays()
    assert set(b"".join(x.tobytes() for x in written)) == set(range(256)), "every byte is tried"
    write(tmp_path / "train", written, protocol=protocol)
    standard = pickle.loads((tmp_path / "train" / FILES[0]).read_bytes(), encoding="latin1")
    assert all(map(np.array_equal, standard, written)), "the helper writes what Python reads"
    data = load_embeddings(tmp_path / "train")
    assert data.embeddings.dtype == torch.float32 and data.embeddings.shape == (3, 10, 1024)
    assert torch.equal(data.embeddings, torch.from_numpy(np.stack(written)))
    assert data.file_names == NAMES
    assert data.classes.dtype == torch.int64 and data.classes.tolist() == [2, 7, 9]


@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4", ">f8"])
def test_other_floats_become_float32(tmp_path, dtype):
    written = arrays(t=4, dtype=dtype)
    write(tmp_path / "test", written)
    expected = torch.from_numpy(np.stack(written).astype(np.float32))
    assert torch.equal(load_embeddings(tmp_path / "test").embeddings, expected)


@pytest.mark.parametrize("protocol", range(6))
def test_python_3s_pickles_are_read_too(folder, protocol):
    written = [np.asfortranarray(x) for x in arrays(t=4)]
    numbers = [np.int64(2), np.uint8(7), np.array([9])[0]]  # pickled as numpy's scalars
    for file, items in zip(FILES, (written, NAMES, numbers), strict=True):
        (folder / file).write_bytes(pickle.dumps(items, protocol))
    data = load_embeddings(folder)
    assert torch.equal(data.embeddings, torch.from_numpy(np.stack(written)))
    assert data.file_names == NAMES and data.classes.tolist() == [2, 7, 9]


@pytest.mark.parametrize("core", [b"numpy._core", b"numpy.core"])
@pytest.mark.parametrize("made", [np.asfortranarray, np.ascontiguousarray])
def test_arrays_of_protocol_5_are_read(folder, made, core):
    written = [made(x) for x in arrays(t=4)]
    for array in written[1:]:
        array.flags.writeable = False  # bytes then, and not a bytearray
    code = pickle.dumps(written, 5)
    own, named = np.arange(3).__reduce_ex__(5)[0].__module__.encode(), core + b".numeric"
    assert code.count(own) == 1 and code[2:3] == pickle.FRAME  # left out: its length changes
    code = code[:2] + code[11:].replace(bytes([len(own)]) + own, bytes([len(named)]) + named)
    (folder / FILES[0]).write_bytes(code)
    found = load_embeddings(folder)
    assert np.array_equal(found.embeddings, np.stack(written))
    assert len(repr(found)) < 100


@pytest.mark.parametrize(("changed", "payload"), [
    ("other than a dtype", b"(S'x'\nS'f4'\n(I1\ntS'C'\ntR."),
    ("other than a dtype", b"(S'1234'\ncnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I1\ntS'K'\n(I0\nttR."),
    ("int for the bytes", b"(I9\ncnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I1\ntS'C'\ntR."),
])
def test_buffers_that_are_none_are_refused(tmp_path, changed, payload):
    (tmp_path / "odd.pickle").write_bytes(b"cnumpy._core.numeric\n_frombuffer\n" + payload)
    with pytest.raises(UnsafePickle, match=f"odd.pickle: found .*{changed}"):
        read(tmp_path / "odd.pickle")


def test_buffers_named_again_and_again_do_not_multiply(tmp_path):
    memo = b"(lC\xc8" + bytes(200) + b"q\x010cnumpy\ndtype\n(S'u1'\nI0\nI1\ntRq\x020"
    again = b"cnumpy._core.numeric\n_frombuffer\n(h\x01h\x02(I200\ntS'C'\ntRa"
    (tmp_path / "bomb.pickle").write_bytes(b"\x80\x05" + memo + again * 50 + b".")
    with pytest.raises(ValueError, match="in 200 bytes, 0 left in the file"):
        read(tmp_path / "bomb.pickle")


def numbers_and_names(how, module):
    """A list of numpy's numbers, or of names, as text: Python 2's and Python 3's protocol 0."""
    if how == "names":
        names = ["a/b", "c d/e", "f"]
        return pickle.dumps(names, 0), names
    if how == "strings":
        return Python2(0).dumps(["a/b", "c\\rd", "f"]), ["a/b", "c\\rd", "f"]
    numbers = [np.int64(2), np.int64(10), np.int64(13)]
    if how == "Python 3's numbers":
        return pickle.dumps(numbers, 0), [2, 10, 13]
    scalar = module + b"\nscalar\n(cnumpy\ndtype\n(S'i8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\n"
    scalar += b"I0\ntbS%s\ntR"
    return b"(lp0\n" + b"".join(b"c" + scalar % repr(n.tobytes())[1:].encode() + b"a"
                                for n in numbers) + b".", [2, 10, 13]


@pytest.mark.parametrize("ends", [b"\r\n", b"\r\r\n", b"\r", b"\n"])
@pytest.mark.parametrize("how", ["names", "strings", "Python 3's numbers", "Python 2's numbers"])
def test_line_ends_of_a_text_are_changed_back(tmp_path, how, ends):
    code, expected = numbers_and_names(how, b"numpy.core.multiarray")
    (tmp_path / "text.pickle").write_bytes(code.replace(b"\n", ends))
    assert read(tmp_path / "text.pickle") == expected
    if ends != b"\r":
        (tmp_path / "half.pickle").write_bytes(code.replace(b"\n", ends, 4))
        assert read(tmp_path / "half.pickle") == expected


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_line_ends_that_were_changed_in_bytes_are_named(folder, protocol):
    whole = pickle.dumps(arrays(t=4), protocol)
    assert whole.count(b"\n")
    (folder / FILES[0]).write_bytes(whole.replace(b"\n", b"\r\n"))
    said = f"{FILES[0]}: found .*line ends were changed: fetch it again, in binary mode"
    with pytest.raises((ValueError, UnsafePickle), match=said):
        load_embeddings(folder)


def test_numbers_of_one_long_string_are_refused_at_once(tmp_path):
    start = b"(lcnumpy\ndtype\n(S'f8'\nI0\nI1\ntRp1\n0S'" + b"x" * 1_000_000 + b"'\np2\n0"
    one = b"cnumpy.core.multiarray\nscalar\n(g1\ng2\ntRa"
    (tmp_path / "long.pickle").write_bytes(start + one * 20_000 + b".")
    began = time.monotonic()
    with pytest.raises(ValueError, match="1000000 bytes for numbers that take 8"):
        read(tmp_path / "long.pickle")
    assert time.monotonic() - began < 5


def test_classes_may_be_an_array(folder):
    (folder / FILES[2]).write_bytes(pickle.dumps(np.array([2, 7, 9], np.uint8), 2))
    assert load_embeddings(folder).classes.tolist() == [2, 7, 9]


def test_arrays_of_older_and_of_newer_numpy_are_read(folder):
    whole = (folder / FILES[0]).read_bytes()
    (folder / FILES[0]).write_bytes(whole.replace(b"numpy.core", b"numpy._core"))
    assert np.array_equal(load_embeddings(folder).embeddings, np.stack(arrays(t=4)))


# What would run code is refused by its name

def call(name, *args, how="reduce"):
    """A pickle that calls module.name with strings; Python 3's own opcodes where `how` says so."""
    module, _, function = name.partition(":")
    strings = b"".join(Python2(0).string(arg) for arg in args)
    opcode = b"c" + f"{module}\n{function}\n".encode()
    return {
        "reduce": opcode + b"(" + strings + b"tR.",
        "newobj": b"\x80\x02" + opcode + b"(" + strings + b"t\x81.",
        "newobj_ex": b"\x80\x04" + opcode + b"(" + strings + b"t}\x92.",
        "inst": b"(" + strings + b"i" + opcode[1:] + b".",
        "obj": b"(" + opcode + strings + b"o.",
        "stack_global": b"\x80\x04" + short(module) + short(function) + b"\x93(" + strings + b"tR.",
    }[how]


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def payloads(marker):
    """name: (pickle, what the message names, whether the standard unpickler would run it)."""
    shell, code = f"echo ran > '{marker}'", f"open({str(marker)!r}, 'w').close()"
    system = "os:system"
    get = call("builtins:getattr")[:-3] + b"cbuiltins\n__import__\n(S'os'\ntRS'system'\ntR("
    state = b"(c_codecs\nencode\n(N(S'x'\nttb."  # BUILD on what is admitted
    return {
        "reduce": (call(system, shell), "os.system", True),
        "inst": (call(system, shell, how="inst"), "os.system", True),
        "obj": (call(system, shell, how="obj"), "os.system", True),
        "newobj": (call(system, shell, how="newobj"), "os.system", False),
        "newobj_ex": (call(system, shell, how="newobj_ex"), "os.system", False),
        "stack_global": (call(system, shell, how="stack_global"), "os.system", True),
        "dotted": (call("shutil:os.system", shell, how="stack_global"),
                   "shutil.os.system", True),
        "dotted in numpy": (call("numpy:ndarray.tofile", shell, how="stack_global"),
                            "numpy.ndarray.tofile", False),
        "eval": (call("builtins:eval", code), "builtins.eval", True),
        "eval of Python 2": (call("__builtin__:eval", code), "__builtin__.eval", True),
        "getattr": (get + Python2(0).string(shell) + b"tR.", "builtins.getattr", True),
        "memmap": (b"cnumpy\nmemmap\n(" + Python2(0).string(str(marker))
                   + b"S'uint8'\nS'w+'\nI0\nI1\ntR.", "numpy.memmap", True),
        "save": (b"cnumpy\nsave\n(" + Python2(0).string(str(marker)) + b"I1\ntR.",
                 "numpy.save", True),
        "load": (call("numpy:load", str(marker)), "numpy.load", False),
        "fromfile": (call("numpy:fromfile", str(marker)), "numpy.fromfile", False),
        "partial": (call("functools:partial"), "functools.partial", False),
        "objects": (pickle.dumps(np.array([Runs(shell)], object), 2),
                    r"numpy.dtype\('O8'\)", True),
        "structures": (pickle.dumps(np.zeros(1, [("a", object)]), 2), "numpy.dtype", False),
        "subtype": (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nmatrix\n(I0\ntS'b'\ntR.",
                    "numpy.matrix", False),
        "dtype as subtype": (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
            "an array of type function", False),
        "codec": (call("_codecs:encode", "x", "zlib_codec"), "_codecs.encode to 'zlib_codec'",
                  False),
        "state": (state, "a state for function", False),
        "object of an admitted name": (call("_codecs:encode", "x", "latin1", how="obj"),
                                       "opcode OBJ", False),
        "newobj of an admitted name": (call("numpy:ndarray", "x", how="newobj"),
                                       "opcode NEWOBJ", False),
        "state of a dtype": (b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\n(S'a'\ntNNI-1\nI-1\n"
                             b"I63\ntb.", "numpy.dtype with another state", False),
        "persistent": (b"Pos.system\n.", "opcode PERSID", False),
        "persistent, binary": (b"S'os.system'\nQ.", "opcode BINPERSID", False),
        "dict": (b"}.", "opcode EMPTY_DICT", False),
        "set": (b"\x80\x04\x8f.", "opcode EMPTY_SET", False),
    }


class Runs:
    def __init__(self, shell):
        self.shell = shell

    def __reduce__(self):
        return os.system, (self.shell,)


@pytest.mark.parametrize("kind", payloads("ran"))
def test_what_would_run_code_is_refused_by_name(tmp_path, kind):
    marker = tmp_path / "ran.npy"
    payload, named, live = payloads(marker)[kind]
    path = tmp_path / "hostile.pickle"
    path.write_bytes(payload)
    with pytest.raises(UnsafePickle, match=f"hostile.pickle: found .*{named}.*, expected only"):
        read(path)
    assert not marker.exists()
    if live:
        pickle.loads(payload, encoding="latin1")  # the payload is no dud
        assert marker.exists()


@pytest.mark.parametrize("file", FILES)
def test_each_of_the_three_files_is_read_safely(folder, tmp_path, file):
    (folder / file).write_bytes(call("os:system", f"echo ran > '{tmp_path / 'ran'}'"))
    with pytest.raises(UnsafePickle, match=rf"{file}: found os\.system, expected only"):
        load_embeddings(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("opcode", "code"), [
    ("EXT1", b"\x82\xf0"), ("EXT2", b"\x83\xf0\x00"), ("EXT4", b"\x84\xf0\x00\x00\x00")])
def test_extension_codes_are_refused_even_those_that_are_cached(tmp_path, opcode, code):
    marker, path = tmp_path / "ran", tmp_path / "hostile.pickle"
    payload = b"\x80\x02" + code + b"(" + Python2(0).string(f"echo ran > '{marker}'") + b"tR."
    path.write_bytes(payload)
    copyreg.add_extension("os", "system", 0xF0)
    try:
        pickle.loads(b"\x80\x02" + code + b".")  # puts os.system into the cache, past find_class
        with pytest.raises(UnsafePickle, match=f"found opcode {opcode}, expected only"):
            read(path)
        assert not marker.exists()
    finally:
        copyreg.remove_extension("os", "system", 0xF0)
        copyreg.clear_extension_cache()


def test_a_refused_file_changes_nothing_that_later_files_use(folder):
    before = load_embeddings(folder)
    for payload, _, _ in payloads("ran").values():
        (folder / "hostile").write_bytes(payload)
        with pytest.raises(UnsafePickle):
            read(folder / "hostile")
    assert torch.equal(load_embeddings(folder).embeddings, before.embeddings)


# What would fill the memory

def shape(*sizes, data=b"12345678"):
    """The pickle of an array of bytes that says it has this shape."""
    code = Python2(0).dumps([np.zeros(2, "u1")])
    assert code.count(b"(I2\nt") == 1 and code.count(b"S'\\x00\\x00'\n") == 1
    sizes = b"(" + b"".join(b"I%d\n" % size for size in sizes) + b"t"
    return code.replace(b"(I2\nt", sizes).replace(rb"S'\x00\x00'", b"S" + repr(data)[1:].encode())


@pytest.mark.parametrize("payload", [
    shape(10**15), shape(2**32, 2**32), shape(2**63, 2), shape(-8), shape(-2, -4), shape(9),
    shape(*[1] * 40), shape(4, data=b"1234" * 2),
    b"cnumpy\nndarray\n((I1000000000000000\nttR.",
    b"((I1000000000000000\nt" + b"inumpy\nndarray\n.",
    b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\nI0\nI1\ntRS'123'\ntR.",
    b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",  # BINBYTES8
    b"\x80\x02T" + struct.pack("<i", 2**31 - 1) + b"x.",  # BINSTRING
    b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",  # BYTEARRAY8
    b"\x80\x05\x96" + struct.pack("<Q", 2**63) + b"x.",
])
def test_sizes_beyond_the_file_are_refused(tmp_path, payload):
    (tmp_path / "huge.pickle").write_bytes(payload)
    with pytest.raises(ValueError, match="huge.pickle: found .* while reading, expected a whole"):
        read(tmp_path / "huge.pickle")


@pytest.mark.parametrize(("payload", "named"), [
    (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
    (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\nI0\nI1\ntRI1000000000000\ntR.",
     "int for the bytes"),
])
def test_sizes_without_bytes_are_refused(tmp_path, payload, named):
    (tmp_path / "huge.pickle").write_bytes(payload)
    with pytest.raises(UnsafePickle, match=f"huge.pickle: found {named}"):
        read(tmp_path / "huge.pickle")


@pytest.mark.parametrize("payload", [
    b"\x80\x02Nr\xff\xff\xff\xff.",  # LONG_BINPUT: C's unpickler would take 64 GiB
    b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",  # FRAME
])
def test_a_memo_index_and_a_frame_allocate_nothing(tmp_path, payload):
    (tmp_path / "None.pickle").write_bytes(payload)
    assert read(tmp_path / "None.pickle") is None


def test_bytes_named_again_and_again_do_not_multiply(tmp_path):
    [one] = arrays(n=1)
    code = Python2(0).dumps([one])
    string = Python2(0).string(one.tobytes())
    code = code[code.index(b"cnumpy.core") : -len(b"a.")]
    first, again = code.replace(string, string + b"p99\n"), code.replace(string, b"g99\n")
    (tmp_path / "bomb.pickle").write_bytes(b"(l" + first + b"a" + (again + b"a") * 50 + b".")
    standard = pickle.loads((tmp_path / "bomb.pickle").read_bytes(), encoding="latin1")
    assert len(standard) == 51 and np.array_equal(standard[-1], one)
    with pytest.raises(ValueError, match=r"an array of shape \(10, 1024\) .* in 40960 bytes"):
        read(tmp_path / "bomb.pickle")


def doubled(times):
    """The opcodes of a list of one list twice, and so on: quickly stored, never written out."""
    nested = []
    for _ in range(times):
        nested = [nested, nested]
    return pickle.dumps(nested, 2)[2:-1]


@pytest.mark.parametrize("payload", [
    b"cnumpy\ndtype\n(%sI0\nI1\ntR.",
    b"cnumpy.core.multiarray\n_reconstruct\n(%s(I0\ntS'b'\ntR.",
    b"cnumpy.core.multiarray\nscalar\n(%sS'b'\ntR.",
    b"c_codecs\nencode\n(S'x'\n%stR.",
    b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR%sb.",
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    b"(I1\n%scnumpy\ndtype\n(S'f4'\nI0\nI1\ntRI00\nS''\ntb.",
    b"%s(tR.", b"%sNb.",
])
def test_what_would_take_forever_to_write_out_is_not(tmp_path, payload):
    (tmp_path / "long.pickle").write_bytes(payload % doubled(200))
    with pytest.raises((ValueError, UnsafePickle), match="long.pickle: found .*, expected "):
        read(tmp_path / "long.pickle")


# What is broken is named

def test_missing_files_are_named(folder):
    for file in FILES[1:]:
        (folder / file).unlink()
    with pytest.raises(FileNotFoundError) as error:
        load_embeddings(folder)
    for part in ("filenames.pickle, class_info.pickle missing in", str(folder), "train or test"):
        assert part in str(error.value)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("protocol", [0, 2])
def test_a_file_cut_anywhere_is_named(folder, file, protocol):
    write(folder, arrays(t=4), protocol=protocol)
    whole = (folder / file).read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        (folder / file).write_bytes(whole[:length])
        with pytest.raises((ValueError, UnsafePickle), match=f"{file}: found .*, expected "):
            read(folder / file)


def test_a_page_in_place_of_a_pickle_is_named(folder):
    (folder / FILES[0]).write_text("<html>Quota exceeded</html>")
    with pytest.raises(UnsafePickle, match=f"{FILES[0]}: found a web page, expected only"):
        load_embeddings(folder)


def test_a_damaged_file_is_refused_or_read_and_nothing_else(tmp_path):
    whole = bytearray(Python2(2).dumps([*arrays(t=2), *NAMES, 3]))
    generator, refused = np.random.default_rng(0), 0
    for _ in range(300):
        damaged = whole.copy()
        for place in generator.integers(len(whole), size=3):
            damaged[place] = generator.integers(256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            read(tmp_path / "damaged")
        except (ValueError, UnsafePickle) as error:
            refused += 1
            assert "damaged: found " in str(error)
    assert 0 < refused < 300


def with_value(value):
    changed = arrays(t=4)
    changed[1][3, 2] = value
    return changed


@pytest.mark.parametrize(("embeddings", "found"), [
    ([], r"a list of 0"),
    ([1, 2, 3], r"int for picture 0"),
    ([*arrays(n=2, t=4), "x"], r"str for picture 2"),
    ([*arrays(n=2, t=4), *arrays(n=1, t=5)], r"float32 of shape \(10, 5\) for picture 2"),
    ([np.zeros((9, 4), "f4")] * 3, r"float32 of shape \(9, 4\) for picture 0"),
    ([np.zeros(10, "f4")] * 3, r"float32 of shape \(10,\) for picture 0"),
    ([np.zeros((10, 4, 1), "f4")] * 3, r"float32 of shape \(10, 4, 1\) for picture 0"),
    ([np.zeros((10, 0), "f4")] * 3, r"float32 of shape \(10, 0\) for picture 0"),
    ([np.zeros((10, 4), "i4")] * 3, r"int32 of shape \(10, 4\) for picture 0"),
    (with_value(np.nan), "nan or infinity for picture 1"),
    (with_value(-np.inf), "nan or infinity for picture 1"),
])
def test_broken_embeddings_are_named(folder, embeddings, found):
    write(folder, embeddings)
    with pytest.raises(ValueError, match=f"{FILES[0]}: found {found}.*, expected "):
        load_embeddings(folder)


def test_one_array_for_several_pictures_is_refused(folder):
    (folder / FILES[0]).write_bytes(pickle.dumps(arrays(n=1, t=4) * 3, 2))
    with pytest.raises(ValueError, match=f"{FILES[0]}: found one array for several pictures, exp"):
        load_embeddings(folder)


@pytest.mark.parametrize(("file", "items", "found", "expected"), [
    (FILES[0], ("a", "b"), "tuple", "a list of arrays"),
    (FILES[0], np.zeros((3, 10, 4), "f4"), "float32 of shape", "a list of arrays"),
    (FILES[1], "name", "str", "a list of 3 different strings"),
    (FILES[1], NAMES[:2], "a list of 2", "a list of 3 different strings"),
    (FILES[1], [*NAMES[:2], NAMES[0]], "a list of 3", "a list of 3 different strings"),
    (FILES[1], [*NAMES[:2], 5], r"a list of 3 \(int, str\)", "a list of 3 different strings"),
    (FILES[2], 5, "int", "a list of 3 whole numbers"),
    (FILES[2], [1, 2, 3, 4], "a list of 4", "a list of 3 whole numbers"),
    (FILES[2], [1, 2, "3"], r"a list of 3 \(int, str\)", "a list of 3 whole numbers"),
    (FILES[2], [1, 2, 3.0], r"a list of 3 \(float, int\)", "a list of 3 whole numbers"),
    (FILES[2], [1, 2, 2**63], r"a list of 3 \(int\)", "a list of 3 whole numbers"),
    (FILES[2], np.zeros((3, 1), "i8"), r"a list of 3 \(list\)", "a list of 3 whole numbers"),
])
def test_other_things_than_expected_are_named(folder, file, items, found, expected):
    (folder / file).write_bytes(pickle.dumps(items, 2))
    with pytest.raises(ValueError, match=f"{file}: found {found}.*, expected {expected}"):
        load_embeddings(folder)
