"""The caches on disks that are full, read-only or shared: whole or not there, and a clear error."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from t2i_utils import files
from t2i_utils.data import blooms, photographs

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("blooms", "photos", "captions")
unix = pytest.mark.skipif(os.name == "nt", reason="signals and locks of Unix")


def quick_sentences(attributes, seed):
    """In place of the grammar, which takes its time, the more so with checked annotations."""
    texts = [[f"flower {i}, sentence {j}" for j in range(10)] for i in range(len(attributes))]
    return texts, torch.full((len(attributes), 10, attributes.shape[1]), -1)


def make(kind, n=1, on_part=lambda part: None):
    """Load an entry of about `n` megabytes through its cache: what is in it, as a digest.

    `on_part(0)`, `on_part(1)` are called while it is being made, the second after about a half.
    """
    if kind == "blooms":
        render, chunks = blooms.render, iter(range(1000))

        def drawn(*flowers):
            on_part(next(chunks))
            return render(*flowers)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blooms, "render", drawn)
            patch.setattr(blooms, "write_sentences", quick_sentences)
            data = blooms.load_blooms(n * 1000, 16, seed=1)  # 512 at a time
        content = np.asarray(data.images).tobytes() + json.dumps(data.captions).encode()
    elif kind == "photos":
        def read(i, _):
            if i in (0, 256):
                on_part(i // 256)
            return np.full((3, 26, 26), i % 256, np.uint8)

        here = Path(__file__)  # for all the photos: their names are looked for, and no more
        content = np.asarray(photographs.cached_photos(
            "toy", f"s{n}", here.parent, [here] * (n * 512), 26, read)).tobytes()
    else:
        def sentences():
            on_part(0)
            on_part(1)  # read, and not yet written
            return [[f"a flower {'x' * 990}"]] * (n * 1000)

        content = json.dumps(photographs.cached_captions("toy", f"s{n}", sentences)).encode()
    return hashlib.sha256(content).hexdigest()


WORKER = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("caches", sys.argv[1])
caches = importlib.util.module_from_spec(spec)
spec.loader.exec_module(caches)
{body}
"""


def python(body, *arguments, **options):
    """A process of its own: a bus error would be its end, and no test's."""
    command = [sys.executable, "-c", WORKER.format(body=body), __file__, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
                            **options)


def entries(cache):
    """All files under the cache but the empty lock files and the fingerprints."""
    found = [path for path in sorted(cache.rglob("*")) if path.is_file()]
    return [path.relative_to(cache).as_posix() for path in found
            if path.suffix not in (".lock", ".sum") or path.stat().st_size > 64]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small_disk(disk, monkeypatch):
    """A cache on a disk of its own, of 3 MB."""
    folder = disk("3m")
    monkeypatch.setenv("T2I_CACHE", str(folder))
    return folder


def remount(folder, option):
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


# ---- full disks -------------------------------------------------------------------------------

