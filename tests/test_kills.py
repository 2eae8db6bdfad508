"""kill -9 at any moment: the run goes on to the same bits, and nothing is left over.

`T2I_TRIALS=100 pytest tests/test_kills.py` takes a hundred kills in place of a few: half of them
aimed at saves, a tenth of them on two processes.
"""

import multiprocessing
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
from resume_worker import train, work  # noqa: E402
from test_checkpoints import assert_same_history  # noqa: E402

from t2i_utils import checkpoints  # noqa: E402
from t2i_utils.checkpoints import CHECKPOINT  # noqa: E402

STEPS = 24
TRIALS = int(os.environ.get("T2I_TRIALS", 6))
KINDS = [
    "two processes" if i % 10 == 9 else "amid a save" if i % 2 else "anywhere"
    for i in range(TRIALS)
]

if "forkserver" not in multiprocessing.get_all_start_methods():
    pytest.skip("needs a system that forks", allow_module_level=True)
# Forks of a process that has imported all and computed nothing: they start at once.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch", "torch.utils.tensorboard", "t2i_utils.training"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(run_dir, processes=1):
    """A run in `processes` of its own; these, and where its start and each save are announced."""
    port, (heard, announce) = free_port(), SERVER.Pipe(duplex=False)
    children = [
        SERVER.Process(target=work, args=(run_dir, STEPS, processes, rank, port, announce))
        for rank in range(processes)
    ]
    for child in children:
        child.start()
    announce.close()
    return children, heard


def ended(children):
    for child in children:
        child.join(120)
    return [child.exitcode for child in children]


def kill(children):
    for child in children:
        child.kill()
    return ended(children)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run without a kill, on one process and on two: its end, and how long it takes."""
    found = {}
    for processes in (1, 2):
        run_dir = tmp_path_factory.mktemp(f"whole{processes}")
        children, heard = start(run_dir, processes)
        heard.recv()
        begun = time.monotonic()
        assert ended(children) == [0] * processes
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
        children, heard = start(tmp_path, processes)
        heard.recv()
        if kind == "amid a save":
            for _ in range(rng.randint(1, 4)):
                heard.recv()
            time.sleep(rng.uniform(0, 0.01))  # a save takes a few milliseconds
        else:
            time.sleep(rng.uniform(0, seconds))
        kills += -signal.SIGKILL in kill(children)
        if not kills:  # it was done before the shot: again, from the start
            for left in tmp_path.iterdir():
                left.unlink()
    children, _ = start(tmp_path, processes)
    assert ended(children) == [0] * processes
    same(checkpoints.read(tmp_path / CHECKPOINT), expected)
    left = {p.name for p in tmp_path.iterdir() if "tfevents" not in p.name}
    assert left == {CHECKPOINT, f".{CHECKPOINT}.lock"}


def test_the_comparison_would_notice(whole, tmp_path):
    players, history = train(None, STEPS, seed=4, snapshot_every=8)
    checkpoints.save(tmp_path / "c", players, history, STEPS, 4)
    with pytest.raises(AssertionError):
        same(checkpoints.read(tmp_path / "c"), whole[1][0])
