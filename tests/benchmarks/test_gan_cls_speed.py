"""Notebook 07's step against the passes of a published trainer: pictures per second, and the ratio.

`python tests/benchmarks/test_gan_cls_speed.py [BATCH [WIDTH [SIDE]]]` prints the table, and what
share of the machine's matrix-product peak notebook 07's step reaches. Under pytest it only shows
that all ways run. Nothing is asserted of the times: the machine and its load decide them.

The passes are those of aelnouby/Text-to-Image-Synthesis (commit 06ceb0b, `train_gan_cls`): each of
three pairs goes through the whole of D by itself, the wrong one with a wrong picture; the fakes are
not detached in D's turn, and made anew in G's; D collects gradients there, too. The networks are
the same in all ways.
"""

import sys
import time

import torch
from timing import SameBatch, pictures_per_second, random_pairs, show
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from t2i_utils.lesson import working_device
from t2i_utils.models.gan_cls import Discriminator, Generator, three_scores
from t2i_utils.objectives import generator_loss, matching_aware_loss
from t2i_utils.training import Players, fit, frozen

Z, EMBEDDING = 100, 256


def make_players(width, side):
    torch.manual_seed(0)
    G, D = Generator(Z, EMBEDDING, 128, width, side), Discriminator(EMBEDDING, 128, width, side)
    adam = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D)]
    return Players(G, D, *adam)


def step(players, batch):
    """Notebook 07's, with its loss."""
    G, D = players.G, players.D
    right, wrong = batch.embedding, batch.wrong_embedding
    fake = G(torch.randn(len(right), Z, device=right.device), right)
    loss_D = matching_aware_loss(*three_scores(D, batch.images, fake.detach(), right, wrong))
    players.update_D(loss_D)
    D.eval()
    with frozen(D):
        loss_G = generator_loss(D(fake, right))
        players.update_G(loss_G)
    D.train()
    return {"loss_D": loss_D, "loss_G": loss_G}


def published(players, batches, wrong_images, steps, device):
    G, D, judge = players.G.to(device), players.D.to(device), nn.BCEWithLogitsLoss()
    losses = []
    for i in range(steps):
        x, text = batches[i].images.to(device), batches[i].embedding.to(device)
        wrong_x = wrong_images.to(device)
        yes, no = torch.ones(len(x), device=device), torch.zeros(len(x), device=device)
        D.zero_grad()
        loss = judge(D(x, text), yes) + judge(D(wrong_x, text), no) / 2
        loss_D = loss + judge(D(G(torch.randn(len(x), Z, device=device), text), text), no) / 2
        loss_D.backward()
        players.opt_D.step()
        G.zero_grad()
        loss_G = judge(D(G(torch.randn(len(x), Z, device=device), text), text), yes)
        loss_G.backward()
        players.opt_G.step()
        losses.append((loss_D.item(), loss_G.item()))
    return losses


def measure(batch_size=64, width=64, side=64, steps=10, repeats=3):
    """Pictures per second of each way."""
    device, batches = working_device(), SameBatch(random_pairs(batch_size, side, EMBEDDING))
    other = random_pairs(batch_size, side, EMBEDDING).images
    ways = {
        "published": lambda players, n: published(players, batches, other, n, device),
        "notebook 07": lambda players, n: fit(players, batches, step, steps=n, progress=False),
    }
    return pictures_per_second(ways, lambda: make_players(width, side), batch_size, steps, repeats)


def work_of_a_step(batch_size, width, side):
    """Floating-point operations of one step of notebook 07."""
    with FlopCounterMode(display=False) as counter:
        step(make_players(width, side), random_pairs(batch_size, side, EMBEDDING))
    return counter.get_total_flops()


def peak(device, size=2048, repeats=5):
    """Operations per second of a square matrix product, the best of several."""
    a, best = torch.randn(size, size, device=device), 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        (a @ a).sum().item()
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def test_all_ways_run():
    assert all(speed > 0 for speed in measure(4, 4, 16, steps=1, repeats=1).values())
    assert work_of_a_step(4, 4, 16) > 0 and peak("cpu", 64) > 0


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[1:]] + [64, 64, 64][len(sys.argv) - 1 :]
    speeds = measure(*sizes)
    show(speeds, "published")
    reached = work_of_a_step(*sizes) * speeds["notebook 07"] / sizes[0]
    print(f"notebook 07's step runs at {reached / peak(working_device()):.0%} of the peak")
