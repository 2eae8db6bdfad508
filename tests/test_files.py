"""Files written whole or not at all, one writer at a time, and errors that say what would help."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from t2i_utils import files
from t2i_utils.files import Held, expanded, explained, held, made_once, swept, whole

ROOT = Path(__file__).resolve().parents[1]
unix = pytest.mark.skipif(os.name == "nt", reason="modes, locks and signals of Unix")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(draft, folder, text="new"):
    (draft / "inside.txt" if folder else draft).write_text(text)


def read(path, folder):
    return (path / "inside.txt" if folder else path).read_text()


# ---- whole ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [False, True])
def test_it_takes_its_name_when_all_is_well(tmp_path, folder):
    path = tmp_path / "not" / "yet" / "entry"
    with whole(path, folder=folder) as draft:
        write(draft, folder)
        assert draft.parent.parent == path.parent and not path.exists()  # the same disk
    assert read(path, folder) == "new" and names(path.parent) == ["entry"]
    with whole(path, folder=folder) as draft:
        write(draft, folder, "newer")
        assert read(path, folder) == "new", "what was there stays until then"
    assert read(path, folder) == "newer" and names(path.parent) == ["entry"]


def test_nothing_of_a_replaced_folder_stays(tmp_path):
    for text in "ab":
        with whole(tmp_path / "entry", folder=True) as draft:
            (draft / "sub").mkdir()
            (draft / "sub" / text).touch()
    assert names(tmp_path / "entry" / "sub") == ["b"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("folder", [False, True])
def test_an_error_keeps_what_was_there_and_leaves_nothing(tmp_path, folder, error):
    path = tmp_path / "entry"
    for there in ([], ["entry"]):
        with pytest.raises(type(error)) as raised, whole(path, folder=folder) as draft:
            write(draft, folder, "half")
            raise error
        assert raised.value is error and names(tmp_path) == there
        with whole(path, folder=folder) as draft:
            write(draft, folder, "old")
    assert read(path, folder) == "old"


@pytest.mark.parametrize("folder", [False, True])
def test_it_is_safe_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch, folder):
    done, fsync, replace = [], os.fsync, os.replace

    def synced(handle):
        fsync(handle)
        done.append(os.fstat(handle).st_ino)

    def renamed(draft, path):
        done.append("renamed")
        replace(draft, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    with whole(tmp_path / "entry", folder=folder) as draft:
        write(draft, folder)
        written = (draft / "inside.txt" if folder else draft).stat().st_ino
    assert written in done[: done.index("renamed")]
    assert os.name == "nt" or done[-1] == tmp_path.stat().st_ino, "the renaming too"


@unix
@pytest.mark.parametrize("folder", [False, True])
def test_refused_chmod_and_fsync_of_folders_are_ignored(tmp_path, monkeypatch, folder):
    """As on some network drives: what is written is whole all the same."""
    fsync = os.fsync

    def refuses(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def only_files(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(Path, "chmod", refuses)
    monkeypatch.setattr(os, "chmod", refuses)
    monkeypatch.setattr(os, "fsync", only_files)
    with whole(tmp_path / "entry", folder=folder) as draft:
        write(draft, folder)
        if folder:
            (draft / "sub").mkdir()
    assert read(tmp_path / "entry", folder) == "new" and names(tmp_path) == ["entry"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_file_that_does_not_reach_the_disk_is_an_error(tmp_path, monkeypatch, folder):
    def broken(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_synced", lambda path, how: broken(path) if how else None)
    with pytest.raises(OSError, match="disk full"), whole(tmp_path / "e", folder=folder) as draft:
        write(draft, folder)
    assert names(tmp_path) == []


@unix
def test_it_has_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with whole(tmp_path / "entry") as draft:
        draft.unlink()
        os.close(os.open(draft, os.O_CREAT | os.O_WRONLY, 0o600))  # as safetensors makes it
    assert (tmp_path / "entry").stat().st_mode == (tmp_path / "plain").stat().st_mode


# ---- errors that say what would help ----------------------------------------------------------


def fills_the_disk(how):
    if how == "write":
        with open("/dev/full", "wb") as file:
            file.write(bytes(10))
    elif how == "numpy":
        with open("/dev/full", "wb", buffering=0) as file:
            np.arange(1_000_000.0).tofile(file)
    elif how == "rust":
        raise RuntimeError('IoError(Os { code: 28, message: "No space left on device" })')
    else:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


@unix
@pytest.mark.parametrize("how", ["write", "numpy", "rust", "quota"])
def test_a_full_disk_is_told_in_one_way(tmp_path, how):
    with pytest.raises(OSError) as raised, whole(tmp_path / "entry", 12_345, "make room") as draft:
        draft.write_text("half")
        fills_the_disk(how)
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(tmp_path / "entry")
    said = str(raised.value)
    assert "disk full: 12,345 bytes needed, " in said and " bytes free; make room" in said
    assert names(tmp_path) == []


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    entered = []
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=99))
    with pytest.raises(OSError, match="disk full: 100 bytes needed, 99 bytes free"):
        with whole(tmp_path / "entry", 100):
            entered.append("100")
    for free, needed in ((100, 100), (0, 100), (99, None)):  # some drives say 0 and take it
        monkeypatch.setattr(files.shutil, "disk_usage", lambda _, f=free: SimpleNamespace(free=f))
        with whole(tmp_path / "entry", needed) as draft:
            entered.append(needed)
    assert entered == [100, 100, None] and not draft.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "entry"
    with pytest.raises(OSError) as raised:
        with whole(path, 10, "choose another folder"):
            raise AssertionError("entered")
    said = str(raised.value)
    for part in ("cannot be written", "10 bytes needed", "bytes free; choose another", str(path)):
        assert part in said, said


@pytest.mark.parametrize("broken", [
    FileNotFoundError(errno.ENOENT, "No such file or directory", "photos/1.jpg"),
    PermissionError(errno.EACCES, "Permission denied", "photos/1.jpg"),
    PermissionError(errno.EACCES, "Permission denied", "cache/../photos/1.jpg"),
    OSError("cannot identify image file"),
    OSError(errno.EIO, "Input/output error"),
    ValueError("no photo"),
])  # fmt: skip
def test_an_error_about_another_place_passes_as_it_is(tmp_path, monkeypatch, broken):
    """A source photo that cannot be read is not a cache that cannot be written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(type(broken)) as raised, whole("cache/flowers/entry", 10, "advice"):
        raise broken
    assert raised.value is broken and names(tmp_path / "cache" / "flowers") == []


