"""One press of stop, in a real kernel: "Run all" ends there, and the players can be used.

`T2I_TRIALS=10 pytest tests/test_interrupts.py` presses at ten moments in place of two.
"""

import os
import time
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parents[1]
TRIALS = min(int(os.environ.get("T2I_TRIALS", 2)), 50)
# Seconds after the first cell began to train; the first one is while it is still getting ready.
MOMENTS = [0.0, 1.0, 0.3, 2.0, 0.1, 3.0, 0.6, 1.5, 0.02, 2.5][:TRIALS]

PREPARE = f"""\
import os, sys, torch
torch.set_num_threads(1)
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from resume_worker import *
from t2i_utils import lesson
here = lesson.start(profile="laptop")
slow = Pictures(64)
"""
CELLS = [
    "players = make_players()\n"
    "print('begun', flush=True)\n"
    "history = fit(players, slow, gan_step, steps=100_000, run_dir={run_dir!r}, progress=False)",
    "second = make_players()\nfit(second, slow, gan_step, steps=3, progress=False)",
    "here.claim('a number is above another', 1 > 0)",
    "print('the last cell')",
]
AFTER = """\
from t2i_utils import checkpoints
import math
stored = make_players()
done = 0
if os.path.exists({run_dir!r} + "/checkpoint.safetensors"):
    done = checkpoints.load({run_dir!r} + "/checkpoint.safetensors", stored)[1]
same = all(torch.equal(a, b) for a, b in zip(players.G.parameters(), stored.G.parameters()))
players.update_D(players.D(slow[0]).mean())
used = players.G_avg(torch.randn(2, 8)).isfinite().all().item()
print("done", done, "same", same, "used", used, "history" in globals(), "second" in globals())
"""


@pytest.fixture(scope="module")
def kernel():
    manager, client = start_new_kernel()
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, *cells):
    """Queue cells as "Run all" does; the number of each request."""
    return [client.execute(cell, stop_on_error=True) for cell in cells]


def replies(client, numbers):
    found = {}
    while len(found) < len(numbers):
        message = client.get_shell_msg(timeout=120)
        if (number := message["parent_header"]["msg_id"]) in numbers:  # no greeting of the kernel
            found[number] = message["content"]
    return [found[number] for number in numbers]


def outputs(client, until=None):
    """What the kernel showed until it was idle, or until `until` was printed."""
    texts = []
    while True:
        message = client.get_iopub_msg(timeout=120)
        content = message["content"]
        texts.append(content.get("text", "") + str(content.get("data", "")))
        if until is not None and until in texts[-1]:
            return texts
        if until is None and content.get("execution_state") == "idle":
            return texts


@pytest.mark.skipif(os.name == "nt", reason="a kernel is interrupted otherwise there")
@pytest.mark.parametrize("moment", MOMENTS)
def test_one_press_ends_run_all(kernel, tmp_path, moment):
    manager, client = kernel
    (prepared,) = replies(client, run(client, PREPARE))
    assert prepared["status"] == "ok", prepared
    run_dir = str(tmp_path / "run")
    numbers = run(client, *[cell.replace("{run_dir!r}", repr(run_dir)) for cell in CELLS])
    outputs(client, until="begun")
    time.sleep(moment)
    manager.interrupt_kernel()

    first, *rest = replies(client, numbers)
    assert first["status"] == "error", first
    assert first["ename"] in ("Interrupted", "KeyboardInterrupt")
    assert [reply["status"] for reply in rest] == ["aborted"] * 3
    (after,) = replies(client, run(client, AFTER.replace("{run_dir!r}", repr(run_dir))))
    assert after["status"] == "ok", after
    shown = "".join(outputs(client, until="done "))
    assert "the last cell" not in shown and "claim" not in shown
    said = shown[shown.index("done ") :].split()
    assert said[2:] == ["same", "True", "used", "True", "False", "False"] or said[1] == "0"
    assert said[4:] == ["used", "True", "False", "False"]
    if first["ename"] == "Interrupted" and int(said[1]):
        assert f"interrupted after step {said[1]} of 100000: saved" in first["evalue"]