FAILS = """
def on_part(part):
    if sys.argv[4] == "in the middle" and part == 1:  # another program fills the disk
        try:
            open(os.environ["T2I_CACHE"] + "/other", "wb", 0).write(bytes(10_000_000))
        except OSError:
            pass
try:
    print(caches.make(sys.argv[2], int(sys.argv[3]), on_part))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("when", ["at once", "in the middle"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_an_error_that_says_what_would_help(small_disk, kind, when):
    n = 5 if when == "at once" else 1
    worker = python(FAILS, kind, n, when)
    said, errors = worker.communicate()
    assert worker.returncode == 0, (worker.returncode, errors)  # -7: a bus error
    entry = {"blooms": blooms.cache_name(n * 1000, 16, 1), "photos": f"photos-26-s{n}.npy",
             "captions": f"captions-s{n}.json"}[kind]
    for part in ("disk full: ", " bytes needed, ", " bytes free; ", "T2I_CACHE", f"/{entry}'"):
        assert part in said, said
    needed = int(said.split("disk full: ")[1].split(" bytes")[0].replace(",", ""))
    assert n * 700_000 < needed < n * 2_000_000
    assert entries(small_disk) == (["other"] if when == "in the middle" else [])
    remount(small_disk, "size=40m")
    assert len(make(kind, n)) == 64, "with room it works"


def test_what_was_seen_first_of_full_disks(small_disk):
    """`load("blooms", n=2000, size=32)` with 3 MB: the kernel died of a bus error."""
    body = "from t2i_utils.data import load\nload('blooms', n=2000, size=32)"
    worker = python(body)
    _, errors = worker.communicate()
    assert worker.returncode == 1 and "OSError: [Errno 28] disk full: " in errors, errors
    assert entries(small_disk) == []


# ---- read-only disks --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_cache_gives_what_it_holds(small_disk, kind):
    before = make(kind)
    remount(small_disk, "ro")
    assert make(kind, on_part=lambda _: pytest.fail("made again")) == before
    with pytest.raises(OSError, match="cannot be written .*bytes free; .*T2I_CACHE") as raised:
        make(kind, 2)
    assert raised.value.errno == errno.EROFS and raised.value.filename.startswith(str(small_disk))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_of_another_user_gives_what_it_holds(cache, kind, monkeypatch):
    before = make(kind)

    def refuses(lock, **_):
        raise PermissionError(errno.EACCES, "Permission denied", lock.lock_file)

    monkeypatch.setattr(files.FileLock, "acquire", refuses)
    assert make(kind) == before
    with pytest.raises(PermissionError, match="cannot be written .*bytes free; .*T2I_CACHE"):
        make(kind, 2)


@unix
@pytest.mark.parametrize("kind", KINDS)
def test_drives_that_refuse_modes_and_fsync_of_folders_will_do(cache, kind, monkeypatch):
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
    assert make(kind) == make(kind)


# ---- killed, and several at once --------------------------------------------------------------

HANGS = """
import time
def on_part(part):
    if part == 1:
        print("half", flush=True)
        time.sleep(600)
caches.make(sys.argv[2], 1, on_part)
"""


@unix
@pytest.mark.parametrize("kind", ["blooms", "photos"])
def test_what_a_killed_writer_leaves_is_swept(cache, tmp_path, monkeypatch, kind):
    worker = python(HANGS, kind)
    assert worker.stdout.readline() == "half\n", worker.communicate()[1]
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    left = entries(cache)
    assert any(".part" in path for path in left), "killed while it wrote"
    after = make(kind)
    whole = entries(cache)
    assert not any(".part" in path or ".holder" in path for path in whole)
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "undisturbed"))
    assert make(kind) == after and entries(tmp_path / "undisturbed") == whole


TWO = """
import time
os.getpid = lambda: 7  # two containers: each has a process 7
def on_part(part):
    with open(sys.argv[3], "a") as log:
        log.write(f"{part}\\n")
    time.sleep(0.5)
print("ready", flush=True)
sys.stdin.readline()
print(caches.make(sys.argv[2], 1, on_part))
"""


@unix
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_at_once_make_it_once(cache, tmp_path, kind):
    both = [python(TWO, kind, tmp_path / "log") for _ in range(2)]
    for worker in both:
        assert worker.stdout.readline() == "ready\n", worker.communicate()[1]
    said = []
    for worker in both:
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in both:
        out, errors = worker.communicate()
        assert worker.returncode == 0, errors
        said.append(out.splitlines())
    assert (tmp_path / "log").read_text() == "0\n1\n", "made once"
    for waited in (lines[0] for lines in said if len(lines) == 2):  # one, but where all is slow
        assert waited.startswith("waiting for ") and str(cache) in waited
    assert {lines[-1] for lines in said} == {make(kind)}
    assert not any(".part" in path or ".holder" in path for path in entries(cache))
