"""fit loses nothing and hides nothing: resume, interrupts, NaN, gradients, averages, processes."""

import errno
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
import resume_worker  # noqa: E402
from resume_worker import (  # noqa: E402
    Pictures,
    Troubled,
    gan_step,
    make_players,
    run_worker,
    snapshot,
    train,
)
from test_checkpoints import assert_same_history, assert_same_state, state  # noqa: E402

from t2i_utils import checkpoints, training  # noqa: E402
from t2i_utils.checkpoints import History  # noqa: E402
from t2i_utils.interrupts import Interrupted
from t2i_utils.lesson import seed_for  # noqa: E402
from t2i_utils.training import (  # noqa: E402
    Players,
    TrainingDiverged,
    fit,
    frozen,
)

ROOT = Path(__file__).parents[1]


def left_in(run_dir):
    return sorted(p.name for p in run_dir.iterdir() if "tfevents" not in p.name)


def interrupting(at, number=signal.SIGINT, times=1):
    """Pictures; with batch `at` comes a signal."""
    return Troubled(at, lambda: [os.kill(os.getpid(), number) for _ in range(times)])


# ---- resume -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(one_thread, tmp_path_factory):
    """200 steps at once."""
    return train(tmp_path_factory.mktemp("whole"), 200)


def test_killed_and_resumed_is_the_same_run(tmp_path, whole):
    """kill -9 in step 137 (its last checkpoint: step 100), then on to 200: equal to the bit."""
    players, history = whole
    killed = run_worker(200, 1, 137, tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed, all_of_it = train(tmp_path, 200)
    assert_same_state(state(players), state(resumed))
    assert_same_history(history, all_of_it)
    assert list(all_of_it.snapshots) == [40, 80, 120, 160, 200]
    assert all_of_it.steps == 200 and all_of_it.seconds > 0
    assert left_in(tmp_path) == [".checkpoint.safetensors.lock", "checkpoint.safetensors"]


def test_with_two_threads_too(tmp_path):
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    assert run_worker(60, 2, 57, parts).returncode == -signal.SIGKILL
    done = run_worker(60, 2, 0, parts, whole)
    assert done.returncode == 0, done.stderr
    results = []
    for run_dir in (whole, parts):
        players = make_players()
        history, _ = checkpoints.load(run_dir / training.CHECKPOINT, players)
        results.append((state(players), history))
    assert_same_state(results[0][0], results[1][0])
    assert_same_history(results[0][1], results[1][1])


def test_the_comparison_would_notice(whole):
    """Resuming without the optimisers' state, or with other random numbers, is another run."""
    _, history = whole
    _, other = train(None, 60, seed=4)
    assert not torch.equal(history["loss_D"][:60], other["loss_D"])
    _, same = train(None, 60)
    assert torch.equal(history["loss_D"][:60], same["loss_D"])


def test_a_finished_run_returns_at_once(tmp_path, capsys):
    _, history = train(tmp_path, 20)
    never = Troubled(19, lambda: pytest.fail("no step was left to do"))
    _, again = train(tmp_path, 20, batches=never, progress=True)
    assert_same_history(history, again)
    assert "complete, nothing to do:" in (out := capsys.readouterr().out)
    assert "has 20 steps, 20 were asked for" in out
    train(tmp_path, 10, batches=never, progress=True)
    assert "has 20 steps, 10 were asked for" in capsys.readouterr().out


# ---- interrupts -------------------------------------------------------------------------------


def test_an_interrupt_saves_and_the_rest_is_the_same(tmp_path, whole, capsys):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    players = make_players()
    with pytest.raises(KeyboardInterrupt, match="interrupted after step 77 of 200") as caught:
        train(tmp_path, 200, players=players, batches=interrupting(76))
    assert str(tmp_path / "checkpoint.safetensors") in str(caught.value)
    assert caught.value.history.steps == 77 and len(caught.value.history["loss_D"]) == 77
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))

    stored = make_players()  # what is saved is what the players hold, and they can be used
    checkpoints.load(tmp_path / "checkpoint.safetensors", stored)
    assert_same_state(state(players), state(stored))
    assert snapshot(players).isfinite().all()
    players.update_D(players.D(Pictures()[0]).mean())

    players, history = train(tmp_path, 200)
    assert_same_state(state(whole[0]), state(players))
    assert_same_history(whole[1], history)


