"""What `train` does: each option changes what it names; stages, parts and kills lose nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch

from t2i_utils import checkpoints, files, trainer
from t2i_utils.checkpoints import CHECKPOINT
from t2i_utils.models.stackgan import StackGAN
from t2i_utils.profiles import PROFILES
from t2i_utils.trainer import Settings, batches_of, pairs_of, players_of, steps_of

sys.path.insert(0, str(Path(__file__).parent / "data"))
from stackgan_layout import write_all  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SMALL = Settings(dataset="blooms", **PROFILES["smoke"])
STATE = ("G", "D", "G_avg")


def small(**changes):
    return replace(SMALL, **changes)


# ---- the 17 options -----------------------------------------------------------------------------


def drawn(settings, stage):
    """Shapes of a picture, of ĉ's layer and of D's layers."""
    players = players_of(settings, stage, 256)
    noise, phi = torch.randn(2, players.G.noise_dim), torch.randn(2, 256)
    return players, players.G.eval()(noise, phi)


@pytest.mark.parametrize(("stage", "name"), [(1, "image_size1"), (2, "image_size2")])
def test_image_sizes(stage, name):
    settings = small(image_size1=32, image_size2=64)
    assert drawn(settings, stage)[1].shape[-1] == getattr(settings, name)
    assert pairs_of(settings, 32).data.crop == 32
    side = players_of(settings, 2, 256).G.stage1
    assert side(torch.randn(2, side.noise_dim), torch.randn(2, 256)).shape[-1] == 32


def test_z_dim():
    (before, after) = (players_of(small(z_dim=z), 1, 256).G.noise_dim for z in (100, 40))
    assert before - after == 60
    stage2 = players_of(small(z_dim=40), 2, 256).G
    assert stage2.split[0] == 40 + SMALL.embed_dim and stage2.split[1] == SMALL.embed_dim


def test_embed_dim_is_of_the_compressed_sentence_in_all_players():
    for stage in (1, 2):
        players = players_of(small(embed_dim=24), stage, 256)
        mu, logvar = players.G.augment(torch.randn(2, 256))
        assert mu.shape == logvar.shape == (2, 24)
        assert players.D.compress[0].weight.shape == (24, 256)


@pytest.mark.parametrize("side", [16, 32, 64, 128])
def test_D1_dim_is_at_the_4_by_4_map(side):
    D = players_of(small(image_size1=side, image_size2=2 * side, D1_dim=48), 1, 256).D
    assert D.trunk(torch.zeros(2, 3, side, side)).shape == (2, 48, 4, 4)


def test_G2_dim_is_where_sketch_and_sentence_are_joined():
    G = players_of(small(image_size1=64, image_size2=256, G2_dim=48, D1_dim=32), 2, 256).G
    seen = G.stage2.down(torch.zeros(2, 3, 64, 64))
    assert seen.shape == (2, 48, 16, 16) and G.stage2.join[0].weight.shape[0] == 48


def test_data_dir_and_image_dir(tmp_path):
    pickles, images, table = write_all(tmp_path)
    settings = small(dataset="embeddings", data_dir=str(pickles), image_dir=str(images))
    pairs = pairs_of(settings, 16)
    assert len(pairs.data.images) == 36 and pairs.embeddings.shape == (36, 10, 6)
    batch = batches_of(replace(settings, batch_size=5), pairs)[0]
    assert batch.images.shape == (5, 3, 16, 16) and batch.embedding.shape == (5, 6)


@pytest.mark.parametrize("stage", [1, 2])
def test_epochs_and_batch_size_make_the_steps(stage):
    settings = replace(SMALL, **{f"steps{stage}": None, f"epochs{stage}": 3}, batch_size=8)
    assert steps_of(settings, stage, 100) == 38  # 300 pictures, the last batch begun
    assert steps_of(replace(settings, **{f"epochs{stage}": 6}), stage, 100) == 75
    assert steps_of(replace(settings, batch_size=16), stage, 100) == 19
    assert [steps_of(settings, stage, 100, epochs) for epochs in (2, 9)] == [25, 38]
    assert steps_of(replace(settings, **{f"steps{stage}": 7}), stage, 100) == 7
    assert len(batches_of(settings, pairs_of(settings, 16))[0].images) == 8


@pytest.mark.parametrize("name", ["lrG1", "lrG2", "lrD1", "lrD2"])
def test_learning_rates_are_of_one_player_of_one_stage(name):
    settings, found = small(**{name: 0.0123}), {}
    for stage in (1, 2):
        players = players_of(settings, stage, 256)
        for player in "GD":
            found[f"lr{player}{stage}"] = getattr(players, f"opt_{player}").param_groups[0]["lr"]
    assert found.pop(name) == 0.0123 and set(found.values()) == {2e-4}


@pytest.mark.parametrize(("name", "place"), [("beta1", 0), ("beta2", 1)])
def test_betas_are_of_all_players(name, place):
    for stage in (1, 2):
        players = players_of(small(**{name: 0.25}), stage, 256)
        for opt in (players.opt_G, players.opt_D):
            assert opt.param_groups[0]["betas"][place] == 0.25
            assert opt.param_groups[0]["betas"][1 - place] == (0.999, 0.5)[place]


def test_the_first_17_are_those_of_the_published_trainer():
    names = [*Settings.__dataclass_fields__][:17]
    defaults = [Settings.__dataclass_fields__[name].default for name in names]
    assert dict(zip(names, defaults, strict=True)) == dict(
        image_size1=64, image_size2=256, z_dim=100, embed_dim=128, D1_dim=512, G2_dim=512,
        data_dir=None, image_dir=None, epochs1=100, epochs2=100, batch_size=64, lrG1=2e-4,
        lrG2=2e-4, lrD1=2e-4, lrD2=2e-4, beta1=0.5, beta2=0.999)  # fmt: skip


def test_the_papers_networks_are_those_of_the_defaults():
    """14 and 26 million weights, as notebook 11 counts them; D's of 4 and 48."""
    settings = Settings(data_dir="a", image_dir="b")
    with torch.device("meta"):
        counts = [[sum(p.numel() for p in net.parameters()) for net in
                   (trainer.generator_of(settings, stage, 1024),
                    trainer.discriminator_of(settings, stage, 1024))]
                  for stage in (1, 2)]  # fmt: skip
    assert counts == [[14_247_811, 4_029_889], [14_247_811 + 26_290_211, 48_603_585]]


