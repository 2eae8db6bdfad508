"""A checkpoint gives back everything, is written whole or not at all, and refuses the rest."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from resume_worker import make_players, run_worker, train  # noqa: E402

from t2i_utils import checkpoints, files  # noqa: E402
from t2i_utils.checkpoints import CheckpointError, History  # noqa: E402


def state(players):
    """Everything that `players` carries, by name, copied."""
    tensors = {}
    rest = {name: getattr(players, name).state_dict()
            for name in ("G", "D", "G_avg", "opt_G", "opt_D")}  # fmt: skip
    rest["schedulers"] = [scheduler.state_dict() for scheduler in players.schedulers]
    packed = checkpoints._pack(rest, "", tensors)
    return packed, {name: tensor.clone() for name, tensor in tensors.items()}


def assert_same_state(a, b):
    (packed_a, tensors_a), (packed_b, tensors_b) = a, b
    assert packed_a == packed_b
    assert tensors_a.keys() == tensors_b.keys() and len(tensors_a) > 30
    for name, tensor in tensors_a.items():
        assert tensor.dtype == tensors_b[name].dtype, name
        assert torch.equal(tensor, tensors_b[name]), name


def assert_same_history(a, b):
    assert list(a) == list(b) and a.steps == b.steps
    for name in a:
        assert a[name].dtype == torch.float32 and a[name].shape == (a.steps,)
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=0, equal_nan=True)
    assert a.snapshots.keys() == b.snapshots.keys()
    for step in a.snapshots:
        assert torch.equal(a.snapshots[step], b.snapshots[step])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return *train(folder, 20, snapshot_every=10), folder / "checkpoint.safetensors"


@pytest.fixture
def trained(run, tmp_path):
    """Players after 20 steps, their history, and their checkpoint, a copy that a test may spoil."""
    players, history, path = run
    return players, history, Path(shutil.copy(path, tmp_path))


def test_a_checkpoint_gives_everything_back(trained):
    players, history, path = trained
    fresh = make_players()
    fresh.G.to(memory_format=torch.channels_last)  # as fit does
    before = state(fresh)[1]
    loaded, step = checkpoints.load(path, fresh)
    assert step == 20 and loaded.seconds > 0 and list(loaded.snapshots) == [10, 20]
    assert_same_state(state(players), state(fresh))
    assert_same_history(history, loaded)
    assert not torch.equal(before["/G/1.weight"], state(fresh)[1]["/G/1.weight"])
    # in the layout of its weight, so that the next sums are the same sums
    weight = fresh.G[4].weight
    assert fresh.opt_G.state[weight]["exp_avg"].stride() == weight.stride()
    assert fresh.G[4].weight.is_contiguous(memory_format=torch.channels_last)


def test_the_average_is_kept_apart_from_the_weights(trained):
    """The bug: averaged weights loaded into G to be saved, and G never given its own back."""
    players, _, path = trained
    fresh = make_players()
    checkpoints.load(path, fresh)
    for name, weight in players.G.named_parameters():
        if weight.dim() == 4:
            average = players.G_avg.module.get_parameter(name)
            assert not torch.equal(weight, average)
            assert torch.equal(fresh.G.get_parameter(name), weight)
            assert torch.equal(fresh.G_avg.module.get_parameter(name), average)


def test_a_bare_file_without_pickles(trained):
    """Anything that reads safetensors can read it: the format is public and runs no code."""
    from safetensors import safe_open

    with safe_open(trained[2], "pt") as file:
        assert "G/1.weight" in file.keys() and "G_avg/module.1.weight" in file.keys()
        assert file.metadata()["step"] == "20"
    assert trained[2].stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_packing_keeps_kinds_and_numbers():
    value = {
        0: {"step": torch.tensor(3.0), "m": None}, "betas": (0.5, 0.1 + 0.2), "flag": True,
        "milestones": Counter({30: 1}), "inf": float("inf"), "list": [1, (2, "x")],
    }  # fmt: skip
    tensors = {}
    packed = json.loads(json.dumps(checkpoints._pack(value, "v", tensors)))

    back = checkpoints._unpack(packed, tensors)
    assert back == value and isinstance(back["milestones"], Counter)
    assert isinstance(back["betas"], tuple) and back["flag"] is True
    with pytest.raises(TypeError, match=r"v/odd.*set.*expected"):
        checkpoints._pack({"odd": {1}}, "v", {})


# ---- files that are no checkpoint of these players --------------------------------------------


@pytest.mark.parametrize("kept", [0, 5, 100, 5000, -1])
def test_a_file_cut_short(trained, kept):
    players, _, path = trained
    path.write_bytes(path.read_bytes()[:kept])
    before = state(players)
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: found \d+ bytes.*expec"):
        checkpoints.load(path, players)
    assert_same_state(before, state(players))


def test_a_file_of_something_else(trained, tmp_path):
    players, _, path = trained
    path.write_bytes(os.urandom(5000))
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors.*5000 bytes"):
        checkpoints.load(path, players)
    checkpoints.save_weights(path, players.G, {"what": "weights alone"})
    with pytest.raises(CheckpointError, match=r"point\.safetensors: found format None, expected"):
        checkpoints.load(path, players)
    with pytest.raises(FileNotFoundError, match="missing.safetensors"):
        checkpoints.load(tmp_path / "missing.safetensors", players)


def _other_width():
    return make_players(width=12)


def _other_optimiser():
    players = make_players()
    players.opt_D = torch.optim.SGD(players.D.parameters(), lr=0.1)
    return players


def _more_weights():
    players = make_players()
    players.D.add_module("extra", nn.Linear(1, 1))
    return players


def _fewer_weights():
    players = make_players()
    del players.D[3]
    return players


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (_other_width, r"tensor G/1\.weight: found \[8, 16, 4, 4\] float32, expected \[8, 24, 4"),
        (_more_weights, r"tensor D/extra\.weight: found none, expected \[1, 1\]"),
        (_fewer_weights, r"tensor D/4\.weight: found none, expected \[1, 16, 4, 4\] f"),
        (_other_optimiser, r"opt_D: found Adam of \[7\] parameters, expected SGD of \[7\]"),
        (lambda: make_players(schedulers=False), r"schedulers: found \['Multi.*\], expected \[\]"),
    ],
)
def test_a_checkpoint_of_another_model_changes_nothing(trained, other, message):
    players = other()
    before = state(players)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load(trained[2], players)
    assert_same_state(before, state(players))


def test_too_many_tensors_are_named(tmp_path):
    checkpoints.save_weights(tmp_path / "w", nn.Linear(2, 3), {})
    with pytest.raises(CheckpointError, match=r"tensor bias: found \[3\], expected none"):
        checkpoints.load_weights(tmp_path / "w", nn.Linear(2, 3, bias=False))


def test_another_seed_is_refused(trained):
    with pytest.raises(CheckpointError, match="found a run with seed 3, expected seed 4"):
        checkpoints.load(trained[2], make_players(), seed=4)


# ---- saving that fails ------------------------------------------------------------------------


def assert_untouched(path, before):
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*.part")), "nothing half-written stays behind"


@pytest.mark.parametrize("where", ["save_file", "_to_disk", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, PermissionError(errno.EACCES, "no")])
def test_the_old_file_survives_a_failing_save(trained, monkeypatch, where, error):
    players, history, path = trained
    before = path.read_bytes()

    def failing(target, *args):
        raise error

    def half(tensors, target, metadata):
        Path(target).write_bytes(before[: len(before) // 2])
        raise error

    if where == "replace":
        monkeypatch.setattr(os, "replace", failing)
    else:
        room = checkpoints if where == "save_file" else files
        monkeypatch.setattr(room, where, half if where == "save_file" else failing)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        checkpoints.save(path, players, history, 21, 3)
    assert_untouched(path, before)


def test_a_full_disk_while_saving(trained, monkeypatch):
    players, history, path = trained
    before = path.read_bytes()

    def full(tensors, target, metadata):
        Path(target).write_bytes(before[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    message = r"disk full: [\d,]+ bytes needed, [\d,]+ bytes free; the one before it is kept"
    with pytest.raises(OSError, match=message) as caught:
        checkpoints.save(path, players, history, 21, 3)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert_untouched(path, before)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can mount a disk")
def test_a_really_full_disk(trained, tmp_path):
    players, history, path = trained
    disk = tmp_path / "disk"
    disk.mkdir()
    size = path.stat().st_size * 3 // 2  # room for one checkpoint, not for a second beside it
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        small = Path(shutil.copy(path, disk))
        before = small.read_bytes()
        with pytest.raises(OSError, match="disk full.*the one before it is kept"):
            checkpoints.save(small, players, history, 21, 3)
        assert_untouched(small, before)
        checkpoints.load(small, make_players())
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_process_killed_while_saving(trained):
    """SIGKILL before the file is put in place: the old one is whole, the next save cleans up."""
    players, history, path = trained
    before = path.read_bytes()
    code = """
