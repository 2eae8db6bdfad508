"""Files written whole or not at all, one writer at a time, and errors that say what would help.

Everything the project writes goes through here: checkpoints, caches, stored notebooks, studies.
"""

import errno
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)
STALE = 3600  # seconds: what nobody has written to for so long, a killed process left there


class Held(OSError):
    """Another process is at it; says which one, where and since when."""


def expanded(path: str | os.PathLike) -> Path:
    """The path with `~` for the home folder spelled out. TypeError for what is no path."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"found {path!r} ({type(path).__name__}), expected a path")
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
        # libraries that write from Rust or C++ tell of a full disk in words only
        full = getattr(error, "errno", None) in FULL or "No space left" in str(error)
        if isinstance(error, Held) or not full and not _concerns(error, path):
            raise
        number = errno.ENOSPC if full else error.errno
        what = "disk full" if full else f"cannot be written ({error.strerror})"
        there = next(p for p in (Path(path).absolute(), *Path(path).absolute().parents)
                     if p.exists())  # fmt: skip
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
    """A temporary path beside `path` (a file, or a `folder`): takes its name when all is well.

    Safe on the disk before it is renamed; what was there before stays until then, and after an
    error. Refused `chmod` and fsync of folders, as on some network drives, are ignored. Raises
    OSError as `explained` does.
    """
    path = expanded(path)
    with explained(path, needed, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        swept(path)
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
        try:
            draft.mkdir() if folder else draft.touch()
            mode = draft.stat().st_mode
            yield draft
            with suppress(OSError):  # as any new file here, whatever a library made of it
                draft.chmod(mode)
            for file in draft.rglob("*") if folder else [draft]:
                _to_disk(file)
            if folder and path.is_dir():
                shutil.rmtree(path)
            os.replace(draft, path)
            with suppress(OSError):
                _to_disk(path.parent)
        finally:
            _removed(draft)


def swept(path: str | os.PathLike, alone: bool = False) -> None:
    """Remove what killed writers of `path` left beside it: what is stale, or all where `alone`.

    `alone`: the caller holds the lock under which alone `path` is written.
    """
    path = Path(path)
    prefix = f".{path.name}."
    with suppress(OSError):  # tidying up is no reason to fail
        for left in path.parent.iterdir():
            if left.name.startswith(prefix) and left.name.endswith(".part"):
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
        locked = _locked(lock, note, path, wait)
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


def _locked(lock: FileLock, note: Path, path: Path, wait: bool) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = note.read_text() if note.is_file() else "another process"
        if not wait:
            raise Held(errno.EBUSY, f"in use by {who}", str(path)) from None
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
    if os.name == "nt" and path.is_dir():  # Windows has no handle to a folder
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
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