def test_an_error_of_a_folder_that_cannot_be_looked_into(tmp_path, monkeypatch):
    """`Path.exists` raises there, which must not hide what is to be said."""
    exists = Path.exists

    def refuses(path, **options):
        if tmp_path in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return exists(path, **options)

    monkeypatch.setattr(Path, "exists", refuses)
    with pytest.raises(PermissionError, match="cannot be written .*bytes free; advice"):
        with explained(tmp_path / "entry", advice="advice"):
            raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "entry"))


def test_paths_with_a_home_and_what_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expanded("~/x") == tmp_path / "x" and expanded(Path("a/b")) == Path("a/b")
    with pytest.raises(TypeError, match="2024"):  # where the tests check annotations, these object
        expanded(2024)

    def homeless(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(OSError, match="no home folder .*'~/x'"):
        expanded("~/x")


# ---- what killed writers leave ----------------------------------------------------------------


def left_over(path, folder, age, digits="0123456789ab"):
    """A draft as a writer that was killed `age` seconds ago leaves it."""
    draft = path.with_name(f".{path.name}.{digits}.part")
    if folder:
        draft.mkdir()
    write(draft, folder, "half")
    for one in (*draft.rglob("*"), draft):
        os.utime(one, (time.time() - age,) * 2)
    return draft


@pytest.mark.parametrize("folder", [False, True])
def test_a_writer_sweeps_stale_leftovers_but_no_living_writers_draft(tmp_path, folder):
    path = tmp_path / "entry"
    stale = left_over(path, folder, files.STALE + 60, "0" * 12)
    fresh = left_over(path, folder, files.STALE - 60, "1" * 12)
    with whole(path, folder=folder) as draft:
        write(draft, folder)
    assert not stale.exists() and fresh.exists() and read(path, folder) == "new"


def test_what_a_library_writes_beside_the_draft_goes_with_it(tmp_path):
    """safetensors 0.8 writes `.tmpXXXXXX` there first: a kill amid that left it for ever."""
    path = tmp_path / "weights"
    with files.whole(path) as draft:
        (draft.parent / ".tmpaoYJ2b").write_bytes(b"half")
        draft.write_bytes(b"whole")
        room = draft.parent
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]
    room.mkdir()  # as a killed process leaves it
    (room / ".tmpaoYJ2b").write_bytes(b"half")
    files.swept(path, alone=True)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_as_fresh_as_the_newest_file_in_it(tmp_path):
    draft = left_over(tmp_path / "entry", True, files.STALE + 60)
    (draft / "growing.npy").touch()
    os.utime(draft, (time.time() - files.STALE - 60,) * 2)
    swept(tmp_path / "entry")
    assert draft.exists()