def test_without_a_run_dir_an_interrupt_says_so():
    message = "after step 2 of 5: not saved; with a run_dir"
    with pytest.raises(KeyboardInterrupt, match=message) as caught:
        train(None, 5, batches=interrupting(1))
    assert caught.value.history.steps == 2


def test_an_interrupt_before_the_first_step_ends_it_there(tmp_path, monkeypatch):
    """It comes while accelerate, TensorBoard and the first batch are being fetched."""
    players = make_players()
    before = state(players)

    def interrupted_start(*_, **__):
        os.kill(os.getpid(), signal.SIGINT)
        return History()

    monkeypatch.setattr(training, "_begun", interrupted_start)
    with pytest.raises(KeyboardInterrupt, match="after step 0 of 5: nothing done"):
        train(tmp_path, 5, players=players)
    assert_same_state(before, state(players))
    assert left_in(tmp_path) == [".checkpoint.safetensors.lock"]


@pytest.mark.parametrize("at", [29, 30, 31])
def test_an_interrupt_while_a_batch_is_fetched_is_saved_as_said(tmp_path, at):
    """Also the batch after a line of the log (each 30 steps), with nothing pending."""
    with pytest.raises(Interrupted, match="saved in") as caught:
        train(tmp_path, 60, batches=interrupting(at))
    done = caught.value.history.steps
    assert done == at + 1 == checkpoints.read(tmp_path / training.CHECKPOINT).step


def test_an_interrupt_while_a_complete_run_is_read_goes_through_too(tmp_path, monkeypatch):
    train(tmp_path, 5)
    read = checkpoints.read

    def interrupted_read(path):
        os.kill(os.getpid(), signal.SIGINT)
        return read(path)

    monkeypatch.setattr(checkpoints, "read", interrupted_read)
    with pytest.raises(Interrupted, match="after step 5 of 5") as caught:
        train(tmp_path, 5)
    assert caught.value.history.steps == 5


def test_an_interrupt_in_the_last_step_goes_through_too(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="after step 5 of 5: saved"):
        train(tmp_path, 5, batches=interrupting(4))
    assert train(tmp_path, 5)[1].steps == 5


