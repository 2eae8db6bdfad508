"""What trains the shipped pair: both stages in miniature, from training to the shipped files."""

import json

import make_stackgan
import pytest
import torch
from make_stackgan import BEST, BEST_D

from t2i_utils import checkpoints
from t2i_utils.checkpoints import load_network, read_card
from t2i_utils.data.captioned import Batches
from t2i_utils.models.stackgan import (
    Discriminator,
    StackGAN,
    Stage1Generator,
    Stage2Generator,
)

SMALL = dict(steps=4, batch=4, n=64, width=4, width_d=4)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of both stages' runs, four steps each, with a card after every two."""
    folder, fit, on_the_way = tmp_path_factory.mktemp("runs"), make_stackgan.fit, OnTheWay
    make_stackgan.fit = lambda *args, **kwargs: fit(*args, **(kwargs | {"snapshot_every": 2}))
    make_stackgan.OnTheWay = lambda *args: on_the_way(*args, count=32)
    try:
        make_stackgan.stage1(folder / "1", **SMALL)
        make_stackgan.stage2(folder / "2", folder / "1", **SMALL)
        yield folder
    finally:
        make_stackgan.fit, make_stackgan.OnTheWay = fit, on_the_way


OnTheWay = make_stackgan.OnTheWay


@pytest.fixture(scope="module")
def shipped(runs, tmp_path_factory):
    """The folder that both stages were shipped to."""
    there, make_stackgan.HERE = make_stackgan.HERE, tmp_path_factory.mktemp("shipped")
    try:
        make_stackgan.ship(runs / "1", runs / "2", n=64, count=32, memory=32)
        yield make_stackgan.HERE
    finally:
        make_stackgan.HERE = there


def test_both_stages_are_shipped_and_draw(shipped):
    first = load_network(shipped / "stage1_blooms.safetensors", Stage1Generator)
    second = load_network(shipped / "stage2_blooms.safetensors", Stage2Generator)
    sketch = first(torch.randn(2, first.noise_dim), torch.randn(2, 256))
    assert sketch.shape == (2, 3, 64, 64)
    large = second(sketch, torch.randn(2, 128), torch.randn(2, 256))
    assert large.shape == (2, 3, 128, 128)
    for stage, images in (("stage1", sketch), ("stage2", large)):
        judge = load_network(shipped / f"{stage}_D_blooms.safetensors", Discriminator)
        assert judge(images, torch.randn(2, 256)).shape == (2,)


def test_the_card_says_what_was_done_and_what_is_reached(shipped):
    card = read_card(shipped / "stage2_blooms.safetensors")
    assert card["recipe"][1:].startswith(" steps of 4, wrong sentences the nearest of 256, Adam")
    assert card["recipe"].endswith("weights averaged; D of width 4")
    assert card["recipe"][0] in "24"  # of the better one of the two that were met
    measured, way = json.loads(card["measured"]), json.loads(card["on_the_way"])
    assert [*measured] == ["stage2", "stage1, enlarged", "blind", "parrot", "ceiling"]
    assert measured["ceiling"]["petal_shape"] > 0.9 > measured["stage2"]["petal_shape"]
    assert {"all three", "all three, held-out grammar", "veins, named − not"} <= set(way[0])
    assert len(way) == 2 and 0 <= way[0]["core-seconds"] <= way[1]["core-seconds"]


def test_the_sketches_are_enlarged_and_nothing_else():
    """A ramp from left to right stays one, of half the steepness."""
    sketches = torch.linspace(-1, 1, 64).expand(2, 3, 64, 64)
    large = make_stackgan.enlarged(lambda sentences, seed: sketches, 128)(["a", "b"], 0)
    assert large.shape == (2, 3, 128, 128)
    steps = large.diff(dim=3)[..., 1:-1]
    torch.testing.assert_close(steps, torch.full_like(steps, 1 / 63), rtol=1e-4, atol=1e-6)
    assert large.diff(dim=2).abs().max() < 1e-6


def players_with(G):
    average = type("Average", (), {"module": G, "n_averaged": 7})
    return type("Players", (), {"G_avg": average, "D": Discriminator(256, 128, 4, 64)})


def test_the_best_average_is_kept_and_no_later_one(tmp_path, runs, monkeypatch):
    """Of three cards the second is the best; a run that goes on knows what it has reached."""
    data = make_stackgan.blooms.load_blooms(64, 64, seed=2)
    encoder = make_stackgan.load_text_encoder()
    told = iter((0.3, 0.5, 0.4, 0.45))
    monkeypatch.setattr(make_stackgan.metrics, "report_card", lambda *_: next_card(next(told)))
    networks = [load_network(runs / "1" / BEST, Stage1Generator) for _ in range(4)]
    widths = [json.loads(read_card(runs / "1" / name)["widths"]) for name in (BEST, BEST_D)]
    for part in (networks[:3], networks[3:]):
        way = OnTheWay(data, encoder, tmp_path, widths, "{} steps".format, 32)
        for G in part:
            torch.nn.init.normal_(G.augment.linear.weight)
            way(players_with(G))
    best = load_network(tmp_path / BEST, Stage1Generator).augment.linear.weight
    torch.testing.assert_close(best, networks[1].augment.linear.weight, atol=2e-3, rtol=1e-3)
    assert read_card(tmp_path / BEST)["recipe"] == "7 steps"
    assert [line["all three"] for line in make_stackgan.reached(tmp_path)] == [0.3, 0.5, 0.4, 0.45]


