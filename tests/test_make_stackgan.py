"""What trains the shipped pair: both stages in miniature, from training to the shipped file."""

import json

import make_stackgan
import pytest
import torch

from t2i_utils import checkpoints
from t2i_utils.checkpoints import load_network, read_card
from t2i_utils.data.blooms import CLASS_ATTRIBUTES, NAMES, parse, to_row
from t2i_utils.models.char_cnn_rnn import load_text_encoder
from t2i_utils.models.stackgan import (
    Discriminator,
    Stage1Generator,
    Stage2Generator,
    stage1_of_run,
)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Both stages after two steps each, and the folder that they were shipped to."""
    monkeypatch.setattr(make_stackgan, "HERE", tmp_path)
    monkeypatch.setattr(make_stackgan, "sentences_of", lambda count: make_sentences(16))
    small = dict(steps=2, batch=4, n=64, width=4)
    make_stackgan.stage1(**small, run_dir=tmp_path / "1")
    make_stackgan.stage2(**small, run_dir=tmp_path / "2", sketcher=tmp_path / "1")
    return tmp_path


make_sentences = make_stackgan.sentences_of


def test_both_stages_are_trained_and_shipped(shipped):
    first = load_network(shipped / "stage1_blooms.safetensors", Stage1Generator)
    second = load_network(shipped / "stage2_blooms.safetensors", Stage2Generator)
    sketch = first(torch.randn(2, first.noise_dim), torch.randn(2, 256))
    assert sketch.shape == (2, 3, 64, 64)
    assert second(sketch, torch.randn(2, 128), torch.randn(2, 256)).shape == (2, 3, 128, 128)
    card = read_card(shipped / "stage2_blooms.safetensors")
    assert "2 of 4; wrong sentences the nearest of 256" in card["recipe"]
    measured = json.loads(card["measured"])
    assert {"petal_colour", "jointly", "veins, named − not"} <= set(measured)


def test_the_shipped_stage_1_is_the_average_of_the_run(shipped):
    first = load_network(shipped / "stage1_blooms.safetensors", Stage1Generator)
    kept = stage1_of_run(shipped / "1")
    for name, tensor in kept.state_dict().items():
        torch.testing.assert_close(first.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_sentences_name_all_three_of_withheld_combinations():
    written, asked = make_sentences(40)
    columns = [NAMES.index(name) for name in CLASS_ATTRIBUTES]
    assert len(written) == len(asked) == 40 and (asked[:, columns] >= 0).all()
    assert torch.equal(asked, torch.tensor([to_row(parse(sentence)) for sentence in written]))


def test_the_exam_reads_what_is_drawn():
    """A generator that draws the truth is right; one that never draws a detail has no lead."""
    exam = make_stackgan.Exam(load_text_encoder(), count=32)
    at = torch.where(exam.asked < 0, 0, exam.asked)

    class Truth(torch.nn.Module):
        noise_dim = 3

        def forward(self, noise, phi):
            style = torch.rand(len(at), make_stackgan.blooms.STYLE)
            return make_stackgan.blooms.render(at, style, 128).float() / 127.5 - 1

    found = exam.of(Truth())[1]
    assert found["jointly"] > 0.95 and found["petal_shape"] > 0.95
    for name in ("veins", "stamens", "rim"):
        assert found[f"{name}, named − not"] > 0.9


def test_a_run_goes_on_with_another_runs_networks(shipped):
    torch.manual_seed(5)
    fresh = {"G": Stage1Generator(100, 256, 128, 4, 64), "D": Discriminator(256, 128, 4, 64)}
    kept = checkpoints.read(shipped / "1" / checkpoints.CHECKPOINT).networks
    weight = next(iter(kept["D"]))
    assert not torch.equal(fresh["D"].state_dict()[weight], kept["D"][weight])
    assert make_stackgan.begun(shipped / "1", **fresh) == 2
    for name, network in fresh.items():
        for tensor, value in network.state_dict().items():
            assert torch.equal(value, kept[name][tensor]), (name, tensor)


def test_the_card_tells_of_both_parts(shipped):
    make_stackgan.stage1(steps=1, batch=4, n=64, width=4, near=2, begin=shipped / "1",
                         run_dir=shipped / "3")  # fmt: skip
    card = read_card(shipped / "stage1_blooms.safetensors")
    recipe = "2 steps of an earlier run and 1 of 4; wrong sentences the nearest of 2,"
    assert recipe in card["recipe"]
