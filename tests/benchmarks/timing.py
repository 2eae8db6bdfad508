"""What the benchmarks share: ways to train, timed in turn on the same machine in the same run."""

import time

import torch

from t2i_utils.data.captioned import Batch
from t2i_utils.lesson import working_device


class SameBatch:
    """The same batch again and again: what is timed is the step, not the data."""

    def __init__(self, batch):
        self.batch = batch

    def __getitem__(self, i):
        return self.batch


def random_pairs(batch_size, side, embed_dim):
    """A batch of random pictures, each with a right and a wrong embedding."""
    images = torch.rand(batch_size, 3, side, side) * 2 - 1
    right, wrong = torch.randn(2, batch_size, embed_dim)
    return Batch(images, torch.arange(batch_size), right, wrong)


def pictures_per_second(ways, make_players, batch_size, steps, repeats):
    """Pictures per second of each way, the best of `repeats`; the ways take turns.

    ways: name → way(players, steps), which trains fresh players for that many steps.
    """
    best = dict.fromkeys(ways, 0.0)
    for _ in range(repeats):
        for name, way in ways.items():
            players = make_players()
            way(players, 2)  # to get warm
            start = time.perf_counter()
            way(players, steps)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            best[name] = max(best[name], batch_size * steps / (time.perf_counter() - start))
    return best


def show(speeds, yardstick):
    """Print the table: pictures per second, and the ratio to one of the ways."""
    print(f"{working_device()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, speed in speeds.items():
        ratio = speed / speeds[yardstick]
        print(f"{name:12} {speed:8.1f} pictures/s   {ratio:.2f} x {yardstick}")
