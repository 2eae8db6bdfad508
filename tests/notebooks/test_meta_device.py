"""Every step that a notebook trains with, run once where no tensor is.

A notebook's cells are executed, in order and in `smoke`, until each of its step functions has been
called on the device "meta": there a tensor made elsewhere, and anything that waits for the device,
raises, as the one would on a GPU and the other would cost there. See `one_device.py`.
"""

import ast
import copy
import dataclasses
import inspect
import sys
from contextlib import contextmanager

import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from one_device import OneDevice, on_meta
from torch import Tensor

import series
from t2i_utils import figures, training
from t2i_utils.lesson import ROOT

NOTEBOOKS = {path.stem: series.read(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
EXERCISE = {"exercise", "solution", "check"}
# Functions that train without `fit`. Each is either tried below or, of tables and of a few numbers,
# always on the CPU, knows of no device.
LOOPS = {
    "01_minimax_game": {"from_afar", "judge", "maximise", "play", "schedule"},
    "03_captions": {"train_on_pairs"},
    "04_text_encoder": {"train"},
    "05_measuring": {"climbed"},
    "06_conditional_gan": {"best_logits", "descend", "toy_judge"},
    "07_gan_cls": {"climbed_D", "climbed_G", "descend"},
    "11_stackgan_stage2": {"fresh_D"},
}
ON_THE_CPU = {"01_minimax_game", "03_captions"}


# --- what a notebook holds -----------------------------------------------------------------------


def trees(notebook):
    """The syntax tree of each code cell that is not part of an exercise."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and not EXERCISE & set(cell.metadata.get("tags", [])):
            yield ast.parse(cell.source)


def functions(notebook):
    for tree in trees(notebook):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def step_functions(notebook):
    """Names of the functions that take (players, batch): what `fit` is given, or might be."""
    return {function.name for function in functions(notebook)
            if [a.arg for a in function.args.args] == ["players", "batch"]}  # fmt: skip


def calls(tree, name):
    """Whether something calls `name(...)` or `anything.name(...)`."""
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(name in (getattr(f, "id", None), getattr(f, "attr", None)) for f in called)


def trains_with_fit(notebook):
    return any(calls(tree, "fit") for tree in trees(notebook))


# --- a step on "meta" ----------------------------------------------------------------------------


def players_on_meta(players):
    players = copy.copy(players)
    players.accelerator, players.schedulers = None, ()  # fit's own, no part of a step
    players = copy.deepcopy(players)
    moved = on_meta(players.G) | on_meta(players.D)
    players.G_avg.module.to("meta")
    for optimiser in (players.opt_G, players.opt_D):
        optimiser.state.clear()  # what an earlier fit left
        for group in optimiser.param_groups:
            group["params"] = [moved[p] for p in group["params"]]
    players.G.train(), players.D.train()
    return players


@contextmanager
def noted(names, file):
    """Inside, the names of the functions of `file` that are called are added to `names`."""

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename == file:
            names.add(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def step_on_meta(players, batch, step):
    found = list(inspect.signature(step).parameters)[:2]
    assert found == ["players", "batch"], f"a step function takes {found}, not (players, batch)"
    players, batch = players_on_meta(players), training._to_device(batch, torch.device("meta"))
    with OneDevice():
        measured = step(players, batch)
        players.average()
    for name, value in measured.items():
        assert value.is_meta and value.shape == (), f"{name}: found {value}, expected a number"
    assert any(p.grad is not None for p in players.G.parameters()), "no gradient reached G"


def executed(notebook, name, monkeypatch, until):
    """The names that the code cells make, run in order up to the one with which until(names)."""
    namespace = {"__name__": "__main__"}
    monkeypatch.setenv("T2I_PROFILE", "smoke")
    monkeypatch.chdir(ROOT / "notebooks")
    for drawing, _ in inspect.getmembers(figures, inspect.isfunction):  # not what this is about
        monkeypatch.setattr(figures, drawing, lambda *_, **__: None)
    for cell in notebook.cells:
        if cell.cell_type == "code" and not until(namespace):
            exec(compile(cell.source, name, "exec"), namespace)  # one file name for all cells
    return namespace


def try_its_steps(notebook, monkeypatch, name="a notebook"):
    """Each batch that meets `fit` first goes through the step on "meta"; then fit does its work."""
    expected, reached, fit = step_functions(notebook), set(), training.fit
    assert expected, "it calls fit, but no function of it takes (players, batch)"

    def meta_first(players, batches, step_fn, **options):
        with noted(reached, name):
            step_on_meta(players, batches[0], step_fn)
        return fit(players, batches, step_fn, **options)

    monkeypatch.setattr(training, "fit", meta_first)
    executed(notebook, name, monkeypatch, until=lambda _: expected <= reached)
    assert expected <= reached, f"no fit in smoke runs {sorted(expected - reached)}"


# --- the series ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", [s for s, n in NOTEBOOKS.items() if trains_with_fit(n)])
def test_its_steps_run_where_no_tensor_is(stem, monkeypatch):
    try_its_steps(NOTEBOOKS[stem], monkeypatch, stem)


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_what_trains_without_fit_is_known(stem):
    """A new one is to be tried as 04's is, or to be one that knows of no device."""
    notebook = NOTEBOOKS[stem]
    found = {function.name for function in functions(notebook) if calls(function, "backward")}
    assert found == LOOPS.get(stem, set())
    if stem in ON_THE_CPU:
        assert not any("device" in ast.unparse(tree) for tree in trees(notebook))


def noting_waits(monkeypatch, name, waits):
    """From now on `tensor.name()` on "meta" is noted, and gives what the caller can go on with."""
    method = getattr(Tensor, name)

    def noting(self):
        if not self.is_meta:
            return method(self)
        waits.append(name)
        return self if name == "cpu" else 0.0

    monkeypatch.setattr(Tensor, name, noting)


def test_notebook_04_trains_where_no_tensor_is(monkeypatch):
    """It waits for the device where it prints, four times, and at the end; in no other step."""
    notebook, waits = NOTEBOOKS["04_text_encoder"], []
    space = executed(notebook, "04", monkeypatch, until=lambda made: "train" in made)
    space["course"] = dataclasses.replace(space["course"], device=torch.device("meta"))
    nets = space["new_encoder"](), space["new_theta"]()
    for name in ("item", "cpu"):
        noting_waits(monkeypatch, name, waits)
    for loss in ("contrastive_loss", "joint_embedding_loss"):
        with OneDevice():
            losses = space["train"](*nets, space[loss], False, 8)
        assert losses.is_meta and losses.shape == (8,)
    assert all(p.grad is not None and p.grad.is_meta for net in nets for p in net.parameters())
    assert waits == 2 * [*4 * ["item"], "cpu"]


def test_notebook_05_climbs_where_no_tensor_is(monkeypatch):
    """It waits for the device once for each sixty-four pictures, at the end."""
    notebook, waits = NOTEBOOKS["05_measuring"], []
    space = executed(notebook, "05", monkeypatch, until=lambda made: "climbed" in made)
    space["course"] = dataclasses.replace(space["course"], device=torch.device("meta"))
    space["theta_of"].to("meta")
    monkeypatch.setattr(space["exams"], "encoded", lambda *_: torch.randn(70, 256))
    noting_waits(monkeypatch, "cpu", waits), noting_waits(monkeypatch, "item", waits)
    with OneDevice():
        pictures = space["climbed"]([""] * 70, 0)
    assert pictures.is_meta and pictures.shape == (70, 3, 64, 64)
    assert waits == ["cpu", "cpu"]


# --- what is to be noticed, once each ------------------------------------------------------------

LITTLE = """
import torch
from torch import nn
from t2i_utils.training import Players, fit, frozen

G = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
D = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Flatten(0))
half = torch.full((4,), 0.5)


def a_step(players, batch):
    G, D = players.G, players.D
    z = torch.randn(4, 2, 1, 1, device=batch.device)
    fake = G(z)
    s_r, s_f = D(batch), D(fake.detach())
    loss_D = s_f.mean() - s_r.mean()
    players.update_D(loss_D)
    with frozen(D):
        loss_G = -D(fake).mean()
        players.update_G(loss_G)
    return {"loss_D": loss_D, "loss_G": loss_G}


def another_step(players, batch):
    return a_step(players, 2 * batch)


players = Players(G, D, *(torch.optim.Adam(net.parameters()) for net in (G, D)))
for step in (a_step, another_step):
    fit(players, [torch.zeros(4, 3, 1, 1)] * 2, step, steps=2, progress=False, device="cpu")
"""


def little(before="", after=""):
    assert before in LITTLE
    return new_notebook(cells=[new_code_cell(LITTLE.replace(before, after, 1))])


def test_sound_steps_pass(monkeypatch):
    assert step_functions(little()) == {"a_step", "another_step"} and trains_with_fit(little())
    try_its_steps(little(), monkeypatch)


@pytest.mark.parametrize(("before", "after", "message"), [
    (", device=batch.device", "", r"conv2d: tensors on \['cpu', 'meta'\]"),
    ("s_f.mean() - s_r.mean()", "(half * s_f).mean() - s_r.mean()", r"tensors on \['cpu', 'meta'"),
    ("players.update_D(loss_D)", "players.update_D(loss_D); loss_D.item()", "item"),
    ("players.update_D(loss_D)", "if loss_D > -9: players.update_D(loss_D)", "item"),
    ("players.update_D(loss_D)", "players.update_D(loss_D + float(s_r.detach().max()))", "item"),
    ("players.update_D(loss_D)", "players.update_D(loss_D); s_r.cpu()", "copy out of meta"),
    ('"loss_G": loss_G}', '"half": torch.tensor(0.5)}', "half: found .*, expected a number"),
    ('"loss_G": loss_G}', '"s_r": s_r}', "s_r: found .*, expected a number"),
    ("players.update_G(loss_G)", "pass", "no gradient reached G"),
    ("in (a_step, another_step)", "in (a_step,)", r"no fit in smoke runs \['another_step'\]"),
    ("def another_step(players, batch):\n", "def another_step(players, b):\n    batch = b\n",
     r"takes \['players', 'b'\]"),
])  # fmt: skip
def test_what_a_gpu_would_refuse_or_wait_for_is_noticed(monkeypatch, before, after, message):
    with pytest.raises(Exception, match=message):
        try_its_steps(little(before, after), monkeypatch)
