"""How fast fit's step is against the naive loop: pictures per second, and their ratio.

`python tests/benchmarks/test_training_speed.py [BATCH [WIDTH]]` prints the table; under pytest it
only shows that both run. Nothing is asserted of the times: the machine and its load decide them.
"""

import sys

import torch
from timing import SameBatch, pictures_per_second, show
from torch.nn.functional import softplus

from t2i_utils.lesson import working_device
from t2i_utils.models.gan_cls import Discriminator, Generator
from t2i_utils.training import Players, fit, frozen

SIZES = dict(embed_dim=128, text_dim=32, image_size=64)


def losses_of_d(s_r, s_w, s_f):
    return softplus(-s_r).mean() + (softplus(s_w).mean() + softplus(s_f).mean()) / 2


def make_players(width):
    torch.manual_seed(0)
    G, D = Generator(z_dim=100, width=width, **SIZES), Discriminator(width=width, **SIZES)
    adam = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D)]
    return Players(G, D, *adam)


def step(players, batch):
    G, D = players.G, players.D
    z = torch.randn(len(batch["images"]), 100, device=batch["images"].device)
    fake = G(z, batch["right"])
    features = D.trunk(batch["images"])
    s_r, s_w = D.score(features, batch["right"]), D.score(features, batch["wrong"])
    s_f = D(fake.detach(), batch["right"])
    loss_D = losses_of_d(s_r, s_w, s_f)
    players.update_D(loss_D)
    with frozen(D):
        loss_G = softplus(-D(fake, batch["right"])).mean()
        players.update_G(loss_G)
    return {"loss_D": loss_D, "loss_G": loss_G, "s_r": s_r.mean(), "s_w": s_w.mean()}


def naive(players, batches, steps, device):
    """As a first version of the loop would be: the same mathematics, none of the care."""
    G, D = players.G.to(device), players.D.to(device)
    history = []
    for i in range(steps):
        batch = {name: tensor.to(device) for name, tensor in batches[i].items()}
        fake = G(torch.randn(len(batch["images"]), 100, device=device), batch["right"])
        s_r, s_w = D(batch["images"], batch["right"]), D(batch["images"], batch["wrong"])
        loss_D = losses_of_d(s_r, s_w, D(fake.detach(), batch["right"]))
        players.opt_D.zero_grad()
        loss_D.backward()
        players.opt_D.step()
        loss_G = softplus(-D(fake, batch["right"])).mean()
        players.opt_G.zero_grad()
        loss_G.backward()  # also makes gradients for all of D's weights
        players.opt_G.step()
        for average, now in zip(players.G_avg.module.parameters(), G.parameters(), strict=True):
            average.data = 0.999 * average.data + 0.001 * now.data
        history.append([x.item() for x in (loss_D, loss_G, s_r.mean(), s_w.mean())])


def measure(batch_size=64, width=32, steps=10, repeats=3):
    """Pictures per second of each way."""
    device, images = working_device(), torch.rand(batch_size, 3, 64, 64) * 2 - 1
    right, wrong = torch.randn(2, batch_size, SIZES["embed_dim"])
    batches = SameBatch({"images": images, "right": right, "wrong": wrong})

    def fitted(players, steps, precision="no"):
        fit(players, batches, step, steps=steps, progress=False, precision=precision)

    ways = {
        "naive": lambda players, steps: naive(players, batches, steps, device),
        "fit": fitted,
        "fit, bf16": lambda players, steps: fitted(players, steps, "bf16"),
    }
    return pictures_per_second(ways, lambda: make_players(width), batch_size, steps, repeats)


def test_both_loops_run():
    assert all(speed > 0 for speed in measure(batch_size=4, width=8, steps=1, repeats=1).values())


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])), "naive")
