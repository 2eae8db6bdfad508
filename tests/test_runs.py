"""A run goes on as itself: what differs is refused by name, or taken over and said."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ChainedScheduler, LambdaLR, OneCycleLR

sys.path.insert(0, str(Path(__file__).parent))
from resume_worker import Pictures, gan_step, make_players, train  # noqa: E402
from test_checkpoints import assert_same_state, state  # noqa: E402

from t2i_utils import checkpoints, runs  # noqa: E402
from t2i_utils.checkpoints import CHECKPOINT, CheckpointError  # noqa: E402
from t2i_utils.training import Players, TrainingDiverged  # noqa: E402

WEIGHT = 1.0


def weighted_step(players, images):
    """gan_step whose loss is weighed by a number and a function of this module."""
    measured = gan_step(players, images)
    return {name: scaled(value) for name, value in measured.items()}


def scaled(value):
    return WEIGHT * value


def plain_players(lr=1e-2, optimiser=torch.optim.SGD, **settings):
    """Players without schedulers."""
    p = make_players(schedulers=False)
    adams = [optimiser(net.parameters(), lr=lr, **settings) for net in (p.G, p.D)]
    return Players(p.G, p.D, *adams)


# ---- a learning rate is taken over, and said -----------------------------------------------------


def test_a_new_learning_rate_holds_from_here_on(tmp_path, capsys):
    train(tmp_path, 10, players=plain_players(1e-2))
    players, _ = train(tmp_path, 20, players=plain_players(1e-4))
    said = capsys.readouterr().out
    assert "opt_G: learning rate 0.01 → 0.0001 from step 10 on" in said
    assert "opt_D: learning rate 0.01 → 0.0001 from step 10 on" in said
    assert players.opt_G.param_groups[0]["lr"] == 1e-4

    by_hand = plain_players(1e-2)  # the same by hand: ten steps of each
    train(None, 10, players=by_hand)
    whole = train(None, 10, players=plain_players(1e-2))[0]
    assert_same_state(state(by_hand), state(whole))
    checkpoints.load(tmp_path / CHECKPOINT, by_hand)
    assert by_hand.opt_G.param_groups[0]["lr"] == 1e-4, "the next sitting finds it"


def test_the_rate_that_was_taken_over_is_the_runs_own(tmp_path, capsys):
    train(tmp_path, 5, players=plain_players(1e-2))
    train(tmp_path, 10, players=plain_players(1e-3))
    capsys.readouterr()
    train(tmp_path, 15, players=plain_players(1e-3))
    assert "learning rate" not in capsys.readouterr().out
    train(tmp_path, 20, players=plain_players(1e-2))
    assert "opt_G: learning rate 0.001 → 0.01 from step 15 on" in capsys.readouterr().out


def test_a_lower_rate_after_a_divergence_really_helps(tmp_path):
    """What the message of TrainingDiverged advises."""

    def players(lr):
        made = plain_players(1e-3)
        made.opt_D.param_groups[0]["lr"] = lr
        return made

    with pytest.raises(TrainingDiverged, match="new players with one, and the same run_dir"):
        train(tmp_path, 200, players=players(1e6), checkpoint_every=1, log_every=1)
    reached = checkpoints.read(tmp_path / CHECKPOINT).step
    assert reached >= 1
    _, history = train(tmp_path, reached + 5, players=players(1e-6))
    assert history.steps == reached + 5


@pytest.mark.parametrize("kind", [lambda opt: LambdaLR(opt, lambda i: 0.9**i),
                                  lambda opt: OneCycleLR(opt, 1e-2, total_steps=100)])  # fmt: skip
def test_under_a_scheduler_it_is_as_if_it_had_been_so_from_the_start(tmp_path, kind):
    def players(lr):
        made = plain_players(lr, torch.optim.Adam)
        made.schedulers = [kind(made.opt_G)]
        if isinstance(made.schedulers[0], OneCycleLR):
            made.schedulers = [OneCycleLR(made.opt_G, lr, total_steps=100)]
        return made

    train(tmp_path, 10, players=players(1e-2))
    lower, _ = train(tmp_path, 20, players=players(1e-3))
    whole, _ = train(None, 20, players=players(1e-3))
    found, expected = (p.opt_G.param_groups[0] for p in (lower, whole))
    assert found["lr"] == pytest.approx(expected["lr"]) and found["betas"] == expected["betas"]
    assert lower.schedulers[0].last_epoch == whole.schedulers[0].last_epoch == 20
    with pytest.raises(CheckpointError, match="under schedulers that have begun; expected new"):
        lower.opt_G.param_groups[0]["initial_lr"] = 1.0
        train(tmp_path, 30, players=lower)


def test_the_same_players_go_on_in_the_same_sitting(tmp_path, capsys):
    """Their rates are where the schedulers took them: that is no change."""
    players, _ = train(tmp_path, 70)
    train(tmp_path, 80, players=players)
    assert "learning rate" not in capsys.readouterr().out
    whole, _ = train(None, 80)
    assert_same_state(state(players), state(whole))


# ---- anything else is refused, by name -----------------------------------------------------------


class Other(Pictures):
    """Of equal shape, and other pictures."""

    def __getitem__(self, i):
        return super().__getitem__(i + 1)


class Named(Pictures):
    def __init__(self, **identity):
        super().__init__()
        self.identity = {"data": "squares", "seed": 0} | identity


def _swapped(players):
    players.G[3] = nn.LeakyReLU(0.1)


def another_step(players, images):
    measured = gan_step(players, images)
    return measured | {"loss_D": measured["loss_D"] * 2}


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        ({}, dict(batches=Pictures(16)),
         r"first batch: batch: found \[8, 3, 16, 16\] float32, expected \[16, 3, 16, 16\]"),
        ({}, dict(batches=Other()), "first batch: batch: found other values"),
        (dict(batches=Named()), dict(batches=Named(seed=1)), "batches: seed: found 0, expected 1"),
        (dict(batches=Named()), dict(batches=Named(data="circles")),
         "batches: data: found 'squares', expected 'circles'"),
        ({}, dict(step_fn=another_step),
         r"step function: line 1: found `def gan_step.*expected `def another_step"),
        ({}, dict(players=lambda: plain_players(1e-2, momentum=0.9)),
         "opt_G: momentum: found 0, expected 0.9; opt_D: momentum: found 0, expected 0.9"),
        (dict(players=lambda: plain_players(2e-3, torch.optim.Adam)),
         dict(players=lambda: plain_players(2e-3, torch.optim.Adam, betas=(0.5, 0.9))),
         r"opt_G: betas: found \[0.9, 0.999\], expected \[0.5, 0.9\]"),
        (dict(players=make_players), dict(players=lambda: make_players(ema_decay=0.5)),
         "ema_decay: found 0.99, expected 0.5"),
        (dict(seed=3), dict(seed=4), "found a run with seed 3, expected seed 4"),
    ],
)  # fmt: skip
def test_another_run_is_refused_by_name(tmp_path, first, then, message):
    for steps in (10, 20):  # also where nothing is left to do
        arguments = {"players": plain_players} | first
        train(tmp_path, 10, **arguments | {"players": arguments["players"]()})
        arguments = {"players": plain_players} | first | then
        players = arguments["players"]()
        before, file = state(players), (tmp_path / CHECKPOINT).read_bytes()
        with pytest.raises(CheckpointError, match=message):
            train(tmp_path, steps, **arguments | {"players": players})
        assert_same_state(before, state(players))
        assert (tmp_path / CHECKPOINT).read_bytes() == file


def test_a_network_of_the_same_shapes_is_another_one(tmp_path):
    train(tmp_path, 5, players=plain_players())
    players = plain_players()
    _swapped(players)
    message = r"G: line 5: found `\(3\): ReLU\(\)`, expected `\(3\): LeakyReLU"
    with pytest.raises(CheckpointError, match=message):
        train(tmp_path, 10, players=players)


def test_another_schedule_is_another_run(tmp_path):
    def players(milestones):
        made = plain_players()
        made.schedulers = [torch.optim.lr_scheduler.MultiStepLR(made.opt_G, milestones)]
        return made

    train(tmp_path, 5, players=players([7]))
    with pytest.raises(CheckpointError, match="scheduler 0: milestones: 7: found 1, expected none"):
        train(tmp_path, 10, players=players([8]))

    def warm(slope):
        made = plain_players()
        made.schedulers = [LambdaLR(made.opt_G, lambda i: min(1.0, slope * (i + 1)))]
        return made

    train(tmp_path / "warm", 5, players=warm(0.1))
    with pytest.raises(CheckpointError, match="scheduler 0: lr_lambdas"):
        train(tmp_path / "warm", 10, players=warm(0.2))


def test_what_a_step_uses_of_its_own_module_belongs_to_it(tmp_path, monkeypatch):
    train(tmp_path, 5, weighted_step, players=plain_players())
    monkeypatch.setattr(sys.modules[__name__], "WEIGHT", 2.0)
    with pytest.raises(CheckpointError, match="step function: WEIGHT: found '1.0', expected '2.0'"):
        train(tmp_path, 10, weighted_step, players=plain_players())
    monkeypatch.undo()
    train(tmp_path, 10, weighted_step, players=plain_players())


def test_a_bit_more_or_less_in_an_embedding_is_the_same_data(tmp_path):
    """Computed on another machine, the last bit may differ: that is no other run."""

    class Nearly(Pictures):
        def __getitem__(self, i):
            return super().__getitem__(i) * (1 + 1e-6)

    train(tmp_path, 5, players=plain_players())
    assert train(tmp_path, 10, players=plain_players(), batches=Nearly())[1].steps == 10


def test_batches_that_are_other_ones_each_time_are_not_compared(tmp_path):
    class Noise(Pictures):
        def __getitem__(self, i):
            return torch.randn(8, 3, 16, 16)

    train(tmp_path, 5, players=plain_players(), batches=Noise())
    torch.manual_seed(9)
    assert train(tmp_path, 10, players=plain_players(), batches=Noise())[1].steps == 10


def test_a_checkpoint_that_does_not_say_what_it_is_of(tmp_path, capsys):
    """Written by `checkpoints.save` alone: it goes on, and that is said."""
    players, history = train(None, 5, players=plain_players())
    checkpoints.save(tmp_path / CHECKPOINT, players, history, 5, 3)
    train(tmp_path, 6, players=plain_players())
    assert "does not say what run it is" in capsys.readouterr().out
    with pytest.raises(CheckpointError, match="first batch"):
        train(tmp_path, 10, players=plain_players(), batches=Other())


def test_the_precision_may_change_and_that_is_said(tmp_path, capsys):
    train(tmp_path, 5)
    train(tmp_path, 10, precision="bf16")
    assert "precision: no → bf16 from step 5 on" in capsys.readouterr().out
    train(tmp_path, 15, precision="bf16")
    assert "precision" not in capsys.readouterr().out


def test_an_edited_network_that_prints_the_same_is_another_one(tmp_path, monkeypatch):
    class Net(nn.Sequential):
        def forward(self, x):
            return super().forward(x)

    def players():
        made = plain_players()
        D = Net(*made.D)
        return Players(made.G, D, made.opt_G, torch.optim.SGD(D.parameters(), 1e-2))

    train(tmp_path, 5, another_step, players=players())
    text = runs.source(Net).replace("forward(x)", "forward(2 * x)")
    monkeypatch.setattr(runs, "source", lambda kind: text)
    message = r"classes: .*Net: line 4: found `return super\(\).forward\(x\)`"
    with pytest.raises(CheckpointError, match=message):
        train(tmp_path, 10, another_step, players=players())


def test_batches_that_name_themselves_in_no_mapping():
    class Odd(Pictures):
        identity = ["squares", 0]

    with pytest.raises(TypeError, match="batches.identity: found a list, expected a mapping"):
        runs.identity(make_players(), Odd(), gan_step)


def test_what_is_the_same_in_every_process_but_for_its_address(tmp_path):
    """Functions in settings, sets in any order, nan: no difference."""

    def players():
        class Scaled(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = lambda x: x

            def extra_repr(self):
                return f"{self.scale}"

            def forward(self, x):
                return x

        made = plain_players()
        made.G.append(Scaled())
        made.opt_G.param_groups[0]["hook"] = players
        return Players(made.G, made.D, made.opt_G, made.opt_D)

    words = {"a", "bc", "def", "g"}
    what = []
    for order in (sorted(words), sorted(words, reverse=True)):
        batches = Named(words=set(order), missing=float("nan"))
        what.append(runs.identity(players(), batches, gan_step))
    assert not list(runs._differences("run", *what))
    assert " at 0x" not in json.dumps(what)


def test_chained_schedulers_go_on(tmp_path):
    def players(lr=1e-2):
        made = plain_players(lr)
        parts = [LambdaLR(made.opt_G, lambda i: 0.9**i), LambdaLR(made.opt_G, lambda i: 1.0)]
        made.schedulers = [ChainedScheduler(parts)]
        return made

    train(tmp_path, 5, players=players())
    resumed, _ = train(tmp_path, 10, players=players())
    whole, _ = train(None, 10, players=players())
    assert_same_state(state(resumed), state(whole))


def test_an_identity_is_plain_json_and_the_same_each_time():
    what = [runs.identity(make_players(), Pictures(), gan_step) for _ in range(2)]
    assert what[0] == what[1] == json.loads(json.dumps(what[0]))
    assert what[0]["opt_G"][0]["betas"] == [0.5, 0.999]
    assert what[0]["schedulers"][1]["gamma"] == 0.999
