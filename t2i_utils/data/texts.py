"""Text files as people have them: their encoding, their lines, and what is no text at all."""

import codecs
import os
import re
from contextlib import suppress
from pathlib import Path

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # 32 first: it begins as 16
OTHERS = {
    rb"version https://git-lfs": "a pointer of git-lfs (git lfs pull brings the file itself)",
    rb"\s*<(!doctype|html|head|\?xml|error)\b": "a web page",
    rb"\{\\rtf": "rich text",
    rb"PK\x03\x04|\x1f\x8b": (PACKED := "an archive that is packed"),
    rb"\x93NUMPY": "an array in numpy's own format",
    rb"[^\0]\0[^\0]\0|\0[^\0]\0[^\0]": "UTF-16 without its mark",
    rb"\Z": "an empty file",
}
# breaks that only some programs take for a new line, and what no sentence holds: NUL, for one
ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\u0a00\u0a0d\ufffe]")
AROUND = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u2060"  # to be stripped
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs that show nothing


def read_lines(name: str, path: Path) -> list[str]:
    """The lines of a text file in UTF-8, or in what its mark says, without blank ones at its end.

    Raises ValueError naming the file, what was found there and what is expected.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError  # a pipe would be waited for
        data = path.read_bytes()
    except OSError as error:
        found = in_its_place(path) or error.strerror
        raise ValueError(f"{name}: cannot read {path}: found {found}, expected text") from error
    if (found := what_it_is(data)) and data:
        raise ValueError(f"{name}: {path}: found {found}, expected text in UTF-8")
    encoding = next((MARKS[mark] for mark in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding).replace("\ufeff", "")
    except UnicodeDecodeError as error:
        line = len(re.split(rb"(?<!\r)\r*\n|\r", data[: error.start]))
        byte = f"byte 0x{data[error.start]:02X}, which is no {encoding}"
        raise ValueError(f"{name}: {path}, line {line}: found {byte}, expected text saved as UTF-8"
                         ) from None  # fmt: skip
    lines = re.split(r"(?<!\r)\r*\n|\r", text)
    for number, line in enumerate(lines, start=1):
        if odd := ODD.search(line):
            with_it, without = len(text.splitlines()), len(lines) - (not lines[-1])
            raise ValueError(f"{name}: {path}, line {number}: found U+{ord(odd[0]):04X} ({with_it} "
                             f"lines where it ends one, {without} where not), expected UTF-8 with "
                             "a line feed after each line")
    while lines and not lines[-1].strip(AROUND):
        lines.pop()
    return lines


def what_it_is(data: bytes) -> str:
    """What stands in a file's place where a download went wrong; "" for anything else."""
    return next((OTHERS[start] for start in OTHERS if re.match(start, data[:200], re.I)), "")


def in_its_place(path: Path) -> str:
    """The same of a file: also a folder of its name, a pipe, and a link that leads nowhere."""
    with suppress(OSError):
        if path.is_file():
            with open(path, "rb") as file:
                return what_it_is(file.read(200))
    if path.is_symlink() and not os.path.exists(path):
        return f"a link to {os.readlink(path)}, which is not there"
    return "" if path.is_file() or not path.exists() else "a folder" if path.is_dir() else "a pipe"
