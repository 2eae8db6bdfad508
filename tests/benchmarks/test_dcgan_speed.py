"""fit's DCGAN step against the same step as tutorials write it: pictures per second, and the ratio.

`python tests/benchmarks/test_dcgan_speed.py [BATCH [WIDTH]]` prints the table; under pytest it only
shows that both run. Nothing is asserted of the times: the machine and its load decide them.
"""

import sys

import torch
from timing import SameBatch, pictures_per_second, show
from torch import nn

from t2i_utils.data.captioned import Batch
from t2i_utils.lesson import working_device
from t2i_utils.models.dcgan import Discriminator, Generator
from t2i_utils.objectives import generator_loss, real_fake_loss
from t2i_utils.training import Players, fit, frozen

Z = 100


def make_players(width):
    torch.manual_seed(0)
    G, D = Generator(Z, width, 64), Discriminator(width, 64)
    adam = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D)]
    return Players(G, D, *adam)


def step(players, batch):
    """Notebook 02's."""
    G, D = players.G, players.D
    fake = G(torch.randn(len(batch.images), Z, device=batch.images.device))
    s_r, s_f = D(batch.images), D(fake.detach())
    loss_D = real_fake_loss(s_r, s_f)
    players.update_D(loss_D)
    with frozen(D):
        loss_G = generator_loss(D(fake))
        players.update_G(loss_G)
    return {"loss_D": loss_D, "loss_G": loss_G, "s_r": s_r.mean(), "s_f": s_f.mean()}


def tutorial(players, batches, steps, device):
    """The usual loop: NCHW, labels, D's weights collect gradients in G's turn, numbers at once."""
    G, D = players.G.to(device), players.D.to(device)
    criterion, losses = nn.BCEWithLogitsLoss(), []
    for i in range(steps):
        real = batches[i].images.to(device)
        label = torch.ones(len(real), device=device)
        D.zero_grad()
        s_r = D(real)
        loss_real = criterion(s_r, label)
        loss_real.backward()
        fake = G(torch.randn(len(real), Z, device=device))
        s_f = D(fake.detach())
        loss_fake = criterion(s_f, label.fill_(0))
        loss_fake.backward()
        players.opt_D.step()
        G.zero_grad()
        loss_G = criterion(D(fake), label.fill_(1))
        loss_G.backward()
        players.opt_G.step()
        losses.append([(loss_real + loss_fake).item(), loss_G.item(), s_r.mean().item()])
    return losses


def measure(batch_size=64, width=64, steps=10, repeats=3):
    """Pictures per second of each way."""
    device, images = working_device(), torch.rand(batch_size, 3, 64, 64) * 2 - 1
    batches = SameBatch(Batch(images, torch.arange(batch_size)))
    ways = {
        "tutorial": lambda players, n: tutorial(players, batches, n, device),
        "fit": lambda players, n: fit(players, batches, step, steps=n, progress=False),
    }
    return pictures_per_second(ways, lambda: make_players(width), batch_size, steps, repeats)


def test_both_ways_run():
    assert all(speed > 0 for speed in measure(batch_size=4, width=4, steps=1, repeats=1).values())


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])), "tutorial")