def test_sigterm_saves_and_ends_the_process(tmp_path, capsys):
    """Whoever handles it elsewhere is asked; a process that does not is ended by it."""
    asked = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "a", 5, batches=interrupting(1, signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert asked == [signal.SIGTERM]
    assert "interrupted after step 2 of 5: saved" in capsys.readouterr().out
    code = """
from resume_worker import *
train(sys.argv[1], 5, batches=Troubled(2, lambda: os.kill(os.getpid(), signal.SIGTERM)))
"""
    done = run_worker(code, tmp_path / "b")
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert "interrupted after step 3 of 5: saved" in done.stdout
    assert checkpoints.load(tmp_path / "b" / training.CHECKPOINT, make_players())[1] == 3


def test_a_second_interrupt_raises_at_once():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(None, 5, batches=interrupting(2, times=2))
    assert not isinstance(caught.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_that_is_ignored_stays_ignored():
    """As under nohup: a run in the background is not stopped from the keyboard."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert train(None, 3, batches=interrupting(1))[1].steps == 3
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_works_outside_the_main_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(train(None, 2)))
    thread.start()
    thread.join()
    assert results[0][1].steps == 2


# ---- numbers that stop being numbers ----------------------------------------------------------


def test_one_fit_at_a_time(tmp_path):
    """accelerate's state is the whole program's: a second fit would take it from the first."""
    refusals = []

    def another():
        try:
            train(None, 2)
        except RuntimeError as error:
            refusals.append(str(error))

    def in_a_thread():
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()

    for trouble in (another, in_a_thread):  # from the snapshot function, say; from a widget
        _, history = train(None, 5, batches=Troubled(2, trouble))
        assert history.steps == 5
    assert len(refusals) == 2 and all("another call of fit at work" in said for said in refusals)


def test_a_run_dir_stays_where_it_was(tmp_path, monkeypatch):
    """Relative, and the training moves to another folder."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    train("run", 60, batches=Troubled(55, lambda: os.chdir("elsewhere")))
    assert checkpoints.read(tmp_path / "run" / training.CHECKPOINT).step == 60
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_batch_that_stops_the_iteration_is_an_error():
    """torch's loader takes it for the end: 500 steps would be 3, without a word."""

    def ended():
        raise StopIteration

    with pytest.raises(RuntimeError, match=r"batches\[3\]: found StopIteration"):
        train(None, 5, batches=Troubled(3, ended))


def test_a_mask_may_hold_inf(tmp_path):
    def players():
        made = make_players()
        for net in (made.G, made.D):
            net.register_buffer("mask", torch.full((3,), -torch.inf))
        return Players(made.G, made.D, made.opt_G, made.opt_D)

    train(tmp_path, 5, players=players())
    resumed, _ = train(tmp_path, 10, players=players())
    assert resumed.G_avg.module.mask.isneginf().all()
    resumed.D.mask[1] = torch.nan
    with pytest.raises(TrainingDiverged, match="D's mask"):
        train(None, 5, players=resumed)


def test_nan_stops_and_the_last_good_checkpoint_is_kept(tmp_path):
    def exploding_step(players, images):
        measured = gan_step(players, images)
        exploding_step.done += 1
        factor = float("nan") if exploding_step.done == 57 else 1.0
        return measured | {"loss_G": measured["loss_G"] * factor}

    exploding_step.done = 0
    with pytest.raises(TrainingDiverged, match=r"step 57: loss_G: found nan") as caught:
        train(tmp_path, 200, exploding_step)
    path = tmp_path / "checkpoint.safetensors"
    assert (caught.value.step, caught.value.quantity) == (57, "loss_G")
    assert caught.value.run_dir == tmp_path and caught.value.checkpoint == path
    assert str(path) in str(caught.value)
    players = make_players()
    assert checkpoints.load(path, players)[1] == 50
    assert all(torch.isfinite(p).all() for p in players.G.parameters())


def test_a_weight_that_is_no_number_is_never_saved(tmp_path):
    """The measured losses may all be finite when a weight is not: it is the step's own fault."""

    def spoiling_step(players, images):
        measured = gan_step(players, images)
        spoiling_step.done += 1
        if spoiling_step.done == 100:
            players.G[4].weight.data[0, 0] = torch.inf
        return measured

    spoiling_step.done = 0
    with pytest.raises(TrainingDiverged, match=r"step 100: G's 4\.weight: found nan or inf"):
        train(tmp_path, 200, spoiling_step)
    assert checkpoints.load(tmp_path / "checkpoint.safetensors", make_players())[1] == 50
    spoiling_step.done = 98
    with pytest.raises(TrainingDiverged, match=r"The run: not kept"):
        train(None, 2, spoiling_step)


# ---- gradients --------------------------------------------------------------------------------


def test_frozen_collects_no_gradients_and_restores():
    players = make_players()
    players.D[0].bias.requires_grad_(False)  # was frozen before: must stay so
    before = [p.requires_grad for p in players.D.parameters()]
    fake = players.G(torch.randn(4, 8))
    with pytest.raises(ZeroDivisionError), frozen(players.D) as D:
        D(fake).mean().backward()
        raise ZeroDivisionError
    assert all(p.grad is None for p in players.D.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in players.G.parameters()
               if p.dim() == 4)  # fmt: skip
    assert [p.requires_grad for p in players.D.parameters()] == before


def without_detach(players, images):
    """gan_step with the mistake in it: D's loss reaches through the fakes into G."""
    G, D = players.G, players.D
    fake = G(torch.randn(len(images), G.z_dim))
    players.update_D(D(fake).mean() - D(images).mean())
    return {}


class Watched(Players):
    """Players that look at G's gradients right after D's update."""

    def update_D(self, loss):  # noqa: N802
        super().update_D(loss)
        self.leaked = [n for n, p in self.G.named_parameters() if p.grad is not None]


def watched():
    p = make_players(schedulers=False)
    return Watched(p.G, p.D, p.opt_G, p.opt_D)


def test_the_d_step_leaves_no_gradient_in_g():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        players, _ = train(None, 3, players=watched())
    assert players.leaked == []


def test_a_forgotten_detach_is_noticed():
    with pytest.warns(UserWarning, match=r"gradients into G \(1\.weight\).*detach"):
        players, _ = train(None, 1, without_detach, players=watched())
    assert "1.weight" in players.leaked


def test_an_update_moves_its_own_player_only():
    players = make_players()
    _, before = state(players)
    images = Pictures()[0]
    players.update_D(players.D(images).mean())
    _, between = state(players)
    moved = {n.split("/")[1] for n in before if not torch.equal(before[n], between[n])}
    assert moved <= {"D", "opt_D"}
    assert not torch.equal(before["/D/0.weight"], between["/D/0.weight"])
    players.update_G(players.D(players.G(torch.randn(4, 8))).mean())
    assert not torch.equal(before["/G/1.weight"], state(players)[1]["/G/1.weight"])
    assert torch.equal(between["/D/0.weight"], state(players)[1]["/D/0.weight"])


def test_optimisers_of_the_wrong_player_are_refused():
    p = make_players()
    with pytest.raises(ValueError, match="opt_G: found weights of D"):
        Players(p.G, p.D, p.opt_D, p.opt_G)
    with pytest.raises(ValueError, match="opt_G: found no weights of G"):
        Players(p.G, p.D, torch.optim.SGD(nn.Linear(1, 1).parameters()), p.opt_D)


# ---- the averaged generator -------------------------------------------------------------------


def test_the_average_follows_once_per_step():
    """By hand: the first step's weights, then decay · average + (1 - decay) · weights."""
    expected, counted = {}, []

    def recording_step(players, images):
        if counted:  # G as the step before left it
            follow(players)
        counted.append(1)
        return gan_step(players, images)

    def follow(players):
        for name, value in players.G.state_dict().items():
            if name not in expected or not value.is_floating_point():
                expected[name] = value.clone()
            else:
                expected[name] = expected[name] * 0.9 + value * 0.1

    players, _ = train(None, 6, recording_step, players=make_players(ema_decay=0.9))
    follow(players)
    average = players.G_avg.module
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
        assert name.endswith("tracked") or not torch.equal(value, players.G.state_dict()[name])
    assert not average.training and not any(p.requires_grad for p in average.parameters())


def test_the_average_is_torchs():
    """AveragedModel's own update, but for whole numbers and its wait for the device."""
    ours, theirs = make_players(), make_players()
    for _ in range(4):
        for players in (ours, theirs):
            with torch.no_grad(), torch.random.fork_rng():
                torch.manual_seed(int(ours.G_avg.n_averaged))
                players.G[1].weight.add_(torch.randn_like(players.G[1].weight))
        theirs.G_avg.update_parameters(theirs.G)
        ours.average()
    assert_same_state(state(ours), state(theirs))


# ---- what fit gives a step function -----------------------------------------------------------


def test_randomness_belongs_to_the_step():
    seen = []

    def drawing_step(players, images):
        seen.append((images, torch.randn(3)))
        return {}

    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(None, 3, drawing_step, players=make_players(schedulers=False))
    assert torch.equal(before, torch.get_rng_state())
    for i, (images, noise) in enumerate(seen):
        assert torch.equal(images, Pictures()[i])
        generator = torch.Generator().manual_seed(seed_for(3, "step", i, 0))
        assert torch.equal(noise, torch.randn(3, generator=generator))


def test_nothing_is_fetched_from_the_device_within_a_step():
    """A tensor that counts who asks for its value: only the flushes do, all steps in one go."""
    asked = []

    class Counting(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func.__name__ in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__"):
                asked.append((func.__name__, args[0].shape))
            return super().__torch_function__(func, types, args, kwargs or {})

    def counting_step(players, images):
        measured = gan_step(players, images)
        return {name: value.as_subclass(Counting) for name, value in measured.items()}

    train(None, 40, counting_step, log_every=20)
    assert asked == [("tolist", (20 * 4,))] * 2


def test_layout_modes_and_precision():
    def looking_step(players, batch):
        assert players.G.training and players.D.training
        assert batch["images"].is_contiguous(memory_format=torch.channels_last)
        assert players.D[2].weight.is_contiguous(memory_format=torch.channels_last)
        assert batch["more"][0].shape == (2,) and batch["name"] == "x"
        s = players.D(batch["images"])
        assert s.dtype == torch.bfloat16
        players.update_D(s.float().mean())
        assert players.D[0].weight.dtype == torch.float32
        # what the update changed is seen at once: no cast from before it is used again
        after = players.D(batch["images"])
        torch.clear_autocast_cache()
        assert torch.equal(players.D(batch["images"]), after) and not torch.equal(after, s)
        players.update_G(players.D(players.G(torch.randn(8, 8))).mean())
        return {"s": s.mean()}

    players = make_players()
    players.G.eval()
    batch = {"images": Pictures()[0], "more": [torch.ones(2)], "name": "x"}
    history = fit(players, [batch] * 3, looking_step, steps=3, precision="bf16", progress=False,
                  device="cpu")  # fmt: skip
    assert history["s"].dtype == torch.float32 and torch.isfinite(history["s"]).all()


def test_bf16_trains():
    _, history = train(None, 30, precision="bf16")
    assert torch.isfinite(history["loss_D"]).all()
    _, exact = train(None, 30)
    assert not torch.equal(history["loss_D"], exact["loss_D"])
    torch.testing.assert_close(history["loss_D"][:3], exact["loss_D"][:3], rtol=0.05, atol=0.05)


def test_snapshots_leave_modes_as_they_were():
    """Sampling in eval mode must not leave G in eval mode for the steps that follow."""
    modes = []

    def evaluating(players):
        for module in players.G.modules():
            module.eval()
        return (players.G(torch.randn(2, 8)) > 0).to(torch.uint8)

    def looking_step(players, images):
        modes.append([m.training for m in players.G.modules()])
        return {}

    players = make_players(schedulers=False)
    players.G.train = lambda mode=True: None  # as a part that keeps itself in eval does
    players.G[2].eval()
    before = [m.training for m in players.G.modules()]
    _, history = train(
        None, 4, looking_step, players=players, snapshot=evaluating, snapshot_every=2
    )
    assert modes == [before] * 4
    assert history.snapshots[2].dtype == torch.uint8 and list(history.snapshots) == [2, 4]


def test_other_networks_and_measures():
    """A step function of another kind: least squares, two D updates, a measure every other step."""
    G = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    D = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    opt_G, opt_D = torch.optim.RMSprop(G.parameters()), torch.optim.SGD(D.parameters(), 0.1)
    players = Players(G, D, opt_G, opt_D)
    points = [(torch.randn(16, 2), torch.tensor(i)) for i in range(10)]

    def step(players, batch):
        real, number = batch
        fake = players.G(torch.randn(16, 2))
        for _ in range(2):
            loss_D = (D(real) - 1).square().mean() + D(fake.detach()).square().mean()
            players.update_D(loss_D)
        with frozen(D):
            players.update_G((D(fake) - 1).square().mean())
        rare = {"seldom": loss_D * 2} if number % 2 else {}
        return {"loss_D": loss_D, "number": number} | rare

    history = fit(players, points, step, steps=10, log_every=3, progress=False, device="cpu")
    assert history["number"].tolist() == list(range(10))
    assert torch.isnan(history["seldom"][::2]).all()
    assert torch.equal(history["seldom"][1::2], history["loss_D"][1::2] * 2)


def test_schedulers_step_once_a_step():
    players, _ = train(None, 70)
    assert players.opt_G.param_groups[0]["lr"] == pytest.approx(2e-4)  # a tenth from step 60 on
    assert players.opt_D.param_groups[0]["lr"] == pytest.approx(2e-3 * 0.999**70)


def test_the_loss_scaler_is_kept(tmp_path):
    """fp16 needs a GPU; its scaler, which a resume needs too, can be tried on a CPU."""

    def scaled_players():
        players = make_players()
        players.accelerator, _ = training._accelerator("no", "cpu")  # as inside fit
        players.accelerator.scaler = torch.amp.GradScaler("cpu", 8.0, growth_interval=2)
        return players

    players, plain = scaled_players(), make_players()
    for p in (players, plain):
        for i in range(3):
            p.update_D(p.D(Pictures()[i]).mean())
    assert torch.equal(players.D[0].weight, plain.D[0].weight)  # unscaled before the step
    before = players.scaler.state_dict()
    assert before["scale"] == 16.0 and before["_growth_tracker"] == 1
    checkpoints.save(tmp_path / "c", players, checkpoints.History(), 3, 0)
    fresh = scaled_players()
    checkpoints.load(tmp_path / "c", fresh)
    assert fresh.scaler.state_dict() == before


def test_a_full_disk_stops_the_run_with_that_message(tmp_path, monkeypatch):
    """Also where TensorBoard, which fails on the same disk, fails after it."""
    from torch.utils.tensorboard import SummaryWriter

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    train(tmp_path, 50)
    before = (tmp_path / training.CHECKPOINT).read_bytes()
    monkeypatch.setattr(checkpoints, "save_file", full)
    monkeypatch.setattr(SummaryWriter, "close", full)
    with pytest.raises(OSError, match="disk full: .* needed, .* free; the one before it is kept"):
        train(tmp_path, 100)
    assert (tmp_path / training.CHECKPOINT).read_bytes() == before


# ---- what is written and said -----------------------------------------------------------------


def test_nothing_is_written_without_a_run_dir(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    train(None, 3)
    assert not list(tmp_path.rglob("*"))
    assert capfd.readouterr() == ("", "")


def test_tensorboard_has_each_step_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def out_of_luck():
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        train(tmp_path, 100, batches=Troubled(74, out_of_luck), log_every=20)
    _, history = train(tmp_path, 100, log_every=20)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    logged = events.Scalars("loss_D")
    assert [event.step for event in logged] == [20, 40, 50, 60, 80, 100]
    assert logged[-1].value == pytest.approx(history["loss_D"][80:].mean().item(), rel=1e-5)
    assert [event.step for event in events.Images("snapshot")] == [40, 80]


def test_progress_without_a_terminal_is_plain_lines(capfd):
    train(None, 4, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert "4/4" in lines[-1] and "loss_D=" in lines[-1] and "\r" not in lines[-1]
    assert len(lines) <= 4


# ---- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (dict(steps=0), ValueError, "steps: found 0, expected at least 1"),
        (dict(log_every=0), ValueError, "log_every: found 0"),
        (dict(precision="half"), ValueError, r"precision: found 'half', expected one of \('no'"),
        (dict(precision="fp16"), ValueError, "precision: found 'fp16' on cpu, expected"),
        (dict(batches=iter([])), TypeError, r"batches: found a list_iterator, expected"),
        (dict(batches=[torch.ones(1)]), ValueError, "batches: found 1 of them, expected"),
        (dict(batches=[b"x"] * 2), TypeError, "a batch holds a bytes, expected tensors"),
        (dict(step_fn=lambda p, b: None), TypeError, "it returned NoneType, expected a dict"),
        (dict(step_fn=lambda p, b: {"s": b}), TypeError, r"s: found a Tensor of shape \[8, 3, 16"),
        (dict(step_fn=lambda p, b: {"s": 1.0}), TypeError, "s: found a float, expected a tensor"),
        (dict(step_fn=lambda p, b: {1: b.sum()}), TypeError, r"found the key 1 \(int\), expected"),
        (dict(step_fn=lambda p, b: {None: b.sum()}), TypeError, "found the key None"),
        (dict(run_dir=__file__), NotADirectoryError, "run_dir: found a file, expected a folder"),
        (dict(snapshot=lambda p: 3), TypeError, "snapshot: found a int, expected a tensor"),
    ],
)
def test_bad_input_is_named(settings, error, message):
    usual = dict(batches=Pictures(), step_fn=gan_step, steps=2, snapshot_every=1, progress=False,
                 device="cpu")  # fmt: skip
    settings = usual | settings
    with pytest.raises(error, match=message):
        fit(make_players(), settings.pop("batches"), settings.pop("step_fn"), **settings)


# ---- processes --------------------------------------------------------------------------------

TWO_PROCESSES = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from resume_worker import *
from t2i_utils import training
rank = int(os.environ["RANK"])
torch.manual_seed(rank)
players = make_players()
for p in [*players.G.parameters(), *players.D.parameters()]:
    p.data.add_(0.1 * rank)                   # the second starts elsewhere
seen = []
def d_step(players, images):
    seen.append(images)
    players.update_D(players.D(images).mean())
    seen.append([p.grad.clone() for p in players.D.parameters()])
    return {"rank": torch.tensor(float(rank))}
start = {n: v.clone() for n, v in players.D.state_dict().items()}
train(None, 1, d_step, players=players, snapshot=None)
train(sys.argv[2], 6, gan_step, players=players, snapshot=None)
_, history = train(None, 2, lambda p, b: {"rank": torch.tensor(float(rank))}, players=players,
                   snapshot=None)
torch.save({"start": start, "images": seen[0], "gradients": seen[1], "ranks": history["rank"],
            "G": players.G.state_dict(), "D": players.D.state_dict(),
            "G_avg": players.G_avg.state_dict()}, f"{sys.argv[2]}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


def test_two_processes_stay_equal_and_share_gradients(tmp_path):
    port = str(29500 + os.getpid() % 1000)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
        "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-c", TWO_PROCESSES, str(Path(__file__).parent), str(tmp_path)]
    workers = [
        subprocess.Popen(command, env=environment | {"RANK": rank, "LOCAL_RANK": rank},
                         stderr=subprocess.PIPE, text=True)
        for rank in "01"
    ]  # fmt: skip
    try:
        outputs = [worker.communicate(timeout=60)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(outputs)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in "01")
    for part in ("G", "D", "G_avg"):
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), f"{part}/{name}"
    assert first["ranks"].tolist() == second["ranks"].tolist() == [0.5, 0.5]
    # each its own batch; the gradients are the means of what each alone would have
    assert torch.equal(first["images"], Pictures()[0])
    assert torch.equal(second["images"], Pictures()[1])
    D = resume_worker.Discriminator()
    mean = [torch.zeros_like(p) for p in D.parameters()]
    for i in range(2):
        D.load_state_dict(first["start"])  # the first process's weights are everybody's
        D.zero_grad()
        D(Pictures()[i]).mean().backward()
        mean = [m + p.grad / 2 for m, p in zip(mean, D.parameters(), strict=True)]
    for expected, found, other in zip(mean, first["gradients"], second["gradients"], strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
        assert torch.equal(found, other)
    assert (tmp_path / training.CHECKPOINT).exists()


LAUNCHED = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from accelerate import notebook_launcher
from resume_worker import *
from t2i_utils import training

def function():
    train(sys.argv[2], 2, snapshot=None)
    print("world " + os.environ["WORLD_SIZE"], flush=True)  # one write: two may print at once

torch.set_num_threads(1)
players, _ = train(None, 1)
assert players.accelerator is None
players.update_D(players.D(Pictures()[0]).mean())  # still works
notebook_launcher(function, num_processes=2, use_port=sys.argv[3])
"""


def test_a_notebook_launches_processes_after_an_earlier_fit(tmp_path):
    """accelerate's launcher refuses where its state is in use: fit leaves none behind."""
    command = [sys.executable, "-c", LAUNCHED, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run([*command, str(30500 + os.getpid() % 1000)], capture_output=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("world 2") == 2
    assert checkpoints.read(tmp_path / training.CHECKPOINT).run["processes"] == 2
