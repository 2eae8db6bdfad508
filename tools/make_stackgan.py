"""Train the pair of StackGAN that `data/pretrained/` ships: `python tools/make_stackgan.py STAGE`.

`stage1`, then `stage2` on the shipped Stage-I: the networks, the losses and the step of notebooks
10 and 11, with three things more: wrong sentences are near misses, rates are high and fall, and
weights are averaged. Hours on one core of a CPU, in parts: with `--run-dir` a run is kept and can
be resumed; what it reaches on the way is written there as well (`reached.jsonl`). `--steps` is part
of the recipe: the rates fall over it.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from make_pretrained import HERE, card, flowers_of, rounded, whole_sentences
from torch import nn

from t2i_utils import checkpoints, metrics
from t2i_utils.checkpoints import save_weights
from t2i_utils.data import blooms
from t2i_utils.data.blooms import NAMES
from t2i_utils.data.captioned import Batches
from t2i_utils.data.grammar import DETAILS
from t2i_utils.models.char_cnn_rnn import load_text_encoder
from t2i_utils.models.gan_cls import three_scores
from t2i_utils.models.stackgan import (
    Discriminator,
    Residual,
    StackGAN,
    Stage1Generator,
    Stage2Generator,
    load_stage1,
    stage1_of_run,
)
from t2i_utils.objectives import generator_loss, kl_to_standard_normal, matching_aware_loss
from t2i_utils.training import Players, fit, frozen

KL_WEIGHT = 2 / 128
CODES = {"embed_dim": 256, "c_dim": 128}


def step(players, batch):
    """GAN-CLS's step with the KL term of the stage that learns (notebooks 10 and 11)."""
    G, D, right = players.G, players.D, batch.embedding
    fake = G(torch.randn(len(right), G.noise_dim, device=right.device), right)
    scores = three_scores(D, batch.images, fake.detach(), right, batch.wrong_embedding)
    loss_D = matching_aware_loss(*scores)
    players.update_D(loss_D)
    D.eval()
    with frozen(D):
        loss_G = generator_loss(D(fake, right))
        kl = kl_to_standard_normal(*G.augment(right))
        players.update_G(loss_G + KL_WEIGHT * kl)
    D.train()
    logits = zip(("s_r", "s_w", "s_f"), scores, strict=True)
    return {"loss_D": loss_D, "loss_G": loss_G, "kl": kl} | {k: s.mean() for k, s in logits}


def players_of(G, D, rate, steps):
    """As in notebook 10, but that the rates fall to a twentieth."""
    for layer in D.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # its averages are those of the last batch (notebook 07)
    trained = ([p for p in player.parameters() if p.requires_grad] for player in (G, D))
    opts = [torch.optim.Adam(weights, rate, (0.5, 0.999)) for weights in trained]
    fall = [torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.05, steps) for opt in opts]
    return Players(G, D, *opts, schedulers=fall, ema_decay=0.999)


def gently(network):
    """Blocks that begin as no correction (notebook 10, section 8)."""
    for layer in network.modules():
        if isinstance(layer, Residual):
            nn.init.zeros_(layer.body[-1].weight)
    return network


def batches_of(encoder, n, side, batch, near):
    data = blooms.load_blooms(n, side, seed=2)
    return Batches(data, data.encode(encoder.encode), "train", batch, seed=0, near_misses=near)


def begun(run_dir, **players):
    """Put the networks of another run into these, to go on with them by other settings."""
    kept = checkpoints.read(Path(run_dir) / checkpoints.CHECKPOINT)
    for name, network in players.items():
        network.load_state_dict(kept.networks[name])
    return kept.step


# ---- what is reached ----------------------------------------------------------------------------


def sentences_of(count):
    """Sentences that name all three class attributes of unseen combinations, and what they name."""
    written, asked = whole_sentences(flowers_of(2 * count, 3, "test"))
    return written[:count], asked[:count]