import os, signal, sys
from resume_worker import train
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
train(sys.argv[1], 21, snapshot_every=10)
"""
    killed = run_worker(code, path.parent)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert path.read_bytes() == before
    (left,) = path.parent.glob(".*.part")
    checkpoints.save(path, players, history, 20, 3)
    assert left.exists(), "it might be another process's, at work"
    train(path.parent, 21)  # whoever has the run to itself knows that it is not
    assert not list(path.parent.glob(".*.part"))


# ---- runs without players ---------------------------------------------------------------------


def some_parts(width=5, seed=0):
    """A small network with batch norm, its optimiser with moments, and another network."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 1))
    other = nn.Linear(1, 1)
    weights = [*net.parameters(), *other.parameters()]
    optimiser = torch.optim.AdamW(weights, 0.05, (0.5, 0.99), weight_decay=0.1)
    return {"net": net, "other": other, "optimiser": optimiser}


def go_on(parts, steps):
    """Losses of some steps, each with a batch and a rate of its own."""
    losses = []
    for step in steps:
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        parts["optimiser"].param_groups[0]["lr"] = 0.1 / (step + 1)
        loss = (parts["other"](parts["net"](x)) - x[:, :1].sin()).square().mean()
        parts["optimiser"].zero_grad()
        loss.backward()
        parts["optimiser"].step()
        losses.append(loss.item())
    return losses


