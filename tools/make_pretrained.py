"""Train the small networks that `data/pretrained/` ships: `python tools/make_pretrained.py NAME`.

`text_encoder` (φ and its picture side θ), `classifier` (64 pixels), `details` (128 and more),
`second` (a second opinion at 64), and, with the text encoder, `generator` and `gan_cls` (as
published, and the same after few steps). With `--run-dir` a run is kept and can be resumed;
`--steps` shortens it. Their steps are meant for a GPU: minutes there, many hours on a CPU.
"""

import argparse
import json
import math
import multiprocessing
import random
import re
import time
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.v2 import functional as tvf

import t2i_utils
from t2i_utils import checkpoints, metrics
from t2i_utils.checkpoints import save_weights
from t2i_utils.data import blooms, grammar
from t2i_utils.data.blooms import ATTRIBUTES, NAMES
from t2i_utils.data.captioned import Batches, all_true, to_unit
from t2i_utils.lesson import seed_for, working_device
from t2i_utils.models import gan_cls as models_07
from t2i_utils.models.beyond_stackgan import Discriminator, Generator
from t2i_utils.models.char_cnn_rnn import (
    CharCNNRNN,
    PictureEncoder,
    load_text_encoder,
    spread_out,
    to_characters,
)
from t2i_utils.objectives import (
    contrastive_loss,
    generator_loss,
    gradient_penalty,
    matching_aware_loss,
    relativistic_generator_loss,
    relativistic_loss,
)
from t2i_utils.training import Players, fit, frozen

HERE = Path(__file__).parent.parent / "data" / "pretrained"
DEVICE = torch.device("cpu")  # until the command line asks what there is


# ---- what all share ---------------------------------------------------------------------------


