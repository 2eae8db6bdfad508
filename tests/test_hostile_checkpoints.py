"""Checkpoints and run folders that something happened to: refused by name, or served all the same.

`T2I_TRIALS=300 pytest tests/test_hostile_checkpoints.py` flips three hundred bits in place of some.
"""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.optim.lr_scheduler import ExponentialLR, MultiStepLR

sys.path.insert(0, str(Path(__file__).parent))
from resume_worker import Pictures, Troubled, make_players, run_worker, train  # noqa: E402
from test_checkpoints import assert_same_history, assert_same_state, state  # noqa: E402

from t2i_utils import checkpoints, files  # noqa: E402
from t2i_utils.checkpoints import CHECKPOINT, CheckpointError  # noqa: E402

ROOT = Path(__file__).parents[1]
FLIPS = int(os.environ.get("T2I_TRIALS", 60))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(folder, 20, snapshot_every=10)
    return folder / CHECKPOINT


@pytest.fixture
def path(run, tmp_path):
    """A checkpoint of 20 steps, a copy that a test may spoil."""
    return Path(shutil.copy(run, tmp_path))


def rewritten(path, change):
    """Change a checkpoint's tensors and metadata as a whole, its hash with them."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    metadata.pop("sha256")
    change(tensors, metadata)
    save_file(tensors, path, metadata | {"sha256": checkpoints._digest(tensors, metadata)})


def refused(path, message, players=None):
    players = players or make_players()
    before = state(players)
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoints.load(path, players)
    assert str(path) in str(caught.value)
    assert_same_state(before, state(players))


# ---- bits ---------------------------------------------------------------------------------------


def test_a_bit_that_flipped_is_noticed(path):
    """In the data, in the header, in the length before it: refused, or what was read is equal."""
    whole, rng, players = path.read_bytes(), random.Random(0), make_players()
    header = 8 + int.from_bytes(whole[:8], "little")
    expected, history = state(players), None
    checkpoints.load(path, trained := make_players())
    history, equal = checkpoints.read(path).history, 0
    for flip in range(FLIPS):
        # a third each: anywhere, in the header (which is a third of the file), in its first bytes
        low, high = [(0, len(whole)), (0, header), (0, 64)][flip % 3]
        place, bit = rng.randrange(low, high), rng.randrange(8)
        spoiled = bytearray(whole)
        spoiled[place] ^= 1 << bit
        path.write_bytes(spoiled)
        try:
            loaded, _ = checkpoints.load(path, players)
        except CheckpointError:
            assert_same_state(expected, state(players))
        else:  # a space of the header's padding, say
            equal += 1
            assert_same_state(state(trained), state(players))
            assert_same_history(history, loaded)
            players = make_players()
    assert equal <= FLIPS // 10


# ---- what does not add up -----------------------------------------------------------------------


def _set(key, value):
    return lambda tensors, metadata: metadata.update({key: value})


def _drop(key):
    return lambda tensors, metadata: metadata.pop(key)


def _fill(name, value):
    return lambda tensors, metadata: tensors[name].fill_(value)


def _rest(change):
    def edit(tensors, metadata):
        packed = json.loads(metadata["rest"])
        change(packed["dict"])
        metadata["rest"] = json.dumps(packed)

    return edit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("step"), "no complete run.*KeyError: 'step'"),
        (_drop("seconds"), "no complete run.*'seconds'"),
        (_drop("rest"), "no complete run.*'rest'"),
        (_set("step", "abc"), "no complete run.*abc"),
        (_set("kinds", "{"), "no complete run.*JSONDecodeError"),
        (_set("step", "-4"), "found step -4, expected 0 or more"),
        (_set("step", "999999999"), r"history \w+: found \[20\], expected \[999999999\]"),
        (_set("rest", "[" * 100_000), "no complete run.*RecursionError"),
        (_rest(lambda rest: rest.pop()), "no complete run.*'snapshots'"),
        (_rest(lambda rest: rest[0].__setitem__(0, "opt_X")), "no complete run.*'opt_G'"),
        (_rest(lambda rest: rest[0][1].update(other=1)), "no complete run"),
        (_fill("G/1.weight", torch.nan), "G/1.weight: found nan or inf, expected numbers"),
        (_fill("G_avg/module.4.weight", torch.inf), "G_avg/module.4.weight: found nan or inf"),
        (_fill("rest/opt_D/state/0/exp_avg_sq", torch.inf), "opt_D/state/0/exp_avg_sq: found nan"),
        (lambda t, m: t.update({"D/0.bias": t["D/0.bias"].half()}),
         r"tensor D/0.bias: found \[8\] float16, expected \[8\] float32"),
        (lambda t, m: t.update({"rest/opt_G/state/0/exp_avg": torch.ones(3)}),
         r"opt_G: 0/exp_avg: found \[3\], expected \[8, 16, 4, 4\]"),
        (lambda t, m: t.update({"rest/history/loss_D": torch.ones(3)}),
         r"history loss_D: found \[3\], expected \[20\]"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused(path, change, message):
    rewritten(path, change)
    refused(path, message)


def test_an_edited_file_is_noticed_by_its_hash(path):
    with safe_open(path, "pt") as file:
        metadata = file.metadata() | {"step": "21"}
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    save_file(tensors, path, metadata)
    refused(path, "damaged since it was written: found content of SHA-256 .*, expected")
    del metadata["sha256"]
    save_file(tensors, path, metadata)
    refused(path, "damaged since it was written")


def test_schedulers_swapped_or_one_less(path):
    players = make_players()
    players.schedulers = players.schedulers[::-1]
    refused(path, r"schedulers: found \['MultiStepLR of opt_G', 'Expon.*expected \['Exp", players)
    players.schedulers = players.schedulers[:1]
    refused(path, "schedulers: found", players)
    players.schedulers = [MultiStepLR(players.opt_D, [60, 160]), ExponentialLR(players.opt_G, 0.9)]
    refused(path, r"expected \['MultiStepLR of opt_D', 'ExponentialLR of opt_G'\]", players)


# ---- places -------------------------------------------------------------------------------------


def test_a_run_dir_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    train("~/x", 2)
    assert (tmp_path / "home" / "x" / CHECKPOINT).is_file()
    assert not (tmp_path / "~").exists()
    checkpoints.load("~/x/" + CHECKPOINT, make_players())


def test_a_folder_in_the_checkpoints_place(tmp_path):
    (tmp_path / CHECKPOINT).mkdir()
    with pytest.raises(CheckpointError, match="found a folder, expected a safetensors file"):
        train(tmp_path, 2)


def test_a_run_dir_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot be written \(.*bytes free; let it end, or use"):
        train(tmp_path / "file" / "run", 2)


def test_disks_that_refuse_chmod_and_fsync_of_folders(tmp_path, monkeypatch):
    """As some network drives do: neither is worth a run."""
    chmod, fsync = Path.chmod, os.fsync

    def refusing_chmod(self, mode, **_):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(self))

    def refusing_fsync(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        return fsync(handle)

    monkeypatch.setattr(Path, "chmod", refusing_chmod)
    monkeypatch.setattr(os, "fsync", refusing_fsync)
    with pytest.raises(PermissionError):
        tmp_path.chmod(0o755)
    train(tmp_path, 4, checkpoint_every=2)
    monkeypatch.setattr(Path, "chmod", chmod)
    assert checkpoints.read(tmp_path / CHECKPOINT).step == 4


# ---- two at once --------------------------------------------------------------------------------


def test_one_goes_on_and_the_other_is_told(tmp_path):
    """A second kernel on the same run_dir, amid the first one's training."""
    told = []

    def second_kernel():
        if told:
            return
        told.append(run_worker(20, 1, 0, tmp_path))

    _, history = train(tmp_path, 20, batches=Troubled(10, second_kernel))
    assert history.steps == 20 and checkpoints.read(tmp_path / CHECKPOINT).step == 20
    assert told[0].returncode == 1
    last = told[0].stderr.strip().splitlines()[-1]
    assert last.startswith("t2i_utils.files.Held") and f"in use by process {os.getpid()} on" in last
    assert "let it end, or use another run_dir" in last


