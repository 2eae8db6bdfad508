"""kill -9 at any moment: the run goes on to the same bits, and nothing is left over.

`T2I_TRIALS=100 pytest tests/test_kills.py` takes a hundred kills in place of a few: half of them
aimed at saves, a tenth of them on two processes.
"""

import os
import random
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from resume_worker import train  # noqa: E402
from test_checkpoints import assert_same_history  # noqa: E402
from torch.utils import tensorboard  # noqa: E402, F401  (slow to import: here once, for all forks)

from t2i_utils import checkpoints  # noqa: E402
from t2i_utils.checkpoints import CHECKPOINT  # noqa: E402

STEPS = 24
TRIALS = int(os.environ.get("T2I_TRIALS", 6))
KINDS = [
    "two processes" if i % 10 == 9 else "amid a save" if i % 2 else "anywhere"
    for i in range(TRIALS)
]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(run_dir, processes=1):
    """A run in `processes` forks of this one; their numbers, and where a save is announced."""
    port, (reading, announced) = free_port(), os.pipe()
    children = []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            try:
                os.close(reading)
                work(run_dir, processes, rank, port, announced)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    os.close(announced)
    return children, reading


def work(run_dir, processes, rank, port, announced):
    torch.set_num_threads(1)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    if processes > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes),
                       "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1",
                       "MASTER_PORT": str(port)}  # fmt: skip
    save = checkpoints.save

    def announcing_save(*arguments):
        os.write(announced, b".")
        save(*arguments)

    checkpoints.save = announcing_save
    train(run_dir, STEPS, checkpoint_every=4, log_every=6, snapshot_every=8)
    if processes > 1:
        torch.distributed.destroy_process_group()


def ended(children):
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def kill(children):
    for child in children:
        os.kill(child, signal.SIGKILL)
    return ended(children)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(one_thread, tmp_path_factory):
    """The run without a kill, on one process and on two: its end, and how long it takes."""
    found = {}
    for processes in (1, 2):
        run_dir = tmp_path_factory.mktemp(f"whole{processes}")
        begun = time.monotonic()
        children, reading = start(run_dir, processes)
        assert ended(children) == [0] * processes
        os.close(reading)
        found[processes] = checkpoints.read(run_dir / CHECKPOINT), time.monotonic() - begun
    return found


def same(a, b):
    for part in ("networks", "optimisers"):
        left, right = {}, {}
        assert checkpoints._pack(getattr(a, part), "", left) == checkpoints._pack(
            getattr(b, part), "", right
        )
        assert left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
    assert a.schedulers == b.schedulers and a.run == b.run
    assert_same_history(a.history, b.history)


@pytest.mark.parametrize(("trial", "kind"), list(enumerate(KINDS)))
def test_killed_and_resumed_is_the_same_run(tmp_path, whole, trial, kind):
    rng, processes = random.Random(trial), 1 + (kind == "two processes")
    expected, seconds = whole[processes]
    kills = 0
    while kills < 1:
        children, reading = start(tmp_path, processes)
        if kind == "amid a save":
            for _ in range(rng.randint(1, 4)):
                os.read(reading, 1)
            time.sleep(rng.uniform(0, 0.01))  # a save takes a few milliseconds
        else:
            time.sleep(rng.uniform(0, seconds))
        kills += -signal.SIGKILL in kill(children)
        os.close(reading)
        if not kills:  # it was done before the shot: again, from the start
            for left in tmp_path.iterdir():
                left.unlink()
    children, reading = start(tmp_path, processes)
    assert ended(children) == [0] * processes
    os.close(reading)
    same(checkpoints.read(tmp_path / CHECKPOINT), expected)
    left = {p.name for p in tmp_path.iterdir() if "tfevents" not in p.name}
    assert left == {CHECKPOINT, f".{CHECKPOINT}.lock"}


def test_the_comparison_would_notice(whole, tmp_path):
    players, history = train(None, STEPS, seed=4, snapshot_every=8)
    checkpoints.save(tmp_path / "c", players, history, STEPS, 4)
    with pytest.raises(AssertionError):
        same(checkpoints.read(tmp_path / "c"), whole[1][0])
