"""Train the pair of StackGAN that `data/pretrained/` ships.

`python tools/make_stackgan.py stage1 RUN1`, then `stage2 RUN2 --sketcher RUN1`, then
`ship RUN1 RUN2`: the networks, the losses and the step of notebooks 10 and 11, with three things
more: wrong sentences are near misses, rates are high (and may fall), and weights are averaged.
Hours on one core of a CPU, in parts: a run is kept in its folder and goes on when it is called
again. What it reaches on the way is written there (`reached.jsonl`), and the best average that it
met (`best.safetensors`), which is what is shipped; and D at that step (`best_D.safetensors`), so
that a page can ask it what it has learned.
"""

import argparse
import json
import shutil
import time
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from make_pretrained import HERE, card, rounded
from torch import nn

from t2i_utils import checkpoints, metrics
from t2i_utils.checkpoints import load_network, read_card, save_weights
from t2i_utils.data import blooms
from t2i_utils.data.captioned import Batches
from t2i_utils.models.char_cnn_rnn import load_text_encoder
from t2i_utils.models.stackgan import (
    Discriminator,
    Residual,
    StackGAN,
    Stage1Generator,
    Stage2Generator,
)
from t2i_utils.trainer import stackgan_step
from t2i_utils.training import Players, fit

KL_WEIGHT = 2 / 128
CODES, D_CODES = {"embed_dim": 256, "c_dim": 128}, {"embed_dim": 256, "text_dim": 128}
BEST, BEST_D, REACHED = "best.safetensors", "best_D.safetensors", "reached.jsonl"  # of a run


def players_of(G, D, rate, steps, fall=1.0):
    """As in notebook 10, but that the rates may fall, to `fall` of what they are at first."""
    for layer in D.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # its averages are those of the last batch (notebook 07)
    trained = ([p for p in player.parameters() if p.requires_grad] for player in (G, D))
    opts = [torch.optim.Adam(weights, rate, (0.5, 0.999)) for weights in trained]
    falling = opts if fall < 1 else []
    falling = [torch.optim.lr_scheduler.LinearLR(opt, 1.0, fall, steps) for opt in falling]
    return Players(G, D, *opts, schedulers=falling, ema_decay=0.999)


def gently(network):
    """Blocks that begin as no correction (notebook 10, section 8)."""
    for layer in network.modules():
        if isinstance(layer, Residual):
            nn.init.zeros_(layer.body[-1].weight)
    return network


def batches_of(encoder, n, side, batch, near):
    data = blooms.load_blooms(n, side, seed=2)
    return Batches(data, data.encode(encoder.encode), "train", batch, seed=0, near_misses=near)


def begun(run_dir, G, D):
    """Put the networks of another run into these, to go on with them by other settings."""
    kept = checkpoints.read(Path(run_dir) / checkpoints.CHECKPOINT)
    learning, weights = learned(G), kept.networks["G"]
    if learning is not G:  # the sketcher that G was made with may be another one: it stays
        mine = "stage2."
        weights = {k.removeprefix(mine): w for k, w in weights.items() if k.startswith(mine)}
    learning.load_state_dict(weights)
    D.load_state_dict(kept.networks["D"])
    return kept.step


# ---- what is reached ----------------------------------------------------------------------------


def exam_of(data, encoder, count, seed, memory):
    """The exam of the report card, and who judges pictures of that side."""
    exam = metrics.blooms_exam(data, encoder.encode, count, seed=seed, memory=memory)
    return exam, metrics.judges(data.images.shape[-1])


def enlarged(draw, side):
    """The same pictures at another side: what Stage-II is to be better than."""
    return lambda sentences, seed: F.interpolate(
        draw(sentences, seed), (side, side), mode="bilinear", align_corners=False
    )


class OnTheWay:
    """For `fit`: a card of the averaged generator, again and again; the best one is kept.

    Its sentences are others than those of the card that is shipped: the best of many is chosen by
    them.
    """

    def __init__(self, data, encoder, run_dir, widths, recipe, count=1024):
        """`widths` of G and of D; `recipe`: steps → words."""
        self.exam, self.judges = exam_of(data, encoder, count, seed=1, memory=1024)
        self.encoder, self.run_dir = encoder, Path(run_dir)
        self.widths, self.recipe = widths, recipe
        before = reached(run_dir)
        best = self.run_dir / BEST  # of this run: one that it goes on from may have had another G
        self.best = float(read_card(best)["all three"]) if best.exists() else -1.0
        spent = before[-1]["core-seconds"] if before else 0
        self.started = time.process_time() - spent

    def __call__(self, players):
        G = players.G_avg.module
        draw = metrics.drawer(G, self.encoder.encode)
        found = rounded(metrics.report_card(draw, self.exam, self.judges).numbers("generator"))
        if found["all three"] > self.best:
            self.best = found["all three"]
            recipe = self.recipe(int(players.G_avg.n_averaged))
            for name, net, own in zip((BEST, BEST_D), (learned(G), players.D), self.widths,
                                      strict=True):  # fmt: skip
                about = {"widths": json.dumps(own), "recipe": recipe, "all three": str(self.best)}
                save_weights(self.run_dir / name, net, about, torch.float16)
        line = json.dumps(found | {"core-seconds": round(time.process_time() - self.started)})
        print(line, flush=True)
        with open(self.run_dir / REACHED, "a") as file:
            file.write(line + "\n")
        return draw(self.exam.sentences[:16], 0)


def reached(run_dir):
    path = Path(run_dir) / REACHED
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def learned(G):
    return getattr(G, "stage2", G)  # Stage-I has a file of its own


