"""Published archives: fetched whole and verified, unpacked whole or not at all."""

import errno
import hashlib
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PureWindowsPath
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

from t2i_utils import files
from t2i_utils.data.texts import PACKED, in_its_place

ROOM, RATIO = 64 << 20, 20  # unpacked it may take ROOM bytes, and RATIO for each of its own
ADDRESS = ":/?#[]@!$&'()*+,;=%~"  # what a URL has besides letters and numbers
DISK = (*files.FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)  # no member's fault


def fetch(url: str, path: str | os.PathLike, sha256: str, *, timeout: float = 60.0) -> Path:
    """`path`, downloaded from `url` unless it is there already, its SHA-256 verified.

    A transfer that breaks off leaves what came in `path`.part, and the next call asks for the
    rest. `timeout`: seconds of silence that count as broken off. For one process at a time.

    Raises ValueError for a URL that is not http(s), and for another SHA-256 than `sha256`: of the
    download, which is removed, or of a file already there, which is left alone. Raises OSError
    where the server refuses, and where the disk is full or cannot be written: what came stays.
    Raises ConnectionError where the server is not reached or the transfer breaks off.
    """
    path, sha256 = files.expanded(path), str(sha256).strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(f"sha256: found {sha256!r}, expected 64 digits and letters from a to f")
    if path.is_dir():
        raise ValueError(f"{path}: found a folder, expected the path of the file to fetch")
    part = path.with_name(f"{path.name}.part")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"cannot fetch {url!r}: expected a URL of http or https")
    if path.exists():
        if (found := _sha256(path)) != sha256:
            raise ValueError(f"{path} is there, but is not {url}: found SHA-256 {found}, "
                             f"expected {sha256}; move it away to fetch it again")
        return path
    # A call that was stopped between its last byte and the renaming left a part that is whole.
    if not part.exists() or _sha256(part) != sha256:
        _receive(url, part, timeout)
        if (found := _sha256(part)) != sha256:
            part.unlink()
            raise ValueError(f"{url}: found SHA-256 {found}, expected {sha256}; download removed")
    os.replace(part, path)
    return path


def extract(archive: str | os.PathLike, folder: str | os.PathLike) -> Path:
    """`folder`, unpacked from a .zip or a tar (.gz, .bz2, .xz): it appears when it is complete.

    Raises FileExistsError where `folder` is there already, and ValueError, with nothing left
    behind, for an archive that is truncated, broken or encrypted, that is far larger unpacked, or
    that has a hostile member: a link, a device, a name that is absolute, has `..` in it, or that no
    disk takes. Raises OSError where the disk is full or cannot be written.
    """
    archive, folder = files.expanded(archive), files.expanded(folder)
    with open(archive, "rb") as file:  # one that is not there is told as such
        zipped = file.read(4) == b"PK\3\4" or archive.suffix.lower() == ".zip"
    if os.path.lexists(folder):
        raise FileExistsError(f"{folder} is there already: move it away to extract {archive}")
    with files.explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as neighbour:
            whole = Path(neighbour) / "whole"  # its neighbour is private, as `folder` need not be
            whole.mkdir()
            try:
                (_unzip if zipped else _untar)(archive, whole)
            except Exception as error:  # a broken archive can provoke nearly any
                if isinstance(error, _Refused) or getattr(error, "errno", None) in DISK:
                    raise
                found = in_its_place(archive).replace(PACKED, "") or str(error).split("\n")[0]
                raise ValueError(f"{archive}: truncated, damaged or no archive: {found}") from error
            os.rename(whole, folder)
    return folder


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive(url: str, part: Path, timeout: float):
    total = None
    try:
        response, start = _request(url, _size(part), timeout)
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        needed = total and total - start
        with response, files.explained(part, needed, "what came is kept, calling again resumes"):
            part.parent.mkdir(parents=True, exist_ok=True)
            if needed and 0 < shutil.disk_usage(part.parent).free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with (open(part, "ab" if start else "wb") as file,
                  tqdm(desc=part.stem, total=total, initial=start, unit="B", unit_scale=True,
                       leave=False) as bar):
                while block := response.read(1 << 16):
                    file.write(block)
                    bar.update(len(block))
        if total is not None and _size(part) < total:
            raise ConnectionError("the connection ended early")
    except HTTPError as error:
        error.close()
        raise OSError(f"cannot fetch {url}: {error}") from error
    except (OSError, HTTPException, ValueError) as error:  # the last: an address that is none
        if getattr(error, "filename", None) is not None:  # of this machine, and not of the network
            raise
        of = "an unknown number of" if total is None else f"{total:,}"
        held = f"; {_size(part):,} of {of} bytes are in {part}, calling again resumes"
        raise ConnectionError(f"{url}: {error}{held if _size(part) else ''}") from error