def train(parts, loss_at, steps, rate, run_dir=None):
    """Adam down `loss_at(step)`, the rate rising for a twentieth of the steps and then falling.

    Every step seeds itself, so that a run that was stopped goes on as if it had not been.
    """
    weights = [p for part in parts.values() for p in part.parameters()]
    optimiser = torch.optim.AdamW(weights, rate, weight_decay=1e-2, fused=DEVICE.type == "cuda")
    path = Path(run_dir) / "parts.safetensors" if run_dir else None
    done = 0
    if path and path.exists():
        done = checkpoints.load_parts(path, optimiser=optimiser, **parts)
        print(f"going on from step {done} of {steps}", flush=True)
    started = time.time()
    for step in range(done, steps):
        torch.manual_seed(seed_for(0, "step", step))
        fall = 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, 20 * (step + 1) / steps) * fall
        loss = loss_at(step)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 5.0)
        optimiser.step()
        if (step + 1) % max(1, steps // 8) == 0 or step + 1 == steps:
            took = f"{time.time() - started:.0f} s"
            print(f"step {step + 1} of {steps} loss {loss.item():.3f} {took}", flush=True)
            if path:
                checkpoints.save_parts(path, step + 1, optimiser=optimiser, **parts)
    return steps


def flowers_of(n, seed, split):
    """Attributes of `n` flowers: of the training combinations, the unseen ones, or all."""
    generator = torch.Generator().manual_seed(seed_for(seed, "pretrained", split))
    attributes, classes = blooms.draw_attributes(8 * n, generator)
    unseen = torch.isin(classes, torch.tensor(blooms.unseen_classes()))
    keep = {"train": ~unseen, "test": unseen, "all": unseen | True}[split]
    return attributes[keep][:n]


def pictures_of(attributes, size):
    """Freshly drawn: another style each time, so that no picture is seen twice."""
    style = torch.rand(len(attributes), blooms.STYLE, device=attributes.device)
    return to_unit(blooms.render(attributes, style, size))


def roughen(images):
    """Blur and noise, at random: generated pictures are never as clean as drawn ones."""
    side = images.shape[-1]
    if torch.rand(()) < 0.5:
        small = F.interpolate(images, (side // 2, side // 2), mode="bilinear", antialias=True)
        images = F.interpolate(small, (side, side), mode="bilinear")
    strength = torch.rand(len(images), 1, 1, 1, device=images.device) * 0.15
    return (images + strength * torch.randn_like(images)).clamp(-1, 1)


# Words of training sentences that name nothing by themselves: `garbled` drops, changes, adds them.
EMPTY = ("a a an an the the this it is has with of that are and there on in at we see look picture "
         "among above against before beside front growing out make up showing surrounded under "
         "clear dark pale visible ring row rows layer layers").split()  # fmt: skip
BREAKS = re.compile(r", | and |: |\. | with | has | on a | showing | make up ")


def garbled(sentence, rng):
    """The same facts in bad English: parts and words in another order, small ones changed.

    The fourteen templates of the training grammar are soon known by heart, and what is read then
    is the template. Words that belong together stay in one part, a colour with what has it.
    """
    parts = [part.split() for part in BREAKS.split(sentence)]
    if rng.random() < 0.5:
        rng.shuffle(parts)
    words = []
    for part in parts:
        if rng.random() < 0.4:
            rng.shuffle(part)
        for word in part:
            chance = rng.random()
            if word not in EMPTY or chance > 0.5:
                words.append(word)
            elif chance > 0.25:
                words.append(rng.choice(EMPTY))
            while rng.random() < 0.2:
                words.append(rng.choice((*EMPTY, *",,,,..:")))
        words += [rng.choice((",", ".", ":", "and"))] * (rng.random() < 0.7)
    return " ".join(words).replace(" ,", ",").replace(" .", ".").replace(" :", ":")


def written(attributes, seed):
    """Places [n, 30, 201] of ten sentences and of the same ten garbled twice, what they name."""
    sentences, named = blooms.write_sentences(attributes, seed)
    rng = random.Random(seed)
    texts = [own + [garbled(s, rng) for s in own * 2] for own in sentences]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few are longer than 201 characters
        places = to_characters([text for own in texts for text in own])
    return places.to(torch.uint8).view(len(texts), -1, places.shape[1]), named.repeat(1, 3, 1)


def card(trained_on, recipe, measured, **more):
    return {
        "trained_on": trained_on,
        "recipe": recipe,
        "measured": json.dumps(measured),
        "made_on": "one GPU" if DEVICE.type == "cuda" else "a CPU",
        "t2i_utils": t2i_utils.__version__,
        **more,
    }


def rounded(shares):
    return {name: round(share, 4) for name, share in shares.items()}


# ---- the text encoder and its picture side ----------------------------------------------------


def text_encoder(steps=8500, run_dir=None, batch=256, pool=48000, side=128):
    """The joint embedding on the training combinations of Blooms: every untrue sentence a rival."""
    widths = {"embed_dim": 256, "channels": [128, 192, 256], "rnn": 256}
    torch.manual_seed(0)
    phi, theta = CharCNNRNN(**widths).to(DEVICE), PictureEncoder(256, 24, side).to(DEVICE)
    theta.metric.requires_grad_(False)
    attributes = flowers_of(pool, 0, "train")
    parts = attributes.split(1000)
    seeds = [seed_for(0, "pretrained", i) for i in range(len(parts))]
    with multiprocessing.get_context("spawn").Pool() as processes:
        done = processes.starmap(written, zip(parts, seeds, strict=True))
    places, named = map(torch.cat, zip(*done, strict=True))
    attributes, places, named = (x.to(DEVICE) for x in (attributes, places, named))
    sizes = (*[side] * 6, side // 2, side // 4)  # most of what it will see is sharp

    def loss_at(step):
        rows = torch.randint(pool, (batch,), device=DEVICE)
        numbers = torch.randint(places.shape[1], (batch,), device=DEVICE)
        images = pictures_of(attributes[rows], sizes[step % len(sizes)])
        if step % 4 == 3:
            images = roughen(images)
        rivals = ~all_true(named[rows, numbers][None], attributes[rows][:, None])
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
            v, t = theta(images), phi(places[rows, numbers].long())
        return contrastive_loss(v.float(), t.float(), rivals)

    steps = train({"phi": phi, "theta": theta}, loss_at, steps, 1e-3, run_dir)
    phi.eval().cpu(), theta.eval().cpu()
    data = blooms.load_blooms(10000, 64)
    by_cosine = retrieval(phi, theta, data, cosine=True)
    standardise(phi, theta, [own[0] for own in data.captions[:8000]])
    save_encoder(phi, theta, widths, steps, batch, side, data, by_cosine)


@torch.no_grad()
def standardise(phi, theta, sentences):
    """Fold what brings φ to spread 1 in every direction into its last layer, the way back into θ.

    Compatibilities stay as they were trained, but for the mean that φ loses.
    """
    mean, spread, back = spread_out(phi.encode(sentences))
    phi.project.weight.copy_(spread @ phi.project.weight)
    phi.project.bias.copy_(spread @ (phi.project.bias - mean))
    theta.metric.weight.copy_(back)


@torch.no_grad()
def retrieval(phi, theta, data, cosine=False, tables=100, side=128):
    """Sentence → picture and picture → sentence, top-1 among one flower of each unseen class."""
    generator, right = torch.Generator().manual_seed(1), []
    rows = data.splits["test"]
    classes, names = data.classes[rows], data.classes[rows].unique()
    for _ in range(tables):
        table = torch.stack([
            mine[torch.randint(len(mine), (), generator=generator)]
            for mine in (rows[classes == c] for c in names)
        ])  # fmt: skip
        style = torch.rand(len(table), blooms.STYLE, generator=generator)
        v = theta(to_unit(blooms.render(data.attributes[table], style, side)))
        t = phi.encode([data.captions[p][0] for p in table.tolist()])
        t = F.normalize(t, dim=1) if cosine else t
        fits, own = t @ v.T, torch.arange(len(table))
        right.append(torch.stack([(fits.argmax(d) == own).float().mean() for d in (1, 0)]))
    return [round(x, 3) for x in torch.stack(right).mean(0).tolist()]


def save_encoder(phi, theta, widths, steps, batch, side, data, by_cosine):
    probes = metrics.probe(phi.encode, data, ("training", "held_out", "synonyms"))
    measured = {"probes": {grammar: rounded(shares) for grammar, shares in probes.items()},
                "retrieval among 20 unseen classes": retrieval(phi, theta, data),
                "the same by cosine, before the change of spread": by_cosine}  # fmt: skip
    print(json.dumps(measured, indent=1), flush=True)
    about = card(
        f"Blooms: the 84 training classes, pictures drawn anew at {side} px, some at less",
        f"softmax over the batch on cosines, temperature 0.07, every sentence that is untrue of a "
        f"picture a rival, two of three sentences garbled; {steps} steps of {batch}, AdamW; then φ "
        f"brought to spread 1 in every direction that carries something",
        measured,
    )
    words = json.dumps(sorted(grammar.training_words()))
    save_weights(HERE / "char_cnn_rnn_blooms.safetensors", phi,
                 about | {"widths": json.dumps(widths), "words": words}, torch.float16)  # fmt: skip
    sizes = json.dumps({"embed_dim": 256, "width": 24, "side": side})
    save_weights(HERE / "picture_encoder_blooms.safetensors", theta, about | {"widths": sizes},
                 torch.float16)  # fmt: skip


# ---- the measuring devices --------------------------------------------------------------------


def classifier(steps=5150, run_dir=None, batch=256, side=64, sizes=(64, 64, 64, 32)):
    """Reads ten attributes; trained on every combination, on flowers that are drawn once."""
    torch.manual_seed(0)
    widths = {"width": 32, "side": side}
    model = metrics.AttributeClassifier(**widths).to(DEVICE)

    def loss_at(step):
        generator = torch.Generator().manual_seed(seed_for(0, "classifier", side, step))
        attributes = blooms.draw_attributes(batch, generator)[0].to(DEVICE)
        images = pictures_of(attributes, sizes[step % len(sizes)])
        if step % 4 == 1:  # not more often: what is finest does not survive it
            images = roughen(images)
        answers = model(images)
        return sum(F.cross_entropy(answers[k], attributes[:, i]) for i, k in enumerate(NAMES))

    steps = train({"model": model}, loss_at, steps, 2e-3, run_dir)
    how = f"{steps} steps of {batch}, AdamW; some pictures blurred and noised"
    save_reader(f"attribute_classifier_{side}", model, how, widths, sizes)


def save_reader(name, model, recipe, widths, sizes):
    """A classifier with its card: what it reaches on flowers that were not trained on."""
    model.eval().half().float()  # as it will be stored
    torch.manual_seed(1)
    tables = {size: confusions_at(model, size) for size in sorted({*sizes})}
    measured = {f"{size} px": {k: (t.diagonal().sum() / t.sum()).item() for k, t in table.items()}
                for size, table in tables.items()}  # fmt: skip
    measured = {size: rounded(shares) for size, shares in measured.items()}
    confusion = {k: table.tolist() for k, table in tables[model.side].items()}
    print(json.dumps(measured, indent=1), flush=True)
    about = card(
        f"Blooms: all 104 classes, drawn anew at {', '.join(map(str, sorted({*sizes})))} px",
        recipe,
        measured,
        widths=json.dumps(widths),
        confusions=json.dumps({"values": ATTRIBUTES, "rows are true, columns read": confusion}),
    )
    save_weights(HERE / f"{name}.safetensors", model.cpu(), about, torch.float16)


def confusions_at(model, size, parts=16, each=250):
    """Tables over 4,000 flowers of unseen combinations, drawn at `size`."""
    total = {}
    for attributes in flowers_of(parts * each, 1, "test").to(DEVICE).split(each):
        images = pictures_of(attributes, size)
        for name, table in metrics.confusions(model, images, attributes.cpu()).items():
            total[name] = total.get(name, 0) + table
    return total


def details(steps=5800, run_dir=None, batch=128):
    """The classifier for 128 pixels and more."""
    classifier(steps, run_dir, batch, side=128, sizes=(128, 128, 128, 256))


def second(steps=4500, run_dir=None, batch=256):
    """A second opinion: another network, other flowers, half of them degraded in other ways."""
    torch.manual_seed(7)
    widths = {"width": 32}
    model = metrics.SecondClassifier(**widths).to(DEVICE)

    def loss_at(step):
        generator = torch.Generator().manual_seed(seed_for(7, "second", step))
        attributes = blooms.draw_attributes(batch, generator)[0].to(DEVICE)
        images = pictures_of(attributes, 64)
        if step % 2:
            images = degraded(images)
        answers = model(images)
        losses = (F.cross_entropy(answers[k], attributes[:, i], label_smoothing=0.05)
                  for i, k in enumerate(NAMES))  # fmt: skip
        return sum(losses)

    steps = train({"model": model}, loss_at, steps, 2e-3, run_dir)
    how = (f"{steps} steps of {batch}, AdamW, labels smoothed by 0.05; every other batch with a "
           "lattice, a Gaussian blur, another contrast, and noise up to 0.3")  # fmt: skip
    save_reader("second_classifier_64", model, how, widths, (64,))


def degraded(images):
    """What generators leave, each of a random strength: a lattice, blur, contrast, noise."""
    shape, device = (len(images), 1, 1, 1), images.device
    side = torch.arange(images.shape[-1], device=device)
    lattice = (-1.0) ** side[:, None] + (-1.0) ** side
    images = images + 0.15 * torch.rand(shape, device=device) * lattice
    sigma = 1.5 * torch.rand(()).item() + 1e-3
    images = tvf.gaussian_blur(images, [7, 7], [sigma, sigma])
    images = images * (0.8 + 0.4 * torch.rand(shape, device=device))
    images = images + 0.3 * torch.rand(shape, device=device) * torch.randn_like(images)
    return images.clamp(-1, 1)


# ---- the generator that opens the book --------------------------------------------------------


def step(players, batch):
    """Relativistic pairs, a matching term, and a gradient penalty now and then.

    Notebook 13 takes this apart. The penalty is due every eighth step or so, times eight ("lazy").
    """
    G, D = players.G, players.D
    penalised = torch.rand(()) < 1 / 8
    z = torch.randn(len(batch.images), G.z_dim, device=batch.images.device)
    embedding, rivals = batch.embedding, batch.rivals
    fake = G(z, embedding)
    real = batch.images.requires_grad_()
    features = D.trunk(real)
    s_r = D.score(features, embedding)
    s_w = D.score(features, batch.wrong_embedding)
    s_f = D(fake.detach(), embedding)
    loss_D = relativistic_loss(s_r, s_w, s_f)
    match = contrastive_loss(*D.both_sides(features, embedding), rivals, 0.1)
    penalty = gradient_penalty(s_r, real) if penalised else loss_D.new_zeros(())
    players.update_D(loss_D + match + 0.5 * 8 * penalty)
    with frozen(D):
        seen = D.trunk(fake)
        loss_G = relativistic_generator_loss(s_r.detach(), D.score(seen, embedding))
        heard = contrastive_loss(*D.both_sides(seen, embedding), rivals, 0.1)
        players.update_G(loss_G + heard)
    scores = {"s_r": s_r.mean(), "s_w": s_w.mean(), "s_f": s_f.mean()}
    return {"loss_D": loss_D, "loss_G": loss_G, "match": match, "heard": heard, **scores}


def generator(steps=9100, run_dir=None, batch=128, n=24000, width=32):
    """The best recipe that is known here, at 64 pixels; notebook 00 draws with it."""
    torch.manual_seed(0)
    data, encoder = blooms.load_blooms(n, 64, seed=2), load_text_encoder().to(DEVICE)
    embeddings = data.encode(encoder.encode)
    widths = {"z_dim": 100, "embed_dim": 256, "text_dim": 128, "width": width, "image_size": 64}
    G, D = Generator(**widths), Discriminator(256, 256, width, 64)
    opt_G, opt_D = (torch.optim.Adam(p.parameters(), rate, (0.0, 0.99))
                    for p, rate in ((G, 2e-4), (D, 4e-4)))  # fmt: skip
    fall = [torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.1, steps) for o in (opt_G, opt_D)]
    players = Players(G, D, opt_G, opt_D, schedulers=fall, ema_decay=0.999)
    batches = Batches(data, embeddings, "train", batch, seed=0)
    fit(players, batches, step, steps=steps, run_dir=run_dir, checkpoint_every=2500)


    recipe = (
        f"relativistic pairs with wrong sentences, softmax matching term, lazy R1, conditional "
        f"batch norm, projection; {steps} steps of {batch}, Adam (0, 0.99), average of the weights"
    )
    save_generator("generator_blooms", players.G_avg.module, recipe, n, widths)


def plain_step(players, batch):
    """GAN-CLS (Reed et al. 2016, algorithm 1) as published: each kind in a batch of its own."""
    G, D = players.G, players.D
    z = torch.randn(len(batch.images), G.z_dim, device=batch.images.device)
    fake = G(z, batch.embedding)
    features = D.trunk(batch.images)
    s_r, s_w = D.score(features, batch.embedding), D.score(features, batch.wrong_embedding)
    s_f = D(fake.detach(), batch.embedding)
    loss_D = matching_aware_loss(s_r, s_w, s_f)
    players.update_D(loss_D)
    with frozen(D):
        loss_G = generator_loss(D(fake, batch.embedding))
        players.update_G(loss_G)
    return {"loss_D": loss_D, "loss_G": loss_G}


def gan_cls(steps=6000, run_dir=None, batch=64, n=24000, width=32, early=600):
    """GAN-CLS as published, at 64 pixels, and the same after `early` steps: to compare with."""
    data, encoder = blooms.load_blooms(n, 64, seed=2), load_text_encoder().to(DEVICE)
    batches = Batches(data, data.encode(encoder.encode), "train", batch, seed=0)
    widths = {"z_dim": 100, "embed_dim": 256, "text_dim": 128, "width": width, "image_size": 64}
    for name, taken in {"gan_cls_early_blooms": early, "gan_cls_blooms": steps}.items():
        torch.manual_seed(0)
        G = models_07.Generator(**widths)
        D = models_07.Discriminator(256, 128, width, 64)
        opt_G, opt_D = (torch.optim.Adam(p.parameters(), 2e-4, (0.5, 0.999)) for p in (G, D))
        players = Players(G, D, opt_G, opt_D, ema_decay=0.99)
        folder = run_dir and Path(run_dir) / name
        fit(players, batches, plain_step, steps=taken, run_dir=folder)
        recipe = f"GAN-CLS as published: {taken} steps of {batch}, average of the weights"
        save_generator(name, players.G_avg.module, recipe, n, widths)


def save_generator(name, G, recipe, n, widths):
    G = G.cpu().half().float()  # as it will be stored
    measured = obeys(G, load_text_encoder())
    print(json.dumps(measured, indent=1), flush=True)
    blooms_of = f"Blooms: the training classes of {n:,} flowers at 64 px; φ is the shipped one"
    about = card(blooms_of, recipe, measured, widths=json.dumps(widths))
    save_weights(HERE / f"{name}.safetensors", G, about, torch.float16)


def whole_sentences(attributes):
    """A sentence of each flower that has one naming all three class attributes; what each names."""
    sentences, named = blooms.write_sentences(attributes, seed_for(3, "obeys"))
    columns = [NAMES.index(k) for k in blooms.CLASS_ATTRIBUTES]
    whole = (named[:, :, columns] >= 0).all(2)
    rows = torch.nonzero(whole.any(1)).flatten()
    first = whole[rows].float().argmax(1)
    written = [sentences[r][k] for r, k in zip(rows.tolist(), first.tolist(), strict=True)]
    return written, named[rows, first]


@torch.no_grad()
def obeys(G, encoder, count=2048):
    """What of sentences that name all three class attributes of unseen combinations is drawn."""
    written, asked = whole_sentences(flowers_of(count, 3, "test"))
    z = torch.randn(len(written), G.z_dim, generator=torch.Generator().manual_seed(0))
    phi = encoder.encode(written)
    images = torch.cat([G.eval()(*part) for part in zip(z.split(256), phi.split(256), strict=True)])
    judge = metrics.load_attribute_classifier()
    measured = rounded(metrics.attribute_accuracy(judge, images, asked))
    measured["jointly"] = round(metrics.jointly_right(judge, images, asked), 4)
    measured["Nyquist lines"] = round(metrics.nyquist_power(images), 5)
    return measured


MAKERS = {f.__name__: f for f in (text_encoder, classifier, details, second, generator, gan_cls)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("name", choices=MAKERS)
    parser.add_argument("--steps", type=int, help="the maker's own number where not given")
    parser.add_argument("--run-dir", help="keeps the run, goes on with it")
    asked = vars(parser.parse_args())
    DEVICE = working_device()
    MAKERS[asked.pop("name")](**{k: v for k, v in asked.items() if v is not None})
