"""A small GAN with BatchNorm at 16x16, and a program that trains it and may die on the way.

The tests import the first part; `python resume_worker.py STEPS THREADS KILL_AT RUN_DIR...` runs the
second: training in each RUN_DIR that, in the step KILL_AT (0: never) that it takes, kills itself
(SIGKILL: nothing can be tidied up).
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import softplus

from t2i_utils import checkpoints
from t2i_utils.training import Players, fit, frozen


class Generator(nn.Sequential):
    z_dim = 8

    def __init__(self, width=8):
        super().__init__(
            nn.Unflatten(1, (self.z_dim, 1, 1)),
            nn.ConvTranspose2d(self.z_dim, 2 * width, 4, bias=False),  # 1x1 => 4x4
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),  # 4x4 => 8x8
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 3, 4, 2, 1),  # 8x8 => 16x16
            nn.Tanh(),
        )


class Discriminator(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(
            nn.Conv2d(3, width, 4, 2, 1),  # 16x16 => 8x8
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),  # 8x8 => 4x4
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 4),  # 4x4 => 1x1
            nn.Flatten(0),
        )


class Pictures:
    """Batch i, a function of i alone: 16x16 pictures with a bright square somewhere."""

    def __init__(self, batch_size=8):
        self.batch_size = batch_size

    def __getitem__(self, i):
        generator = torch.Generator().manual_seed(i)
        images = torch.full((self.batch_size, 3, 16, 16), -0.5)
        for image, (x, y) in zip(
            images, torch.randint(0, 12, (self.batch_size, 2), generator=generator), strict=True
        ):
            image[:, y : y + 4, x : x + 4] = 0.8
        return images


def make_players(width=8, schedulers=True, ema_decay=0.99):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        G, D = Generator(width), Discriminator(width)
    opt_G = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.5, 0.999))
    opt_D = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))
    halving = [torch.optim.lr_scheduler.MultiStepLR(opt_G, [60, 160]),
               torch.optim.lr_scheduler.ExponentialLR(opt_D, 0.999)]  # fmt: skip
    return Players(G, D, opt_G, opt_D, halving if schedulers else (), ema_decay)


def gan_step(players, images):
    G, D = players.G, players.D
    fake = G(torch.randn(len(images), G.z_dim, device=images.device))
    s_r, s_f = D(images), D(fake.detach())
    loss_D = softplus(-s_r).mean() + softplus(s_f).mean()
    players.update_D(loss_D)
    with frozen(D):
        loss_G = softplus(-D(fake)).mean()
        players.update_G(loss_G)
    return {"loss_D": loss_D, "loss_G": loss_G, "s_r": s_r.mean(), "s_f": s_f.mean()}


def snapshot(players):
    z = torch.randn(4, players.G.z_dim, generator=torch.Generator().manual_seed(7))
    return players.G_avg.eval()(z)


class Troubled(Pictures):
    """The same pictures; asked for batch `at`, it first does what it is told.

    Trouble comes with a batch and not in a step function: another one would be another run.
    """

    def __init__(self, at, trouble):
        super().__init__()
        self.at, self.trouble = at, trouble

    def __getitem__(self, i):
        if i == self.at:
            self.trouble()
        return super().__getitem__(i)


def train(run_dir, steps, step_fn=gan_step, players=None, batches=None, **settings):
    """fit as every resume test runs it; intervals that do not divide one another or the stop."""
    players, batches = players or make_players(), batches or Pictures()
    usual = dict(log_every=30, checkpoint_every=50, snapshot=snapshot, snapshot_every=40,
                 progress=False, device="cpu", seed=3)  # fmt: skip
    settings = usual | settings
    return players, fit(players, batches, step_fn, steps=steps, run_dir=run_dir, **settings)


def run_worker(*arguments):
    """`python resume_worker.py ARGUMENTS`, or `python -c CODE ARGUMENTS` where the first is code.

    A process of its own, never a fork of a test's: a fork of a process whose threads have computed
    waits for them for ever as soon as it computes itself.
    """
    # passive: threads that wait do not spin, which on a busy machine would take minutes
    paths = os.pathsep.join(map(str, Path(__file__).parents[:2]))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"}
    program = ["-c"] if "\n" in str(arguments[0]) else [__file__]
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def work(run_dir, steps, processes, rank, port, announce):
    """One process of a run that sends a word when it begins and at each save."""
    torch.set_num_threads(1)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    if processes > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes),
                       "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1",
                       "MASTER_PORT": str(port)}  # fmt: skip
    save = checkpoints.save

    def announcing_save(*arguments):
        announce.send("saving")
        save(*arguments)

    checkpoints.save = announcing_save
    announce.send("begun")
    train(run_dir, steps, checkpoint_every=4, log_every=6, snapshot_every=8)
    if processes > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    steps, threads, kill_at = map(int, sys.argv[1:4])
    torch.set_num_threads(threads)
    deadly = Troubled(kill_at - 1, lambda: os.kill(os.getpid(), signal.SIGKILL))
    for run_dir in sys.argv[4:]:
        train(run_dir, steps, batches=deadly)