def _request(url: str, start: int, timeout: float) -> tuple[HTTPResponse, int]:
    """The response to a request for the bytes from `start` on, and where it really starts."""
    wanted = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = urlopen(Request(quote(url, safe=ADDRESS), headers=wanted), timeout=timeout)
        if not start or response.status != 206:
            return response, 0
        if re.match(rf"bytes {start}-", response.headers.get("Content-Range", "")):
            return response, start
        response.close()
    except HTTPError as error:
        if not start or error.code != 416:  # 416: the server has no more than is there already
            raise
        error.close()
    return _request(url, 0, timeout)


class _Refused(ValueError):
    """What an archive has and must not have."""


def _untar(archive: Path, folder: Path):
    with tarfile.open(archive) as tar:
        members = ((m, m.name, m.size, m.isreg() or m.isdir()) for m in tar)
        tar.extractall(folder, _vetted(archive, members), filter="data")
        # tarfile takes a header that is cut off or broken for the end, which is a block of zeros.
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no header and no end at byte {tar.offset:,}")
        while more := tar.fileobj.read(1 << 20):  # gzip compares its checksum at its end
            if more.strip(b"\0"):
                raise _Refused(f"{archive}: found more behind its end, expected one archive")
            _finds_room(archive, tar.fileobj.tell() - tar.offset)


def _unzip(archive: Path, folder: Path):
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            with suppress(UnicodeEncodeError):  # a newer Python found it in a field of its own
                raw = b"" if member.flag_bits & 0x800 else member.filename.encode("cp437")
                with suppress(UnicodeDecodeError):  # some tools write UTF-8 and do not say so
                    member.filename, raw = raw.decode() or member.filename, b""
                if re.search(rb"[\xa9-\xe0\xe2-\xff]", raw):  # no letters there in cp437
                    raise _Refused(f"{archive}: member {raw!r}: found a name in an unknown code "
                                   "page, expected UTF-8")
        plain = (0, stat.S_IFREG, stat.S_IFDIR)  # 0 where it was not packed on Unix
        members = ((m, m.filename, m.file_size, stat.S_IFMT(m.external_attr >> 16) in plain)
                   for m in file.infolist())  # fmt: skip
        for member in _vetted(archive, members):
            member.filename = member.filename.replace("\\", "/")  # some tools of Windows
            file.extract(member, folder)


def _vetted(archive: Path, members: Iterator[tuple]) -> Iterator:
    """Each member that is a file or a folder whose name leads nowhere else and that finds room.

    Of each is given: itself, its name, its size, and whether it is a file or a folder.
    """
    taken = 0
    for member, name, size, plain in members:
        path = PureWindowsPath(name)  # the stricter kind: it knows drives, and both separators
        found = f"{archive}: member {name[:80]!r}"
        if path.anchor or ".." in path.parts:
            raise _Refused(f"{found}: expected a relative path without '..'")
        if not plain:
            raise _Refused(f"{found}: found a link or a device, expected a file")
        taken += size + tarfile.BLOCKSIZE
        _finds_room(archive, taken)
        yield member


def _finds_room(archive: Path, taken: int):
    if taken > (room := ROOM + RATIO * archive.stat().st_size):
        raise _Refused(f"{archive}: found more than {room:,} bytes when unpacked, expected at most "
                       f"{ROOM:,} and {RATIO} for each of its own")
