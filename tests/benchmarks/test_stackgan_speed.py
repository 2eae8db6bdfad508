"""A stage's step against the textbook's: pictures per second, the ratio, and memory at full size.

`python tests/benchmarks/test_stackgan_speed.py [BATCH [WIDTH [SIDE]]]` prints Stage-I's table,
`... stage2 [BATCH [WIDTH [SKETCH [SIDE]]]]` Stage-II's; WIDTH is G's, D has half of it as in the
paper. `... full` makes one step of full-size Stage-I at batch 64 and of full-size Stage-II at batch
4, and prints the peak of memory. `... memory [BATCH [WIDTH [SKETCH]]]` makes two steps of Stage-II
with and without `save_memory` and prints the most that tensors have held, weights, moments and
gradients included. Under pytest it only shows that all ways run, and that memory is saved. Nothing
is asserted of the times: the machine and its load decide them.

The textbook step is the paper's algorithm read word by word: each of three pairs goes through the
whole of D by itself, G draws anew in its turn, D collects gradients there, too, and pictures lie in
memory channel by channel. The networks are the same in both ways.
"""

import json
import resource
import sys
import tempfile

import torch
from timing import SameBatch, pictures_per_second, random_pairs, show
from torch.profiler import ProfilerActivity, profile

from t2i_utils.lesson import working_device
from t2i_utils.models.gan_cls import three_scores
from t2i_utils.models.recomputing import save_memory
from t2i_utils.models.stackgan import Discriminator, StackGAN, Stage1Generator, Stage2Generator
from t2i_utils.objectives import generator_loss, kl_to_standard_normal, matching_aware_loss
from t2i_utils.training import Players, fit, frozen

EMBEDDING, KL_WEIGHT = 1024, 2 / 128  # the weight of the authors' code, for a sum over dimensions


def adam(network):
    trained = [weights for weights in network.parameters() if weights.requires_grad]
    return torch.optim.Adam(trained, lr=2e-4, betas=(0.5, 0.999))


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


def make_players_of_stage_2(width, sketch, side):
    torch.manual_seed(0)
    first = Stage1Generator(100, EMBEDDING, 128, width, sketch)
    G = StackGAN(first, Stage2Generator(EMBEDDING, 128, width, sketch, side))
    D = Discriminator(EMBEDDING, 128, width // 2, side)
    return Players(G, D, adam(G), adam(D))


def measure(batch_size=64, width=64, side=64, steps=5, repeats=3, make=make_players):
    """Pictures per second of each way."""
    device, batches = working_device(), SameBatch(random_pairs(batch_size, side, EMBEDDING))
    ways = {
        "textbook": lambda players, n: textbook(players, batches, n, device),
        "ours": lambda players, n: fit(players, batches, step, steps=n, progress=False),
    }
    return pictures_per_second(ways, lambda: make(width, side), batch_size, steps, repeats)


def measure_stage_2(batch_size=16, width=32, sketch=64, side=128, steps=3, repeats=3):
    """The same for Stage-II; Stage-I draws its sketches within the step, in both ways."""

    def make(width, side):
        return make_players_of_stage_2(width, sketch, side)

    return measure(batch_size, width, side, steps, repeats, make)


def step_of_stage_2(batch_size, width=128, side=64):
    """One step of Stage-II at four times Stage-I's side; returns the shape of its pictures."""
    players = make_players_of_stage_2(width, side, 4 * side)
    step(players, random_pairs(batch_size, 4 * side, EMBEDDING))
    return (batch_size, 3, 4 * side, 4 * side)


def most_held(batch_size=16, width=128, sketch=64, saving=False):
    """The most MB that tensors hold in two steps of Stage-II at four times the sketch's side."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        players = make_players_of_stage_2(width, sketch, 4 * sketch)
        for network in (players.G.stage2, players.D) if saving else ():
            save_memory(network)
        for network in (players.G, players.D):
            network.to(memory_format=torch.channels_last)
        for _ in range(2):
            step(players, random_pairs(batch_size, 4 * sketch, EMBEDDING))
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        profiler.export_chrome_trace(file.name)
        events = json.load(open(file.name))["traceEvents"]
    events = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"])
    held = [e["args"]["Total Allocated"] for e in events]
    before = held[0] - events[0]["args"]["Bytes"]  # the counter keeps what an earlier call has left
    return (max(held) - before) / 1e6


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
    assert all(speed > 0 for speed in measure_stage_2(4, 8, 16, 32, 1, 1).values())


def test_a_step_of_stage_2_runs():
    assert step_of_stage_2(2, 8, 16) == (2, 3, 64, 64)


def test_memory_is_saved():
    """At 256 × 256, batch 16; narrow, so that it is quick (the full width: `... memory`)."""
    plain = most_held(16, 16, 64)
    assert most_held(16, 16, 64, saving=True) < 0.6 * plain
    assert abs(most_held(16, 16, 64) / plain - 1) < 0.01, "a second call gives the same"


if __name__ == "__main__":
    word, numbers = (sys.argv[1:2] or [""])[0], sys.argv[1:]
    if word == "full":
        full_size()
    elif word == "memory":
        held = [most_held(*map(int, numbers[1:]), saving=saving) for saving in (False, True)]
        print("tensors hold at most {:,.0f} MB, with save_memory {:,.0f} MB".format(*held),
              f"({held[1] / held[0]:.0%})")  # fmt: skip
    elif word == "stage2":
        show(measure_stage_2(*map(int, numbers[1:])), "textbook")
    else:
        show(measure(*map(int, numbers)), "textbook")