class Exam:
    """What a generator draws of a thousand such sentences, again and again while it learns."""

    def __init__(self, encoder, count=1024):
        written, self.asked = sentences_of(count)
        self.phi, self.started = encoder.encode(written), time.process_time()

    @torch.no_grad()
    def of(self, G):
        noise = torch.randn(len(self.phi), G.noise_dim, generator=torch.Generator().manual_seed(0))
        parts = zip(noise.split(128), self.phi.split(128), strict=True)
        images = torch.cat([G.eval()(*part) for part in parts])
        judge = metrics.load_attribute_classifier(128 if images.shape[-1] >= 128 else 64)
        seen, said = judge.read(images), self.asked >= 0
        found = {k: hits.mean().item() for k, hits in self.hits(seen, said)}
        for name in DETAILS:
            drawn, named = seen[:, NAMES.index(name)] == 1, said[:, NAMES.index(name)]
            shares = drawn[named].float().mean() - drawn[~named].float().mean()
            found[f"{name}, named − not"] = shares.item()
        found["jointly"] = metrics.jointly_right(judge, images, self.asked)
        return images, found | {"Nyquist lines": metrics.nyquist_power(images)}

    def hits(self, seen, said):
        right = (seen == self.asked).float()
        return ((name, right[said[:, i], i]) for i, name in enumerate(NAMES) if name not in DETAILS)

    def snapshot(self, path):
        """For `fit`: sixteen pictures, and a line in the file at `path`."""

        def taken(players):
            images, found = self.of(players.G_avg.module)
            found["core-seconds of this part"] = round(time.process_time() - self.started)
            line = json.dumps(rounded(found))
            print(line, flush=True)
            if path:
                with open(path, "a") as file:
                    file.write(line + "\n")
            return images[:16]

        return taken


def train(name, G, D, batches, encoder, steps, run_dir, widths, rate, begin=None):
    """Train, judge, and ship the averaged generator."""
    earlier = begun(begin, G=G, D=D) if begin else 0
    players, exam = players_of(G, D, rate, steps), Exam(encoder)
    path = run_dir and Path(run_dir) / "reached.jsonl"
    fit(players, batches, step, steps=steps, run_dir=run_dir, checkpoint_every=500,
        snapshot=exam.snapshot(path), snapshot_every=1000, progress=False)  # fmt: skip
    recipe = (
        f"notebook 10's step, {earlier} steps of an earlier run and {steps} of "
        f"{batches.batch_size}; wrong sentences the nearest of {batches.near_misses}, blocks that "
        f"begin as no correction, Adam {rate} (β₁ 0.5) falling to a twentieth, averaged weights"
    )
    paths = [Path(begin) / path.name, path] if begin and path else [path]
    ship(name, players.G_avg.module, exam, recipe, widths, paths)


def ship(name, G, exam, recipe, widths, paths=()):
    G = G.cpu().half().float()  # as it will be stored
    found = rounded(exam.of(G)[1])
    G = getattr(G, "stage2", G)  # Stage-I is shipped in a file of its own
    lines = [path.read_text().splitlines() for path in paths if path and path.exists()]
    on_the_way = [[json.loads(line) for line in part] for part in lines]
    about = card("Blooms: the training classes; φ is the shipped one", recipe, found,
                 widths=json.dumps(widths), on_the_way=json.dumps(on_the_way))  # fmt: skip
    save_weights(HERE / f"{name}.safetensors", G, about, torch.float16)
    print(json.dumps(found, indent=1))


# ---- the stages ---------------------------------------------------------------------------------


def stage1(steps=32000, run_dir=None, batch=32, n=24000, width=32, near=256, rate=2e-3, begin=None):
    torch.manual_seed(0)
    encoder, widths = load_text_encoder(), {**CODES, "z_dim": 100, "width": width, "image_size": 64}
    G, D = gently(Stage1Generator(**widths)), gently(Discriminator(256, 128, width, 64))
    batches = batches_of(encoder, n, 64, batch, near)
    train("stage1_blooms", G, D, batches, encoder, steps, run_dir, widths, rate, begin)


def stage2(steps=20000, run_dir=None, batch=16, n=24000, width=24, near=256, rate=2e-3, begin=None,
           sketcher=None):  # fmt: skip
    """On the shipped Stage-I, or on the average of weights that a run of it has kept so far."""
    torch.manual_seed(0)
    encoder, widths = load_text_encoder(), {**CODES, "width": width, "sketch_size": 64,
                                            "image_size": 128, "blocks": 2}  # fmt: skip
    first = load_stage1() if sketcher is None else stage1_of_run(sketcher)
    G = StackGAN(first, gently(Stage2Generator(**widths)))
    D = gently(Discriminator(256, 128, width, 128))
    batches = batches_of(encoder, n, 128, batch, near)
    train("stage2_blooms", G, D, batches, encoder, steps, run_dir, widths, rate, begin)


STAGES = {f.__name__: f for f in (stage1, stage2)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--steps", type=int, help="the stage's own number where not given")
    parser.add_argument("--run-dir", help="keeps the run, goes on with it")
    parser.add_argument("--near", type=int, help="a wrong sentence is the nearest of so many")
    parser.add_argument("--rate", type=float, help="of both players, at first")
    parser.add_argument("--begin", help="a run to go on with by other settings")
    parser.add_argument("--sketcher", help="stage2: a run of stage1, in place of the shipped one")
    asked = vars(parser.parse_args())
    STAGES[asked.pop("stage")](**{k: v for k, v in asked.items() if v is not None})
