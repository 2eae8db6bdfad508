"""What D says by its company: the three ways of asking, against the definition and by hand."""

import copy

import pytest
import torch
from torch import nn

from t2i_utils.data.blooms import load_blooms
from t2i_utils.data.captioned import Batch, Batches
from t2i_utils.metrics import WAYS, asked_three_ways, scores
from t2i_utils.models.gan_cls import Discriminator, Generator, three_scores
from t2i_utils.training import Players


class MeanOfBatch(nn.Module):
    """The simplest leak there is: in training mode a score is the mean over its batch."""

    def forward(self, images, c):
        own = images.mean((1, 2, 3)) + c[:, 0]
        return own.mean().expand(len(own)) if self.training else own


def a_batch(n=4):
    rng = torch.Generator().manual_seed(0)
    images, fake = torch.randn(2, n, 3, 8, 8, generator=rng).clamp(-1, 1)
    right, wrong = torch.randn(2, n, 5, generator=rng)
    return Batch(images, torch.arange(n), right, wrong), fake


def own_scores(batch, fake):
    pairs = [(batch.images, batch.embedding), (batch.images, batch.wrong_embedding),
             (fake, batch.embedding)]  # fmt: skip
    return [images.mean((1, 2, 3)) + c[:, 0] for images, c in pairs]


def test_each_way_is_what_it_says():
    batch, fake = a_batch()
    own = own_scores(batch, fake)
    for found, expected in zip(
        scores(MeanOfBatch(), batch, fake, "a batch each"), own, strict=True
    ):
        torch.testing.assert_close(found, expected.mean().expand(4))
    for found in scores(MeanOfBatch(), batch, fake, "one batch"):
        torch.testing.assert_close(found, torch.cat(own).mean().expand(4))
    for mode in (True, False):
        found = scores(MeanOfBatch().train(mode), batch, fake, "evaluation mode")
        torch.testing.assert_close(found, own)


def test_without_batch_norm_all_ways_agree():
    batch, fake = a_batch()
    D = nn.ModuleDict({"look": nn.Linear(192, 1), "text": nn.Linear(5, 1)})
    D.forward = lambda images, c: (D["look"](images.flatten(1)) + D["text"](c)).flatten()
    one, two, three = (torch.stack(scores(D, batch, fake, way)) for way in WAYS)
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(one, three)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("training", [True, False])
def test_d_stays_as_it_is(way, training):
    batch, fake = a_batch()
    D = Discriminator(5, 4, 4, 8).train(training)
    before = copy.deepcopy(D.state_dict())
    for found in scores(D, batch, fake, way):
        assert found.shape == (4,) and not found.requires_grad
    assert D.training is training
    for name, value in D.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_another_way_is_refused():
    with pytest.raises(ValueError, match="way is 'mixed'; expected one of a batch each, one batch"):
        scores(MeanOfBatch(), *a_batch(), "mixed")


def some_players():
    torch.manual_seed(0)
    G, D = Generator(7, 5, 4, 4, 16), Discriminator(5, 4, 4, 16)
    return Players(G, D, *(torch.optim.Adam(net.parameters()) for net in (G, D)))


def test_asked_three_ways_is_the_mean_and_leaves_the_players_alone():
    data, players = load_blooms(60, 16), some_players()
    embeddings = torch.randn(60, 10, 5, generator=torch.Generator().manual_seed(1))
    batches = Batches(data, embeddings, "train", 6, 0)
    before = copy.deepcopy({**players.G.state_dict(), **players.D.state_dict()})
    found = asked_three_ways(players, batches, "cpu", number=2)
    assert list(found) == list(WAYS)
    again = asked_three_ways(players, batches, "cpu", number=2)
    assert found == again
    after = {**players.G.state_dict(), **players.D.state_dict()}
    assert all(torch.equal(before[name], after[name]) for name in before)

    s_r, s_w, s_f = [], [], []
    for i in range(2):
        batch = batches[10_000 + i]
        z = torch.randn(6, 7, generator=torch.Generator().manual_seed(i))
        G, D = copy.deepcopy(players.G).train(), copy.deepcopy(players.D).eval()
        with torch.no_grad():
            fake = G(z, batch.embedding)
            s_r.append(D(batch.images, batch.embedding))
            s_w.append(D(batch.images, batch.wrong_embedding))
            s_f.append(D(fake, batch.embedding))
    r, w, f = (torch.cat(parts) for parts in (s_r, s_w, s_f))
    expected = {"s_r − s_w": (r - w).mean(), "s_r − s_f": (r - f).mean(),
                "right above wrong": (r > w).float().mean(),
                "real above fake": (r[:, None] > f).float().mean()}  # fmt: skip
    for name, value in expected.items():
        assert found["evaluation mode"][name] == pytest.approx(value.item(), abs=1e-6), name


# --- three scores from one batch -----------------------------------------------------------------


def test_three_scores_are_those_of_one_batch():
    batch, fake = a_batch(6)
    D = Discriminator(5, 4, 4, 8).eval()  # each pair by itself: what may not depend on company
    found = three_scores(D, batch.images, fake, batch.embedding, batch.wrong_embedding)
    expected = [D(batch.images, batch.embedding), D(batch.images, batch.wrong_embedding),
                D(fake, batch.embedding)]  # fmt: skip
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_three_scores_are_normalised_together():
    """One call each of trunk and joint layers; the statistics are of all pairs."""
    batch, fake = a_batch(6)
    D, calls = Discriminator(5, 4, 4, 8).train(), []
    for name in ("trunk", "joint"):
        getattr(D, name).register_forward_hook(lambda *args, name=name: calls.append(
            (name, len(args[1][0]))))  # fmt: skip
    found = three_scores(D, batch.images, fake, batch.embedding, batch.wrong_embedding)
    assert calls == [("trunk", 12), ("joint", 18)] and [len(s) for s in found] == [6, 6, 6]


def test_gradients_reach_both_players_through_three_scores():
    batch, fake = a_batch(6)
    fake.requires_grad_()
    D = Discriminator(5, 4, 4, 8)
    _, _, s_f = three_scores(D, batch.images, fake, batch.embedding, batch.wrong_embedding)
    s_f.sum().backward()
    assert fake.grad.abs().sum() > 0 and all(p.grad is not None for p in D.parameters())