def state_of(parts):
    tensors = {}
    rest = {name: part.state_dict() for name, part in parts.items()}
    packed = checkpoints._pack(rest, "", tensors)
    return packed, {name: tensor.clone() for name, tensor in tensors.items()}


def assert_same_parts(a, b):
    (packed_a, tensors_a), (packed_b, tensors_b) = a, b
    assert packed_a == packed_b and len(tensors_a) > 8
    assert all(torch.equal(tensor, tensors_b[name]) for name, tensor in tensors_a.items())


@pytest.fixture
def kept(tmp_path):
    """Parts after seven steps, and their file."""
    parts, path = some_parts(), tmp_path / "run" / "parts.safetensors"
    go_on(parts, range(7))
    checkpoints.save_parts(path, 7, **parts)
    return parts, path


def test_parts_go_on_as_if_they_had_never_stopped(kept):
    parts, path = kept
    fresh = some_parts(seed=1)
    assert checkpoints.load_parts(path, **fresh) == 7
    assert_same_parts(state_of(parts), state_of(fresh))
    assert fresh["net"][1].num_batches_tracked == 7 and len(fresh["optimiser"].state) == 8
    uninterrupted = go_on(some_parts(), range(15))
    assert go_on(fresh, range(7, 15)) == uninterrupted[7:]  # to the last bit
    assert go_on(parts, range(7, 15)) == uninterrupted[7:], "saving changes nothing"
    assert not list(path.parent.glob(".*"))


def test_moments_lie_in_memory_as_their_weights_do(tmp_path):
    """As `load` sees to: sums in another order of memory could round differently."""
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    optimiser.step()
    strides = optimiser.state[net.weight]["exp_avg"].stride()
    checkpoints.save_parts(tmp_path / "p", 1, net=net, optimiser=optimiser)
    checkpoints.load_parts(tmp_path / "p", net=net, optimiser=optimiser)
    assert strides == optimiser.state[net.weight]["exp_avg"].stride() == net.weight.stride()


def test_the_order_of_parts_is_of_no_account(kept):
    parts, path = kept
    fresh = some_parts(seed=1)
    checkpoints.load_parts(path, **dict(reversed(fresh.items())))
    assert_same_parts(state_of(parts), state_of(fresh))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"other": None}, "['net', 'optimiser']"),
        ({"extra": nn.Linear(1, 1)}, "['extra', 'net', 'optimiser', 'other']"),
        ({"net": None, "phi": nn.Linear(1, 1)}, "['optimiser', 'other', 'phi']"),
    ],
)
def test_other_parts_are_named_and_changed_in_nothing(kept, changed, expected):
    parts = some_parts(seed=1)
    before = state_of(parts)
    given = {name: part for name, part in (parts | changed).items() if part is not None}
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load_parts(kept[1], **given)
    message = f"{kept[1]}: found ['net', 'optimiser', 'other'], expected {expected}"
    assert str(caught.value) == message
    assert_same_parts(before, state_of(parts))


@pytest.mark.parametrize("wide", ["net", "optimiser"])
def test_parts_of_another_width_change_nothing(kept, wide):
    parts = some_parts(seed=1)
    parts[wide] = some_parts(width=9)["net"]
    if wide == "optimiser":
        parts[wide] = torch.optim.AdamW(parts["net"].parameters())  # of fewer weights
    before = state_of(parts)
    with pytest.raises(CheckpointError, match=rf"parts\.safetensors.*{wide}"):
        checkpoints.load_parts(kept[1], **dict(reversed(parts.items())))
    assert_same_parts(before, state_of(parts))