# ---- what cannot be meant -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(image_size1=48), "image_size1: found 48, expected a power of 2, 16 or more"),
        (dict(image_size2=128), "image_size2: found 128, expected 2 or 4 times image_size1, which"),
        (dict(D1_dim=9), "D1_dim: found 9, expected a multiple of 2 for pictures of 16, 8 or more"),
        (dict(D1_dim=6), "D1_dim: found 6, expected"),
        (dict(G2_dim=24), "G2_dim: found 24, expected a multiple of 16"),
        (dict(width=7), "width: found 7, expected an even number"),
        (dict(width=2), "width: found 2, expected an even number, 4 or more for pictures of 16"),
        (dict(lrG1=float("nan")), "lrG1: found nan, expected a finite float"),
        (dict(dataset="bloom"), "dataset: found bloom, expected one of embeddings, blooms"),
        (dict(image_dir="x"), "image_dir: found x, expected none for blooms"),
        (dict(data_dir="x"), "data_dir: found x, expected none for blooms"),
        (dict(dataset="flowers"), "data_dir: found none, expected the folder of flowers"),
        (dict(dataset="embeddings"), "data_dir: found none, expected the folder of train/"),
        (dict(dataset="embeddings", data_dir="x"), "image_dir: found none, expected the folder"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


# ---- a run --------------------------------------------------------------------------------------


def state(run_dir, stage):
    """Everything that a stage's checkpoint holds of the networks, and its step."""
    kept = checkpoints.read(Path(run_dir) / f"stage{stage}" / CHECKPOINT)
    return {f"{n}/{k}": v for n in STATE for k, v in kept.networks[n].items()}, kept.step


def assert_same_run(one, other):
    for stage in (1, 2):
        (first, steps), (second, again) = state(one, stage), state(other, stage)
        assert steps == again and first.keys() == second.keys()
        for name, value in first.items():
            assert torch.equal(value, second[name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of both stages without an interruption, of 4 epochs each."""
    run = tmp_path_factory.mktemp("whole")
    trainer.train(EPOCHS, run, progress=False)
    return run


EPOCHS = replace(SMALL, pictures=64, batch_size=8, steps1=None, steps2=None, epochs1=4, epochs2=4)


def test_both_stages_are_trained_and_the_sketcher_is_stage_ones_average(whole):
    G, stage = trainer.load_run(whole)
    assert stage == 2 and isinstance(G, StackGAN) and not G.training
    sketcher, first = state(whole, 2)[0], state(whole, 1)[0]
    for name, value in G.stage1.state_dict().items():
        assert torch.equal(value, first[f"G_avg/module.{name}"])
        assert torch.equal(value, sketcher[f"G/stage1.{name}"])
    moved = players_of(EPOCHS, 2, 256).G.stage2.state_dict()
    assert any(not torch.equal(v, sketcher[f"G/stage2.{k}"]) for k, v in moved.items())


def test_parts_are_one_run_and_tensorboard_shows_one_curve(whole, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for epoch in (2, 3, 4, 6, 8, 8):
        trainer.train(EPOCHS, tmp_path, until_epoch=epoch, progress=False)
    assert_same_run(whole, tmp_path)
    for stage in (1, 2):
        events = EventAccumulator(str(tmp_path / f"stage{stage}"))
        events.Reload()
        steps = [event.step for event in events.Scalars("loss_D")]
        assert steps == sorted(set(steps)) and steps[-1] == state(tmp_path, stage)[1]


def test_one_stage_at_a_time_is_the_same_run(whole, tmp_path):
    for stage in (1, 2):
        trainer.train(EPOCHS, tmp_path, (stage,), progress=False)
    assert_same_run(whole, tmp_path)


def test_stage_two_wants_a_stage_one(tmp_path):
    with pytest.raises(ValueError, match="stage: found 2, and no Stage-I in .*; expected one to"):
        trainer.train(EPOCHS, tmp_path, (2,), progress=False)
    assert not list(tmp_path.iterdir())


def test_stage_two_wants_a_stage_one_that_is_done(tmp_path, whole):
    asked = state(whole, 1)[1]
    trainer.train(EPOCHS, tmp_path, (1,), until_epoch=1, progress=False)
    with pytest.raises(ValueError, match=rf"Stage-I after \d+ of {asked} steps, expected its end"):
        trainer.train(EPOCHS, tmp_path, (2,), progress=False)
    trainer.train(replace(EPOCHS, epochs1=1), tmp_path, (2,), until_epoch=1, progress=False)


def test_a_run_that_is_trained_elsewhere_is_refused(whole):
    before = (whole / "settings.json").read_text()
    with files.held(whole / "settings.json", wait=False):
        with pytest.raises(files.Held, match="in use by process"):
            trainer.train(replace(EPOCHS, epochs2=9), whole, (2,), progress=False)
    assert (whole / "settings.json").read_text() == before


def test_what_never_trained_does_not_hold_the_folder(tmp_path):
    pickles, images, _ = write_all(tmp_path)
    right = small(dataset="embeddings", data_dir=str(pickles), image_dir=str(images))
    for wrong in (replace(right, data_dir="nowhere"), replace(SMALL, precision="fp16")):
        with pytest.raises((OSError, ValueError)):
            trainer.train(wrong, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "settings.json").exists()
    trainer.train(right, tmp_path / "run", (1,), progress=False)
    pickles.rename(tmp_path / "elsewhere")  # the same data set
    moved = replace(right, data_dir=str(tmp_path / "elsewhere"))
    trainer.train(moved, tmp_path / "run", (2,), progress=False)
    assert trainer.settings_of(tmp_path / "run") == moved


def test_lost_settings_are_not_replaced_by_wrong_ones(whole, tmp_path):
    for stage in (1, 2):
        shutil.copytree(whole / f"stage{stage}", tmp_path / f"stage{stage}")
    with pytest.raises(checkpoints.CheckpointError, match="is another run"):
        trainer.train(replace(EPOCHS, width=16), tmp_path, progress=False)
    assert not (tmp_path / "settings.json").exists()
    trainer.train(EPOCHS, tmp_path, progress=False)
    assert trainer.settings_of(tmp_path) == EPOCHS


def test_settings_stay_with_the_checkpoint_that_they_made(tmp_path, monkeypatch):
    """The disk fills up after a checkpoint, and an older command has left other settings there."""
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(asdict(replace(EPOCHS, width=16))))
    saved, saves = checkpoints.save, []

    def save(*args):
        if saves:
            raise OSError(28, "No space left on device")
        saves.append(saved(*args))

    monkeypatch.setattr(checkpoints, "save", save)
    with pytest.raises(OSError, match="No space left"):
        trainer.train(EPOCHS, tmp_path, (1,), progress=False, checkpoint_every=3)
    assert trainer.steps_done(tmp_path, 1) == 3 and trainer.settings_of(tmp_path) == EPOCHS
    monkeypatch.undo()
    trainer.train(EPOCHS, tmp_path, (1,), progress=False)


def test_room_is_asked_for_what_is_still_to_be_trained(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(OSError, match="disk full"):
        trainer.train(replace(EPOCHS, epochs2=6), whole, (2,), progress=False)
    monkeypatch.setattr(trainer, "require_room", lambda *args: pytest.fail("asked"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**40))
    assert sorted(trainer.train(EPOCHS, whole, progress=False)) == [1, 2]  # nothing to do


def test_stage_two_stands_on_a_stage_one_of_two_processes(whole, monkeypatch):
    """Its epochs took half as many steps."""
    there = checkpoints.read(trainer.checkpoint_of(whole, 1))
    pictures = len(pairs_of(EPOCHS, 16).data.splits["train"])
    halved = replace(EPOCHS, epochs1=2 * EPOCHS.epochs1)
    with pytest.raises(ValueError, match="expected its end"):
        trainer._check_stage1_ended(halved, whole, pictures)
    there.run["processes"] = 2
    monkeypatch.setattr(checkpoints, "read", lambda path: there)
    trainer._check_stage1_ended(halved, whole, pictures)


def test_epochs_are_of_all_processes(monkeypatch):
    settings = replace(SMALL, steps1=None, epochs1=4, batch_size=8)
    assert steps_of(settings, 1, 49) == 25
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert steps_of(settings, 1, 49) == 13


def test_stage_one_stays_where_a_stage_two_stands_on_it(whole):
    before = (whole / "settings.json").read_text()
    with pytest.raises(ValueError, match=r"found \d+ steps asked of Stage-I, and a Stage-II"):
        trainer.train(replace(EPOCHS, epochs1=5), whole, progress=False)
    assert (whole / "settings.json").read_text() == before


def test_another_run_is_told_by_its_settings(whole):
    before = (whole / "settings.json").read_text()
    with pytest.raises(ValueError, match="another run: embed_dim: found 128, expected 64; width: "
                       "found 8, expected 16. Use another"):  # fmt: skip
        trainer.train(replace(EPOCHS, width=16, embed_dim=64), whole, progress=False)
    assert (whole / "settings.json").read_text() == before
    trainer.compare(replace(EPOCHS, lrG1=1e-3, epochs2=9), whole)  # these may change


def test_a_disk_without_room_is_told_before_the_first_step(disk):
    place = disk("1m")
    with pytest.raises(OSError, match="disk full: .* bytes needed, .* free") as error:
        trainer.train(replace(EPOCHS, width=32), place / "run", progress=False)
    assert error.value.filename == str(place / "run")
    assert [path.name for path in (place / "run").iterdir()] == [".settings.json.lock"]


def test_a_disk_has_to_have_room_for_both_stages(tmp_path, monkeypatch):
    asked = []
    for stages in ((1,), (2,), (1, 2)):
        with monkeypatch.context() as patched, pytest.raises(OSError, match="disk full") as error:
            patched.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
            trainer.require_room(EPOCHS, tmp_path, stages, 256)
        asked.append(int(re.search(r"([\d,]+) bytes needed", str(error.value))[1].replace(",", "")))
    trainer.train(EPOCHS, tmp_path, (1,), until_epoch=1, progress=False)
    size = trainer.checkpoint_of(tmp_path, 1).stat().st_size
    assert 0.9 * size < asked[0] / 2 < 1.1 * size
    assert asked[2] == asked[0] / 2 + asked[1]  # both, and one more of the larger in work


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        trainer.train(EPOCHS, tmp_path / "file" / "run", progress=False)
    with pytest.raises(OSError, match="/proc/run"):
        trainer.train(EPOCHS, "/proc/run", progress=False)


def test_weights_of_other_widths_are_refused(whole, tmp_path):
    (tmp_path / "run").mkdir()
    for stage in (1, 2):
        (tmp_path / "run" / f"stage{stage}").symlink_to(whole / f"stage{stage}")
    path = tmp_path / "run" / "settings.json"
    path.write_text((whole / "settings.json").read_text().replace('"width": 8', '"width": 16'))
    with pytest.raises(checkpoints.CheckpointError, match="found weights of another generator"):
        trainer.load_run(tmp_path / "run")


# ---- kills --------------------------------------------------------------------------------------

COMMAND = [sys.executable, "-m", "t2i_utils", "train", "--dataset", "blooms", "--profile", "smoke",
           "--pictures", "64", "--batch_size", "8", "--epochs1", "4", "--epochs2", "4",
           "--checkpoint_every", "5"]  # fmt: skip


def killed_when(run, condition):
    """Start the command, and kill -9 it as soon as the condition holds."""
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen([*COMMAND, "--run_dir", str(run)], cwd=ROOT, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    deadline = time.monotonic() + 90
    while process.poll() is None and not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    return process.wait()


@pytest.mark.parametrize("where", ["stage1", "border", "stage2"])
def test_a_killed_run_goes_on_to_the_same_bits(whole, tmp_path, where):
    run = tmp_path / "run"
    first, second = (run / f"stage{stage}" / CHECKPOINT for stage in (1, 2))
    steps = state(whole, 1)[1]
    conditions = {
        "stage1": first.exists,
        "stage2": second.exists,
        "border": lambda: first.exists() and trainer.steps_done(run, 1) == steps,
    }
    assert killed_when(run, conditions[where]) == -signal.SIGKILL
    subprocess.run([*COMMAND, "--run_dir", str(run)], cwd=ROOT, check=True, capture_output=True,
                   env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())})  # fmt: skip
    assert_same_run(whole, run)
    assert not [p for p in run.rglob("*") if p.name.endswith(".part")]


# ---- the step -----------------------------------------------------------------------------------


def test_the_step_is_notebook_elevens():
    """The same losses and the same weights after it, for either stage."""
    page = nbformat.read(ROOT / "notebooks" / "11_stackgan_stage2.ipynb", as_version=4)
    (cell,) = [c.source for c in page.cells if c.source.startswith("def step(players, batch):")]
    taught = dict(vars(trainer), kl_weight=SMALL.kl_weight)
    exec(cell, taught)
    for stage, side in ((1, 16), (2, 32)):
        pairs = pairs_of(SMALL, side)
        results = []
        for step in (taught["step"], lambda p, b: trainer.stackgan_step(p, b, SMALL.kl_weight)):
            players = players_of(SMALL, stage, 256)
            torch.manual_seed(7)
            numbers = step(players, batches_of(SMALL, pairs)[0])
            results.append((numbers, players.G.state_dict() | players.D.state_dict()))
        (first, weights), (second, again) = results
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert all(torch.equal(value, again[name]) for name, value in weights.items())


# ---- processes ----------------------------------------------------------------------------------

WITHOUT_STATISTICS = """
import os, sys
from dataclasses import replace
from functools import partial
import torch
from torch import nn
from t2i_utils import profiles, trainer, training
torch.set_num_threads(1)
processes, run_dir = int(os.environ.get("WORLD_SIZE", 1)), sys.argv[1]
settings = trainer.Settings(dataset="blooms", **profiles.PROFILES["smoke"])
settings = replace(settings, batch_size=16 // processes)

class Halves:
    "Batch i of 16 pictures, or its half: with two processes items 2 i and 2 i + 1."
    def __init__(self, batches):
        self.batches = batches
    def __getitem__(self, i):
        whole = self.batches[i // processes]
        rows = slice(8 * (i % processes), 8 * (i % processes) + 8) if processes > 1 else slice(16)
        return {name: getattr(whole, name)[rows] for name in ("images", "embedding",
                                                              "wrong_embedding")}

class Told(nn.Module):
    "A generator whose noise is made of its sentence: the same one, whoever draws the picture."
    def __init__(self, G):
        super().__init__()
        self.G, self.noise_dim, self.augment = G, G.noise_dim, G.augment
    def forward(self, noise, embedding):
        return self.G(embedding[:, : self.noise_dim], embedding)

def without(net):
    for name, child in net.named_children():
        norm = isinstance(child, (nn.BatchNorm2d, nn.BatchNorm1d))
        setattr(net, name, nn.Identity() if norm else without(child))
    return net

def step(players, given):
    batch = type("Batch", (), given)
    return trainer.stackgan_step(players, batch, settings.kl_weight)

pairs = trainer.pairs_of(settings, 16)
full = trainer.batches_of(replace(settings, batch_size=16), pairs)
with torch.random.fork_rng([]):
    torch.manual_seed(1)
    G = Told(without(trainer.generator_of(settings, 1, 256)))
    D = without(trainer.discriminator_of(settings, 1, 256))
torch.save(D.state_dict(), os.path.dirname(run_dir) + "/begin.pt")
opts = [torch.optim.SGD(net.parameters(), 0.05) for net in (G, D)]
training.fit(trainer.Players(G, D, *opts), Halves(full), step, steps=20, run_dir=run_dir,
             progress=False)
"""


def test_two_processes_are_one_on_players_without_batch_statistics(tmp_path):
    """Two gloo processes of 8 pictures each against one of 16, after 20 steps."""
    script = tmp_path / "train.py"
    script.write_text(WITHOUT_STATISTICS)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = dict(check=True, capture_output=True, text=True, timeout=120)
    subprocess.run([sys.executable, script, tmp_path / "one"], env=environment, **run)
    subprocess.run([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
                    "--master-port", str(31500 + os.getpid() % 1000), script, tmp_path / "two"],
                   env=environment, **run)  # fmt: skip
    one, two = (checkpoints.read(tmp_path / name / CHECKPOINT).networks for name in ("one", "two"))
    for net in ("G", "D"):
        for name, value in one[net].items():
            torch.testing.assert_close(value, two[net][name], rtol=1e-5, atol=1e-5)
    begin = torch.load(tmp_path / "begin.pt")
    assert max((one["D"][k] - v).abs().max() for k, v in begin.items()) > 1e-3  # it has learned


def test_two_processes_by_torchrun_train_both_stages(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
               "--master-port", str(32500 + os.getpid() % 1000), *COMMAND[1:]]  # fmt: skip
    done = subprocess.run([*command, "--run_dir", str(tmp_path / "run")], cwd=ROOT, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True,
                          timeout=180)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("Stage-I: ") == done.stdout.count("Stage-II: ") == 1
    for stage in (1, 2):
        kept = checkpoints.read(tmp_path / "run" / f"stage{stage}" / CHECKPOINT)
        assert kept.run["processes"] == 2


# ---- the pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number, lacking", [("10", True), ("11", False)])
def test_the_parameters_of_the_pages_have_the_same_names(number, lacking):
    """All 17 in notebook 11, those of Stage-I in 10; each with its type and a word about it."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = nbformat.read(path, 4).cells
    (cell,) = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    lines = dict(re.findall(r"^(\w+): (\w+ = .+)$", cell.source, re.MULTILINE))
    for field in fields(Settings)[:17]:
        if lacking and "2" in field.name.replace("beta2", ""):
            assert field.name not in lines
            continue
        kind = field.type.__name__ if isinstance(field.type, type) else "str"
        assert re.fullmatch(rf"{kind} = \S+  # .+", lines[field.name]), field.name