def next_card(value):
    return make_stackgan.metrics.Card("", {"generator": {"all three": (value, 0.0)}})


def test_a_run_goes_on_with_another_runs_networks(runs):
    torch.manual_seed(5)
    fresh = {"G": Stage1Generator(100, 256, 128, 4, 64), "D": Discriminator(256, 128, 4, 64)}
    kept = checkpoints.read(runs / "1" / checkpoints.CHECKPOINT).networks
    weight = next(iter(kept["D"]))
    assert not torch.equal(fresh["D"].state_dict()[weight], kept["D"][weight])
    assert make_stackgan.begun(runs / "1", **fresh) == 4
    for name, network in fresh.items():
        for tensor, value in network.state_dict().items():
            assert torch.equal(value, kept[name][tensor]), (name, tensor)


def test_a_second_stage_goes_on_with_another_sketcher(runs):
    """Stage-II's weights are taken over, the sketcher that it is put on stays."""
    torch.manual_seed(6)
    G = StackGAN(Stage1Generator(100, 256, 128, 4, 64), Stage2Generator(256, 128, 4, 64, 128, 2))
    sketcher = {name: tensor.clone() for name, tensor in G.stage1.state_dict().items()}
    make_stackgan.begun(runs / "2", G, Discriminator(256, 128, 4, 128))
    kept = checkpoints.read(runs / "2" / checkpoints.CHECKPOINT).networks["G"]
    assert any(not torch.equal(kept[f"stage1.{name}"], t) for name, t in sketcher.items())
    for name, tensor in G.state_dict().items():
        part, own = name.split(".", 1)
        assert torch.equal(tensor, sketcher[own] if part == "stage1" else kept[name]), name


def test_what_was_reached_and_done_before_is_not_lost(runs, tmp_path):
    small = SMALL | {"steps": 2}
    make_stackgan.stage1(tmp_path / "3", **small, near=2, begin=runs / "1")
    recipe = read_card(tmp_path / "3" / BEST)["recipe"]
    way = make_stackgan.reached(tmp_path / "3")
    assert way[:2] == make_stackgan.reached(runs / "1") and len(way) == 3
    assert recipe.startswith("4 steps before (")
    own_best = read_card(tmp_path / "3" / BEST)["all three"]  # of this run, if not of all
    assert own_best == str(way[2]["all three"])
    assert "), then 2 steps of 4, wrong sentences the nearest of 2," in recipe


def test_the_price_of_the_cloud_is_the_one_that_was_asked_for(runs, monkeypatch):
    """λ reaches the step that `fit` is given; 2/128, the authors' code's, where none is."""
    steps = []
    monkeypatch.setattr(make_stackgan, "fit", lambda G_D, batches, step, **_: steps.append(step))
    make_stackgan.stage1(runs / "4", **SMALL)
    make_stackgan.stage1(runs / "4", **SMALL, kl=0.5)
    assert [own.keywords for own in steps] == [{"kl_weight": 2 / 128}, {"kl_weight": 0.5}]
    assert {own.func for own in steps} == {make_stackgan.stackgan_step}
    torch.manual_seed(0)
    batch = Batches(*small_pairs(), "train", 8, 0)[0]
    moved = []
    for weight in (0.0, 1e6):
        torch.manual_seed(1)
        G, D = Stage1Generator(100, 256, 128, 4, 64), Discriminator(256, 128, 4, 64)
        before = G.augment.linear.weight.clone()
        players = make_stackgan.players_of(G, D, 1e-3, 1)
        make_stackgan.stackgan_step(players, batch, kl_weight=weight)
        moved.append((G.augment.linear.weight - before).detach())
    assert not torch.equal(*moved)  # Adam's first step is a sign: another loss, other signs


def test_the_precision_is_the_one_that_was_asked_for(tmp_path, runs):
    """A step in bfloat16 rounds: other weights than float32's; the card says so, weights stay."""
    small = SMALL | {"steps": 2}
    make_stackgan.stage1(tmp_path / "plain", **small)
    make_stackgan.stage1(tmp_path / "rounded", **small, precision="bf16")
    assert ", bf16, weights averaged" in read_card(tmp_path / "rounded" / BEST)["recipe"]
    assert "bf16" not in read_card(tmp_path / "plain" / BEST)["recipe"]
    kept = [checkpoints.read(tmp_path / run / checkpoints.CHECKPOINT).networks["D"]
            for run in ("plain", "rounded")]  # fmt: skip
    assert all(weight.dtype != torch.bfloat16 for weight in kept[1].values())
    assert any(not torch.equal(kept[0][name], weight) for name, weight in kept[1].items())


def small_pairs():
    data = make_stackgan.blooms.load_blooms(64, 64, seed=2)
    return data, data.encode(make_stackgan.load_text_encoder().encode)
