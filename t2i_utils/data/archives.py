"""Published archives: fetched whole and verified, unpacked whole or not at all."""

import gzip
import hashlib
import os
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PureWindowsPath
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


def fetch(url: str, path: str | os.PathLike, sha256: str, *, timeout: float = 60.0) -> Path:
    """`path`, downloaded from `url` unless it is there already, its SHA-256 verified.

    A transfer that breaks off leaves what came in `path`.part, and the next call asks for the
    rest. `timeout`: seconds of silence that count as broken off. For one process at a time.

    Raises ValueError for a URL that is not http(s), and for another SHA-256 than `sha256`: of the
    download, which is removed, or of a file already there, which is left alone. Raises OSError
    where the server refuses, ConnectionError where it is not reached or the transfer breaks off.
    """
    path = Path(path)
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
    """`folder`, unpacked from a .zip or a .tar, .tar.gz or .tgz: it appears when it is complete.

    Raises FileExistsError where `folder` is there already, and ValueError, with nothing left
    behind, for an archive that is truncated or broken or that has a hostile member: a link, a
    device, a name that is absolute or has `..` in it.
    """
    archive, folder = Path(archive), Path(folder)
    if os.path.lexists(folder):
        raise FileExistsError(f"{folder} is there already: move it away to extract {archive}")
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as neighbour:
        whole = Path(neighbour) / "whole"  # the neighbour is private, which `folder` need not be
        whole.mkdir()
        try:
            (_unzip if archive.suffix == ".zip" else _untar)(archive, whole)
        except BROKEN as error:
            raise ValueError(f"{archive}: truncated, damaged or no archive: {error}") from error
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
        part.parent.mkdir(parents=True, exist_ok=True)
        with (response, open(part, "ab" if start else "wb") as file,
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
    except (OSError, HTTPException) as error:
        of = "an unknown number of" if total is None else f"{total:,}"
        held = f"; {_size(part):,} of {of} bytes are in {part}, calling again resumes"
        raise ConnectionError(f"{url}: {error}{held if _size(part) else ''}") from error


def _request(url: str, start: int, timeout: float) -> tuple[HTTPResponse, int]:
    """The response to a request for the bytes from `start` on, and where it really starts."""
    wanted = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = urlopen(Request(url, headers=wanted), timeout=timeout)
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


def _untar(archive: Path, folder: Path):
    with tarfile.open(archive) as tar:
        members = (_vetted(archive, member, member.name, member.isreg() or member.isdir())
                   for member in tar)
        tar.extractall(folder, members, filter="data")
        # tarfile takes a header that is cut off or broken for the end, which is a block of zeros.
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no header and no end at byte {tar.offset:,}")
        while tar.fileobj.read(1 << 20):
            pass  # gzip compares its checksum when it comes to its end


def _unzip(archive: Path, folder: Path):
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where it was not packed on Unix
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            file.extract(_vetted(archive, member, member.filename, plain), folder)


def _vetted(archive: Path, member, name: str, plain: bool):
    """`member`, where it is a file or a folder whose name leads nowhere else."""
    path = PureWindowsPath(name)  # the stricter kind: it knows drives, and both separators
    if path.anchor or ".." in path.parts:
        raise ValueError(f"{archive}: member {name!r}: expected a relative path without '..'")
    if not plain:
        raise ValueError(f"{archive}: member {name!r}: found a link or a device, expected a file")
    return member
