"""Files written whole or not at all, one writer at a time, and errors that say what would help.

Everything the project writes goes through here: checkpoints, caches, stored notebooks, studies.
"""

import errno
import hashlib
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)
# libraries that write from Rust or C++ tell of a full disk in words only; the second are numpy's
FULL_IN_WORDS = re.compile(r"No space left|File too large|quota exceeded|"
                           r"^\d+ requested and \d+ written$")  # fmt: skip
T = TypeVar("T")
BLOCK, BLOCKS = 1 << 16, 256  # bytes, and how many are looked at: all of 16 MB
STALE = 3600  # seconds: what nobody has written to for so long, a killed process left there


class Held(OSError):
    """Another process is at it; says which one, where and since when."""


def expanded(path: str | os.PathLike, called: str = "path") -> Path:
    """The path with `~` for the home folder spelled out. TypeError for what is no path."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{called}: found {path!r} ({type(path).__name__}), expected a path")
    path = Path(path)
    try:
        return path.expanduser()
    except RuntimeError as error:  # no home
        raise OSError(errno.ENOENT, f"no home folder to put in place of ~ ({error})", str(path)) \
            from error  # fmt: skip


@contextmanager
def explained(
    path: str | os.PathLike, needed: int | None = None, advice: str = ""
) -> Iterator[None]:
    """Inside, a write that the disk refuses ends in one kind of message.

    An OSError of the same number and kind that names `path`, the bytes `needed` and free, and
    `advice`: what would help. Other errors pass.
    """
    try:
        yield
    except Exception as error:
        full = getattr(error, "errno", None) in FULL or FULL_IN_WORDS.search(str(error)) is not None
        if isinstance(error, Held) or not full and not _concerns(error, path):
            raise
        number = errno.ENOSPC if full else error.errno
        what = "disk full" if full else f"cannot be written ({error.strerror})"
        places = (Path(path).absolute(), *Path(path).absolute().parents)
        there = next(place for place in places if os.path.exists(place))  # even where unreadable
        asked = f"{needed:,} bytes needed, " if needed is not None else ""
        said = f"{what}: {asked}{shutil.disk_usage(there).free:,} bytes free"
        raise OSError(number, f"{said}; {advice}" if advice else said, str(path)) from error


def _concerns(error: Exception, path: str | os.PathLike) -> bool:
    """Whether it is about `path`, what is beside it, or a folder above it; not, say, a source."""
    if not isinstance(error, OSError) or error.errno is None or error.filename is None:
        return False
    place, about = Path(path).absolute(), Path(os.fsdecode(error.filename)).absolute()
    return about in place.parents or place.parent in about.parents


@contextmanager
def whole(
    path: str | os.PathLike, needed: int | None = None, advice: str = "", folder: bool = False
) -> Iterator[Path]:
    """A temporary path near `path` (a file, or a `folder`): takes its place when all is well.

    Safe on the disk before it is renamed; what was there before stays until then, and after an
    error. Refused `chmod` and fsync of folders, as on some network drives, are ignored. Raises
    OSError as `explained` does, at once where the disk has no room for the bytes `needed`.
    """
    path = expanded(path)
    path = path.resolve() if folder else path  # through a link to another disk
    with explained(path, needed, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        swept(path)
        # some network drives say that 0 bytes are free, and take what comes
        if needed is not None and 0 < shutil.disk_usage(path.parent).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        # a folder, for libraries write beside what they are told to: safetensors, a file of its own
        room = room_beside(path)
        draft = room / path.name
        try:
            room.mkdir()
            draft.mkdir() if folder else draft.touch()
            mode = draft.stat().st_mode
            yield draft
            with suppress(OSError):  # as any new file here, whatever a library made of it
                draft.chmod(mode)
            for file in (*draft.rglob("*"), draft):
                _to_disk(file)
            if folder and path.is_dir():
                shutil.rmtree(path)
            os.replace(draft, path)
            _to_disk(path.parent)
        finally:
            _removed(room)


def room_beside(path: Path) -> Path:
    """The name of a new folder beside `path` to draft it in; `swept` knows it."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")


def swept(path: str | os.PathLike, alone: bool = False) -> None:
    """Remove what killed writers of `path` left beside it: what is stale, or all where `alone`.

    `alone`: the caller holds the lock under which alone `path` is written.
    """
    path = Path(path)
    room = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{12}}\.part")  # see `room_beside`
    with suppress(OSError):  # tidying up is no reason to fail
        for left in path.parent.iterdir():
            if room.fullmatch(left.name):
                if alone or time.time() - _last_written(left) > STALE:
                    _removed(left)


@contextmanager
def held(path: str | os.PathLike, wait: bool, advice: str = "") -> Iterator[None]:
    """Inside, this process alone is at `path` (a file, a folder, a run), by a lock file beside it.

    The system drops a lock with the process, however it ends. Where another process has it: waits,
    saying for whom, or raises Held. On a file system without locks there is none.
    """
    path = expanded(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"), thread_local=False)
    note = path.with_name(f".{path.name}.holder")
    with explained(path, advice=advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        locked = _locked(lock, note, path, wait, advice)
    if not locked:
        yield
        return
    try:
        since = datetime.now().isoformat(" ", "seconds")
        with suppress(OSError):
            note.write_text(f"process {os.getpid()} on {socket.gethostname()} since {since}")
        swept(path, alone=True)
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def made_once(
    path: Path, make: Callable[[], None], advice: str = "", read: Callable[[], T] = lambda: None
) -> T:
    """What `read` gives of `path`; `make` writes it whole first where it is missing or damaged.

    The first process to come makes it, the others wait. What is there already needs no lock, so it
    may be on a read-only disk.
    """
    seal = path.with_name(f".{path.name}.sum")

    def there() -> T:
        if seal.read_text() != fingerprint(path):
            raise ValueError(f"{path}: damaged")
        return read()

    with suppress(Exception):  # a damaged file can provoke nearly any
        return there()
    with held(path, wait=True, advice=advice):
        with suppress(Exception):  # another process made it meanwhile
            return there()
        make()
        with whole(seal, advice=advice) as draft:
            draft.write_text(fingerprint(path))
    return read()


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of all in a folder; of a large one some blocks stand for all."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with open(file, "rb") as stream:
            for start in range(0, size, max(BLOCK, size // BLOCKS)):
                stream.seek(start)
                digest.update(stream.read(BLOCK))
    return digest.hexdigest()


def _locked(lock: FileLock, note: Path, path: Path, wait: bool, advice: str) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = "another process"
        with suppress(OSError):  # it has not signed yet, or is done by now
            who = note.read_text() or who
        if not wait:
            said = f"in use by {who}" + (f"; {advice}" if advice else "")
            raise Held(errno.EBUSY, said, str(path)) from None
        print(f"waiting for {who}, which is at {path}", flush=True)
        lock.acquire()
    except NotImplementedError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def _to_disk(path: Path) -> None:
    if path.is_dir():
        with suppress(OSError):  # some network drives refuse it; Windows has no handle to a folder
            _synced(path, os.O_RDONLY)
    else:
        _synced(path, os.O_RDWR)


def _synced(path: Path, how: int) -> None:
    handle = os.open(path, how)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _last_written(path: Path) -> float:
    return max(file.stat().st_mtime for file in (path, *path.rglob("*")))


def _removed(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