def test_under_the_lock_all_leftovers_of_this_path_are_swept_and_no_others(tmp_path):
    path = tmp_path / "run"
    own = left_over(path, True, 0)
    others = [left_over(tmp_path / name, True, 0) for name in ("run.2", "run2", "un")]
    mine = tmp_path / ".run.notes.part"
    mine.touch()
    with held(path, wait=False):
        assert not own.exists() and all(other.exists() for other in others) and mine.exists()


# ---- one at a time ----------------------------------------------------------------------------

HOLDER = """
import sys
from t2i_utils.files import held
with held(sys.argv[1], wait=True):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_process(path):
    """A process that holds `path` until it is given a line, or killed."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLDER, str(path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env=env)  # fmt: skip
    try:
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_a_second_process_is_refused_and_told_who_and_since_when(tmp_path):
    with another_process(tmp_path / "run") as holder:
        with pytest.raises(Held) as raised, held(tmp_path / "run", wait=False):
            raise AssertionError("two at once")
    said, today = str(raised.value), time.strftime("%Y-%m-")
    assert f"in use by process {holder.pid} on " in said and f"since {today}" in said, said
    assert raised.value.filename == str(tmp_path / "run")


def test_who_waits_comes_next(tmp_path, capsys):
    with another_process(tmp_path / "run") as holder:
        letting_go = threading.Timer(0.5, lambda: (holder.stdin.write("\n"), holder.stdin.flush()))
        letting_go.start()
        with held(tmp_path / "run", wait=True):
            assert not letting_go.is_alive()
    assert f"waiting for process {holder.pid} on " in capsys.readouterr().out


@unix
def test_a_lock_ends_with_its_process(tmp_path):
    with another_process(tmp_path / "run") as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with held(tmp_path / "run", wait=False):
            assert f"process {os.getpid()} " in (tmp_path / ".run.holder").read_text()
    assert names(tmp_path) == [".run.lock"]


def test_a_lock_ends_with_its_block(tmp_path):
    with held(tmp_path / "deep" / "run", wait=False):
        pass
    with pytest.raises(KeyboardInterrupt) as kept, held(tmp_path / "deep" / "run", wait=False):
        raise KeyboardInterrupt
    with held(tmp_path / "deep" / "run", wait=False):  # as a notebook keeps its last traceback
        assert kept.traceback
    assert names(tmp_path / "deep") == [".run.lock"]


@unix
@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.EINVAL])
def test_a_file_system_without_locks_holds_nobody_up(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    fresh = left_over(tmp_path / "run", False, 0)
    with held(tmp_path / "run", wait=False), whole(tmp_path / "run") as draft:
        draft.write_text("done")
    assert (tmp_path / "run").read_text() == "done"
    assert fresh.exists(), "another may be writing it: there is no lock that would tell"


def test_a_lock_that_cannot_be_made_says_what_would_help(tmp_path, monkeypatch):
    def refuses(lock, **_):
        raise PermissionError(errno.EACCES, "Permission denied", lock.lock_file)

    monkeypatch.setattr(files.FileLock, "acquire", refuses)
    with pytest.raises(PermissionError, match="cannot be written .*; choose another"):
        with held(tmp_path / "run", wait=True, advice="choose another"):
            raise AssertionError("entered")


def test_what_is_there_is_not_made_again_and_needs_no_lock(tmp_path, monkeypatch):
    made_once(tmp_path / "entry", (tmp_path / "entry").touch)
    monkeypatch.setattr(files, "held", None)
    made_once(tmp_path / "entry", lambda: pytest.fail("made again"))


def test_what_another_made_meanwhile_is_not_made_again(tmp_path):
    made = []

    def make():
        made.append(1)
        time.sleep(0.3)  # long enough for the other to have looked, and to wait
        (tmp_path / "entry").touch()

    both = [threading.Thread(target=made_once, args=(tmp_path / "entry", make)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert made == [1]