def test_files_that_hold_no_parts_are_refused(trained, kept, tmp_path):
    parts, path = kept
    players, _, run = trained
    before = state_of(parts)
    with pytest.raises(CheckpointError, match=r"'t2i_utils checkpoint 2', expected 't2i_utils par"):
        checkpoints.load_parts(run, **parts)
    with pytest.raises(CheckpointError, match=r"'t2i_utils parts 2', expected 't2i_utils checkp"):
        checkpoints.load(path, players)
    checkpoints.save_weights(tmp_path / "w", parts["net"], {})
    with pytest.raises(CheckpointError, match=r"found format None, expected 't2i_utils parts 2'"):
        checkpoints.load_parts(tmp_path / "w", **parts)
    with pytest.raises(FileNotFoundError, match="missing.safetensors"):
        checkpoints.load_parts(tmp_path / "missing.safetensors", **parts)
    assert_same_parts(before, state_of(parts))


@pytest.mark.parametrize("length", [0, 5, 100, 2000, -1])
def test_parts_cut_short_are_refused(kept, length):
    parts, path = kept
    path.write_bytes(path.read_bytes()[:length])
    before = state_of(parts)
    with pytest.raises(CheckpointError, match=r"parts\.safetensors: found \d+ bytes.*expected"):
        checkpoints.load_parts(path, **parts)
    assert_same_parts(before, state_of(parts))


def test_the_old_parts_survive_a_failing_save(kept, monkeypatch):
    parts, path = kept
    before = path.read_bytes()

    def half(tensors, target, metadata):
        Path(target).write_bytes(before[: len(before) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save_file", half)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save_parts(path, 8, **parts)
    assert_untouched(path, before)


# ---- weights alone ----------------------------------------------------------------------------


def test_weights_in_half_precision(tmp_path):
    path = tmp_path / "deep" / "weights.safetensors"
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    net(torch.randn(5, 4))
    net[1].running_var[0] = 1e6  # more than float16 can say
    checkpoints.save_weights(path, net, {"trained on": "nothing"}, dtype=torch.float16)
    other = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    assert checkpoints.load_weights(path, other) == {"trained on": "nothing"}
    for name, value in other.state_dict().items():
        expected = net.state_dict()[name]
        assert value.dtype == expected.dtype
        halved = expected if "running" in name else expected.half().to(expected.dtype)
        assert torch.equal(value, halved), name
    net[0].weight.data[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"weight 0\.weight.*float16"):
        checkpoints.save_weights(path, net, {}, dtype=torch.float16)
    checkpoints.load_weights(path, other)  # the one before it


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    """As `sample` may find it beside a run that is still trained; a damaged one is refused."""
    path, new = tmp_path / "weights.safetensors", tmp_path / "new.safetensors"
    checkpoints.save_weights(path, nn.Linear(3, 2), {"of": "old"})
    checkpoints.save_weights(new, nn.Linear(4, 2), {"of": "new"})
    opened = checkpoints.safe_open

    def replaced(*args, **kwargs):
        if new.exists():
            new.replace(path)
            raise OSError("another header than tensors")
        return opened(*args, **kwargs)

    monkeypatch.setattr(checkpoints, "safe_open", replaced)
    assert checkpoints.read_card(path) == {"of": "new"}
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="cut short"):
        checkpoints.read_card(path)


def test_shared_weights_can_be_saved(tmp_path):
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    checkpoints.save_weights(tmp_path / "w", net, {})
    before = net[0].weight.clone()
    net[0].weight.data.zero_()
    checkpoints.load_weights(tmp_path / "w", net)
    assert torch.equal(net[1].weight, before)


def test_a_history_has_one_value_per_step():
    history = History()
    history.append({"a": torch.tensor([1.0, 2.0])}, 2)
    history.append({"b": torch.tensor([3.0])}, 1)
    assert history.steps == 3 and list(history) == ["a", "b"]
    torch.testing.assert_close(history["a"], torch.tensor([1.0, 2.0, torch.nan]), equal_nan=True)
    torch.testing.assert_close(
        history["b"], torch.tensor([torch.nan, torch.nan, 3.0]), equal_nan=True
    )


def test_a_long_history_is_seldom_copied(tmp_path):
    history, rooms = History(), set()
    for step in range(1000):
        history.append({"a": torch.tensor([float(step)])}, 1)
        rooms.add(history["a"].data_ptr())
    assert history["a"].tolist() == list(range(1000)) and len(rooms) < 15
    history["a"] = history["a"] * 2  # a reader's own values stay
    history.append({"b": torch.ones(1)}, 1)
    assert history["a"][999] == 1998 and history["a"].isnan().tolist() == [False] * 1000 + [True]
    assert history["b"].isnan().sum() == 1000
    players = make_players()
    checkpoints.save(tmp_path / "c", players, history, 1001, 0)
    assert_same_history(checkpoints.load(tmp_path / "c", players)[0], history)