def test_a_killed_process_holds_nothing(tmp_path):
    assert run_worker(20, 1, 11, tmp_path).returncode == -signal.SIGKILL
    (tmp_path / f".{CHECKPOINT}.0123456789ab.part").write_bytes(b"half of a checkpoint")
    train(tmp_path, 20)
    left = {p.name for p in tmp_path.iterdir() if "tfevents" not in p.name}
    assert left == {CHECKPOINT, f".{CHECKPOINT}.lock"}
    with pytest.raises(files.Held), files.held(tmp_path / CHECKPOINT, wait=False):
        train(tmp_path, 30)


# ---- full disks ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    def mount(size):
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk],
                                 capture_output=True)  # fmt: skip
        if mounted.returncode:
            pytest.skip("cannot mount a small disk here")
        mounts.append(disk)
        return disk

    mounts = []
    yield mount
    for disk in mounts:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's
@pytest.mark.parametrize("amid", ["TensorBoard", "the checkpoint", "the start"])
def test_a_run_on_a_full_disk(small_disk, amid):
    """One kind of message; what was kept before is kept, and with room the run goes on."""
    disk = small_disk("1m")
    whole, history = train(None, 60, checkpoint_every=20, log_every=5)
    train(disk, 20, checkpoint_every=20, log_every=5)
    filler = disk / "filler"

    def fill(room):
        free = shutil.disk_usage(disk).free
        filler.write_bytes(b"0" * max(free - room, 0))

    size = (disk / CHECKPOINT).stat().st_size
    full = {"TensorBoard": Troubled(25, lambda: fill(0)),
            "the checkpoint": Troubled(25, lambda: fill(size // 2)),
            "the start": Pictures()}[amid]  # fmt: skip
    if amid == "the start":
        fill(0)
    with pytest.raises(OSError, match=r"disk full: .*bytes free; .*kept; make room") as caught:
        train(disk, 60, batches=full, checkpoint_every=20, log_every=5)
    assert caught.value.errno == errno.ENOSPC and str(disk) in str(caught.value)
    assert not list(disk.glob(".*.part"))
    checkpoints.load(disk / CHECKPOINT, make_players())
    filler.unlink()
    players, again = train(disk, 60, checkpoint_every=20, log_every=5)
    assert_same_state(state(whole), state(players))
    assert {name: len(values) for name, values in again.items()} == dict.fromkeys(history, 60)