def train(run_dir, G, D, batches, encoder, steps, widths, rate, fall, begin, kl, precision):
    """Train and judge, in the run's folder; it goes on where it is."""
    before = ""
    if begin:
        earlier = begun(begin, G, D)
        before = f"{earlier} steps before ({read_card(Path(begin) / BEST)['recipe']}), then "
        if not reached(run_dir):
            Path(run_dir).mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(begin) / REACHED, run_dir)

    def recipe(done):
        falling = "" if fall == 1 else f", falling to {fall} of it over {steps} steps"
        in_bf16 = "" if precision == "no" else f", {precision}"
        return (
            f"{before}{done} steps of {batches.batch_size}, wrong sentences the nearest of "
            f"{batches.near_misses}, Adam {rate} (β₁ 0.5){falling}, λ {kl:.4f}{in_bf16}, weights "
            f"averaged; D of width {widths[1]['width']}"
        )

    for network in (G, D):
        network.to(memory_format=torch.channels_last)  # the same numbers, a CPU's steps are faster
    way = OnTheWay(batches.data, encoder, run_dir, widths, recipe)
    priced = partial(stackgan_step, kl_weight=kl)
    fit(players_of(G, D, rate, steps, fall), batches, priced, steps=steps, run_dir=run_dir,
        precision=precision, checkpoint_every=500, snapshot=way, snapshot_every=2000,
        progress=False)  # fmt: skip


# ---- the stages and the shipped files -----------------------------------------------------------


def stage1(run_dir, steps=30000, batch=32, n=24000, width=32, width_d=16, near=256, rate=2e-3,
           fall=1.0, begin=None, kl=KL_WEIGHT, precision="no"):  # fmt: skip
    torch.manual_seed(0)
    encoder, of_D = load_text_encoder(), {**D_CODES, "width": width_d, "image_size": 64}
    of_G = {**CODES, "z_dim": 100, "width": width, "image_size": 64}
    G, D = gently(Stage1Generator(**of_G)), gently(Discriminator(**of_D))
    batches = batches_of(encoder, n, 64, batch, near)
    train(run_dir, G, D, batches, encoder, steps, (of_G, of_D), rate, fall, begin, kl,
          precision)  # fmt: skip


def stage2(run_dir, sketcher, steps=15000, batch=16, n=24000, width=24, width_d=16, near=256,
           rate=2e-3, fall=1.0, begin=None, kl=KL_WEIGHT, precision="no"):  # fmt: skip
    """On the best average of a run of `stage1`."""
    torch.manual_seed(0)
    encoder, of_D = load_text_encoder(), {**D_CODES, "width": width_d, "image_size": 128}
    of_G = {**CODES, "width": width, "sketch_size": 64, "image_size": 128, "blocks": 2}
    first = load_network(Path(sketcher) / BEST, Stage1Generator)
    G = StackGAN(first, gently(Stage2Generator(**of_G)))
    D = gently(Discriminator(**of_D))
    batches = batches_of(encoder, n, 128, batch, near)
    train(run_dir, G, D, batches, encoder, steps, (of_G, of_D), rate, fall, begin, kl,
          precision)  # fmt: skip


def ship(first, second, n=8192, count=2048, memory=4096):
    """Both stages' best averages, measured side by side at the size of Stage-II, with cards."""
    encoder = load_text_encoder()
    sketcher = load_network(Path(first) / BEST, Stage1Generator)
    both = StackGAN(sketcher, load_network(Path(second) / BEST, Stage2Generator))
    for name, run, G, side in (("stage1", first, sketcher, 64), ("stage2", second, both, 128)):
        data = blooms.load_blooms(n, side, seed=2)
        exam, judges = exam_of(data, encoder, count, seed=0, memory=memory)
        who = {name: metrics.drawer(G, encoder.encode)}
        if G is both:
            who["stage1, enlarged"] = enlarged(metrics.drawer(sketcher, encoder.encode), side)
        found = metrics.report_card(who, exam, judges)
        print(found, flush=True)
        measured = {column: rounded(found.numbers(column)) for column in found.columns}
        kept = read_card(Path(run) / BEST)
        about = card("Blooms: the training classes; φ is the shipped one", kept["recipe"], measured,
                     widths=kept["widths"], on_the_way=json.dumps(reached(run)))  # fmt: skip
        save_weights(HERE / f"{name}_blooms.safetensors", learned(G), about, torch.float16)
        D, of_D = load_network(Path(run) / BEST_D, Discriminator), read_card(Path(run) / BEST_D)
        about = card(about["trained_on"], kept["recipe"], {}, widths=of_D["widths"])
        save_weights(HERE / f"{name}_D_blooms.safetensors", D, about, torch.float16)


COMMANDS = {f.__name__: f for f in (stage1, stage2, ship)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("stage1", "stage2"):
        own = commands.add_parser(name)
        own.add_argument("run_dir", help="keeps the run, goes on with it")
        own.add_argument("--steps", type=int, help="the stage's own number where not given")
        own.add_argument("--near", type=int, help="a wrong sentence is the nearest of so many")
        own.add_argument("--rate", type=float, help="of both players, at first")
        own.add_argument("--fall", type=float, help="what rates fall to, in parts of the first")
        own.add_argument("--width-d", type=int, help="of D")
        own.add_argument("--kl", type=float, help="λ, the price of the cloud")
        own.add_argument("--batch", type=int, help="pictures of a step")
        own.add_argument("--precision", help="no (float32) or bf16: faster where a CPU has it")
        own.add_argument("--begin", help="a run to go on with by other settings")
        if name == "stage2":
            own.add_argument("--sketcher", required=True, help="a run of stage1")
    own = commands.add_parser("ship")
    own.add_argument("first", help="a run of stage1")
    own.add_argument("second", help="a run of stage2 on it")
    asked = vars(parser.parse_args())
    COMMANDS[asked.pop("command")](**{k: v for k, v in asked.items() if v is not None})
