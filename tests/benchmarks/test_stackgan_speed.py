"""Stage-I's step against the textbook's: pictures per second, the ratio, and memory at full size.

`python tests/benchmarks/test_stackgan_speed.py [BATCH [WIDTH [SIDE]]]` prints the table; WIDTH is
G's, D has half of it as in the paper. `... full` makes one step of full-size Stage-I at batch 64
and of full-size Stage-II at batch 4, and prints the peak of memory. Under pytest it only shows that
all ways run. Nothing is asserted of the times: the machine and its load decide them.

The textbook step is the paper's algorithm read word by word: each of three pairs goes through the
whole of D by itself, G draws anew in its turn, D collects gradients there, too, and pictures lie in
memory channel by channel. The networks are the same in both ways.
"""

import resource
import sys

import torch
from timing import SameBatch, pictures_per_second, random_pairs, show

from t2i_utils.lesson import working_device
from t2i_utils.models.gan_cls import three_scores
from t2i_utils.models.stackgan import Discriminator, Stage1Generator, Stage2Generator
from t2i_utils.objectives import generator_loss, kl_to_standard_normal, matching_aware_loss
from t2i_utils.training import Players, fit, frozen

EMBEDDING, KL_WEIGHT = 1024, 2 / 128  # the weight of the authors' code, for a sum over dimensions


def adam(network):
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))


def make_players(width, side):
    torch.manual_seed(0)
    G = Stage1Generator(100, EMBEDDING, 128, width, side)
    D = Discriminator(EMBEDDING, 128, width // 2, side)
    return Players(G, D, adam(G), adam(D))


def step(players, batch):
    """GAN-CLS's step of notebook 07, and the KL term."""
    G, D = players.G, players.D
    right, wrong = batch.embedding, batch.wrong_embedding
    fake = G(torch.randn(len(right), G.noise_dim, device=right.device), right)
    loss_D = matching_aware_loss(*three_scores(D, batch.images, fake.detach(), right, wrong))
    players.update_D(loss_D)
    D.eval()
    with frozen(D):
        kl = kl_to_standard_normal(*G.augment(right))
        loss_G = generator_loss(D(fake, right)) + KL_WEIGHT * kl
        players.update_G(loss_G)
    D.train()
    return {"loss_D": loss_D, "loss_G": loss_G, "kl": kl}


def textbook(players, batches, steps, device):
    G, D = players.G.to(device), players.D.to(device)
    losses = []
    for i in range(steps):
        x, right = batches[i].images.to(device), batches[i].embedding.to(device)
        wrong, size = batches[i].wrong_embedding.to(device), (len(x), G.noise_dim)
        players.opt_D.zero_grad()
        fake = G(torch.randn(size, device=device), right)
        loss_D = matching_aware_loss(D(x, right), D(x, wrong), D(fake.detach(), right))
        loss_D.backward()
        players.opt_D.step()
        players.opt_G.zero_grad()
        loss_G = generator_loss(D(G(torch.randn(size, device=device), right), right))
        loss_G = loss_G + KL_WEIGHT * kl_to_standard_normal(*G.augment(right))
        loss_G.backward()
        players.opt_G.step()
        losses.append((loss_D.item(), loss_G.item()))
    return losses


def measure(batch_size=64, width=64, side=64, steps=5, repeats=3):
    """Pictures per second of each way."""
    device, batches = working_device(), SameBatch(random_pairs(batch_size, side, EMBEDDING))
    ways = {
        "textbook": lambda players, n: textbook(players, batches, n, device),
        "Stage-I": lambda players, n: fit(players, batches, step, steps=n, progress=False),
    }
    return pictures_per_second(ways, lambda: make_players(width, side), batch_size, steps, repeats)


def step_of_stage_2(batch_size, width=128, side=64):
    """One step of Stage-II at four times Stage-I's side; returns the shape of its pictures."""
    sketcher = Stage1Generator(100, EMBEDDING, 128, width, side).eval()
    G = Stage2Generator(EMBEDDING, 128, width, side, 4 * side)
    players = Players(G, D := Discriminator(EMBEDDING, 128, width // 2, 4 * side), adam(G), adam(D))
    batch = random_pairs(batch_size, 4 * side, EMBEDDING)
    with torch.no_grad():
        sketch = sketcher(torch.randn(batch_size, sketcher.noise_dim), batch.embedding)
    fake = G(sketch, torch.randn(batch_size, G.noise_dim), batch.embedding)
    pairs = (batch.images, fake.detach(), batch.embedding, batch.wrong_embedding)
    players.update_D(matching_aware_loss(*three_scores(D, *pairs)))
    with frozen(D):
        players.update_G(generator_loss(D(fake, batch.embedding)))
    return fake.shape


def peak():
    """The largest resident memory of this process so far, in MB (Linux counts in KB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def full_size():
    print(f"before: peak {peak():,.0f} MB")
    step(make_players(128, 64), random_pairs(64, 64, EMBEDDING))
    print(f"one step of Stage-I at batch 64: peak {peak():,.0f} MB")
    print(f"one step of Stage-II, pictures {tuple(step_of_stage_2(4))}: peak {peak():,.0f} MB")


def test_both_ways_run():
    assert all(speed > 0 for speed in measure(4, 8, 16, steps=1, repeats=1).values())


def test_a_step_of_stage_2_runs():
    assert step_of_stage_2(2, 8, 16) == (2, 3, 64, 64)


if __name__ == "__main__":
    if sys.argv[1:] == ["full"]:
        full_size()
    else:
        show(measure(*map(int, sys.argv[1:])), "textbook")
