"""Activation checkpointing changes memory and nothing else."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from t2i_utils.models import recomputing
from t2i_utils.models.recomputing import Recomputed, save_memory
from t2i_utils.models.stackgan import Discriminator, Stage2Generator


def stage2():
    torch.manual_seed(0)
    return Stage2Generator(6, 5, 8, 16, 32, blocks=2)


def judge():
    torch.manual_seed(1)
    return Discriminator(6, 5, 8, 32)


def inputs(batch=6):
    generator = torch.Generator().manual_seed(2)
    sketch = torch.rand(batch, 3, 16, 16, generator=generator)
    return sketch, *(torch.randn(batch, n, generator=generator) for n in (5, 6))


def learned(G, D, steps=1):
    """Scores of drawn pictures, and the gradients of both networks after the last step."""
    sketch, eps, embedding = inputs()
    for _ in range(steps):
        G.zero_grad()
        D.zero_grad()
        scores = D(G(sketch, eps, embedding), embedding)
        scores.square().sum().backward()
    return scores.detach(), [p.grad for p in (*G.parameters(), *D.parameters())]


def kept(network, *given):
    """Bytes that lie there for the backward pass, the weights aside, after one look."""
    own, kept = {p.data_ptr() for p in network.parameters()}, {}

    def pack(tensor):
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(*given)
    return sum(kept.values())


def test_numbers_gradients_and_averages_are_the_same():
    plain, saving = (stage2(), judge()), (save_memory(stage2()), save_memory(judge()))
    scores, gradients = learned(*plain, steps=3)
    again, found = learned(*saving, steps=3)
    torch.testing.assert_close(again, scores)
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    for one, other in zip(saving, plain, strict=True):
        assert list(one.state_dict()) == list(other.state_dict()), "weights keep their names"
        for name, buffer in other.named_buffers():
            torch.testing.assert_close(dict(one.named_buffers())[name], buffer)
    assert saving[0].join[1].num_batches_tracked == 3
    assert saving[0].join[1].momentum == 0.1


def test_a_second_look_that_moved_the_averages_would_be_seen(monkeypatch):
    monkeypatch.setattr(recomputing, "_as_it_was", lambda modes: nullcontext())
    plain, saving = stage2(), save_memory(stage2())
    learned(plain, judge())
    learned(saving, judge())
    off = (saving.join[1].running_var - plain.join[1].running_var).abs().max()
    assert off > 1e-3 and saving.join[1].num_batches_tracked > 1


def test_a_part_is_computed_again_in_the_mode_in_which_it_was():
    """In G's turn D is in evaluation mode; somebody may turn it back before the backward pass."""
    found = []
    for D in (judge(), save_memory(judge())):
        images, embedding = torch.rand(4, 3, 32, 32).requires_grad_(), torch.randn(4, 6)
        torch.manual_seed(3)
        with torch.no_grad():
            images.uniform_(-1, 1), embedding.normal_()
        D(images.detach() * 0.5, embedding)  # averages of its own
        scores = D.eval()(images, embedding)
        D.train()
        scores.sum().backward()
        assert all(layer.training for layer in D.modules())
        found.append(images.grad)
    torch.testing.assert_close(*found)


def test_less_is_kept_for_the_backward_pass():
    given = inputs(16)
    assert kept(save_memory(stage2()), *given) < 0.4 * kept(stage2(), *given)


def test_evaluation_copies_and_weights():
    plain = stage2()
    learned(plain, judge())
    saving = save_memory(stage2())
    saving.load_state_dict(plain.state_dict())
    with torch.no_grad():
        expected = plain.eval()(*inputs())
        for G in (saving, copy.deepcopy(saving)):
            torch.testing.assert_close(G.eval()(*inputs()), expected)
    assert plain.eval().training is save_memory(plain).up.training is False


def test_parts_have_two_convolutions_and_the_last_doubling_stands_alone():
    G, D = save_memory(stage2()), save_memory(Discriminator(6, 5, 8, 64))
    assert all(isinstance(body, Recomputed) for body in (G.down, G.join, G.refine, G.up, D.trunk))
    sizes = {}
    for name, body in (("down", G.down), ("refine", G.refine), ("up", G.up), ("trunk", D.trunk)):
        sizes[name] = [sum(isinstance(layer, nn.Conv2d) for whole in part
                           for layer in whole.modules())
                       for part in recomputing._parts(body)]
    assert sizes == {"down": [2, 1], "refine": [2, 2], "up": [2, 2], "trunk": [2, 2, 3]}


@pytest.mark.parametrize("batch", [1, 3, 4, 9])
def test_pieces_of_any_size_of_batch(batch):
    plain, saving = stage2().eval(), save_memory(stage2()).eval()
    given = inputs(batch)
    torch.testing.assert_close(saving(*given), plain(*given))
